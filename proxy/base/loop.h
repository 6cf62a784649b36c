/*
 * loop -- what a worker runs: descriptors (libevent), timers (our own heap over world->now), the wake
 * queue of fibers, and hooks at the end of a round.
 *
 * One loop a process; nothing here is for threads.  No callback may block.
 */
#ifndef PROXY_BASE_LOOP_H
#define PROXY_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct world;
struct event_base;
struct fiber;
struct loop;

struct timer {                          /* embed it; all zero is a stopped timer */
	uint64_t at;                    /* absolute ms */
	unsigned pos;                   /* place in the heap + 1; 0: stopped */
	void   (*fn)(void *arg);        /* called from the loop, the timer already stopped */
	void    *arg;
};

struct loop *loop_new(struct world *w);         /* NULL: no event base */
void loop_free(struct loop *l);
struct world *loop_world(struct loop *l);
struct event_base *loop_base(struct loop *l);   /* for io.c, DNS and libraries with an adapter */

/* ms of world->now(), read once a round: cheap, and the same for all that happens in a round. */
uint64_t loop_now(const struct loop *l);

void timer_start(struct loop *l, struct timer *t, uint64_t at); /* moves it where it runs already */
void timer_stop(struct loop *l, struct timer *t);               /* harmless when stopped */
/* When the nearest timer is due, or UINT64_MAX. */
uint64_t loop_next_timer(const struct loop *l);

/* fn(arg) runs from the wake queue in this round or the next (before the loop sleeps), once per call. */
void loop_defer(struct loop *l, void (*fn)(void *arg), void *arg);
/* hook(arg) runs at the end of each round, e.g. to write the log. At most 8. */
void loop_at_round_end(struct loop *l, void (*hook)(void *arg), void *arg);

/*
 * One round: ready descriptors, due timers, the wake queue until it is empty (bounded: what wakes
 * itself for ever is put off to the next round), hooks.  `block`: sleep until something is ready or due.
 * Returns whether anything was done (with block false: false means nothing was ready: the simulated
 * world then moves its clock to loop_next_timer()).  Never called from a fiber.
 */
bool loop_round(struct loop *l, bool block);
void loop_run(struct loop *l);                  /* until loop_stop(), or nothing is left to wait for */
void loop_stop(struct loop *l);                 /* callable from a callback */

/* For those with events of their own on loop_base(): something was done in this round. */
void loop_noted(struct loop *l);
/* For fiber.c: queue a resumption. */
void loop_queue_fiber(struct loop *l, struct fiber *f);

#endif
