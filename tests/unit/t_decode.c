/*
 * t_decode -- header fields as people read them: folding, encoded words, charsets, and what is none of it.
 */
#include <iconv.h>

#include "proxy/base/arena.h"
#include "proxy/mail/decode.h"
#include "proxy/mail/path.h"
#include "tests/unit/t.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

struct row {
	const char *raw, *text;
};

static void
run(const struct row *rows, size_t n)
{
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < n; i++) {
		t_row = rows[i].raw;
		T_EQ_TEXT(decode_text(a, strv_z(rows[i].raw), DECODE_OCTETS), rows[i].text);
	}
	arena_free(a);
}

static void
unfolds_and_trims(void)
{
	static const struct row rows[] = {
		{ "", "" },
		{ " ", "" },
		{ " \r\n \t\r\n ", "" },
		{ " hello ", "hello" },
		{ "hello", "hello" },
		{ " one\r\n two", "one two" },
		{ " one\r\n\ttwo", "one two" },
		{ " one\r\n  two\r\n three", "one  two three" },
		{ " one\r\n", "one" },
		{ " a\tb", "a b" },
		{ " a\x01"
		  "b\x7f"
		  "c",
		    "a b c" },
		{ " gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
	};

	run(rows, T_COUNT(rows));
}

static void
decodes_words(void)
{
	static const struct row rows[] = {
		/* RFC 2047 8 */
		{ " =?ISO-8859-1?Q?a?=", "a" },
		{ " =?ISO-8859-1?Q?a?= b", "a b" },
		{ " =?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab" },
		{ " =?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab" },
		{ " =?ISO-8859-1?Q?a?=\r\n     =?ISO-8859-1?Q?b?=", "ab" },
		{ " =?ISO-8859-1?Q?a_b?=", "a b" },
		{ " =?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b" },
		{ " =?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
		  "  =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
		    "If you can read this you understand the example." },
		{ " =?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
		    "Keith Moore <moore@cs.utk.edu>" },
		{ " =?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld J\xc3\xb8rn Simonsen" },
		/* either case, language, padding or none */
		{ " =?utf-8?b?dmlhZ3Jh?=", "viagra" },
		{ " =?UTF-8*en?q?via=67ra?=", "viagra" },
		{ " =?utf-8?Q?=c3=BC?=", "\xc3\xbc" },
		{ " =?utf-8?B?w7w=?=", "\xc3\xbc" },
		{ " =?utf-8?B?w7w?=", "\xc3\xbc" },
		{ " =?utf-8?q?\?=", "" },
		{ " =?utf-8?b?\?=", "" },
		{ "=?utf-8?q?x?=", "x" },
		/* a character cut in two by two words */
		{ " =?utf-8?q?=c3?= =?utf-8?q?=bc?=", "\xc3\xbc" },
		{ " =?utf-8?b?ww==?=\r\n =?UTF-8?q?=bc?=", "\xc3\xbc" },
		{ " =?utf-8?q?=c3?= x =?utf-8?q?=bc?=", BAD " x " BAD },
		{ " =?utf-8?q?=c3?= =?iso-8859-1?q?=bc?=", BAD "\xc2\xbc" },
		/* more than the RFC's: no blank around, and long */
		{ " a=?utf-8?q?b?=c", "abc" },
		{ " =?utf-8?q?a?==?utf-8?q?b?=", "ab" },
		{ " =?utf-8?q?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "?=",
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
		/* no line end, NUL or other control comes out of a word */
		{ " =?utf-8?q?a=0d=0aX-Bad:_1=00=1b=7f=c2=9b!?=", "a  X-Bad: 1    !" },
		{ " =?utf-8?b?YQ0KYg==?=", "a  b" },
		/* blanks at the ends are of the text, and go */
		{ " =?utf-8?q?_a_?=", "a" },
	};

	run(rows, T_COUNT(rows));
}

static void
leaves_what_is_broken(void)
{
	static const struct row rows[] = {
		{ " =?", "=?" },
		{ " =?=", "=?=" },
		{ " =?\?=", "=?\?=" },
		{ " =?utf-8?", "=?utf-8?" },
		{ " =?utf-8?q", "=?utf-8?q" },
		{ " =?utf-8?q?", "=?utf-8?q?" },
		{ " =?utf-8?q?a", "=?utf-8?q?a" },
		{ " =?utf-8?q?a?", "=?utf-8?q?a?" },
		{ " =?utf-8?q?a? =", "=?utf-8?q?a? =" },
		{ " =?utf-8?x?a?=", "=?utf-8?x?a?=" },
		{ " =?utf-8?qq?a?=", "=?utf-8?qq?a?=" },
		{ " =?utf-8??a?=", "=?utf-8??a?=" },
		{ " =??q?a?=", "=??q?a?=" },
		{ " =?*en?q?a?=", "=?*en?q?a?=" },
		{ " =?utf-8?q?a b?=", "=?utf-8?q?a b?=" },
		{ " =?utf-8?q?a\r\n b?=", "=?utf-8?q?a b?=" },
		{ " =?utf-8?q?a=?=", "=?utf-8?q?a=?=" },
		{ " =?utf-8?q?a=4?=", "=?utf-8?q?a=4?=" },
		{ " =?utf-8?q?a=4g?=", "=?utf-8?q?a=4g?=" },
		{ " =?utf-8?b?a?=", "=?utf-8?b?a?=" },
		{ " =?utf-8?b?YWI!?=", "=?utf-8?b?YWI!?=" },
		{ " =?utf-8?b?Y=Q=?=", "=?utf-8?b?Y=Q=?=" },
		{ " =?utf-8?b?YQ===?=", "=?utf-8?b?YQ===?=" },
		{ " =?utf-8?q?gr\xc3\xbc?=", "=?utf-8?q?gr\xc3\xbc?=" },
		/* a charset that nobody knows, alone and in company */
		{ " =?x-mine?q?a?=", "=?x-mine?q?a?=" },
		{ " =?x-mine?q?a?= =?utf-8?q?b?=", "=?x-mine?q?a?=b" },
		{ " =?utf-8?q?b?= =?x-mine?q?a?=\r\n =?x-mine?q?c?=",
		    "b=?x-mine?q?a?= =?x-mine?q?c?=" },
		{ " =?utf-8//translit?q?a?=", "=?utf-8//translit?q?a?=" },
		{ " =?../../x?q?a?=", "=?../../x?q?a?=" },
		{ " =?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?q?a?=",
		    "=?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?q?a?=" },
		/* a good one beside it is decoded all the same, and the blank between stays */
		{ " =?utf-8?q?a?= =?utf-8?q?b", "a =?utf-8?q?b" },
		{ " =?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b" },
	};

	run(rows, T_COUNT(rows));
}

static void
raw_octets_that_are_no_utf8(void)
{
	static const struct row rows[] = {
		{ " \xfc", BAD },
		{ " a\xff\xfe"
		  "b",
		    "a" BAD BAD "b" },
		{ " \xc3", BAD },
		{ " \xc3(", BAD "(" },
		{ " \xe2\x82", BAD BAD },
		{ " \xe2\x82\xac", "\xe2\x82\xac" },
		{ " \xc0\xaf", BAD BAD },         /* longer than need be */
		{ " \xed\xa0\x80", BAD BAD BAD }, /* a surrogate */
		{ " \xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ " \xf4\x90\x80\x80", BAD BAD BAD BAD },
		{ " a\xc2\x85"
		  "b",
		    "a b" }, /* a C1 control */
		{ " a\xc2\xa0"
		  "b",
		    "a\xc2\xa0"
		    "b" },
	};

	run(rows, T_COUNT(rows));
}

static void
knows_charsets(void)
{
	static const struct row rows[] = {
		{ " =?us-ascii?q?a=fcb?=", "a" BAD "b" },
		{ " =?us-ascii?q?=c3=bc?=", "\xc3\xbc" },
		{ " =?iso-8859-1?q?=a4=fc=ff?=", "\xc2\xa4\xc3\xbc\xc3\xbf" },
		{ " =?ISO-8859-1?q?=80=93?=", "\xe2\x82\xac\xe2\x80\x9c" },
		{ " =?windows-1252?q?=80=81=9f?=", "\xe2\x82\xac" BAD "\xc5\xb8" },
		{ " =?iso-8859-15?q?=a4=a6=a8=b4=b8=bc=bd=be=e4?=",
		    "\xe2\x82\xac\xc5\xa0\xc5\xa1\xc5\xbd\xc5\xbe\xc5\x92\xc5\x93\xc5\xb8\xc3\xa4" },
		{ " =?iso-8859-15?q?a=80b?=", "a b" },
	};

	run(rows, T_COUNT(rows));
}

/* Those that the C library converts; it may lack some, where they are packed apart. */
static void
asks_the_library_for_the_rest(void)
{
	/* clang-format off */
	static const struct {
		const char *charset, *raw, *text;
	} rows[] = {
		{ "KOI8-R", " =?koi8-r?B?8NLJ18XU?=", "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82" },
		{ "CP1251", " =?windows-1251?q?=cf=f0=e8?=", "\xd0\x9f\xd1\x80\xd0\xb8" },
		{ "ISO-2022-JP", " =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "SHIFT_JIS", " =?shift_jis?B?k/qWew==?=", "\xe6\x97\xa5\xe6\x9c\xac" },
		{ "GBK", " =?gb2312?B?1tDOxA==?=", "\xe4\xb8\xad\xe6\x96\x87" },
		{ "BIG5", " =?big5?B?pKSk5Q==?=", "\xe4\xb8\xad\xe6\x96\x87" },
		{ "EUC-KR", " =?euc-kr?B?x9GxuQ==?=", "\xed\x95\x9c\xea\xb5\xad" },
		/* octets that the charset has not, and a character that is cut off */
		{ "GBK", " =?gb2312?q?=ff=ffa?=", BAD BAD "a" },
		{ "SHIFT_JIS", " =?shift_jis?q?a=93?=", "a" BAD },
		{ "ISO-2022-JP", " =?iso-2022-jp?q?=1b$B=46?=", BAD },
		{ "SHIFT_JIS", " =?shift_jis?q?=93?= =?shift_jis?q?=fa?=", "\xe6\x97\xa5" },
	};
	/* clang-format on */
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		iconv_t cd = iconv_open("UTF-8", rows[i].charset);

		t_row = rows[i].raw;
		if (cd == (iconv_t)-1) {
			T_SKIP(rows[i].charset);
			continue;
		}
		iconv_close(cd);
		T_EQ_TEXT(decode_text(a, strv_z(rows[i].raw), DECODE_OCTETS), rows[i].text);
	}
	arena_free(a);
}

/* Much input gives bounded output, cut between characters. */
static void
is_bounded(void)
{
	struct arena *a = arena_new(4096, 0);
	size_t        n = 300000;
	char         *p = arena_bytes(a, n);
	struct strv   v;

	memset(p, '\xff', n);
	v = decode_text(a, strv(p, n), SIZE_MAX);
	T_EQ_NUM(v.n, 3 * DECODE_OCTETS);
	v = decode_text(a, strv(p, n), 1000);
	T_EQ_NUM(v.n, 999);
	T_CHECK(utf8_valid(v));
	v = decode_text(a, strv(p, n), 0);
	T_CHECK(v.n == 0 && v.p != NULL);
	memset(p, 'a', n);
	T_EQ_NUM(decode_text(a, strv(p, n), SIZE_MAX).n, DECODE_OCTETS);
	/* words without end, each of another charset than the one before */
	for (size_t i = 0; i + 40 < n; i += 40)
		memcpy(p + i, "=?utf-8?q?=c3=bc=?==?iso-8859-1?q?=fc?= ", 40);
	v = decode_text(a, strv(p, n), SIZE_MAX);
	T_CHECK(v.n > 1000 && v.n < 3 * DECODE_OCTETS && utf8_valid(v));
	arena_free(a);
}

/* Cut at every octet: well-formed UTF-8, and no control. */
static void
is_clean_wherever_it_is_cut(void)
{
	static const char text[] =
	    " =?utf-8?q?a=c3?= =?utf-8?b?vMOf?=\r\n =?iso-2022-jp?B?GyRCRnxLXBsoQg==?= "
	    "\xc3\xbc\xff =?x?q?a?= \xe2\x82\xac=?gb2312?B?1tDOxA==?=";
	struct arena *a = arena_new(4096, 0);

	for (size_t from = 0; from < sizeof(text); from++) {
		for (size_t to = from; to < sizeof(text); to++) {
			struct strv v = decode_text(a, strv(text + from, to - from), 50);

			if (!utf8_valid(v) || v.n > 50)
				T_CHECKF(false, "cut %zu-%zu", from, to);
			for (size_t i = 0; i < v.n; i++)
				if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
					T_CHECKF(false, "control, cut %zu-%zu", from, to);
		}
		arena_reset(a);
	}
	T_CHECK(true);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(unfolds_and_trims);
	T_RUN(decodes_words);
	T_RUN(leaves_what_is_broken);
	T_RUN(raw_octets_that_are_no_utf8);
	T_RUN(knows_charsets);
	T_RUN(asks_the_library_for_the_rest);
	T_RUN(is_bounded);
	T_RUN(is_clean_wherever_it_is_cut);
	return t_end();
}
