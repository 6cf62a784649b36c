/*
 * t_loop -- timers against a plain list, the wake queue, rounds, with a clock that is moved by hand.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/doing.h"
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

static uint64_t
true_now(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static struct world fake = { .now = fake_now }, machine = { .now = true_now };

/* ---- timers ---------------------------------------------------------------------------------- */

static struct loop *the_loop;
static unsigned     fired;
static uint64_t     last_at;
static bool         in_order;

struct probe {
	struct timer timer;
	bool         wanted, fired;
};

static void
probe_fired(void *arg)
{
	struct probe *p = arg;

	fired++;
	p->fired = true;
	in_order &= p->timer.at >= last_at && p->timer.pos == 0;
	last_at = p->timer.at;
}

/* Starts, moves and stops at random, then lets time pass in steps: each rings once, when it is due. */
static void
timers_ring_in_order(void)
{
	enum { N = 500 };
	static struct probe probes[N];
	uint64_t            seed = 7;
	unsigned            wanted = 0;
	struct loop        *l = loop_new(&fake);

	for (unsigned i = 0; i < N; i++)
		probes[i] = (struct probe){ .timer = { .fn = probe_fired, .arg = &probes[i] } };
	for (unsigned i = 0; i < 20 * N; i++) {
		struct probe *p = &probes[t_random(&seed) % N];

		p->wanted = t_random(&seed) % 4 != 0;
		if (p->wanted)
			timer_start(l, &p->timer, clock_ms + 1 + t_random(&seed) % 1000);
		else
			timer_stop(l, &p->timer);
	}
	for (unsigned i = 0; i < N; i++)
		wanted += probes[i].wanted;
	fired = 0;
	last_at = 0;
	in_order = true;
	for (unsigned step = 0; step < 1100; step++, clock_ms++) {
		loop_round(l, false);
		T_CHECK(loop_next_timer(l) > clock_ms);
	}
	T_EQ_NUM(fired, wanted);
	T_CHECK(in_order);
	T_CHECK(loop_next_timer(l) == UINT64_MAX);
	for (unsigned i = 0; i < N; i++)
		T_CHECK(probes[i].fired == probes[i].wanted);
	loop_free(l);
}

static void
restart_in_the_past(void *arg)
{
	fired++;
	timer_start(the_loop, arg, clock_ms - 10);
}

static void
timer_that_restarts_itself_does_not_hold_the_round(void)
{
	struct timer t = { .fn = restart_in_the_past, .arg = &t };

	the_loop = loop_new(&fake);
	fired = 0;
	timer_start(the_loop, &t, clock_ms);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(fired, 1);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(fired, 2);
	timer_stop(the_loop, &t);
	timer_stop(the_loop, &t);
	T_CHECK(!loop_round(the_loop, false));
	loop_free(the_loop);
}

static void
stop_other(void *arg)
{
	fired++;
	timer_stop(the_loop, arg);
}

static void
timer_stopped_by_one_due_with_it_does_not_ring(void)
{
	struct timer a = { .fn = stop_other }, b = { .fn = stop_other };

	the_loop = loop_new(&fake);
	a.arg = &b;
	b.arg = &a;
	fired = 0;
	timer_start(the_loop, &a, clock_ms + 5);
	timer_start(the_loop, &b, clock_ms + 5);
	clock_ms += 10;
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(fired, 1);
	T_CHECK(loop_next_timer(the_loop) == UINT64_MAX);
	loop_free(the_loop);
}

static void
count(void *arg)
{
	(*(unsigned *)arg)++;
}

static void
sleep_ends_when_the_nearest_timer_is_due(void)
{
	unsigned     n = 0;
	struct timer far = { .fn = count, .arg = &n }, near = { .fn = count, .arg = &n };
	struct loop *l = loop_new(&machine);
	uint64_t     begin = true_now(NULL), took;

	timer_start(l, &far, begin + 60000);
	timer_start(l, &near, begin + 30);
	while (n == 0)
		loop_round(l, true);
	took = true_now(NULL) - begin;
	T_CHECKF(took >= 30 && took < 5000, "rang after %ju ms", (uintmax_t)took);
	T_CHECK(near.pos == 0 && far.pos != 0);
	timer_stop(l, &far);
	loop_free(l);
}

static void
ready(void *arg, unsigned what)
{
	char c;

	T_EQ_NUM(read(*(int *)arg, &c, 1), 1);
	T_CHECK(what & LOOP_READ);
	fired++;
}

