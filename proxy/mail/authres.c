/*
 * authres -- the field Authentication-Results as we write it: values, words, folding.  RFC 8601 2.2.
 *
 * What strangers made goes through authres_value or authres_words.  The invariant: whatever a filter hands in,
 * the field is one field, no line of it is longer than RFC 5322 2.1.1 allows, and no value can pass for
 * another result.
 */
#include "proxy/mail/authres.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/utf8.h"

#define VALUE_MOST 400 /* an address of RFC 5321 4.5.3.1 is 320 at most */
#define WORDS_MOST 100
#define LINE       78  /* RFC 5322 2.1.1: should not be exceeded, */
#define RUN_MOST   900 /* and what cannot be folded must stay below 998 */

static bool
is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Octets of the character that v begins with; 0: it is not UTF-8. */
static size_t
character(struct strv v)
{
	if ((unsigned char)v.p[0] < 0x80)
		return 1;
	for (size_t n = 2; n <= 4 && n <= v.n; n++)
		if (utf8_valid(strv_first(v, n)))
			return n;
	return 0;
}

/* What an octet of a comment or reason becomes: nothing in them can end them. */
static char
word_octet(char c)
{
	static const char from[] = "()\\\"", to[] = "[]/'";
	const char       *at = c == '\0' ? NULL : strchr(from, c);

	return at != NULL ? to[at - from] : is_control(c) ? ' ' : c;
}

static char
value_octet(char c)
{
	return is_control(c) ? '?' : c;
}

/* At most `most' octets, cut between two characters; what is no UTF-8 becomes "?". */
static struct strv
clean(struct arena *a, struct strv text, size_t most, char (*octet)(char))
{
	char  *p = arena_bytes(a, text.n < most ? text.n : most);
	size_t n = 0;

	while (text.n > 0) {
		size_t one = character(text);

		if (n + (one > 0 ? one : 1) > most)
			break;
		if (one > 1)
			memcpy(p + n, text.p, one);
		else
			p[n] = one == 1 ? octet(text.p[0]) : '?';
		one = one > 0 ? one : 1;
		n += one;
		text = strv_from(text, one);
	}
	return strv(p, n);
}

struct strv
authres_words(struct arena *a, struct strv text)
{
	return clean(a, text, WORDS_MOST, word_octet);
}

/* RFC 2045 5.1 token; octets outside ASCII are UTF-8 by now (RFC 6532). */
static bool
is_token(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == ' ' || strchr("()<>@,;:\\\"/[]?=", v.p[i]) != NULL)
			return false;
	return v.n > 0;
}

/* pvalue: a value, or an address with its local part as it is. */
static bool
stands_alone(struct strv v)
{
	size_t at = strv_chr(v, '@');

	return is_token(v) ||
	    (at < v.n && is_token(strv_first(v, at)) && is_token(strv_from(v, at + 1)));
}

struct strv
authres_value(struct arena *a, struct strv text)
{
	struct strv v = clean(a, text, VALUE_MOST, value_octet);
	char       *p;
	size_t      n = 0;

	if (stands_alone(v))
		return v;
	p = arena_bytes(a, 2 * v.n + 2);
	p[n++] = '"';
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = v.p[i];
	}
	p[n++] = '"';
	return strv(p, n);
}

struct strv
authres_id(struct arena *a, struct strv id)
{
	return authres_value(a, id);
}

/* ---- the field ---- */

/* Octets up to the next blank outside of quotes. */
static size_t
run_of(struct strv v)
{
	bool   quoted = false;
	size_t i;

	for (i = 0; i < v.n && (quoted || v.p[i] != ' '); i++) {
		if (v.p[i] == '\\' && i + 1 < v.n)
			i++;
		else if (v.p[i] == '"')
			quoted = !quoted;
	}
	return i < v.n ? i : v.n;
}

struct folding {
	struct buf out;
	size_t     column;
	bool       fresh; /* nothing stands on this line yet */
};

static void
fold(struct folding *f)
{
	buf_add(&f->out, SV("\r\n\t"));
	f->column = 8;
	f->fresh = true;
}

static void
add(struct folding *f, struct strv run)
{
	for (size_t i = 0; i < run.n; i++)
		buf_addc(&f->out, value_octet(run.p[i]));
	f->column += run.n;
	f->fresh = false;
}

static void
add_result(struct folding *f, struct strv info)
{
	buf_addc(&f->out, ';');
	fold(f);
	while (info.n > 0) {
		struct strv run = strv_first(info, run_of(info));

		info = strv_from(info, run.n < info.n ? run.n + 1 : run.n);
		if (run.n == 0 || run.n > RUN_MOST)
			continue;
		if (!f->fresh && f->column + 1 + run.n > LINE)
			fold(f);
		else if (!f->fresh) {
			buf_addc(&f->out, ' ');
			f->column++;
		}
		add(f, run);
	}
}

struct strv
authres_field(struct arena *a, struct strv id, const struct strv *resinfo, unsigned n)
{
	struct folding f = { .column = sizeof("Authentication-Results: ") - 1 };
	struct strv    all;
	size_t         bare;

	buf_init(&f.out, AUTHRES_FIELD_MAX);
	add(&f, id);
	bare = f.out.n;
	for (unsigned i = 0; i < n && !f.out.full; i++) {
		size_t before = f.out.n;

		add_result(&f, resinfo[i]);
		/* No field ends with a blank line, nor with half a result. */
		if (f.out.full || f.fresh)
			f.out.n = before;
	}
	if (f.out.n == bare)
		buf_add(&f.out, SV("; none"));
	all = arena_dup(a, buf_view(&f.out));
	buf_fini(&f.out);
	return all;
}
