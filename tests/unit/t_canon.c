/* Canonical forms: the examples of RFC 6376, awkward bodies in every cut, and a plain model that agrees. */
#include "proxy/mail/canon.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

struct text {
	char   p[8192];
	size_t n;
};

static void
take(void *arg, struct strv piece)
{
	struct text *t = arg;

	if (T_CHECK(t->n + piece.n <= sizeof(t->p)))
		memcpy(t->p + t->n, piece.p, piece.n);
	t->n += piece.n;
}

/* What the RFC says, word for word: white space first, then the empty lines at the end. 3.4.3, 3.4.4 */
static void
model(enum canon_form form, struct strv v, struct text *out)
{
	bool blank = false;

	out->n = 0;
	for (size_t i = 0; i < v.n; i++) {
		bool white = form == CANON_RELAXED && (v.p[i] == ' ' || v.p[i] == '\t');

		if (blank && !white && v.p[i] != '\r')
			out->p[out->n++] = ' ';
		blank = white;
		if (!white)
			out->p[out->n++] = v.p[i];
	}
	if (blank)
		blank = false; /* the last line ended in it */
	while (out->n >= 2 && memcmp(out->p + out->n - 2, "\r\n", 2) == 0)
		out->n -= 2;
	if (out->n > 0 || form == CANON_SIMPLE) {
		memcpy(out->p + out->n, "\r\n", 2);
		out->n += 2;
	}
}

/* In pieces that end at x, at y and at the end. */
static void
in_cuts(enum canon_form form, struct strv v, size_t x, size_t y, struct text *out)
{
	struct canon_body c = { .form = form, .out = take, .arg = out };

	out->n = 0;
	canon_body_add(&c, strv_first(v, x));
	canon_body_add(&c, strv(v.p + x, y - x));
	canon_body_add(&c, strv_from(v, y));
	canon_body_end(&c);
}

static void
byte_by_byte(enum canon_form form, struct strv v, struct text *out)
{
	struct canon_body c = { .form = form, .out = take, .arg = out };

	out->n = 0;
	for (size_t i = 0; i < v.n; i++)
		canon_body_add(&c, strv(v.p + i, 1));
	canon_body_end(&c);
}

static bool
same(const struct text *a, const struct text *b)
{
	return strv_eq(strv(a->p, a->n), strv(b->p, b->n));
}

static struct text want, have;

static void
all_cuts(enum canon_form form, struct strv v, size_t step)
{
	const char *name = form == CANON_SIMPLE ? "simple" : "relaxed";

	model(form, v, &want);
	byte_by_byte(form, v, &have);
	T_CHECKF(same(&want, &have), "%s byte by byte differs", name);
	for (size_t x = 0; x <= v.n; x++)
		for (size_t y = x; y <= v.n; y += step) {
			in_cuts(form, v, x, y, &have);
			if (!T_CHECKF(
				same(&want, &have), "%s cut at %zu and %zu differs", name, x, y))
				return;
		}
}

/* ---- bodies ---- */

