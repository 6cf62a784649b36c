/*
 * t_mailboxes -- address lists of header fields: which address is the first, how many there are.
 */
#include <time.h>

#include "proxy/base/arena.h"
#include "proxy/mail/mailboxes.h"
#include "proxy/mail/path.h"
#include "tests/unit/t.h"

struct row {
	const char *raw, *text; /* text: "-" where there is none */
	unsigned    n, broken;
};

static void
run(const struct row *rows, size_t n)
{
	struct arena    *a = arena_new(4096, 0);
	struct mailboxes m;

	for (size_t i = 0; i < n; i++) {
		t_row = rows[i].raw;
		mailboxes_parse(a, strv_z(rows[i].raw), &m);
		T_EQ_TEXT(m.first.text.p == NULL ? SV("-") : m.first.text, rows[i].text);
		T_EQ_NUM(m.n, rows[i].n);
		T_EQ_NUM(m.broken, rows[i].broken);
	}
	arena_free(a);
}

static void
takes_one_address(void)
{
	static const struct row rows[] = {
		{ " a@b.example", "a@b.example", 1, 0 },
		{ "<a@b.example>", "a@b.example", 1, 0 },
		{ " Joe <a@b.example>\r\n", "a@b.example", 1, 0 },
		{ " Joe Q. Public <a@b.example>", "a@b.example", 1, 0 },
		{ " \"Joe, Q\" <a@b.example>", "a@b.example", 1, 0 },
		{ " \"x@y.example\" <a@b.example>", "a@b.example", 1, 0 },
		{ " =?utf-8?q?x=40y?= <a@b.example>", "a@b.example", 1, 0 },
		{ " Gr\xc3\xbc\xc3\x9f <a@b.example>", "a@b.example", 1, 0 },
		{ " A@B.Example", "A@b.example", 1, 0 },
		{ " a@b.example.", "a@b.example", 1, 0 },
		{ " a@[192.0.2.1]", "a@[192.0.2.1]", 1, 0 },
		{ " a@[IPv6:2001:db8::1]", "a@[ipv6:2001:db8::1]", 1, 0 },
		{ " a@localhost", "a@localhost", 1, 0 },
		{ " a@b\xc3\xbc.example", "a@b\xc3\xbc.example", 1, 0 },
		{ " \xc3\xbc@b.example", "\xc3\xbc@b.example", 1, 0 },
		/* folding and blanks, RFC 5322 4.4 */
		{ "\r\n a@b.example\r\n", "a@b.example", 1, 0 },
		{ " Joe\r\n\t<a@b.example>", "a@b.example", 1, 0 },
		{ " a . b @ c . example", "a.b@c.example", 1, 0 },
		{ " < a@b.example >", "a@b.example", 1, 0 },
		/* a name that nobody quoted, and one with an address in it */
		{ " x@y.example <a@b.example>", "a@b.example", 1, 0 },
		{ " x@y.example via list <a@b.example>", "a@b.example", 1, 0 },
		{ " Joe (x@y.example) <a@b.example>", "a@b.example", 1, 0 },
		{ " Dr. Joe's @home <a@b.example>", "a@b.example", 1, 0 },
		{ " Joe [x] <a@b.example>", "a@b.example", 1, 0 },
	};

	run(rows, T_COUNT(rows));
}

static void
undoes_quotes_and_comments(void)
{
	static const struct row rows[] = {
		{ " \"a b\"@c.example", "\"a b\"@c.example", 1, 0 },
		{ " \"a\"@c.example", "a@c.example", 1, 0 },
		{ " \"a\\\"b\\\\\"@c.example", "\"a\\\"b\\\\\"@c.example", 1, 0 },
		{ " \"a@b\"@c.example", "\"a@b\"@c.example", 1, 0 },
		{ " \"a\".b@c.example", "a.b@c.example", 1, 0 },
		{ " \"\"@c.example", "\"\"@c.example", 1, 0 },
		{ " \"a\r\n b\"@c.example", "\"a b\"@c.example", 1, 0 },
		{ " a..b@c.example", "\"a..b\"@c.example", 1, 0 },
		{ " a.@c.example", "\"a.\"@c.example", 1, 0 },
		{ " .a@c.example", "\".a\"@c.example", 1, 0 },
		{ " (x) a (y) @ (z) b.example (w)", "a@b.example", 1, 0 },
		{ " ((x) (y(z)))a@b.example", "a@b.example", 1, 0 },
		{ " (x\\) a@no.example) a@b.example", "a@b.example", 1, 0 },
		{ " a@b(c).example", "a@b.example", 1, 0 },
		{ " a@b.example (c@d.example", "a@b.example", 1, 0 },
		{ " <(x)a@b.example(y)>", "a@b.example", 1, 0 },
		{ " (\") a@b.example", "a@b.example", 1, 0 },
	};

	run(rows, T_COUNT(rows));
}

