/*
 * t_fiber -- one fiber: starting, parking, deadlines, cancelling, sleeping, its stack.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fiber_stand.h"

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

static unsigned computed;

static void
compute(void *arg)
{
	struct one *o = arg;

	o->self = fiber_self();
	o->rc[o->n++] = (int)fiber_heavy();
	computed++;
	o->over = true;
}

static unsigned served;

static void
serve(void *arg)
{
	(void)arg;
	served++;
}

/* Of those that ask in one round the first few compute at once, the others in rounds to come, in their order. */
static void
heavy_work_is_done_a_few_a_round(void)
{
	struct one o[2 * LOOP_HEAVY + 1] = { 0 };

	setup(20, 2);
	computed = served = 0;
	for (unsigned i = 0; i < T_COUNT(o); i++)
		fiber_start(pool, "t", compute, &o[i]);
	T_EQ_NUM(computed, LOOP_HEAVY);
	T_CHECK(o[LOOP_HEAVY - 1].over && !o[LOOP_HEAVY].over);
	T_EQ_STR(o[LOOP_HEAVY].self->waits_for, "its turn to compute");
	loop_defer(loop, serve, NULL);
	pass(0); /* the round that those at once were of */
	T_EQ_NUM(served, 1);
	T_EQ_NUM(computed, LOOP_HEAVY);
	pass(0);
	T_EQ_NUM(computed, 2 * LOOP_HEAVY);
	T_CHECK(!o[2 * LOOP_HEAVY].over);
	pass(0);
	T_EQ_NUM(computed, 2 * LOOP_HEAVY + 1);
	T_CHECK(fiber_heavy() == WAIT_OK); /* in the loop */
	teardown();
}

/* Whoever is cancelled while it waits for its turn computes nothing, and a wake-up meanwhile is not lost. */
static void
turn_is_given_up_when_cancelled(void)
{
	struct one o[LOOP_HEAVY + 2] = { 0 };

	setup(20, 2);
	for (unsigned i = 0; i < T_COUNT(o); i++)
		fiber_start(pool, "t", compute, &o[i]);
	fiber_cancel(o[LOOP_HEAVY].self);
	fiber_wake(o[LOOP_HEAVY + 1].self);
	while (!o[LOOP_HEAVY + 1].over)
		pass(0);
	T_EQ_NUM(o[LOOP_HEAVY].rc[0], WAIT_CANCELLED);
	T_EQ_NUM(o[LOOP_HEAVY + 1].rc[0], WAIT_OK);
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

/* ---- a stack for foreign code ---- */

struct foreign {
	struct fiber_stack *stack;
	unsigned            deep, sum, calls;
	struct fiber       *self;
};

static void
foreign_code(void *arg)
{
	struct foreign *f = arg;

	f->calls++;
	f->self = fiber_self();
	f->sum += use_stack(f->deep);
}

static void
stack_holds_what_a_fiber_does_not(void)
{
	struct foreign f = { .stack = fiber_stack_new(262144), .deep = 300 };

	T_CHECK(f.stack != NULL);
	fiber_stack_call(f.stack, foreign_code, &f);
	fiber_stack_call(f.stack, foreign_code, &f);
	T_EQ_NUM(f.calls, 2);
	T_CHECK(f.sum > 0 && f.self == NULL);
	fiber_stack_free(f.stack);
}

static void
call_and_park(void *arg)
{
	struct foreign *f = arg;

	fiber_stack_call(f->stack, foreign_code, f);
	T_CHECK(f->self == fiber_self());
	(void)fiber_park("a test", clock_ms + 5);
	fiber_stack_call(f->stack, foreign_code, f);
}

/* Fibers and the loop take turns on it, and each goes on where it was. */
static void
stack_serves_fibers_and_the_loop(void)
{
	struct foreign f = { .stack = fiber_stack_new(262144), .deep = 200 };

	setup(10, 2);
	fiber_start(pool, "one", call_and_park, &f);
	fiber_start(pool, "two", call_and_park, &f);
	T_EQ_NUM(f.calls, 2);
	fiber_stack_call(f.stack, foreign_code, &f);
	T_CHECK(f.self == NULL);
	pass(5);
	T_EQ_NUM(f.calls, 5);
	T_CHECK(f.self != NULL);
	fiber_stack_free(f.stack);
	teardown();
}

static void
overflow_of_it(void *arg)
{
	(void)arg;
	fiber_stack_call(fiber_stack_new(262144), overflow, NULL);
}

static void
nest(void *arg)
{
	fiber_stack_call(arg, nest, arg);
}

static void
nested_call(void *arg)
{
	(void)arg;
	fiber_stack_call(fiber_stack_new(262144), nest, fiber_stack_new(262144));
}

/* Did a process that runs fn end by a signal, or by a sanitizer? */
static bool
dies(void (*fn)(void *))
{
	int   status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		fn(NULL);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && (WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void
stack_has_a_guard_page_and_is_not_nested(void)
{
	T_CHECK(dies(overflow_of_it));
	T_CHECK(dies(nested_call));
}

/*
 * A call leaves the return address, and then the frame pointer of who called, below a boundary of 16: two words of 8,
 * or (i386, psABI 2.2.2) of 4.  Of other machines nothing is known here.
 */
#if defined(__x86_64__) || defined(__aarch64__) || defined(__i386__)
#define FRAME_AT (-2 * sizeof(void *) % 16)

/* System V ABI, 3.2.2: what a compiler builds upon when it saves a vector. */
static void
look_at_frame(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0) % 16;
}

static void
stacks_are_aligned(void)
{
	struct fiber_stack *s = fiber_stack_new(65536);
	uintptr_t           off = 1;

	setup(10, 2);
	fiber_start(pool, "t", look_at_frame, &off);
	T_EQ_NUM(off, FRAME_AT);
	off = 1;
	fiber_stack_call(s, look_at_frame, &off);
	T_EQ_NUM(off, FRAME_AT);
	fiber_stack_free(s);
	teardown();
}
#endif

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
	T_RUN(sleep_lasts_although_it_is_woken);
	T_RUN(yield_lets_others_run);
	T_RUN(wake_during_a_yield_is_not_lost);
	T_RUN(heavy_work_is_done_a_few_a_round);
	T_RUN(turn_is_given_up_when_cancelled);
	T_RUN(hold_outlasts_cancel_and_deadline);
	T_RUN(errno_survives_a_park);
	T_RUN(list_shows_live_fibers);
	T_RUN(overflow_hits_the_guard_page);
	T_RUN(stack_holds_what_a_fiber_does_not);
	T_RUN(stack_serves_fibers_and_the_loop);
	T_RUN(stack_has_a_guard_page_and_is_not_nested);
#ifdef FRAME_AT
	T_RUN(stacks_are_aligned);
#endif
	return t_end();
}
