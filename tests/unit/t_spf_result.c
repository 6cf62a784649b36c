/*
 * t_spf_result -- what SPF says in Authentication-Results: of which identities, and in which words.  RFC 8601 2.7.2.
 */
#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

enum { NONE, NEUTRAL, PASS, UNKNOWN }; /* the first three as spf has them */

static const struct row {
	const char *title, *from, *helo;
	unsigned    spf, spf_helo;
	const char *want; /* "|" between results; "?": unknown */
} rows[] = {
	{ "both", "<a@good.example>", "mx.good.example", PASS, NONE,
	    "spf=pass smtp.mailfrom=a@good.example|spf=none smtp.helo=mx.good.example" },
	{ "of <> it is one question", "<>", "mx.good.example", NONE, PASS,
	    "spf=pass smtp.helo=mx.good.example" },
	{ "HELO is no domain", "<>", "[192.0.2.1]", NONE, NONE,
	    "spf=none smtp.helo=\"[192.0.2.1]\"" },
	{ "no HELO, nothing of it", "<a@good.example>", NULL, PASS, NONE,
	    "spf=pass smtp.mailfrom=a@good.example" },
	{ "an empty one", "<a@good.example>", "", PASS, NONE,
	    "spf=pass smtp.mailfrom=a@good.example" },
	{ "no identity at all", "<>", NULL, NONE, NONE, "" },
	{ "MAIL is unknown", "<a@good.example>", "mx.good.example", UNKNOWN, NONE, "?" },
	{ "HELO is unknown", "<a@good.example>", "mx.good.example", PASS, UNKNOWN, "?" },
};

static enum wait_rc
answer(void *ctx, struct fact *f)
{
	const struct row *r = ctx;
	unsigned word = strv_eq(strv_z(f->def->name), SV("spf.helo")) ? r->spf_helo : r->spf;

	f->state = word == UNKNOWN ? FACT_UNKNOWN : FACT_KNOWN;
	f->v.word = word;
	return WAIT_OK;
}

static struct strv
result(struct arena *a, const struct row *r)
{
	const struct auth_conf  auth = { .methods = AUTH_SPF, .id = SV("mx.test") };
	const struct filter_use use = { .auth = &auth };
	struct client           client = { .helo = strv_z(r->helo) };
	struct envelope         env = { 0 };
	struct facts            facts = { .a = a, .ask = answer, .ctx = (void *)(uintptr_t)r };
	struct mail             m = { .client = &client, .env = &env, .facts = &facts };
	unsigned                n;
	const struct fact_def  *defs = registry_facts(&n);
	struct fact             f = { .def = &defs[registry_number("spf.result")], .a = a };
	const char             *why;
	struct strv             all = SV("");
	void                   *seat;

	T_EQ_NUM(path_parse_plain(a, strv_z(r->from), &env.from, &why), PATH_OK);
	seat = spf_filter.open(a, spf_filter.make(a, &use), &client);
	if (spf_filter.ask(seat, &f, &m) != FILTER_OK)
		return SV("?");
	for (unsigned i = 0; i < f.v.texts.n; i++)
		all = arena_concat(
		    a, arena_concat(a, all, i > 0 ? SV("|") : SV("")), f.v.texts.v[i]);
	return all;
}

static void
names_identities_that_there_are(void)
{
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct arena *a = arena_new(4096, 0);

		t_row = rows[i].title;
		T_EQ_TEXT(result(a, &rows[i]), rows[i].want);
		arena_free(a);
	}
	t_row = NULL;
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(names_identities_that_there_are);
	return t_end();
}
