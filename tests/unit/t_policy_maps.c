/*
 * t_policy_maps -- maps: what is looked up and in which order, files, sizes; routes and classes.
 *
 * What is told of mistakes stands in tests/policy/bad.
 */
#include "config.h"
#include "policy/match.h"
#include "proxy/base/buf.h"
#include "tests/policy/stranger.h"

#define BIT(fact) ((uint64_t)1 << CANNED_##fact)

/* What policy_route says: "POOL/CLASS", "-" where one is absent, "unknown". */
static struct strv
routed(const struct policy *p, struct canned *c, unsigned rcpt)
{
	struct facts f = { .a = arena, .ask = canned_ask, .ctx = c };
	struct strv  pool, class;
	bool         unknown = true;

	T_EQ_NUM(policy_route(p, rcpt, &f, arena, &pool, &class, &unknown), WAIT_OK);
	if (unknown)
		return SV("unknown");
	return arena_printf(arena, "%.*s/%.*s", pool.p == NULL ? 1 : (int)pool.n,
	    pool.p == NULL ? "-" : pool.p, class.p == NULL ? 1 : (int)class.n,
	    class.p == NULL ? "-" : class.p);
}

/* ---- look-ups ---- */

/* clang-format off */
#define ORDER "u+x@d.example whole  u@d.example user  @d.example at  d.example domain  .d.example below  .example top"

struct look_row {
	const char *name, *map;         /* inside of { } */
	const char *fact;               /* rcpt, sender: a path; else a text */
	const char *value;              /* NULL: absent */
	const char *want;               /* all values */
};

static const struct look_row look_rows[] = {
	{ "the whole address first", ORDER, "rcpt", "u+x@d.example", "whole" },
	{ "then without its extension", ORDER, "rcpt", "u+y@d.example", "user" },
	{ "an extension of another extension", ORDER, "rcpt", "u+x+y@d.example", "user" },
	{ "the user", ORDER, "rcpt", "u@d.example", "user" },
	{ "no other user: the address' domain", ORDER, "rcpt", "v@d.example", "at" },
	{ "a longer user is another", ORDER, "rcpt", "uu@d.example", "at" },
	{ "a sub-domain", ORDER, "rcpt", "u@a.d.example", "below" },
	{ "the nearest parent", ORDER, "rcpt", "u@a.b.d.example", "below" },
	{ "a parent above", ORDER, "rcpt", "u@e.example", "top" },
	{ "the parent is not the domain itself", ".d.example x", "rcpt", "u@d.example", "" },
	{ "nor the end of a name", ".d.example x", "rcpt", "u@ad.example", "" },
	{ "without @d the domain", "d.example domain .example top", "rcpt", "u@d.example", "domain" },
	{ "a domain is not its sub-domains", "d.example x", "rcpt", "u@a.d.example", "" },
	{ "nobody", "d.example x", "rcpt", "u@e.example", "" },
	{ "no keys", "", "rcpt", "u@e.example", "" },
	{ "@d is not its sub-domains", "@d.example x", "rcpt", "u@a.d.example", "" },
	{ "case of keys", "U@D.Example x", "rcpt", "u@d.example", "x" },
	{ "case of addresses", "u@d.example x", "rcpt", "U@D.EXAMPLE", "x" },
	{ "quotes of addresses", "u@d.example x", "rcpt", "\"u\"@d.example", "x" },
	{ "quotes of keys", "\"\\\"a b\\\"@d.example\" x", "rcpt", "\"a b\"@d.example", "x" },
	{ "an at sign in a local part", "\"\\\"a@b\\\"@d.example\" x", "rcpt", "\"a@b\"@d.example", "x" },
	{ "the local part alone is no key of an address", "u x", "rcpt", "u@d.example", "" },
	{ "postmaster has no domain", "postmaster x  @d.example y", "rcpt", "postmaster", "" },
	{ "nor has another", "u x", "rcpt", "u", "" },
	{ "a literal", "[192.0.2.1] x", "rcpt", "u@[192.0.2.1]", "x" },
	{ "a literal in other words", "[IPv6:2001:db8:0::1] x", "rcpt", "u@[IPv6:2001:DB8::1]", "x" },
	{ "at a literal", "@[192.0.2.1] x", "rcpt", "u@[192.0.2.1]", "x" },
	{ "somebody at a literal", "u@[IPv6:2001:db8::1] x", "rcpt", "u@[IPv6:2001:db8:0::1]", "x" },
	{ "the null sender", "<> x  .example y", "sender", "<>", "x" },
	{ "the null sender and no key", "@d.example x", "sender", "<>", "" },
	{ "an extension alone", "@d.example x  +x@d.example y", "rcpt", "+x@d.example", "y" },
	{ "an extension of nobody", "@d.example x", "rcpt", "+x@d.example", "x" },
	/* texts */
	{ "a domain", ORDER, "rcpt.domain", "d.example", "domain" },
	{ "a domain below", ORDER, "rcpt.domain", "a.b.d.example", "below" },
	{ "a domain of addresses alone", "@d.example x", "rcpt.domain", "d.example", "" },
	{ "a domain that is a literal", "[IPv6:2001:db8::1] x", "rcpt.domain", "[IPv6:2001:DB8:0::1]", "x" },
	{ "a user's name", "bob x", "auth.user", "bob", "x" },
	{ "in another case", "bob x", "auth.user", "BOB", "x" },
	{ "another user", "bob x", "auth.user", "bo", "" },
	{ "a user's name that is an address", ORDER, "auth.user", "u+z@d.example", "user" },
	{ "one of a domain", ORDER, "auth.user", "w@a.d.example", "below" },
	{ "a name with blanks", "\"bob the builder\" x", "auth.user", "bob the builder", "x" },
	{ "a name of another system", "EXAMPLE\\bob x", "auth.user", "EXAMPLE\\bob", "x" },
	{ "nobody", "bob x", "auth.user", NULL, "" },
	{ "an empty name", "bob x", "auth.user", "", "" },
	{ "a name that begins as keys do", ".d.example x", "auth.user", ".d.example", "" },
	{ "an address of nothing", "@d.example x", "auth.user", "@d.example", "x" },
	{ "at nothing", "@d.example x", "auth.user", "u@", "" },
	{ "a local part", "john x", "rcpt.local", "john", "x" },
	{ "a local part is no address", "john x  @john y", "rcpt.local", "v@john", "" },
	{ "a local part with an at sign is no address", "\"v@john\" x  @john y  john z", "rcpt.local", "v@john", "" },
	{ "one that begins with it", "@part.example x", "rcpt.local", "@part.example", "" },
	/* values */
	{ "several values", "d.example x, y  e.example z", "rcpt", "u@d.example", "x y" },
	{ "the case of values", "d.example Ab", "rcpt", "u@d.example", "ab" },
	{ "words that are keywords", "d.example file, map", "rcpt", "u@d.example", "file map" },
	{ "strings", "d.example \"a b\", \"\\\"\\\\\"", "rcpt", "u@d.example", "a b \"\\" },
};
/* clang-format on */

