/*
 * Message text both ways.  RFC 5321 2.3.8, 4.1.1.4, 4.5.2: only CRLF.CRLF ends a message, and what goes
 * on has no bare CR, bare LF or NUL, wherever the octets were cut.
 */
#include "proxy/smtp/dots.h"

#include "tests/unit/t.h"

struct text {
	char   p[600];
	size_t n;
};

static void
put(struct text *t, const void *p, size_t n)
{
	if (n > sizeof(t->p) - t->n)
		abort();
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

static struct strv
view(const struct text *t)
{
	return strv(t->p, t->n);
}

/* Decodes one cut, which lies in memory of exactly its size. Returns the octets left behind the end mark, or -1. */
static long
decode_cut(struct dots_in *d, struct strv in, struct text *out)
{
	char        *copy = calloc(1, in.n == 0 ? 1 : in.n);
	struct strv  v = strv(copy, in.n), piece;
	enum dots_rc rc;

	if (in.n > 0)
		memcpy(copy, in.p, in.n);
	while ((rc = dots_decode(d, &v, &piece)) == DOTS_PIECE) {
		T_CHECK(piece.n > 0);
		put(out, piece.p, piece.n);
	}
	T_CHECK(rc == DOTS_END || v.n == 0);
	free(copy);
	return rc == DOTS_END ? (long)v.n : -1;
}

/* All of in, cut behind every `step` octets and behind octet `cut`: octets taken with the end mark, or -1. */
static long
decode(struct strv in, bool stuffed, size_t step, size_t cut, struct text *out, bool *odd)
{
	struct dots_in d;
	long           left = -1;
	size_t         at = 0;

	out->n = 0;
	dots_in_begin(&d, stuffed);
	while (at < in.n && left < 0) {
		size_t n = step < in.n - at ? step : in.n - at;

		if (at < cut && at + n > cut)
			n = cut - at;
		left = decode_cut(&d, strv(in.p + at, n), out);
		at += n;
	}
	if (!stuffed) {
		struct strv rest = dots_finish(&d);

		put(out, rest.p == NULL ? "" : rest.p, rest.n);
	}
	*odd = d.odd;
	return left < 0 ? -1 : (long)at - left;
}

static bool
canonical(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\0' || (v.p[i] == '\n' && (i == 0 || v.p[i - 1] != '\r')) ||
		    (v.p[i] == '\r' && (i + 1 == v.n || v.p[i + 1] != '\n')))
			return false;
	return true;
}

/* Encodes with at most max iovecs a call, the text cut behind octet `cut`. */
static void
encode(struct strv in, size_t cut, unsigned max, struct text *out)
{
	struct strv     parts[2] = { strv_first(in, cut), strv_from(in, cut) }, end;
	struct dots_out d;

	out->n = 0;
	dots_out_begin(&d);
	for (int i = 0; i < 2; i++)
		for (struct strv v = parts[i]; v.n > 0;) {
			struct iovec iov[8];
			size_t       taken;
			unsigned     n = dots_encode(&d, v, iov, max, &taken);

			T_CHECK(n <= max && (n > 0 || taken > 0));
			for (unsigned k = 0; k < n; k++) {
				T_CHECK(iov[k].iov_len > 0);
				put(out, iov[k].iov_base, iov[k].iov_len);
			}
			v = strv_from(v, taken);
		}
	end = dots_end(&d);
	put(out, end.p, end.n);
}

/* What a strict server sees: octets up to and with the first CRLF.CRLF (or .CRLF at the start). */
static size_t
end_mark(struct strv v)
{
	const char *p;

	if (strv_starts(v, SV(".\r\n")))
		return 3;
	p = memmem(v.p, v.n, "\r\n.\r\n", 5);
	return p == NULL ? 0 : (size_t)(p - v.p) + 5;
}

/* The text of one message goes on as exactly one message, which says the same. */
static void
check_goes_on(struct strv text)
{
	struct text wire, back;
	bool        odd;

	for (size_t cut = 0; cut <= text.n; cut += text.n > 200 ? 67 : 1) {
		encode(text, cut, 2 + cut % 7, &wire);
		T_EQ_NUM(end_mark(view(&wire)), wire.n);
		T_CHECK(canonical(view(&wire)));
		T_EQ_NUM(decode(view(&wire), true, SIZE_MAX, 0, &back, &odd), (long)wire.n);
		T_CHECK(!odd);
		T_EQ_STRV(strv_first(view(&back), text.n), text);
		T_CHECK(back.n == text.n || strv_eq(strv_from(view(&back), text.n), SV("\r\n")));
	}
}

