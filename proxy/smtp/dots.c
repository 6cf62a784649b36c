/*
 * dots -- message text between the wire and canonical lines; no octet is looked at twice, and what is
 * clean is passed on as it lies.
 *
 * Smuggling lives where two programs disagree on what ends a message (RFC 5321 4.1.1.4), so both
 * directions hold one invariant: what comes out has no CR without LF, no LF without CR and no NUL, and
 * the end mark is CRLF.CRLF of the sender's own octets, never one that our changes made.
 *
 * A CR at the end of a cut, and a dot at the start of a line with what follows it, cannot be judged at
 * once: the states hold them, so that the text need not be kept.
 */
#include "proxy/smtp/dots.h"

#include <assert.h>

#include "proxy/base/scan.h"

enum {
	IN_TEXT,
	IN_CR,     /* a CR is held */
	IN_DOT,    /* CRLF "." of the sender: an end mark, or a doubled dot */
	IN_DOT_CR, /* CRLF "." CR */
	IN_END
};

static void
count(struct dots_in *d, struct strv piece)
{
	while (piece.n > 0) {
		size_t n = strv_chr(piece, '\n');
		bool   ended = n < piece.n;

		n += ended;
		d->line_n += n;
		if (d->line_n > d->longest)
			d->longest = d->line_n;
		if (ended)
			d->line_n = 0;
		piece = strv_from(piece, n);
	}
}

/* Gives out a piece, which is not empty. true_crlf: a line end in it is the sender's own. */
static enum dots_rc
give(struct dots_in *d, struct strv v, bool true_crlf, struct strv *piece)
{
	d->before = v.p[v.n - 1];
	d->crlf = true_crlf;
	d->state = IN_TEXT;
	if (d->count_lines)
		count(d, v);
	*piece = v;
	return DOTS_PIECE;
}

static enum dots_rc
give_odd(struct dots_in *d, struct strv v, struct strv *piece)
{
	d->odd = true;
	return give(d, v, false, piece);
}

static void
skip(struct strv *in, size_t n)
{
	*in = strv_from(*in, n);
}

/* The next run of text from octet `from` on; what is before that is known to be plain. */
static enum dots_rc
give_run(struct dots_in *d, struct strv *in, size_t from, struct strv *piece)
{
	char        before = from == 0 ? d->before : in->p[from - 1];
	size_t      n = from + scan_text(strv_from(*in, from), before, d->stuffed);
	struct strv run = strv_first(*in, n);

	if (n == 0)
		return DOTS_MORE;
	skip(in, n);
	return give(d, run, true, piece);
}

/* Text up to what needs thought, or that octet itself. DOTS_MORE: nothing to give out yet. */
static enum dots_rc
in_text(struct dots_in *d, struct strv *in, struct strv *piece)
{
	char c;

	if (give_run(d, in, 0, piece) == DOTS_PIECE)
		return DOTS_PIECE;
	c = in->p[0];
	if (c == '.' && !d->crlf) /* LF "." : its sender knew no rule of dots */
		return give_run(d, in, 1, piece);
	skip(in, 1);
	switch (c) {
	case '\n':
		return give_odd(d, SV("\r\n"), piece);
	case '\r':
		d->state = IN_CR;
		break;
	case '.':
		d->state = IN_DOT;
		break;
	default:
		d->odd = true;
		if (d->stuffed)
			d->before = '\0'; /* CRLF NUL "." is no dot at the start of its line */
	}
	return DOTS_MORE;
}

static enum dots_rc
in_dot(struct dots_in *d, struct strv *in, struct strv *piece)
{
	char c = in->p[0];

	if (c == '\r' || c == '\n')
		skip(in, 1);
	if (c == '\n') /* CRLF "." LF: a line of one dot, not doubled */
		return give_odd(d, SV(".\r\n"), piece);
	d->state = c == '\r' ? IN_DOT_CR : IN_TEXT;
	d->before = '.'; /* RFC 5321 4.5.2: the first dot goes, the next one stays */
	return DOTS_MORE;
}