/* The first sleep is cut short by an octet; by then the alarm stands for the far timer. */
static void
earlier_timer_shortens_a_sleep_that_was_set(void)
{
	unsigned       n = 0;
	struct timer   far = { .fn = count, .arg = &n }, near = { .fn = count, .arg = &n };
	uint64_t       begin = true_now(NULL);
	int            fd[2];
	struct loop_fd f = { .fn = ready, .arg = fd };

	the_loop = loop_new(&machine);
	fired = 0;
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	f.fd = fd[0];
	T_CHECK(loop_watch(the_loop, &f, LOOP_READ));
	timer_start(the_loop, &far, begin + 60000);
	T_EQ_NUM(write(fd[1], "x", 1), 1);
	T_CHECK(loop_round(the_loop, true));
	T_EQ_NUM(fired, 1);
	timer_start(the_loop, &near, begin + 20);
	while (n == 0)
		loop_round(the_loop, true);
	T_CHECK(true_now(NULL) - begin < 5000 && far.pos != 0);
	timer_stop(the_loop, &far);
	loop_unwatch(the_loop, &f);
	loop_free(the_loop);
	close(fd[0]);
	close(fd[1]);
}

/* ---- the wake queue, hooks, rounds ----------------------------------------------------------- */

static char     order[64];
static unsigned n_order;

static void
note(void *arg)
{
	if (n_order < sizeof(order) - 1)
		order[n_order++] = *(const char *)arg;
	order[n_order] = '\0';
}

static void
note_and_defer(void *arg)
{
	note(arg);
	loop_defer(the_loop, note, (void *)"d");
}

static void
deferred_calls_keep_their_order(void)
{
	the_loop = loop_new(&fake);
	n_order = 0;
	loop_at_round_end(the_loop, note, (void *)".");
	loop_defer(the_loop, note, (void *)"a");
	loop_defer(the_loop, note_and_defer, (void *)"b");
	loop_defer(the_loop, note, (void *)"c");
	T_CHECK(loop_round(the_loop, false));
	T_EQ_STR(order, "abcd.");
	T_CHECK(!loop_round(the_loop, false));
	T_EQ_STR(order, "abcd..");
	loop_free(the_loop);
}

static void
compute(void *arg)
{
	T_CHECK(loop_heavy(the_loop, NULL));
	note(arg);
}

/* What is held goes out before heavy work, and behind all else that a round does, but for the hooks. */
static void
sender_is_called_before_heavy_work_and_hooks(void)
{
	the_loop = loop_new(&fake);
	n_order = 0;
	T_CHECK(loop_sender(the_loop) == NULL);
	loop_send(the_loop);
	loop_set_sender(the_loop, note, (void *)"s");
	T_EQ_STR(loop_sender(the_loop), "s");
	loop_at_round_end(the_loop, note, (void *)".");
	loop_defer(the_loop, note, (void *)"a");
	loop_defer(the_loop, compute, (void *)"w");
	loop_defer(the_loop, note, (void *)"b");
	T_CHECK(loop_round(the_loop, false));
	T_EQ_STR(order, "aswbs.");
	loop_send(the_loop);
	T_EQ_STR(order, "aswbs.s");
	loop_set_sender(the_loop, NULL, NULL);
	T_CHECK(loop_sender(the_loop) == NULL && !loop_round(the_loop, false));
	T_EQ_STR(order, "aswbs.s.");
	loop_free(the_loop);
}

static void
defer_itself(void *arg)
{
	fired++;
	loop_defer(the_loop, defer_itself, arg);
}

static void
call_that_defers_itself_does_not_hold_the_round(void)
{
	unsigned     n = 0;
	struct timer t = { .fn = count, .arg = &n };

	the_loop = loop_new(&fake);
	fired = 0;
	loop_defer(the_loop, defer_itself, NULL);
	T_CHECK(loop_round(the_loop, true));
	T_CHECK(fired >= 1 && fired < 100);
	timer_start(the_loop, &t, clock_ms);
	T_CHECK(loop_round(the_loop, true));
	T_EQ_NUM(n, 1);
	loop_free(the_loop);
}

