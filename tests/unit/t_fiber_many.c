/*
 * t_fiber_many -- fibers among others: children and their parents, the ceiling of a pool, ten thousand of them.
 */
#include "tests/unit/fiber_stand.h"

/* ---- children -------------------------------------------------------------------------------- */

static struct one    child[3];
static int           join_rc;
static bool          parent_ran_on, parent_over;
static struct fiber *parent;

static void
start_children(void *arg)
{
	bool join = *(bool *)arg;

	parent = fiber_self();
	for (unsigned i = 0; i < 3; i++)
		T_CHECK(fiber_start(pool, "child", park_some, &child[i]) != NULL);
	T_CHECK(child[0].self == NULL); /* queued, not run */
	parent_ran_on = true;
	if (join)
		join_rc = (int)fiber_join();
	parent_over = true;
}

static void
children_setup(void)
{
	setup(10, 4);
	parent_ran_on = parent_over = false;
	join_rc = -1;
	for (unsigned i = 0; i < 3; i++)
		child[i] = (struct one){ .parks = 1 };
}

static void
parent_waits_for_its_children(void)
{
	bool join = true;

	children_setup();
	fiber_start(pool, "parent", start_children, &join);
	T_CHECK(parent_ran_on && !parent_over);
	pass(0);
	T_CHECK(child[0].self->parent == parent && child[2].self->parent == parent);
	for (unsigned i = 0; i < 3; i++) {
		T_CHECK(!parent_over);
		fiber_wake(child[(i + 1) % 3].self);
		pass(0);
	}
	T_CHECK(parent_over);
	T_EQ_NUM(join_rc, WAIT_OK);
	for (unsigned i = 0; i < 3; i++)
		T_EQ_NUM(child[i].rc[0], WAIT_OK);
	teardown();
}

static void
parent_that_returns_cancels_its_children(void)
{
	bool join = false;

	children_setup();
	fiber_start(pool, "parent", start_children, &join);
	T_CHECK(parent_over);
	T_EQ_NUM(fiber_pool_live(pool), 4); /* the parent is not over before them */
	pass(0);
	for (unsigned i = 0; i < 3; i++)
		T_CHECK(child[i].over && child[i].rc[0] == WAIT_CANCELLED);
	teardown();
}

static void
cancel_reaches_children(void)
{
	bool join = true;

	children_setup();
	fiber_start(pool, "parent", start_children, &join);
	pass(0);
	fiber_cancel(parent);
	pass(0);
	T_EQ_NUM(join_rc, WAIT_CANCELLED);
	for (unsigned i = 0; i < 3; i++)
		T_EQ_NUM(child[i].rc[0], WAIT_CANCELLED);
	teardown();
}

static void
start_when_cancelled(void *arg)
{
	(void)arg;
	fiber_cancel(fiber_self());
	T_CHECK(fiber_start(pool, "child", park_some, &child[0]) != NULL);
	for (unsigned i = 0; i < 5 && !child[0].over; i++)
		T_EQ_NUM(fiber_yield(), WAIT_CANCELLED);
	T_CHECK(child[0].over);
}

static void
child_of_a_cancelled_fiber_is_cancelled(void)
{
	children_setup();
	fiber_start(pool, "parent", start_when_cancelled, NULL);
	for (unsigned i = 0; i < 5; i++)
		pass(0);
	T_EQ_NUM(child[0].rc[0], WAIT_CANCELLED);
	teardown();
}

static unsigned depth_reached, depth_over;

static void
nest(void *arg)
{
	unsigned depth = *(unsigned *)arg;

	depth_reached++;
	if (depth > 0) {
		depth--;
		T_CHECK(fiber_start(pool, "nested", nest, &depth) != NULL);
		T_EQ_NUM(fiber_join(), WAIT_OK);
	}
	depth_over++;
}

static void
children_have_children(void)
{
	unsigned depth = 30;

	setup(100, 10);
	depth_reached = depth_over = 0;
	fiber_start(pool, "root", nest, &depth);
	for (unsigned i = 0; i < 40; i++)
		pass(0);
	T_EQ_NUM(depth_reached, 31);
	T_EQ_NUM(depth_over, 31);
	teardown();
}

/* ---- the pool -------------------------------------------------------------------------------- */

static void
ceiling_of_the_pool_holds(void)
{
	struct one o[3] = { { .parks = 1 }, { .parks = 1 }, { .parks = 1 } };

	setup(2, 1);
	T_CHECK(fiber_start(pool, "t", park_some, &o[0]) != NULL);
	T_CHECK(fiber_start(pool, "t", park_some, &o[1]) != NULL);
	T_CHECK(fiber_start(pool, "t", park_some, &o[2]) == NULL);
	T_CHECK(o[2].self == NULL);
	fiber_wake(o[0].self);
	pass(0);
	T_CHECK(fiber_start(pool, "t", park_some, &o[2]) != NULL);
	fiber_wake(o[1].self);
	fiber_wake(o[2].self);
	pass(0);
	teardown();
}

