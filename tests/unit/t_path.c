/* Envelope addresses: what is taken, what is refused and how, and the one form that they are written in. */
#include "proxy/mail/path.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

enum { NIL = PATH_MAY_BE_NULL, BARE = PATH_MAY_BE_BARE, U8 = PATH_MAY_BE_UTF8 };

#define L64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D63 "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
#define D189 \
	D63 "." D63 "." \
	    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

struct good {
	const char    *in;
	unsigned       flags;
	enum path_kind kind;
	const char    *text, *local, *domain; /* domain NULL: absent */
};

/* clang-format off */
static const struct good good[] = {
	{ "<a@b.example>",              0,    PATH_MAILBOX, "a@b.example", "a", "b.example" },
	{ "<A.b+c@B.Example>",          0,    PATH_MAILBOX, "A.b+c@B.Example", "A.b+c", "B.Example" },
	{ "<a@b.example.>",             0,    PATH_MAILBOX, "a@b.example", "a", "b.example" },
	{ "<a@b>",                      0,    PATH_MAILBOX, "a@b", "a", "b" },
	{ "<a@my_host.x-1.example>",    0,    PATH_MAILBOX, "a@my_host.x-1.example", "a", "my_host.x-1.example" },
	{ "<!#$%&'*+-/=?^_`{|}~@d>",    0,    PATH_MAILBOX, "!#$%&'*+-/=?^_`{|}~@d", "!#$%&'*+-/=?^_`{|}~", "d" },
	{ "<\"a\"@d>",                  0,    PATH_MAILBOX, "a@d", "a", "d" },
	{ "<\"a.b\"@d>",                0,    PATH_MAILBOX, "a.b@d", "a.b", "d" },
	{ "<\"\\a\\.\\b\"@d>",          0,    PATH_MAILBOX, "a.b@d", "a.b", "d" },
	{ "<\"a b\"@d>",                0,    PATH_MAILBOX, "\"a b\"@d", "a b", "d" },
	{ "<\"a\\\"b\"@d>",             0,    PATH_MAILBOX, "\"a\\\"b\"@d", "a\"b", "d" },
	{ "<\"a\\\\\"@d>",              0,    PATH_MAILBOX, "\"a\\\\\"@d", "a\\", "d" },
	{ "<\"x@foreign.example\"@d>",  0,    PATH_MAILBOX, "\"x@foreign.example\"@d", "x@foreign.example", "d" },
	{ "<\"a>b\"@d>",                0,    PATH_MAILBOX, "\"a>b\"@d", "a>b", "d" },
	{ "<\"\"@d>",                   0,    PATH_MAILBOX, "\"\"@d", "", "d" },
	{ "<a..b@d>",                   0,    PATH_MAILBOX, "\"a..b\"@d", "a..b", "d" },
	{ "<a.@d>",                     0,    PATH_MAILBOX, "\"a.\"@d", "a.", "d" },
	{ "<.a@d>",                     0,    PATH_MAILBOX, "\".a\"@d", ".a", "d" },
	{ "<a@[192.0.2.1]>",            0,    PATH_MAILBOX, "a@[192.0.2.1]", "a", "[192.0.2.1]" },
	{ "<a@[IPv6:2001:db8::1]>",     0,    PATH_MAILBOX, "a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]" },
	{ "<@r.example:a@d>",           0,    PATH_MAILBOX, "a@d", "a", "d" },
	{ "<@r.example,@s.example:a@d>", 0,   PATH_MAILBOX, "a@d", "a", "d" },
	{ "<@r:\"a b\"@d>",             0,    PATH_MAILBOX, "\"a b\"@d", "a b", "d" },
	{ "<>",                         NIL,  PATH_NULL, "", "", NULL },
	{ "<postmaster>",               BARE, PATH_POSTMASTER, "postmaster", "postmaster", NULL },
	{ "<PostMaster>",               BARE, PATH_POSTMASTER, "PostMaster", "PostMaster", NULL },
	{ "<\"postmaster\">",           BARE, PATH_POSTMASTER, "postmaster", "postmaster", NULL },
	{ "<root>",                     BARE, PATH_LOCAL, "root", "root", NULL },
	{ "<\"a b\">",                  BARE, PATH_LOCAL, "\"a b\"", "a b", NULL },
	{ "<postmaster@d>",             BARE, PATH_MAILBOX, "postmaster@d", "postmaster", "d" },
	{ "<\xc3\xbc@x>",               U8,   PATH_MAILBOX, "\xc3\xbc@x", "\xc3\xbc", "x" },
	{ "<\"\xc3\xbc\"@x>",           U8,   PATH_MAILBOX, "\xc3\xbc@x", "\xc3\xbc", "x" },
	{ "<\"\xc3\xbc y\"@x>",         U8,   PATH_MAILBOX, "\"\xc3\xbc y\"@x", "\xc3\xbc y", "x" },
	{ "<a@\xe2\x82\xac.example>",   U8,   PATH_MAILBOX, "a@\xe2\x82\xac.example", "a", "\xe2\x82\xac.example" },
	{ "<\xf0\x9f\x93\xae@x>",       U8,   PATH_MAILBOX, "\xf0\x9f\x93\xae@x", "\xf0\x9f\x93\xae", "x" },
	{ "<" L64 "@d>",                0,    PATH_MAILBOX, L64 "@d", L64, "d" },
	{ "<" L64 "@" D189 ">",         0,    PATH_MAILBOX, L64 "@" D189, L64, D189 },          /* 256 in all */
	{ "<a@" D189 ".example>",       0,    PATH_MAILBOX, "a@" D189 ".example", "a", D189 ".example" },
};