/* clang-format off */
static const struct {
	struct strv in, out;
	bool odd;
	struct strv rest;               /* behind the end mark; absent: there is none */
} data[] = {
	{ SV("a\r\nb\r\n.\r\n"), SV("a\r\nb\r\n"), false, SV("") },
	{ SV(".\r\n"), SV(""), false, SV("") },
	{ SV("\r\n.\r\n"), SV("\r\n"), false, SV("") },
	{ SV("a\r\n.\r\nQUIT\r\n"), SV("a\r\n"), false, SV("QUIT\r\n") },
	{ SV("a\r\n..\r\n.\r\n"), SV("a\r\n.\r\n"), false, SV("") },
	{ SV("..\r\n...\r\n..a\r\n.\r\n"), SV(".\r\n..\r\n.a\r\n"), false, SV("") },
	{ SV(".a\r\n.\r\n"), SV("a\r\n"), false, SV("") },              /* a sender that doubles nothing */
	{ SV("a.\r\n.b.\r\n.\r\n"), SV("a.\r\nb.\r\n"), false, SV("") },
	{ SV("a\r\n. \r\n.\r\n"), SV("a\r\n \r\n"), false, SV("") },
	{ SV("a"), SV("a"), false, { NULL, 0 } },
	{ SV("a\r\n."), SV("a\r\n"), false, { NULL, 0 } },
	{ SV("a\r\n.\r"), SV("a\r\n"), false, { NULL, 0 } },
	/* bare LF ends a line but never a message; a dot behind it was not doubled */
	{ SV("a\nb\r\n.\r\n"), SV("a\r\nb\r\n"), true, SV("") },
	{ SV("a\n.\n.\r\nb\r\n.\r\n"), SV("a\r\n.\r\n.\r\nb\r\n"), true, SV("") },
	{ SV("a\n..b\r\n.\r\n"), SV("a\r\n..b\r\n"), true, SV("") },
	{ SV("a\r\n.\nb\r\n.\r\n"), SV("a\r\n.\r\nb\r\n"), true, SV("") },
	{ SV(".\nb\r\n.\r\n"), SV(".\r\nb\r\n"), true, SV("") },
	{ SV("\n.\r\nb\r\n.\r\n"), SV("\r\n.\r\nb\r\n"), true, SV("") },
	/* bare CR is a blank */
	{ SV("a\rb\r\n.\r\n"), SV("a b\r\n"), true, SV("") },
	{ SV("a\r\r\n.\r\n"), SV("a \r\n"), true, SV("") },
	{ SV("a\r.\r\r\n.\r\n"), SV("a . \r\n"), true, SV("") },
	{ SV("a\r\n\r.\r\n.\r\n"), SV("a\r\n .\r\n"), true, SV("") },
	{ SV("a\r\n.\r\r\n.\r\n"), SV("a\r\n \r\n"), true, SV("") },
	{ SV("a\n.\r\r\n.\r\n"), SV("a\r\n. \r\n"), true, SV("") },
	{ SV("\r\r\r\n.\r\n"), SV("  \r\n"), true, SV("") },
	/* NUL is dropped, and a dot behind it is no dot at the start of its line */
	{ SV("a\0b\r\n.\r\n"), SV("ab\r\n"), true, SV("") },
	{ SV("a\r\n\0.\r\nb\r\n.\r\n"), SV("a\r\n.\r\nb\r\n"), true, SV("") },
	{ SV("a\r\n.\0\r\nb\r\n.\r\n"), SV("a\r\n\r\nb\r\n"), true, SV("") },
	{ SV("a\r\n.\r\0\nb\r\n.\r\n"), SV("a\r\n \r\nb\r\n"), true, SV("") },
	{ SV("a\r\0\n.\r\nb\r\n.\r\n"), SV("a \r\n.\r\nb\r\n"), true, SV("") },
	{ SV("\0.\r\n.\r\n"), SV(".\r\n"), true, SV("") },
};
/* clang-format on */

static void
check_data(size_t i, size_t step, size_t cut)
{
	long        want = data[i].rest.p == NULL ? -1 : (long)(data[i].in.n - data[i].rest.n);
	struct text out;
	bool        odd;

	T_EQ_NUM(decode(data[i].in, true, step, cut, &out, &odd), want);
	T_EQ_STRV(view(&out), data[i].out);
	T_EQ_NUM(odd, data[i].odd);
}

static void
decodes_in_any_cut(void)
{
	char row[64];

	for (size_t i = 0; i < T_COUNT(data); i++) {
		t_row = t_show(data[i].in, row, sizeof(row));
		check_data(i, SIZE_MAX, 0);
		check_data(i, 1, 0);
		for (size_t cut = 1; cut < data[i].in.n; cut++)
			check_data(i, SIZE_MAX, cut);
		for (size_t step = 2; step < 5; step++)
			check_data(i, step, 1);
		if (data[i].rest.p != NULL)
			check_goes_on(data[i].out);
	}
}

