/*
 * data -- DATA, and what becomes of a message's text whether it came by DATA or BDAT.
 *
 * RFC 5321 4.1.1.4.  The 354 is ours.  What is wrong with a text is told after its true end, never before:
 * a client that is cut off inside its text would take the rest of it for commands' replies.
 */
#include "proxy/base/netset.h"
#include "proxy/smtp/lend.h"
#include "proxy/smtp/sessionlog.h"
#include "proxy/smtp/text.h"

/* What is sent elsewhere hears its 552, however small the limit is. */
#define DROP_AT_LEAST (32u << 20)
#define SMALL_PIECE   512

/* The first one counts. */
static void
set_fault(struct session *s, uint16_t code, const char *enh, const char *text)
{
	struct reply *f = &s->text.fault;

	if (f->code != 0)
		return;
	f->code = code;
	memcpy(f->enh, enh, strlen(enh) + 1);
	f->text = strv_z(text);
	if (session_tx(s)->msg.body != NULL && !s->relay.streaming)
		spool_clear(session_tx(s)->msg.body);
}

void
text_begin(struct session *s, bool chunked)
{
	struct transaction  *tx = session_tx(s);
	const struct limits *l = &s->smtp->conf->limits;

	memset(&s->text, 0, sizeof s->text);
	dots_in_begin(&s->text.dots, !chunked);
	s->text.dots.count_lines = l->line > 0;
	s->text.drop = text_is_discarded(s);
	s->text.began = loop_now(s->smtp->loop);
	message_begin(&tx->msg, tx->a, spool_new(s->smtp->spools), (uint32_t)l->header_size);
	tx->msg.authserv = smtp_authserv(s->smtp->conf, &s->client.addr.addr);
	s->text.until = s->text.began + l->data_total;
	session_deadline(s, s->text.began + l->command_timeout);
}

/* RFC 1870 6.3: what was told as SIZE holds, ours and the server's. */
static uint64_t
most(const struct session *s)
{
	return s->offered.size > 0 ? s->offered.size : s->smtp->conf->limits.message_size;
}

bool
text_too_much(struct session *s)
{
	uint64_t max = most(s);

	if (s->text.dropped <= (max > DROP_AT_LEAST ? max : DROP_AT_LEAST))
		return false;
	say(s, 421, "4.7.0", SV("too many octets beyond what a message may have"));
	session_end(s, "endless text");
	return true;
}

static bool
any_recipient(const struct session *s)
{
	const struct envelope *e = &session_tx(s)->env;

	return envelope_taken(e) + envelope_dropped(e) > 0;
}

void
text_discard(struct session *s, const struct verdict *v)
{
	session_tx(s)->verdict = *v;
	relay_give_up(s);
}

/* The first final verdict holds, and a refusal at the end would show a trap for what it is. */
void
text_discard_if_nobody(struct session *s)
{
	const struct envelope *e = &session_tx(s)->env;

	if (envelope_taken(e) > 0 || text_is_discarded(s))
		return;
	for (unsigned i = 0; i < e->n_rcpt; i++) {
		if (e->rcpt[i].dropped) {
			text_discard(s, &e->rcpt[i].said);
			return;
		}
	}
}

/* False: DATA was answered. */
MAY_YIELD static bool
may_come(struct session *s)
{
	struct verdict v = { 0 };

	if (s->relay.broken) {
		slots_say(&s->replies, &s->relay.refusal);
		return false;
	}
	if (judge_stage(s->hearing, STAGE_DATA, &v) != WAIT_OK)
		return false;
	session_log_checks(s);
	if (v.kind == VERDICT_DISCARD)
		text_discard(s, &v);
	else if (verdict_final(&v))
		say_verdict(s, &v, STAGE_DATA, NULL);
	return v.kind == VERDICT_DISCARD || !verdict_final(&v);
}

void
data_run(struct session *s, struct strv rest)
{
	(void)rest;
	if (!any_recipient(s)) {
		say_error(s, 554, "5.5.1", SV("no valid recipients"));
		return;
	}
	text_discard_if_nobody(s);
	/* Of MAIL, or a milter's of a recipient: the hop may have taken some of them. */
	if (text_is_discarded(s))
		relay_give_up(s);
	else if (!may_come(s))
		return;
	text_begin(s, false);
	say(s, 354, "", SV("End data with <CR><LF>.<CR><LF>"));
	s->phase = PHASE_TEXT;
}