static void
counts_lists_groups_and_drops_routes(void)
{
	static const struct row rows[] = {
		{ " a@b.example, c@d.example", "a@b.example", 2, 0 },
		{ " A <a@b.example>,\r\n C <c@d.example>, e@f.example", "a@b.example", 3, 0 },
		{ " ,, a@b.example ,,, c@d.example ,", "a@b.example", 2, 0 },
		{ " \"x, y\" <a@b.example>", "a@b.example", 1, 0 },
		{ " team: a@b.example, C <c@d.example>;", "a@b.example", 2, 0 },
		{ " my team : a@b.example;, c@d.example", "a@b.example", 2, 0 },
		{ " a@b.example, team: c@d.example;", "a@b.example", 2, 0 },
		{ " x:;, y: a@b.example;", "a@b.example", 1, 0 },
		{ " undisclosed-recipients:;", "-", 0, 0 },
		{ " team:", "-", 0, 0 },
		{ " <@x.example:a@b.example>", "a@b.example", 1, 0 },
		{ " <@x.example,@y.example:a@b.example>", "a@b.example", 1, 0 },
		{ " Joe <@x.example,,@y.example : a@b.example>", "a@b.example", 1, 0 },
		{ " <a@b.example> <c@d.example>", "a@b.example", 2, 0 },
	};

	run(rows, T_COUNT(rows));
}

static void
passes_over_what_is_broken(void)
{
	static const struct row rows[] = {
		{ "", "-", 0, 0 },
		{ " \r\n", "-", 0, 0 },
		{ " (nobody)", "-", 0, 0 },
		{ " ,", "-", 0, 0 },
		{ " ;", "-", 0, 0 },
		{ " <>", "-", 0, 0 },
		{ " Joe <>", "-", 0, 0 },
		{ " joe", "-", 0, 1 },
		{ " joe, a@b.example", "a@b.example", 1, 1 },
		{ " joe public", "-", 0, 1 },
		{ " @b.example", "-", 0, 1 },
		{ " a@", "-", 0, 1 },
		{ " a@, c@d.example", "c@d.example", 1, 1 },
		{ " a@b@c.example", "-", 0, 1 },
		{ " a b@c.example", "-", 0, 1 },
		{ " a@b.example c@d.example", "-", 0, 1 },
		{ " a@b.example joe", "-", 0, 1 },
		{ " a@.example", "-", 0, 1 },
		{ " a@b..example", "-", 0, 1 },
		{ " a@b/c.example", "-", 0, 1 },
		{ " a@[192.0.2.256]", "-", 0, 1 },
		{ " a@[b", "-", 0, 1 },
		{ " \"a@b.example", "-", 0, 1 },
		{ " \"a\\\"", "-", 0, 1 },
		{ " \"", "-", 0, 1 },
		{ " \"\\", "-", 0, 1 },
		{ " <a@b.example", "-", 0, 1 },
		{ " <a@b.example, c@d.example", "-", 0, 1 },
		{ " <a b@c.example>", "-", 0, 1 },
		{ " <a b@c.example>, d@e.example", "d@e.example", 1, 1 },
		{ " <a@b.example> joe", "a@b.example", 1, 1 },
		{ " <<a@b.example>>", "-", 0, 1 },
		{ " <@x.example a@b.example>", "-", 0, 1 },
		{ " <@:a@b.example>", "-", 0, 1 },
		{ " <joe>", "-", 0, 1 },
		{ " >", "-", 0, 1 },
		{ " :", "-", 0, 0 },
		{ " x: y: a@b.example;", "-", 0, 1 },
		{ " a\x01@b.example", "-", 0, 1 },
		{ " \"a\x01\"@b.example", "-", 0, 1 },
		{ " \xff@b.example", "-", 0, 1 },
		{ " a@\xff.example", "-", 0, 1 },
		{ " \\a@b.example", "-", 0, 1 },
		{ " ] a@b.example", "-", 0, 1 },
		{ " ), a@b.example", "a@b.example", 1, 1 },
	};

	run(rows, T_COUNT(rows));
}

static void
tells_the_parts(void)
{
	struct arena    *a = arena_new(4096, 0);
	struct mailboxes m;

	mailboxes_parse(a, SV(" Joe <\"a b\"@Sub.B.Example>"), &m);
	T_EQ_TEXT(m.first.local, "a b");
	T_EQ_TEXT(m.first.domain, "sub.b.example");
	T_EQ_TEXT(m.first.text, "\"a b\"@sub.b.example");
	arena_free(a);
}

