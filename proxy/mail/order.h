/*
 * order -- things in a row that others are put between: which is the n-th, and how many stand in front of one.
 *
 * Things have numbers from 1 that say nothing of their order; each is in one row at most, and a row is known by the
 * root of its tree.  One that is gone keeps its place, and is counted no more.  Every call but order_build costs a
 * logarithm of the row's length (order_put: on average).
 */
#ifndef PROXY_MAIL_ORDER_H
#define PROXY_MAIL_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct arena;

#define ORDER_NONE 0                    /* no thing, the root of an empty row */

enum { ORDER_ALL, ORDER_HERE };         /* counted: all, those that are not gone */

struct order_node {
	uint32_t up, left, right;
	uint32_t n[2];                  /* in this tree */
	bool     gone;
};

struct order {                          /* zeroed: nothing in it */
	struct order_node *v;           /* by number; [0] is all zero */
	uint32_t          *flat;        /* room for a row */
	unsigned           max_v, max_flat;
	uint64_t           steps;       /* nodes that were looked at: what tests hold to a bound */
};

/* Room for things up to `most', which are in no row. */
void order_room(struct arena *a, struct order *o, unsigned most);
/* A row of those n, in that order.  Its root. */
uint32_t order_build(struct order *o, const uint32_t *v, unsigned n);
/* Puts x in front of `before', or behind all (ORDER_NONE).  The row's root from now on. */
uint32_t order_put(struct order *o, uint32_t root, uint32_t x, uint32_t before);
void order_drop(struct order *o, uint32_t x);                           /* it is gone, once */
/* The one with n of those that are here in front of it, itself here; ORDER_NONE: they are fewer. */
uint32_t order_nth(struct order *o, uint32_t root, uint32_t n);
uint32_t order_before(struct order *o, uint32_t x, unsigned counted);   /* how many in front of x */
uint32_t order_first(struct order *o, uint32_t root);                   /* gone or not; ORDER_NONE: none */
uint32_t order_next(struct order *o, uint32_t x);

#endif