static void
set_text(struct canned *c, const char *fact, const char *value)
{
	static const struct {
		const char *name;
		unsigned    which;
	} texts[] = { { "rcpt.domain", CANNED_RCPT_DOMAIN }, { "rcpt.local", CANNED_RCPT_LOCAL },
		{ "auth.user", CANNED_USER } };

	for (unsigned i = 0; i < T_COUNT(texts); i++) {
		if (strcmp(texts[i].name, fact) == 0)
			c->v[texts[i].which].text = strv_z(value);
	}
}

/* Whose text may be looked up as an address, or as what a key with an at sign has. */
static void
at_signs(void)
{
	static const struct {
		const char *fact, *value;
		bool        address, found;
	} rows[] = {
		{ "sender.local", "@part.example", false, false },
		{ "sender.local", "u@part.example", false, false },
		{ "rcpt.local", "u@part.example", false, false },
		{ "client.rdns", "@part.example", false, false },
		{ "helo", "u@part.example", false, false },
		{ "helo", "part.example", false, true },
		{ "tls.client-cert", "CN=u@part.example", false, true },
		{ "tls.client-cert", "CN=v@part.example", false, false },
		{ "auth.user", "u@part.example", true, true },
		{ "auth.user", "v@part.example", true, true },
	};
	struct policy *p = load(
	    "map m { @part.example a  u@part.example b  part.example c  CN=u@part.example d }\n"
	    "transaction-class m(rcpt.local)\n");

	for (unsigned i = 0; p != NULL && i < T_COUNT(rows); i++) {
		struct fact_def def = {
			.name = rows[i].fact, .type = FACT_TEXT, .address = rows[i].address
		};
		struct fact f = {
			.def = &def, .state = FACT_KNOWN, .v.text = strv_z(rows[i].value)
		};

		t_row = rows[i].value;
		T_CHECKF((match_map(&p->list[0], &f).n > 0) == rows[i].found, "%s", rows[i].fact);
	}
	policy_free(p);
	arena_reset(arena);
}

static void
look_ups(void)
{
	T_TABLE(struct look_row, row, look_rows)
	{
		struct policy *p;
		struct canned  c = stranger("a@b.example");

		t_row = row->name;
		p = load(arena_z(arena,
		    arena_printf(
			arena, "map m { %s }\ntransaction-class m(%s)\n", row->map, row->fact)));
		if (p == NULL)
			continue;
		if (strcmp(row->fact, "rcpt") == 0)
			set_path(&c, CANNED_RCPT, row->value);
		else if (strcmp(row->fact, "sender") == 0)
			set_path(&c, CANNED_SENDER, row->value);
		else
			set_text(&c, row->fact, row->value);
		T_EQ_TEXT(routed(p, &c, 0), arena_z(arena, arena_printf(arena, "-/%s", row->want)));
		policy_free(p);
	}
}

/* Facts that are neither names nor texts are looked up as they are written. */
static void
look_ups_of_other_types(void)
{
	static const struct {
		const char *fact, *want;
	} rows[] = { { "client", "-/host" }, { "client.port", "-/port" }, { "spf", "-/passed" },
		{ "authenticated", "-/is" }, { "size", "-/" } };
	struct canned c = stranger("a@b.example");

	addr_parse(SV("2001:db8::1"), &c.v[CANNED_CLIENT].addr);
	c.v[CANNED_AUTHENTICATED].yes = true;
	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct policy *p;

		t_row = row->fact;
		p = load(arena_z(arena,
		    arena_printf(arena,
			"map m { 2001:DB8:0::1 host  40000 port  pass passed  yes is  0 no }\n"
			"transaction-class m(%s)\n",
			row->fact)));
		T_EQ_TEXT(routed(p, &c, 0), row->want);
		policy_free(p);
	}
}

/* ---- in expressions ---- */