/* More than the ring's first room, while its beginning is not at 0. */
static void
queue_grows_in_order(void)
{
	static char  letters[1000];
	struct loop *l = loop_new(&fake);
	unsigned     n = 0;

	for (unsigned i = 0; i < 40; i++)
		loop_defer(l, count, &n);
	loop_round(l, false);
	T_EQ_NUM(n, 40);
	n_order = 0;
	for (unsigned i = 0; i < sizeof(letters); i++) {
		letters[i] = (char)('a' + i % 26);
		loop_defer(l, i < 60 ? note : count, i < 60 ? (void *)&letters[i] : (void *)&n);
	}
	loop_round(l, false);
	T_EQ_NUM(n, 40 + 1000 - 60);
	T_EQ_STR(order, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
	loop_free(l);
}

static void
move_clock(void *arg)
{
	uint64_t before = loop_now(arg);

	clock_ms += 100;
	T_CHECK(loop_now(arg) == before);
}

static void
now_is_the_same_for_all_of_a_round(void)
{
	struct loop *l = loop_new(&fake);

	loop_defer(l, move_clock, l);
	loop_round(l, false);
	T_CHECK(loop_now(l) == clock_ms - 100);
	loop_round(l, false);
	T_CHECK(loop_now(l) == clock_ms);
	loop_free(l);
}

static void
stop(void *arg)
{
	loop_stop(arg);
}

static void
run_ends_by_stop_or_for_want_of_anything(void)
{
	struct loop *l = loop_new(&machine);
	unsigned     n = 0;
	struct timer t = { .fn = count, .arg = &n };

	loop_run(l); /* nothing to wait for: returns */
	timer_start(l, &t, true_now(NULL) + 5);
	loop_run(l); /* until the timer has rung */
	T_EQ_NUM(n, 1);
	timer_start(l, &t, true_now(NULL) + 60000);
	loop_defer(l, stop, l);
	loop_run(l);
	T_EQ_NUM(n, 1);
	timer_stop(l, &t);
	loop_free(l);
}

static void
round_says_whether_a_descriptor_was_ready(void)
{
	int            fd[2];
	struct loop_fd f = { .fn = ready, .arg = fd };

	the_loop = loop_new(&fake);
	fired = 0;
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	f.fd = fd[0];
	T_CHECK(loop_watch(the_loop, &f, LOOP_READ));
	T_CHECK(!loop_round(the_loop, false));
	T_EQ_NUM(write(fd[1], "x", 1), 1);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(fired, 1);
	T_CHECK(!loop_round(the_loop, false));
	loop_unwatch(the_loop, &f);
	loop_free(the_loop);
	close(fd[0]);
	close(fd[1]);
}

/* Of two that are ready in the same round the first takes away the other. */
static void
take_away(void *arg, unsigned what)
{
	(void)what;
	fired++;
	loop_unwatch(the_loop, arg);
}

static void
what_is_unwatched_in_a_round_is_not_told_of_in_it(void)
{
	int            a[2], b[2];
	struct loop_fd x, y;

	the_loop = loop_new(&fake);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, b) == 0);
	x = (struct loop_fd){ .fn = take_away, .arg = &y, .fd = a[0] };
	y = (struct loop_fd){ .fn = take_away, .arg = &x, .fd = b[0] };
	T_CHECK(loop_watch(the_loop, &x, LOOP_READ) && loop_watch(the_loop, &y, LOOP_READ));
	T_EQ_NUM(write(a[1], "x", 1), 1);
	T_EQ_NUM(write(b[1], "x", 1), 1);
	fired = 0;
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(fired, 1);
	T_CHECK(x.on != y.on);
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
	loop_free(the_loop);
}

/* EPOLLHUP comes unasked, again and again where no edge is asked for: only what is wanted is told. */
static void
tell(void *arg, unsigned what)
{
	*(unsigned *)arg = what;
	fired++;
}

static void
only_what_is_wanted_is_told(void)
{
	int            fd[2];
	unsigned       what = 0;
	struct loop_fd f = { .fn = tell, .arg = &what };

	the_loop = loop_new(&fake);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	f.fd = fd[0];
	fired = 0;
	T_CHECK(loop_watch(the_loop, &f, LOOP_READ | LOOP_CLOSED | LOOP_EDGE));
	T_CHECK(!loop_round(the_loop, false));
	T_CHECK(shutdown(fd[1], SHUT_WR) == 0);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(what, LOOP_READ | LOOP_CLOSED);
	T_CHECK(!loop_round(the_loop, false)); /* an edge comes once */
	T_CHECK(loop_watch(the_loop, &f, LOOP_WRITE | LOOP_EDGE));
	T_CHECK(loop_round(the_loop, false)); /* what is ready at a change is told */
	T_EQ_NUM(what, LOOP_WRITE);
	close(fd[1]);
	T_CHECK(loop_watch(the_loop, &f, LOOP_READ));
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(what, LOOP_READ | LOOP_FAULT);
	T_EQ_NUM(fired, 3);
	loop_forget(the_loop, &f);
	close(fd[0]);
	T_CHECK(!loop_round(the_loop, false));
	loop_free(the_loop);
}

