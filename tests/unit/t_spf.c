/*
 * t_spf -- SPF beyond the RFC 7208 suite: records and macros by table, hostile DNS, limits of time and number,
 * explanations, and the guard around libspf2.
 */
#include "filters/spf_libspf2.h"
#include "filters/spf_macro.h"

#include "proxy/base/dns_wire.h"
#include "tests/unit/dns_stand.h"

/* ---- records ---- */

/* The terms of a record, as they were understood; what is wrong with it else. */
static const char *
read_record(struct strv text)
{
	static const char *const kinds[] = { "all", "include", "a", "mx", "ptr", "ip4", "ip6",
		"exists", "redirect", "exp", "other" };
	static char              out[400];
	struct spf_record        r;
	struct spf_term          t;
	struct strv              at;
	const char              *why;
	char                     net[ADDR_TEXT];
	size_t                   n = 0;

	out[0] = '\0';
	if (!spf_is_record(text))
		return "no record";
	if (!spf_record_parse(text, &r, &why, &at)) {
		snprintf(out, sizeof(out), "%s: %.*s", why, (int)at.n, at.p);
		return out;
	}
	while (spf_term_next(&r.terms, &t)) {
		n += (size_t)snprintf(
		    out + n, sizeof(out) - n, "%s%s", n > 0 ? " " : "", kinds[t.kind]);
		if (t.kind < SPF_TERM_REDIRECT && t.says != SPF_SAYS_PASS)
			n += (size_t)snprintf(
			    out + n, sizeof(out) - n, "=%s", spf_says_name(t.says));
		if (t.domain.p != NULL)
			n += (size_t)snprintf(
			    out + n, sizeof(out) - n, ":%.*s", (int)t.domain.n, t.domain.p);
		if (t.net.family != ADDR_NONE)
			n += (size_t)snprintf(
			    out + n, sizeof(out) - n, ":%s", addr_print(&t.net, net).p);
		if (t.kind < SPF_TERM_REDIRECT && t.bits4 != 32)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "/%u", t.bits4);
		if (t.kind < SPF_TERM_REDIRECT && t.bits6 != 128)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "//%u", t.bits6);
	}
	return out;
}

static const struct {
	const char *text, *want;
} records[] = {
	{ "v=spf1", "" },
	{ "V=SPF1  ", "" },
	{ "v=spf10 all", "no record" },
	{ "v=spf1\tall", "no record" },
	{ " v=spf1 all", "no record" },
	{ "v=spf2.0/pra all", "no record" },
	{ "", "no record" },
	{ "v=spf1 ?ALL ~Mx -a +pTr", "all=neutral mx=softfail a=fail ptr" },
	{ "v=spf1 a/24 a//64 a/24//64 a/0 a//0", "a/24 a//64 a/24//64 a/0 a//0" },
	{ "v=spf1 a:x.example/24//64 mx:%{d}/8", "a:x.example/24//64 mx:%{d}/8" },
	{ "v=spf1 a:x/24.example a:x//y.example", "a:x/24.example a:x//y.example" },
	{ "v=spf1 a/33", "bad argument: a/33" },
	{ "v=spf1 a//129", "bad argument: a//129" },
	{ "v=spf1 a/", "bad argument: a/" },
	{ "v=spf1 a//", "bad argument: a//" },
	{ "v=spf1 a/24/64", "bad argument: a/24/64" },
	{ "v=spf1 a///64", "bad argument: a///64" },
	{ "v=spf1 a//24//64", "bad argument: a//24//64" },
	{ "v=spf1 a/024", "bad argument: a/024" },
	{ "v=spf1 a/99999999999999999999", "bad argument: a/99999999999999999999" },
	{ "v=spf1 a/-1", "bad argument: a/-1" },
	{ "v=spf1 ip4:192.0.2.1 ip4:192.0.2.0/24", "ip4:192.0.2.1 ip4:192.0.2.0/24" },
	{ "v=spf1 ip4:192.0.2.1/32/32", "bad argument: ip4:192.0.2.1/32/32" },
	{ "v=spf1 ip4:192.0.2", "bad argument: ip4:192.0.2" },
	{ "v=spf1 ip4:192.0.2.256", "bad argument: ip4:192.0.2.256" },
	{ "v=spf1 ip4:192.0.02.1", "bad argument: ip4:192.0.02.1" },
	{ "v=spf1 ip4:::1", "bad argument: ip4:::1" },
	{ "v=spf1 ip4:::ffff:192.0.2.1", "bad argument: ip4:::ffff:192.0.2.1" },
	{ "v=spf1 ip4:", "bad argument: ip4:" },
	{ "v=spf1 ip4=192.0.2.1 -all", "other:192.0.2.1 all=fail" },
	{ "v=spf1 ip6:2001:db8::/32", "ip6:2001:db8:://32" },
	{ "v=spf1 ip6:::ffff:192.0.2.1/96", "ip6:::ffff:c000:201//96" },
	{ "v=spf1 ip6:192.0.2.1", "bad argument: ip6:192.0.2.1" },
	{ "v=spf1 ip6:2001:db8::1/129", "bad argument: ip6:2001:db8::1/129" },
	{ "v=spf1 ip6:[2001:db8::1]", "bad argument: ip6:[2001:db8::1]" },
	{ "v=spf1 include:x.example exists:%{i}.x.example",
	    "include:x.example exists:%{i}.x.example" },
	{ "v=spf1 include", "bad argument: include" },
	{ "v=spf1 include=x.example", "other:x.example" },
	{ "v=spf1 all:x.example", "bad argument: all:x.example" },
	{ "v=spf1 all=x", "other:x" },
	{ "v=spf1 redirect=x.example exp=y.example", "redirect:x.example exp:y.example" },
	{ "v=spf1 redirect:x.example", "unknown mechanism: redirect:x.example" },
	{ "v=spf1 -redirect=x.example", "unknown mechanism: -redirect=x.example" },
	{ "v=spf1 REDIRECT=x.example redirect=y.example", "given twice: redirect=y.example" },
	{ "v=spf1 foo=%{d foo=", "bad argument: foo=%{d" },
	{ "v=spf1 foo= foo=bar", "other: other:bar" },
	{ "v=spf1 -", "unknown mechanism: -" },
	{ "v=spf1 --all", "unknown mechanism: --all" },
	{ "v=spf1 aa", "unknown mechanism: aa" },
	{ "v=spf1 a.", "bad argument: a." },
	{ "v=spf1 a:x.example\t-all", "octets that are not printable ASCII: a:x.example\t-all" },
	{ "v=spf1 a:\x80.example", "octets that are not printable ASCII: a:\x80.example" },
	{ "v=spf1 all\x7f", "octets that are not printable ASCII: all\x7f" },
	{ "v=spf1 a:.", "bad argument: a:." },
	{ "v=spf1 a:..", "bad argument: a:.." },
	{ "v=spf1 a:example", "bad argument: a:example" },
	{ "v=spf1 a:x.example.", "a:x.example." },
	{ "v=spf1 a:x.example..", "bad argument: a:x.example.." },
	{ "v=spf1 a:x.-example", "bad argument: a:x.-example" },
	{ "v=spf1 a:x.example-", "bad argument: a:x.example-" },
	{ "v=spf1 a:x.123", "bad argument: a:x.123" },
	{ "v=spf1 a:x.1-3 a:x.1a3", "a:x.1-3 a:x.1a3" },
	{ "v=spf1 a:x.%{d} a:%{d}.example", "a:x.%{d} a:%{d}.example" },
	{ "v=spf1 a:x.%{d}y", "bad argument: a:x.%{d}y" },
	{ "v=spf1 a:x.example%%", "a:x.example%%" },
	{ "v=spf1 a:x%.example", "bad argument: a:x%.example" },
	{ "v=spf1 a:x.%{d0}", "bad argument: a:x.%{d0}" },
	{ "v=spf1 a:x.%{d999999999999999999999r}", "a:x.%{d999999999999999999999r}" },
	{ "v=spf1 a:x.%{drr}", "bad argument: a:x.%{drr}" },
	{ "v=spf1 a:x.%{dr2}", "bad argument: a:x.%{dr2}" },
	{ "v=spf1 a:x.%{d!}", "bad argument: a:x.%{d!}" },
	{ "v=spf1 a:x.%{z}", "bad argument: a:x.%{z}" },
	{ "v=spf1 a:x.%{t}", "bad argument: a:x.%{t}" },
	{ "v=spf1 a:x.%{", "bad argument: a:x.%{" },
	{ "v=spf1 a:x.%", "bad argument: a:x.%" },
	{ "v=spf1 a:%{}", "bad argument: a:%{}" },
};