static void
feed_fault(struct session *s, enum message_rc rc)
{
	if (rc == MESSAGE_HEADER_TOO_BIG)
		set_fault(s, 552, "5.3.4", "message header is too big");
	else if (rc == MESSAGE_FULL)
		set_fault(s, 452, "4.3.1", "no space for the message now");
	else if (rc == MESSAGE_FAULT)
		set_fault(s, 451, "4.3.0", "could not keep the message");
}

/* RFC 5321 6.3: a message that has passed so many hosts goes in a circle. */
MAY_YIELD static void
header_is_there(struct session *s)
{
	struct message *m = &session_tx(s)->msg;

	if (!m->headers_done || s->text.headed)
		return;
	s->text.headed = true;
	if (m->received > s->smtp->conf->limits.received_hops)
		set_fault(s, 554, "5.4.6", "too many hops, this message goes in a circle");
	else
		judge_headers(s->hearing);
}

MAY_YIELD static void
take_body(struct session *s, struct strv body)
{
	if (body.n == 0 || s->text.fault.code != 0)
		return;
	if (judge_wants_body(s->smtp->conf->judge))
		judge_body(s->hearing, body);
	relay_text(s, body);
}

void
text_take(struct session *s, struct strv text)
{
	struct message *m = &session_tx(s)->msg;
	struct strv     body = { NULL, 0 };
	uint64_t        max = most(s);

	/* Up to there a client may send it, whatever is wrong with it, or whoever has discarded it. */
	if (s->text.fault.code != 0 || s->text.drop) {
		m->octets += text.n;
		s->text.dropped += m->octets > max ? text.n : 0;
		return;
	}
	feed_fault(s, message_feed(m, text, &body));
	if (max > 0 && m->octets > max)
		set_fault(s, 552, "5.3.4", "message size exceeds fixed limit");
	header_is_there(s);
	take_body(s, body);
}

/*
 * Text full of bare CR or LF decodes into pieces of an octet or two.  Small ones are gathered, so that each
 * does not cost a way through the filters and a system call; large ones go by reference.
 */
struct gather {
	char  *b; /* borrowed; NULL: nothing gathered yet */
	size_t n;
};

MAY_YIELD static void
gather_flush(struct session *s, struct gather *g)
{
	size_t n = g->n;

	g->n = 0;
	if (n > 0)
		text_take(s, strv(g->b, n));
}

MAY_YIELD static void
gather_piece(struct session *s, struct gather *g, struct strv piece)
{
	if (piece.n >= SMALL_PIECE || g->n + piece.n > BUFPOOL_SIZE)
		gather_flush(s, g);
	if (piece.n >= SMALL_PIECE) {
		text_take(s, piece);
		return;
	}
	if (g->b == NULL)
		g->b = bufpool_take(s->smtp->bufs);
	memcpy(g->b + g->n, piece.p, piece.n);
	g->n += piece.n;
}

enum dots_rc
text_decode(struct session *s, struct strv *v)
{
	struct gather g = { NULL, 0 };
	struct strv   piece;
	enum dots_rc  rc;

	while ((rc = dots_decode(&s->text.dots, v, &piece)) == DOTS_PIECE && !s->turn->cancelled)
		gather_piece(s, &g, piece);
	gather_flush(s, &g);
	if (g.b != NULL)
		bufpool_give(s->smtp->bufs, g.b);
	return rc;
}

void
data_turn(struct session *s)
{
	struct strv  v = intake_unread(&s->in);
	size_t       n = v.n;
	enum dots_rc rc;

	session_rate(s, n);
	rc = text_decode(s, &v);
	intake_take(&s->in, n - v.n);
	if (s->turn->cancelled || text_too_much(s) || rc != DOTS_END)
		return;
	s->phase = PHASE_COMMAND;
	text_done(s);
}

