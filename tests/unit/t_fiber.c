/*
 * t_fiber -- starting, parking, deadlines, cancelling and children, with a clock that is moved by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void
setup(unsigned max, unsigned keep)
{
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, max, keep);
}

static void
teardown(void)
{
	T_EQ_NUM(fiber_pool_live(pool), 0);
	T_CHECK(loop_next_timer(loop) == UINT64_MAX);
	fiber_pool_free(pool);
	loop_free(loop);
}

static void
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

static void
park_some(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->self->deadline = o->own;
	for (unsigned i = 0; i < o->parks; i++)
		o->rc[o->n++] = (int)fiber_park("a test", o->deadline);
	o->over = true;
}

static void
start_runs_at_once_from_the_loop(void)
{
	struct one o = { .parks = 0 };

	setup(10, 2);
	T_CHECK(fiber_self() == NULL);
	T_CHECK(fiber_start(pool, "t", park_some, &o) != NULL);
	T_CHECK(o.over && o.self != NULL);
	T_CHECK(fiber_self() == NULL);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	teardown();
}

static void
wake_ends_a_park(void)
{
	struct one o = { .parks = 2 };

	setup(10, 2);
	fiber_start(pool, "t", park_some, &o);
	T_CHECK(!o.over && o.n == 0);
	T_EQ_STR(o.self->waits_for, "a test");
	fiber_wake(o.self);
	fiber_wake(o.self); /* counts once */
	T_EQ_NUM(o.n, 0);   /* only the loop resumes */
	pass(0);
	T_EQ_NUM(o.n, 1);
	pass(0);
	T_EQ_NUM(o.n, 1);
	fiber_wake(o.self);
	pass(0);
	T_CHECK(o.over && o.rc[0] == WAIT_OK && o.rc[1] == WAIT_OK);
	teardown();
}

static void
wake_itself_and_park(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	fiber_wake(o->self);
	fiber_wake(o->self);
	o->rc[o->n++] = (int)fiber_park("a wake-up that came before", 0);
	o->rc[o->n++] = (int)fiber_park("another", clock_ms + 5);
}

static void
wake_before_park_is_not_lost(void)
{
	struct one o = { 0 };

	setup(10, 2);
	fiber_start(pool, "t", wake_itself_and_park, &o);
	T_EQ_NUM(o.n, 1);
	T_EQ_NUM(o.rc[0], WAIT_OK);
	pass(5);
	T_EQ_NUM(o.n, 2);
	T_EQ_NUM(o.rc[1], WAIT_TIMEOUT);
	teardown();
}

static const struct deadline_case {
	const char *name;
	uint64_t    park, own; /* ms from now, 0: none */
	uint64_t    rings;
} deadlines[] = {
	{ "of the park", 10, 0, 10 },
	{ "of the fiber", 0, 20, 20 },
	{ "park nearer", 10, 20, 10 },
	{ "fiber nearer", 30, 20, 20 },
};

static void
deadline_is_the_nearer_of_the_two(void)
{
	T_TABLE(struct deadline_case, c, deadlines)
	{
		struct one o = { .parks = 1 };

		t_row = c->name;
		setup(10, 2);
		o.deadline = c->park ? clock_ms + c->park : 0;
		o.own = c->own ? clock_ms + c->own : 0;
		fiber_start(pool, "t", park_some, &o);
		pass(c->rings - 1);
		T_EQ_NUM(o.n, 0);
		pass(1);
		T_EQ_NUM(o.n, 1);
		T_EQ_NUM(o.rc[0], WAIT_TIMEOUT);
		teardown();
	}
}

static void
deadline_in_the_past_does_not_park(void)
{
	struct one o = { .parks = 3 };

	setup(10, 2);
	o.deadline = clock_ms;
	fiber_start(pool, "t", park_some, &o);
	T_CHECK(o.over && o.rc[0] == WAIT_TIMEOUT && o.rc[2] == WAIT_TIMEOUT);
	teardown();
}

static void
park_short_then_long(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->rc[o->n++] = (int)fiber_park("short", clock_ms + 10);
	o->rc[o->n++] = (int)fiber_park("long", clock_ms + 100);
	o->rc[o->n++] = (int)fiber_park("short again", clock_ms + 10);
	o->rc[o->n++] = (int)fiber_park("for ever", 0);
}