static void
reads_records(void)
{
	for (size_t i = 0; i < T_COUNT(records); i++) {
		t_row = records[i].text;
		T_EQ_STR(read_record(strv_z(records[i].text)), records[i].want);
	}
}

/* Cut at every octet, in memory of exactly that size: whatever it says, it says it. */
static void
reads_records_cut_anywhere(void)
{
	for (size_t i = 0; i < T_COUNT(records); i++) {
		for (size_t n = 0; n <= strlen(records[i].text); n++) {
			char *copy = malloc(n + (n == 0));

			memcpy(copy, records[i].text, n);
			T_CHECK(read_record(strv(copy, n)) != NULL);
			free(copy);
		}
	}
}

static void
holds_nuls_for_a_mistake(void)
{
	T_EQ_TEXT(strv_z(read_record(strv("v=spf1 a\0 all", 13))),
	    "octets that are not printable ASCII: a");
	T_EQ_STR(read_record(strv("v=spf1\0all", 10)), "no record");
	T_EQ_STR(read_record(strv("v=spf1 \0", 8)), "octets that are not printable ASCII: ");
}

/* ---- macros ---- */

static struct spf_macros
who(const char *ip)
{
	struct spf_macros m = { .local = SV("strong-bad"),
		.sender = SV("email.example.com"),
		.domain = SV("email.example.com"),
		.helo = SV("mx.Example.org"),
		.validated = SV("mx.example.org"),
		.receiver = SV("mx.ours.example"),
		.seconds = 1700000000 };

	T_CHECK(addr_parse(strv_z(ip), &m.ip));
	return m;
}

/* The examples of RFC 7208 7.4 first. */
static const struct {
	const char *ip, *spec, *want;
} names[] = {
	{ "192.0.2.3", "%{s}", "strong-bad@email.example.com" },
	{ "192.0.2.3", "%{o}", "email.example.com" },
	{ "192.0.2.3", "%{d}", "email.example.com" },
	{ "192.0.2.3", "%{d4}", "email.example.com" },
	{ "192.0.2.3", "%{d3}", "email.example.com" },
	{ "192.0.2.3", "%{d2}", "example.com" },
	{ "192.0.2.3", "%{d1}", "com" },
	{ "192.0.2.3", "%{dr}", "com.example.email" },
	{ "192.0.2.3", "%{d2r}", "example.email" },
	{ "192.0.2.3", "%{l}", "strong-bad" },
	{ "192.0.2.3", "%{l-}", "strong.bad" },
	{ "192.0.2.3", "%{lr}", "strong-bad" },
	{ "192.0.2.3", "%{lr-}", "bad.strong" },
	{ "192.0.2.3", "%{l1r-}", "strong" },
	{ "192.0.2.3", "%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com" },
	{ "192.0.2.3", "%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com" },
	{ "192.0.2.3", "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
	    "bad.strong.lp.3.2.0.192.in-addr._spf.example.com" },
	{ "192.0.2.3", "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
	    "3.2.0.192.in-addr.strong.lp._spf.example.com" },
	{ "192.0.2.3", "%{d2}.trusted-domains.example.net",
	    "example.com.trusted-domains.example.net" },
	{ "2001:db8::cb01", "%{ir}.%{v}._spf.%{d2}",
	    "1.0.B.C.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6._spf.example.com" },
	{ "192.0.2.3", "%{h}", "mx.Example.org" },
	{ "192.0.2.3", "%{p}", "mx.example.org" },
	{ "192.0.2.3", "%{S}", "strong-bad%40email.example.com" },
	{ "192.0.2.3", "%{D2}", "example.com" },
	{ "192.0.2.3", "a%%b%-c.d", "a%b%20c.d" },
	{ "192.0.2.3", "a%_b.d", "a\\032b.d" },
	{ "192.0.2.3", "x.example.", "x.example" },
	{ "192.0.2.3", "%{d127}", "email.example.com" },
	{ "192.0.2.3", "%{d4294967298}", "email.example.com" },
	{ "192.0.2.3", "%{d.-+,/_=}", "email.example.com" },
};

