/*
 * message -- the header of a message taken apart while it arrives; the body goes through.
 *
 * The header is gathered in one run of octets, and fields are views into it that are made when it is
 * complete: until then it may move, so only lengths are kept (fields follow one another without a gap).
 * A header that comes in one piece, as nearly all do, is copied once.  The invariant: mbox lines, fields,
 * gap and body are, octet for octet, what was fed.
 *
 *     field      = name *WSP ":" text CRLF *( WSP text CRLF )      RFC 5322 2.2, 2.2.3, 4.5.3
 *     name       = 1*( %d33-57 / %d59-126 )
 */
#include "proxy/mail/message.h"

#include "proxy/base/arena.h"
#include "proxy/mail/authres.h"

#define NAME_MAX_ 998 /* a longer "name" is text: RFC 5322 2.1.1 */

enum line { LINE_EMPTY, LINE_FIELD, LINE_MORE /* folded */, LINE_MBOX, LINE_TEXT };

/* Octets of the name if the line is a field, else 0. */
static size_t
name_of(struct strv line)
{
	size_t n = 0, colon;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	for (colon = n; colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'); colon++)
		;
	return n <= NAME_MAX_ && colon < line.n && line.p[colon] == ':' ? n : 0;
}

/* Between messages in mbox files, quoted or not. Postfix passes over as many as begin a text, "From :" too. */
static bool
is_mbox(struct strv line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == '>')
		n++;
	return strv_starts(strv_from(line, n), SV("From "));
}

static enum line
kind_of(const struct message *m, struct strv line, size_t *name_n)
{
	*name_n = 0;
	if (line.n == 2)
		return LINE_EMPTY;
	if (line.p[0] == ' ' || line.p[0] == '\t')
		return m->n_h > 0 ? LINE_MORE : LINE_TEXT;
	if (m->n_h == 0 && m->n_mbox < MESSAGE_MBOX_MAX && is_mbox(line))
		return LINE_MBOX;
	*name_n = name_of(line);
	return *name_n > 0 ? LINE_FIELD : LINE_TEXT;
}

static void
add_field(struct message *m, struct strv line, size_t name_n)
{
	struct strv    name = strv_first(line, name_n);
	struct header *h;

	m->h = arena_grow(m->a, m->h, &m->max_h, m->n_h + 1, sizeof(*m->h));
	h = &m->h[m->n_h++];
	*h = (struct header){ .raw = strv(NULL, line.n), .name_n = (uint16_t)name_n };
	/* What we or the upstream trust does not come from strangers. */
	h->hidden = !m->keep_ours && strv_istarts(name, SV("X-Postern-"));
	if (strv_ieq(name, SV("Received")) || strv_ieq(name, SV("Delivered-To")))
		m->received++;
}

/* RFC 8601 5: results in our name that are not ours.  The id may stand behind any folding, so the field is whole. */
static bool
is_forged(const struct message *m, const struct header *h)
{
	return m->authserv.n > 0 && !m->keep_ours &&
	    strv_ieq(header_name(h), SV("Authentication-Results")) &&
	    authres_forges(h->raw, m->authserv);
}

/* The header is complete and moves no more: the fields get their views. */
static void
settle(struct message *m)
{
	size_t at = m->mbox.n;

	m->mbox.p = m->part;
	for (unsigned i = 0; i < m->n_h; i++) {
		m->h[i].raw.p = m->part + at;
		at += m->h[i].raw.n;
		m->h[i].hidden = m->h[i].hidden || is_forged(m, &m->h[i]);
	}
	m->headers_done = true;
}

/* One whole line of the header at m->line. True: it was the last, m->line is where the body begins. */
static bool
take_line(struct message *m, size_t end)
{
	struct strv line = strv(m->part + m->line, end - m->line);
	size_t      name_n;

	switch (kind_of(m, line, &name_n)) {
	case LINE_EMPTY:
		m->line = end;
		return true;
	case LINE_TEXT:
		m->no_gap = m->broken = true;
		return true;
	case LINE_MORE:
		m->h[m->n_h - 1].raw.n += line.n;
		break;
	case LINE_MBOX:
		m->mbox.n += line.n;
		m->n_mbox++;
		break;
	case LINE_FIELD:
		add_field(m, line, name_n);
	}
	m->header_octets += line.n;
	m->line = end;
	return false;
}

