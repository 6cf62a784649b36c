/*
 * diag_print -- diagnostics as they are shown: in order, each with its line and a row of marks.
 *
 * Lines are found and measured here, tabs and characters that no terminal should see included: the marks
 * stand below what they mean.  A long line is shown in part.
 */
#include "proxy/base/diag_own.h"

#include <stdlib.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

#define WINDOW     100 /* octets of a source line shown */
#define WINDOW_LED 40  /* of them in front of the mark, where the line is longer */

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
		i += diag_add_safe(b, strv_from(v, i));
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
 * What diag_add_safe writes longer than it is counts as it is written.
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
		used = diag_add_safe(b, strv_from(line, from));
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