/* clang-format off */
static const struct {
	struct strv in, out;
	bool odd;
} bdat[] = {
	{ SV(""), SV(""), false },
	{ SV("a\r\n"), SV("a\r\n"), false },
	{ SV("a"), SV("a\r\n"), false },
	{ SV("a\r\n.\r\nb\r\n"), SV("a\r\n.\r\nb\r\n"), false },        /* a dot is a dot: RFC 3030 2 */
	{ SV(".\r\n"), SV(".\r\n"), false },
	{ SV("..\r\n."), SV("..\r\n.\r\n"), false },
	{ SV("a\r\n.\nb\r.\r\n"), SV("a\r\n.\r\nb .\r\n"), true },
	{ SV("a\r"), SV("a \r\n"), true },
	{ SV("\r"), SV(" \r\n"), true },
	{ SV("a\r\n\0"), SV("a\r\n"), true },
	{ SV("\0"), SV(""), true },
	{ SV("\n.\r\r\n.\n"), SV("\r\n. \r\n.\r\n"), true },
};
/* clang-format on */

static void
decodes_chunks(void)
{
	char row[64];

	for (size_t i = 0; i < T_COUNT(bdat); i++)
		for (size_t cut = 0; cut <= bdat[i].in.n; cut++) {
			struct text out;
			bool        odd;

			t_row = t_show(bdat[i].in, row, sizeof(row));
			T_EQ_NUM(
			    decode(bdat[i].in, false, cut == 0 ? 1 : SIZE_MAX, cut, &out, &odd),
			    -1);
			T_EQ_STRV(view(&out), bdat[i].out);
			T_EQ_NUM(odd, bdat[i].odd);
			check_goes_on(bdat[i].out);
		}
}

/* One octet sequence in the middle of a message, at an offset, in DATA and as a BDAT chunk. */
static void
check_smuggling(struct strv what, size_t offset, bool ends)
{
	struct text in = { .n = 0 }, whole, out;
	size_t      from, want;
	bool        odd, first;

	for (from = 0; from < offset; from++)
		put(&in, "x", 1);
	put(&in, what.p, what.n);
	want = in.n;
	put(&in, "MAIL FROM:<evil@x>\r\n", 20);
	put(&in, "\r\n.\r\n", 5);
	if (!ends)
		want = in.n;
	T_EQ_NUM(decode(view(&in), true, SIZE_MAX, 0, &whole, &odd), (long)want);
	T_CHECK(canonical(view(&whole)));
	T_EQ_NUM(odd, !ends);
	check_goes_on(view(&whole));
	for (size_t cut = from; cut <= from + what.n; cut++) {
		T_EQ_NUM(decode(view(&in), true, SIZE_MAX, cut, &out, &first), (long)want);
		T_EQ_STRV(view(&out), view(&whole));
	}
	T_EQ_NUM(decode(view(&in), true, 1, 0, &out, &first), (long)want);
	T_EQ_STRV(view(&out), view(&whole));

	T_EQ_NUM(decode(view(&in), false, SIZE_MAX, from + 1, &whole, &odd), -1);
	T_CHECK(canonical(view(&whole)));
	check_goes_on(view(&whole));
}

/* Every pair of line ends around a dot, at every offset in a buffer (two vectors wide). */
static void
only_crlf_dot_crlf_ends_a_message(void)
{
	static const struct strv ends[] = { { "\r", 1 }, { "\n", 1 }, { "\r\n", 2 } };
	char                     row[64];

	for (size_t a = 0; a < 3; a++)
		for (size_t b = 0; b < 3; b++) {
			struct text what = { .n = 0 };

			put(&what, ends[a].p, ends[a].n);
			put(&what, ".", 1);
			put(&what, ends[b].p, ends[b].n);
			t_row = t_show(view(&what), row, sizeof(row));
			for (size_t offset = 1; offset < 70; offset++)
				check_smuggling(view(&what), offset, a == 2 && b == 2);
		}
}

/* End marks that other proxies passed on raw, and kin. */
static void
known_smuggling_is_harmless(void)
{
	/* clang-format off */
	static const struct strv marks[] = {
		SV("\r.\r"), SV("\r\n\0.\r\n"), SV("\r\n.\r\r\n"), SV("\n.\r\r\n"), SV("\n.\n"), SV("\n.\r\n"),
		SV("\r\n.\n"), SV("\r.\r\n"), SV("\r\n.\0\r\n"), SV("\r\n.\r\0\n"), SV("\r\0\n.\r\n"),
		SV("\r\r\n\0.\r\n"),
		SV("\n\r\n\r.\r\n"), SV("\r\n\r.\r\n"),
	};
	/* clang-format on */
	char row[64];

	for (size_t i = 0; i < T_COUNT(marks); i++) {
		t_row = t_show(marks[i], row, sizeof(row));
		for (size_t offset = 1; offset < 70; offset++)
			check_smuggling(marks[i], offset, false);
	}
}