static void
expands_names(void)
{
	struct arena *a = arena_new(1024, 0);

	for (size_t i = 0; i < T_COUNT(names); i++) {
		struct spf_macros m = who(names[i].ip);

		t_row = names[i].spec;
		T_CHECK(spf_macro_valid(strv_z(names[i].spec), false));
		T_EQ_TEXT(spf_macro_name(a, &m, strv_z(names[i].spec)), names[i].want);
	}
	arena_free(a);
}

/* RFC 7208 7.3: what is too long loses labels on the left; RFC 8616 4: 8 bits are in no name. */
static void
expands_odd_names(void)
{
	struct arena     *a = arena_new(1024, 0);
	struct spf_macros m = who("192.0.2.3");
	char              spec[60000];
	struct strv       name;

	for (size_t i = 0; i + 4 < sizeof(spec); i += 5)
		memcpy(spec + i, "%{s}.", 5);
	memcpy(spec + sizeof(spec) - 10, "z.exa.mple", 10);
	name = spf_macro_name(a, &m, strv(spec, sizeof(spec)));
	T_CHECKF(name.n > 253 - 29 && name.n <= 253, "%zu octets", name.n);
	T_CHECK(strv_starts(name, SV("strong-bad@email.")) ||
	    strv_starts(name, SV("example.com.")) || strv_starts(name, SV("com.")));
	T_CHECK(strv_ends(name, SV("z.exa.mple")));
	/* a label that is longer than all */
	memset(spec, 'a', 400);
	T_EQ_TEXT(spf_macro_name(a, &m, strv(spec, 400)), "");
	m.local = SV("b\xc3\xbc"
		     "cher");
	T_EQ_TEXT(spf_macro_name(a, &m, SV("%{l}.x.example")), "");
	T_EQ_TEXT(spf_macro_name(a, &m, SV("%{L}.x.example")), "b%C3%BCcher.x.example");
	m.local = strv("a\0\\b", 4);
	T_EQ_TEXT(spf_macro_name(a, &m, SV("%{l}.x.example")), "a\\000\\092b.x.example");
	m.local = SV("...");
	T_EQ_TEXT(spf_macro_name(a, &m, SV("%{lr}.%{l1}x")), "....x");
	m.local = SV("");
	T_EQ_TEXT(spf_macro_name(a, &m, SV("%{l3r}.x")), ".x");
	arena_free(a);
}

static void
expands_explanations(void)
{
	static const struct {
		const char *spec, *want; /* NULL: not valid */
	} rows[] = {
		{ "", "" },
		{ "See %{c}, %{r}, %{t}.", "See 192.0.2.3, mx.ours.example, 1700000000." },
		{ "100%% of%_it%-", "100% of it%20" },
		{ "50% off", NULL },
		{ "a\tb", NULL },
		{ "caf\xc3\xa9", NULL },
		{ "%{h}", "a  b??c" },
		{ "trailing.", "trailing." },
	};
	struct arena     *a = arena_new(1024, 0);
	struct spf_macros m = who("192.0.2.3");
	char              text[1000];

	m.helo = SV("a\r\nb\xc3\xbc"
		    "c");
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].spec;
		T_EQ_NUM(spf_macro_valid(strv_z(rows[i].spec), true), rows[i].want != NULL);
		if (rows[i].want != NULL)
			T_EQ_TEXT(spf_macro_text(a, &m, strv_z(rows[i].spec)), rows[i].want);
	}
	t_row = NULL;
	memset(text, 'x', sizeof(text));
	T_EQ_NUM(spf_macro_text(a, &m, strv(text, sizeof(text))).n, SPF_EXPLANATION_MAX);
	arena_free(a);
}

/* ---- checks ---- */

struct one {
	struct spf_identity id;
	struct spf_said     said;
	struct strv         text;
	bool                explain, cancelled, second;
	enum spf_second     rc;
	uint64_t            took;
};

static void
run_check(void *arg)
{
	struct one *k = arg;

	if (k->second) {
		k->rc = spf_libspf2_check(stand.a, &k->id, &k->said);
		k->cancelled = k->rc == SPF_SECOND_CANCELLED;
	} else
		k->cancelled = !spf_check(stand.a, &k->id, &k->said);
	if (k->explain && !k->cancelled)
		k->cancelled = !spf_explain(stand.a, &k->id, &k->said, &k->text);
}

static struct one
identity(const char *ip, const char *domain)
{
	struct one k = { .id = { .local = SV("user"),
			     .domain = strv_z(domain),
			     .helo = SV("mx.example.net"),
			     .receiver = SV("mx.ours.example") } };

	if (ip != NULL)
		T_CHECK(addr_parse(strv_z(ip), &k.id.ip));
	return k;
}

