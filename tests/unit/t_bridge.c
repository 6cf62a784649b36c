/*
 * bridge: calls of many threads, each answered once, to its caller; who leaves, who comes too late, who finds no room.
 */
#include "proxy/hosts/bridge.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

enum how { AT_ONCE, LATER, NEVER }; /* LATER, NEVER: put on the shelf */

struct call {
	struct bridge_call call;
	enum how           how;
	unsigned           question, answer;
};

static struct world       *world;
static struct loop        *loop;
static struct bridge      *bridge;
static struct bridge_call *shelf;
static unsigned            n_run, n_dropped, n_kept; /* the loop's */
static atomic_uint         n_threads;

static void
drop(struct bridge_call *c)
{
	n_dropped++;
	mem_free(c);
}

static void
run(struct bridge_call *bc)
{
	struct call *c = (struct call *)bc;

	n_run++;
	c->answer = c->question + 1;
	if (c->how == AT_ONCE) {
		n_kept += bridge_done(bridge, bc);
		return;
	}
	bc->next = shelf;
	shelf = bc;
}

static struct call *
new_call(enum how how, unsigned question, size_t octets)
{
	struct call *c = mem_alloc(sizeof(*c));

	c->call = (struct bridge_call){ .run = run, .drop = drop, .octets = octets };
	c->how = how;
	c->question = question;
	return c;
}

static void
set_up(size_t octets)
{
	world = world_real(-1);
	loop = loop_new(world);
	bridge = bridge_new(octets);
	shelf = NULL;
	n_run = n_dropped = n_kept = 0;
	T_CHECK(bridge_start(bridge, loop));
}

static void
take_down(void)
{
	bridge_free(bridge);
	loop_free(loop);
}

/* The loop's thread, while others do what they do. */
static void
rounds_until_done(void)
{
	while (atomic_load(&n_threads) > 0)
		if (!loop_round(loop, false))
			sched_yield();
	while (loop_round(loop, false))
		;
}

static void
start(pthread_t *t, void *(*fn)(void *), void *arg)
{
	atomic_fetch_add(&n_threads, 1);
	T_EQ_NUM(pthread_create(t, NULL, fn, arg), 0);
}

/* ---- threads ---- */

#define ASKERS 16
#define EACH   500

static void *
ask_many(void *arg)
{
	unsigned               base = (unsigned)(uintptr_t)arg * EACH;
	struct bridge_patience p = { .ms = 20000 };
	uintptr_t              good = 0;

	for (unsigned i = 0; i < EACH; i++) {
		struct call *c = new_call(AT_ONCE, base + i, i % 7);

		good += bridge_ask(bridge, &c->call, &p) == BRIDGE_DONE &&
		    c->answer == base + i + 1;
		mem_free(c);
		if (i % 50 == 0)
			(void)bridge_tell(bridge, &new_call(AT_ONCE, 0, 1)->call);
	}
	atomic_fetch_sub(&n_threads, 1);
	return (void *)good;
}

/* Sixteen threads, a ceiling of twenty octets. */
static void
each_gets_its_own(void)
{
	pthread_t t[ASKERS];
	void     *good;

	set_up(20);
	for (uintptr_t i = 0; i < ASKERS; i++)
		start(&t[i], ask_many, (void *)i);
	rounds_until_done();
	for (unsigned i = 0; i < ASKERS; i++) {
		pthread_join(t[i], &good);
		T_EQ_NUM((uintptr_t)good, EACH);
	}
	T_EQ_NUM(n_kept, ASKERS * EACH);
	T_EQ_NUM(n_run, ASKERS * (EACH + EACH / 50));
	T_EQ_NUM(n_dropped, ASKERS * EACH / 50);
	T_EQ_NUM(bridge_waiting(bridge), 0);
	take_down();
}

struct asker {
	struct bridge_patience p;
	enum how               how;
	size_t                 octets;
	enum bridge_rc         rc;
	atomic_uint            looked;
};

static void *
ask_one(void *arg)
{
	struct asker *a = arg;
	struct call  *c = new_call(a->how, 7, a->octets);

	a->rc = bridge_ask(bridge, &c->call, &a->p);
	if (a->rc == BRIDGE_DONE || a->rc == BRIDGE_CLOSED)
		mem_free(c);
	atomic_fetch_sub(&n_threads, 1);
	return NULL;
}

