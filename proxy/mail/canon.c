/*
 * canon -- canonical forms of header and body.  RFC 6376 3.4.
 *
 * Canonical text is nearly always what came, so runs of it are passed on as they are: what is looked for, by
 * vectors, are the few places where it is not.  Those are white space that is more than one blank, and the end of
 * what is there, where lines may turn out to be trailing ones.  Those, and nothing else, are held back.
 */
#include "proxy/mail/canon.h"

#include "proxy/base/arena.h"

enum { GATHERED = 512 /* octets of short pieces that are handed on together */ };

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* ---- header ---------------------------------------------------------------------------------- */

static bool
form_of(struct strv word, enum canon_form *out)
{
	*out = strv_ieq(word, SV("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
	return *out == CANON_RELAXED || strv_ieq(word, SV("simple"));
}

bool
canon_parse(struct strv c, enum canon_form *header, enum canon_form *body)
{
	struct strv word = strv_cut(&c, '/');

	*header = *body = CANON_SIMPLE;
	if (word.n == 0 && c.p == NULL)
		return true;
	return form_of(word, header) && (c.p == NULL || form_of(c, body));
}

/* Octets of the name, blanks behind it not counted; 0: there is no colon. */
static size_t
name_of(struct strv raw, size_t *behind)
{
	size_t n = strv_chr(raw, ':');

	*behind = n < raw.n ? n + 1 : 0;
	if (n == raw.n)
		return 0;
	while (n > 0 && is_blank(raw.p[n - 1]))
		n--;
	return n;
}

/*
 * RFC 6376 3.4.2: lower-case name, unfolded, white space to one blank, none at the value's ends nor at the colon.
 * It is never longer than raw.  Without the last CRLF; its length.
 */
static size_t
relax(struct strv raw, char *out)
{
	size_t from, n = name_of(raw, &from), at = n;
	bool   blank = false;

	for (size_t i = 0; i < n; i++)
		out[i] = ascii_lower(raw.p[i]);
	if (from > 0)
		out[at++] = ':';
	for (size_t i = from, begin = at; i < raw.n; i++) {
		char c = raw.p[i];

		if (c == '\r' || c == '\n')
			continue;
		if (is_blank(c)) {
			blank = true;
			continue;
		}
		if (blank && at > begin)
			out[at++] = ' ';
		blank = false;
		out[at++] = c;
	}
	return at;
}

struct strv
canon_field(struct arena *a, enum canon_form form, struct strv raw)
{
	char  *out;
	size_t n;

	if (form == CANON_SIMPLE)
		return raw;
	out = arena_bytes(a, raw.n + 2);
	n = relax(raw, out);
	memcpy(out + n, "\r\n", 2);
	return strv(out, n + 2);
}

/* Where the value of b= stands in raw: from its '=' to the next ';'. Empty at the end: there is none. */
static struct strv
value_of_b(struct strv raw)
{
	size_t      behind;
	struct strv rest, tag, value;

	(void)name_of(raw, &behind);
	rest = strv_from(raw, behind);
	while (rest.p != NULL) {
		value = strv_cut(&rest, ';');
		tag = strv_cut(&value, '=');
		if (value.p != NULL && strv_eq(strv_trim_folds(tag), SV("b")))
			return value;
	}
	return strv_from(raw, raw.n);
}

struct strv
canon_signature(struct arena *a, enum canon_form form, struct strv raw)
{
	struct strv b = value_of_b(raw);
	size_t      before = (size_t)(b.p - raw.p);
	char       *bare = arena_bytes(a, raw.n + 1);
	struct strv out = strv(bare, raw.n - b.n);

	memcpy(bare, raw.p, before);
	memcpy(bare + before, b.p + b.n, raw.n - before - b.n);
	if (strv_ends(out, SV("\r\n")))
		out.n -= 2;
	if (form == CANON_RELAXED) {
		char *relaxed = arena_bytes(a, out.n + 1);

		out = strv(relaxed, relax(out, relaxed));
	}
	return out;
}

/* ---- body ------------------------------------------------------------------------------------ */

struct put {
	struct canon_body *c;
	size_t             n;
	char               p[GATHERED];
};

static void
flush(struct put *o)
{
	if (o->n > 0)
		o->c->out(o->c->arg, strv(o->p, o->n));
	o->n = 0;
}

static void
put(struct put *o, struct strv v)
{
	if (v.n > GATHERED - o->n)
		flush(o);
	if (v.n > GATHERED / 2) {
		flush(o);
		o->c->out(o->c->arg, v);
		return;
	}
	memcpy(o->p + o->n, v.p, v.n);
	o->n += v.n;
}

/* There is more behind what was held back, so it counts. */
static void
put_held(struct put *o)
{
	for (; o->c->lines > 0; o->c->lines--)
		put(o, SV("\r\n"));
	if (o->c->blank)
		put(o, SV(" "));
	o->c->blank = false;
	o->c->any = true;
}

/* A CR was the last octet: the end of a line, as a LF must follow. */
static struct strv
settle_cr(struct put *o, struct strv text)
{
	struct canon_body *c = o->c;

	if (!c->cr || text.n == 0)
		return text;
	c->cr = false;
	if (text.p[0] == '\n') {
		c->lines++;
		c->blank = false;
		return strv_from(text, 1);
	}
	put_held(o);
	put(o, SV("\r"));
	return text;
}

/* Takes the line ends at the end of text into what is held back; what remains is text for sure. */
static struct strv
hold_lines(struct strv text, uint64_t *lines)
{
	for (*lines = 0; text.n >= 2 && text.p[text.n - 1] == '\n' && text.p[text.n - 2] == '\r';
	     ++*lines)
		text.n -= 2;
	return text;
}

/* RFC 6376 3.4.3: only empty lines at the end are ignored. */
static void
add_simple(struct put *o, struct strv text)
{
	struct canon_body *c = o->c;
	uint64_t           lines;

	text = settle_cr(o, text);
	if (text.n > 0 && text.p[text.n - 1] == '\r') {
		c->cr = true;
		text.n--;
	}
	text = hold_lines(text, &lines);
	if (text.n > 0) {
		put_held(o);
		put(o, text);
	}
	c->lines += lines;
}

typedef unsigned char octets16 __attribute__((vector_size(16)));

/* By address: how a vector is passed is settled only where the processor surely has them (i386 may not). */
static bool
any16(const octets16 *v)
{
	uint64_t half[2];

	memcpy(half, v, sizeof(half));
	return (half[0] | half[1]) != 0;
}

static bool
is_odd(struct strv text, size_t i)
{
	char next = i + 1 < text.n ? text.p[i + 1] : '\r';

	return text.p[i] == '\t' || (text.p[i] == ' ' && (is_blank(next) || next == '\r'));
}

/*
 * Where white space stands that is not one blank inside a line: a HT, or a SP before a SP, HT, CR or the end of what
 * is there.  text.n: nowhere.
 */
static size_t
find_odd(struct strv text)
{
	size_t i = 0;

	for (; i + 17 <= text.n; i += 16) {
		octets16 v, next, found;

		memcpy(&v, text.p + i, sizeof(v));
		memcpy(&next, text.p + i + 1, sizeof(next));
		found = (octets16)(v == ' ') &
		    ((octets16)(next == ' ') | (octets16)(next == '\t') | (octets16)(next == '\r'));
		found |= (octets16)(v == '\t');
		if (any16(&found))
			break;
	}
	while (i < text.n && !is_odd(text, i))
		i++;
	return i;
}

/* White space and line ends at the beginning of text: held back. */
static struct strv
hold_blank(struct canon_body *c, struct strv text)
{
	size_t i = 0;

	for (; i < text.n; i++) {
		if (is_blank(text.p[i])) {
			c->blank = true;
		} else if (text.p[i] == '\r' && i + 1 < text.n && text.p[i + 1] == '\n') {
			c->lines++;
			c->blank = false;
			i++;
		} else
			break;
	}
	if (i + 1 == text.n && text.p[i] == '\r') {
		c->cr = true;
		i++;
	}
	return strv_from(text, i);
}

/* Text up to the next odd place, or to the end: the line ends behind it are held back. */
static struct strv
put_plain(struct put *o, struct strv text)
{
	struct canon_body *c = o->c;
	size_t             n = find_odd(text);
	struct strv        rest = strv_from(text, n), plain = strv_first(text, n);

	if (rest.n == 0 && plain.p[n - 1] == '\r') {
		c->cr = true;
		plain.n--;
	}
	plain = hold_lines(plain, &c->lines);
	put(o, plain);
	return rest;
}

/* RFC 6376 3.4.4: white space to one blank, none at the end of a line; then as simple. */
static void
add_relaxed(struct put *o, struct strv text)
{
	text = settle_cr(o, text);
	for (;;) {
		text = hold_blank(o->c, text);
		if (text.n == 0)
			break;
		put_held(o);
		text = put_plain(o, text);
	}
}

void
canon_body_add(struct canon_body *c, struct strv text)
{
	struct put o;

	o.c = c;
	o.n = 0;
	if (c->form == CANON_SIMPLE)
		add_simple(&o, text);
	else
		add_relaxed(&o, text);
	flush(&o);
}

/* A CR that is held back cannot be text: canonical text has none without its LF. */
void
canon_body_end(struct canon_body *c)
{
	if (c->any || c->form == CANON_SIMPLE)
		c->out(c->arg, SV("\r\n"));
}
