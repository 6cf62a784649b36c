/*
 * dkim_change -- what may happen to the header and the body of a signed letter on its way, one change at a time.
 */
#ifndef TESTS_UNIT_DKIM_CHANGE_H
#define TESTS_UNIT_DKIM_CHANGE_H

#include "tests/unit/dkim_letter.h"

static inline bool
is_signature(struct strv field)
{
	return strv_istarts(field, SV("dkim-signature:"));
}

/* One of the fields, a signature or another; there are both. */
static inline unsigned
pick_field(struct draw *d, const struct letter *l, bool signature)
{
	unsigned at;

	do
		at = (unsigned)below(d, l->n);
	while (is_signature(l->field[at]) != signature);
	return at;
}

/* Another octet at a place.  The ends of lines stay, and the blank that folds one; NUL is no octet of a field. */
static inline struct strv
with_octet(struct draw *d, struct strv v, size_t at, bool bit)
{
	char c = v.p[at], to;

	if (c == '\r' || c == '\n' || (at > 0 && v.p[at - 1] == '\n'))
		return v;
	do
		to = bit ? (char)(c ^ 1 << below(d, 8)) : (char)below(d, 256);
	while (to == '\r' || to == '\n' || to == '\0' || to == c);
	return splice(d, v, at, 1, strv(&to, 1));
}

static inline void
change_value(struct draw *d, struct letter *l, bool bit)
{
	struct strv *f = &l->field[pick_field(d, l, false)];
	size_t       from = strv_chr(*f, ':') + 1, at = from + below(d, f->n - 2 - from + 1);

	*f = with_octet(d, *f, at, bit);
}

static inline void
change_octet(struct draw *d, struct letter *l)
{
	change_value(d, l, false);
}

static inline void
change_bit(struct draw *d, struct letter *l)
{
	change_value(d, l, true);
}

/* The case of a name: relaxed does not see it. */
static inline void
change_case(struct draw *d, struct letter *l)
{
	struct strv *f = &l->field[pick_field(d, l, below(d, 4) == 0)];
	char         c = (char)(f->p[0] ^ 0x20);

	*f = splice(d, *f, 0, 1, strv(&c, 1));
}

static inline size_t
place_in(struct draw *d, struct strv field)
{
	size_t colon = strv_chr(field, ':') + 1, at;

	do
		at = colon + below(d, field.n - 2 - colon + 1);
	while (field.p[at] == '\n' || field.p[at - 1] == '\n');
	return at;
}

/* Relaxed sees it only where there was no blank, and where the line does not end. */
static inline void
change_blank(struct draw *d, struct letter *l)
{
	struct strv *f = &l->field[pick_field(d, l, below(d, 6) == 0)];
	size_t       at;

	at = place_in(d, *f);
	*f = splice(d, *f, at, 0, below(d, 2) == 0 ? SV(" ") : SV("\t "));
}

static inline void
change_fold(struct draw *d, struct letter *l)
{
	struct strv *f = &l->field[pick_field(d, l, below(d, 6) == 0)];

	*f = splice(d, *f, place_in(d, *f), 0, SV("\r\n\t"));
}

static inline void
change_order(struct draw *d, struct letter *l)
{
	unsigned    x = (unsigned)below(d, l->n), y = (unsigned)below(d, l->n);
	struct strv was = l->field[x];

	l->field[x] = l->field[y];
	l->field[y] = was;
}

static inline void
change_doubled(struct draw *d, struct letter *l)
{
	struct strv it = l->field[below(d, l->n)];

	letter_put(l, (unsigned)below(d, l->n + 1), it);
}

/* Not the only signature. */
static inline void
change_removed(struct draw *d, struct letter *l)
{
	letter_cut(l, pick_field(d, l, false));
}

static inline void
change_added(struct draw *d, struct letter *l)
{
	const char *it = below(d, 5) == 0 ? ONE_OF(d, letter_from) : ONE_OF(d, letter_fields);

	letter_put(l, (unsigned)below(d, l->n + 1), strv_z(it));
}

/* ---- the body ---- */

/* Any octet by any other, CR, LF and NUL among them. */
static inline void
change_body_octet(struct draw *d, struct letter *l)
{
	size_t at = below(d, l->body.n + 1);
	char   c = at < l->body.n ? l->body.p[at] : '\0';

	c = below(d, 2) == 0 ? (char)(c ^ 1 << below(d, 8)) : (char)below(d, 256);
	if (at < l->body.n)
		l->body = splice(d, l->body, at, 1, strv(&c, 1));
}

/* A blank at the end of a line, or anywhere. */
static inline void
change_body_blank(struct draw *d, struct letter *l)
{
	size_t at = below(d, l->body.n + 1);

	if (below(d, 2) == 0)
		while (at < l->body.n && l->body.p[at] != '\r')
			at++;
	if (at == 0 || l->body.p[at - 1] != '\r')
		l->body = splice(d, l->body, at, 0, below(d, 2) == 0 ? SV(" ") : SV(" \t"));
}

static inline void
change_body_end(struct draw *d, struct letter *l)
{
	static const char *const more[] = { "\r\n", "\r\n\r\n\r\n", "x\r\n", "\r\nx", " \r\n" };

	l->body = arena_concat(d->a, l->body, strv_z(ONE_OF(d, more)));
}

/* Between lines, or it would leave half a CRLF. */
static inline void
change_body_cut(struct draw *d, struct letter *l)
{
	size_t at = below(d, l->body.n + 1);

	if (at == 0 || l->body.p[at - 1] != '\r')
		l->body = strv_first(l->body, at);
}

#endif
