/*
 * milter_stand -- the filter "milter" in a session that is played by hand, over milters that are made up.  Header-only.
 */
#ifndef TESTS_UNIT_MILTER_STAND_H
#define TESTS_UNIT_MILTER_STAND_H

#include <sys/mman.h>

#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/smtp/parse.h"
#include "tests/unit/milter_made.h"

struct stand {
	struct arena         *conf, *a, *t;
	struct milters_conf   milters;
	struct milter_conf    v[MADE_UP];
	struct auth_conf      auth;
	void                 *shared, *seat;
	struct client         client;
	struct facts          session_facts, facts;
	struct mail           session_mail, mail;
	struct envelope       env;
	struct message        msg;
	struct edits          edits;
	struct spool_pool    *spools;
	struct spool         *body;
	struct advice         session_advice[MADE_UP], advice[MADE_UP];
	enum hears            hears[MADE_UP];
	struct findings       found;
	struct strv           name, rdns;       /* facts client.name and client.rdns; absent: there is none */
	bool                  name_unknown;
	bool                  in_tx;
	struct loop          *loop;
	struct fiber_pool    *fibers;
	enum stage            at;
	enum filter_rc        rc;
	bool                  over;
	char                  log[4096];
	size_t                n_log;
};

static struct stand s;

/* ---- the session ---- */

static uint64_t
stand_now(struct world *w)
{
	(void)w;
	return made_now;
}

static void
stand_log(struct world *w, struct strv line)
{
	(void)w;
	s.n_log += (size_t)snprintf(s.log + s.n_log, sizeof(s.log) - s.n_log, "%.*s\n", (int)line.n, line.p);
}

static int
stand_spool(struct world *w, const char *dir)
{
	(void)w, (void)dir;
	return memfd_create("spool", 0);
}

static struct world stand_world = { .now = stand_now, .log = stand_log, .spool = stand_spool };

T_UNUSED static unsigned spf_results;   /* of spf.result; 0: unknown */

MAY_YIELD static enum wait_rc
stand_ask(void *ctx, struct fact *f)
{
	(void)ctx;
	f->state = FACT_KNOWN;
	if (strv_eq(strv_z(f->def->name), SV("client.name"))) {
		f->v.text = s.name;
		f->state = s.name_unknown ? FACT_UNKNOWN : FACT_KNOWN;
	} else if (strv_eq(strv_z(f->def->name), SV("client.rdns")))
		f->v.text = s.rdns;
	else if (strv_eq(strv_z(f->def->name), SV("milter")))
		(void)milter_filter.ask(s.seat, f, &s.mail);
	else if (spf_results > 0 && strv_eq(strv_z(f->def->name), SV("spf.result"))) {
		static const struct strv texts[2] = { { "spf=pass smtp.mailfrom=a", 24 }, { "spf=none", 8 } };

		f->v.texts.v = texts;
		f->v.texts.n = spf_results;
	} else
		f->state = FACT_UNKNOWN;
	return WAIT_OK;
}

MAY_YIELD static enum hears
stand_hears(const struct findings *f, unsigned i)
{
	(void)f;
	return s.hears[i];
}

/* n milters; none is told anything yet. */
static void
setup(unsigned n)
{
	struct filter_use use;

	memset(&s, 0, sizeof(s));
	memset(made, 0, sizeof(made));
	made_now = 5000;
	s.conf = arena_new(4096, 0);
	s.a = arena_new(4096, 0);
	s.loop = loop_new(&stand_world);
	s.fibers = fiber_pool_new(s.loop, 65536, 4, 1);
	s.spools = spool_pool_new(&stand_world, "", 1 << 20, 0);
	s.auth = (struct auth_conf)AUTH_CONF_DEFAULT;
	for (unsigned i = 0; i < n; i++) {
		s.v[i] = (struct milter_conf){ .name = arena_printf(s.conf, "m%u", i), .number = i, .timeout = 300000,
			.timeout_short = 30000, .kind = &made_end_kind };
		s.hears[i] = HEARS_YES;
		made[i].theirs = (struct milter_offer){ .version = 6, .actions = 0x1ff };
	}
	s.milters = (struct milters_conf){ .v = s.v, .n = n, .hostname = SV("mx.ours.example") };
	use = (struct filter_use){ .auth = &s.auth, .milters = &s.milters };
	s.shared = milter_filter.make(s.conf, &use);
	s.client.addr = (struct endpoint){ .addr = { ADDR_IP4, { 192, 0, 2, 1 } }, .port = 4711 };
	s.client.local = (struct endpoint){ .addr = { ADDR_IP4, { 198, 51, 100, 1 } }, .port = 25 };
	s.client.listener = SV("public");
	s.session_facts = (struct facts){ .a = s.a, .ask = stand_ask };
	s.session_mail = (struct mail){ .client = &s.client, .facts = &s.session_facts };
	s.seat = s.shared != NULL ? milter_filter.open(s.a, s.shared, &s.client) : NULL;
}

static void
run(void *arg)
{
	const struct mail *m = s.in_tx ? &s.mail : &s.session_mail;
	struct view        v = { s.in_tx ? &s.msg : NULL, &s.edits, s.edits.n };

	(void)arg;
	s.found = (struct findings){ .facts = m->facts, .edits = s.in_tx ? &s.edits : NULL,
		.advice = s.in_tx ? s.advice : s.session_advice, .hears = stand_hears };
	s.rc = milter_filter.at(s.seat, s.at, m, &v, &s.found);
	s.over = true;
}

static void
at(enum stage stage)
{
	s.at = stage;
	s.over = false;
	T_CHECK(fiber_start(s.fibers, "stage", run, NULL) != NULL);
	for (unsigned i = 0; i < 1000 && !s.over; i++) {
		if (loop_next_timer(s.loop) != UINT64_MAX)
			made_now = loop_next_timer(s.loop);
		(void)loop_round(s.loop, false);
	}
	T_CHECK(s.over);
}

static void
end(void)
{
	milter_filter.end(s.seat);
	s.in_tx = false;
	arena_free(s.t);
	spool_free(s.body);
	s.t = NULL;
	s.body = NULL;
}

static void
teardown(void)
{
	if (s.in_tx)
		end();
	if (s.seat != NULL)
		milter_filter.close(s.seat);
	for (unsigned i = 0; i < MADE_UP; i++)
		T_EQ_NUM(made[i].open, 0);
	arena_free(s.a);
	arena_free(s.conf);
	T_EQ_NUM(spool_pool_used(s.spools), 0);
	spool_pool_free(s.spools);
	fiber_pool_free(s.fibers);
	loop_free(s.loop);
}

#endif
