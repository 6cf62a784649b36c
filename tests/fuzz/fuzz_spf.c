/*
 * An SPF record, its terms, and what its macros stand for: what is taken is printable ASCII, each term taken again
 * alone is the same, names and explanations are bounded and clean.  The first line chooses the client and gives
 * local part and HELO, "4 local helo" or "6 local helo"; the rest is the record.
 */
#include "filters/spf_macro.h"
#include "filters/spf_record.h"
#include "proxy/base/arena.h"
#include "tests/fuzz/fuzz.h"

static struct spf_macros
client(struct strv line)
{
	struct spf_macros m = { .sender = SV("example.org"),
		.domain = SV("i.example.org"),
		.validated = SV("unknown"),
		.receiver = SV("mx.example"),
		.seconds = 1 };
	struct strv       family = strv_cut(&line, ' ');

	(void)addr_parse(
	    family.n > 0 && family.p[0] == '6' ? SV("2001:db8::1") : SV("192.0.2.1"), &m.ip);
	m.local = strv_cut(&line, ' ');
	m.helo = line;
	if (m.local.p == NULL)
		m.local = SV("");
	if (m.helo.p == NULL)
		m.helo = SV("");
	return m;
}

static void
check_name(struct arena *a, const struct spf_macros *m, struct strv spec)
{
	struct strv name;

	FUZZ_CHECK(
	    spf_domain_valid(spec) && spf_macro_valid(spec, false) && spf_macro_valid(spec, true));
	name = spf_macro_name(a, m, spec);
	FUZZ_CHECK(name.p != NULL && name.n <= 4 * SPF_NAME_MAX);
	for (size_t i = 0; i < name.n; i++)
		FUZZ_CHECK(name.p[i] > ' ' && name.p[i] < 0x7f);
}

static void
check_text(struct arena *a, const struct spf_macros *m, struct strv text)
{
	struct strv v;

	(void)spf_macro_wants_p(text);
	if (!spf_macro_valid(text, true))
		return;
	v = spf_macro_text(a, m, text);
	FUZZ_CHECK(v.p != NULL && v.n <= SPF_EXPLANATION_MAX);
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK(v.p[i] >= ' ' && v.p[i] < 0x7f);
}

static void
check_term(struct arena *a, const struct spf_macros *m, const struct spf_term *t)
{
	struct strv       alone = arena_concat(a, SV("v=spf1 "), t->text), at;
	struct spf_record r;
	struct spf_term   again;
	const char       *why;

	for (size_t i = 0; i < t->text.n; i++)
		FUZZ_CHECK(t->text.p[i] > ' ' && t->text.p[i] < 0x7f);
	FUZZ_CHECK(spf_record_parse(alone, &r, &why, &at));
	FUZZ_CHECK(
	    spf_term_next(&r.terms, &again) && again.kind == t->kind && again.says == t->says);
	FUZZ_CHECK(strv_eq(again.domain, t->domain) && addr_eq(&again.net, &t->net));
	FUZZ_CHECK(again.bits4 == t->bits4 && again.bits6 == t->bits6);
	if (t->kind < SPF_TERM_REDIRECT)
		FUZZ_CHECK(t->bits4 <= 32 && t->bits6 <= 128);
	FUZZ_CHECK(!spf_term_next(&r.terms, &again));
	if (t->domain.p != NULL && t->kind != SPF_TERM_OTHER)
		check_name(a, m, t->domain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv       rest = strv((const char *)data, n), at;
	struct spf_macros m = client(strv_cut(&rest, '\n'));
	struct arena     *a;
	struct spf_record r;
	struct spf_term   t;
	const char       *why = NULL;

	if (rest.p == NULL || n > 65535)
		return 0;
	a = arena_new(1024, 0);
	check_text(a, &m, rest);
	if (!spf_is_record(rest))
		FUZZ_CHECK(rest.n < 6 || !strv_istarts(rest, SV("v=spf1 ")));
	else if (!spf_record_parse(rest, &r, &why, &at))
		FUZZ_CHECK(why != NULL && at.n > 0);
	else
		for (unsigned k = 0; k < 200 && spf_term_next(&r.terms, &t); k++)
			check_term(a, &m, &t);
	arena_free(a);
	return 0;
}