static void
encodes(void)
{
	/* clang-format off */
	static const struct {
		struct strv in;
		const char *out;
	} rows[] = {
		{ SV(""), ".\r\n" },
		{ SV("a\r\n"), "a\r\n.\r\n" },
		{ SV("a"), "a\r\n.\r\n" },
		{ SV("."), "..\r\n.\r\n" },
		{ SV(".\r\n"), "..\r\n.\r\n" },
		{ SV("..\r\n.a\r\n"), "...\r\n..a\r\n.\r\n" },
		{ SV("a.\r\nb\r\n"), "a.\r\nb\r\n.\r\n" },
		{ SV("a\r\n\r\n"), "a\r\n\r\n.\r\n" },
		/* not canonical, and yet nothing bare goes on */
		{ SV("a\n.\r\n"), "a\r\n..\r\n.\r\n" },
		{ SV("a\r.\r"), "a . \r\n.\r\n" },
		{ SV("a\r\n\0.\r\n"), "a\r\n..\r\n.\r\n" },
		{ SV("\0.\r\n"), "..\r\n.\r\n" },
		{ SV("\0\0"), ".\r\n" },
		{ SV("\n"), "\r\n.\r\n" },
	};
	/* clang-format on */
	char row[64];

	for (size_t i = 0; i < T_COUNT(rows); i++)
		for (size_t cut = 0; cut <= rows[i].in.n; cut++)
			for (unsigned max = 2; max < 9; max++) {
				struct text out;

				t_row = t_show(rows[i].in, row, sizeof(row));
				encode(rows[i].in, cut, max, &out);
				T_EQ_TEXT(view(&out), rows[i].out);
			}
}

/* What is clean is passed on as it lies: one piece in, one iovec out. */
static void
clean_text_is_one_piece(void)
{
	static char     text[128 * 1024];
	struct strv     in = strv(text, sizeof(text)), piece;
	struct dots_in  d;
	struct dots_out o;
	struct iovec    v[4];
	size_t          taken;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : i % 78 == 5 ? '.' : 'a';
	for (int stuffed = 0; stuffed < 2; stuffed++) {
		in = strv(text, sizeof(text));
		dots_in_begin(&d, stuffed);
		T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_PIECE);
		T_EQ_NUM(piece.n, sizeof(text));
		T_CHECK(piece.p == text && in.n == 0);
		T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_MORE);
	}
	dots_out_begin(&o);
	T_EQ_NUM(dots_encode(&o, strv(text, sizeof(text)), v, 4, &taken), 1);
	T_EQ_NUM(taken, sizeof(text));
	T_CHECK(v[0].iov_base == text && v[0].iov_len == sizeof(text));
}

static void
counts_lines(void)
{
	/* clang-format off */
	static const struct {
		struct strv in;
		unsigned longest;
	} rows[] = {
		{ SV("a\r\nbbb\r\nc\r\n.\r\n"), 5 }, { SV("..a\r\n.\r\n"), 4 }, { SV(".\r\n"), 0 }, { SV("abc"), 3 },
		{ SV("a\nbb\n.\n.\r\n"), 4 }, { SV("a\0b\rc\r\n.\r\n"), 6 },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++)
		for (size_t cut = 0; cut < rows[i].in.n; cut++) {
			struct text    out = { .n = 0 };
			struct dots_in d;

			dots_in_begin(&d, true);
			d.count_lines = true;
			decode_cut(&d, strv_first(rows[i].in, cut), &out);
			decode_cut(&d, strv_from(rows[i].in, cut), &out);
			T_EQ_NUM(d.longest, rows[i].longest);
		}
}

/* Behind the end mark nothing is taken until the next text begins. */
static void
stays_at_the_end(void)
{
	struct strv    in = SV("a\r\n.\r\nb\r\n.\r\n"), piece;
	struct dots_in d;

	dots_in_begin(&d, true);
	T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_PIECE);
	T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_END);
	T_EQ_NUM(in.n, 6);
	T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_END);
	T_EQ_NUM(in.n, 6);
	dots_in_begin(&d, true);
	T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_PIECE);
	T_EQ_TEXT(piece, "b\r\n");
	T_EQ_NUM(dots_decode(&d, &in, &piece), DOTS_END);
	T_EQ_NUM(in.n, 0);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(decodes_in_any_cut);
	T_RUN(decodes_chunks);
	T_RUN(only_crlf_dot_crlf_ends_a_message);
	T_RUN(known_smuggling_is_harmless);
	T_RUN(encodes);
	T_RUN(clean_text_is_one_piece);
	T_RUN(counts_lines);
	T_RUN(stays_at_the_end);
	return t_end();
}