/* clang-format off */
static const struct {
	const char *name, *body, *simple, *relaxed;
} bodies[] = {
	{ "the RFC's, 3.4.5", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
	{ "empty", "", "\r\n", "" },
	{ "one empty line", "\r\n", "\r\n", "" },
	{ "empty lines", "\r\n\r\n\r\n", "\r\n", "" },
	{ "a blank line", " \r\n", " \r\n", "" },
	{ "blanks alone", " \t ", " \t \r\n", "" },
	{ "blank lines at the end", "x\r\n \r\n\t\r\n\r\n", "x\r\n \r\n\t\r\n", "x\r\n" },
	{ "no final CRLF", "x", "x\r\n", "x\r\n" },
	{ "no final CRLF, blanks", "x \t", "x \t\r\n", "x\r\n" },
	{ "empty lines first", "\r\n\r\nx\r\n", "\r\n\r\nx\r\n", "\r\n\r\nx\r\n" },
	{ "blank lines first", " \r\n\t\r\nx\r\n", " \r\n\t\r\nx\r\n", "\r\n\r\nx\r\n" },
	{ "empty lines between", "x\r\n\r\n\r\ny\r\n\r\n", "x\r\n\r\n\r\ny\r\n", "x\r\n\r\n\r\ny\r\n" },
	{ "indented", "x\r\n    y\r\n\t\tz\r\n", "x\r\n    y\r\n\t\tz\r\n", "x\r\n y\r\n z\r\n" },
	{ "a HT alone", "a\tb\r\n", "a\tb\r\n", "a b\r\n" },
	{ "mixed", "a \t\t b  c\t\r\n", "a \t\t b  c\t\r\n", "a b c\r\n" },
	{ "8-bit", "\xff\x80  \xa0\x09\xc3\xa4 \r\n", "\xff\x80  \xa0\x09\xc3\xa4 \r\n", "\xff\x80 \xa0 \xc3\xa4\r\n" },
	{ "dots", ".\r\n..\r\n", ".\r\n..\r\n", ".\r\n..\r\n" },
	{ "beyond a vector", "0123456789abcdef0123456789abcde  f\r\n", "0123456789abcdef0123456789abcde  f\r\n",
	    "0123456789abcdef0123456789abcde f\r\n" },
	{ "at a vector's edge", "0123456789abcde  0123456789abcd \r\n0\t", "0123456789abcde  0123456789abcd \r\n0\t\r\n",
	    "0123456789abcde 0123456789abcd\r\n0\r\n" },
};
/* clang-format on */

static void
awkward_bodies(void)
{
	for (size_t i = 0; i < T_COUNT(bodies); i++) {
		struct strv v = strv_z(bodies[i].body);

		t_row = bodies[i].name;
		in_cuts(CANON_SIMPLE, v, 0, v.n, &have);
		T_EQ_STRV(strv(have.p, have.n), strv_z(bodies[i].simple));
		in_cuts(CANON_RELAXED, v, 0, v.n, &have);
		T_EQ_STRV(strv(have.p, have.n), strv_z(bodies[i].relaxed));
		all_cuts(CANON_SIMPLE, v, 1);
		all_cuts(CANON_RELAXED, v, 1);
	}
	t_row = NULL;
}

/* One long line, and more empty lines than are gathered: held back and, where text follows, given. */
static void
long_bodies(void)
{
	static char room[4100];
	size_t      n = 0;

	memset(room, 'x', 2000);
	room[999] = '\t';
	all_cuts(CANON_SIMPLE, strv(room, 2000), 397);
	all_cuts(CANON_RELAXED, strv(room, 2000), 397);
	for (; n < 2000; n += 2)
		memcpy(room + n, "\r\n", 2);
	all_cuts(CANON_RELAXED, strv(room, n), 411);
	room[n++] = 'y';
	all_cuts(CANON_SIMPLE, strv(room, n), 411);
	all_cuts(CANON_RELAXED, strv(room, n), 411);
}

/* Random bodies of few different octets: where the awkward places are dense. */
static void
drawn_bodies(void)
{
	static const char *const words[] = { "a", " ", "\t", "\r\n", "\r\n", "bcdefghijklmnopqr",
		"  ", "\xe4" };
	char                     room[2000];
	uint64_t                 seed = 7;

	for (unsigned i = 0; i < 3000; i++) {
		size_t n = 0;

		for (uint64_t k = t_random(&seed) % 40; k > 0; k--) {
			const char *w = words[t_random(&seed) % T_COUNT(words)];

			memcpy(room + n, w, strlen(w));
			n += strlen(w);
		}
		all_cuts(CANON_SIMPLE, strv(room, n), n / 3 + 1);
		all_cuts(CANON_RELAXED, strv(room, n), n / 3 + 1);
		if (t_failed > 0)
			return;
	}
}

/* ---- fields ---- */

/* clang-format off */
static const struct {
	const char *name, *raw, *relaxed;
} fields[] = {
	{ "the RFC's A", "A: X\r\n", "a:X\r\n" },
	{ "the RFC's B", "B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n" },
	{ "no value", "A:\r\n", "a:\r\n" },
	{ "blanks for a value", "A: \t\r\n", "a:\r\n" },
	{ "folded at once", "Subject:\r\n hello\r\n", "subject:hello\r\n" },
	{ "a fold of blanks at the end", "A: x\r\n \r\n", "a:x\r\n" },
	{ "colons", "A: b : c\r\n", "a:b : c\r\n" },
	{ "8-bit", "X-\xc4: \xc4  \xe4\r\n", "x-\xc4:\xc4 \xe4\r\n" },
	{ "no colon", "From x@y  Mon\r\n", "From x@y Mon\r\n" },
	{ "without its CRLF", "A:  x", "a:x\r\n" },
};

static const struct {
	const char *name, *raw, *simple, *relaxed;
} signatures[] = {
	{ "in the middle", "DKIM-Signature: v=1; b=abc\r\n\t def ; d=x\r\n", "DKIM-Signature: v=1; b=; d=x",
	    "dkim-signature:v=1; b=; d=x" },
	{ "last", "DKIM-Signature: v=1; bh=abc; b=abc\r\n", "DKIM-Signature: v=1; bh=abc; b=", "dkim-signature:v=1; bh=abc; b=" },
	{ "last, with ;", "A: v=1; b=abc;\r\n", "A: v=1; b=;", "a:v=1; b=;" },
	{ "first", "A: b=abc==; v=1\r\n", "A: b=; v=1", "a:b=; v=1" },
	{ "white space at the =", "A: v=1;\r\n b \r\n = abc ;\r\n c=1\r\n", "A: v=1;\r\n b \r\n =;\r\n c=1", "a:v=1; b =; c=1" },
	{ "bh is not b", "A: bh=abc; xb=1\r\n", "A: bh=abc; xb=1", "a:bh=abc; xb=1" },
	{ "a = in other values", "A: c=b=1; b=2\r\n", "A: c=b=1; b=", "a:c=b=1; b=" },
	{ "none", "A: v=1\r\n", "A: v=1", "a:v=1" },
	{ "no colon", "b=1", "b=", "b=" },
	{ "empty", "A:\r\n", "A:", "a:" },
};

static const struct {
	const char *c;
	bool        good;
	enum canon_form header, body;
} forms[] = {
	{ NULL, true, CANON_SIMPLE, CANON_SIMPLE },
	{ "", true, CANON_SIMPLE, CANON_SIMPLE },
	{ "relaxed", true, CANON_RELAXED, CANON_SIMPLE },
	{ "simple/relaxed", true, CANON_SIMPLE, CANON_RELAXED },
	{ "relaxed/relaxed", true, CANON_RELAXED, CANON_RELAXED },
	{ "relaxed/simple", true, CANON_RELAXED, CANON_SIMPLE },
	{ "nowsp", false, 0, 0 }, { "relaxed/", false, 0, 0 }, { "/relaxed", false, 0, 0 },
	{ "relaxed/relaxed/relaxed", false, 0, 0 }, { "simple/nowsp", false, 0, 0 },
};
/* clang-format on */

static void
header_fields(void)
{
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(fields); i++) {
		t_row = fields[i].name;
		T_EQ_TEXT(canon_field(a, CANON_RELAXED, strv_z(fields[i].raw)), fields[i].relaxed);
		T_EQ_TEXT(canon_field(a, CANON_SIMPLE, strv_z(fields[i].raw)), fields[i].raw);
	}
	for (size_t i = 0; i < T_COUNT(signatures); i++) {
		struct strv raw = strv_z(signatures[i].raw);

		t_row = signatures[i].name;
		T_EQ_TEXT(canon_signature(a, CANON_SIMPLE, raw), signatures[i].simple);
		T_EQ_TEXT(canon_signature(a, CANON_RELAXED, raw), signatures[i].relaxed);
	}
	t_row = NULL;
	arena_free(a);
}

static void
forms_of_c(void)
{
	for (size_t i = 0; i < T_COUNT(forms); i++) {
		enum canon_form header, body;
		bool            good = canon_parse(strv_z(forms[i].c), &header, &body);

		t_row = forms[i].c;
		T_CHECK(good == forms[i].good);
		if (good)
			T_CHECK(header == forms[i].header && body == forms[i].body);
	}
	t_row = NULL;
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(header_fields);
	T_RUN(forms_of_c);
	T_RUN(awkward_bodies);
	T_RUN(long_bodies);
	T_RUN(drawn_bodies);
	return t_end();
}