void
dots_in_begin(struct dots_in *d, bool stuffed)
{
	*d = (struct dots_in){ .stuffed = stuffed, .before = '\n', .crlf = true };
}

enum dots_rc
dots_decode(struct dots_in *d, struct strv *in, struct strv *piece)
{
	while (in->n > 0 && d->state != IN_END) {
		enum dots_rc rc = DOTS_MORE;

		switch (d->state) {
		case IN_TEXT:
			rc = in_text(d, in, piece);
			break;
		case IN_DOT:
			rc = in_dot(d, in, piece);
			break;
		default: /* behind a CR */
			if (in->p[0] != '\n')
				return give_odd(d, SV(" "), piece);
			skip(in, 1);
			if (d->state == IN_CR)
				return give(d, SV("\r\n"), true, piece);
			d->state = IN_END;
		}
		if (rc == DOTS_PIECE)
			return rc;
	}
	return d->state == IN_END ? DOTS_END : DOTS_MORE;
}

struct strv
dots_finish(struct dots_in *d)
{
	struct strv rest = strv(NULL, 0), piece;

	assert(!d->stuffed);
	if (d->state == IN_CR) {
		d->odd = true;
		rest = SV(" \r\n");
	} else if (d->before != '\n')
		rest = SV("\r\n");
	if (rest.n > 0)
		give(d, rest, true, &piece);
	return rest;
}

void
dots_out_begin(struct dots_out *d)
{
	*d = (struct dots_out){ .line_start = true };
}

static void
add(struct iovec *v, unsigned *n, struct strv text)
{
	if (text.n > 0)
		v[(*n)++] =
		    (struct iovec){ .iov_base = (void *)(uintptr_t)text.p, .iov_len = text.n };
}

/* What a held CR turns out to be, now that `next` is known; how many octets of the text that takes. */
static size_t
add_held(struct dots_out *d, struct iovec *v, unsigned *n, char next)
{
	bool crlf = next == '\n';

	add(v, n, crlf ? SV("\r\n") : SV(" "));
	d->cr = false;
	d->line_start = crlf;
	return crlf;
}

/*
 * One run up to what needs thought, and that: at most two iovecs.  A dot is doubled without an iovec of
 * its own: it ends this run and, not taken, begins the next one.
 */
static size_t
add_run(struct dots_out *d, struct strv text, struct iovec *v, unsigned *n)
{
	size_t k = scan_text(text, d->line_start ? '\n' : ' ', true);
	char   c;

	if (k == text.n || text.p[k] == '.') {
		add(v, n, strv_first(text, k + (k < text.n)));
		d->line_start = k == text.n && text.p[k - 1] == '\n';
		return k;
	}
	add(v, n, strv_first(text, k));
	c = text.p[k];
	if (c == '\r' && k + 1 == text.n)
		d->cr = true;
	else if (c == '\n')
		add(v, n, SV("\r\n"));
	else if (c == '\r')
		add(v, n, SV(" "));
	d->line_start = c == '\n' ||
	    (c == '\0' && (k == 0 ? d->line_start : text.p[k - 1] == '\n'));
	return k + 1;
}

unsigned
dots_encode(struct dots_out *d, struct strv text, struct iovec *v, unsigned max, size_t *taken)
{
	size_t   at = 0;
	unsigned n = 0;

	assert(max >= 2);
	while (at < text.n && n + 2 <= max) {
		if (d->cr)
			at += add_held(d, v, &n, text.p[at]);
		else
			at += add_run(d, strv_from(text, at), v, &n);
	}
	*taken = at;
	return n;
}

struct strv
dots_end(const struct dots_out *d)
{
	if (d->cr)
		return SV(" \r\n.\r\n");
	return d->line_start ? SV(".\r\n") : SV("\r\n.\r\n");
}
