/*
 * t_policy -- the policy decides: the relay gate, expressions in three values; what is printed of it.
 *
 * What parses and what is told of mistakes stands in tests/policy/good and bad.
 */
#include <time.h>

#include "proxy/base/buf.h"
#include "tests/policy/same.h"
#include "tests/policy/stranger.h"

static struct strv
said(const struct verdict *v)
{
	if (v->kind == VERDICT_NONE)
		return SV("taken");
	return arena_printf(arena, "%s %u %s by %.*s", verdict_word(v->kind), v->code, v->enh,
	    (int)v->by.n, v->by.p);
}

#define DENIED "reject 550 5.7.1 by relay"
#define ROUTED "reject 550 5.1.3 by relay"
#define UNSURE "tempfail 451 4.4.3 by relay"
#define TAKEN  "taken"

#define LISTS \
	"networks mynets { 127.0.0.0/8, 192.0.2.0/24, 2001:db8::/32 }\n" \
	"domains ours { ours.example, .ours.example, [192.0.2.25], [IPv6:2001:db8::25] }\n" \
	"addresses vips { boss@vip.example, @all.example, \"\\\"a b\\\"@vip.example\" }\n"

/* ---- the gate ---- */

struct gate_row {
	const char *name, *relay; /* inside of relay { } */
	const char *to, *client, *want;
	const char *user; /* authenticated as; NULL: not */
	bool        tls;
	uint64_t    unknown; /* facts that cannot be found out */
};

#define BIT(fact) ((uint64_t)1 << CANNED_##fact)

