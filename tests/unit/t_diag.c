/*
 * t_diag -- what diagnostics look like, their order, suggestions.
 */
#include "proxy/base/diag.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "tests/unit/t.h"

static struct arena *arena;

static void
keep(struct strv line, void *arg)
{
	buf_add(arg, line);
	buf_addc(arg, '\n');
}

static struct strv
printed(const struct diags *d, bool colour)
{
	struct buf  b;
	struct strv v;

	buf_init(&b, 1 << 20);
	diag_print(d, colour, keep, &b);
	v = arena_dup(arena, buf_view(&b));
	buf_fini(&b);
	return v;
}

struct row {
	const char *name, *text;
	unsigned    line, col, len;
	const char *want; /* the line and its marks */
};

#define TEN "0123456789"

/* clang-format off */
static const struct row rows[] = {
	{ "a word", "one\nallow from mynet\n", 2, 12, 5, "    allow from mynet\n               ^~~~~\n" },
	{ "the first", "word rest", 1, 1, 4, "    word rest\n    ^~~~\n" },
	{ "one octet", "a", 1, 1, 1, "    a\n    ^\n" },
	{ "no length", "ab", 1, 2, 0, "    ab\n     ^\n" },
	{ "behind the end", "ab", 1, 3, 0, "    ab\n      ^\n" },
	{ "far behind the end", "ab", 1, 30, 4, "    ab\n      ^\n" },
	{ "a line that is not there", "ab", 9, 1, 4, "    \n    ^\n" },
	{ "an empty file", "", 1, 1, 0, "    \n    ^\n" },
	{ "longer than the line", "ab\ncd", 1, 2, 100, "    ab\n     ^\n" },
	{ "tabs", "\tab\tcd", 1, 5, 2, "            ab      cd\n                    ^~\n" },
	{ "a tab marked", "a\tb", 1, 2, 1, "    a       b\n     ^~~~~~~\n" },
	{ "CRLF", "ab cd\r\nx", 1, 4, 2, "    ab cd\n       ^~\n" },
	{ "UTF-8 counts as one", "gr\xc3\xbc\xc3\x9f" "e x", 1, 9, 1, "    gr\xc3\xbc\xc3\x9f" "e x\n          ^\n" },
	{ "UTF-8 marked", "\xc3\xbc\xc3\xbc x", 1, 1, 4, "    \xc3\xbc\xc3\xbc x\n    ^~\n" },
	{ "controls are shown", "a\033[1mb x", 1, 8, 1, "    a\\x1b[1mb x\n              ^\n" },
	{ "C1 controls, too", "\xc2\x9b x", 1, 4, 1, "    \\xc2\\x9b x\n             ^\n" },
	{ "a control marked", "a\001b", 1, 2, 1, "    a\\x01b\n     ^~~~\n" },
	{ "not UTF-8", "\xff x", 1, 3, 1, "    \\xff x\n         ^\n" },
	{ "a long line from its start", TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "cut", 1, 3, 2,
	  "    " TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "...\n      ^~\n" },
	{ "a long line in the middle", TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "tail", 1, 61, 3,
	  "    ..." TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "...\n"
	  "                                               ^~~\n" },
	{ "a long line at its end", TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "tail", 1, 101, 4,
	  "    ..." TEN TEN TEN TEN "tail\n                                               ^~~~\n" },
};
/* clang-format on */

static void
marks(void)
{
	T_TABLE(struct row, row, rows)
	{
		struct source src = { .name = SV("f"), .text = strv_z(row->text) };
		struct diags  d = { .a = arena };
		struct strv   all;

		t_row = row->name;
		diag_add(&d, DIAG_ERROR, (struct pos){ &src, row->line, row->col, row->len },
		    strv(NULL, 0), "wrong");
		all = printed(&d, false);
		T_EQ_TEXT(strv_first(all, strv_chr(all, '\n')),
		    arena_z(
			arena, arena_printf(arena, "f:%u:%u: error: wrong", row->line, row->col)));
		T_EQ_TEXT(strv_from(all, strv_chr(all, '\n') + 1), row->want);
	}
}

