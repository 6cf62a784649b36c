/*
 * trial -- plays the tests of a configuration, each in a world, loop and fiber of its own.
 *
 * Time in a test jumps: when nothing is ready its clock moves to the next timer.  The invariant: nothing
 * outside is touched, and no test sees anything of another one.
 */
#include "proxy/trial.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/trial_steps.h"

#define FIBERS       200 /* the session's and its early look-ups */
#define FIBER_STACK  65536
#define SPOOL_MEMORY (1u << 30) /* a message of a test is as large as the file at most */
#define LAST_ROUNDS  100000     /* for what was cancelled to end */

static void
step_clock(struct trial *t)
{
	uint64_t next = loop_next_timer(t->house.loop);

	if (next != UINT64_MAX && next > t->world.now)
		t->world.now = next;
}

/* One round; false: nothing is left that could happen. */
static bool
go_on(struct trial *t)
{
	if (loop_round(t->house.loop, false))
		return true;
	if (loop_next_timer(t->house.loop) == UINT64_MAX)
		return false;
	step_clock(t);
	return true;
}

static void
too_long(struct trial *t)
{
	diag_add(t->d, DIAG_ERROR, t->b->pos, SV("a test has 10 s"),
	    "the test %s takes too long, and is given up", diag_quote(t->a, t->b->name));
}

static void
drive(struct trial *t, struct fiber_pool *fibers, struct world *w)
{
	uint64_t      until = w->now(w) + TRIAL_REAL_MS;
	struct fiber *f = fiber_start(fibers, "test", trial_play, t);
	unsigned      rounds = 0;

	while (f != NULL && !t->ended && w->now(w) < until && go_on(t))
		continue;
	if (f == NULL || t->ended)
		return;
	too_long(t);
	fiber_cancel(f);
	while (!t->ended && rounds++ < LAST_ROUNDS && go_on(t))
		continue;
}

/* The fiber's own end, and whatever else is queued. */
static void
settle(struct trial *t, struct fiber_pool *fibers)
{
	for (unsigned i = 0; i < LAST_ROUNDS && fiber_pool_live(fibers) > 0; i++)
		(void)go_on(t);
	while (loop_round(t->house.loop, false))
		continue;
}

static void
state_zones(struct trial *t)
{
	t->world.zone = testblocks_zones(t->s->conf, t->a, SV("rhsbl"), &t->world.n_zone);
}

static void
run_one(struct trial *t, struct world *w)
{
	struct fiber_pool *fibers;

	trial_world_init(&t->world, t->a);
	state_zones(t);
	t->house.loop = t->world.loop = loop_new(&t->world.w);
	if (t->house.loop == NULL) {
		diag_add(t->d, DIAG_ERROR, t->b->pos, strv(NULL, 0),
		    "a test cannot be played: no descriptor is free");
		return;
	}
	fibers = fiber_pool_new(t->house.loop, FIBER_STACK, FIBERS, 4);
	t->house.spools = spool_pool_new(&t->world.w, "", SPOOL_MEMORY, 0);
	drive(t, fibers, w);
	settle(t, fibers);
	spool_pool_free(t->house.spools);
	if (fiber_pool_live(fibers) == 0)
		fiber_pool_free(fibers);
	loop_free(t->house.loop);
}

/* Whether it passed. */
static bool
play(const struct settings *s, const struct test_block *b, struct world *w, struct diags *d)
{
	static const struct milters_conf dry = { .dry = true };
	struct arena                    *a = arena_new(16384, 0);
	unsigned                         errors = d->errors;
	struct trial                     t = { .b = b, .s = s, .a = a, .d = d };

	t.house = (struct trial_house){
		.s = s,
		.judge = judge_new(
		    a, &(struct judge_conf){ s->policy, &s->auth, &dry, s->decide_within, false }),
		.command_ms = TRIAL_COMMAND_MS,
		.look = trial_saw,
		.arg = &t,
	};
	run_one(&t, w);
	if (t.expects == 0 && d->errors == errors)
		diag_add(d, DIAG_WARNING, b->pos, SV("such as: rcpt a@b.example expect 550"),
		    "the test %s expects nothing", diag_quote(d->a, b->name));
	arena_free(a);
	return d->errors == errors;
}

unsigned
trial_run_all(const struct settings *s, struct world *w, struct diags *d,
    void (*progress)(unsigned done, unsigned all, void *arg), void *arg)
{
	unsigned           n, passed = 0;
	struct test_block *b = testblocks_list(s->conf, d->a, &n);

	for (unsigned i = 0; i < n; i++) {
		if (progress != NULL)
			progress(i, n, arg);
		passed += play(s, &b[i], w, d);
	}
	if (progress != NULL)
		progress(n, n, arg);
	return passed;
}