static struct one
check(const char *ip, const char *domain)
{
	struct one k = identity(ip, domain);

	k.took = stand_run(run_check, &k);
	return k;
}

#define T_SAYS(k, want) \
	T_CHECKF((k).said.says == (want), "it says %s (%.*s), want %s", \
	    spf_says_name((k).said.says), (int)(k).said.by.n, (k).said.by.p, spf_says_name(want))

/* zone: of example.org and what it names. */
static const struct {
	const char   *title, *ip, *domain, *zone;
	enum spf_says says;
	const char   *by;
} checks[] = {
	{ "no address", NULL, "example.org", "example.org TXT v=spf1 all", SPF_SAYS_NONE,
	    "the client has no address" },
	{ "no record", "192.0.2.1", "example.org", "", SPF_SAYS_NONE,
	    "TXT example.org: no record" },
	{ "a record of another kind", "192.0.2.1", "example.org",
	    "example.org TXT google-site-verification=1", SPF_SAYS_NONE,
	    "TXT example.org: no record" },
	{ "two", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 all\nexample.org TXT v=spf1 -all", SPF_SAYS_PERMERROR,
	    "TXT example.org: several records" },
	{ "a last dot", "192.0.2.1", "Example.ORG.", "example.org TXT v=spf1 a:%{d} all",
	    SPF_SAYS_PASS, "TXT Example.ORG: all" },
	{ "one label", "192.0.2.1", "localhost", "localhost TXT v=spf1 all", SPF_SAYS_NONE,
	    "no domain that could have a record" },
	{ "an address", "192.0.2.1", "192.0.2.1", "192.0.2.1 TXT v=spf1 all", SPF_SAYS_NONE,
	    "no domain that could have a record" },
	{ "a literal", "192.0.2.1", "[192.0.2.1]", "", SPF_SAYS_NONE,
	    "no domain that could have a record" },
	{ "no domain", "192.0.2.1", "", "", SPF_SAYS_NONE, "no domain that could have a record" },
	{ "a blank", "192.0.2.1", "exam ple.org", "", SPF_SAYS_NONE,
	    "no domain that could have a record" },
	{ "SERVFAIL", "192.0.2.1", "example.org", "example.org SERVFAIL", SPF_SAYS_TEMPERROR,
	    "TXT example.org: no answer" },
	{ "no answer", "192.0.2.1", "example.org", "example.org TIMEOUT", SPF_SAYS_TEMPERROR,
	    "TXT example.org: no answer" },
	{ "a CNAME loop", "192.0.2.1", "example.org",
	    "example.org CNAME a.example.org\na.example.org CNAME example.org", SPF_SAYS_TEMPERROR,
	    "TXT example.org: no answer" },
	{ "a CNAME", "192.0.2.1", "example.org",
	    "example.org CNAME a.example.org\na.example.org TXT v=spf1 -all", SPF_SAYS_FAIL,
	    "TXT example.org: -all" },
	{ "an include that decides", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 include:i.example.org -all\ni.example.org TXT v=spf1 ip4:192.0.2.0/24",
	    SPF_SAYS_PASS,
	    "TXT i.example.org: ip4:192.0.2.0/24 (include:i.example.org of example.org)" },
	{ "an include that is no record", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 include:i.example.org -all", SPF_SAYS_PERMERROR,
	    "TXT i.example.org: no record (include:i.example.org of example.org)" },
	{ "an include of SERVFAIL", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 include:i.example.org -all\ni.example.org SERVFAIL",
	    SPF_SAYS_TEMPERROR,
	    "TXT i.example.org: no answer (include:i.example.org of example.org)" },
	{ "a mistake behind what matches", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 ip4:192.0.2.1 moo", SPF_SAYS_PERMERROR,
	    "TXT example.org: unknown mechanism: moo" },
	{ "nothing matches", "192.0.2.1", "example.org", "example.org TXT v=spf1 ip4:192.0.2.2",
	    SPF_SAYS_NEUTRAL, "TXT example.org: no term matches" },
	{ "a redirect to nowhere", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 redirect=n.example.org", SPF_SAYS_PERMERROR,
	    "TXT n.example.org: no record" },
	{ "a redirect to a malformed name", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 redirect=a..example.org", SPF_SAYS_PERMERROR,
	    "no domain that could have a record" },
	{ "a redirect to SERVFAIL", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 redirect=n.example.org\nn.example.org SERVFAIL",
	    SPF_SAYS_TEMPERROR, "TXT n.example.org: no answer" },
	{ "a redirect to what cannot be asked", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 redirect=n.example.org\nn.example.org TXT v=spf1 a:a.example.org -all\n"
	    "a.example.org SERVFAIL",
	    SPF_SAYS_TEMPERROR, "TXT n.example.org: no answer from the DNS: a:a.example.org" },
	{ "a redirect inside an include", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 include:i.example.org -all\ni.example.org TXT v=spf1 redirect=n.example.org\n"
	    "n.example.org TXT v=spf1 ip4:192.0.2.1",
	    SPF_SAYS_PASS,
	    "TXT n.example.org: ip4:192.0.2.1 (include:i.example.org of example.org)" },
	{ "an include of an include that says no, and more terms behind", "192.0.2.1",
	    "example.org",
	    "example.org TXT v=spf1 include:i.example.org ip4:192.0.2.1 -all\n"
	    "i.example.org TXT v=spf1 include:n.example.org ip4:192.0.2.3 -all\nn.example.org TXT v=spf1 ~all",
	    SPF_SAYS_PASS, "TXT example.org: ip4:192.0.2.1" },
	{ "itself, for ever", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 redirect=example.org", SPF_SAYS_PERMERROR,
	    "TXT example.org: more than 10 terms that look up: redirect" },
	{ "a mechanism that cannot be asked", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 mx:m.example.org -all\nm.example.org SERVFAIL",
	    SPF_SAYS_TEMPERROR, "TXT example.org: no answer from the DNS: mx:m.example.org" },
	{ "an MX whose address cannot be had", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 mx -all\nexample.org MX 1 m.example.org\nm.example.org SERVFAIL",
	    SPF_SAYS_TEMPERROR, "TXT example.org: no answer from the DNS: mx" },
	{ "but not behind the one that matches", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 mx -all\nexample.org MX 2 m.example.org\nm.example.org SERVFAIL\n"
	    "example.org MX 1 n.example.org\nn.example.org A 192.0.2.1",
	    SPF_SAYS_PASS, "TXT example.org: mx" },
	{ "a null MX", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 mx -all\nexample.org MX 0 .", SPF_SAYS_FAIL,
	    "TXT example.org: -all" },
	{ "two that find nothing", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 a:a.example.org exists:b.example.org -all", SPF_SAYS_FAIL,
	    "TXT example.org: -all" },
	{ "three, one of them in an include", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 a:a.example.org include:i.example.org mx:c.example.org -all\n"
	    "i.example.org TXT v=spf1 exists:b.example.org",
	    SPF_SAYS_PERMERROR,
	    "TXT example.org: more than 2 look-ups that find nothing: mx:c.example.org" },
	{ "a name with a blank", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 exists:a%_b.example.org -all\na\\032b.example.org A 127.0.0.2",
	    SPF_SAYS_PASS, "TXT example.org: exists:a%_b.example.org" },
	{ "ptr without an answer", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa SERVFAIL", SPF_SAYS_FAIL,
	    "TXT example.org: -all" },
	{ "ptr that does not come back", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR m.example.org\nm.example.org A 192.0.2.2",
	    SPF_SAYS_FAIL, "TXT example.org: -all" },
	{ "ptr below another name that ends alike", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR badexample.org\nbadexample.org A 192.0.2.1",
	    SPF_SAYS_FAIL, "TXT example.org: -all" },
	{ "IPv6 and ip4, /0", "2001:db8::1", "example.org",
	    "example.org TXT v=spf1 ip4:192.0.2.0/0 -all", SPF_SAYS_FAIL, "TXT example.org: -all" },
	{ "IPv4 and ip6, /0", "192.0.2.1", "example.org",
	    "example.org TXT v=spf1 ip6:::/0 ip6:::ffff:192.0.2.1 -all", SPF_SAYS_FAIL,
	    "TXT example.org: -all" },
	{ "a mapped network that holds all", "2001:db8::1", "example.org",
	    "example.org TXT v=spf1 ip6:::ffff:192.0.2.1/0 -all", SPF_SAYS_PASS,
	    "TXT example.org: ip6:::ffff:192.0.2.1/0" },
};