static void
order_and_levels(void)
{
	struct source main = { .name = SV("main"), .text = SV("a\nb\nc\n") };
	struct source sub = { .name = SV("b.conf"), .text = SV("x\ny\n"), .includer = &main };
	struct source last = { .name = SV("c.conf"), .text = SV("z\n"), .includer = &main };
	struct diags  d = { .a = arena };

	diag_add(&d, DIAG_ERROR, (struct pos){ &last, 1, 1, 1 }, strv(NULL, 0), "seven");
	diag_add(&d, DIAG_ERROR, (struct pos){ &sub, 2, 1, 1 }, strv(NULL, 0), "six");
	diag_add(&d, DIAG_WARNING, (struct pos){ &main, 3, 1, 1 }, SV("do this"), "five");
	diag_add(&d, DIAG_ERROR, (struct pos){ &main, 1, 1, 1 }, strv(NULL, 0), "two");
	diag_add(&d, DIAG_NOTE, (struct pos){ &sub, 1, 1, 1 }, strv(NULL, 0), "three");
	diag_add(&d, DIAG_ERROR, (struct pos){ &main, 1, 1, 1 }, strv(NULL, 0), "four");
	diag_add(&d, DIAG_ERROR, (struct pos){ 0 }, strv(NULL, 0), "one");
	T_EQ_NUM(d.errors, 5);
	T_EQ_TEXT(printed(&d, false),
	    "error: one\n"
	    "main:1:1: error: two\n    a\n    ^\n"
	    "b.conf:1:1: note: three\n    x\n    ^\n"
	    "main:1:1: error: four\n    a\n    ^\n"
	    "main:3:1: warning: five\n    c\n    ^\ndo this\n"
	    "b.conf:2:1: error: six\n    y\n    ^\n"
	    "c.conf:1:1: error: seven\n    z\n    ^\n");
}

static void
colour(void)
{
	struct source src = { .name = SV("f"), .text = SV("ab cd\n") };
	struct diags  d = { .a = arena };

	diag_add(&d, DIAG_ERROR, (struct pos){ &src, 1, 4, 2 }, strv(NULL, 0), "wrong");
	T_EQ_TEXT(printed(&d, true),
	    "\033[1mf:1:4: \033[1;31merror: \033[0mwrong\n    ab cd\n       \033[1;32m^~\033[0m\n");
}

/* A file of nonsense gives a page, not a flood. */
static void
too_many(void)
{
	struct source src = { .name = SV("f"), .text = SV("x\n") };
	struct diags  d = { .a = arena };
	struct strv   all;
	size_t        used;

	for (unsigned i = 0; i < DIAG_MAX; i++)
		diag_add(&d, DIAG_ERROR, (struct pos){ &src, 1, 1, 1 }, SV("hint"), "wrong %u", i);
	used = arena_used(arena);
	for (unsigned i = 0; i < 500; i++)
		diag_add(&d, DIAG_ERROR, (struct pos){ &src, 1, 1, 1 }, SV("hint"), "wrong");
	T_EQ_NUM(arena_used(arena), used);
	T_EQ_NUM(d.errors, DIAG_MAX + 500);
	T_EQ_NUM(d.n, DIAG_MAX);
	all = printed(&d, false);
	T_CHECK(strv_ends(all, SV("\nand 500 more\n")));
	T_CHECK(strv_starts(all, SV("f:1:1: error: wrong 0\n")));
}

static void
long_texts_are_cut(void)
{
	struct diags d = { .a = arena };
	char         text[3000];

	memset(text, 'x', sizeof(text));
	diag_add(&d, DIAG_ERROR, (struct pos){ 0 }, strv(NULL, 0), "%.*s", (int)sizeof(text), text);
	T_EQ_NUM(d.v[0].text.n, 999);
}