static char *stack_seen;

static void
look_at_stack(void *arg)
{
	char here;

	(void)arg;
	stack_seen = &here;
	T_CHECK(fiber_self() != NULL);
}

static void
last_stack_given_is_taken_first(void)
{
	char *first;

	setup(10, 2);
	fiber_start(pool, "t", look_at_stack, NULL);
	first = stack_seen;
	for (unsigned i = 0; i < 100; i++) {
		fiber_start(pool, "t", look_at_stack, NULL);
		T_CHECK(stack_seen == first);
	}
	teardown();
}

enum { MANY = 10000 };
static struct one many[MANY];

static void
ten_thousand_fibers(void)
{
	unsigned bad = 0;

	setup(MANY, 100);
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = (struct one){ .parks = 3, .deadline = clock_ms + 1000 };
		bad += fiber_start(pool, "t", park_some, &many[i]) == NULL;
	}
	T_EQ_NUM(bad, 0);
	T_EQ_NUM(fiber_pool_live(pool), MANY);
	for (unsigned k = 0; k < 2; k++) {
		for (unsigned i = 0; i < MANY; i++)
			fiber_wake(many[(i * 7919) % MANY].self);
		pass(0);
	}
	pass(1000);
	for (unsigned i = 0; i < MANY; i++)
		bad += !many[i].over || many[i].rc[0] != WAIT_OK || many[i].rc[1] != WAIT_OK ||
		    many[i].rc[2] != WAIT_TIMEOUT;
	T_EQ_NUM(bad, 0);
	teardown();
}

static void
start_many_children(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < MANY / 10; i++)
		T_CHECK(fiber_start(pool, "child", park_some, &many[i]) != NULL);
}

static void
parent_of_a_thousand(void)
{
	setup(MANY, 100);
	for (unsigned i = 0; i < MANY / 10; i++)
		many[i] = (struct one){ .parks = 1 };
	fiber_start(pool, "parent", start_many_children, NULL);
	pass(0);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	teardown();
}

/* Random starts, wakes, cancels and time: every fiber ends, every park ends for a reason that was given. */
static void
random_life(void)
{
	uint64_t seed = 42;
	unsigned n_over = 0;

	setup(64, 8);
	for (unsigned i = 0; i < 64; i++)
		many[i] = (struct one){ .over = true };
	for (unsigned i = 0; i < 20000; i++) {
		struct one *o = &many[t_random(&seed) % 64];
		unsigned    what = (unsigned)(t_random(&seed) % 8);

		if (o->over) {
			*o = (struct one){ .parks = 1 + what,
				.deadline = clock_ms + t_random(&seed) % 50 };
			T_CHECK(fiber_start(pool, "t", park_some, o) != NULL);
		} else if (what == 0)
			fiber_cancel(o->self);
		else if (what < 5)
			fiber_wake(o->self);
		if (what >= 5)
			pass(t_random(&seed) % 10);
	}
	pass(100);
	for (unsigned i = 0; i < 64; i++)
		n_over += many[i].over;
	T_EQ_NUM(n_over, 64);
	teardown();
}

/* ---- nobody's ---- */

static void
spawned(void *arg)
{
	struct one *o = arg;

	T_CHECK(fiber_self()->parent == NULL);
	o->rc[o->n++] = fiber_sleep(10);
	o->over = true;
}

static unsigned n_spawned;

/* It starts as many as it is allowed, and is over before they are. */
static void
spawns(void *arg)
{
	struct one *o = arg;

	while (n_spawned < 8 && fiber_spawn("spawned", spawned, &o[n_spawned]) != NULL)
		n_spawned++;
	T_CHECK(!o[0].over && o[0].n == 0);
}

static void
spawned_ones_are_nobodys(void)
{
	struct one o[8] = { 0 };

	setup(8, 2);
	T_CHECK(fiber_start(pool, "spawns", spawns, o) != NULL);
	/* one quarter of the pool is kept back, and one is who started them */
	T_EQ_NUM(n_spawned, 5);
	pass(0);
	T_EQ_NUM(fiber_pool_live(pool), 5);
	pass(10);
	for (unsigned i = 0; i < 5; i++)
		T_CHECK(o[i].over && o[i].rc[0] == WAIT_OK);
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(parent_waits_for_its_children);
	T_RUN(parent_that_returns_cancels_its_children);
	T_RUN(cancel_reaches_children);
	T_RUN(child_of_a_cancelled_fiber_is_cancelled);
	T_RUN(children_have_children);
	T_RUN(ceiling_of_the_pool_holds);
	T_RUN(last_stack_given_is_taken_first);
	T_RUN(ten_thousand_fibers);
	T_RUN(parent_of_a_thousand);
	T_RUN(random_life);
	T_RUN(spawned_ones_are_nobodys);
	return t_end();
}
