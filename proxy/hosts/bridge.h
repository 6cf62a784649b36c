/*
 * bridge -- calls of foreign threads (libmilter's) into the one thread that runs the loop.
 *
 * All of base, mail, policy, filters and the judge is for one thread.  So a foreign thread copies what it was given into
 * a call, hands that over and waits on the call's own condition; the loop's thread takes it from a queue, works on it
 * in fibers and says when it is done.  A foreign thread may use what is marked THREAD, and mem_alloc and mem_free of
 * arena.h, which are the C library's.
 */
#ifndef PROXY_HOSTS_BRIDGE_H
#define PROXY_HOSTS_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bridge;
struct loop;
struct bridge_wait;

/* The first member of what is asked. All zero but what is filled in. */
struct bridge_call {
	void  (*run)(struct bridge_call *);     /* in the loop's thread, from the loop; bridge_done follows, then or later */
	void  (*drop)(struct bridge_call *);    /* frees it, in either thread: who holds it last */
	size_t  octets;                         /* that it carries, for the ceiling */
	/* the bridge's own */
	struct bridge_call *next;
	struct bridge_wait *wait;               /* of who waits; NULL: nobody does (any more) */
};

/*
 * DONE: the call is the caller's again, and its answer is there.  CLOSED (or no room in time): it is the caller's still.
 * LATE, LEFT: the loop still has it, and drops it.
 */
enum bridge_rc { BRIDGE_DONE, BRIDGE_CLOSED, BRIDGE_LATE, BRIDGE_LEFT };

/* What is done while one waits: every `every' ms still(arg); false: whoever it was for has gone (LEFT). */
struct bridge_patience {
	uint64_t ms, every;             /* every 0: never */
	bool   (*still)(void *arg);
	void    *arg;
};

/* octets: of calls in flight at once; beyond it callers wait.  NULL: no descriptor is to be had. */
struct bridge *bridge_new(size_t octets);
/* In the loop's thread, once: from here on calls are taken. False: the loop refuses. */
bool bridge_start(struct bridge *b, struct loop *l);

/* THREAD: asks, and waits for the answer. */
enum bridge_rc bridge_ask(struct bridge *b, struct bridge_call *c, const struct bridge_patience *p);
/* THREAD: tells; nobody waits, the loop drops it. False: closed, and it is still the caller's. */
bool bridge_tell(struct bridge *b, struct bridge_call *c);

/* In the loop's thread: done.  False: who asked has left (or never waited), and the call is gone. */
bool bridge_done(struct bridge *b, struct bridge_call *c);

/* THREAD: from here on every new call is CLOSED. Those in flight go on. */
void bridge_close(struct bridge *b);
/* THREAD: calls in flight that somebody waits for. */
unsigned bridge_waiting(struct bridge *b);
/* THREAD: the loop's loop_run ends. */
void bridge_stop(struct bridge *b);
/* No thread may use it any more, and no call be in flight. */
void bridge_free(struct bridge *b);

#endif