/* clang-format off */
static const struct gate_row gate_rows[] = {
	{ "nothing is listed", "", "u@ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "postmaster without a domain passes", "", "postmaster", NULL, TAKEN, NULL, 0, 0 },
	{ "in any case", "", "PostMaster", NULL, TAKEN, NULL, 0, 0 },
	{ "another one without a domain does not", "allow to ours", "u", NULL, DENIED, NULL, 0, 0 },
	{ "nor by the name of the list", "allow to { ours.example }", "ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "our domain", "allow to ours", "u@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "case does not count", "allow to ours", "u@OURS.Example", NULL, TAKEN, NULL, 0, 0 },
	{ "a sub-domain", "allow to ours", "u@a.b.ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "not a longer name", "allow to ours", "u@notours.example", NULL, DENIED, NULL, 0, 0 },
	{ "sub-domains alone", "allow to { .ours.example }", "u@ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "the domain alone", "allow to { ours.example }", "u@a.ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "a foreign domain", "allow to ours", "victim@foreign.example", NULL, DENIED, NULL, 0, 0 },
	{ "an address literal", "allow to ours", "u@[192.0.2.25]", NULL, TAKEN, NULL, 0, 0 },
	{ "another literal", "allow to ours", "u@[192.0.2.26]", NULL, DENIED, NULL, 0, 0 },
	{ "a literal in other words", "allow to ours", "u@[IPv6:2001:0DB8:0::25]", NULL, TAKEN, NULL, 0, 0 },
	{ "a listed address", "allow to vips", "boss@vip.example", NULL, TAKEN, NULL, 0, 0 },
	{ "its extension", "allow to vips", "boss+x@vip.example", NULL, TAKEN, NULL, 0, 0 },
	{ "its neighbour", "allow to vips", "bos@vip.example", NULL, DENIED, NULL, 0, 0 },
	{ "all of a domain", "allow to vips", "anybody@all.example", NULL, TAKEN, NULL, 0, 0 },
	{ "a quoted local part", "allow to vips", "\"a b\"@vip.example", NULL, TAKEN, NULL, 0, 0 },
	{ "quotes do not hide", "allow to vips", "\"boss\"@vip.example", NULL, TAKEN, NULL, 0, 0 },
	{ "a set of both kinds", "allow to { a.example, u@b.example }", "u@b.example", NULL, TAKEN, NULL, 0, 0 },
	{ "a set, the other kind", "allow to { a.example, u@b.example }", "x@a.example", NULL, TAKEN, NULL, 0, 0 },
	{ "an empty set", "allow to { }", "x@a.example", NULL, DENIED, NULL, 0, 0 },
	{ "a listed network", "allow from mynets", "v@foreign.example", "192.0.2.77", TAKEN, NULL, 0, 0 },
	{ "its edge", "allow from mynets", "v@foreign.example", "192.0.3.0", DENIED, NULL, 0, 0 },
	{ "IPv6", "allow from mynets", "v@foreign.example", "2001:db8:1::1", TAKEN, NULL, 0, 0 },
	{ "mapped IPv4 is IPv4", "allow from mynets", "v@foreign.example", "::ffff:192.0.2.1", TAKEN, NULL, 0, 0 },
	{ "a set of networks", "allow from { 10.0.0.1-10.0.0.3 }", "v@foreign.example", "10.0.0.3", TAKEN, NULL, 0, 0 },
	{ "from and to are both needed", "allow from mynets to ours", "v@foreign.example", "192.0.2.1", DENIED, NULL, 0, 0 },
	{ "from and to", "allow from mynets to ours", "u@ours.example", "192.0.2.1", TAKEN, NULL, 0, 0 },
	{ "one of several lines", "allow to ours allow from mynets", "v@foreign.example", "192.0.2.1", TAKEN, NULL, 0, 0 },
	{ "authenticated", "allow authenticated", "v@foreign.example", NULL, TAKEN, "u", 0, 0 },
	{ "not authenticated", "allow authenticated", "v@foreign.example", NULL, DENIED, NULL, 0, 0 },
	{ "authenticated in the clear", "allow authenticated over tls", "v@foreign.example", NULL, DENIED, "u", 0, 0 },
	{ "authenticated over TLS", "allow authenticated over tls", "v@foreign.example", NULL, TAKEN, "u", 1, 0 },
	{ "TLS alone is nothing", "allow authenticated over tls", "v@foreign.example", NULL, DENIED, NULL, 1, 0 },
	{ "on the listener", "allow to ours on mx", "u@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "on another", "allow to ours on submission", "u@ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "when", "allow to ours when helo is mx.out.example", "u@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "when not", "allow to ours when helo is not mx.out.example", "u@ours.example", NULL, DENIED, NULL, 0, 0 },
	/* RFC 5321 4.1.2, appendix C and F.2: local parts that some MTA would route by */
	{ "a percent sign", "allow to ours", "x%foreign.example@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a bang", "allow to ours", "foreign!x@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a quoted at sign", "allow to ours", "\"x@foreign.example\"@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a quoted pair", "allow to ours", "\"x\\@foreign.example\"@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a pipe", "allow to ours", "\"|/bin/sh\"@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a leading slash", "allow to ours", "/etc/passwd@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a leading dot", "allow to ours", "\".x\"@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "a slash inside", "allow to ours", "a/b@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "a dot inside", "allow to ours", "a.b@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "a foreign one is foreign first", "allow to ours", "x%y@foreign.example", NULL, DENIED, NULL, 0, 0 },
	{ "by address, too", "allow to { @ours.example }", "x%y@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "even listed by name", "allow to { x%y@ours.example }", "x%y@ours.example", NULL, ROUTED, NULL, 0, 0 },
	{ "from is not affected", "allow from mynets", "x%y@ours.example", "192.0.2.1", TAKEN, NULL, 0, 0 },
	{ "nor authenticated", "allow to ours allow authenticated", "x%y@ours.example", NULL, TAKEN, "u", 0, 0 },
	{ "from and to are", "allow from mynets to ours", "x%y@ours.example", "192.0.2.1", ROUTED, NULL, 0, 0 },
	{ "from fails first", "allow to ours from mynets", "x%y@ours.example", NULL, DENIED, NULL, 0, 0 },
	{ "routing characters allowed", "routing-characters allow allow to ours", "x%y@ours.example", NULL, TAKEN, NULL, 0, 0 },
	{ "allowed behind the line", "allow to ours routing-characters allow", "x!y@ours.example", NULL, TAKEN, NULL, 0, 0 },
	/* unknown counts only where nothing else allows */
	{ "unknown", "allow to ours when helo is x", "u@ours.example", NULL, UNSURE, NULL, 0, BIT(HELO) },
	{ "unknown and a yes", "allow to ours when helo is x allow to ours", "u@ours.example", NULL, TAKEN, NULL, 0, BIT(HELO) },
	{ "a yes and unknown", "allow to ours allow to ours when helo is x", "u@ours.example", NULL, TAKEN, NULL, 0, BIT(HELO) },
	{ "unknown of a line that fails", "allow to ours when helo is x", "u@foreign.example", NULL, DENIED, NULL, 0, BIT(HELO) },
	{ "no behind unknown", "allow when helo is x to ours", "u@foreign.example", NULL, DENIED, NULL, 0, BIT(HELO) },
	{ "an unknown client", "allow from mynets", "u@foreign.example", NULL, UNSURE, NULL, 0, BIT(CLIENT_IP) },
	{ "whether authenticated is unknown", "allow authenticated", "u@foreign.example", NULL, UNSURE, NULL, 0, BIT(AUTHENTICATED) },
	{ "whether TLS is unknown", "allow authenticated over tls", "u@foreign.example", NULL, UNSURE, "u", 0, BIT(TLS) },
	{ "an unknown recipient", "allow to ours", "u@ours.example", NULL, UNSURE, NULL, 0, BIT(RCPT) },
	{ "routed and unknown never match", "allow to ours when helo is x", "x%y@ours.example", NULL, DENIED, NULL, 0, BIT(HELO) },
	{ "unknown before routed", "allow when helo is x allow to ours", "x%y@ours.example", NULL, UNSURE, NULL, 0, BIT(HELO) },
};
/* clang-format on */

static void
gate(void)
{
	T_TABLE(struct gate_row, row, gate_rows)
	{
		struct policy *p;
		struct canned  c;
		struct verdict v;

		t_row = row->name;
		p = load(arena_z(arena, arena_printf(arena, LISTS "relay { %s }\n", row->relay)));
		if (p == NULL)
			continue;
		c = stranger(row->to);
		if (row->client != NULL)
			T_CHECK(addr_parse(strv_z(row->client), &c.v[CANNED_CLIENT_IP].addr));
		c.v[CANNED_AUTHENTICATED].yes = row->user != NULL;
		if (row->tls)
			c.v[CANNED_TLS].text = SV("TLSv1.3");
		c.unknown = row->unknown;
		v = ask(p, &c);
		T_EQ_TEXT(said(&v), row->want);
		T_CHECK(v.kind == VERDICT_NONE || v.text.n > 0);
		policy_free(p);
	}
}

static void
no_block_refuses_all(void)
{
	static const char *const to[] = { "u@ours.example", "postmaster",
		"postmaster@ours.example" };
	struct policy           *p = load("hostname x.example\n");

	for (unsigned i = 0; i < 3; i++) {
		struct canned  c = stranger(to[i]);
		struct verdict v = ask(p, &c);

		T_EQ_TEXT(said(&v), DENIED);
		T_EQ_NUM(c.asks, 0);
	}
	T_CHECK(policy_relays_nothing(p));
	policy_free(p);
	p = load("relay { }\n");
	T_CHECK(!policy_relays_nothing(p));
	policy_free(p);
}

static void
other_stages_have_no_opinion(void)
{
	struct policy     *p = load("relay { }\n");
	struct canned      c = stranger("u@x.example");
	struct facts       f = { .a = arena, .ask = canned_ask, .ctx = &c };
	struct policy_case k = { .a = arena, .facts = &f };

	for (unsigned at = 0; at < STAGE_MAX; at++) {
		struct verdict v = { .kind = VERDICT_REJECT };

		T_EQ_NUM(policy_eval(p, (enum stage)at, 0, &k, &v), WAIT_OK);
		T_EQ_NUM(v.kind, at == STAGE_RCPT ? VERDICT_REJECT : VERDICT_NONE);
	}
	policy_free(p);
}

static void
cancelled(void)
{
	struct policy *p = load(LISTS "relay { allow from mynets allow to ours when helo is x }\n");
	struct canned  c = stranger("u@ours.example");
	struct facts   f = { .a = arena, .ask = canned_ask, .ctx = &c };
	struct policy_case k = { .a = arena, .facts = &f };
	struct verdict     v;

	c.cancel = true;
	T_EQ_NUM(policy_eval(p, STAGE_RCPT, 0, &k, &v), WAIT_CANCELLED);
	T_EQ_NUM(v.kind, VERDICT_NONE);
	T_EQ_NUM(c.asks, 1);
	policy_free(p);
}

/* Each recipient is asked for by its own number, and only what can still matter is asked for. */
static void
asks_no_more_than_it_needs(void)
{
	struct policy *p = load(
	    LISTS "relay { allow to ours allow from mynets when helo is x and size > 5 }\n");
	struct canned c = stranger("u@ours.example");

	ask(p, &c);
	T_EQ_NUM(c.asks, 1);
	set_path(&c, CANNED_RCPT, "u@foreign.example");
	c.asks = 0;
	ask(p, &c);
	T_EQ_NUM(c.asks, 2); /* the recipient, the client */
	addr_parse(SV("127.0.0.1"), &c.v[CANNED_CLIENT_IP].addr);
	c.asks = 0;
	ask(p, &c);
	T_EQ_NUM(c.asks, 3); /* and helo, which settles it */
	policy_free(p);
}

static void
knows_what_it_holds(void)
{
	struct policy *p = load(LISTS "relay { allow from mynets to ours }\n");

	T_CHECK(!policy_edits(p));
	T_CHECK(!policy_reject_at_stage(p));
	policy_free(p);
	p = load("reject-at stage\n");
	T_CHECK(policy_reject_at_stage(p));
	policy_free(p);
	p = load("reject-at rcpt\n");
	T_CHECK(!policy_reject_at_stage(p));
	policy_free(p);
}

/* ---- expressions ---- */

enum { NO, UNKNOWN, YES };

static int
truth_of(const char *expr, struct canned *c)
{
	struct policy *p = load(arena_z(arena,
	    arena_printf(arena,
		LISTS
		"networks used { 10.0.0.0/8 }\nrelay { allow to { x } allow from used on mx allow when %s }\n",
		expr)));
	struct verdict v;

	if (p == NULL)
		return -1;
	v = ask(p, c);
	policy_free(p);
	return v.kind == VERDICT_NONE ? YES : v.kind == VERDICT_TEMPFAIL ? UNKNOWN : NO;
}

struct expr_row {
	const char *expr;
	int         want;
};

/*
 * Of the stranger to u@ours.example: size, auth.user and tls.version are absent, spf is pass,
 * asn has two addresses, dkim.domains two names, client.port is unknown.
 */
/* clang-format off */
static const struct expr_row expr_rows[] = {
	{ "authenticated", NO }, { "not authenticated", YES }, { "not not authenticated", NO },
	{ "client is 198.51.100.9", YES }, { "client is not 198.51.100.9", NO },
	{ "client is 198.51.100.0/24", YES }, { "client is 10.0.0.0/8, 198.51.100.9", YES },
	{ "client.ip = 198.51.100.9", YES }, { "client != 198.51.100.9", NO },
	{ "client in mynets", NO }, { "client not in mynets", YES }, { "not client in mynets", YES },
	{ "client in { 198.51.100.1-198.51.100.9 }", YES }, { "client = { 10.0.0.0/8 }", NO },
	{ "client is absent", NO }, { "client is not absent", YES },
	{ "listener is mx", YES }, { "listener is submission", NO }, { "listener is submission, mx", YES },
	{ "listener is not submission, mx", NO }, { "listener in { mx }", YES }, { "listener is \"0.0.0.0:25\"", NO },
	{ "helo is mx.out.example", YES }, { "helo is MX.out.EXAMPLE", YES }, { "helo = mx.out.example", YES },
	{ "helo != mx.out.example", NO }, { "helo is fqdn", YES }, { "helo is not fqdn", NO }, { "helo is literal", NO },
	{ "helo is literal, fqdn", YES }, { "helo is not literal, fqdn", NO }, { "helo is \"fqdn\"", NO },
	{ "helo in { .out.example }", YES }, { "helo in { out.example }", NO }, { "helo in ours", NO },
	{ "sender is a@out.example", YES }, { "sender is A@OUT.example", YES }, { "sender is b@out.example", NO },
	{ "sender is null", NO }, { "sender is not null", YES }, { "sender is <>", NO }, { "sender is absent", NO },
	{ "sender in { out.example }", YES }, { "sender in { @out.example }", YES }, { "sender in { <> }", NO },
	{ "sender in { a@out.example, <> }", YES }, { "sender in vips", NO }, { "sender in ours", NO },
	{ "sender is fqdn", YES }, { "sender is literal", NO }, { "sender.domain is fqdn", YES },
	{ "sender.local is a", YES }, { "sender.domain in ours", NO }, { "sender.domain = { out.example }", YES },
	{ "rcpt in ours", YES }, { "rcpt is u@ours.example", YES }, { "rcpt is null", NO },
	{ "spf is pass", YES }, { "spf is fail, softfail", NO }, { "spf is not fail, softfail", YES },
	{ "spf in { pass, none }", YES }, { "spf is absent", NO }, { "spf = pass", YES }, { "spf != pass", NO },
	/* absent: a predicate is false, its negation true */
	{ "size > 5", NO }, { "size < 5", NO }, { "not size > 5", YES }, { "size = 5", NO }, { "size != 5", YES },
	{ "size is absent", YES }, { "size is not absent", NO }, { "size is 5", NO }, { "size is not 5", YES },
	{ "auth.user is bob", NO }, { "auth.user is not bob", YES }, { "auth.user in { bob }", NO },
	{ "auth.user not in { bob }", YES }, { "auth.user is absent", YES }, { "auth.user is fqdn", NO },
	{ "auth.user is not fqdn", YES }, { "tls.version is absent", YES }, { "tls.version is TLSv1.3, absent", YES },
	/* unknown: Kleene */
	{ "client.port = 25", UNKNOWN }, { "client.port != 25", UNKNOWN }, { "not client.port = 25", UNKNOWN },
	{ "client.port is absent", UNKNOWN }, { "client.port > 1", UNKNOWN },
	{ "client.port = 25 or spf is pass", YES }, { "spf is pass or client.port = 25", YES },
	{ "client.port = 25 or spf is fail", UNKNOWN }, { "client.port = 25 and spf is fail", NO },
	{ "spf is fail and client.port = 25", NO }, { "client.port = 25 and spf is pass", UNKNOWN },
	{ "not (client.port = 25 and spf is fail)", YES }, { "not (client.port = 25 or spf is fail)", UNKNOWN },
	{ "client.port = 25 or client.port = 26 or spf is pass", YES },
	{ "client.port = 25 and client.port = 26 and spf is fail", NO },
	/* and binds more than or */
	{ "spf is pass or spf is pass and spf is fail", YES }, { "(spf is pass or spf is pass) and spf is fail", NO },
	{ "not spf is fail and spf is fail", NO }, { "not (spf is fail and spf is fail)", YES },
	/* several answers */
	{ "asn is 127.0.0.2", YES }, { "asn = { 127.0.0.9-127.0.0.11 }", YES }, { "asn = { 127.0.0.3-127.0.0.4 }", NO },
	{ "asn is not 127.0.0.2", NO }, { "asn", YES }, { "not asn", NO },
	{ "dkim.domains is b.example", YES }, { "dkim.domains in ours", NO }, { "dkim.domains in { .example }", YES },
	{ "dkim.domains", YES }, { "dkim.domains is not c.example", YES },
};
/* clang-format on */

static struct canned
expr_facts(void)
{
	static struct addr       addrs[2];
	static const struct strv names[] = { { "a.example", 9 }, { "b.example", 9 } };
	struct canned            c = stranger("u@ours.example");

	addr_parse(SV("127.0.0.2"), &addrs[0]);
	addr_parse(SV("127.0.0.10"), &addrs[1]);
	c.v[CANNED_DNSBL].addrs.v = addrs;
	c.v[CANNED_DNSBL].addrs.n = 2;
	c.v[CANNED_RECEIVED].texts.v = names;
	c.v[CANNED_RECEIVED].texts.n = 2;
	c.unknown = BIT(PORT);
	return c;
}

static void
expressions(void)
{
	struct canned c = expr_facts();

	T_TABLE(struct expr_row, row, expr_rows)
	{
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

static void
numbers(void)
{
	static const struct expr_row rows[] = {
		{ "size > 1023", YES },
		{ "size > 1K", NO },
		{ "size >= 1K", YES },
		{ "size = 1K", YES },
		{ "size < 1M", YES },
		{ "size <= 1023.5", NO },
		{ "size > -1.5", YES },
		{ "size is 5, 1024", YES },
		{ "size in { 1, 1024 }", YES },
		{ "size not in { 1, 2 }", YES },
		{ "size = { 1, 2 }", NO },
		{ "size < 1024.5 and size > 1023.5", YES },
	};
	struct canned c = stranger("u@ours.example");

	c.v[CANNED_SIZE].number = 1024;
	T_TABLE(struct expr_row, row, rows)
	{
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

/* For <> and address literals `is fqdn' is true; the domain of <> is absent otherwise. */
static void
null_senders_and_literals(void)
{
	static const struct expr_row rows[] = {
		{ "sender is null", YES },
		{ "sender is <>", YES },
		{ "sender in { <> }", YES },
		{ "sender in { a.example }", NO },
		{ "sender is absent", NO },
		{ "sender.domain is absent", YES },
		{ "sender.domain is a.example", NO },
		{ "sender.domain is not a.example", YES },
		{ "sender is fqdn", YES },
		{ "sender.domain is fqdn", YES },
		{ "sender.domain is not fqdn", NO },
		{ "sender.local is absent", YES },
		{ "sender is a@b.example", NO },
		{ "helo is fqdn", YES },
		{ "helo is literal", YES },
		{ "helo is not literal", NO },
		{ "rcpt is literal", YES },
		{ "rcpt is fqdn", YES },
		{ "rcpt in { [192.0.2.25] }", YES },
		{ "rcpt in { @[192.0.2.25] }", YES },
		{ "rcpt is u@[192.0.2.25]", YES },
	};
	struct canned c = stranger("u@[192.0.2.25]");

	c.v[CANNED_SENDER_LOCAL].text = c.v[CANNED_SENDER_DOMAIN].text = strv(NULL, 0);
	set_path(&c, CANNED_SENDER, "<>");
	c.v[CANNED_HELO].text = SV("[IPv6:2001:db8::1]");
	T_TABLE(struct expr_row, row, rows)
	{
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
	/* Without brackets it is neither a literal nor a name. */
	c.v[CANNED_HELO].text = SV("192.0.2.1");
	T_EQ_NUM(truth_of("helo is fqdn", &c), NO);
	T_EQ_NUM(truth_of("helo is literal", &c), NO);
}

static void
texts_that_are_addresses(void)
{
	static const struct expr_row rows[] = {
		{ "auth.user in vips", YES },
		{ "auth.user in { boss@vip.example }", YES },
		{ "auth.user is boss", NO },
		{ "auth.user is BOSS@vip.example", YES },
	};
	struct canned c = stranger("u@ours.example");

	c.v[CANNED_USER].text = SV("boss@vip.example");
	T_TABLE(struct expr_row, row, rows)
	{
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

/* A random expression and, beside it, what it must be worth: a second evaluator of a few lines. */
static int
random_expr(struct buf *b, uint64_t *seed, unsigned deep)
{
	static const struct expr_row atoms[] = { { "spf is pass", YES }, { "spf is fail", NO },
		{ "client.port = 1", UNKNOWN }, { "size is absent", YES },
		{ "helo not in { a, b }", YES }, { "sender is null", NO },
		{ "client.port is not 2, 3", UNKNOWN }, { "client in mynets", NO } };
	unsigned                     kind = (unsigned)(t_random(seed) % (deep == 0 ? 1 : 4)), n;
	int                          all, one;

	if (kind == 0) {
		const struct expr_row *x = &atoms[t_random(seed) % T_COUNT(atoms)];

		buf_add(b, strv_z(x->expr));
		return x->want;
	}
	if (kind == 1) {
		buf_add(b, SV("not ("));
		one = random_expr(b, seed, deep - 1);
		buf_add(b, SV(")"));
		return YES - one;
	}
	all = kind == 2 ? YES : NO;
	n = 2 + (unsigned)(t_random(seed) % 3);
	buf_add(b, SV("("));
	for (unsigned i = 0; i < n; i++) {
		buf_add(b, i == 0 ? SV("") : kind == 2 ? SV(" and ") : SV(" or "));
		one = random_expr(b, seed, deep - 1);
		if (kind == 2 ? one < all : one > all)
			all = one;
	}
	buf_add(b, SV(")"));
	return all;
}

static void
random_expressions(void)
{
	struct canned c = expr_facts();
	uint64_t      seed = 20240601;
	struct buf    b;
	int           seen[3] = { 0 };

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < 600; i++) {
		int want;

		buf_clear(&b);
		want = random_expr(&b, &seed, 4);
		seen[want]++;
		t_row = arena_z(arena, buf_view(&b));
		T_EQ_NUM(truth_of(t_row, &c), want);
	}
	t_row = NULL;
	T_CHECK(seen[NO] > 50 && seen[UNKNOWN] > 50 && seen[YES] > 50);
	buf_fini(&b);
}

/* ---- printing ---- */

static void
keep(struct strv line, void *arg)
{
	buf_add(arg, line);
	buf_addc(arg, '\n');
}

/* print(parse(x)) parses to the same tree, and prints the same again. */
static void
check_round_trip(struct strv text)
{
	struct buf          one, two;
	struct diags        d = { .a = arena };
	struct canned_file  file = { "p.conf", NULL, text };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct conf        *c = conf_parse(arena, &w, "p.conf", &d), *again;

	if (!T_CHECKF(d.errors == 0, "it does not parse"))
		diag_print(&d, false, show, NULL);
	buf_init(&one, 1 << 20);
	buf_init(&two, 1 << 20);
	conf_print(c, arena, keep, &one);
	file.text = buf_view(&one);
	again = conf_parse(arena, &w, "p.conf", &d);
	T_EQ_NUM(d.errors, 0);
	T_CHECK(same_conf(c, again));
	conf_print(again, arena, keep, &two);
	T_EQ_STRV(buf_view(&two), buf_view(&one));
	buf_fini(&one);
	buf_fini(&two);
}

static void
random_words(struct buf *b, uint64_t *seed)
{
	static const char *const pool[] = { "a", "\"b c\"", "\"\"", "\"q\\\"\\\\\\n\"", "when-ever",
		"<>", "[::1]:25", "%x", "=", "\"\"\"\nx\n\ny \"z\n\"\"\"", "\"{\"", "a#b",
		"\"when\"", "\"#\"", "1.5", "file", "is" };

	for (unsigned n = (unsigned)(t_random(seed) % 30) + 1; n > 0; n--) {
		buf_add(b, strv_z(pool[t_random(seed) % T_COUNT(pool)]));
		buf_add(b, t_random(seed) % 4 == 0 ? SV(" , ") : SV(" "));
	}
	buf_add(b, SV("z "));
}

static void
round_trips(void)
{
	uint64_t   seed = 4711;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < 400; i++) {
		buf_clear(&b);
		buf_add(&b, SV("relay { allow when "));
		random_expr(&b, &seed, 5);
		buf_add(&b, SV(" }\nlisten { "));
		random_words(&b, &seed);
		buf_add(&b, SV("} "));
		random_words(&b, &seed);
		buf_add(&b, SV(" when "));
		random_expr(&b, &seed, 3);
		buf_add(&b, SV("\nnetworks n { "));
		random_words(&b, &seed);
		buf_add(&b, SV("}\n"));
		t_row = arena_z(arena, buf_view(&b));
		check_round_trip(buf_view(&b));
	}
	t_row = NULL;
	buf_fini(&b);
}

/* ---- how fast ---- */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/*
 * Allowing allocates nothing, once the facts are there. The time is shown, not judged: machines
 * differ.
 */
static void
allowing_is_cheap(void)
{
	struct policy     *p = load(LISTS
		"relay { allow from mynets allow authenticated over tls allow to vips allow to ours }\n");
	struct canned      c = stranger("somebody@mail.ours.example");
	struct arena      *a = arena_new(4096, 0);
	struct facts       f = { .a = a, .ask = canned_ask, .ctx = &c };
	struct policy_case k = { .a = a, .facts = &f };
	struct verdict     v;
	size_t             used;
	uint64_t           at;
	unsigned           taken = 0, rounds = 200000;

	policy_eval(p, STAGE_RCPT, 0, &k, &v);
	used = arena_used(a);
	at = now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		policy_eval(p, STAGE_RCPT, 0, &k, &v);
		taken += v.kind == VERDICT_NONE;
	}
	at = now_ns() - at;
	T_EQ_NUM(taken, rounds);
	T_EQ_NUM(arena_used(a), used);
	T_EQ_NUM(c.asks, 3);
	printf("the gate takes %llu ns a recipient\n", (unsigned long long)(at / rounds));
	arena_free(a);
	policy_free(p);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(gate);
	T_RUN(no_block_refuses_all);
	T_RUN(other_stages_have_no_opinion);
	T_RUN(cancelled);
	T_RUN(asks_no_more_than_it_needs);
	T_RUN(knows_what_it_holds);
	T_RUN(expressions);
	T_RUN(numbers);
	T_RUN(null_senders_and_literals);
	T_RUN(texts_that_are_addresses);
	T_RUN(random_expressions);
	T_RUN(round_trips);
	T_RUN(allowing_is_cheap);
	arena_free(arena);
	return t_end();
}
