/*
 * decode -- a header field as a reader sees it: unfolded, its encoded words decoded.
 *
 * Readers take more than RFC 2047 allows, and what they show is what rules are about: words longer than 75
 * octets or with a letter in front of them are decoded, too, and a character that is cut in two by the
 * border of two words is joined again.  What is no encoded word stays as it is written.
 *
 *     word      = "=?" charset [ "*" language ] "?" ( "B" / "Q" ) "?" text "?="      RFC 2047 2, RFC 2231 5
 *     text      = *<any printable ASCII but "?" and blank>
 */
#include "proxy/mail/decode.h"

#include "proxy/base/arena.h"
#include "proxy/base/base64.h"

enum { CHARSET_OCTETS = 40 };

struct word {
	struct strv charset, text;
	bool        base64;
	size_t      n; /* octets of all of it */
};

/* Octets of encoded words that follow each other in one charset, not yet converted. */
struct run {
	struct strv charset, written; /* written: the words as they stand in the field */
	char       *p;
	size_t      n;
};

/* What stands up to the next '?', which it is cut behind. False: there is none, or something that may not be there. */
static bool
take_part(struct strv *v, struct strv *out)
{
	size_t n = 0;

	while (n < v->n && v->p[n] > ' ' && v->p[n] < 0x7f && v->p[n] != '?')
		n++;
	if (n == v->n || v->p[n] != '?')
		return false;
	*out = strv_first(*v, n);
	*v = strv_from(*v, n + 1);
	return true;
}

static bool
find_word(struct strv v, struct word *out)
{
	struct strv all = v, how;

	if (!strv_starts(v, SV("=?")))
		return false;
	v = strv_from(v, 2);
	if (!take_part(&v, &out->charset) || !take_part(&v, &how) || !take_part(&v, &out->text) ||
	    v.n == 0 || v.p[0] != '=' || how.n != 1)
		return false;
	out->charset = strv_first(out->charset, strv_chr(out->charset, '*'));
	out->base64 = ascii_lower(how.p[0]) == 'b';
	out->n = all.n - v.n + 1;
	return out->charset.n > 0 && out->charset.n <= CHARSET_OCTETS &&
	    (out->base64 || ascii_lower(how.p[0]) == 'q');
}

static int
hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 2047 4.2. False: it is none. */
static bool
decode_q(struct strv v, char *out, size_t *n)
{
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i] == '_' ? ' ' : v.p[i];

		if (c == '=') {
			if (v.n - i < 3 || hex(v.p[i + 1]) < 0 || hex(v.p[i + 2]) < 0)
				return false;
			c = (char)(hex(v.p[i + 1]) << 4 | hex(v.p[i + 2]));
			i += 2;
		}
		out[(*n)++] = c;
	}
	return true;
}

/* RFC 4648 4, but laxer than base64_decode: padding may be missing. False: it is none. */
static bool
decode_b(struct strv v, char *out, size_t *n)
{
	unsigned bits = 0, have = 0;

	for (unsigned pads = 0; pads < 2 && strv_ends(v, SV("=")); pads++)
		v.n--;
	if (v.n % 4 == 1)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		int d = base64_digit(v.p[i]);

		if (d < 0)
			return false;
		bits = (bits << 6 | (unsigned)d) & 0xffffff;
		have += 6;
		if (have >= 8)
			out[(*n)++] = (char)(bits >> (have -= 8));
	}
	return true;
}

/* RFC 5322 2.2.3: the blank that follows a line's end is part of the text, the end is not. */
static void
put_plain(struct strv v, struct decode_out *out)
{
	while (v.n > 0) {
		size_t n = 0;

		while (n < v.n && v.p[n] != '\r' && v.p[n] != '\n')
			n++;
		decode_utf8(strv_first(v, n), out);
		v = strv_from(v, n < v.n ? n + 1 : n);
	}
}

static void
end_run(struct run *r, struct decode_out *out)
{
	if (r->written.n > 0 && !decode_charset(r->charset, strv(r->p, r->n), out))
		put_plain(r->written, out);
	r->n = 0;
	r->written.n = 0;
}

/* Adds a word to the run, which ends first where the charset is another one. False: it is broken. */
static bool
add_word(struct run *r, const struct word *w, struct strv v, struct decode_out *out)
{
	size_t n = r->n;

	if (!(w->base64 ? decode_b : decode_q)(w->text, r->p, &n))
		return false;
	if (r->written.n > 0 && !strv_ieq(r->charset, w->charset)) {
		size_t before = r->n;

		end_run(r, out);
		memmove(r->p, r->p + before, n - before);
		n -= before;
	}
	if (r->written.n == 0)
		r->written.p = v.p;
	r->written.n = (size_t)(v.p + w->n - r->written.p);
	r->charset = w->charset;
	r->n = n;
	return true;
}

static struct strv
skip_blanks(struct strv v)
{
	size_t n = 0;

	while (n < v.n && (v.p[n] == ' ' || v.p[n] == '\t' || v.p[n] == '\r' || v.p[n] == '\n'))
		n++;
	return strv_from(v, n);
}

/* Octets up to the next "=?", at least one. */
static size_t
plain_octets(struct strv v)
{
	size_t n = 1;

	while (n < v.n && !(v.p[n] == '=' && n + 1 < v.n && v.p[n + 1] == '?'))
		n++;
	return n;
}

static void
decode(struct strv v, struct run *r, struct decode_out *out)
{
	while (v.n > 0 && !out->full) {
		struct strv next = r->written.n > 0 ? skip_blanks(v) : v;
		struct word w;

		/* Blanks between two words are no part of the text: RFC 2047 6.2. */
		if (find_word(next, &w) && add_word(r, &w, next, out)) {
			v = strv_from(next, w.n);
			continue;
		}
		end_run(r, out);
		put_plain(strv_first(v, plain_octets(v)), out);
		v = strv_from(v, plain_octets(v));
	}
	end_run(r, out);
}

struct strv
decode_text(struct arena *a, struct strv value, size_t most)
{
	struct strv       v = skip_blanks(value);
	struct run        r = { 0 };
	struct decode_out out = { 0 };
	struct strv       text;

	v.n = v.n < DECODE_OCTETS ? v.n : DECODE_OCTETS;
	/* No octet that comes becomes more than three. */
	out.room = 3 * v.n < most ? 3 * v.n : most;
	out.p = arena_bytes(a, out.room + 1);
	if (plain_octets(v) < v.n || strv_starts(v, SV("=?")))
		r.p = arena_bytes(a, v.n);
	if (r.p != NULL)
		decode(v, &r, &out);
	else
		put_plain(v, &out);
	text = strv_trim(strv(out.p, out.n));
	return text.n == 0 ? SV("") : text;
}
