/*
 * t_filters_authres -- our Authentication-Results: what is known, absent, unknown and cancelled, in which order, and
 * that a configuration without `authenticate' has no such filter.
 */
#include "filters/authres.h"

#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "tests/unit/fiber_stand.h"

static const struct strv spf[] = { SV("spf=pass smtp.mailfrom=a@good.example"),
	SV("spf=none smtp.helo=mx.good.example") };
static const struct strv dkim[] = { SV("dkim=fail header.d=good.example") };

static struct {
	unsigned known, none; /* AUTH_... whose facts are so; others are unknown */
	bool     cancel;
	unsigned asks;
} says;

static unsigned
method_of(struct strv name)
{
	return strv_starts(name, SV("spf")) ? AUTH_SPF :
	    strv_starts(name, SV("dkim"))   ? AUTH_DKIM :
	    strv_starts(name, SV("dmarc"))  ? AUTH_DMARC :
					      AUTH_ARC;
}

static enum wait_rc
answer(void *ctx, struct fact *f)
{
	unsigned m = method_of(strv_z(f->def->name));

	(void)ctx;
	says.asks++;
	T_CHECK(strv_ends(strv_z(f->def->name), SV(".result")));
	if (says.cancel && m == AUTH_DKIM)
		return WAIT_CANCELLED;
	f->state = (says.known | says.none) & m ? FACT_KNOWN : FACT_UNKNOWN;
	if (says.known & m) {
		f->v.texts.v = m == AUTH_SPF ? spf : dkim;
		f->v.texts.n = m == AUTH_SPF ? 2 : 1;
	}
	return WAIT_OK;
}

static const struct {
	const char *id;
	unsigned    methods, known, none;
	const char *field;
} rows[] = {
	{ "mx.test", AUTH_SPF, AUTH_SPF, 0,
	    "mx.test;\r\n\tspf=pass smtp.mailfrom=a@good.example;\r\n\tspf=none "
	    "smtp.helo=mx.good.example" },
	{ "mx.test", AUTH_DKIM | AUTH_SPF, AUTH_SPF | AUTH_DKIM, 0,
	    "mx.test;\r\n\tspf=pass smtp.mailfrom=a@good.example;\r\n\tspf=none "
	    "smtp.helo=mx.good.example;\r\n\tdkim=fail header.d=good.example" },
	{ "mx.test", AUTH_SPF | AUTH_DKIM | AUTH_DMARC | AUTH_ARC, AUTH_DKIM, AUTH_ARC,
	    "mx.test;\r\n\tspf=temperror;\r\n\tdkim=fail header.d=good.example;\r\n\t"
	    "dmarc=temperror;\r\n\tarc=none" },
	{ "our gateway", AUTH_ARC, 0, 0, "\"our gateway\";\r\n\tarc=temperror" },
};

static enum filter_rc
act(struct arena *a, const struct auth_conf *auth, struct edits *e)
{
	const struct filter_use use = { .auth = auth };
	struct facts            facts = { .a = a, .ask = answer };
	struct findings         found = { .facts = &facts, .edits = e };
	const struct mail       mail = { .id = "m1" };
	void                   *shared = authres_filter.make(a, &use);

	T_CHECK(shared != NULL);
	return authres_filter.at(
	    authres_filter.open(a, shared, NULL), STAGE_SEAL, &mail, NULL, &found);
}

static void
writes_what_is_named(void)
{
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct arena    *a = arena_new(4096, 0);
		struct auth_conf auth = { .methods = rows[i].methods, .id = strv_z(rows[i].id) };
		struct edits     e = { 0 };

		says.known = rows[i].known;
		says.none = rows[i].none;
		T_EQ_NUM(act(a, &auth, &e), FILTER_OK);
		T_EQ_NUM(e.n, 1);
		T_EQ_NUM(e.v[0].op, EDIT_INSERT_HEADER);
		T_EQ_NUM(e.v[0].at, 0);
		T_EQ_TEXT(e.v[0].name, "Authentication-Results");
		T_EQ_TEXT(e.v[0].value, rows[i].field);
		arena_free(a);
	}
}

/* Half a field would say that the rest was not looked at. */
static void
writes_nothing_when_cancelled(void)
{
	struct arena    *a = arena_new(4096, 0);
	struct auth_conf auth = { .methods = AUTH_SPF | AUTH_DKIM | AUTH_ARC, .id = SV("mx.test") };
	struct edits     e = { 0 };

	says.cancel = true;
	says.asks = 0;
	T_EQ_NUM(act(a, &auth, &e), FILTER_CANCELLED);
	T_EQ_NUM(e.n, 0);
	T_EQ_NUM(says.asks, 2);
	says.cancel = false;
	arena_free(a);
}

static char logged[400];

static void
log_line(struct world *w, struct strv line)
{
	(void)w;
	snprintf(logged, sizeof(logged), "%.*s", (int)line.n, line.p);
}

static uint64_t
wall_zero(struct world *w)
{
	(void)w;
	return 0;
}

static void
act_full(void *arg)
{
	struct arena    *a = arena_new(4096, 0);
	struct auth_conf auth = { .methods = AUTH_SPF, .id = SV("mx.test") };
	struct edits     e = { .n = EDITS_MAX };

	(void)arg;
	says.none = AUTH_SPF;
	T_EQ_NUM(act(a, &auth, &e), FILTER_BUG);
	T_EQ_NUM(e.n, EDITS_MAX);
	arena_free(a);
}

/* The message goes on without the field: the log says so. */
static void
tells_of_a_refused_field(void)
{
	setup(1, 1);
	fake.wall = wall_zero;
	fake.log = log_line;
	T_CHECK(fiber_start(pool, "test", act_full, NULL) != NULL);
	while (fiber_pool_live(pool) > 0)
		T_CHECK(loop_round(loop, false));
	T_CHECKF(
	    strstr(logged, "m1 authres-error reason=\"too many edits\"") != NULL, "%s", logged);
	teardown();
}

static void
takes_no_part_unasked(void)
{
	struct arena     *a = arena_new(4096, 0);
	struct auth_conf  auth = AUTH_CONF_DEFAULT;
	struct filter_use use = { .auth = &auth };

	T_CHECK(authres_filter.make(a, &use) == NULL);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(writes_what_is_named);
	T_RUN(writes_nothing_when_cancelled);
	T_RUN(tells_of_a_refused_field);
	T_RUN(takes_no_part_unasked);
	return t_end();
}
