/*
 * fiber_own -- what a fiber is to those who run it (fiber.c) and to those who keep it (fiber_pool.c); nobody else
 * includes it.
 */
#ifndef PROXY_BASE_FIBER_OWN_H
#define PROXY_BASE_FIBER_OWN_H

#include "proxy/base/fiber.h"
#include "proxy/base/loop.h"
#include "proxy/base/stack.h"

enum fiber_state {
	FIBER_FREE,                     /* in the pool */
	FIBER_QUEUED,                   /* a child that has not run yet */
	FIBER_RUNNING,
	FIBER_PARKED,                   /* woken by fiber_wake, its timer or fiber_cancel */
	FIBER_OVER                      /* back to the pool as soon as its stack is left */
};

struct fiber_own {
	struct fiber       f;
	struct fiber_pool *pool;
	enum fiber_state   state;
	bool               queued;      /* parked, but on the wake queue */
	bool               woken;       /* fiber_wake came while it was not parked */
	bool               joining;     /* wants to hear of its last child's end */
	enum wait_rc       rc;          /* what the park that ends will return */
	uint64_t           until;       /* the deadline of the park it is in, 0: none */
	struct timer       timer;       /* rings at `until` or earlier */
	void             (*fn)(void *);
	void              *arg;
	struct fiber      *elder;       /* the other link of the list of siblings */
	struct fiber_own  *next, *prev; /* of live ones, or of free ones (next only) */
	struct stack      *stack;
};

struct fiber_pool {
	struct loop      *loop;
	size_t            stack;        /* octets */
	unsigned          max, keep, n_live, n_free;
	struct fiber_own *free, *live;
};

/*
 * One more that is alive: its pool, its stack and f.own are set, its timer is stopped, and all the rest is the last
 * one's or zero.  It is the pool's and goes back by fiber_give.  NULL: the pool is at its maximum or has no memory.
 */
struct fiber_own *fiber_take(struct fiber_pool *p);
/* It is over, its stack left, its timer stopped, and it is nobody's child.  What the pool need not keep is freed. */
void fiber_give(struct fiber_own *o);

#endif
