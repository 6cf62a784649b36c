/*
 * dkim_letter -- letters drawn by chance: header, body, what a signature of them says, and what is changed in them.
 *
 * The same seed draws the same letters: no two draws stand in one call, whose order is the compiler's.  Fields stay
 * fields: no change makes a line of the header that is none.
 */
#ifndef TESTS_UNIT_DKIM_LETTER_H
#define TESTS_UNIT_DKIM_LETTER_H

#include "tests/unit/dkim_keys.h"

#define LETTER_FIELDS 40

struct letter {
	struct strv field[LETTER_FIELDS];       /* each with its CRLF */
	unsigned    n;
	struct strv body;
	struct strv record;                     /* of the key of its top signature, where that has been changed */
};

struct draw {
	struct arena *a;
	uint64_t      seed;
};

static inline size_t
below(struct draw *d, size_t n)
{
	return (size_t)(t_random(&d->seed) % n);
}

static inline const char *
one_of(struct draw *d, const char *const *v, size_t n)
{
	return v[below(d, n)];
}
#define ONE_OF(d, table) one_of((d), (table), T_COUNT(table))

/* v, n octets of it at `at' replaced. */
static inline struct strv
splice(struct draw *d, struct strv v, size_t at, size_t n, struct strv by)
{
	return arena_concat(d->a, arena_concat(d->a, strv_first(v, at), by), strv_from(v, at + n));
}

static inline struct strv
letter_header(struct draw *d, const struct letter *l)
{
	struct strv all = SV("");

	for (unsigned i = 0; i < l->n; i++)
		all = arena_concat(d->a, all, l->field[i]);
	return all;
}

static inline void
letter_put(struct letter *l, unsigned at, struct strv field)
{
	if (l->n == LETTER_FIELDS)
		abort();
	memmove(&l->field[at + 1], &l->field[at], (l->n - at) * sizeof(l->field[0]));
	l->field[at] = field;
	l->n++;
}

static inline void
letter_cut(struct letter *l, unsigned at)
{
	memmove(&l->field[at], &l->field[at + 1], (l->n - at - 1) * sizeof(l->field[0]));
	l->n--;
}

/* ---- drawing ---- */

static const char *const letter_from[] = { "From: Joe <joe@example.org>\r\n", "from:joe@example.org\r\n",
	"From : \"Joe,  Public\"\r\n\t<joe@example.org>\r\n", "FROM:  Joe \t<joe@example.org>  \r\n" };
static const char *const letter_fields[] = { "To: a@b.example\r\n", "To: a@b.example,\r\n  c@d.example,\r\n\te@f.example\r\n",
	"Subject: minutes\r\n", "Subject:  two  blanks \t and a tab \r\n", "Subject: \xc3\xa4\xc3\xb6 8 bit \xff\r\n",
	"Subject:\r\n", "SUBJECT : a;b=c; d\r\n", "Date: Mon, 6 Nov 2023 09:59:58 +0000\r\n", "Message-ID: <1@example.org>\r\n",
	"Cc: x@y.example\r\n", "Cc: \r\n z@y.example\r\n", "X-Empty: \t \r\n", "x-empty:\r\n \r\n v\r\n",
	"List-Id: A list <l.example.org>\r\n", "Received: from a by b;\r\n\tMon, 6 Nov 2023 10:00:00 +0000\r\n",
	"Received: from c by a; Mon, 6 Nov 2023 09:59:59 +0000\r\n" };
static const char *const letter_names[] = { "to", "To", "subject", "SUBJECT", "date", "message-id", "Cc", "cc", "x-empty",
	"list-id", "received", "Received", "bcc", "from", "X-Nowhere" };
static const char *const letter_pieces[] = { "Hello\r\n", "\r\n", "\r\n\r\n\r\n", " \t \r\n", "a  b\t\tc\r\n",
	"trailing blanks  \t\r\n",
	" leading\r\n", "8 bit \xc3\xa9\xff\x80\r\n", "..\r\n", "a longer line of text, as many have it, and as many more\r\n",
	"--b\r\nContent-Type: text/plain\r\n\r\n", "\xe2\x82\xac\r\n" };
static const char *const letter_ends[] = { "", "", "\r\n", "\r\n\r\n", "no end", "blanks \t", " ", " \r\n", "\t\r\n\r\n \r\n" };

static inline struct strv
draw_body(struct draw *d)
{
	struct strv all = SV("");
	size_t      pieces = below(d, 9);
	char       *line;

	for (size_t i = 0; i < pieces; i++)
		all = arena_concat(d->a, all, strv_z(ONE_OF(d, letter_pieces)));
	if (below(d, 12) == 0) { /* beyond the room of a line in SMTP, and of libopendkim's buffers */
		size_t n = below(d, 2) == 0 ? 998 : 5000;

		line = arena_bytes(d->a, n + 2);
		for (size_t i = 0; i < n; i++)
			line[i] = " x\tyzz"[below(d, 6)];
		memcpy(line + n, "\r\n", 2);
		all = arena_concat(d->a, all, strv(line, n + 2));
	}
	return below(d, 8) == 0 ? SV("") : arena_concat(d->a, all, strv_z(ONE_OF(d, letter_ends)));
}

