/*
 * t_lex -- tokens of the configuration language: each case whole, and every case cut at every
 * octet.
 */
#include "proxy/base/lex.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "tests/unit/t.h"

struct row {
	const char *text;
	const char *want;   /* tokens joined by blanks: W:text S:text ; { } ( ) , . for END */
	const char *errors; /* "LINE:COL text" joined by "|"; NULL: none */
};

/* clang-format off */
static const struct row rows[] = {
	{ "",                            ".", NULL },
	{ "\n\n \t\n",                   ".", NULL },
	{ "hostname mx.example",         "W:hostname W:mx.example .", NULL },
	{ "a b\nc",                      "W:a W:b ; W:c .", NULL },
	{ "a b\r\nc\r\n",                "W:a W:b ; W:c ; .", NULL },
	{ "a;b;;c",                      "W:a ; W:b ; W:c .", NULL },
	{ "a,\nb",                       "W:a , W:b .", NULL },
	{ "a, # why\n\n b",              "W:a , W:b .", NULL },
	{ "a,;b",                        "W:a , ; W:b .", NULL },
	{ "a {\nb\nc;d }\ne",            "W:a { W:b W:c W:d } ; W:e .", NULL },
	{ "a{b}c",                       "W:a { W:b } W:c .", NULL },
	{ "{ { \n } \n } \n a",          "{ { } } ; W:a .", NULL },
	{ "} \n a",                      "} ; W:a .", NULL },
	{ "mx(X) in(a,\"b\")",           "W:mx ( W:X ) W:in ( W:a , S:b ) .", NULL },
	{ "client/32,client/64",         "W:client/32 , W:client/64 .", NULL },
	{ "[::]:25 <> 127.0.0.2-127.0.0.11 a@b %{x", "W:[::]:25 W:<> W:127.0.0.2-127.0.0.11 W:a@b W:% { W:x .", NULL },
	{ "a#b # c\n#d\n e",             "W:a#b ; W:e .", NULL },
	{ "\"a\"# c",                    "S:a .", NULL },
	{ "{#c\n}",                      "{ } .", NULL },
	{ "\"a b\" \"\" \"x{y}#z,\"",    "S:a b S: S:x{y}#z, .", NULL },
	{ "\"a\\\"b\\\\c\\n\\\"",        "S:a\"b\\c\\n\" .", "1:1 the string does not end on its line" },
	{ "\"a\\\"b\\\\c\\n\"",          "S:a\"b\\c\\n .", NULL },
	{ "\"\\\\\" b",                  "S:\\ W:b .", NULL },
	{ "\"tab\there\"",               "S:tab\there .", NULL },
	{ "\"\"\"x\"\"\"",               "S:x .", NULL },
	{ "\"\"\"\nSubject: x\n\nbody \\\"\n\"\"\" y", "S:Subject: x\n\nbody \\\"\n W:y .", NULL },
	{ "\"\"\"\r\na\r\n\r\nb\"\"\"",  "S:a\n\nb .", NULL },
	{ "\"\"\"\n\na\"\"\"",           "S:\na .", NULL },
	{ "\"\"\"a\"b\"\"c\"\"\"",       "S:a\"b\"\"c .", NULL },
	{ "\"\"\"\"\"\"",                "S: .", NULL },
	{ "\"\"\"a\nb\"\"\"\nc d",       "S:a\nb ; W:c W:d .", NULL },
	{ "\xef\xbb\xbf" "a b",          "W:a W:b .", NULL },
	{ "gr\xc3\xbc\xc3\x9f" "e.example", "W:gr\xc3\xbc\xc3\x9f" "e.example .", NULL },
	/* mistakes */
	{ "a \"b\nc",                    "W:a S:b ; W:c .", "1:3 the string does not end on its line" },
	{ "a \"b\\\nc",                  "W:a S:b\\ ; W:c .", "1:3 the string does not end on its line" },
	{ "\"\"\"a\nb",                  "S:a\nb .", "1:1 the text is never closed" },
	{ "a\"b\"",                      "W:a S:b .", "1:2 a word and a string touch" },
	{ "\"a\"b",                      "S:a W:b .", "1:4 a word and a string touch" },
	{ "\"a\"\"b\"",                  "S:a S:b .", "1:4 two strings touch" },
	{ "\"a\"{b}",                    "S:a { W:b } .", NULL },
	{ "a\001b",                      "W:a W:b .", "1:2 a control character (0x01) has no place here" },
	{ "a\rb",                        "W:a W:b .", "1:2 a carriage return stands alone" },
	{ "\"a\007b\"",                  "S:ab .", "1:3 a control character (0x07) has no place here" },
	{ "\n \"\"\"a\n b\177\"\"\"",    "S:a\n b .", "3:3 a control character (0x7f) has no place here" },
	{ "a\n b\xff c",                 "W:a ; W:b\xff W:c .", "2:3 the file is not UTF-8 here (0xff)" },
	{ "\xc0\xaf",                    "W:\xc0\xaf .", "1:1 the file is not UTF-8 here (0xc0)" },
	{ "\xed\xa0\x80",                "W:\xed\xa0\x80 .", "1:1 the file is not UTF-8 here (0xed)" },
	{ "\xe2\x82",                    "W:\xe2\x82 .", "1:1 the file is not UTF-8 here (0xe2)" },
};
/* clang-format on */

