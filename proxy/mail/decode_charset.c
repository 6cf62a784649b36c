/*
 * decode_charset -- octets of a charset as UTF-8.
 *
 * What most mail is written in is done here; the rest by the C library's iconv, for the names of a table
 * alone (a stranger's word never reaches iconv_open), opened once a process.  The invariant: what is
 * appended is well-formed UTF-8 without controls, whatever comes in.
 */
#include <iconv.h>

#include "proxy/mail/decode.h"
#include "proxy/base/utf8.h"

#define REPLACEMENT 0xfffdu

enum kind { KIND_UTF8, KIND_WESTERN, KIND_LATIN9, KIND_ICONV };

struct charset {
	const char *name;
	enum kind   kind;
	const char *iconv; /* ICONV: its name there */
};

/* clang-format off */
static const struct charset charsets[] = {
	{ "utf-8", KIND_UTF8, NULL }, { "utf8", KIND_UTF8, NULL }, { "us-ascii", KIND_UTF8, NULL },
	{ "ascii", KIND_UTF8, NULL },
	/* Who says ISO-8859-1 and uses 0x80 to 0x9f means windows-1252: readers show it so. */
	{ "iso-8859-1", KIND_WESTERN, NULL }, { "latin1", KIND_WESTERN, NULL }, { "windows-1252", KIND_WESTERN, NULL },
	{ "cp1252", KIND_WESTERN, NULL }, { "iso-8859-15", KIND_LATIN9, NULL },
	{ "iso-8859-2", KIND_ICONV, "ISO-8859-2" }, { "iso-8859-3", KIND_ICONV, "ISO-8859-3" },
	{ "iso-8859-4", KIND_ICONV, "ISO-8859-4" }, { "iso-8859-5", KIND_ICONV, "ISO-8859-5" },
	{ "iso-8859-6", KIND_ICONV, "ISO-8859-6" }, { "iso-8859-7", KIND_ICONV, "ISO-8859-7" },
	{ "iso-8859-8", KIND_ICONV, "ISO-8859-8" }, { "iso-8859-8-i", KIND_ICONV, "ISO-8859-8" },
	{ "iso-8859-9", KIND_ICONV, "ISO-8859-9" }, { "iso-8859-10", KIND_ICONV, "ISO-8859-10" },
	{ "iso-8859-13", KIND_ICONV, "ISO-8859-13" }, { "iso-8859-14", KIND_ICONV, "ISO-8859-14" },
	{ "iso-8859-16", KIND_ICONV, "ISO-8859-16" },
	{ "windows-874", KIND_ICONV, "CP874" }, { "tis-620", KIND_ICONV, "TIS-620" },
	{ "windows-1250", KIND_ICONV, "CP1250" }, { "windows-1251", KIND_ICONV, "CP1251" },
	{ "windows-1253", KIND_ICONV, "CP1253" }, { "windows-1254", KIND_ICONV, "CP1254" },
	{ "windows-1255", KIND_ICONV, "CP1255" }, { "windows-1256", KIND_ICONV, "CP1256" },
	{ "windows-1257", KIND_ICONV, "CP1257" }, { "windows-1258", KIND_ICONV, "CP1258" },
	{ "koi8-r", KIND_ICONV, "KOI8-R" }, { "koi8-u", KIND_ICONV, "KOI8-U" },
	{ "gb2312", KIND_ICONV, "GBK" }, { "gbk", KIND_ICONV, "GBK" }, { "gb18030", KIND_ICONV, "GB18030" },
	{ "big5", KIND_ICONV, "BIG5" }, { "iso-2022-jp", KIND_ICONV, "ISO-2022-JP" },
	{ "shift_jis", KIND_ICONV, "SHIFT_JIS" }, { "euc-jp", KIND_ICONV, "EUC-JP" },
	{ "euc-kr", KIND_ICONV, "EUC-KR" }, { "ks_c_5601-1987", KIND_ICONV, "EUC-KR" },
	{ "iso-2022-kr", KIND_ICONV, "ISO-2022-KR" }, { "utf-7", KIND_ICONV, "UTF-7" },
};

/* windows-1252, 0x80 to 0x9f; 0: not used. */
static const uint16_t western[32] = {
	0x20ac, 0, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017d, 0,
	0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0, 0x017e, 0x0178,
};

/* Where ISO-8859-15 differs from ISO-8859-1. */
static const struct { uint8_t octet; uint16_t code; } latin9[] = {
	{ 0xa4, 0x20ac }, { 0xa6, 0x0160 }, { 0xa8, 0x0161 }, { 0xb4, 0x017d }, { 0xb8, 0x017e }, { 0xbc, 0x0152 },
	{ 0xbd, 0x0153 }, { 0xbe, 0x0178 },
};
/* clang-format on */

