/* Rows that grow: what is where in them, as a plain array has it, and what that costs. */
#include "proxy/mail/order.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define MOST 10000

static uint32_t
draw(uint32_t below)
{
	static uint64_t state = 1;

	return (uint32_t)(t_random(&state) % below);
}

struct model {
	uint32_t id[MOST];
	bool     gone[MOST + 1];
	unsigned n;
};

static void
model_put(struct model *m, unsigned at, uint32_t x)
{
	memmove(&m->id[at + 1], &m->id[at], (m->n - at) * sizeof(m->id[0]));
	m->id[at] = x;
	m->n++;
}

static void
is_as(struct order *o, uint32_t root, const struct model *m)
{
	uint32_t x = order_first(o, root), here = 0;

	for (unsigned i = 0; i < m->n; i++, x = order_next(o, x)) {
		if (!T_EQ_NUM(x, m->id[i]))
			return;
		T_EQ_NUM(order_before(o, x, ORDER_ALL), i);
		T_EQ_NUM(order_before(o, x, ORDER_HERE), here);
		if (!m->gone[x])
			T_EQ_NUM(order_nth(o, root, here++), x);
	}
	T_EQ_NUM(x, ORDER_NONE);
	T_EQ_NUM(order_nth(o, root, here), ORDER_NONE);
	T_EQ_NUM(order_nth(o, root, UINT32_MAX), ORDER_NONE);
}

static uint32_t
begin(struct arena *a, struct order *o, struct model *m, unsigned n)
{
	*o = (struct order){ 0 };
	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < n; i++)
		m->id[i] = i + 1;
	m->n = n;
	order_room(a, o, n);
	return order_build(o, m->id, n);
}

static void
is_a_row_by_chance(void)
{
	static struct model m;

	for (unsigned i = 0; i < 1000; i++) {
		struct arena *a = arena_new(4096, 0);
		struct order  o;
		unsigned      n = draw(40), more = draw(40);
		uint32_t      root = begin(a, &o, &m, n);

		for (unsigned k = 0; k < more; k++) {
			unsigned at = draw(m.n + 1);
			uint32_t x = m.n + 1, drop;

			order_room(a, &o, x);
			root = order_put(&o, root, x, at < m.n ? m.id[at] : ORDER_NONE);
			model_put(&m, at, x);
			drop = 1 + draw(m.n);
			if (draw(2) == 0 && !m.gone[drop]) {
				order_drop(&o, drop);
				m.gone[drop] = true;
			}
		}
		is_as(&o, root, &m);
		arena_free(a);
	}
}

/* Two rows in one forest: neither knows of the other. */
static void
rows_are_apart(void)
{
	struct arena  *a = arena_new(4096, 0);
	struct order   o = { 0 };
	const uint32_t odd[] = { 1, 3, 5 }, even[] = { 2, 4 };
	uint32_t       x, y;

	order_room(a, &o, 6);
	x = order_build(&o, odd, 3);
	y = order_build(&o, even, 2);
	y = order_put(&o, y, 6, 4);
	order_drop(&o, 3);
	T_EQ_NUM(order_nth(&o, x, 1), 5);
	T_EQ_NUM(order_nth(&o, x, 2), ORDER_NONE);
	T_EQ_NUM(order_nth(&o, y, 1), 6);
	T_EQ_NUM(order_nth(&o, y, 2), 4);
	T_EQ_NUM(order_before(&o, 4, ORDER_HERE), 2);
	arena_free(a);
}

static unsigned
depth(const struct order *o, uint32_t x)
{
	unsigned left, right;

	if (x == ORDER_NONE)
		return 0;
	left = depth(o, o->v[x].left);
	right = depth(o, o->v[x].right);
	return 1 + (left > right ? left : right);
}

/* Always in one place, and where it hurts most: in front of what came last, or behind it. */
static void
stays_low(void)
{
	for (unsigned how = 0; how < 4; how++) {
		struct arena *a = arena_new(4096, 0);
		struct order  o = { 0 };
		uint32_t      root = ORDER_NONE, x;

		order_room(a, &o, MOST);
		for (x = 1; x <= MOST; x++) {
			uint32_t before = how == 0 ? ORDER_NONE :
			    how == 1               ? order_first(&o, root) :
			    how == 2               ? x - 1 :
			    x > 1                  ? order_next(&o, x - 1) :
						     ORDER_NONE;

			root = order_put(&o, root, x, before);
		}
		/* log(10000) to the base 3/2 is 22.7 */
		T_CHECKF(depth(&o, root) <= 25, "how %u: %u deep", how, depth(&o, root));
		/* 10,000 in one place: 2 * 10^6 where each costs 200, 5 * 10^7 where all are walked */
		T_CHECKF(
		    o.steps < 200 * MOST, "how %u: %llu steps", how, (unsigned long long)o.steps);
		arena_free(a);
	}
}

int
main(void)
{
	T_RUN(is_a_row_by_chance);
	T_RUN(rows_are_apart);
	T_RUN(stays_low);
	return t_end();
}