static void
checks_hosts(void)
{
	for (size_t i = 0; i < T_COUNT(checks); i++) {
		struct one k;

		t_row = checks[i].title;
		stand_begin();
		stand.delay = 10;
		stand_zone(checks[i].zone);
		k = check(checks[i].ip, checks[i].domain);
		T_SAYS(k, checks[i].says);
		T_EQ_TEXT(k.said.by, checks[i].by);
		stand_end();
	}
}

/* ---- what attackers publish ---- */

/* Includes that fork: without one count for the whole it would be thousands of questions. */
static void
counts_over_includes(void)
{
	struct one k;

	stand_begin();
	stand_zone("example.org TXT v=spf1 include:a.example.org include:b.example.org -all\n"
		   "a.example.org TXT v=spf1 include:b.example.org include:c.example.org\n"
		   "b.example.org TXT v=spf1 include:c.example.org include:d.example.org\n"
		   "c.example.org TXT v=spf1 include:d.example.org include:d.example.org\n"
		   "d.example.org TXT v=spf1 exists:e.example.org\n"
		   "e.example.org A 127.0.0.2\n"
		   "f.example.org TXT v=spf1 include:f.example.org include:f.example.org\n"
		   "g.example.org TXT v=spf1 include:%{d}.h.example.org -all\n"
		   "*.h.example.org TXT v=spf1 include:%{d}.h.example.org");
	k = check("192.0.2.1", "f.example.org");
	T_SAYS(k, SPF_SAYS_PERMERROR);
	T_EQ_NUM(stand.asked, 11);
	stand.asked = 0;
	k = check("192.0.2.1", "g.example.org");
	T_SAYS(k, SPF_SAYS_PERMERROR);
	T_EQ_NUM(stand.asked, 11);
	k = check("192.0.2.1", "example.org");
	T_SAYS(k, SPF_SAYS_PASS);
	T_EQ_NUM(k.said.terms, 5);
	stand_end();
}

/* Ten terms of ten names each, none of which is there: a bounded bomb. */
static void
bounds_its_questions(void)
{
	struct one k;
	char       zone[20000];
	size_t     n = 0;

	stand_begin();
	n += (size_t)snprintf(zone, sizeof(zone),
	    "example.org TXT v=spf1 mx:m0.example.org mx:m1.example.org mx:m2.example.org mx:m3.example.org"
	    " mx:m4.example.org mx:m5.example.org mx:m6.example.org mx:m7.example.org mx:m8.example.org ptr -all\n");
	for (int i = 0; i < 9; i++)
		for (int j = 0; j < 10; j++)
			n += (size_t)snprintf(zone + n, sizeof(zone) - n,
			    "m%d.example.org MX %d h%d.x.example\n", i, j, j);
	for (int j = 0; j < 30; j++)
		n += (size_t)snprintf(
		    zone + n, sizeof(zone) - n, "1.2.0.192.in-addr.arpa PTR p%d.example\n", j);
	stand_zone(zone);
	k = check("192.0.2.1", "example.org");
	T_SAYS(k, SPF_SAYS_FAIL);
	T_EQ_NUM(stand.asked, 1 + 9 * 11 + 11);
	T_EQ_NUM(k.said.questions, stand.asked);
	/* eleven names of one */
	stand_zone("m0.example.org MX 10 h10.x.example");
	k = check("192.0.2.1", "example.org");
	T_SAYS(k, SPF_SAYS_PERMERROR);
	T_EQ_TEXT(k.said.by, "TXT example.org: more than 10 names of an mx: mx:m0.example.org");
	stand_end();
}

