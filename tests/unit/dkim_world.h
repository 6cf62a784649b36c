/*
 * dkim_world -- what dkim_stand stands on: a clock, a made-up DNS, a log, and all that lives as long as a test.
 */
#ifndef TESTS_UNIT_DKIM_WORLD_H
#define TESTS_UNIT_DKIM_WORLD_H

#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/judge.h"

#define STAND_NOW 1700000000ull /* s */

static struct stand {
	struct arena      *conf, *session, *tx;
	struct loop       *loop;
	struct fiber_pool *pool;
	struct dns_table  *dns;
	struct spool_pool *spools;
	struct auth_conf   auth;
	struct judge      *judge;
	struct client      client;
	struct timer       timer[32]; /* answers on their way */
	struct dns_query  *asked[32];
	unsigned           n_asked, taken_back; /* questions in all */
	uint64_t           now, wall, delay;    /* ms, s, ms */
	char               log[4000];
} stand;

static uint64_t
stand_now(struct world *w)
{
	(void)w;
	return stand.now;
}

static uint64_t
stand_wall(struct world *w)
{
	(void)w;
	return stand.wall * 1000000;
}

static void
stand_log(struct world *w, struct strv line)
{
	size_t n = strlen(stand.log);

	(void)w;
	if (n + line.n + 2 < sizeof(stand.log))
		snprintf(stand.log + n, sizeof(stand.log) - n, "%.*s\n", (int)line.n, line.p);
}

static void
stand_answer(struct dns_query *q)
{
	struct arena *a = arena_new(4096, 0);
	bool          timeout = false;
	struct strv   packet = dns_table_answer(stand.dns, a, q->name, q->type, &timeout);

	if (!timeout)
		q->done(q, DNS_OK, packet);
	else
		q->done(q, DNS_TEMP, packet);
	arena_free(a);
}

static void
stand_due(void *arg)
{
	struct dns_query *q = stand.asked[(struct timer *)arg - stand.timer];

	stand.asked[(struct timer *)arg - stand.timer] = NULL;
	stand_answer(q);
}

static void
stand_dns(struct world *w, struct dns_query *q)
{
	(void)w;
	stand.n_asked++;
	if (stand.delay == 0) {
		stand_answer(q);
		return;
	}
	for (unsigned i = 0; i < 32; i++)
		if (stand.asked[i] == NULL) {
			stand.asked[i] = q;
			stand.timer[i] = (struct timer){ .fn = stand_due, .arg = &stand.timer[i] };
			timer_start(stand.loop, &stand.timer[i], stand.now + stand.delay);
			return;
		}
	abort();
}

static void
stand_dns_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	for (unsigned i = 0; i < 32; i++)
		if (stand.asked[i] == q) {
			stand.asked[i] = NULL;
			timer_stop(stand.loop, &stand.timer[i]);
			stand.taken_back++;
		}
}

static int
stand_spool(struct world *w, const char *dir)
{
	(void)w, (void)dir;
	return -1;
}

static struct world stand_world = { .now = stand_now,
	.wall = stand_wall,
	.log = stand_log,
	.spool = stand_spool,
	.dns = stand_dns,
	.dns_cancel = stand_dns_cancel };

/* Sets up all but the judge, for which auth may still be changed: stand_begin. */
static inline void
stand_open(void)
{
	memset(&stand, 0, sizeof(stand));
	stand.now = 1000;
	stand.wall = STAND_NOW;
	stand.conf = arena_new(4096, 0);
	stand.session = arena_new(4096, 0);
	stand.tx = arena_new(65536, 0);
	stand.loop = loop_new(&stand_world);
	stand.pool = fiber_pool_new(stand.loop, 65536, 30, 4);
	stand.dns = dns_table_new(stand.conf);
	stand.spools = spool_pool_new(&stand_world, "", 1u << 26, 0);
	stand.auth = (struct auth_conf)AUTH_CONF_DEFAULT;
	stand.auth.id = SV("mx.ours.example");
	stand.auth.methods = AUTH_DKIM;
	addr_parse(SV("192.0.2.9"), &stand.client.addr.addr);
}

static inline void
stand_begin(void)
{
	stand.judge = judge_new(stand.conf, &(struct judge_conf){ .auth = &stand.auth });
}

static inline void
stand_close(void)
{
	arena_free(stand.tx);
	arena_free(stand.session);
	spool_pool_free(stand.spools);
	arena_free(stand.conf);
	fiber_pool_free(stand.pool);
	loop_free(stand.loop);
}

static inline bool
stand_record(const char *name, const char *type, const char *value)
{
	const char *why = "";
	bool        ok = dns_table_add(stand.dns, strv_z(name), strv_z(type), strv_z(value), &why);

	if (!ok)
		printf("%s: %s\n", name, why);
	return ok;
}

#endif