static bool
too_big(const struct message *m)
{
	return m->header_octets > m->header_max || m->n_h > MESSAGE_FIELDS_MAX;
}

/* Lines that are whole. True: the header ended. */
static bool
take_lines(struct message *m)
{
	const char *lf;

	while ((lf = memchr(m->part + m->seen, '\n', m->part_n - m->seen)) != NULL) {
		m->seen = (size_t)(lf + 1 - m->part);
		if (take_line(m, m->seen) || too_big(m))
			return true;
	}
	m->seen = m->part_n;
	return false;
}

/* Adds to the gathered header. What is needed at once is given exactly; a second time it doubles. */
static void
gather(struct message *m, struct strv text)
{
	if (m->part_n + text.n > m->part_room) {
		size_t room = m->part_n == 0 ? text.n : 2 * (m->part_n + text.n);
		char  *p = arena_bytes(m->a, room);

		if (m->part_n > 0)
			memcpy(p, m->part, m->part_n);
		m->part = p;
		m->part_room = room;
	}
	if (text.n > 0)
		memcpy(m->part + m->part_n, text.p, text.n);
	m->part_n += text.n;
}

/* Up to the first empty line and with it, or all. */
static struct strv
through_gap(struct strv text)
{
	const char *p = text.p, *end = text.p + text.n;

	while (end - p >= 3 && (p = memchr(p, '\n', (size_t)(end - p - 2))) != NULL)
		if (*++p == '\r' && p[1] == '\n')
			return strv_first(text, (size_t)(p + 2 - text.p));
	return text;
}

/* What of text is header as far as can be told cheaply; never more than the ceiling asks for. */
static struct strv
likely_header(const struct message *m, struct strv text)
{
	size_t left = m->header_max + (size_t)2 - m->part_n; /* with the gap */

	return through_gap(strv_first(text, text.n < left ? text.n : left));
}

/*
 * The body as one view: in `text` where it begins there.  Else it begins with a line that came in
 * pieces and was no field after all.
 */
static struct strv
body_of(const struct message *m, size_t before, struct strv text)
{
	if (m->line >= before)
		return strv_from(text, m->line - before);
	return arena_concat(m->a, strv(m->part + m->line, before - m->line), text);
}

void
message_begin(struct message *m, struct arena *a, struct spool *body, uint32_t header_max)
{
	*m = (struct message){ .a = a, .body = body, .header_max = header_max };
}

enum message_rc
message_feed(struct message *m, struct strv text, struct strv *body)
{
	size_t before = m->part_n;
	bool   ended;

	m->octets += text.n;
	*body = strv(text.p, 0);
	if (m->too_big)
		return MESSAGE_HEADER_TOO_BIG;
	if (m->headers_done) {
		*body = text;
		return MESSAGE_OK;
	}
	if (text.n == 0)
		return MESSAGE_OK;
	gather(m, likely_header(m, text));
	ended = take_lines(m);
	if (too_big(m) || (!ended && m->part_n >= m->header_max + (size_t)2)) {
		m->too_big = true;
		return MESSAGE_HEADER_TOO_BIG;
	}
	if (ended) {
		*body = body_of(m, before, text);
		settle(m);
	}
	return MESSAGE_OK;
}

enum message_rc
message_end(struct message *m, struct strv *body)
{
	*body = strv("", 0);
	m->complete = true;
	if (m->too_big)
		return MESSAGE_HEADER_TOO_BIG;
	if (m->headers_done)
		return MESSAGE_OK;
	if (m->line < m->part_n) {
		gather(m, SV("\r\n"));
		if (take_line(m, m->part_n))
			*body = strv(m->part + m->line, m->part_n - m->line);
	}
	m->no_gap = true;
	settle(m);
	return MESSAGE_OK;
}

struct strv
header_name(const struct header *h)
{
	return strv_first(h->raw, h->name_n);
}

struct strv
header_value(const struct header *h)
{
	struct strv v = strv_from(strv_first(h->raw, h->raw.n - 2), h->name_n);

	return strv_from(v, strv_chr(v, ':') + 1);
}

const struct header *
message_find(const struct message *m, struct strv name, unsigned n)
{
	for (unsigned i = 0; i < m->n_h; i++)
		if (!m->h[i].hidden && strv_ieq(header_name(&m->h[i]), name) && n-- == 0)
			return &m->h[i];
	return NULL;
}

unsigned
message_hidden(const struct message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_h; i++)
		n += m->h[i].hidden;
	return n;
}
