/*
 * timer_heap -- the timers of a loop that run, the nearest in front.  For loop.c alone; all others have timer_start.
 */
#ifndef PROXY_BASE_TIMER_HEAP_H
#define PROXY_BASE_TIMER_HEAP_H

#include "proxy/base/loop.h"

struct timer_heap {                     /* embed it; all zero is an empty one */
	struct timer **v;               /* v[0] is due first; its owner frees it by mem_free */
	unsigned       n, max;
};

/* Gives t its place by t->at, or moves it where it has one.  t->at changes only right before this call. */
void timer_heap_put(struct timer_heap *h, struct timer *t);
/* Takes t out, which must be in there. */
void timer_heap_take(struct timer_heap *h, struct timer *t);

#endif