/* ---- descriptors whose number is used again -------------------------------------------------- */

#define PAIRS 300 /* more than one round tells of */

static int            pair[PAIRS][2];
static struct loop_fd one_end[PAIRS];
static unsigned       told[PAIRS];

static void
pair_open(unsigned i, void (*fn)(void *, unsigned))
{
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair[i]) == 0);
	one_end[i] = (struct loop_fd){ .fn = fn, .arg = &told[i], .fd = pair[i][0] };
	T_CHECK(loop_watch(the_loop, &one_end[i], LOOP_READ | LOOP_CLOSED | LOOP_EDGE));
	told[i] = 0;
}

static void
pair_close(unsigned i)
{
	loop_forget(the_loop, &one_end[i]);
	close(pair[i][0]);
	close(pair[i][1]);
}

static void
quiet(void *arg, unsigned what)
{
	(void)what;
	++*(unsigned *)arg;
}

/* All others go, and each comes again with the same numbers, in the same place, with nothing to read. */
static void
exchange_others(void *arg, unsigned what)
{
	unsigned me = (unsigned)((unsigned *)arg - told);

	(void)what;
	fired++;
	for (unsigned i = 0; i < 3; i++) {
		int was = pair[i][0];

		if (i == me)
			continue;
		pair_close(i);
		pair_open(i, quiet);
		T_EQ_NUM(pair[i][0], was);
	}
}

static void
events_of_a_closed_descriptor_are_not_its_successors(void)
{
	the_loop = loop_new(&fake);
	for (unsigned i = 0; i < 3; i++)
		pair_open(i, exchange_others);
	for (unsigned i = 0; i < 3; i++)
		T_EQ_NUM(write(pair[i][1], "x", 1), 1);
	fired = 0;
	T_CHECK(loop_round(the_loop, false));
	T_CHECK(!loop_round(the_loop, false));
	T_EQ_NUM(fired, 1);
	T_EQ_NUM(told[0] + told[1] + told[2], 0);
	/* They are watched all the same. */
	for (unsigned i = 0; i < 3; i++)
		if (one_end[i].fn == quiet)
			T_EQ_NUM(write(pair[i][1], "x", 1), 1);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(told[0] + told[1] + told[2], 2);
	for (unsigned i = 0; i < 3; i++)
		pair_close(i);
	loop_free(the_loop);
}

/* Edges come once: none of those for which a round has no room may be lost, nor one told twice. */
static void
edges_of_a_crowd_are_told_once_each(void)
{
	unsigned rounds = 0;

	the_loop = loop_new(&fake);
	for (unsigned i = 0; i < PAIRS; i++)
		pair_open(i, quiet);
	for (unsigned i = 0; i < PAIRS; i++)
		T_EQ_NUM(write(pair[i][1], "x", 1), 1);
	while (loop_round(the_loop, false))
		rounds++;
	T_CHECK(rounds > 1);
	for (unsigned i = 0; i < PAIRS; i++) {
		T_EQ_NUM(told[i], 1);
		pair_close(i);
	}
	loop_free(the_loop);
}

/* Octets and the end behind them are one event. */
static void
end_behind_octets_is_told_with_them(void)
{
	unsigned what = 0;
	char     octet;

	the_loop = loop_new(&fake);
	pair_open(0, tell);
	one_end[0].arg = &what;
	T_EQ_NUM(write(pair[0][1], "x", 1), 1);
	T_CHECK(shutdown(pair[0][1], SHUT_WR) == 0);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(what, LOOP_READ | LOOP_CLOSED);
	T_EQ_NUM(read(pair[0][0], &octet, 1), 1);
	T_CHECK(!loop_round(the_loop, false));
	pair_close(0);
	loop_free(the_loop);
}

static void
start_timer(void *arg, unsigned what)
{
	(void)what;
	timer_start(the_loop, arg, clock_ms);
}

