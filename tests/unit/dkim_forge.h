/*
 * dkim_forge -- what may be changed in the signature of a letter, and in the record of its key.
 */
#ifndef TESTS_UNIT_DKIM_FORGE_H
#define TESTS_UNIT_DKIM_FORGE_H

#include "proxy/base/hash.h"
#include "tests/unit/dkim_change.h"

/* Where the value of a tag begins; the end: there is none. */
static inline size_t
tag_at(struct strv field, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = strv_chr(field, ':') + 1; i + n + 1 < field.n; i++)
		if (strchr(" \t\n;:", field.p[i - 1]) != NULL && memcmp(field.p + i, name, n) == 0) {
			size_t at = i + n;

			at += field.p[at] == ' ';
			if (field.p[at] == '=')
				return at + 1;
		}
	return field.n - 2;
}

static inline char
draw_base64(struct draw *d)
{
	return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="[below(d, 65)];
}

/* Behind `from' to the next ";". */
static inline struct strv
with_letter(struct draw *d, struct strv v, size_t from)
{
	size_t n = strv_chr(strv_from(v, from), ';');
	char   c = draw_base64(d);

	n -= from + n == v.n && strv_ends(v, SV("\r\n")) ? 2 : 0;
	from += n > 0 ? below(d, n) : 0;
	return n == 0 || (unsigned char)v.p[from] <= ' ' ? v : splice(d, v, from, 1, strv(&c, 1));
}

static inline void
change_tag(struct draw *d, struct letter *l, const char *name)
{
	struct strv *f = &l->field[pick_field(d, l, true)];

	*f = with_letter(d, *f, tag_at(*f, name));
}

static inline void
change_b(struct draw *d, struct letter *l)
{
	change_tag(d, l, "b");
}

static inline void
change_bh(struct draw *d, struct letter *l)
{
	change_tag(d, l, "bh");
}

/* Another name, or one more in front. */
static inline void
change_h(struct draw *d, struct letter *l)
{
	struct strv *f = &l->field[pick_field(d, l, true)];
	size_t       at = tag_at(*f, "h");

	if (below(d, 2) == 0)
		*f = splice(d, *f, at, 0, arena_printf(d->a, "%s:", ONE_OF(d, letter_names)));
	else
		*f = with_letter(d, *f, at);
}

static inline void
change_any_tag(struct draw *d, struct letter *l)
{
	static const char *const names[] = { "v", "a", "c", "d", "s", "t", "x", "l", "i", "q" };

	change_tag(d, l, ONE_OF(d, names));
}

/* But not the parameters of rsaEncryption: NULL, says RFC 3279 2.3.1, and OpenSSL does not look. */
static inline void
change_key(struct draw *d, struct letter *l)
{
	enum { PARAMETERS = 21, BEHIND = 26 /* digits of base64 in front of both */ };
	size_t p = strv_chr(l->record, 'p') + 2, at = below(d, l->record.n - p);
	char   c = draw_base64(d);

	if (at < PARAMETERS || at >= BEHIND)
		l->record = splice(d, l->record, p + at, 1, strv(&c, 1));
}

/* Where crypt_verify.c would keep it. */
static inline uint32_t
place_of_key(struct draw *d, struct strv record)
{
	return crc32c(0, tags_base64(d->a, strv_from(record, strv_chr(record, 'p') + 2))) % CRYPT_KEPT;
}

/* Another key in the place of the true one. */
static inline void
change_key_in_place(struct draw *d, struct letter *l)
{
	struct strv was = l->record;
	uint32_t    place = place_of_key(d, was);

	for (unsigned i = 0; i < 300; i++) {
		l->record = was;
		change_key(d, l);
		if (!strv_eq(l->record, was) && place_of_key(d, l->record) == place)
			return;
	}
}

static inline void
change_record(struct draw *d, struct letter *l)
{
	size_t at = below(d, strv_chr(l->record, 'p') + 2);

	l->record = with_octet(d, l->record, at, below(d, 2) == 0);
}

#endif
