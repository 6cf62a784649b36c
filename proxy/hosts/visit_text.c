/*
 * visit_text -- the text of a message as libmilter gives it, made canonical again: fields, gap, body.
 *
 * A mail server shows a field as name and value with LF in its folding, a body with the CRLF that it got.  What does
 * not fit becomes a fault that is told at the end, where a refusal is still one of the message.
 */
#include "proxy/base/scan.h"
#include "proxy/hosts/visit_own.h"

static void
fault(struct visit *v, uint16_t code, const char *enh, const char *text)
{
	struct reply *r = &v->fault;

	if (r->code != 0)
		return;
	*r = (struct reply){ .code = code, .text = strv_z(text) };
	memcpy(r->enh, enh, strlen(enh) + 1);
}

static void
feed_fault(struct visit *v, enum message_rc rc)
{
	if (rc == MESSAGE_HEADER_TOO_BIG)
		fault(v, 552, "5.3.4", "message header is too big");
	else if (rc == MESSAGE_FULL)
		fault(v, 452, "4.3.1", "no space for the message now");
	else if (rc == MESSAGE_FAULT)
		fault(v, 451, "4.3.0", "could not keep the message");
}

/* ---- the header ------------------------------------------------------------------------------ */

/* LF in front of a blank is folding; any other, and a bare CR, would begin a line of its own: a blank. */
static size_t
put_value(char *out, struct strv value)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i], next = i + 1 < value.n ? value.p[i + 1] : '\0';

		if (c == '\r' && next == '\n')
			continue;
		if (c == '\n' && (next == ' ' || next == '\t')) {
			out[n++] = '\r';
			out[n++] = '\n';
		} else {
			out[n++] = (char)(c == '\n' || c == '\r' ? ' ' : c);
		}
	}
	return n;
}

/* The field as it stood in the message, or nothing; room is there. */
static size_t
put_field(char *raw, struct strv name, struct strv value, bool leadspc)
{
	size_t n = name.n;

	/* What is none would end the header for us, where the mail server goes on. */
	if (!edit_name_good(name))
		return 0;
	memcpy(raw, name.p, n);
	raw[n++] = ':';
	if (!leadspc)
		raw[n++] = ' ';
	n += put_value(raw + n, value);
	raw[n++] = '\r';
	raw[n++] = '\n';
	return n;
}

/* All fields and the empty line behind them. */
static struct strv
header_of(struct arena *a, const struct visit_call *c)
{
	char *raw = arena_bytes(
	    a, 2 * c->text.n + 2); /* a field has two NUL here, at most four more octets there */
	size_t n = 0;

	for (struct strv rest = c->text, name, value; rest.n > 0;) {
		name = strv_cut(&rest, '\0');
		value = strv_cut(&rest, '\0');
		n += put_field(raw + n, name, value, c->leadspc);
	}
	memcpy(raw + n, "\r\n", 2);
	return strv(raw, n + 2);
}

MAY_YIELD static void
header_is_there(struct visit *v, struct strv header)
{
	struct transaction *tx = visit_tx(v);
	struct strv         body;

	v->headed = true;
	feed_fault(v, message_feed(&tx->msg, header, &body));
	if (tx->msg.received > v->all->s->smtp.limits.received_hops)
		fault(v, 554, "5.4.6", "too many hops, this message goes in a circle");
	if (v->fault.code == 0)
		(void)judge_headers(v->hearing);
}

static void
begin(struct visit *v)
{
	struct transaction *tx = visit_tx(v);

	message_begin(&tx->msg, tx->a, spool_new(v->all->spools),
	    (uint32_t)v->all->s->smtp.limits.header_size);
	tx->msg.authserv = smtp_authserv(&v->all->s->smtp, &v->client.addr.addr);
}

void
visit_text_header(struct visit *v, const struct visit_call *c)
{
	begin(v);
	if (c->too_much)
		feed_fault(v, MESSAGE_HEADER_TOO_BIG);
	header_is_there(v, header_of(visit_tx(v)->a, c));
}

/* ---- the body -------------------------------------------------------------------------------- */

MAY_YIELD static void
take(struct visit *v, struct strv text)
{
	struct transaction *tx = visit_tx(v);
	uint64_t            max = v->all->s->smtp.limits.message_size;
	struct strv         body = { NULL, 0 };
	enum spool_rc       rc;

	if (v->fault.code != 0 || text.n == 0)
		return;
	feed_fault(v, message_feed(&tx->msg, text, &body));
	if (max > 0 && tx->msg.octets > max)
		fault(v, 552, "5.3.4", "message size exceeds fixed limit");
	if (v->fault.code != 0 || body.n == 0)
		return;
	(void)judge_body(v->hearing, body);
	rc = spool_add(tx->msg.body, body);
	if (rc != SPOOL_OK)
		feed_fault(v, rc == SPOOL_FULL ? MESSAGE_FULL : MESSAGE_FAULT);
}

/* Octet by octet where it is not plain: as a client's own text is made canonical. */
MAY_YIELD static void
take_odd(struct visit *v, struct strv text)
{
	char  *out = mem_alloc(2 * text.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (v->cr && c != '\n')
			out[n++] = ' ';
		if (c == '\n') {
			out[n++] = '\r';
			out[n++] = '\n';
		} else if (c != '\r' && c != '\0') {
			out[n++] = c;
		}
		v->cr = c == '\r';
	}
	take(v, strv(out, n));
	mem_free(out);
}

/* A mail server may pass on a bare LF, CR or NUL; a CR at the end of a piece waits for what follows. */
void
visit_text_body(struct visit *v, struct strv text)
{
	size_t plain = v->cr ? 0 : scan_text(text, '\n', false);

	if (!v->headed)
		return;
	take(v, strv_first(text, plain));
	if (plain < text.n)
		take_odd(v, strv_from(text, plain));
}

void
visit_text_end(struct visit *v)
{
	struct transaction *tx = visit_tx(v);
	struct strv         body = { NULL, 0 };

	if (!v->headed) {
		begin(v);
		header_is_there(v, SV("\r\n"));
	}
	if (v->cr)
		take(v, SV(" "));
	v->cr = false;
	if (v->fault.code == 0)
		feed_fault(v, message_end(&tx->msg, &body));
	tx->msg.complete = true;
}
