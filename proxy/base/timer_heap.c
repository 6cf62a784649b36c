/*
 * timer_heap.c -- timers in the order in which they are due: a binary heap whose members know where they stand.
 *
 * So any of them can be moved or taken out, not only the nearest.  Nothing is called from here, and nothing is known of
 * the time: the loop looks at v[0], and rings (loop.c).
 * The invariant: v[i]->pos == i + 1 for every timer that runs, and no child is due before its parent.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/timer_heap.h"

static void
put(struct timer_heap *h, unsigned i, struct timer *t)
{
	h->v[i] = t;
	t->pos = i + 1;
}

static void
sift_up(struct timer_heap *h, unsigned i, struct timer *t)
{
	while (i > 0 && t->at < h->v[(i - 1) / 2]->at) {
		put(h, i, h->v[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(h, i, t);
}

static void
sift_down(struct timer_heap *h, unsigned i, struct timer *t)
{
	unsigned child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && h->v[child + 1]->at < h->v[child]->at)
			child++;
		if (t->at <= h->v[child]->at)
			break;
		put(h, i, h->v[child]);
		i = child;
	}
	put(h, i, t);
}

/* Finds t its place from i on, whichever way that is. */
static void
sift(struct timer_heap *h, unsigned i, struct timer *t)
{
	if (i > 0 && t->at < h->v[(i - 1) / 2]->at)
		sift_up(h, i, t);
	else
		sift_down(h, i, t);
}

void
timer_heap_put(struct timer_heap *h, struct timer *t)
{
	if (t->pos != 0) {
		sift(h, t->pos - 1, t);
		return;
	}
	if (h->n == h->max) {
		h->max = h->max == 0 ? 64 : 2 * h->max;
		h->v = mem_resize(h->v, h->max * sizeof(*h->v));
	}
	sift_up(h, h->n++, t);
}

void
timer_heap_take(struct timer_heap *h, struct timer *t)
{
	unsigned      i = t->pos - 1;
	struct timer *last;

	assert(i < h->n && h->v[i] == t);
	t->pos = 0;
	last = h->v[--h->n];
	if (last != t)
		sift(h, i, last);
}
