/*
 * t_strv -- views of text: compared, searched, taken apart.
 */
#include "tests/unit/t.h"

static void
compares(void)
{
	/* clang-format off */
	static const struct {
		const char *a, *b;
		bool eq, ieq;
		int cmp;
	} rows[] = {
		{ "", "", true, true, 0 },
		{ "a", "", false, false, 1 },
		{ "", "a", false, false, -1 },
		{ "abc", "abc", true, true, 0 },
		{ "abc", "abd", false, false, -1 },
		{ "abc", "ab", false, false, 1 },
		{ "ABC", "abc", false, true, -1 },
		{ "MAIL FROM:<A@B>", "mail from:<a@b>", false, true, -1 },
		{ "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", false, true, -1 },
		{ "[[[[[[[[", "{{{{{{{{", false, false, -1 },
		{ "@@@@@@@@", "````````", false, false, -1 },
		{ "[", "{", false, false, -1 },
		{ "\x7f", "\xff", false, false, -1 },
		{ "\xc1\xc1\xc1\xc1\xc1\xc1\xc1\xc1", "\xe1\xe1\xe1\xe1\xe1\xe1\xe1\xe1", false, false, -1 },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct strv a = strv_z(r->a), b = strv_z(r->b);
		int         cmp = strv_cmp(a, b);

		t_row = r->a;
		T_EQ_NUM(strv_eq(a, b), r->eq);
		T_EQ_NUM(strv_ieq(a, b), r->ieq);
		T_EQ_NUM((cmp > 0) - (cmp < 0), r->cmp);
		T_EQ_NUM(strv_ieq(b, a), r->ieq);
	}
	/* a path without a domain: nothing is added to NULL, which UBSan would see */
	T_CHECK(strv_ieq(strv(NULL, 0), SV("")) && strv_ieq(strv(NULL, 0), strv(NULL, 0)));
	T_CHECK(!strv_ieq(strv(NULL, 0), SV("a")));
}

/* Every octet, in the word-wise part and in the tail. */
static void
folds_ascii_alone(void)
{
	for (unsigned c = 0; c < 256; c++) {
		bool     letter = c >= 'A' && c <= 'Z';
		uint64_t word = c * UINT64_C(0x0101010101010101), want = (letter ? c | 0x20 : c);

		if (!T_EQ_NUM(ascii_lower8(word) == want * UINT64_C(0x0101010101010101), true))
			printf("octet %u\n", c);
		T_EQ_NUM((unsigned char)ascii_lower((char)c), want);
		/* neighbours do not carry into each other */
		T_CHECK(ascii_lower8((uint64_t)c << 24 | 0x41) == (want << 24 | 0x61));
		T_CHECK(ascii_lower8((uint64_t)c << 24 | 0xff) == (want << 24 | 0xff));
		T_EQ_NUM(ascii_is_alpha((char)c), letter || (c >= 'a' && c <= 'z'));
		T_EQ_NUM(ascii_is_digit((char)c), c >= '0' && c <= '9');
	}
}

static void
begins_and_ends(void)
{
	T_CHECK(strv_starts(SV("abcdef"), SV("abc")));
	T_CHECK(strv_starts(SV("abc"), SV("")));
	T_CHECK(!strv_starts(SV("ab"), SV("abc")));
	T_CHECK(!strv_starts(SV("ABC"), SV("abc")));
	T_CHECK(strv_istarts(SV("ABCd"), SV("abc")));
	T_CHECK(!strv_istarts(SV("AB"), SV("abc")));
	T_CHECK(strv_ends(SV("x.example"), SV(".example")));
	T_CHECK(!strv_ends(SV("example"), SV(".example")));
	T_CHECK(!strv_ends(SV("x.Example"), SV(".example")));
	T_CHECK(strv_iends(SV("x.Example"), SV(".eXample")));
	T_CHECK(strv_starts(strv_z(NULL), SV("")));
}

static void
finds_octets(void)
{
	struct strv v = strv("a\0b\0c", 5);

	T_EQ_NUM(strv_chr(v, '\0'), 1);
	T_EQ_NUM(strv_rchr(v, '\0'), 3);
	T_EQ_NUM(strv_chr(v, 'c'), 4);
	T_EQ_NUM(strv_rchr(v, 'a'), 0);
	T_EQ_NUM(strv_chr(v, 'x'), 5);
	T_EQ_NUM(strv_rchr(v, 'x'), 5);
	T_EQ_NUM(strv_chr(strv_z(NULL), 'x'), 0);
	T_EQ_NUM(strv_rchr(SV(""), 'x'), 0);
}

static void
trims(void)
{
	T_EQ_TEXT(strv_trim(SV(" \t a b\t ")), "a b");
	T_EQ_TEXT(strv_trim(SV("   ")), "");
	T_EQ_TEXT(strv_trim(SV("")), "");
	T_EQ_TEXT(strv_trim(SV("\ra\n")), "\ra\n");
	T_CHECK(strv_trim(strv_z(NULL)).p == NULL);
	T_EQ_TEXT(strv_trim_folds(SV("\r\n\t a \r\n b\r\n ")), "a \r\n b");
	T_EQ_TEXT(strv_trim_folds(SV(" \r\n\t")), "");
	T_EQ_TEXT(strv_trim_folds(SV("\fa\v")), "\fa\v");
	T_CHECK(strv_trim_folds(strv_z(NULL)).p == NULL);
}