enum { NO, UNKNOWN, YES };

static int
truth_of(const char *expr, struct canned *c)
{
	struct policy *p = load(arena_z(arena,
	    arena_printf(arena,
		"map class { ours.example standard, big  @b.example .ours.example }\n"
		"map other { bob standard, x  alice y  carol .example }\n"
		"map logins { bob bob@ours.example, @b.example, c.example, .d.example  carol <> }\n"
		"map nets { bob 192.0.2.0/24, 198.51.100.1-198.51.100.9  carol 2001:db8::1 }\n"
		"relay { allow when %s }\n",
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

/* Of the stranger, who is bob, to u@ours.example from a@b.example; client.port is unknown. */
static const struct expr_row expr_rows[] = {
	{ "class(rcpt) is standard", YES },
	{ "class(rcpt) is STANDARD", YES },
	{ "class(rcpt) is x, big", YES },
	{ "class(rcpt) is x, y", NO },
	{ "class(rcpt) is not standard", NO },
	{ "class(rcpt) is not x", YES },
	{ "class(rcpt) = { big }", YES },
	{ "class(rcpt) != big", NO },
	{ "class(rcpt)", YES },
	{ "not class(rcpt)", NO },
	{ "class(rcpt) is absent", NO },
	{ "class(rcpt) is not absent", YES },
	{ "class(sender)", YES },
	{ "class(helo)", NO },
	{ "class(helo) is absent", YES },
	{ "class(helo) is standard", NO },
	{ "class(helo) is not standard", YES },
	{ "class(helo) in { standard }", NO },
	{ "class(helo) not in { standard }", YES },
	{ "class(rcpt) in { x, standard }", YES },
	{ "class(rcpt) in { .example }", NO },
	{ "class(rcpt) is fqdn", NO },
	{ "class(rcpt) in other(auth.user)", YES },
	{ "class(rcpt) not in other(auth.user)", NO },
	{ "class(helo) in other(auth.user)", NO },
	{ "class(helo) not in other(auth.user)", YES },
	{ "class(rcpt) in other(helo)", NO },
	{ "class(client.port) is x", UNKNOWN },
	{ "class(client.port) is absent", UNKNOWN },
	{ "not class(client.port)", UNKNOWN },
	{ "class(rcpt) in other(client.port)", UNKNOWN },
	{ "class(helo) in other(client.port)", NO },
	{ "class(client.port) is x or class(rcpt) is big", YES },
	{ "class(client.port) is x and class(rcpt) is x", NO },
	{ "sender in logins(auth.user)", YES },
	{ "sender not in logins(auth.user)", NO },
	{ "not sender in logins(auth.user)", NO },
	{ "rcpt in logins(auth.user)", NO },
	{ "rcpt not in logins(auth.user)", YES },
	{ "sender in logins(helo)", NO },
	{ "sender in logins(client.port)", UNKNOWN },
	{ "sender not in logins(client.port)", UNKNOWN },
	{ "sender.domain in logins(auth.user)", NO },
	{ "auth.user in other(auth.user)", NO },
	{ "client in nets(auth.user)", YES },
	{ "client not in nets(auth.user)", NO },
	{ "client in nets(helo)", NO },
	{ "client in nets(client.port)", UNKNOWN },
	{ "asn in nets(auth.user)", NO },
	{ "dkim.domains in logins(auth.user)", YES },
	{ "tls.version in logins(auth.user)", NO },
	{ "tls.version not in logins(auth.user)", YES },
	{ "tls.version in logins(client.port)", NO },
};

static struct canned
bob(const char *to)
{
	static const struct strv names[] = { { "a.example", 9 }, { "a.d.example", 11 } };
	struct canned            c = stranger(to);

	set_path(&c, CANNED_SENDER, "a@b.example");
	c.v[CANNED_USER].text = SV("bob");
	c.v[CANNED_RECEIVED].texts.v = names;
	c.v[CANNED_RECEIVED].texts.n = 2;
	c.unknown = BIT(PORT);
	return c;
}

static void
expressions(void)
{
	struct canned c = bob("u@ours.example");

	T_TABLE(struct expr_row, row, expr_rows)
	{
		t_row = row->expr;
		T_EQ_NUM(truth_of(row->expr, &c), row->want);
	}
}

/* An item of a map in place of a list means what it means in a list. */
static void
items(void)
{
	static const struct {
		const char *sender, *item;
		bool        want;
	} rows[] = {
		{ "u@d.example", "u@d.example", true },
		{ "U@D.Example", "u@d.example", true },
		{ "u+x@d.example", "u@d.example", true },
		{ "u@d.example", "u+x@d.example", false },
		{ "v@d.example", "u@d.example", false },
		{ "u@d.example", "@d.example", true },
		{ "u@d.example", "d.example", true },
		{ "u@a.d.example", "d.example", false },
		{ "u@a.d.example", ".d.example", true },
		{ "u@d.example", ".d.example", false },
		{ "u@a.d.example", "@d.example", false },
		{ "u@ad.example", ".d.example", false },
		{ "<>", "<>", true },
		{ "<>", "d.example", false },
		{ "u@d.example", "<>", false },
		{ "u@[192.0.2.1]", "[192.0.2.1]", true },
		{ "u@[IPv6:2001:db8::1]", "@[IPv6:2001:DB8:0::1]", true },
		{ "\"a b\"@d.example", "\"\\\"a b\\\"@d.example\"", true },
	};

	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct canned  c = stranger("u@x.example");
		struct policy *p;

		t_row = arena_z(arena, arena_printf(arena, "%s in %s", row->sender, row->item));
		p = load(arena_z(arena,
		    arena_printf(arena,
			"map m { mx.out.example %s }\nrelay { allow when sender in m(helo) }\n",
			row->item)));
		if (p == NULL)
			continue;
		set_path(&c, CANNED_SENDER, row->sender);
		T_EQ_NUM(ask(p, &c).kind, row->want ? VERDICT_NONE : VERDICT_REJECT);
		policy_free(p);
		p = load(arena_z(arena,
		    arena_printf(arena, "relay { allow when sender in { %s } }\n", row->item)));
		T_EQ_NUM(ask(p, &c).kind, row->want ? VERDICT_NONE : VERDICT_REJECT);
		policy_free(p);
	}
}

/* What a client says may begin with the dot that means sub-domains in lists: it is no sub-domain. */
static void
texts_that_begin_with_a_dot(void)
{
	struct canned c = bob("u@ours.example");

	c.v[CANNED_USER].text = SV("carol");
	c.v[CANNED_HELO].text = SV("x.example");
	T_EQ_NUM(truth_of("helo in other(auth.user)", &c), YES);
	T_EQ_NUM(truth_of("helo in { .example }", &c), YES);
	c.v[CANNED_HELO].text = SV(".x.example");
	T_EQ_NUM(truth_of("helo in other(auth.user)", &c), NO);
	T_EQ_NUM(truth_of("helo in { .example }", &c), NO);
}

/* A name in U-labels and in A-labels is one name, wherever domains are compared. */
static void
u_labels(void)
{
#define U \
	"b\xc3\xbc" \
	"cher.example"
#define A "xn--bcher-kva.example"
	static const struct {
		const char *to, *allow;
		bool        want;
	} rows[] = {
		{ "u@" U, "to { " A " }", true },
		{ "u@" A, "to { " U " }", true },
		{ "u@" U, "to { " U " }", true },
		{ "u@a." A, "to { ." U " }", true },
		{ "u@a." U, "to { ." A " }", true },
		{ "u@" A, "to { ." U " }", false },
		{ "u@" U, "to { @" A " }", true },
		{ "u@" A, "to { u@" U " }", true },
		{ "v@" A, "to { u@" U " }", false },
		{ "u@B\xc3\xbc"
		  "CHER.Example",
		    "to { " A " }", true },
		/* what only looks alike is mapped by some, by us it is another name */
		{ "u@B\xc3\x9c"
		  "CHER.example",
		    "to { " A " }", false },
		{ "u@\xef\xbd\x81.example", "to { a.example }", false },
		{ "u@bu\xcc\x88"
		  "cher.example",
		    "to { " A " }", false },
		{ "u@" U, "to { xn--bcher-kvb.example }", false },
		{ "u@" A, "when rcpt is u@" U, true },
		{ "u@" U, "when rcpt is u@" A, true },
		{ "u@" U, "when rcpt.domain is " A, true },
		{ "u@" U, "when rcpt.domain in { " A " }", true },
		{ "u@" U, "when rcpt.domain in { .example }", true },
		{ "u@" U, "when m(rcpt) is x", true },
		{ "u@" U, "when m(rcpt.domain) is x", true },
		{ "u@" U, "when rcpt in m(helo)", true },
		{ "u@" U, "when rcpt.domain in m(helo)", true },
		{ "u@" U, "to m(helo)", true },
	};

	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct canned  c = bob(row->to);
		struct policy *p;

		t_row = arena_z(arena, arena_printf(arena, "%s %s", row->to, row->allow));
		c.v[CANNED_RCPT_DOMAIN].text = c.v[CANNED_RCPT].path->domain;
		p = load(arena_z(arena,
		    arena_printf(arena,
			"map m { " A " x  mx.out.example " A " }\nrelay { allow %s }\n",
			row->allow)));
		if (p == NULL)
			continue;
#if HAVE_IDN2
		T_EQ_NUM(ask(p, &c).kind, row->want ? VERDICT_NONE : VERDICT_REJECT);
#else
		t_skipped++;
#endif
		policy_free(p);
	}
}

/* A text that is an address, such as a login, is looked up as one, in lists, in braces and in what a map has. */
static void
texts_that_are_addresses(void)
{
	static const struct {
		const char *user, *in;
		bool        want;
	} rows[] = {
		{ "a@ours.example", "ours", true },
		{ "A@OURS.Example", "ours", true },
		{ "a@sub.ours.example", "ours", true },
		{ "a@notours.example", "ours", false },
		{ "a.ours.example@x.example", "ours", false },
		{ "a@ours.example@x.example", "ours", false },
		{ "a@.ours.example", "ours", false },
		{ "a@", "ours", false },
		{ "a@[IPv6:2001:db8:0::1]", "ours", true },
		{ "a@[192.0.2.1]", "ours", false },
		{ "ours.example", "ours", true },
		{ "a@ours.example", "{ .ours.example }", false },
		{ "a@sub.ours.example", "{ .ours.example }", true },
		{ "a@.ours.example", "{ .ours.example }", false },
		{ "a@ours.example", "{ \"@ours.example\" }", true },
		{ "a@sub.ours.example", "{ \"@ours.example\" }", false },
		{ "a@ours.example", "them", true },
		{ "a@ours.example", "{ x, a@ours.example }", true },
		{ "ours.example", "{ \"@ours.example\" }", false },
		{ "@ours.example", "{ \"@ours.example\" }", true },
		{ "a@ours.example", "{ ours.example }", true },
		{ "ours.example", "{ ours.example }", true },
		{ "bob", "{ x, bob }", true },
		/* c.example, .d.example, @e.example, f@f.example */
		{ "a@c.example", "m(helo)", true },
		{ "a@x.c.example", "m(helo)", false },
		{ "a@x.d.example", "m(helo)", true },
		{ "a@.d.example", "m(helo)", false },
		{ "a@d.example", "m(helo)", false },
		{ "a@e.example", "m(helo)", true },
		{ "f@f.example", "m(helo)", true },
		{ "f+x@f.example", "m(helo)", true },
		{ "g@f.example", "m(helo)", false },
		{ "a@[IPv6:2001:db8:0::1]", "m(helo)", true },
#if HAVE_IDN2
		{ "u@" U, "u", true },
		{ "u@" A, "u", true },
		{ "u@a." U, "u", true },
		{ "u@" U, "{ \"@" A "\" }", true },
		{ "u@" A, "{ \"@" U "\" }", true },
		{ "u@" A, "{ u@" U " }", true },
		{ "u@" A, "{ v@" U " }", false },
		{ "u@" A, "n(helo)", true },
		{ "u@a." A, "n(helo)", true },
		{ "u@a." U, "n(helo)", true },
		{ "u@xn--bcher-kvb.example", "n(helo)", false },
#endif
	};

	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct canned  c = bob("u@x.example");
		struct policy *p;

		t_row = arena_z(arena, arena_printf(arena, "%s in %s", row->user, row->in));
		c.v[CANNED_USER].text = strv_z(row->user);
		p = load(arena_z(arena,
		    arena_printf(arena,
			"domains ours { ours.example .ours.example [IPv6:2001:DB8::1] }\n"
			"addresses them { @ours.example }\ndomains u { " U " ." A " }\n"
			"map m { mx.out.example c.example, .d.example, \"@e.example\", "
			"f@f.example, [IPv6:2001:DB8::1] }\n"
			"map n { mx.out.example \"@" U "\", ." U " }\n"
			"relay { allow when auth.user in %s }\n",
			row->in)));
		if (p == NULL)
			continue;
		T_EQ_NUM(ask(p, &c).kind, row->want ? VERDICT_NONE : VERDICT_REJECT);
		policy_free(p);
	}
}

/* What stands in front of the "@" may hold one of its own: it is no address. */
static void
local_parts_are_no_addresses(void)
{
	static const char *const ins[] = { "users", "{ john.doe }", "m(helo)" };

	for (unsigned i = 0; i < T_COUNT(ins); i++) {
		struct canned  c = bob("\"victim@john.doe\"@ours.example");
		struct policy *p = load(arena_z(arena,
		    arena_printf(arena,
			"domains users { john.doe }\nmap m { mx.out.example john.doe, @john.doe }\n"
			"relay { allow when rcpt.local in %s }\n",
			ins[i])));

		t_row = ins[i];
		c.v[CANNED_RCPT_LOCAL].text = SV("victim@john.doe");
		T_EQ_NUM(ask(p, &c).kind, VERDICT_REJECT);
		c.v[CANNED_RCPT_LOCAL].text = SV("john.doe");
		T_EQ_NUM(ask(p, &c).kind, VERDICT_NONE);
		policy_free(p);
	}
}

/* ---- the gate ---- */

struct gate_row {
	const char *name, *relay, *to, *client;
	const char *want; /* taken, or code */
	uint64_t    unknown;
};

static const struct gate_row gate_rows[] = {
	{ "from", "allow from nets(auth.user)", "v@f.example", "192.0.2.7", "taken", 0 },
	{ "from the edge", "allow from nets(auth.user)", "v@f.example", "192.0.3.0", "550 5.7.1",
	    0 },
	{ "from a range", "allow from nets(auth.user)", "v@f.example", "198.51.100.3", "taken", 0 },
	{ "from behind it", "allow from nets(auth.user)", "v@f.example", "198.51.100.4",
	    "550 5.7.1", 0 },
	{ "from IPv6", "allow from nets(auth.user)", "v@f.example", "2001:db8::1", "taken", 0 },
	{ "IPv6 is not IPv4", "allow from nets(auth.user)", "v@f.example",
	    "c000:207::", "550 5.7.1", 0 },
	{ "from, nobody's", "allow from nets(helo)", "v@f.example", "192.0.2.7", "550 5.7.1", 0 },
	{ "from, unknown", "allow from nets(auth.user)", "v@f.example", "192.0.2.7", "451 4.4.3",
	    BIT(USER) },
	{ "to", "allow to own(auth.user)", "u@ours.example", "192.0.2.7", "taken", 0 },
	{ "to an address", "allow to own(auth.user)", "u+x@b.example", "192.0.2.7", "taken", 0 },
	{ "to another", "allow to own(auth.user)", "v@b.example", "192.0.2.7", "550 5.7.1", 0 },
	{ "to with routing characters", "allow to own(auth.user)", "x%y@ours.example", "192.0.2.7",
	    "550 5.1.3", 0 },
	{ "to with them allowed", "routing-characters allow allow to own(auth.user)",
	    "x%y@ours.example", "192.0.2.7", "taken", 0 },
	{ "to, nobody's", "allow to own(helo)", "u@ours.example", "192.0.2.7", "550 5.7.1", 0 },
	{ "to, unknown", "allow to own(auth.user)", "u@ours.example", "192.0.2.7", "451 4.4.3",
	    BIT(USER) },
	{ "to, unknown, with routing characters", "allow to own(auth.user)", "x%y@ours.example",
	    "192.0.2.7", "550 5.7.1", BIT(USER) },
	{ "unknown and a yes", "allow to own(auth.user) allow to { ours.example }",
	    "u@ours.example", "192.0.2.7", "taken", BIT(USER) },
};

static void
gate(void)
{
	T_TABLE(struct gate_row, row, gate_rows)
	{
		struct policy *p;
		struct canned  c = bob(row->to);
		struct verdict v;

		t_row = row->name;
		p = load(arena_z(arena,
		    arena_printf(arena,
			"map nets { bob 192.0.2.0/24, 198.51.100.1-198.51.100.3, 2001:db8::/32 }\n"
			"map own { bob ours.example, u@b.example }\nrelay { %s }\n",
			row->relay)));
		if (p == NULL)
			continue;
		T_CHECK(addr_parse(strv_z(row->client), &c.v[CANNED_CLIENT_IP].addr));
		c.unknown = row->unknown;
		v = ask(p, &c);
		T_EQ_TEXT(v.kind == VERDICT_NONE ? SV("taken") :
						   arena_printf(arena, "%u %s", v.code, v.enh),
		    row->want);
		policy_free(p);
	}
}

/* ---- routes and classes ---- */

struct route_row {
	const char *text, *to, *want;
	uint64_t    unknown;
};

#define WHERE \
	"map where { ours.example default  vip+x@ours.example students  .s.example students }\nroute where\n"
#define CLASS "map class { ours.example standard, big }\n"

static const struct route_row route_rows[] = {
	{ WHERE, "u@ours.example", "default/-", 0 },
	{ WHERE, "vip+x@ours.example", "students/-", 0 },
	{ WHERE, "vip@ours.example", "default/-", 0 },
	{ WHERE, "u@A.S.Example", "students/-", 0 },
	{ WHERE, "u@s.example", "-/-", 0 },
	{ WHERE, "postmaster", "-/-", 0 },
	{ WHERE, "u@ours.example", "unknown", BIT(RCPT) },
	{ WHERE "transaction-class rcpt.domain\n", "u@ours.example", "default/ours.example", 0 },
	{ WHERE "transaction-class rcpt.domain\n", "u@ours.example", "unknown", BIT(RCPT_DOMAIN) },
	{ "transaction-class rcpt\n", "U@Ours.Example", "-/u@ours.example", 0 },
	{ "transaction-class sender.domain\n", "u@ours.example", "-/b.example", 0 },
	{ "transaction-class tls.version\n", "u@ours.example", "-/", 0 },
	{ "transaction-class authenticated\n", "u@ours.example", "-/no", 0 },
	{ "transaction-class client\n", "u@ours.example", "-/198.51.100.9", 0 },
	{ "transaction-class client.port\n", "u@ours.example", "unknown", BIT(PORT) },
	{ CLASS "transaction-class class(rcpt)\n", "u@ours.example", "-/standard big", 0 },
	{ CLASS "transaction-class class(rcpt)\n", "u@x.example", "-/", 0 },
	{ CLASS "transaction-class class(rcpt)\n", "postmaster", "-/", 0 },
	{ CLASS "transaction-class class(rcpt)\n", "u@ours.example", "unknown", BIT(RCPT) },
	{ CLASS "transaction-class class(rcpt) is big\n", "u@ours.example", "-/yes", 0 },
	{ CLASS "transaction-class class(rcpt) is big\n", "u@x.example", "-/no", 0 },
	{ CLASS "transaction-class not class(rcpt) is big\n", "u@x.example", "-/yes", 0 },
	{ CLASS "transaction-class class(rcpt) is big and spf is pass\n", "u@ours.example",
	    "unknown", BIT(SPF) },
	{ CLASS "transaction-class class(rcpt) is big and spf is pass\n", "u@x.example", "-/no",
	    BIT(SPF) },
	{ "hostname x.example\n", "u@ours.example", "-/-", 0 },
};

static void
routes(void)
{
	T_TABLE(struct route_row, row, route_rows)
	{
		struct policy *p = load(row->text);
		struct canned  c = bob(row->to);

		t_row = arena_z(arena, arena_printf(arena, "%s, %s", row->text, row->to));
		c.v[CANNED_RCPT_DOMAIN].text = c.v[CANNED_RCPT].path->domain;
		c.unknown = row->unknown;
		T_EQ_TEXT(routed(p, &c, 0), row->want);
		T_EQ_NUM(policy_routes(p), strcmp(row->want, "-/-") != 0 || row->text[0] == 'm');
		policy_free(p);
	}
}

/* Each recipient is asked for by its own number. */
static enum wait_rc
ask_by_number(void *ctx, struct fact *f)
{
	const struct path *to = ctx;

	f->state = FACT_KNOWN;
	f->v.path = &to[f->rcpt];
	return WAIT_OK;
}

static void
routes_of_several(void)
{
	struct policy *p = load(WHERE "transaction-class rcpt\n");
	struct path    to[2];
	struct facts   f = { .a = arena, .ask = ask_by_number, .ctx = to };
	struct strv    pool, class;
	const char    *why;
	bool           unknown;

	T_EQ_NUM(path_parse_plain(arena, SV("u@ours.example"), &to[0], &why), PATH_OK);
	T_EQ_NUM(path_parse_plain(arena, SV("v@a.s.example"), &to[1], &why), PATH_OK);
	for (unsigned round = 0; round < 2; round++) {
		policy_route(p, 1, &f, arena, &pool, &class, &unknown);
		T_EQ_TEXT(pool, "students");
		T_EQ_TEXT(class, "v@a.s.example");
		policy_route(p, 0, &f, arena, &pool, &class, &unknown);
		T_EQ_TEXT(pool, "default");
		T_EQ_TEXT(class, "u@ours.example");
	}
	policy_free(p);
}

static void
routes_cancelled(void)
{
	struct policy *p = load(WHERE "transaction-class rcpt.domain\n");
	struct canned  c = bob("u@ours.example");
	struct facts   f = { .a = arena, .ask = canned_ask, .ctx = &c };
	struct strv    pool, class;
	bool           unknown;

	c.cancel = true;
	T_EQ_NUM(policy_route(p, 0, &f, arena, &pool, &class, &unknown), WAIT_CANCELLED);
	T_CHECK(pool.p == NULL && class.p == NULL);
	T_EQ_NUM(c.asks, 1);
	policy_free(p);
}

/* Pools that a route names are told to who asked for it; a map that routes nothing names none. */
static void
pools_that_are_used(void)
{
	static const char *const texts[] = {
		"map m { a.example students }\nroute m\n",
		"map m { a.example students }\ntransaction-class m(rcpt)\n",
	};

	for (unsigned i = 0; i < T_COUNT(texts); i++) {
		bool                used[2] = { false, false };
		struct policy_names names = canned_names;
		struct canned_file  file = { "p.conf", texts[i], { NULL, 0 } };
		struct canned_files files = { .v = &file, .n = 1 };
		struct world        w = canned_world(&files);
		struct diags        d = { .a = arena };
		struct conf        *c = conf_parse(arena, &w, "p.conf", &d);
		struct policy      *p;

		names.pool_used = used;
		p = policy_load(arena, &w, c, canned_facts, CANNED_N, &names, &canned_key, &d);
		T_CHECK(p != NULL && !used[0]);
		T_EQ_NUM(used[1], i == 0);
		policy_free(p);
	}
}

/* ---- files ---- */

static struct policy *
load_map_file(struct strv text, struct diags *d)
{
	struct canned_file files[2] = {
		{ "p.conf", "map m file \"m\"\ntransaction-class m(rcpt)\n", { NULL, 0 } },
		{ "m", NULL, text },
	};

	return load_files(files, 2, d);
}

/* A file holds what braces hold. */
static void
file_as_braces(void)
{
	static const char text[] = "a.example x, y\r\n# none\nb.example\t x y ,z# w\n\n"
				   "  u@c.example \"p q\",\"\\\"\\\\\\n\" # r\n<> #\\";
	static const struct {
		const char *to, *want;
	} rows[] = { { "u@a.example", "-/x y" }, { "u@b.example", "-/x y z# w" },
		{ "u@c.example", "-/p q \"\\\\n" }, { "v@c.example", "-/" } };
	struct diags   d = { .a = arena };
	struct policy *p = load_map_file(strv(text, sizeof(text) - 6), &d);

	if (!T_CHECK(p != NULL)) {
		diag_print(&d, false, show, NULL);
		return;
	}
	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct canned c = bob(row->to);

		t_row = row->to;
		T_EQ_TEXT(routed(p, &c, 0), row->want);
	}
	policy_free(p);
	/* the same with the last line, which has no value */
	p = load_map_file(strv(text, sizeof(text) - 1), &d);
	T_CHECK(p == NULL && d.errors == 1);
	T_EQ_NUM(d.v[0].pos.line, 6);
	T_EQ_NUM(d.v[0].pos.col, 1);
}