/* The timer of the first wait goes on running and must not end the second. */
static void
timer_of_an_ended_wait_does_not_ring_in_the_next(void)
{
	struct one o = { 0 };

	setup(10, 2);
	fiber_start(pool, "t", park_short_then_long, &o);
	pass(4);
	fiber_wake(o.self);
	pass(0);
	T_EQ_NUM(o.n, 1);
	pass(99);
	T_EQ_NUM(o.n, 1);
	pass(1);
	T_EQ_NUM(o.n, 2);
	T_EQ_NUM(o.rc[1], WAIT_TIMEOUT);
	pass(10);
	T_EQ_NUM(o.n, 3);
	T_EQ_NUM(o.rc[2], WAIT_TIMEOUT);
	pass(100000);
	T_EQ_NUM(o.n, 3);
	fiber_wake(o.self);
	pass(0);
	T_EQ_NUM(o.rc[3], WAIT_OK);
	T_CHECK(loop_next_timer(loop) == UINT64_MAX);
	teardown();
}

static void
park_long_then_short(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->rc[o->n++] = (int)fiber_park("long", clock_ms + 1000);
	o->rc[o->n++] = (int)fiber_park("short", clock_ms + 10);
	o->rc[o->n++] = (int)fiber_park("long again", clock_ms + 1000);
}

static void
later_wait_may_end_earlier(void)
{
	struct one o = { 0 };

	setup(10, 2);
	fiber_start(pool, "t", park_long_then_short, &o);
	fiber_wake(o.self);
	pass(0);
	pass(9);
	T_EQ_NUM(o.n, 1);
	pass(1);
	T_EQ_NUM(o.n, 2);
	T_EQ_NUM(o.rc[1], WAIT_TIMEOUT);
	fiber_wake(o.self);
	pass(0);
	T_EQ_NUM(o.rc[2], WAIT_OK);
	teardown(); /* where no timer of its is left */
}

static void
cancel_is_sticky(void)
{
	struct one o = { .parks = 4 };

	setup(10, 2);
	fiber_start(pool, "t", park_some, &o);
	fiber_cancel(o.self);
	T_CHECK(!o.over);
	fiber_cancel(o.self);
	fiber_wake(o.self);
	pass(0);
	T_CHECK(o.over);
	for (unsigned i = 0; i < 4; i++)
		T_EQ_NUM(o.rc[i], WAIT_CANCELLED);
	teardown();
}

static void
cancel_after_a_wake_wins(void)
{
	struct one o = { .parks = 1 };

	setup(10, 2);
	fiber_start(pool, "t", park_some, &o);
	fiber_wake(o.self);
	fiber_cancel(o.self);
	pass(0);
	T_EQ_NUM(o.rc[0], WAIT_CANCELLED);
	teardown();
}

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

/* ---- sleeping, yielding, holding -------------------------------------------------------------- */

static void
sleep_ten(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->self->deadline = o->own;
	o->rc[o->n++] = (int)fiber_sleep(10);
}

static void
sleep_lasts_although_it_is_woken(void)
{
	struct one o = { 0 }, cut = { .own = clock_ms + 5 };

	setup(10, 2);
	fiber_start(pool, "t", sleep_ten, &o);
	fiber_start(pool, "t", sleep_ten, &cut);
	pass(5);
	T_EQ_NUM(cut.rc[0], WAIT_TIMEOUT);
	fiber_wake(o.self);
	pass(4);
	T_EQ_NUM(o.n, 0);
	pass(1);
	T_EQ_NUM(o.n, 1);
	T_EQ_NUM(o.rc[0], WAIT_OK);
	teardown();
}

static char turns[16];

static void
take_turns(void *arg)
{
	for (unsigned i = 0; i < 3; i++) {
		strncat(turns, arg, 1);
		T_EQ_NUM(fiber_yield(), WAIT_OK);
	}
}

static void
yield_lets_others_run(void)
{
	setup(10, 2);
	turns[0] = '\0';
	fiber_start(pool, "a", take_turns, (void *)"a");
	fiber_start(pool, "b", take_turns, (void *)"b");
	for (unsigned i = 0; i < 5; i++)
		pass(0);
	T_EQ_STR(turns, "ababab");
	teardown();
}

static void
yield_then_park(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	fiber_yield();
	o->rc[o->n++] = (int)fiber_park("what came during the yield", 0);
}

static void
wake_during_a_yield_is_not_lost(void)
{
	struct one o = { 0 };

	setup(10, 2);
	fiber_start(pool, "t", yield_then_park, &o);
	fiber_wake(o.self);
	pass(0);
	T_EQ_NUM(o.n, 1);
	T_EQ_NUM(o.rc[0], WAIT_OK);
	teardown();
}