static void
quotes(void)
{
	static const struct {
		const char *in, *want;
	} row[] = {
		{ "", "`'" },
		{ "a b", "`a b'" },
		{ "a\nb\033", "`a\\x0ab\\x1b'" },
		{ "\xc3\xbc", "`\xc3\xbc'" },
		{ "\xc3", "`\\xc3'" },
		{ "\xc2\x85", "`\\xc2\\x85'" },
		{ TEN TEN TEN TEN TEN TEN, "`" TEN TEN TEN TEN TEN TEN "'" },
		{ TEN TEN TEN TEN TEN TEN "x", "`" TEN TEN TEN TEN TEN TEN "...'" },
	};

	for (size_t i = 0; i < T_COUNT(row); i++)
		T_EQ_STR(diag_quote(arena, strv_z(row[i].in)), row[i].want);
}

static void
suggestions(void)
{
	static const char *const words[] = { "listen", "limits", "log", "relay", "message-size",
		"to", "tls", NULL };
	static const struct {
		const char *in, *want;
	} row[] = {
		{ "lisen", "listen" },
		{ "lsiten", "listen" },
		{ "LISTEN", "listen" },
		{ "listens", "listen" },
		{ "relya", "relay" },
		{ "limit", "limits" },
		{ "lgo", "log" },
		{ "mesage-sise", "message-size" },
		{ "too", "to" },
		{ "hostname", NULL },
		{ "", NULL },
		{ "x", NULL },
		{ "xyz", NULL },
		{ "abc", NULL },
		{ "message", NULL },
	};
	struct strv names[] = { SV("relay_domains"), { NULL, 0 }, SV("mynets") };

	for (size_t i = 0; i < T_COUNT(row); i++) {
		t_row = row[i].in;
		T_EQ_STR(diag_nearest(strv_z(row[i].in), words), row[i].want);
	}
	t_row = NULL;
	T_EQ_TEXT(diag_nearest_v(SV("relay_domain"), names, 3), "relay_domains");
	T_EQ_TEXT(diag_nearest_v(SV("mynet"), names, 3), "mynets");
	T_CHECK(diag_nearest_v(SV("other"), names, 3).p == NULL);
	T_CHECK(diag_nearest_v(SV("other"), names, 0).p == NULL);
	T_EQ_TEXT(diag_did_you_mean(arena, SV("mynets")), "did you mean `mynets'?");
	T_CHECK(diag_did_you_mean(arena, strv(NULL, 0)).p == NULL);
}

/* Words of any length and octets are compared within bounds. */
static void
suggestions_of_anything(void)
{
	static const char *const words[] = { "a",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkl",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm", "", NULL };
	uint64_t                 seed = 7;
	char                     v[200];

	for (unsigned i = 0; i < 2000; i++) {
		size_t n = t_random(&seed) % sizeof(v);

		for (size_t k = 0; k < n; k++)
			v[k] = (char)("abcdefgh\xff"[t_random(&seed) % 9]);
		diag_nearest(strv(v, n), words);
	}
	T_EQ_STR(diag_nearest(
		     SV("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijkx"), words),
	    words[1]);
	T_CHECK(
	    diag_nearest(SV("abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmx"),
		words) == NULL);
}

static void
utf8(void)
{
	T_EQ_NUM(diag_utf8(SV("")), 0);
	T_EQ_NUM(diag_utf8(SV("abc")), 3);
	T_EQ_NUM(diag_utf8(SV("\xc3\xbc\xe2\x82\xac\xf0\x9f\x93\xa7")), 9);
	T_EQ_NUM(diag_utf8(SV("a\x80")), 1);
	T_EQ_NUM(diag_utf8(SV("\xe0\x80\x80")), 0);     /* overlong */
	T_EQ_NUM(diag_utf8(SV("\xf4\x90\x80\x80")), 0); /* above U+10FFFF */
	T_EQ_NUM(diag_utf8(SV("ab\xf0\x9f\x93")), 2);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(4096, 0);
	T_RUN(marks);
	T_RUN(order_and_levels);
	T_RUN(colour);
	T_RUN(too_many);
	T_RUN(long_texts_are_cut);
	T_RUN(quotes);
	T_RUN(suggestions);
	T_RUN(suggestions_of_anything);
	T_RUN(utf8);
	arena_free(arena);
	return t_end();
}