/* Cut anywhere, a file loads or has exactly its last line told of. */
static void
files_cut(void)
{
	static const char text[] = "a.example x, \"y z\"\nb.example \"\\\"\\\\\", w # c\n";

	for (size_t n = 0; n < sizeof(text); n++) {
		struct diags   d = { .a = arena };
		struct policy *p = load_map_file(strv(text, n), &d);
		unsigned       lines = 1;

		t_row = arena_z(arena, strv(text, n));
		for (size_t i = 0; i < n; i++)
			lines += text[i] == '\n';
		T_EQ_NUM(p == NULL, d.errors == 1);
		T_CHECK(d.errors <= 1);
		if (d.errors > 0)
			T_EQ_NUM(d.v[0].pos.line, lines);
		policy_free(p);
	}
}

static struct strv
repeated(const char *head, const char *each, unsigned n)
{
	struct buf  b;
	struct strv all;

	buf_init(&b, 1 << 24);
	buf_add(&b, strv_z(head));
	for (unsigned i = 0; i < n; i++)
		buf_add(&b, strv_z(each));
	all = arena_dup(arena, buf_view(&b));
	buf_fini(&b);
	return all;
}

static void
limits(void)
{
	static const struct {
		const char *head, *each;
		unsigned    n;
		const char *want; /* NULL: it loads */
	} rows[] = {
		{ "a.example", " x", 1000, NULL },
		{ "a.example", " x", 1001, "`a.example' has more than 1000 values" },
		{ "a.example ", "x", 512, NULL },
		{ "a.example ", "x", 513, "the value has more than 512 octets" },
		{ "x x\nb", "b", 511, "the key has no value" },
		{ "x x\n\"b\" \"", "b", 512, "the string is not ended" },
	};
	struct strv long_key = arena_concat(arena, repeated("b", "b", 511), SV(" x\n"));

	T_TABLE(__typeof__(rows[0]), row, rows)
	{
		struct diags   d = { .a = arena };
		struct policy *p;

		t_row = arena_z(arena, arena_printf(arena, "%s, %u", row->head, row->n));
		p = load_map_file(repeated(row->head, row->each, row->n), &d);
		T_EQ_TEXT(d.n > 0 && d.v[0].level == DIAG_ERROR ? d.v[0].text : SV("loads"),
		    row->want == NULL ? "loads" : row->want);
		policy_free(p);
	}
	for (unsigned more = 0; more < 2; more++) {
		struct diags   d = { .a = arena };
		struct policy *p = load_map_file(
		    more ? arena_concat(arena, SV("b"), long_key) : long_key, &d);

		t_row = more ? "a key of 513" : "a key of 512";
		T_EQ_NUM(d.errors, more);
		policy_free(p);
	}
}

