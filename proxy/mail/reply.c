/*
 * reply -- replies, ours and a server's: printed in one place, parsed in any cut.
 *
 * The invariant of printing: however hostile the text, what comes out is lines of one code, each ends
 * with the only CRLF in it and has at most REPLY_LINE octets, all of them or none are in the buffer.
 * The invariant of parsing: a reply that is complete had one code and a legal form in every line.
 *
 *     reply      = *( code "-" [ text ] CRLF ) code [ SP [ text ] ] CRLF       RFC 5321 4.2
 */
#include "proxy/mail/reply.h"

#include <assert.h>

#include "proxy/base/scan.h"
#include "proxy/mail/verdict.h"

#define CUT_BACK 64 /* a long line is cut at a blank that is at most this far back */

enum { ST_CODE1, ST_CODE2, ST_CODE3, ST_SEP, ST_TEXT, ST_CR };

/* How much of v fits into `room`, cut at a blank where one is near, never inside a UTF-8 sequence. */
static size_t
cut_at(struct strv v, size_t room, bool utf8)
{
	size_t n = room;

	if (v.n <= room)
		return v.n;
	while (n > room - CUT_BACK && v.p[n] != ' ')
		n--;
	if (v.p[n] == ' ')
		return n;
	for (n = room; utf8 && n > room - 4 && ((unsigned char)v.p[n] & 0xc0) == 0x80; n--)
		;
	return n;
}

static bool
printable(char c, bool utf8)
{
	unsigned char u = (unsigned char)c;

	return (u >= 0x20 && u < 0x7f) || u == '\t' || (u >= 0x80 && utf8);
}

/* The text of one line. What is not printable becomes '?', so no CR, LF or NUL gets through. */
static void
add_text(struct buf *out, struct strv v, bool utf8)
{
	size_t i = 0;
	char  *p;

	if (!buf_add(out, v))
		return;
	p = out->p + out->n - v.n;
	while (v.n - i >= 8 && ascii_printable8(strv_load8(p + i)))
		i += 8;
	for (; i < v.n; i++)
		if (!printable(p[i], utf8))
			p[i] = '?';
}

static void
add_line(struct buf *out, const struct reply *r, struct strv line, bool last, bool utf8)
{
	size_t     from = out->n;
	const char head[] = { (char)('0' + r->code / 100), (char)('0' + r->code / 10 % 10),
		(char)('0' + r->code % 10), last ? ' ' : '-' };

	buf_add(out, strv(head, sizeof(head)));
	/* A line of a server that has an enhanced code keeps it. RFC 2034 4: on every line, of the code's class. */
	if (r->enh[0] - '0' == r->code / 100 && reply_find_enh(r->code, line).p == NULL) {
		buf_add(out, strv_z(r->enh));
		if (line.n > 0)
			buf_addc(out, ' ');
	}
	if (out->full)
		return;
	add_text(out, strv_first(line, cut_at(line, REPLY_LINE - 2 - (out->n - from), utf8)), utf8);
	buf_add(out, SV("\r\n"));
}

void
reply_print(struct buf *out, const struct reply *r, bool utf8)
{
	struct strv text = r->text.p == NULL ? SV("") : r->text;
	size_t      from = out->n;

	assert(r->code >= 200 && r->code <= 599);
	while (text.p != NULL && !out->full) {
		struct strv line = strv_cut(&text, '\n');

		add_line(out, r, line, text.p == NULL, utf8);
	}
	/* Half a reply would make the next one its second half. */
	if (out->full)
		out->n = from;
}

/* The number at the start of v, 1 to 3 digits: how many, or 0. */
static size_t
digits(struct strv v)
{
	size_t n = 0;

	while (n < v.n && n < 4 && ascii_is_digit(v.p[n]))
		n++;
	return n < 4 ? n : 0;
}

struct strv
reply_find_enh(uint16_t code, struct strv text)
{
	struct strv v = text;
	size_t      subject, detail;

	/* RFC 3463 2: class "." subject "." detail; RFC 2034 4: the class is that of the code */
	if (v.n < 5 || v.p[0] - '0' != code / 100 || strchr("245", v.p[0]) == NULL || v.p[1] != '.')
		return strv(NULL, 0);
	v = strv_from(v, 2);
	subject = digits(v);
	if (subject == 0 || subject == v.n || v.p[subject] != '.')
		return strv(NULL, 0);
	v = strv_from(v, subject + 1);
	detail = digits(v);
	if (detail == 0 || (detail < v.n && memchr(" \t\r\n", v.p[detail], 4) == NULL))
		return strv(NULL, 0);
	return strv_first(text, 2 + subject + 1 + detail);
}