static void
ask_alone(struct asker *a)
{
	pthread_t t;

	start(&t, ask_one, a);
	rounds_until_done();
	pthread_join(t, NULL);
}

/* The caller has gone: what comes then is dropped, in the loop. */
static void
late(void)
{
	struct asker a = { .p = { .ms = 30 }, .how = NEVER };

	set_up(100);
	ask_alone(&a);
	T_EQ_NUM(a.rc, BRIDGE_LATE);
	T_EQ_NUM(bridge_waiting(bridge), 0);
	T_EQ_NUM(n_dropped, 0);
	T_CHECK(shelf != NULL && !bridge_done(bridge, shelf));
	T_EQ_NUM(n_dropped, 1);
	take_down();
}

static bool
look_three_times(void *arg)
{
	struct asker *a = arg;

	return atomic_fetch_add(&a->looked, 1) < 2;
}

static void
gone(void)
{
	struct asker a = { .p = { .ms = 20000, .every = 5, .still = look_three_times },
		.how = NEVER };

	set_up(100);
	a.p.arg = &a;
	ask_alone(&a);
	T_EQ_NUM(a.rc, BRIDGE_LEFT);
	T_EQ_NUM(atomic_load(&a.looked), 3);
	T_CHECK(shelf != NULL && !bridge_done(bridge, shelf));
	take_down();
}

static bool
answers_then(void *arg)
{
	struct asker *a = arg;

	atomic_store(&a->looked, 1);
	return true;
}

/* It is looked after, and answered in the end. */
static void
patient(void)
{
	struct asker a = { .p = { .ms = 20000, .every = 5, .still = answers_then }, .how = LATER };
	pthread_t    t;

	set_up(100);
	a.p.arg = &a;
	start(&t, ask_one, &a);
	while (atomic_load(&a.looked) == 0)
		if (!loop_round(loop, false))
			sched_yield();
	T_EQ_NUM(bridge_waiting(bridge), 1);
	T_CHECK(bridge_done(bridge, shelf));
	rounds_until_done();
	pthread_join(t, NULL);
	T_EQ_NUM(a.rc, BRIDGE_DONE);
	take_down();
}

/* Beyond the ceiling one waits for room, and not for ever; alone any size goes through. */
static void
room(void)
{
	struct asker big = { .p = { .ms = 20000 }, .how = AT_ONCE, .octets = 1000 };
	struct asker first = { .p = { .ms = 30 }, .how = NEVER, .octets = 60 };
	struct asker second = { .p = { .ms = 30 }, .how = AT_ONCE, .octets = 60 };

	set_up(100);
	ask_alone(&big);
	T_EQ_NUM(big.rc, BRIDGE_DONE);
	ask_alone(&first);
	T_EQ_NUM(first.rc, BRIDGE_LATE);
	ask_alone(&second);
	T_EQ_NUM(second.rc, BRIDGE_CLOSED);
	T_EQ_NUM(n_run, 2);
	T_CHECK(!bridge_done(bridge, shelf));
	second.p.ms = 20000;
	ask_alone(&second);
	T_EQ_NUM(second.rc, BRIDGE_DONE);
	take_down();
}

/* What is in flight is answered all the same. */
static void
closed(void)
{
	struct asker a = { .p = { .ms = 20000 }, .how = LATER }, b = { .p = { .ms = 20000 } };
	struct call *c = new_call(AT_ONCE, 0, 0);
	pthread_t    t;

	set_up(100);
	start(&t, ask_one, &a);
	while (shelf == NULL)
		if (!loop_round(loop, false))
			sched_yield();
	bridge_close(bridge);
	atomic_fetch_add(&n_threads, 1);
	(void)ask_one(&b);
	T_EQ_NUM(b.rc, BRIDGE_CLOSED);
	T_CHECK(!bridge_tell(bridge, &c->call));
	mem_free(c);
	T_EQ_NUM(bridge_waiting(bridge), 1);
	T_CHECK(bridge_done(bridge, shelf));
	rounds_until_done();
	pthread_join(t, NULL);
	T_EQ_NUM(a.rc, BRIDGE_DONE);
	T_EQ_NUM(n_run, 1);
	bridge_stop(bridge);
	loop_run(loop); /* ends, or this program does not */
	take_down();
}

int
main(void)
{
	T_RUN(each_gets_its_own);
	T_RUN(late);
	T_RUN(gone);
	T_RUN(patient);
	T_RUN(room);
	T_RUN(closed);
	return t_end();
}