static struct strv
repeat(struct arena *a, const char *what, size_t times)
{
	size_t n = strlen(what);
	char  *p = arena_bytes(a, n * times);

	for (size_t i = 0; i < times; i++)
		memcpy(p + i * n, what, n);
	return strv(p, n * times);
}

/* Much of anything neither nests the stack nor goes on for long. */
static void
is_bounded(void)
{
	static const char *const much[] = { "(", ")", "<", ">", "\"", "\\", "@", ",", ";", ":", "[",
		"a", ".", "a.", "a@b,", "<@", "x:", "x:;", "(a", "\xff", "<a@b>", "\"\\", "[\\" };
	struct arena            *a = arena_new(4096, 0);
	clock_t                  began = clock();
	struct mailboxes         m;

	for (size_t i = 0; i < T_COUNT(much); i++) {
		t_row = much[i];
		mailboxes_parse(a, repeat(a, much[i], 100000), &m);
		T_CHECK(m.n <= 20000);
	}
	T_CHECK(clock() - began < 2 * CLOCKS_PER_SEC); /* what is not closed is looked for once */
	t_row = NULL;
	mailboxes_parse(a, arena_concat(a, repeat(a, "a", 255), SV("@b.example")), &m);
	T_EQ_NUM(m.first.local.n, 255);
	mailboxes_parse(a, arena_concat(a, repeat(a, "a", 256), SV("@b.example")), &m);
	T_EQ_NUM(m.n, 0);
	mailboxes_parse(a, arena_concat(a, SV("a@"), repeat(a, "a.", 127)), &m);
	T_EQ_NUM(m.first.domain.n, 253);
	mailboxes_parse(a, arena_concat(a, SV("a@"), repeat(a, "a.", 130)), &m);
	T_EQ_NUM(m.n, 0);
	mailboxes_parse(a, arena_concat(a, SV("a@"), repeat(a, "a", 64)), &m);
	T_EQ_NUM(m.n, 0);
	arena_free(a);
}

static void
tells_whether_domains_differ(void)
{
	static const struct {
		const char *raw;
		bool        mixed;
	} rows[] = {
		{ "", false },
		{ " a@b.example", false },
		{ " a@b.example, c@B.Example., <d@b.example>", false },
		{ " a@b.example, c@d.example", true },
		{ " a@b.example, c@b.example, e@f.example, g@b.example", true },
		{ " x: a@b.example;, c@sub.b.example", true },
		{ " <a@b.example> <c@d.example>", true },
		{ " a@b.example (c@d.example), \"e@f.example\" <g@b.example>", false },
	};
	struct arena    *a = arena_new(4096, 0);
	struct mailboxes m;

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].raw;
		mailboxes_parse(a, strv_z(rows[i].raw), &m);
		T_EQ_NUM(m.mixed, rows[i].mixed);
	}
	arena_free(a);
}

static void
tells_what_others_may_read(void)
{
	static const struct {
		const char *raw;
		bool        doubtful;
	} rows[] = {
		{ "", false },
		{ " joe", false },
		{ " Joe, Q <a@b.example>", false },
		{ " Info @ Office <a@b.example>", false },
		{ " c@d.example <a@b.example>", false },
		{ " \"c@d.example\" (e@f.example) <a@b.example>", false },
		{ " \"c@d.example\": a@b.example;", false },
		{ " a@b.example (unclosed", false },
		{ " a@b.example joe", true },
		{ " <a@b.example> c@d.example", true },
		{ " \"a@b.example", true },
		{ " x, \"y <a@b.example>, z", false },
		{ " <a@b.example", true },
		{ " [a@b.example", true },
		{ " a@b..example, c@d.example", true },
		{ " \xff@b.example", true },
		{ " c@d.example: a@b.example;", true },
		{ " a@b.example (c@d.example", true },
		{ " (a@b.example", true },
	};
	struct arena    *a = arena_new(4096, 0);
	struct mailboxes m;

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].raw;
		mailboxes_parse(a, strv_z(rows[i].raw), &m);
		T_EQ_NUM(m.doubtful, rows[i].doubtful);
	}
	t_row = "more than are counted";
	mailboxes_parse(a, repeat(a, "a@b.c,", 10900), &m);
	T_CHECK(m.doubtful && !m.mixed);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(takes_one_address);
	T_RUN(undoes_quotes_and_comments);
	T_RUN(counts_lists_groups_and_drops_routes);
	T_RUN(passes_over_what_is_broken);
	T_RUN(tells_the_parts);
	T_RUN(is_bounded);
	T_RUN(tells_whether_domains_differ);
	T_RUN(tells_what_others_may_read);
	return t_end();
}
