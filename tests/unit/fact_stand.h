/*
 * fact_stand -- the facts of one filter, asked from fibers in a world whose clock jumps and whose made-up DNS takes its
 * time.  One at a time; header-only.
 */
#ifndef TESTS_UNIT_FACT_STAND_H
#define TESTS_UNIT_FACT_STAND_H

#include "tests/unit/fact_world.h"

static const struct filter *
owner_of(const char *name)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));

	T_CHECKF(at >= 0, "no fact %s", name);
	return registry_filters[registry_owner((unsigned)at)];
}

static const struct auth_conf  no_auth = AUTH_CONF_DEFAULT;
static const struct filter_use no_use = { .auth = &no_auth };

/* For facts of one filter. */
T_UNUSED static void
setup(const char *fact, const char *client)
{
	memset(&s, 0, sizeof(s));
	s.now = 1000;
	s.delay = 10;
	s.a = arena_new(4096, 0);
	s.conf = arena_new(4096, 0);
	s.loop = loop_new(&fake);
	s.pool = fiber_pool_new(s.loop, 65536, 10, 4);
	s.dns = dns_table_new(s.conf);
	s.filter = owner_of(fact);
	s.shared = s.filter->make != NULL ? s.filter->make(s.conf, &no_use) : NULL;
	if (client != NULL)
		T_CHECK(addr_parse(strv_z(client), &s.client.addr.addr));
	s.seat = s.filter->open != NULL ? s.filter->open(s.a, s.shared, &s.client) : NULL;
}

T_UNUSED static void
teardown(void)
{
	arena_free(s.conf);
	for (size_t i = 0; i < T_COUNT(s.later); i++)
		T_CHECKF(s.later[i].q == NULL, "question %zu is left", i);
	fiber_pool_free(s.pool);
	loop_free(s.loop);
	arena_free(s.a);
}

/* ---- one question ---- */

struct ask {
	struct fact    fact;
	enum filter_rc rc;
	struct fiber  *fiber;
	bool           over;
	uint64_t       took;
};

static void
ask_fiber(void *arg)
{
	struct ask *k = arg;
	uint64_t    began = s.now;
	struct mail mail = { .client = &s.client };

	k->fiber = fiber_self();
	k->rc = s.filter->ask(s.seat, &k->fact, &mail);
	k->took = s.now - began;
	k->over = true;
}

T_UNUSED static void
start(struct ask *k, const char *name, const char *arg)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));

	*k = (struct ask){ .fact = { .def = &d[at],
			       .number = (unsigned)at,
			       .arg = strv_z(arg),
			       .a = s.a,
			       .state = FACT_RUNNING } };
	T_CHECK(fiber_start(s.pool, "ask", ask_fiber, k) != NULL);
}

/* Until all of them are over, or nothing more can happen. */
T_UNUSED static void
run(struct ask *const *k, size_t n)
{
	for (unsigned rounds = 0; rounds < 100000; rounds++) {
		bool over = true;

		for (size_t i = 0; i < n; i++)
			over = over && k[i]->over;
		if (over)
			return;
		if (loop_round(s.loop, false))
			continue;
		if (loop_next_timer(s.loop) == UINT64_MAX)
			break;
		s.now = loop_next_timer(s.loop);
	}
	T_CHECK(!"it never ends");
}

/* The value; "-" absent, "?" unknown, "!" nonsense, "x" cancelled. */
T_UNUSED static const char *
value(struct ask *k)
{
	static const char *const not_known[] = {
		[FILTER_TEMP] = "?", [FILTER_BUG] = "!", [FILTER_CANCELLED] = "x"
	};

	T_CHECK(k->fact.source.n > 0 || k->rc == FILTER_CANCELLED);
	if (k->rc != FILTER_OK)
		return not_known[k->rc];
	T_EQ_NUM(k->fact.state, FACT_KNOWN);
	return fact_absent(&k->fact) ? "-" : arena_z(s.a, fact_print(s.a, &k->fact));
}

T_UNUSED static const char *
ask(const char *name, const char *arg)
{
	static struct ask k;

	start(&k, name, arg);
	run((struct ask *const[]){ &k }, 1);
	return value(&k);
}

/* Time passes; what is due comes. */
T_UNUSED static void
pass(uint64_t ms)
{
	uint64_t until = s.now + ms;

	for (;;) {
		if (loop_round(s.loop, false))
			continue;
		if (loop_next_timer(s.loop) > until)
			break;
		s.now = loop_next_timer(s.loop);
	}
	s.now = until;
	loop_round(s.loop, false);
}

#endif