#define N_CHARSETS (sizeof(charsets) / sizeof(charsets[0]))

static void
put(struct decode_out *out, const char *p, size_t n)
{
	out->full = out->full || n > out->room - out->n;
	if (out->full)
		return;
	memcpy(out->p + out->n, p, n);
	out->n += n;
}

/* A character of the first two planes' worth that we name ourselves. Controls become blanks. */
static void
put_code(struct decode_out *out, unsigned c)
{
	char   p[3];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : 3;

	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		c = ' ', n = 1;
	if (n == 1)
		p[0] = (char)c;
	else if (n == 2) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
	} else {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
	}
	put(out, p, n);
}

/* Octets of the well-formed sequence at the beginning (RFC 3629 4), or 0. */
static size_t
sequence(struct strv v)
{
	for (size_t n = 1; n <= 4 && n <= v.n; n++)
		if (utf8_valid(strv_first(v, n)))
			return n;
	return 0;
}

void
decode_utf8(struct strv v, struct decode_out *out)
{
	while (v.n > 0 && !out->full) {
		unsigned char c = (unsigned char)v.p[0];
		size_t        n = c < 0x80 ? 1 : sequence(v);

		/* C1 controls are two octets, 0xc2 0x80 to 0xc2 0x9f. */
		if (n == 0)
			put_code(out, REPLACEMENT);
		else if (n == 1 || (c == 0xc2 && (unsigned char)v.p[1] < 0xa0))
			put_code(out, n == 1 ? c : 0);
		else
			put(out, v.p, n);
		v = strv_from(v, n == 0 ? 1 : n);
	}
}

static unsigned
code_of(enum kind kind, uint8_t octet)
{
	if (kind == KIND_LATIN9) {
		for (size_t i = 0; i < sizeof(latin9) / sizeof(latin9[0]); i++)
			if (latin9[i].octet == octet)
				return latin9[i].code;
	} else if (octet >= 0x80 && octet < 0xa0)
		return western[octet - 0x80] != 0 ? western[octet - 0x80] : REPLACEMENT;
	return octet;
}

/* Opened at its first use and kept: to open one reads files. (iconv_t)-1: the library has no such charset. */
static iconv_t
converter(size_t number)
{
	static iconv_t open_[N_CHARSETS];
	static bool    tried[N_CHARSETS];

	if (!tried[number])
		open_[number] = iconv_open("UTF-8", charsets[number].iconv);
	tried[number] = true;
	return open_[number];
}

/* One call of iconv; what it refuses is one octet and U+FFFD. False: nothing is left. */
static bool
convert_some(iconv_t cd, struct strv *in, struct decode_out *out)
{
	char   piece[256], *to = piece, *from = (char *)(uintptr_t)in->p;
	size_t room = sizeof(piece), left = in->n, rc;

	rc = iconv(cd, left > 0 ? &from : NULL, &left, &to, &room);
	*in = strv_from(*in, in->n - left);
	decode_utf8(strv(piece, sizeof(piece) - room), out);
	if (rc != (size_t)-1 || out->full)
		return in->n > 0 && !out->full;
	/* Too little room is the end of the piece; else it stands before what is none of its characters. */
	if (room >= sizeof(piece) / 2 && in->n > 0) {
		put_code(out, REPLACEMENT);
		*in = strv_from(*in, 1);
	}
	return in->n > 0;
}

static bool
convert(size_t number, struct strv in, struct decode_out *out)
{
	iconv_t cd = converter(number);

	if (cd == (iconv_t)-1)
		return false;
	iconv(cd, NULL, NULL, NULL, NULL);
	while (in.n > 0 && convert_some(cd, &in, out))
		;
	/* Some keep the last character back, to see what follows. */
	if (!out->full)
		convert_some(cd, &(struct strv){ "", 0 }, out);
	return true;
}

bool
decode_charset(struct strv name, struct strv octets, struct decode_out *out)
{
	size_t i = 0;

	while (i < N_CHARSETS && !strv_ieq(name, strv_z(charsets[i].name)))
		i++;
	if (i == N_CHARSETS)
		return false;
	if (charsets[i].kind == KIND_ICONV)
		return convert(i, octets, out);
	if (charsets[i].kind == KIND_UTF8)
		decode_utf8(octets, out);
	else
		for (size_t at = 0; at < octets.n && !out->full; at++)
			put_code(out, code_of(charsets[i].kind, (uint8_t)octets.p[at]));
	return true;
}
