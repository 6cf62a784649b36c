/*
 * t_policy -- the policy decides: the relay gate, expressions in three values, lists, includes.
 *
 * What parses and what is told of mistakes stands in tests/policy/good and bad.
 */
#include <time.h>

#include "policy/words.h"
#include "proxy/base/buf.h"
#include "proxy/base/netset.h"
#include "tests/policy/canned.h"
#include "tests/policy/same.h"
#include "tests/unit/t.h"

static struct arena *arena;

/* ---- helpers ---- */

static void
show(struct strv line, void *arg)
{
	(void)arg;
	printf("  %.*s\n", (int)line.n, line.p);
}

static struct policy *
load_files(const struct canned_file *v, unsigned n, struct diags *d)
{
	struct canned_files files = { .v = v, .n = n };
	struct world        w = canned_world(&files);
	struct conf        *c = conf_parse(arena, &w, v[0].path, d);

	return canned_load(arena, &w, c, d);
}

/* A policy that must be without mistakes; NULL: it was not, and that is reported. */
static struct policy *
load(const char *text)
{
	struct canned_file file = { "p.conf", text, { NULL, 0 } };
	struct diags       d = { .a = arena };
	struct policy     *p = load_files(&file, 1, &d);

	if (!T_CHECKF(p != NULL, "the policy does not load"))
		diag_print(&d, false, show, NULL);
	return p;
}

static void
set_path(struct canned *c, unsigned which, const char *text)
{
	struct path *path = arena_alloc(arena, sizeof(*path));
	const char  *why = "";

	T_CHECKF(path_parse_plain(arena, strv_z(text), path, &why) == PATH_OK, "%s: %s", text, why);
	c->v[which].path = path;
	if (which == CANNED_RCPT || path->domain.p == NULL)
		return;
	c->v[CANNED_SENDER_LOCAL].text = path->local;
	c->v[CANNED_SENDER_DOMAIN].text = path->domain;
}

/* A stranger, not authenticated, without TLS, who says helo mx.out.example. */
static struct canned
stranger(const char *to)
{
	struct canned c = { .unknown = 0 };

	addr_parse(SV("198.51.100.9"), &c.v[CANNED_CLIENT].addr);
	c.v[CANNED_CLIENT_IP] = c.v[CANNED_CLIENT];
	c.v[CANNED_PORT].number = 40000;
	c.v[CANNED_LISTENER].text = SV("mx");
	c.v[CANNED_HELO].text = SV("mx.out.example");
	c.v[CANNED_SIZE].number = FACT_NUMBER_ABSENT;
	c.v[CANNED_SPF].word = 2;
	set_path(&c, CANNED_SENDER, "a@out.example");
	set_path(&c, CANNED_RCPT, to);
	return c;
}

static struct verdict
ask(const struct policy *p, struct canned *c)
{
	struct facts   f = { .a = arena, .ask = canned_ask, .ctx = c };
	struct verdict v;

	T_EQ_NUM(policy_eval(p, STAGE_RCPT, 0, &f, &v, NULL), WAIT_OK);
	return v;
}