/* However slowly it is answered: twenty seconds, then temperror, and nothing is asked any more. */
static void
ends_in_time(void)
{
	static const char *const zones[] = {
		"example.org TXT v=spf1 a:a.example.org a:b.example.org a:c.example.org a:d.example.org -all\n"
		"a.example.org A 192.0.2.7\nb.example.org A 192.0.2.7\nc.example.org A 192.0.2.7\nd.example.org A 192.0.2.7",
		"example.org TXT v=spf1 include:a.example.org -all\na.example.org TXT v=spf1 include:b.example.org\n"
		"b.example.org TXT v=spf1 include:c.example.org\nc.example.org TXT v=spf1 include:d.example.org\n"
		"d.example.org TXT v=spf1 all",
		"example.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR a.example\n1.2.0.192.in-addr.arpa PTR b.example\n"
		"1.2.0.192.in-addr.arpa PTR c.example",
		"example.org TXT v=spf1 exists:%{p}.example.org a:x.example.org -all\n1.2.0.192.in-addr.arpa PTR a.example\n"
		"1.2.0.192.in-addr.arpa PTR b.example",
	};

	for (size_t i = 0; i < T_COUNT(zones); i++) {
		for (int second = 0; second <= spf_libspf2_here(); second++) {
			struct one k = identity("192.0.2.1", "example.org");

			t_row = zones[i];
			k.second = second;
			stand_begin();
			stand.delay = 6000;
			stand_zone(zones[i]);
			k.took = stand_run(run_check, &k);
			T_SAYS(k, SPF_SAYS_TEMPERROR);
			T_CHECKF(k.took == SPF_TIME, "it took %" PRIu64, k.took);
			stand_end();
		}
	}
}

/* The one who asks has less time than a check may take: what is left undone is no fail. */
static void
run_hurried(void *arg)
{
	fiber_self()->deadline = loop_now(fiber_loop()) + 3000;
	run_check(arg);
}

static void
keeps_to_the_fibers_time(void)
{
	struct one k = identity("192.0.2.1", "example.org");

	stand_begin();
	stand.delay = 2000;
	stand_zone("example.org TXT v=spf1 ptr -all\n1.2.0.192.in-addr.arpa PTR a.example");
	k.took = stand_run(run_hurried, &k);
	T_SAYS(k, SPF_SAYS_TEMPERROR);
	T_EQ_NUM(k.took, 3000);
	stand_end();
}

static void
ends_when_cancelled(void)
{
	for (int second = 0; second <= spf_libspf2_here(); second++) {
		struct one k = identity("192.0.2.1", "example.org");

		k.second = second;
		stand_begin();
		stand.delay = 1000;
		stand_zone(
		    "example.org TXT v=spf1 a:a.example.org a:b.example.org -all\na.example.org A 192.0.2.7");
		stand.fn = run_check;
		stand.arg = &k;
		T_CHECK(fiber_start(stand.pool, "test", stand_fiber, NULL) != NULL);
		while (stand_step(2500))
			;
		T_EQ_NUM(stand.asked, 2);
		fiber_cancel(stand.fiber);
		while (!stand.over && stand_step(2500))
			;
		T_CHECK(stand.over && k.cancelled);
		T_EQ_NUM(stand.asked, 2);
		stand_end();
	}
}

/* ---- answers that lie ---- */

static struct strv
cut_packet(struct arena *a, const char *name, uint16_t type)
{
	bool        timeout;
	struct strv v = dns_table_answer(stand.dns, a, name, type, &timeout);

	return strv_first(v, v.n - 3);
}

/* Asked for example.org it says something of another name, too. */
static struct strv
other_name(struct arena *a, const char *name, uint16_t type)
{
	struct dns_record r = { .text = SV("v=spf1 +all") };
	struct dns_packer b;

	dns_pack_begin(&b, a, name, type);
	T_CHECK(dns_pack_add(&b, "other.example", type, 300, &r));
	return dns_pack_end(&b, DNS_OK);
}