static void
timer_that_an_event_starts_rings_in_its_round(void)
{
	unsigned     n = 0;
	struct timer t = { .fn = count, .arg = &n };

	the_loop = loop_new(&fake);
	pair_open(0, start_timer);
	one_end[0].arg = &t;
	T_EQ_NUM(write(pair[0][1], "x", 1), 1);
	T_CHECK(loop_round(the_loop, false));
	T_EQ_NUM(n, 1);
	pair_close(0);
	loop_free(the_loop);
}

static void
must_not_be_told(void *arg, unsigned what)
{
	(void)what;
	fired += *(const bool *)arg;
}

/* A plugin in process may fork: the child keeps the open file in the kernel's set, behind our close. */
static void
what_a_forked_child_holds_is_not_told_of(void)
{
	bool           closed = false;
	int            ends[2], status;
	pid_t          child;
	struct loop_fd f = { .fn = must_not_be_told, .arg = &closed };

	the_loop = loop_new(&machine);
	fired = 0;
	T_EQ_NUM(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	f.fd = ends[0];
	T_CHECK(loop_watch(the_loop, &f, LOOP_READ));
	child = fork();
	if (child == 0) {
		char octet;

		close(ends[1]);
		(void)!read(ends[0], &octet, 1);
		_exit(0);
	}
	loop_forget(the_loop, &f);
	close(ends[0]);
	closed = true;
	T_EQ_NUM(write(ends[1], "12345", 5), 5);
	(void)loop_round(the_loop, false);
	T_EQ_NUM(fired, 0);
	close(ends[1]);
	T_EQ_NUM(waitpid(child, &status, 0), child);
	loop_free(the_loop);
}

/* ---- a loop that hangs ----------------------------------------------------------------------- */

static void
never_returns(void *arg, unsigned what)
{
	(void)arg;
	(void)what;
	for (;;)
		(void)poll(NULL, 0, 1);
}

static void
hang_once_readable(int fd, struct doing *d)
{
	struct loop   *l = loop_new(&machine);
	struct loop_fd f = { .fn = never_returns, .fd = fd };

	doing_here(d);
	(void)loop_watch(l, &f, LOOP_READ);
	while (loop_round(l, false))
		continue;
	if (d->round != 1)
		_exit(1);
	loop_run(l);
	_exit(2);
}

/* Within a second, and for some time. */
static bool
stays(const struct doing *d, uint32_t round)
{
	for (unsigned i = 0; i < 1000 && d->round != round; i++)
		(void)poll(NULL, 0, 1);
	for (unsigned i = 0; i < 20 && d->round == round; i++)
		(void)poll(NULL, 0, 1);
	return d->round == round;
}

/* Another process sees whether it waits or works, and that this goes on. */
static void
others_see_it_hang(void)
{
	struct doing *d = mmap(
	    NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int   ends[2];
	pid_t pid;

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	d->round = 77;
	pid = fork();
	if (pid == 0)
		hang_once_readable(ends[1], d);
	T_CHECK(stays(d, 0));
	T_EQ_NUM(send(ends[0], "x", 1, MSG_NOSIGNAL), 1);
	T_CHECK(stays(d, 2));
	T_EQ_NUM(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	T_CHECK(waitpid(pid, NULL, 0) == pid);
	close(ends[0]);
	close(ends[1]);
	munmap(d, sizeof(*d));
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(timers_ring_in_order);
	T_RUN(timer_that_restarts_itself_does_not_hold_the_round);
	T_RUN(timer_stopped_by_one_due_with_it_does_not_ring);
	T_RUN(sleep_ends_when_the_nearest_timer_is_due);
	T_RUN(earlier_timer_shortens_a_sleep_that_was_set);
	T_RUN(deferred_calls_keep_their_order);
	T_RUN(sender_is_called_before_heavy_work_and_hooks);
	T_RUN(call_that_defers_itself_does_not_hold_the_round);
	T_RUN(queue_grows_in_order);
	T_RUN(now_is_the_same_for_all_of_a_round);
	T_RUN(run_ends_by_stop_or_for_want_of_anything);
	T_RUN(round_says_whether_a_descriptor_was_ready);
	T_RUN(what_is_unwatched_in_a_round_is_not_told_of_in_it);
	T_RUN(only_what_is_wanted_is_told);
	T_RUN(events_of_a_closed_descriptor_are_not_its_successors);
	T_RUN(what_a_forked_child_holds_is_not_told_of);
	T_RUN(edges_of_a_crowd_are_told_once_each);
	T_RUN(end_behind_octets_is_told_with_them);
	T_RUN(timer_that_an_event_starts_rings_in_its_round);
	T_RUN(others_see_it_hang);
	return t_end();
}
