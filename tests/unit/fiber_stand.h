/*
 * fiber_stand -- fibers in a loop whose clock is moved by hand.  Header-only.
 */
#ifndef TESTS_UNIT_FIBER_STAND_H
#define TESTS_UNIT_FIBER_STAND_H

#include "proxy/base/fiber.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static uint64_t clock_ms = 1000;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static struct world       fake = { .now = fake_now };
static struct loop       *loop;
static struct fiber_pool *pool;

T_UNUSED static void
setup(unsigned max, unsigned keep)
{
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, max, keep);
}

T_UNUSED static void
teardown(void)
{
	T_EQ_NUM(fiber_pool_live(pool), 0);
	T_CHECK(loop_next_timer(loop) == UINT64_MAX);
	fiber_pool_free(pool);
	loop_free(loop);
}

T_UNUSED static void
pass(uint64_t ms)
{
	clock_ms += ms;
	loop_round(loop, false);
}

/* One fiber that parks once or more, and what came of it. */
struct one {
	struct fiber *self;
	uint64_t      deadline, own;
	unsigned      parks;
	int           rc[8];
	unsigned      n;
	bool          over;
};

T_UNUSED static void
park_some(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->self->deadline = o->own;
	for (unsigned i = 0; i < o->parks; i++)
		o->rc[o->n++] = (int)fiber_park("a test", o->deadline);
	o->over = true;
}

#endif