static struct strv
said(const struct verdict *v)
{
	if (v->kind == VERDICT_NONE)
		return SV("taken");
	return arena_printf(arena, "%s %u %s by %.*s", verdict_word(v->kind), v->code, v->enh, (int)v->by.n, v->by.p);
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
	const char *name, *relay;       /* inside of relay { } */
	const char *to, *client, *want;
	const char *user;               /* authenticated as; NULL: not */
	bool        tls;
	uint64_t    unknown;            /* facts that cannot be found out */
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
	T_TABLE(struct gate_row, row, gate_rows) {
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
	static const char *const to[] = { "u@ours.example", "postmaster", "postmaster@ours.example" };
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
	struct policy *p = load("relay { }\n");
	struct canned  c = stranger("u@x.example");
	struct facts   f = { .a = arena, .ask = canned_ask, .ctx = &c };

	for (unsigned at = 0; at < STAGE_MAX; at++) {
		struct verdict v = { .kind = VERDICT_REJECT };

		T_EQ_NUM(policy_eval(p, (enum stage)at, 0, &f, &v, NULL), WAIT_OK);
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
	struct verdict v;

	c.cancel = true;
	T_EQ_NUM(policy_eval(p, STAGE_RCPT, 0, &f, &v, NULL), WAIT_CANCELLED);
	T_EQ_NUM(v.kind, VERDICT_NONE);
	T_EQ_NUM(c.asks, 1);
	policy_free(p);
}

/* Each recipient is asked for by its own number, and only what can still matter is asked for. */
static void
asks_no_more_than_it_needs(void)
{
	struct policy *p = load(LISTS "relay { allow to ours allow from mynets when helo is x and size > 5 }\n");
	struct canned  c = stranger("u@ours.example");

	ask(p, &c);
	T_EQ_NUM(c.asks, 1);
	set_path(&c, CANNED_RCPT, "u@foreign.example");
	c.asks = 0;
	ask(p, &c);
	T_EQ_NUM(c.asks, 2);    /* the recipient, the client */
	addr_parse(SV("127.0.0.1"), &c.v[CANNED_CLIENT_IP].addr);
	c.asks = 0;
	ask(p, &c);
	T_EQ_NUM(c.asks, 3);    /* and helo, which settles it */
	policy_free(p);
}

static void
needs(void)
{
	struct policy *p = load(LISTS "relay { allow from mynets to ours allow to ours when helo is x }\n");

	T_CHECK(policy_needs(p, CANNED_RCPT, STAGE_RCPT));
	T_CHECK(policy_needs(p, CANNED_CLIENT_IP, STAGE_RCPT));
	T_CHECK(policy_needs(p, CANNED_CLIENT_IP, STAGE_MESSAGE));
	T_CHECK(!policy_needs(p, CANNED_CLIENT_IP, STAGE_MAIL));
	T_CHECK(!policy_needs(p, CANNED_HELO, STAGE_RCPT));
	T_CHECK(!policy_needs(p, 10000, STAGE_RCPT));
	T_CHECK(!policy_edits(p));
	T_CHECK(!policy_reject_at_stage(p));
	policy_free(p);
	p = load("relay { allow when (not sender is null or size > 5) and helo is x }\nreject-at stage\n");
	T_CHECK(policy_needs(p, CANNED_SENDER, STAGE_RCPT));
	T_CHECK(!policy_needs(p, CANNED_SIZE, STAGE_RCPT));
	T_CHECK(policy_reject_at_stage(p));
	policy_free(p);
	p = load("reject-at rcpt\n");
	T_CHECK(!policy_needs(p, CANNED_RCPT, STAGE_RCPT));
	T_CHECK(!policy_reject_at_stage(p));
	policy_free(p);
}

/* ---- expressions ---- */

enum { NO, UNKNOWN, YES };

static int
truth_of(const char *expr, struct canned *c)
{
	struct policy *p = load(arena_z(arena, arena_printf(arena, LISTS
	    "networks used { 10.0.0.0/8 }\nrelay { allow to { x } allow from used on mx allow when %s }\n", expr)));
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
 * Of the stranger to u@ours.example: size, auth.user and tls.version are absent, spf is pass, asn has
 * two addresses, dkim.domains two names, client.port is unknown.
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

	T_TABLE(struct expr_row, row, expr_rows) {
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

static void
numbers(void)
{
	static const struct expr_row rows[] = {
		{ "size > 1023", YES }, { "size > 1K", NO }, { "size >= 1K", YES }, { "size = 1K", YES }, { "size < 1M", YES },
		{ "size <= 1023.5", NO }, { "size > -1.5", YES }, { "size is 5, 1024", YES }, { "size in { 1, 1024 }", YES },
		{ "size not in { 1, 2 }", YES }, { "size = { 1, 2 }", NO }, { "size < 1024.5 and size > 1023.5", YES },
	};
	struct canned c = stranger("u@ours.example");

	c.v[CANNED_SIZE].number = 1024;
	T_TABLE(struct expr_row, row, rows) {
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

/* For <> and address literals `is fqdn' is true; the domain of <> is absent otherwise. */
static void
null_senders_and_literals(void)
{
	static const struct expr_row rows[] = {
		{ "sender is null", YES }, { "sender is <>", YES }, { "sender in { <> }", YES }, { "sender in { a.example }", NO },
		{ "sender is absent", NO }, { "sender.domain is absent", YES }, { "sender.domain is a.example", NO },
		{ "sender.domain is not a.example", YES }, { "sender is fqdn", YES }, { "sender.domain is fqdn", YES },
		{ "sender.domain is not fqdn", NO }, { "sender.local is absent", YES }, { "sender is a@b.example", NO },
		{ "helo is fqdn", YES }, { "helo is literal", YES }, { "helo is not literal", NO },
		{ "rcpt is literal", YES }, { "rcpt is fqdn", YES }, { "rcpt in { [192.0.2.25] }", YES },
		{ "rcpt in { @[192.0.2.25] }", YES }, { "rcpt is u@[192.0.2.25]", YES },
	};
	struct canned c = stranger("u@[192.0.2.25]");

	c.v[CANNED_SENDER_LOCAL].text = c.v[CANNED_SENDER_DOMAIN].text = strv(NULL, 0);
	set_path(&c, CANNED_SENDER, "<>");
	c.v[CANNED_HELO].text = SV("[IPv6:2001:db8::1]");
	T_TABLE(struct expr_row, row, rows) {
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

static void
texts_that_are_addresses(void)
{
	static const struct expr_row rows[] = {
		{ "auth.user in vips", YES }, { "auth.user in { boss@vip.example }", YES }, { "auth.user is boss", NO },
		{ "auth.user is BOSS@vip.example", YES },
	};
	struct canned c = stranger("u@ours.example");

	c.v[CANNED_USER].text = SV("boss@vip.example");
	T_TABLE(struct expr_row, row, rows) {
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

/* A random expression and, beside it, what it must be worth: a second evaluator of a few lines. */
static int
random_expr(struct buf *b, uint64_t *seed, unsigned deep)
{
	static const struct expr_row atoms[] = { { "spf is pass", YES }, { "spf is fail", NO }, { "client.port = 1", UNKNOWN },
		{ "size is absent", YES }, { "helo not in { a, b }", YES }, { "sender is null", NO },
		{ "client.port is not 2, 3", UNKNOWN }, { "client in mynets", NO } };
	unsigned kind = (unsigned)(t_random(seed) % (deep == 0 ? 1 : 4)), n;
	int      all, one;

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
	static const char *const pool[] = { "a", "\"b c\"", "\"\"", "\"q\\\"\\\\\\n\"", "when-ever", "<>", "[::1]:25", "%x", "=",
		"\"\"\"\nx\n\ny \"z\n\"\"\"", "\"{\"", "a#b", "\"when\"", "\"#\"", "1.5", "file", "is" };

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

/* ---- files ---- */

static struct strv
errors_of(const struct diags *d)
{
	struct strv all = strv("", 0);

	for (unsigned i = 0; i < d->n; i++)
		all = arena_concat(arena, all, arena_printf(arena, "%.*s:%u: %.*s\n",
		    d->v[i].pos.src == NULL ? 0 : (int)d->v[i].pos.src->name.n,
		    d->v[i].pos.src == NULL ? "" : d->v[i].pos.src->name.p, d->v[i].pos.line,
		    (int)d->v[i].text.n, d->v[i].text.p));
	return all;
}

static void
includes(void)
{
	static const struct canned_file files[] = {
		{ "etc/p.conf", "include \"conf.d/*.conf\"\nhostname a.example\ninclude \"more/x.conf\"\n", { NULL, 0 } },
		{ "etc/conf.d/1.conf", "workers 1\n", { NULL, 0 } },
		{ "etc/conf.d/2.conf", "workers 2", { NULL, 0 } },
		{ "etc/more/x.conf", "domains d file \"list\"\nrelay { allow to d }\n", { NULL, 0 } },
		{ "etc/more/list", "a.example\n", { NULL, 0 } },
	};
	struct diags        d = { .a = arena };
	struct canned_files f = { .v = files, .n = 5 };
	struct world        w = canned_world(&f);
	struct conf        *c = conf_parse(arena, &w, "etc/p.conf", &d);
	struct policy      *p = canned_load(arena, &w, c, &d);
	static const char *const want[] = { "workers", "workers", "hostname" };

	T_EQ_TEXT(errors_of(&d), "");
	T_EQ_NUM(c->n_plain, 3);
	for (unsigned i = 0; i < 3 && i < c->n_plain; i++)
		T_EQ_TEXT(c->plain[i].keyword, want[i]);
	T_EQ_TEXT(c->source->name, "etc/p.conf");
	T_CHECK(p != NULL);
	policy_free(p);
}

static void
includes_that_never_end(void)
{
	static const struct canned_file itself[] = { { "p.conf", "include \"p.conf\"\n", { NULL, 0 } } };
	static const struct canned_file two[] = { { "a", "include \"b\"\n", { NULL, 0 } }, { "b", "include \"a\"\n", { NULL, 0 } } };
	static const struct canned_file wide[] = { { "0.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "1.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "2.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "3.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } } };
	struct diags        d = { .a = arena };
	struct canned_files f = { .v = wide, .n = 4 };
	struct world        w = canned_world(&f);

	load_files(itself, 1, &d);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: `p.conf' includes itself\n");
	d = (struct diags){ .a = arena };
	load_files(two, 2, &d);
	T_EQ_TEXT(errors_of(&d), "b:1: `a' includes itself\n");
	d = (struct diags){ .a = arena };
	conf_parse(arena, &w, "0.conf", &d);
	T_CHECK(d.errors > 0);
	T_CHECK(f.reads <= 1001);
}

static enum file_rc
read_deeper(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	(void)w, (void)max;
	*out = arena_printf(a, "include \"%sx\"\n", path);
	return FILE_OK;
}

static void
includes_too_deep(void)
{
	struct world w = { .read_file = read_deeper };
	struct diags d = { .a = arena };

	conf_parse(arena, &w, "p", &d);
	T_EQ_TEXT(errors_of(&d), "pxxxxxxxxx:1: files include each other more than 10 deep\n");
}

static void
files_that_cannot_be_read(void)
{
	static const struct canned_file files[] = { { "p.conf", "include \"none\"\ninclude \"n*ne\"\nnetworks n file \"gone\"\n"
		"relay { allow from n }\n", { NULL, 0 } } };
	struct diags d = { .a = arena };

	T_CHECK(load_files(files, 1, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: cannot read `none': no such file or directory\n"
	    "p.conf:3: cannot read `gone': no such file or directory\n");
	d = (struct diags){ .a = arena };
	T_CHECK(load_files(&(struct canned_file){ "q.conf", NULL, { NULL, 0 } }, 1, &d) != NULL);
	d = (struct diags){ .a = arena };
	conf_parse(arena, &(struct world){ .read_file = canned_read, .ctx = &(struct canned_files){ 0 } }, "absent.conf", &d);
	T_EQ_TEXT(errors_of(&d), ":0: cannot read `absent.conf': no such file or directory\n");
}

#define LIST "\xef\xbb\xbf# ours\n\n  a.example\t# one\r\n.b.example\nbad_?\n\tx y\nc.example"

static void
list_files(void)
{
	static const struct canned_file files[] = {
		{ "etc/p.conf", "domains d file \"lists/d\"\nrelay { allow to d }\n", { NULL, 0 } },
		{ "etc/lists/d", LIST, { NULL, 0 } },
	};
	struct diags d = { .a = arena };

	T_CHECK(load_files(files, 2, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), "etc/lists/d:5: `bad_?' is no domain\netc/lists/d:6: `x y' is no domain\n");
	T_EQ_NUM(d.v[1].pos.col, 2);
	T_EQ_NUM(d.v[1].pos.len, 3);
}

/* What a long list leaves behind is the list, not its text. */
static void
long_list(void)
{
	struct buf          b;
	struct canned_file  files[2] = { { "p.conf", "addresses d file \"l\"\nrelay { allow to d }\n", { NULL, 0 } }, { "l", NULL, { NULL, 0 } } };
	struct diags        d = { .a = arena };
	struct policy      *p;
	struct canned       c;
	struct verdict      v;
	size_t              used;

	buf_init(&b, 1 << 26);
	for (unsigned i = 0; i < 100000; i++)
		buf_printf(&b, "user%u@d%u.example\n", i, i % 1000);
	files[1].text = buf_view(&b);
	used = arena_used(arena);
	p = load_files(files, 2, &d);
	T_CHECK(arena_used(arena) - used < 100000);
	buf_fini(&b);
	if (!T_CHECK(p != NULL))
		return;
	c = stranger("user99999@d999.example");
	v = ask(p, &c);
	T_EQ_NUM(v.kind, VERDICT_NONE);
	set_path(&c, CANNED_RCPT, "user99999@d998.example");
	v = ask(p, &c);
	T_EQ_NUM(v.kind, VERDICT_REJECT);
	policy_free(p);
}

/* ---- what settings ask for ---- */

static void
plain_values(void)
{
	static const struct canned_file file = { "p.conf", "limits { recipients 5 \"x\" 25M }\nlisten [::]:25 tls, { a, \"b\" }\n", { NULL, 0 } };
	struct diags             d = { .a = arena };
	struct canned_files      f = { .v = &file, .n = 1 };
	struct world             w = canned_world(&f);
	struct conf             *c = conf_parse(arena, &w, "p.conf", &d);
	const struct conf_plain *x = c->plain;

	T_EQ_NUM(d.errors, 1); /* "x" is no word */
	T_EQ_NUM(c->n_plain, 2);
	T_CHECK(x[0].block && x[0].n == 2);
	T_EQ_TEXT(x[0].v[0].text, "recipients");
	T_EQ_TEXT(x[0].v[1].text, "5");
	T_CHECK(!x[1].block && x[1].n == 4);
	T_CHECK(x[1].v[0].kind == CONF_WORD && x[1].v[2].kind == CONF_COMMA && x[1].v[3].kind == CONF_SET);
	T_EQ_NUM(x[1].v[3].n_item, 2);
	T_CHECK(x[1].v[3].item[1].kind == CONF_STRING);
	T_EQ_NUM(x[1].pos.line, 2);
	T_EQ_NUM(x[1].v[1].pos.col, 16);
}

static void
networks_of_plain_statements(void)
{
	struct policy    *p = load("networks lb { 10.0.0.0/8 }\ndomains d { a.example }\nrelay { allow from lb allow to d }\n");
	struct diags      d = { .a = arena };
	struct conf_value items[2] = { { .kind = CONF_WORD, .text = SV("192.0.2.1") }, { .kind = CONF_WORD, .text = SV("::1") } };
	struct conf_value name = { .kind = CONF_WORD, .text = SV("lb") }, set = { .kind = CONF_SET, .item = items, .n_item = 2 };
	struct addr       a;
	const struct netset *nets = policy_networks(p, &name, &d);

	addr_parse(SV("10.1.2.3"), &a);
	T_CHECK(nets != NULL && netset_has(nets, &a));
	nets = policy_networks(p, &set, &d);
	T_CHECK(nets != NULL && !netset_has(nets, &a));
	addr_parse(SV("::1"), &a);
	T_CHECK(nets != NULL && netset_has(nets, &a));
	T_EQ_NUM(d.errors, 0);
	name.text = SV("lbb");
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	name.text = SV("d");
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	items[0].text = SV("x.example");
	T_CHECK(policy_networks(p, &set, &d) == NULL);
	name.kind = CONF_STRING;
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), ":0: no list is called `lbb'\n:0: `d' is a list of domains, this statement takes one of networks\n"
	    ":0: `x.example' is no network: not an IP address\n:0: expected the name of a list or { ... }\n");
	policy_free(p);
}

/* A list that only a plain statement names is used. */
static void
unused_lists(void)
{
	struct canned_file file = { "p.conf", "networks lb { 10.0.0.0/8 }\nnetworks idle { }\n"
						 "listen 0.0.0.0:25 proxy-protocol from lb\n", { NULL, 0 } };
	struct diags       d = { .a = arena };
	struct policy     *p = load_files(&file, 1, &d);

	T_CHECK(p != NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:2: nothing uses the list `idle'\n");
	T_EQ_NUM(d.v[0].level, DIAG_WARNING);
	policy_free(p);
}

/* Without the facts that a condition stands on it is not in this build. */
static void
facts_that_are_missing(void)
{
	struct canned_file  file = { "p.conf", "relay { allow authenticated allow from { ::1 } allow on mx }\n", { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = arena };
	struct conf        *c = conf_parse(arena, &w, "p.conf", &d);

	T_CHECK(policy_load(arena, &w, c, &canned_facts[CANNED_RCPT], 1, canned_listeners, 2, &canned_key, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: `authenticated' is not in this build\np.conf:1: `from' is not in this build\n"
	    "p.conf:1: `on' is not in this build\n");
}

/* What was said of a place is not said again. */
static void
not_in_build_is_said_once(void)
{
	struct canned_file  file = { "p.conf", "clamd \"unix:/x\"\n", { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = arena };
	struct conf        *c = conf_parse(arena, &w, "p.conf", &d);

	diag_add(&d, DIAG_ERROR, c->plain[0].pos, strv(NULL, 0), "told");
	T_CHECK(canned_load(arena, &w, c, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: told\n");
}

/* ---- shapes of words ---- */

static void
shapes(void)
{
	static const char *const names[] = { "a", "A1", "a-b_c", "allow" };
	static const char *const no_names[] = { "", "1a", "-a", "a.b", "a/b", "when", "and", "or", "not", "\xc3\xbc" };
	uint64_t                 n;
	double                   x;

	for (unsigned i = 0; i < T_COUNT(names); i++)
		T_CHECKF(word_is_name(strv_z(names[i])), "%s", names[i]);
	for (unsigned i = 0; i < T_COUNT(no_names); i++)
		T_CHECKF(!word_is_name(strv_z(no_names[i])), "%s", no_names[i]);
	T_CHECK(word_is_fact(SV("client.ip")) && word_is_fact(SV("x.not")) && !word_is_fact(SV("not")));
	T_CHECK(!word_is_fact(SV("a.")) && !word_is_fact(SV(".a")) && !word_is_fact(SV("a..b")) && !word_is_fact(SV("")));
	T_CHECK(word_is_prefix(SV("client/32")) && word_is_prefix(SV("client.ip/64")));
	T_CHECK(!word_is_prefix(SV("client/")) && !word_is_prefix(SV("/32")) && !word_is_prefix(SV("client/x")));
	T_CHECK(word_is_code(SV("550")) && !word_is_code(SV("55")) && !word_is_code(SV("5500")) && !word_is_code(SV("5.0")));
	T_CHECK(word_is_xcode(SV("5.7.1")) && word_is_xcode(SV("5.7.123")) && !word_is_xcode(SV("5.7")));
	T_CHECK(!word_is_xcode(SV("5.7.1.1")) && !word_is_xcode(SV("55.7.1")) && !word_is_xcode(SV("5..1")) &&
	    !word_is_xcode(SV("5.7.1234")));
	T_CHECK(word_is_type(SV("AAAA")) && !word_is_type(SV("a")) && !word_is_type(SV("")));
	T_CHECK(word_number(SV("-1.5"), &x) && x == -1.5);
	T_CHECK(word_number(SV("8"), &x) && x == 8);
	T_CHECK(word_number(SV("0.25"), &x) && x == 0.25);
	T_CHECK(!word_number(SV("-"), &x) && !word_number(SV("1."), &x) && !word_number(SV(".5"), &x) && !word_number(SV("1.2.3"), &x));
	T_CHECK(!word_number(SV(""), &x) && !word_number(SV("1e5"), &x) && !word_number(SV("1234567890123456"), &x));
	T_CHECK(word_size(SV("25M"), &n) && n == 26214400);
	T_CHECK(word_size(SV("7"), &n) && n == 7);
	T_CHECK(!word_size(SV("M"), &n) && !word_size(SV("1m"), &n) && !word_size(SV("9999999999999G"), &n) && !word_size(SV(""), &n));
	T_CHECK(word_duration(SV("2d"), &n) && n == 172800);
	T_CHECK(word_duration(SV("0s"), &n) && n == 0);
	T_CHECK(!word_duration(SV("5"), &n) && !word_duration(SV("m"), &n) && !word_duration(SV("5M"), &n) && !word_duration(SV(""), &n));
}

/* ---- how fast ---- */

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Allowing allocates nothing, once the facts are there. The time is shown, not judged: machines differ. */
static void
allowing_is_cheap(void)
{
	struct policy *p = load(LISTS "relay { allow from mynets allow authenticated over tls allow to vips allow to ours }\n");
	struct canned  c = stranger("somebody@mail.ours.example");
	struct arena  *a = arena_new(4096, 0);
	struct facts   f = { .a = a, .ask = canned_ask, .ctx = &c };
	struct verdict v;
	size_t         used;
	uint64_t       at;
	unsigned       taken = 0, rounds = 200000;

	policy_eval(p, STAGE_RCPT, 0, &f, &v, NULL);
	used = arena_used(a);
	at = now_ns();
	for (unsigned i = 0; i < rounds; i++) {
		policy_eval(p, STAGE_RCPT, 0, &f, &v, NULL);
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
	T_RUN(needs);
	T_RUN(expressions);
	T_RUN(numbers);
	T_RUN(null_senders_and_literals);
	T_RUN(texts_that_are_addresses);
	T_RUN(random_expressions);
	T_RUN(round_trips);
	T_RUN(includes);
	T_RUN(includes_that_never_end);
	T_RUN(includes_too_deep);
	T_RUN(files_that_cannot_be_read);
	T_RUN(list_files);
	T_RUN(long_list);
	T_RUN(plain_values);
	T_RUN(networks_of_plain_statements);
	T_RUN(unused_lists);
	T_RUN(facts_that_are_missing);
	T_RUN(not_in_build_is_said_once);
	T_RUN(shapes);
	T_RUN(allowing_is_cheap);
	arena_free(arena);
	return t_end();
}