static const struct {
	const char *in;
	unsigned flags;
	enum path_rc rc;
} bad[] = {
	{ "",                       NIL | BARE | U8, PATH_SYNTAX },
	{ "a@b",                    NIL | BARE | U8, PATH_SYNTAX },
	{ "<",                      NIL | BARE | U8, PATH_SYNTAX },
	{ "<>",                     BARE | U8, PATH_SYNTAX },
	{ "< >",                    NIL | BARE | U8, PATH_SYNTAX },
	{ "< a@b>",                 0, PATH_SYNTAX },
	{ "<a@b >",                 0, PATH_SYNTAX },
	{ "<a @b>",                 0, PATH_SYNTAX },
	{ "<a@b",                   0, PATH_SYNTAX },
	{ "<<a@b>>",                0, PATH_SYNTAX },
	{ "<postmaster>",           NIL | U8, PATH_SYNTAX },
	{ "<@>",                    BARE, PATH_SYNTAX },
	{ "<@b>",                   BARE, PATH_SYNTAX },
	{ "<a@>",                   BARE, PATH_SYNTAX },
	{ "<a@.>",                  0, PATH_SYNTAX },
	{ "<a@b..>",                0, PATH_SYNTAX },
	{ "<a@.b>",                 0, PATH_SYNTAX },
	{ "<a@b..c>",               0, PATH_SYNTAX },
	{ "<a@b@c>",                0, PATH_SYNTAX },
	{ "<a@b c>",                0, PATH_SYNTAX },
	{ "<a@b,c>",                0, PATH_SYNTAX },
	{ "<a(x)@b>",               0, PATH_SYNTAX },   /* comments are RFC 5322's, not the envelope's */
	{ "<a@b(x)>",               0, PATH_SYNTAX },
	{ "<a\\@b@c>",              0, PATH_SYNTAX },
	{ "<a\\b@c>",               0, PATH_SYNTAX },
	{ "<a,b@c>",                0, PATH_SYNTAX },
	{ "<\"a@b>",                0, PATH_SYNTAX },
	{ "<\"a\\",                 0, PATH_SYNTAX },
	{ "<\"a\\\"@b>",            0, PATH_SYNTAX },
	{ "<\"a\"b@c>",             0, PATH_SYNTAX },
	{ "<a\"b\"@c>",             0, PATH_SYNTAX },
	{ "<\"a\tb\"@c>",           0, PATH_SYNTAX },
	{ "<\"a\\\x01\"@c>",        0, PATH_SYNTAX },
	{ "<\"a\x7f\"@c>",          0, PATH_SYNTAX },
	{ "<a@[192.0.2.1>",         0, PATH_SYNTAX },
	{ "<a@[192.0.2]>",          0, PATH_SYNTAX },
	{ "<a@[192.0.2.256]>",      0, PATH_SYNTAX },
	{ "<a@[2001:db8::1]>",      0, PATH_SYNTAX },
	{ "<a@[IPv6:192.0.2.1]>",   0, PATH_SYNTAX },
	{ "<a@[]>",                 0, PATH_SYNTAX },
	{ "<a@[192.0.2.1]x>",       0, PATH_SYNTAX },
	{ "<a@192.0.2.1]>",         0, PATH_SYNTAX },
	{ "<@r:postmaster>",        BARE, PATH_SYNTAX },
	{ "<@r:>",                  NIL | BARE, PATH_SYNTAX },
	{ "<@r,s:a@d>",             0, PATH_SYNTAX },
	{ "<@r,:a@d>",              0, PATH_SYNTAX },
	{ "<@r,@:a@d>",             0, PATH_SYNTAX },
	{ "<@r,",                   0, PATH_SYNTAX },
	{ "<@r a@d>",               0, PATH_SYNTAX },
	{ "<r:a@d>",                0, PATH_SYNTAX },
	{ "<a@" D63 "x>",           0, PATH_SYNTAX },
	{ "<\xc3\xbc@x>",           NIL | BARE, PATH_NON_ASCII },
	{ "<\"\xc3\xbc\"@x>",       0, PATH_NON_ASCII },
	{ "<a@\xc3\xbc>",           0, PATH_NON_ASCII },
	{ "<@\xc3\xbc:a@d>",        0, PATH_NON_ASCII },
	{ "<\xc3@x>",               U8, PATH_SYNTAX },
	{ "<\xbc@x>",               U8, PATH_SYNTAX },
	{ "<\xc0\xaf@x>",           U8, PATH_SYNTAX },          /* longer than need be */
	{ "<\xe0\x9f\xbf@x>",       U8, PATH_SYNTAX },
	{ "<\xed\xa0\x80@x>",       U8, PATH_SYNTAX },          /* a surrogate */
	{ "<\xf4\x90\x80\x80@x>",   U8, PATH_SYNTAX },          /* above U+10FFFF */
	{ "<\xf0\x9f\x93",          U8, PATH_SYNTAX },
	{ "<a@\xc3>",               U8, PATH_SYNTAX },
	{ "<\"\\\xc3\xbc\"@x>",     U8, PATH_SYNTAX },
	{ "<" L64 "a@d>",           0, PATH_TOO_LONG },
	{ "<\"" L64 "a\"@d>",       0, PATH_TOO_LONG },
	{ "<a@" D189 "." D63 ".x>", 0, PATH_TOO_LONG },
	{ "<" L64 "@" D189 "e>",    0, PATH_TOO_LONG },         /* 257 in all */
	{ "<a@" D189 "." D63 ".xx>", 0, PATH_TOO_LONG },
};
/* clang-format on */