static struct strv
noise(struct arena *a, const char *name, uint16_t type)
{
	(void)a, (void)name, (void)type;
	return SV("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
}

static void
hears_no_lies(void)
{
	static struct strv (*const liars[])(
	    struct arena *, const char *, uint16_t) = { cut_packet, noise };
	struct one k;

	for (size_t i = 0; i < T_COUNT(liars); i++) {
		stand_begin();
		stand_zone("example.org TXT v=spf1 -all");
		stand.hostile = liars[i];
		k = check("192.0.2.1", "example.org");
		T_SAYS(k, SPF_SAYS_TEMPERROR);
		stand_end();
	}
	stand_begin();
	stand.hostile = other_name;
	k = check("192.0.2.1", "example.org");
	T_SAYS(k, SPF_SAYS_NONE);
	stand_end();
}

/* ---- long records ---- */

static char long_record[60000];

static const char *
fill(const char *first, const char *again, const char *last)
{
	static char line[sizeof(long_record) + 20];
	size_t      n = (size_t)snprintf(long_record, sizeof(long_record), "%s", first);

	while (n + strlen(again) + strlen(last) + 1 < sizeof(long_record))
		n += (size_t)snprintf(long_record + n, sizeof(long_record) - n, "%s", again);
	snprintf(long_record + n, sizeof(long_record) - n, "%s", last);
	snprintf(line, sizeof(line), "example.org TXT %s", long_record);
	return line;
}

static void
takes_long_records(void)
{
	static const struct {
		const char   *first, *again, *last;
		enum spf_says says;
		unsigned      asked;
	} rows[] = {
		{ "v=spf1", " ip4:198.51.100.1", " -all", SPF_SAYS_FAIL, 1 },
		{ "v=spf1", " ip4:198.51.100.1", " ip4:192.0.2.1 -all", SPF_SAYS_PASS, 1 },
		{ "v=spf1", " a", " -all", SPF_SAYS_PERMERROR, 1 + 2 + 1 },
		{ "v=spf1", " include:i.example.org", " -all", SPF_SAYS_PERMERROR, 11 },
		{ "v=spf1", " x=", " -all", SPF_SAYS_FAIL, 1 },
		{ "v=spf1", " ", "-all", SPF_SAYS_FAIL, 1 },
		{ "v=spf1 exists:", "%{l}.", "example.org -all", SPF_SAYS_FAIL, 2 },
		{ "v=spf1 exists:", "a", ".example.org -all", SPF_SAYS_FAIL, 2 },
		{ "v=spf1 x", "x", " -all", SPF_SAYS_PERMERROR, 1 },
		{ "v=spf1 a:", "%{s}", " -all", SPF_SAYS_FAIL, 2 },
		{ "v=spf1 a:", "/", " -all", SPF_SAYS_PERMERROR, 1 },
		{ "v=spf1 a:", "%", "x -all", SPF_SAYS_PERMERROR, 1 },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		for (int second = 0; second <= spf_libspf2_here(); second++) {
			struct one k = identity("192.0.2.1", "example.org");

			t_row = rows[i].again;
			k.second = second;
			stand_begin();
			stand_zone(fill(rows[i].first, rows[i].again, rows[i].last));
			stand_zone("i.example.org TXT v=spf1 ip4:198.51.100.1");
			(void)stand_run(run_check, &k);
			/* our parser comes first: then a record of that length is not for the library */
			if (second && rows[i].says != SPF_SAYS_PERMERROR)
				T_EQ_NUM(k.rc, SPF_SECOND_NOT);
			else if (!second) {
				T_SAYS(k, rows[i].says);
				T_CHECKF(stand.asked <= rows[i].asked, "%u asked", stand.asked);
			}
			T_CHECKF(k.said.by.n < 200, "%zu octets are told", k.said.by.n);
			stand_end();
		}
	}
}

/* ---- explanations ---- */

static void
explains(void)
{
	/* clang-format off */
	static const struct {
		const char *zone, *want; /* NULL: nothing */
	} rows[] = {
		{ "example.org TXT v=spf1 -all", NULL },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TXT %{i} is not one of %{d}",
		    "192.0.2.1 is not one of example.org" },
		/* not of a record that includes another, nor of one that redirects */
		{ "example.org TXT v=spf1 -include:i.example.org exp=e.example.org\n"
		    "i.example.org TXT v=spf1 all exp=i2.example.org\ni2.example.org TXT wrong\ne.example.org TXT right", "right" },
		{ "example.org TXT v=spf1 redirect=r.example.org exp=e.example.org\n"
		    "r.example.org TXT v=spf1 -all\ne.example.org TXT wrong", NULL },
		{ "example.org TXT v=spf1 redirect=r.example.org\n"
		    "r.example.org TXT v=spf1 -all exp=%{d}.e.example.org\nr.example.org.e.example.org TXT of %{d} for %{o}",
		    "of r.example.org for example.org" },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org SERVFAIL", NULL },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TIMEOUT", NULL },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TXT a\ne.example.org TXT b", NULL },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TXT 50% off", NULL },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TXT \x80", NULL },
		{ "example.org TXT v=spf1 -all exp=%{p}.example.org\nunknown.example.org TXT by %{p}", "by unknown" },
		{ "example.org TXT v=spf1 -all exp=e.example.org\ne.example.org TXT %{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}%{s}",
		    "user@example.orguser@example.orguser@example.orguser@example.orguser@example.orguser@example.orguser@example.org"
		    "user@example.orguser@example.orguser@example.orguser@example.orguser@example.orguser@exa" },
		{ "example.org TXT v=spf1 ~all exp=e.example.org\ne.example.org TXT no fail", NULL },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct one k = identity("192.0.2.1", "example.org");

		t_row = rows[i].zone;
		k.explain = true;
		stand_begin();
		stand.delay = 10;
		stand_zone(rows[i].zone);
		(void)stand_run(run_check, &k);
		T_EQ_TEXT(k.text, rows[i].want);
		T_EQ_NUM(k.text.p == NULL, rows[i].want == NULL);
		stand_end();
	}
}

/* ---- libspf2, behind its guard ---- */