static void
cuts_fields(void)
{
	static const char *const want[] = { "a", "", "b", "" };
	struct strv              v = SV("a,,b,"), none = strv_z(NULL);
	unsigned                 n = 0;

	while (v.p != NULL && n < 9) {
		struct strv field = strv_cut(&v, ',');

		if (n < T_COUNT(want))
			T_EQ_TEXT(field, want[n]);
		n++;
	}
	T_EQ_NUM(n, 4);
	v = SV("");
	T_CHECK(strv_cut(&v, ',').p != NULL);
	T_CHECK(v.p == NULL);
	T_CHECK(strv_cut(&none, ',').p == NULL && none.p == NULL);
}

static void
takes_words(void)
{
	struct strv v = SV("  MAIL \t FROM:<x y>  "), none = strv_z(NULL);

	T_EQ_TEXT(strv_word(&v), "MAIL");
	T_EQ_TEXT(strv_word(&v), "FROM:<x");
	T_EQ_TEXT(v, " y>  ");
	T_EQ_TEXT(strv_word(&v), "y>");
	T_EQ_TEXT(strv_word(&v), "");
	T_EQ_TEXT(v, "");
	T_EQ_NUM(strv_word(&none).n, 0);
}

static void
reads_numbers(void)
{
	/* clang-format off */
	static const struct {
		const char *text;
		uint64_t max;
		bool good;
		uint64_t want;
	} rows[] = {
		{ "0", 0, true, 0 },
		{ "007", 7, true, 7 },
		{ "65535", 65535, true, 65535 },
		{ "65536", 65535, false, 0 },
		{ "8", 7, false, 0 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "99999999999999999999999999999999999", UINT64_MAX, false, 0 },
		{ "", 9, false, 0 },
		{ "-1", 9, false, 0 },
		{ "+1", 9, false, 0 },
		{ " 1", 9, false, 0 },
		{ "1 ", 9, false, 0 },
		{ "1a", UINT64_MAX, false, 0 },
		{ "0x1", UINT64_MAX, false, 0 },
		{ "\xb2", UINT64_MAX, false, 0 },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		uint64_t n = 4711;

		t_row = r->text;
		T_EQ_NUM(strv_number(strv_z(r->text), r->max, &n), r->good);
		T_CHECK(n == (r->good ? r->want : 4711));
	}
}

static void
prints_numbers(void)
{
	static const uint64_t numbers[] = { 0, 9, 10, 99, 100, 1234567890, UINT64_MAX };

	T_TABLE(uint64_t, n, numbers)
	{
		char        buf[STRV_NUMBER];
		struct strv v = strv_print_number(*n, buf);
		char        want[32];
		uint64_t    back;

		snprintf(want, sizeof(want), "%" PRIu64, *n);
		T_EQ_TEXT(v, want);
		T_CHECK(strv_number(v, UINT64_MAX, &back) && back == *n);
	}
}

/* Each octet at each of eight places, between the lowest and the highest that are printable. */
static void
looks_at_eight_octets(void)
{
	for (unsigned c = 0; c < 256; c++)
		for (unsigned at = 0; at < 8; at++) {
			char low[] = "        ", high[] = "~~~~~~~~";
			bool printable = c >= 0x20 && c < 0x7f;

			low[at] = high[at] = (char)c;
			T_EQ_NUM(ascii_printable8(strv_load8(low)), printable);
			T_EQ_NUM(ascii_printable8(strv_load8(high)), printable);
			T_EQ_NUM(ascii_has8(strv_load8(high), (char)c), true);
			T_EQ_NUM(ascii_has8(strv_load8(low), '"'), c == '"');
			T_EQ_NUM(ascii_has8(strv_load8(high), '\\'), c == '\\');
		}
}

/* Of each length, wherever the one octet stands that is not. */
static void
tells_ascii(void)
{
	char b[40];

	for (size_t n = 0; n <= sizeof(b); n++) {
		memset(b, 0x7f, sizeof(b));
		T_CHECK(strv_is_ascii(strv(b, n)));
		for (size_t i = 0; i < n; i++) {
			b[i] = (char)(i % 2 == 0 ? 0x80 : 0xff);
			T_CHECK(!strv_is_ascii(strv(b, n)));
			b[i] = 'a';
		}
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(compares);
	T_RUN(folds_ascii_alone);
	T_RUN(begins_and_ends);
	T_RUN(finds_octets);
	T_RUN(trims);
	T_RUN(cuts_fields);
	T_RUN(takes_words);
	T_RUN(reads_numbers);
	T_RUN(prints_numbers);
	T_RUN(looks_at_eight_octets);
	T_RUN(tells_ascii);
	return t_end();
}
