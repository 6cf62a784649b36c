/*
 * order -- see order.h.
 *
 * Each row is a binary tree whose nodes know how many are below them.  Nobody leaves it, so one rule keeps it low:
 * where a side of a node has got more than two thirds of what is below it, the tree of that node is built anew
 * (Galperin and Rivest, Scapegoat trees, 1993).  The invariant: no row is deeper than log(length) to the base 3/2 and
 * two, whoever chooses where things are put.
 */
#include "proxy/mail/order.h"

#include "proxy/base/arena.h"

void
order_room(struct arena *a, struct order *o, unsigned most)
{
	o->v = arena_grow(a, o->v, &o->max_v, most + 1, sizeof(*o->v));
	o->flat = arena_grow(a, o->flat, &o->max_flat, most + 1, sizeof(*o->flat));
}

static void
count(struct order *o, uint32_t x)
{
	struct order_node *v = &o->v[x];

	for (unsigned i = ORDER_ALL; i <= ORDER_HERE; i++)
		v->n[i] = o->v[v->left].n[i] + o->v[v->right].n[i] + 1;
	v->n[ORDER_HERE] -= v->gone;
}

/* As deep as the logarithm of n. */
static uint32_t
build(struct order *o, const uint32_t *id, unsigned n, uint32_t up)
{
	unsigned half = n / 2;
	uint32_t x;

	if (n == 0)
		return ORDER_NONE;
	x = id[half];
	o->steps++;
	o->v[x].up = up;
	o->v[x].left = build(o, id, half, x);
	o->v[x].right = build(o, id + half + 1, n - half - 1, x);
	count(o, x);
	return x;
}

uint32_t
order_build(struct order *o, const uint32_t *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		o->v[v[i]].gone = false;
	return build(o, v, n, ORDER_NONE);
}

uint32_t
order_first(struct order *o, uint32_t root)
{
	for (; o->v[root].left != ORDER_NONE; root = o->v[root].left)
		o->steps++;
	return root;
}

static uint32_t
last(struct order *o, uint32_t root)
{
	for (; o->v[root].right != ORDER_NONE; root = o->v[root].right)
		o->steps++;
	return root;
}

uint32_t
order_next(struct order *o, uint32_t x)
{
	uint32_t up;

	if (o->v[x].right != ORDER_NONE)
		return order_first(o, o->v[x].right);
	for (; (up = o->v[x].up) != ORDER_NONE && o->v[up].right == x; x = up)
		o->steps++;
	return up;
}

/* In the place of `was', below `up'. */
static uint32_t
hang(struct order *o, uint32_t root, uint32_t up, uint32_t was, uint32_t x)
{
	if (up == ORDER_NONE)
		return x;
	if (o->v[up].left == was)
		o->v[up].left = x;
	else
		o->v[up].right = x;
	return root;
}

static uint32_t
build_anew(struct order *o, uint32_t root, uint32_t top)
{
	uint32_t n = o->v[top].n[ORDER_ALL], up = o->v[top].up, x = order_first(o, top);

	for (uint32_t i = 0; i < n; i++, x = order_next(o, x))
		o->flat[i] = x;
	return hang(o, root, up, top, build(o, o->flat, n, up));
}

static bool
leans(const struct order *o, uint32_t x)
{
	const struct order_node *v = &o->v[x];
	uint32_t left = o->v[v->left].n[ORDER_ALL], right = o->v[v->right].n[ORDER_ALL];

	return 3 * (left > right ? left : right) > 2 * v->n[ORDER_ALL] + 2;
}

/* x is new, everybody above it has one more.  The uppermost that leans is built anew. */
static uint32_t
settle(struct order *o, uint32_t root, uint32_t x)
{
	uint32_t top = ORDER_NONE;

	for (x = o->v[x].up; x != ORDER_NONE; x = o->v[x].up) {
		o->steps++;
		count(o, x);
		if (leans(o, x))
			top = x;
	}
	return top == ORDER_NONE ? root : build_anew(o, root, top);
}

uint32_t
order_put(struct order *o, uint32_t root, uint32_t x, uint32_t before)
{
	uint32_t up = before;

	if (before == ORDER_NONE)
		up = last(o, root);
	else if (o->v[before].left != ORDER_NONE)
		up = last(o, o->v[before].left);
	o->v[x] = (struct order_node){ .up = up, .n = { 1, 1 } };
	if (up == ORDER_NONE)
		return x;
	if (up == before)
		o->v[up].left = x;
	else
		o->v[up].right = x;
	return settle(o, root, x);
}

void
order_drop(struct order *o, uint32_t x)
{
	o->v[x].gone = true;
	for (; x != ORDER_NONE; x = o->v[x].up) {
		o->steps++;
		o->v[x].n[ORDER_HERE]--;
	}
}

uint32_t
order_nth(struct order *o, uint32_t root, uint32_t n)
{
	uint32_t x = n < o->v[root].n[ORDER_HERE] ? root : ORDER_NONE;

	while (x != ORDER_NONE) {
		const struct order_node *v = &o->v[x];
		uint32_t                 left = o->v[v->left].n[ORDER_HERE];

		o->steps++;
		if (n < left) {
			x = v->left;
			continue;
		}
		n -= left;
		if (!v->gone && n-- == 0)
			break;
		x = v->right;
	}
	return x;
}

uint32_t
order_before(struct order *o, uint32_t x, unsigned counted)
{
	uint32_t n = o->v[o->v[x].left].n[counted], up;

	for (; (up = o->v[x].up) != ORDER_NONE; x = up) {
		o->steps++;
		if (o->v[up].right == x)
			n += o->v[up].n[counted] - o->v[x].n[counted];
	}
	return n;
}