#define MILLION 1000000

/* A million keys load, and what stays of them is compact. */
static void
a_million(void)
{
	static const unsigned at[] = { 0, 1, 999, 500000, MILLION - 1 };
	struct diags          d = { .a = arena };
	struct buf            b;
	struct policy        *p;
	size_t                used;

	buf_init(&b, 1 << 26);
	for (unsigned i = 0; i < MILLION; i++)
		buf_printf(
		    &b, "user%u@d%u.example %s\n", i, i % 1000, i % 2 ? "default" : "students");
	used = arena_used(arena);
	p = load_map_file(buf_view(&b), &d);
	T_CHECK(arena_used(arena) - used < 100000);
	buf_fini(&b);
	if (!T_CHECK(p != NULL))
		return;
	T_EQ_NUM(maptable_count(p->list[0].map), MILLION);
	T_CHECKF(maptable_octets(p->list[0].map) < (size_t)MILLION * 70, "%zu octets",
	    maptable_octets(p->list[0].map));
	for (unsigned i = 0; i < T_COUNT(at); i++) {
		struct canned c = bob(
		    arena_z(arena, arena_printf(arena, "user%u@d%u.example", at[i], at[i] % 1000)));

		T_EQ_TEXT(routed(p, &c, 0), at[i] % 2 ? "-/default" : "-/students");
	}
	policy_free(p);
}

