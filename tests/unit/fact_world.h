/*
 * fact_world -- fact_stand.h's world: a clock that jumps, and a made-up DNS whose answers take their time.
 */
#ifndef TESTS_UNIT_FACT_WORLD_H
#define TESTS_UNIT_FACT_WORLD_H

#include "config.h"
#include "filters/auth.h"
#include "filters/registry.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

/* ---- a world: a clock that jumps, a made-up DNS whose answers take their time ---- */

struct later {
	struct timer      timer;
	struct dns_query *q;
};

static struct stand {
	struct arena        *a, *conf;
	struct loop         *loop;
	struct fiber_pool   *pool;
	struct dns_table    *dns;
	struct later         later[64];
	struct client        client;
	void                *shared, *seat; /* of the filter that is asked */
	const struct filter *filter;
	uint64_t             now, delay;
	const char          *slow; /* names that begin so take ten times as long */
	unsigned             asked, taken_back;
	char                 asked_for[64];
	char                 log[2000];
} s;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return s.now;
}

static uint64_t
fake_wall(struct world *w)
{
	(void)w;
	return 0;
}

static void
fake_log(struct world *w, struct strv line)
{
	size_t n = strlen(s.log);

	(void)w;
	if (n + line.n + 2 < sizeof(s.log))
		snprintf(s.log + n, sizeof(s.log) - n, "%.*s\n", (int)line.n, line.p);
}

static void
answer(void *arg)
{
	struct later     *l = arg;
	struct dns_query *q = l->q;
	struct arena     *a = arena_new(1024, 0);
	bool              timeout = false;
	struct strv       packet = dns_table_answer(s.dns, a, q->name, q->type, &timeout);

	if (!timeout) {
		l->q = NULL;
		q->done(q, DNS_OK, packet);
	}
	arena_free(a);
}

static void
fake_dns(struct world *w, struct dns_query *q)
{
	bool slow = s.slow != NULL && strncmp(q->name, s.slow, strlen(s.slow)) == 0;

	(void)w;
	s.asked++;
	for (size_t i = 0; i < T_COUNT(s.later); i++) {
		struct later *l = &s.later[i];

		if (l->q != NULL)
			continue;
		l->q = q;
		l->timer = (struct timer){ .fn = answer, .arg = l };
		if (s.delay == 0)
			answer(l); /* inside the call */
		else
			timer_start(s.loop, &l->timer, s.now + s.delay * (slow ? 10 : 1));
		return;
	}
	T_CHECK(!"too many questions");
}

static void
fake_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	for (size_t i = 0; i < T_COUNT(s.later); i++) {
		if (s.later[i].q != q)
			continue;
		s.later[i].q = NULL;
		timer_stop(s.loop, &s.later[i].timer);
		s.taken_back++;
		return;
	}
	T_CHECK(!"taken back, but not asked");
}

static struct world fake = { .now = fake_now,
	.wall = fake_wall,
	.log = fake_log,
	.dns = fake_dns,
	.dns_cancel = fake_cancel };

static struct strv
next_field(struct strv *v, char c)
{
	struct strv one = strv_trim(strv_cut(v, c));

	return one;
}

/* "a.example A 192.0.2.1; b.example SERVFAIL" */
T_UNUSED static void
state_dns(const char *text)
{
	struct strv v = strv_z(text);

	dns_table_clear(s.dns);
	while (v.p != NULL && v.n > 0) {
		struct strv one = next_field(&v, ';'), name = strv_word(&one),
			    type = strv_word(&one);
		const char *why = "";

		if (name.n > 0 && !dns_table_add(s.dns, name, type, strv_trim(one), &why))
			T_CHECKF(false, "%s: %s", text, why);
	}
}

#endif
