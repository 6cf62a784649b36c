/*
 * diag -- diagnostics about configuration: collect, sort, print with the line and a row of marks.
 *
 * Knows nothing of the language.  Whatever a file holds, what is printed has no control characters
 * and no line of it is longer than a terminal can bear.
 */
#include "proxy/base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

#define TEXT_MAX   1000 /* octets of one message */
#define QUOTE_MAX  60   /* octets of a word shown in a message */
#define WINDOW     100  /* octets of a source line shown */
#define WINDOW_LED 40   /* of them in front of the mark, where the line is longer */
#define NEAR_MAX   64   /* octets of a word worth a suggestion */

/* Octets of the well-formed UTF-8 character at the start of v, 0: none.  RFC 3629 section 4. */
static unsigned
utf8_len(struct strv v)
{
	const unsigned char *s = (const unsigned char *)v.p;
	unsigned             n, low = 0x80, high = 0xbf;

	if (v.n == 0 || s[0] < 0x80)
		return v.n != 0;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (v.n < n)
		return 0;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (unsigned i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

size_t
diag_utf8(struct strv v)
{
	size_t   at = 0;
	unsigned n = 1;

	while (at < v.n && (n = utf8_len(strv_from(v, at))) > 0)
		at += n;
	return at;
}

/* Adds the character at the start of v in a form fit for a terminal; gives its octets in v. */
static unsigned
add_safe(struct buf *b, struct strv v)
{
	unsigned      n = utf8_len(v);
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
		i += add_safe(&b, strv_from(v, i));
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
		i += add_safe(&b, strv_from(v, i));
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

/*
 * Where the last line that was shown begins: the next one of the same file is searched from
 * there.
 */
struct place {
	const struct source *src;
	unsigned             line;
	size_t               at;
};

struct printer {
	bool         colour;
	struct buf   b;
	struct place seen;
	void (*emit)(struct strv line, void *arg);
	void *arg;
};

static void
flush(struct printer *p)
{
	p->emit(buf_view(&p->b), p->arg);
	buf_clear(&p->b);
}

static void
mark(struct printer *p, const char *ansi)
{
	if (p->colour)
		buf_printf(&p->b, "\033[%sm", ansi);
}

static void
add_text(struct buf *b, struct strv v)
{
	for (size_t i = 0; i < v.n;)
		i += add_safe(b, strv_from(v, i));
}

static struct strv
line_at(struct place *seen, const struct pos *pos)
{
	struct strv text = pos->src->text, rest;

	if (seen->src != pos->src || seen->line > pos->line)
		*seen =
		    (struct place){ pos->src, 1, strv_starts(text, SV("\xef\xbb\xbf")) ? 3 : 0 };
	for (; seen->line < pos->line && seen->at < text.n; seen->line++) {
		rest = strv_from(text, seen->at);
		seen->at += strv_chr(rest, '\n') + 1;
	}
	if (seen->at >= text.n)
		return strv("", 0);
	rest = strv_from(text, seen->at);
	rest = strv_first(rest, strv_chr(rest, '\n'));
	if (rest.n > 0 && rest.p[rest.n - 1] == '\r')
		rest.n--;
	return rest;
}

/* A tab becomes blanks up to the next multiple of eight, as the terminal would. */
static void
pad_tab(struct buf *b, char c, unsigned *column)
{
	do {
		buf_addc(b, c);
	} while (++*column % 8 != 0);
}

/*
 * Columns that the octets [from, to) of the line take, c for each; with c == 0 the text itself.
 * What add_safe writes longer than it is counts as it is written.
 */
static void
add_cells(struct buf *b, struct strv line, size_t from, size_t to, char c, unsigned *column)
{
	unsigned used;
	size_t   before;

	while (from < to && from < line.n) {
		if (line.p[from] == '\t') {
			pad_tab(b, c == 0 ? ' ' : c, column);
			from++;
			continue;
		}
		before = b->n;
		used = add_safe(b, strv_from(line, from));
		if (b->n - before == used) {
			*column += 1;
			if (c != 0) {
				b->n = before;
				buf_addc(b, c);
			}
		} else {
			*column += (unsigned)(b->n - before);
			for (size_t i = before; c != 0 && i < b->n; i++)
				b->p[i] = c;
		}
		from += used;
	}
}

static bool
is_middle(struct strv line, size_t at)
{
	return at < line.n && ((unsigned char)line.p[at] & 0xc0) == 0x80;
}

static void
print_line(struct printer *p, const struct pos *pos)
{
	struct strv line = line_at(&p->seen, pos);
	size_t      at = pos->col > 0 ? pos->col - 1 : 0, from = 0, to, end;
	unsigned    column = 0;

	if (at > line.n)
		at = line.n;
	if (line.n > WINDOW && at > WINDOW_LED)
		from = at - WINDOW_LED;
	while (from < at && is_middle(line, from))
		from++;
	to = line.n - from > WINDOW ? from + WINDOW : line.n;
	while (is_middle(line, to))
		to--;
	buf_add(&p->b, from > 0 ? SV("    ...") : SV("    "));
	add_cells(&p->b, line, from, to, 0, &column);
	buf_add(&p->b, to < line.n ? SV("...") : SV(""));
	flush(p);

	end = pos->len > to - at ? to : at + pos->len;
	column = 0;
	buf_add(&p->b, from > 0 ? SV("       ") : SV("    "));
	add_cells(&p->b, line, from, at, ' ', &column);
	mark(p, "1;32");
	from = p->b.n;
	add_cells(&p->b, line, at, end, '~', &column);
	if (p->b.n == from)
		buf_addc(&p->b, '^');
	else
		p->b.p[from] = '^';
	mark(p, "0");
	flush(p);
}

static void
print_one(struct printer *p, const struct diag *d)
{
	static const char *const words[] = { "error", "warning", "note" };
	static const char *const ansi[] = { "1;31", "1;35", "1;36" };

	mark(p, "1");
	if (d->pos.src != NULL) {
		add_text(&p->b, d->pos.src->name);
		if (d->pos.line > 0)
			buf_printf(&p->b, ":%u:%u", d->pos.line, d->pos.col);
		buf_add(&p->b, SV(": "));
	}
	mark(p, ansi[d->level]);
	buf_printf(&p->b, "%s: ", words[d->level]);
	mark(p, "0");
	add_text(&p->b, d->text);
	flush(p);
	if (d->pos.src != NULL && d->pos.line > 0)
		print_line(p, &d->pos);
	for (struct strv rest = d->hint; rest.p != NULL;) {
		add_text(&p->b, strv_cut(&rest, '\n'));
		flush(p);
	}
}

/* The main file first, then by name; what has no place at all comes before. */
static int
compare_source(const struct source *a, const struct source *b)
{
	if (a == b)
		return 0;
	if (a == NULL || b == NULL)
		return a == NULL ? -1 : 1;
	if ((a->includer == NULL) != (b->includer == NULL))
		return a->includer == NULL ? -1 : 1;
	return strv_cmp(a->name, b->name);
}

static int
compare(const void *x, const void *y)
{
	const struct diag *a = *(const struct diag *const *)x, *b = *(const struct diag *const *)y;
	int                by = compare_source(a->pos.src, b->pos.src);

	if (by != 0)
		return by;
	if (a->pos.line != b->pos.line)
		return a->pos.line < b->pos.line ? -1 : 1;
	if (a->pos.col != b->pos.col)
		return a->pos.col < b->pos.col ? -1 : 1;
	return a < b ? -1 : a > b; /* equal places: as they came */
}

void
diag_print(const struct diags *d, bool colour, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct printer      p = { .colour = colour, .emit = emit, .arg = arg };
	const struct diag **order = arena_array(d->a, d->n, sizeof(*order));
	unsigned            n = 0;

	buf_init(&p.b, 16384);
	for (unsigned i = 0; i < d->n; i++) {
		if (i == 0 || d->v[i].level != DIAG_NOTE)
			order[n++] = &d->v[i];
	}
	if (n > 1)
		qsort(order, n, sizeof(*order), compare);
	for (unsigned i = 0; i < n; i++) {
		const struct diag *x = order[i];

		print_one(&p, x);
		while (++x < d->v + d->n && x->level == DIAG_NOTE)
			print_one(&p, x);
	}
	if (d->dropped > 0) {
		buf_printf(&p.b, "and %u more", d->dropped);
		flush(&p);
	}
	buf_fini(&p.b);
}

/*
 * Optimal string alignment distance: Damerau's, where no part is edited twice. Both at most
 * NEAR_MAX.
 */
static unsigned
distance(struct strv a, struct strv b)
{
	unsigned char row[3][NEAR_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned char *now = row[i % 3], *above = row[(i + 2) % 3], *two = row[(i + 1) % 3];

		now[0] = (unsigned char)i;
		for (size_t j = 1; j <= b.n; j++) {
			char     x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
			unsigned best = above[j - 1] + (x != y);

			if (above[j] + 1u < best)
				best = above[j] + 1u;
			if (now[j - 1] + 1u < best)
				best = now[j - 1] + 1u;
			if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) &&
			    y == ascii_lower(a.p[i - 2]) && two[j - 2] + 1u < best)
				best = two[j - 2] + 1u;
			now[j] = (unsigned char)best;
		}
	}
	return row[a.n % 3][b.n];
}

/* How far a suggestion may lie: a third of the shorter word, and never all of it. */
static bool
near(struct strv a, struct strv b, unsigned *best)
{
	size_t   shorter = a.n < b.n ? a.n : b.n;
	unsigned far, limit = shorter < 3 ? 1 : (unsigned)(shorter + 1) / 3;

	if (shorter == 0 || a.n > NEAR_MAX || b.n > NEAR_MAX)
		return false;
	far = distance(a, b);
	if (far > limit || far >= shorter || far >= *best)
		return false;
	*best = far;
	return true;
}

const char *
diag_nearest(struct strv v, const char *const *words)
{
	const char *found = NULL;
	unsigned    best = NEAR_MAX;

	for (; *words != NULL; words++) {
		if (near(v, strv_z(*words), &best))
			found = *words;
	}
	return found;
}

struct strv
diag_nearest_v(struct strv v, const struct strv *words, unsigned n)
{
	struct strv found = { NULL, 0 };
	unsigned    best = NEAR_MAX;

	for (unsigned i = 0; i < n; i++) {
		if (near(v, words[i], &best))
			found = words[i];
	}
	return found;
}

struct strv
diag_did_you_mean(struct arena *a, struct strv x)
{
	if (x.p == NULL)
		return x;
	return arena_printf(a, "did you mean %s?", diag_quote(a, x));
}