void
reply_fill_enh(struct reply *r)
{
	struct strv text = r->text.p == NULL ? SV("") : r->text;
	unsigned class = r->code / 100u;

	if (r->enh[0] != '\0' || (class != 2 && class != 4 && class != 5))
		return;
	while (text.p != NULL)
		if (reply_find_enh(r->code, strv_cut(&text, '\n')).p == NULL) {
			memcpy(r->enh, "x.0.0", 6);
			r->enh[0] = (char)('0' + class);
			return;
		}
}

struct reply
reply_of_verdict(const struct verdict *v)
{
	struct reply r = { .code = verdict_code(v), .text = verdict_text(v) };
	const char  *enh = verdict_enh(v);
	size_t       n = strlen(enh);

	assert(verdict_final(v) && n < sizeof(r.enh));
	memcpy(r.enh, enh, n + 1);
	return r;
}

void
reply_parser_init(struct reply_parser *p)
{
	*p = (struct reply_parser){ 0 };
	buf_init(&p->text, REPLY_MAX);
}

void
reply_parser_fini(struct reply_parser *p)
{
	buf_fini(&p->text);
}

static int
malformed(struct reply_parser *p, const char *why)
{
	p->bad = true;
	p->why = why;
	return -1;
}

/* One of the three digits of the code; p->last holds whether this is a further line. */
static int
feed_code(struct reply_parser *p, char c)
{
	static const char *const range[] = { "25", "05", "09" };
	static const uint16_t    scale[] = { 100, 10, 1 };
	int                      at = p->st - ST_CODE1;

	if (c < range[at][0] || c > range[at][1])
		return malformed(
		    p, c == '1' && at == 0 ? "reply of class 1" : "malformed reply code");
	if (p->lines == 0)
		p->code = (uint16_t)(p->code + (c - '0') * scale[at]);
	else if (c - '0' != p->code / scale[at] % 10)
		return malformed(p, "unequal codes in one reply");
	p->st++;
	return 0;
}

static int
end_of_line(struct reply_parser *p, struct reply *out)
{
	p->lines++;
	p->st = ST_CODE1;
	if (p->last) {
		p->open = false;
		*out = (struct reply){ .code = p->code, .text = buf_view(&p->text) };
		return 1;
	}
	if (p->lines == REPLY_LINES)
		return malformed(p, "reply of too many lines");
	return buf_addc(&p->text, '\n') ? 0 : malformed(p, "reply is too long");
}

static int
feed_octet(struct reply_parser *p, char c, struct reply *out)
{
	switch (p->st) {
	case ST_CODE1:
	case ST_CODE2:
	case ST_CODE3:
		return feed_code(p, c);
	case ST_SEP:
		p->last = c != '-';
		p->st = ST_TEXT;
		if (c == ' ' || c == '-')
			return 0;
		if (c == '\r' || c == '\n')
			return feed_octet(p, c, out);
		return malformed(p, "reply code is not followed by a blank");
	case ST_TEXT:
		if (c == '\n') /* a bare LF: servers exist that end lines so */
			return end_of_line(p, out);
		p->st = ST_CR;
		return c == '\r' ? 0 : malformed(p, "NUL in a reply");
	default:
		return c == '\n' ? end_of_line(p, out) : malformed(p, "bare CR in a reply");
	}
}

int
reply_parse(struct reply_parser *p, struct strv *in, struct reply *out)
{
	while (!p->bad && in->n > 0) {
		size_t n = p->st == ST_TEXT ? scan_line(*in) : 0;
		int    rc;

		if (!p->open) {
			buf_clear(&p->text);
			p->code = p->lines = 0;
			p->open = true;
		}
		if (!buf_add(&p->text, strv_first(*in, n)))
			return malformed(p, "reply is too long");
		*in = strv_from(*in, n);
		if (in->n == 0)
			break;
		rc = feed_octet(p, in->p[0], out);
		*in = strv_from(*in, 1);
		if (rc != 0)
			return rc;
	}
	return p->bad ? -1 : 0;
}