static void
add_token(struct buf *b, const struct token *t)
{
	static const char *const marks[] = { ";", "W:", "S:", "{", "}", "(", ")", ",", "." };

	if (b->n > 0)
		buf_addc(b, ' ');
	buf_add(b, strv_z(marks[t->kind]));
	if (t->kind == TOKEN_WORD || t->kind == TOKEN_STRING)
		buf_add(b, t->text);
}

static struct strv
join_errors(struct arena *a, const struct diags *d)
{
	struct strv all = { NULL, 0 };

	for (unsigned i = 0; i < d->n; i++) {
		struct strv one = arena_printf(a, "%s%u:%u %.*s", i > 0 ? "|" : "",
		    d->v[i].pos.line, d->v[i].pos.col, (int)d->v[i].text.n, d->v[i].text.p);

		all = arena_concat(a, all, one);
	}
	return d->n == 0 ? strv(NULL, 0) : all;
}

static void
whole(void)
{
	T_TABLE(struct row, row, rows)
	{
		struct arena *a = arena_new(1024, 0);
		struct source src = { .name = SV("x"), .text = strv_z(row->text) };
		struct diags  d = { .a = a };
		struct buf    b;
		unsigned      n;
		struct token *t = lex(a, &src, &d, &n);

		t_row = row->text;
		buf_init(&b, 10000);
		for (unsigned i = 0; i < n; i++)
			add_token(&b, &t[i]);
		T_EQ_TEXT(buf_view(&b), row->want);
		T_EQ_TEXT(join_errors(a, &d), row->errors);
		buf_fini(&b);
		arena_free(a);
	}
}

/*
 * Every token but the last two is the same whatever stands behind it; and nothing is read behind
 * the end.
 */
static void
cut_everywhere(void)
{
	T_TABLE(struct row, row, rows)
	{
		struct arena *a = arena_new(1024, 0);
		struct source all = { .name = SV("x"), .text = strv_z(row->text) };
		struct diags  d = { .a = a };
		unsigned      n_all, n;
		struct token *t_all = lex(a, &all, &d, &n_all), *t;

		t_row = row->text;
		for (size_t cut = 0; cut < all.text.n; cut++) {
			char *p = malloc(
			    cut + 1); /* its own block: a read behind the end is seen */
			struct source src = { .name = SV("x"), .text = strv(p, cut) };

			memcpy(p, all.text.p, cut);
			t = lex(a, &src, &d, &n);
			T_CHECK(n >= 1 && t[n - 1].kind == TOKEN_END);
			for (unsigned i = 0; i + 3 < n; i++)
				T_CHECK(i < n_all && t[i].kind == t_all[i].kind &&
				    strv_eq(t[i].text, t_all[i].text));
			free(p);
		}
		arena_free(a);
	}
}

static void
places(void)
{
	struct arena         *a = arena_new(1024, 0);
	struct source         src = { .name = SV("x"),
			.text = SV("a  bc\n\t\"x\\\"y\" {\n  d; e }\n\"\"\"\nq\"\"\" f") };
	struct diags          d = { .a = a };
	unsigned              n;
	struct token         *t = lex(a, &src, &d, &n);
	static const unsigned want[][4] = { /* line, col, len, fresh */
		{ 1, 1, 1, 0 }, { 1, 4, 2, 0 }, { 1, 6, 0, 0 }, { 2, 2, 6, 1 }, { 2, 9, 1, 0 },
		{ 3, 3, 1, 1 }, { 3, 6, 1, 1 }, { 3, 8, 1, 0 }, { 3, 9, 0, 0 }, { 4, 1, 3, 1 },
		{ 5, 6, 1, 0 }, { 5, 7, 0, 0 }
	};

	T_EQ_NUM(n, T_COUNT(want));
	for (unsigned i = 0; i < n && i < T_COUNT(want); i++) {
		T_CHECKF(t[i].pos.line == want[i][0] && t[i].pos.col == want[i][1] &&
			t[i].pos.len == want[i][2] && t[i].fresh == (want[i][3] != 0),
		    "token %u is at %u:%u, %u long, fresh %d", i, t[i].pos.line, t[i].pos.col,
		    t[i].pos.len, t[i].fresh);
		T_CHECK(t[i].pos.src == &src);
	}
	arena_free(a);
}

static void
many_tokens_are_refused_once(void)
{
	struct arena *a = arena_new(65536, 0);
	size_t        size = (size_t)LEX_TOKENS_MAX + 100;
	char         *p = malloc(size);
	struct source src = { .name = SV("x"), .text = strv(p, size) };
	struct diags  d = { .a = a };
	unsigned      n;

	memset(p, ',', size);
	lex(a, &src, &d, &n);
	T_EQ_NUM(d.errors, 1);
	T_EQ_NUM(n, LEX_TOKENS_MAX + 1);
	free(p);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(whole);
	T_RUN(cut_everywhere);
	T_RUN(places);
	T_RUN(many_tokens_are_refused_once);
	return t_end();
}