/* `line-endings reject`: read to the true end, then 550. */
static bool
refuses_odd(const struct session *s)
{
	const struct smtp_conf *c = s->smtp->conf;

	return c->lines == LINES_REJECT &&
	    (c->lines_for == NULL || netset_has(c->lines_for, &s->client.addr.addr));
}

MAY_YIELD static void
last_checks(struct session *s)
{
	struct strv body = { NULL, 0 };
	uint64_t    line = s->smtp->conf->limits.line;

	if (s->text.fault.code == 0 && !s->text.drop) {
		feed_fault(s, message_end(&session_tx(s)->msg, &body));
		header_is_there(s);
		take_body(s, body);
	}
	if (s->text.drop)
		return;
	if (s->text.dots.odd && refuses_odd(s))
		set_fault(s, 550, "5.5.2", "the message has bare CR, bare LF or NUL octets");
	if (line > 0 && s->text.dots.longest > line)
		set_fault(s, 554, "5.6.0", "the message has a line that is too long");
	session_tx(s)->msg.complete = true;
}

static void
discard(struct session *s, struct reply *r)
{
	s->relay.outcome = OUTCOME_DISCARDED;
	*r = (struct reply){ 250, "2.0.0", SV("Ok") };
}

/* The one place in which a message gets its 250: of the hop, of the disk, or because a rule says discard. */
MAY_YIELD static void
carry_out(struct session *s, struct verdict *v, struct reply *r)
{
	/*
	 * Who was taken at RCPT may have been lost with the server since: that is the hop's to tell, and nothing to
	 * keep or to discard.
	 */
	bool nobody = envelope_taken(&session_tx(s)->env) == 0;

	if (!relay_envelope(s, v, r))
		return;
	if (verdict_final(v))
		session_tx(s)->verdict = *v;
	if (v->kind == VERDICT_DISCARD)
		discard(s, r);
	else if (v->kind == VERDICT_NONE || (nobody && v->kind == VERDICT_QUARANTINE))
		relay_finish(s, r);
	else if (v->kind != VERDICT_QUARANTINE)
		*r = verdict_reply(s, v);
	else if (v->to.p == NULL)
		relay_quarantine(s, r);
	else if (relay_redirect(s, v->to, r))
		relay_finish(s, r);
}

/* What it looks up may take a while: the server has better to do meanwhile. */
MAY_YIELD static enum wait_rc
judge(struct session *s, struct verdict *v)
{
	struct lend  l;
	enum wait_rc rc;

	lend_begin(&l, s);
	rc = judge_message(s->hearing, v);
	lend_end(&l);
	return rc;
}

/* Who decides, in order: what was decided before the text, limits, filters and policy, the hop. */
MAY_YIELD static void
decide(struct session *s, struct reply *r)
{
	struct verdict v = { 0 };

	if (s->text.drop) {
		discard(s, r);
		return;
	}
	if (s->text.fault.code != 0) {
		*r = s->text.fault;
		s->errors += r->code >= 500;
		return;
	}
	if (judge(s, &v) != WAIT_OK)
		return;
	session_log_checks(s);
	carry_out(s, &v, r);
}

/* A client that had a message taken is forgiven what it did wrong before. */
static void
forgive(struct session *s)
{
	if (s->relay.outcome == OUTCOME_TAKEN || s->relay.outcome == OUTCOME_QUARANTINED) {
		s->n_taken++;
		s->junk = 0;
		s->forgiven = s->errors;
	}
}

/* RFC 5321 6.1: between the hop's 250 and ours nothing waits. */
void
text_done(struct session *s)
{
	struct reply r = { 0 };
	bool         heard = false;

	last_checks(s);
	decide(s, &r);
	if (r.code == 0)
		r = (struct reply){ 451, "4.3.0", SV("the session was cancelled") };
	slots_say(&s->replies, &r);
	if (!s->gone)
		heard = slots_flush(&s->replies, &s->io);
	if (!heard)
		session_cut(s, "client is gone");
	if (s->relay.outcome == OUTCOME_REFUSED && s->text.fault.code == 0)
		s->errors += r.code >= 500;
	forgive(s);
	session_log_message(s, &r, heard);
	tx_end(s);
}
