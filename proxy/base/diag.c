/*
 * diag -- diagnostics about configuration: collected, and text from outside made fit to be shown.
 *
 * Knows nothing of the language.  Whatever a file holds, what is printed (diag_print.c) has no control
 * characters.  What may have been meant: diag_nearest.c.
 */
#include "proxy/base/diag_own.h"

#include <stdarg.h>
#include <stdio.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/utf8.h"

#define TEXT_MAX  1000 /* octets of one message */
#define QUOTE_MAX 60   /* octets of a word shown in a message */

size_t
diag_utf8(struct strv v)
{
	size_t   at = 0;
	unsigned n = 1;

	while (at < v.n && (n = utf8_one(strv_from(v, at))) > 0)
		at += n;
	return at;
}

unsigned
diag_add_safe(struct buf *b, struct strv v)
{
	unsigned      n = utf8_one(v);
	unsigned char c = (unsigned char)v.p[0];

	/* 0xc2 0x80..0x9f are controls, too: some terminals obey them. */
	if (n == 0 || c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)v.p[1] < 0xa0)) {
		buf_printf(b, "\\x%02x", c);
		return 1;
	}
	buf_add(b, strv_first(v, n));
	return n;
}

const char *
diag_quote(struct arena *a, struct strv v)
{
	struct buf  b;
	const char *z;
	size_t      i = 0;

	buf_init(&b, (size_t)QUOTE_MAX * 8);
	buf_addc(&b, '`');
	while (i < v.n && i < QUOTE_MAX)
		i += diag_add_safe(&b, strv_from(v, i));
	buf_add(&b, i < v.n ? SV("...'") : SV("'"));
	z = arena_z(a, buf_view(&b));
	buf_fini(&b);
	return z;
}

struct strv
diag_escape(struct arena *a, struct strv v)
{
	struct buf  b;
	struct strv all;

	buf_init(&b, v.n * 8 + 1);
	for (size_t i = 0; i < v.n;)
		i += diag_add_safe(&b, strv_from(v, i));
	all = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return all;
}

void
diag_add(
    struct diags *d, enum diag_level level, struct pos at, struct strv hint, const char *fmt, ...)
{
	char    text[TEXT_MAX];
	va_list ap;
	int     n;

	if (level == DIAG_ERROR)
		d->errors++;
	if (d->n >= DIAG_MAX) {
		d->dropped++;
		return;
	}
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	d->v = arena_grow(d->a, d->v, &d->max, d->n + 1, sizeof(*d->v));
	d->v[d->n++] = (struct diag){
		.level = level,
		.pos = at,
		.text = arena_dup(d->a, strv(text, n < TEXT_MAX ? (size_t)n : TEXT_MAX - 1)),
		.hint = hint.p == NULL ? hint : arena_dup(d->a, hint),
	};
}
