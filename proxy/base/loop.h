/*
 * loop -- what a worker runs: descriptors (epoll), timers (our own heap over world->now), the wake queue of
 * fibers, and hooks at the end of a round.
 *
 * One loop a process; nothing here is for threads.  No callback may block.  A library that brings an
 * adapter for somebody's event loop gets one over loop_watch.
 */
#ifndef PROXY_BASE_LOOP_H
#define PROXY_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct world;
struct fiber;
struct loop;

struct timer {                          /* embed it; all zero is a stopped timer */
	uint64_t at;                    /* absolute ms */
	unsigned pos;                   /* place in the heap + 1; 0: stopped */
	void   (*fn)(void *arg);        /* called from the loop, the timer already stopped */
	void    *arg;
};

enum {                                  /* what a descriptor is watched for, and what has happened there */
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_CLOSED = 4,                /* the peer has ended its side (EPOLLRDHUP) */
	LOOP_EDGE = 8,                  /* asked: told once a change, else as long as it holds */
	LOOP_FAULT = 16                 /* told: with what was wanted, that it comes from a reset or a hang-up */
};

struct loop_fd {                        /* embed it; all zero is one that is not watched */
	void   (*fn)(void *arg, unsigned what); /* called from the loop; may unwatch and free anything */
	void    *arg;
	int      fd;
	uint8_t  wants;
	bool     on;
};

struct loop *loop_new(struct world *w);         /* NULL: no epoll descriptor to be had */
void loop_free(struct loop *l);
struct world *loop_world(struct loop *l);

/*
 * Watches f->fd, or changes what it is watched for; an edge that is there by then is told (again).  A reset
 * and a hang-up are told as LOOP_READ | LOOP_WRITE, as far as wanted.  False: the kernel refuses.
 */
bool loop_watch(struct loop *l, struct loop_fd *f, unsigned wants);
/* Nothing is told of it any more, not even what has happened already. Harmless where it is not watched. */
void loop_unwatch(struct loop *l, struct loop_fd *f);
/*
 * The same, without a system call, for who closes the descriptor next: only where no other descriptor of ours
 * has the same open file, for then the close would not take it out of the kernel's set.  A fork is seen to.
 */
void loop_forget(struct loop *l, struct loop_fd *f);

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
 * What a round has to send may be held and go out together (io_batch.c): send(arg) is called before heavy work and at
 * the end of a round, in front of the hooks.  NULL: nobody holds anything.
 */
void loop_set_sender(struct loop *l, void (*send)(void *arg), void *arg);
void *loop_sender(const struct loop *l);        /* its arg; NULL: there is none */
void loop_send(struct loop *l);                 /* before what takes long or may not return: nothing is held now */

/*
 * One round: ready descriptors, due timers, the wake queue until it is empty (bounded: what wakes
 * itself for ever is put off to the next round), fibers whose turn it is to do heavy work, what was held to be sent,
 * hooks.
 * `block`: sleep until something is ready or due.
 * Returns whether anything was done (with block false: false means nothing was ready: the simulated
 * world then moves its clock to loop_next_timer()).  Never called from a fiber.
 */
bool loop_round(struct loop *l, bool block);
void loop_run(struct loop *l);                  /* until loop_stop(), or nothing is left to wait for */
void loop_stop(struct loop *l);                 /* callable from a callback */

/* For fiber.c: queue a resumption. */
void loop_queue_fiber(struct loop *l, struct fiber *f);
#define LOOP_HEAVY 4    /* pieces of heavy work that one round does: about a millisecond */
/* For fiber.c: heavy work, in the order of asking. True: now is f's turn; false: f is resumed when it is. */
bool loop_heavy(struct loop *l, struct fiber *f);

#endif