static bool held_done;

static void
hold(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->self->deadline = clock_ms + 10;
	while (!held_done)
		fiber_hold("what must be finished");
	o->over = true;
}

static void
hold_outlasts_cancel_and_deadline(void)
{
	struct one o = { 0 };

	setup(10, 2);
	held_done = false;
	fiber_start(pool, "t", hold, &o);
	fiber_cancel(o.self);
	for (unsigned i = 0; i < 3; i++)
		pass(10);
	T_CHECK(!o.over);
	held_done = true;
	fiber_wake(o.self);
	pass(0);
	T_CHECK(o.over);
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

/* ---- the rest -------------------------------------------------------------------------------- */

static void
park_with_errno(void *arg)
{
	errno = ERANGE;
	park_some(arg);
	T_EQ_NUM(errno, ERANGE);
}

static void
errno_survives_a_park(void)
{
	struct one o = { .parks = 1 };

	setup(10, 2);
	fiber_start(pool, "t", park_with_errno, &o);
	errno = EPIPE;
	fiber_wake(o.self);
	pass(0);
	T_CHECK(o.over);
	teardown();
}

static char listed[128];

static void
list_one(const char *name, const char *waits_for, void *arg)
{
	size_t n = strlen(listed);

	(void)arg;
	snprintf(
	    listed + n, sizeof(listed) - n, "%s:%s;", name, waits_for != NULL ? waits_for : "-");
}

static void
list_shows_live_fibers(void)
{
	struct one a = { .parks = 1 }, b = { .parks = 1 }, c = { .parks = 1 };

	setup(10, 2);
	fiber_start(pool, "a", park_some, &a);
	fiber_start(pool, "b", park_some, &b);
	fiber_start(pool, "c", park_some, &c);
	fiber_wake(b.self);
	pass(0);
	listed[0] = '\0';
	fiber_list(pool, list_one, NULL);
	T_EQ_STR(listed, "c:a test;a:a test;");
	fiber_wake(a.self);
	fiber_wake(c.self);
	pass(0);
	T_EQ_STR(wait_rc_name(WAIT_CANCELLED), "cancelled");
	teardown();
}

static __attribute__((noinline)) unsigned
use_stack(unsigned deep)
{
	volatile char room[512];

	memset((char *)room, (int)deep, sizeof(room));
	return (deep > 0 ? use_stack(deep - 1) : 0) + (unsigned char)room[deep % sizeof(room)];
}

static void
overflow(void *arg)
{
	(void)arg;
	(void)use_stack(100000);
}

/* A stack that is too small is a crash at the guard page, not a mystery in a neighbour's memory. */
static void
overflow_hits_the_guard_page(void)
{
	int   status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		setup(10, 2);
		fiber_start(pool, "t", overflow, NULL);
		_exit(0);
	}
	T_CHECK(waitpid(pid, &status, 0) == pid);
	T_CHECKF(WIFSIGNALED(status) || WEXITSTATUS(status) != 0, "it went on, status %d", status);
}

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
	T_RUN(start_runs_at_once_from_the_loop);
	T_RUN(wake_ends_a_park);
	T_RUN(wake_before_park_is_not_lost);
	T_RUN(deadline_is_the_nearer_of_the_two);
	T_RUN(deadline_in_the_past_does_not_park);
	T_RUN(timer_of_an_ended_wait_does_not_ring_in_the_next);
	T_RUN(later_wait_may_end_earlier);
	T_RUN(cancel_is_sticky);
	T_RUN(cancel_after_a_wake_wins);
	T_RUN(parent_waits_for_its_children);
	T_RUN(parent_that_returns_cancels_its_children);
	T_RUN(cancel_reaches_children);
	T_RUN(child_of_a_cancelled_fiber_is_cancelled);
	T_RUN(children_have_children);
	T_RUN(sleep_lasts_although_it_is_woken);
	T_RUN(yield_lets_others_run);
	T_RUN(wake_during_a_yield_is_not_lost);
	T_RUN(hold_outlasts_cancel_and_deadline);
	T_RUN(ceiling_of_the_pool_holds);
	T_RUN(last_stack_given_is_taken_first);
	T_RUN(ten_thousand_fibers);
	T_RUN(parent_of_a_thousand);
	T_RUN(random_life);
	T_RUN(errno_survives_a_park);
	T_RUN(list_shows_live_fibers);
	T_RUN(overflow_hits_the_guard_page);
	T_RUN(spawned_ones_are_nobodys);
	return t_end();
}