/* "From :" as the first line of a text is an mbox line, and no field. */
static inline void
letter_keep_fields(struct letter *l)
{
	if (l->n > 0 && strv_starts(l->field[0], SV("From ")))
		letter_put(l, 0, SV("X-First: 1\r\n"));
}

static inline void
draw_letter(struct draw *d, struct letter *l)
{
	size_t fields = below(d, 10), from = below(d, fields + 1);

	memset(l, 0, sizeof(*l));
	for (size_t i = 0; i < fields; i++)
		letter_put(l, (unsigned)i, strv_z(ONE_OF(d, letter_fields)));
	letter_put(l, (unsigned)from, strv_z(ONE_OF(d, letter_from)));
	letter_keep_fields(l);
	l->body = draw_body(d);
}

/* A tag in a list: "; x=4" or folded. */
static inline struct strv
add_tag(struct draw *d, struct strv all, const char *name, struct strv value)
{
	static const char *const between[] = { "; ", ";", ";\r\n\t", " ;\r\n  " };
	static const char *const equals[] = { "=", "=", "=", "= ", " = " };

	const char              *separator = ONE_OF(d, between), *is = ONE_OF(d, equals);

	return arena_printf(d->a, "%.*s%s%s%s%.*s", (int)all.n, all.p, separator, name, is, (int)value.n, value.p);
}

/* What keys_sign_with wants.  Times are far off, so that a run does not hang on the clock: made in 2020, ends in 2096. */
static inline const char *
draw_tags(struct draw *d, enum crypt_kind kind, const char *selector, const char *form, size_t octets)
{
	static const char *const identities[] = { "joe@example.org", "@sub.example.org",
		"=20x@a.b.Example.Org", "@other.example" };
	static const char *const odd[] = { "bH", "BH", "B", "D", "S", "H", "C", "L", "T", "I", "Q", "A", "zz" };
	static const char *const ends[] = { "4000000000", "4000000000", "1590000000" };
	struct strv              names = SV("from"), t = SV("v=1");
	size_t                   more = below(d, 9);

	for (size_t i = 0; i < more; i++) {
		names = arena_concat(d->a, names, below(d, 5) == 0 ? SV("\r\n\t: ") : SV(":"));
		names = arena_concat(d->a, names, strv_z(ONE_OF(d, letter_names)));
	}
	if (below(d, 8) == 0)
		names = arena_concat(d->a, names, SV(":DKIM-Signature"));
	t = add_tag(d, t, "a", kind == CRYPT_RSA ? SV("rsa-sha256") : SV("ed25519-sha256"));
	t = add_tag(d, t, "d", below(d, 4) == 0 ? SV("Example.ORG") : SV("example.org"));
	t = add_tag(d, t, "s", strv_z(selector));
	t = add_tag(d, t, "c", strv_z(form));
	t = add_tag(d, t, "h", names);
	if (below(d, 4) == 0)
		t = add_tag(d, t, "t", SV("1600000000"));
	if (below(d, 5) == 0)
		t = add_tag(d, t, "x", strv_z(below(d, 3) == 0 ? ONE_OF(d, ends) : ends[0]));
	if (below(d, 4) == 0)
		t = add_tag(d, t, "l", arena_printf(d->a, "%zu", below(d, octets + 3)));
	if (below(d, 5) == 0)
		t = add_tag(d, t, "i", strv_z(ONE_OF(d, identities)));
	if (below(d, 6) == 0)
		t = add_tag(d, t, "q", SV("dns/txt"));
	if (below(d, 12) == 0) /* unknown, but not to libopendkim, for which tags have no case */
		t = add_tag(d, t, ONE_OF(d, odd), strv_z(ONE_OF(d, letter_names)));
	return arena_z(d->a, t);
}

/* A hash of the body that a signer may have written for `real': the same in other letters, or twice. */
static inline const char *
draw_hash(struct draw *d, const char *tags, struct strv real)
{
	static const struct {
		const char *front;
		int         n; /* digits of it */
		const char *behind;
	} shapes[] = { { "bh=", 43, "" }, { "bh=", 42, "z=" }, { "bh=", 44, "=" }, { "bh= ", 44, "\t" },
		{ "bh=", 44, "; bH=no" }, { "bh=", 44, "; bH=" }, { "bh=no; bH=", 44, "" }, { "bH=no; bh=", 44, "" },
		{ "bh=", 44, "; BH=no" } };
	size_t at = below(d, T_COUNT(shapes));

	return arena_z(d->a, arena_printf(d->a, "%s; %s%.*s%s", tags, shapes[at].front, shapes[at].n,
	    arena_z(d->a, real), shapes[at].behind));
}

#endif