/* ---- the table itself ---- */

static void
table(void)
{
	struct maptable  *t = maptable_new(&canned_key);
	struct strv       v[2] = { SV("one"), SV("") }, out;
	struct map_place  place = { 7, 9 };
	struct map_values found = { NULL, 0 };

	T_CHECK(!maptable_find(t, SV("a"), &found) && !maptable_find(t, SV(""), &found));
	T_CHECK(maptable_add(t, SV("Key"), v, 2, &place));
	place = (struct map_place){ 8, 1 };
	T_CHECK(!maptable_add(t, SV("kEY"), v, 1, &place));
	T_CHECK(place.line == 7 && place.col == 9);
	T_CHECK(maptable_find(t, SV("KEY"), &found));
	T_EQ_NUM(found.n, 2);
	T_CHECK(map_values_next(&found, &out) && strv_eq(out, SV("one")));
	T_CHECK(map_values_next(&found, &out) && out.n == 0 && out.p != NULL);
	T_CHECK(!map_values_next(&found, &out));
	T_CHECK(!maptable_find(t, SV("ke"), &found) && !maptable_find(t, SV("keys"), &found));
	maptable_free(t);
	maptable_free(NULL);
}

/* Many keys with random values, against a plain list of them; before and after it is sealed. */
static void
table_of_many(void)
{
	enum { MANY = 3000 };
	struct maptable  *t = maptable_new(&canned_key);
	uint64_t          seed = 99;
	struct strv       key[MANY], value[MANY], out;
	struct map_values found;

	for (unsigned i = 0; i < MANY; i++) {
		struct map_place place = { i, 1 };

		key[i] = arena_printf(arena, "%llx.%u", (unsigned long long)t_random(&seed), i);
		value[i] = arena_printf(arena, "%u", (unsigned)(t_random(&seed) % 100));
		T_CHECK(maptable_add(t, key[i], &value[i], 1, &place));
	}
	T_EQ_NUM(maptable_count(t), MANY);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			found = (struct map_values){ NULL, 0 };
			T_CHECK(maptable_find(t, key[i], &found) && map_values_next(&found, &out));
			T_EQ_STRV(out, value[i]);
		}
		maptable_seal(t);
	}
	maptable_free(t);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(look_ups);
	T_RUN(at_signs);
	T_RUN(look_ups_of_other_types);
	T_RUN(expressions);
	T_RUN(items);
	T_RUN(texts_that_begin_with_a_dot);
	T_RUN(u_labels);
	T_RUN(texts_that_are_addresses);
	T_RUN(local_parts_are_no_addresses);
	T_RUN(gate);
	T_RUN(routes);
	T_RUN(routes_of_several);
	T_RUN(routes_cancelled);
	T_RUN(pools_that_are_used);
	T_RUN(file_as_braces);
	T_RUN(files_cut);
	T_RUN(limits);
	T_RUN(a_million);
	T_RUN(table);
	T_RUN(table_of_many);
	arena_free(arena);
	return t_end();
}