/* A copy of exactly n octets, so that a sanitizer sees the first one too many. */
static char *
exact(const char *p, size_t n)
{
	char *copy = calloc(1, n == 0 ? 1 : n);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	return copy;
}

static enum path_rc
parse(struct arena *a, struct strv in, unsigned flags, struct path *out, size_t *taken)
{
	char        *copy = exact(in.p, in.n);
	struct strv  v = strv(copy, in.n);
	const char  *why = NULL;
	enum path_rc rc = path_parse(a, &v, flags, out, &why);

	*taken = (size_t)(v.p - copy);
	T_CHECK((rc == PATH_OK) == (why == NULL));
	free(copy);
	return rc;
}

static void
check_good(const struct good *g, const struct path *p)
{
	T_EQ_NUM(p->kind, g->kind);
	T_EQ_TEXT(path_text(p), g->text);
	T_EQ_TEXT(p->local, g->local);
	T_EQ_TEXT(p->domain, g->domain);
	T_EQ_NUM(p->utf8, (g->flags & U8) != 0);
	T_EQ_NUM(p->routed, g->in[1] == '@');
	T_EQ_NUM(p->literal.family != ADDR_NONE, g->domain != NULL && g->domain[0] == '[');
}

/* Whole, with something behind it, and each beginning of it, which must be a fault. */
static void
takes_what_is_good(void)
{
	T_TABLE(struct good, g, good)
	{
		struct arena *a = arena_new(1024, 0);
		struct strv   in = strv_z(g->in);
		struct path   p;
		size_t        taken;

		t_row = g->in;
		if (T_EQ_NUM(parse(a, in, g->flags, &p, &taken), PATH_OK)) {
			T_EQ_NUM(taken, in.n);
			check_good(g, &p);
		}
		parse(a, arena_concat(a, in, SV(" SIZE=1>")), g->flags, &p, &taken);
		T_EQ_NUM(taken, in.n);
		for (size_t n = 0; n < in.n; n++) {
			T_CHECKF(parse(a, strv_first(in, n), g->flags, &p, &taken) != PATH_OK,
			    "first %zu", n);
			T_EQ_NUM(taken, 0);
		}
		arena_free(a);
	}
}

/* What is printed is the same path: by the wire's way and by the configuration's. */
static void
prints_canonical(void)
{
	T_TABLE(struct good, g, good)
	{
		struct arena *a = arena_new(1024, 0);
		struct path   p, again;
		const char   *why;
		size_t        taken;

		t_row = g->in;
		parse(a, strv_z(g->in), g->flags, &p, &taken);
		parse(a, arena_printf(a, "<%.*s>", (int)p.text.n, p.text.p), g->flags, &again,
		    &taken);
		T_EQ_NUM(again.kind, p.kind);
		T_EQ_STRV(again.text, p.text);
		T_EQ_STRV(again.local, p.local);
		T_CHECK(!again.routed);
		if (p.kind != PATH_NULL) {
			T_EQ_NUM(path_parse_plain(a, p.text, &again, &why), PATH_OK);
			T_EQ_STRV(again.text, p.text);
		}
		arena_free(a);
	}
}

