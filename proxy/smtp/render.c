/*
 * render -- the head of a message as it will be sent, and where its body lies.
 *
 * Readers differ about lines of a header that are no fields: some end it there, some pass over them, some take
 * the first for an mbox line.  What was judged must be what they read, so nobody is left a choice:
 *
 *     head  = fields-above extra fields-in-front [ mbox ] own-fields [ gap ]
 *     mbox  = 1*( "X-Mailbox-Line: " line )      as Postfix writes those that come by DATA
 *     gap   = CRLF                               always in front of a line that is no field
 */
#include "proxy/smtp/render.h"

#include "proxy/base/arena.h"
#include "proxy/base/spool.h"

#define MBOX "X-Mailbox-Line:"

enum {
	LINE_MAX_ = 1000, /* RFC 5322 2.1.1, with its CRLF */
	GROWTH = 20,      /* octets that a line grows by at most: the name and two folds */
};

static char *
append(char *p, struct strv v)
{
	if (v.n > 0)
		memcpy(p, v.p, v.n);
	return p + v.n;
}

/* A line that becomes too long is folded where its blank is: no line of it is longer than it was. */
static char *
append_mbox(char *p, struct strv line)
{
	size_t word = strv_chr(line, ' ');

	if (sizeof(MBOX) + line.n <= LINE_MAX_)
		return append(append(p, SV(MBOX " ")), line);
	p = append(append(p, SV(MBOX "\r\n ")), strv_first(line, word));
	return append(append(p, SV("\r\n")), strv_from(line, word));
}

static struct strv
mbox_fields(struct arena *a, struct strv lines)
{
	char *start, *p;

	if (lines.n == 0)
		return lines;
	p = start = arena_bytes(a, lines.n + (size_t)MESSAGE_MBOX_MAX * GROWTH);
	while (lines.n > 0) {
		struct strv line = strv_first(lines, strv_chr(lines, '\n') + 1);

		p = append_mbox(p, line);
		lines = strv_from(lines, line.n);
	}
	return strv(start, (size_t)(p - start));
}

/* How many stand in front of the first that came and is as it came: what was put in front of the message. */
static unsigned
count_in_front(const struct message *m, const struct view_field *f, unsigned n)
{
	unsigned i = 0;

	while (i < n && !(f[i].raw.p >= m->part && f[i].raw.p < m->part + m->part_n))
		i++;
	return i;
}

/* Up to the last that a milter wants above our Received: their order is what everybody was shown. */
static unsigned
count_above(const struct view_field *f, unsigned n)
{
	while (n > 0 && !f[n - 1].above)
		n--;
	return n;
}

static size_t
fields_size(const struct view_field *f, unsigned n)
{
	size_t size = 0;

	for (unsigned i = 0; i < n; i++)
		size += f[i].raw.n;
	return size;
}

static char *
append_fields(char *p, const struct view_field *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		p = append(p, f[i].raw);
	return p;
}

/* Octet for octet: a header that the text ended with gets no empty line, but where a body has been made. */
static bool
needs_gap(const struct view *v)
{
	const struct message *m = v->msg;

	return !m->no_gap || m->broken || view_body(v) != m->body;
}

void
render_begin(struct render *r, struct arena *a, const struct view *v, struct strv extra)
{
	struct strv        mbox = mbox_fields(a, v->msg->mbox);
	struct strv        gap = needs_gap(v) ? SV("\r\n") : SV("");
	unsigned           n, front, above;
	struct view_field *f = view_fields(a, v, &n);
	size_t             size = extra.n + mbox.n + fields_size(f, n) + gap.n;
	char              *p = arena_bytes(a, size);

	r->head = strv(p, size);
	front = mbox.n > 0 ? count_in_front(v->msg, f, n) : n;
	above = count_above(f, front);
	p = append(append_fields(p, f, above), extra);
	p = append_fields(p, f + above, front - above);
	p = append_fields(append(p, mbox), f + front, n - front);
	append(p, gap);
	r->body = view_body(v);
	r->at = 0;
	r->size = size + (r->body != NULL ? spool_size(r->body) : 0);
}
