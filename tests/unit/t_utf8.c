/*
 * t_utf8 -- characters of UTF-8: every one that there is, and what looks like one.
 */
#include "tests/unit/t.h"

#include <stdlib.h>

#include "proxy/base/utf8.h"

/* In memory of its own size: a look beyond the end is seen by the sanitizers. */
static unsigned
one_of(const char *p, size_t n)
{
	char    *copy = malloc(n == 0 ? 1 : n);
	unsigned r;

	memcpy(copy, p, n);
	r = utf8_one(strv(copy, n));
	free(copy);
	return r;
}

/* What RFC 3629 3 makes of a code point. */
static unsigned
encode(uint32_t c, char out[4])
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	unsigned                   n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (unsigned i = n; i-- > 1; c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(n == 1 ? c : lead[n] | c);
	return n;
}

/* Each is one, whatever follows it; none is while its last octet is not there. */
static void
knows_every_character(void)
{
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char     text[5] = { 0, 0, 0, 0, 0 };
		unsigned n = encode(c, text);
		bool     surrogate = c >= 0xd800 && c <= 0xdfff;

		if (utf8_one(strv(text, 5)) != (surrogate ? 0 : n) ||
		    utf8_one(strv(text, n)) != (surrogate ? 0 : n) ||
		    utf8_one(strv(text, n - 1)) != 0)
			T_CHECKF(false, "U+%04X", c);
	}
}

/* Of all sequences so long there are as many as there are characters. */
static void
knows_nothing_else(void)
{
	static const unsigned want[] = { 0, 128, 0x800 - 0x80, 0x10000 - 0x800 - 0x800 };

	for (unsigned n = 1; n < T_COUNT(want); n++) {
		unsigned found = 0;

		for (uint32_t k = 0; k < 1u << (8 * n); k++) {
			char text[3] = { (char)k, (char)(k >> 8), (char)(k >> 16) };

			found += utf8_one(strv(text, n)) == n;
		}
		T_EQ_NUM(found, want[n]);
	}
}

/* The first and last of each length, and what lies just beyond. */
static void
keeps_the_bounds(void)
{
	/* clang-format off */
	static const struct {
		const char *in;
		unsigned n;
		bool valid;
	} rows[] = {
		{ "", 0, true },
		{ "a", 1, true },                    { "\x7f", 1, true },
		{ "\xc2\x80", 2, true },             { "\xdf\xbf", 2, true },
		{ "\xe0\xa0\x80", 3, true },         { "\xed\x9f\xbf", 3, true },
		{ "\xee\x80\x80", 3, true },         { "\xef\xbf\xbf", 3, true },
		{ "\xf0\x90\x80\x80", 4, true },     { "\xf4\x8f\xbf\xbf", 4, true },
		{ "a\xc3\xbc\xe2\x82\xac b", 1, true },
		{ "\x80", 0, false },                { "\xbf", 0, false },
		{ "\xc0\x80", 0, false },            { "\xc1\xbf", 0, false },
		{ "\xc2", 0, false },                { "\xc2\x7f", 0, false },
		{ "\xc2\xc0", 0, false },
		{ "\xe0\x9f\xbf", 0, false },        { "\xed\xa0\x80", 0, false },
		{ "\xe1\x80", 0, false },            { "\xe1\x80\x7f", 0, false },
		{ "\xf0\x8f\xbf\xbf", 0, false },    { "\xf4\x90\x80\x80", 0, false },
		{ "\xf1\x80\x80", 0, false },        { "\xf1\x80\x80\xc0", 0, false },
		{ "\xf5\x80\x80\x80", 0, false },    { "\xff", 0, false },
		{ "\xfe", 0, false },
		{ "a\xc3", 1, false },               { "\xe2\x82\xac\x80", 3, false },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		t_row = r->in;
		T_EQ_NUM(one_of(r->in, strlen(r->in)), r->n);
		T_EQ_NUM(utf8_valid(strv_z(r->in)), r->valid);
	}
	T_EQ_NUM(utf8_one(SV("\0")), 1);
	T_CHECK(utf8_valid(SV("a\0b")));
	T_CHECK(utf8_valid((struct strv){ 0 }));
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(knows_every_character);
	T_RUN(knows_nothing_else);
	T_RUN(keeps_the_bounds);
	return t_end();
}