static void
refuses_what_is_bad(void)
{
	struct arena *a = arena_new(1024, 0);

	for (size_t i = 0; i < T_COUNT(bad); i++) {
		struct path p;
		size_t      taken;

		t_row = bad[i].in;
		T_EQ_NUM(parse(a, strv_z(bad[i].in), bad[i].flags, &p, &taken), bad[i].rc);
		T_EQ_NUM(taken, 0);
	}
	t_row = "a NUL";
	for (size_t at = 1; at < 9; at++) {
		char        text[] = "<\"ab\"@d.e>";
		struct path p;
		size_t      taken;

		text[at] = '\0';
		T_EQ_NUM(parse(a, strv(text, sizeof(text) - 1), NIL | BARE | U8, &p, &taken),
		    PATH_SYNTAX);
	}
	arena_free(a);
}

static void
reads_configuration(void)
{
	struct arena *a = arena_new(1024, 0);
	const char   *why;
	struct path   p;

	T_EQ_NUM(path_parse_plain(a, SV("a@b.example"), &p, &why), PATH_OK);
	T_EQ_TEXT(p.text, "a@b.example");
	T_EQ_NUM(path_parse_plain(a, SV("<>"), &p, &why), PATH_OK);
	T_EQ_NUM(p.kind, PATH_NULL);
	T_EQ_NUM(path_parse_plain(a, SV("<a@b>"), &p, &why), PATH_OK);
	T_EQ_TEXT(p.text, "a@b");
	T_EQ_NUM(path_parse_plain(a, SV("postmaster"), &p, &why), PATH_OK);
	T_EQ_NUM(p.kind, PATH_POSTMASTER);
	T_EQ_NUM(path_parse_plain(a, SV(""), &p, &why), PATH_SYNTAX);
	T_EQ_NUM(path_parse_plain(a, SV("a@b>"), &p, &why), PATH_SYNTAX);
	T_EQ_NUM(path_parse_plain(a, SV("<a@b>x"), &p, &why), PATH_SYNTAX);
	T_EQ_NUM(path_parse_plain(a, SV("a@b c"), &p, &why), PATH_SYNTAX);
	T_EQ_NUM(path_parse_plain(a, strv(NULL, 0), &p, &why), PATH_SYNTAX);
	arena_free(a);
}

/* RFC 5321 3.6.1 and the open relays that trust such addresses made. */
static void
sees_routing_characters(void)
{
	/* clang-format off */
	static const struct {
		const char *in;
		bool routes;
	} rows[] = {
		{ "<a@d>", false }, { "<a+b.c@d>", false }, { "<\"a b\"@d>", false }, { "<a/b@d>", false },
		{ "<x%foreign.example@d>", true }, { "<foreign.example!x@d>", true },
		{ "<\"x@foreign.example\"@d>", true }, { "<a|b@d>", true }, { "<.a@d>", true },
		{ "</etc/passwd@d>", true }, { "<\"\"@d>", false },
	};
	/* clang-format on */
	struct arena *a = arena_new(1024, 0);

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct path p;
		size_t      taken;

		t_row = rows[i].in;
		T_EQ_NUM(parse(a, strv_z(rows[i].in), 0, &p, &taken), PATH_OK);
		T_EQ_NUM(path_routes(&p), rows[i].routes);
	}
	arena_free(a);
}

static void
judges_domains(void)
{
	/* clang-format off */
	static const struct {
		const char *in;
		bool plain, fqdn, utf8;
	} rows[] = {
		{ "a", true, false, true },      { "a.b", true, true, true },   { "a_b.c-d", true, true, true },
		{ "", false, false, false },     { ".", false, false, false },  { "a.", false, false, false },
		{ ".a", false, false, false },   { "a..b", false, false, false }, { "a b", false, false, false },
		{ "\xc3\xbc.b", false, false, true }, { "\xc3.b", false, false, false },
		{ D63, true, false, true },      { D63 "d", false, false, false },
		{ D189 "." D63, true, true, true }, { D189 "." D63 ".x", true, true, true },
		{ D189 "." D63 ".xx", false, false, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv v = strv_z(rows[i].in);

		t_row = rows[i].in;
		T_EQ_NUM(domain_valid(v, false, false), rows[i].plain);
		T_EQ_NUM(domain_valid(v, true, false), rows[i].fqdn);
		T_EQ_NUM(domain_valid(v, false, true), rows[i].utf8);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(takes_what_is_good);
	T_RUN(prints_canonical);
	T_RUN(refuses_what_is_bad);
	T_RUN(reads_configuration);
	T_RUN(sees_routing_characters);
	T_RUN(judges_domains);
	return t_end();
}