static void
fences_libspf2(void)
{
	/* clang-format off */
	static const struct {
		const char *ip, *local, *zone;
		enum spf_second rc;
		enum spf_says says;
		unsigned asked; /* at most */
	} rows[] = {
		{ "192.0.2.1", "user", "example.org TXT v=spf1 ip4:192.0.2.1 -all", SPF_SECOND_SAID, SPF_SAYS_PASS, 1 },
		{ "192.0.2.2", "user", "example.org TXT v=spf1 ip4:192.0.2.1 -all", SPF_SECOND_SAID, SPF_SAYS_FAIL, 1 },
		{ "2001:db8::1", "user", "example.org TXT v=spf1 a -all\nexample.org AAAA 2001:db8::1", SPF_SECOND_SAID,
		    SPF_SAYS_PASS, 2 },
		{ "192.0.2.2", "user", "", SPF_SECOND_SAID, SPF_SAYS_NONE, 1 },
		{ "192.0.2.2", "user", "example.org SERVFAIL", SPF_SECOND_SAID, SPF_SAYS_TEMPERROR, 1 },
		{ "192.0.2.2", "user", "example.org TIMEOUT", SPF_SECOND_SAID, SPF_SAYS_TEMPERROR, 1 },
		/* it would let loopback pass */
		{ "127.0.0.1", "user", "example.org TXT v=spf1 -all", SPF_SECOND_NOT, SPF_SAYS_NONE, 0 },
		{ "::1", "user", "example.org TXT v=spf1 -all", SPF_SECOND_NOT, SPF_SAYS_NONE, 0 },
		{ "192.0.2.2", "b\xc3\xbc", "example.org TXT v=spf1 exists:%{L}.example.org -all", SPF_SECOND_NOT, SPF_SAYS_NONE, 0 },
		/* it cannot read this */
		{ "192.0.2.2", "user", "example.org TXT v=spf1 ip4:192.0.2.1/0 -all", SPF_SECOND_NOT, SPF_SAYS_NONE, 1 },
		/* our parser refuses this */
		{ "192.0.2.1", "user", "example.org TXT v=spf1 ip4:192.0.2.1 moo", SPF_SECOND_SAID, SPF_SAYS_PERMERROR, 1 },
		/* this makes it abort where it sees it */
		{ "192.0.2.2", "user", "example.org TXT v=spf1 -all exp=%{S}%{S}%{S}%{S}%{S}%{S}%{S}%{S}.example.org",
		    SPF_SECOND_SAID, SPF_SAYS_FAIL, 1 },
		/* and this would be asked half a million times */
		{ "192.0.2.2", "user", "example.org TXT v=spf1 include:a.example.org include:b.example.org -all\n"
		    "a.example.org TXT v=spf1 include:c.example.org include:c.example.org include:d.example.org include:d.example.org\n"
		    "b.example.org TXT v=spf1 include:c.example.org include:c.example.org include:d.example.org include:d.example.org\n"
		    "c.example.org TXT v=spf1 include:d.example.org include:e.example.org include:d.example.org include:e.example.org\n"
		    "d.example.org TXT v=spf1 include:e.example.org include:e.example.org include:e.example.org include:e.example.org\n"
		    "e.example.org TXT v=spf1 a:x.example.org\nx.example.org A 192.0.2.7", SPF_SECOND_SAID, SPF_SAYS_PERMERROR, 12 },
		{ "192.0.2.2", "user", "example.org TXT v=spf1 a:a.example.org a:b.example.org a:c.example.org -all",
		    SPF_SECOND_SAID, SPF_SAYS_PERMERROR, 4 },
		{ "192.0.2.2", "user", "example.org TXT v=spf1 a:a.example.org a:b.example.org -all", SPF_SECOND_SAID,
		    SPF_SAYS_FAIL, 3 },
		{ "192.0.2.1", "user", "example.org TXT v=spf1 mx -all\nexample.org MX 1 a.example.org\n"
		    "example.org MX 2 b.example.org\nb.example.org A 192.0.2.1", SPF_SECOND_SAID, SPF_SAYS_PASS, 4 },
		{ "192.0.2.1", "a b", "example.org TXT v=spf1 exists:%{l}.example.org -all\na\\032b.example.org A 127.0.0.2",
		    SPF_SECOND_SAID, SPF_SAYS_PASS, 2 },
	};
	/* clang-format on */

	for (size_t i = 0; spf_libspf2_here() && i < T_COUNT(rows); i++) {
		struct one k = identity(rows[i].ip, "example.org");

		t_row = rows[i].zone;
		k.second = true;
		k.id.local = strv_z(rows[i].local);
		stand_begin();
		stand.delay = 1;
		stand_zone(rows[i].zone);
		(void)stand_run(run_check, &k);
		T_EQ_NUM(k.rc, rows[i].rc);
		if (rows[i].rc == SPF_SECOND_SAID)
			T_SAYS(k, rows[i].says);
		T_CHECKF(stand.asked <= rows[i].asked, "%u asked", stand.asked);
		stand_end();
	}
	if (!spf_libspf2_here())
		T_SKIP("libspf2 is not in this build");
}

/* As deep as ten terms go, on the stack that fibers have: an overflow ends the test. */
static void
goes_deep(void)
{
	char   zone[4000];
	size_t n = 0;

	for (int i = 0; i < 9; i++)
		n += (size_t)snprintf(zone + n, sizeof(zone) - n,
		    "i%d.example.org TXT v=spf1 include:i%d.%%{d2} -all\n", i, i + 1);
	snprintf(zone + n, sizeof(zone) - n,
	    "i9.example.org TXT v=spf1 mx -all\ni9.example.org MX 1 m.example.org\nm.example.org A 192.0.2.1");
	for (int second = 0; second <= spf_libspf2_here(); second++) {
		struct one k = identity("192.0.2.1", "i0.example.org");

		k.second = second;
		stand_begin();
		stand.delay = 1;
		stand_zone(zone);
		(void)stand_run(run_check, &k);
		T_SAYS(k, SPF_SAYS_PASS);
		T_EQ_NUM(k.said.terms, 10);
		T_EQ_NUM(stand.asked, 12);
		stand_end();
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(reads_records);
	T_RUN(reads_records_cut_anywhere);
	T_RUN(holds_nuls_for_a_mistake);
	T_RUN(expands_names);
	T_RUN(expands_odd_names);
	T_RUN(expands_explanations);
	T_RUN(checks_hosts);
	T_RUN(counts_over_includes);
	T_RUN(bounds_its_questions);
	T_RUN(ends_in_time);
	T_RUN(keeps_to_the_fibers_time);
	T_RUN(ends_when_cancelled);
	T_RUN(hears_no_lies);
	T_RUN(takes_long_records);
	T_RUN(explains);
	T_RUN(goes_deep);
	T_RUN(fences_libspf2);
	return t_end();
}
