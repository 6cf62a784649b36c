/*
 * trial_text -- the message of a made-up session: fed as proxy/smtp/data.c feeds one, and what becomes of it.
 */
#include "proxy/trial_session_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/spool.h"
#include "proxy/smtp/dots.h"

struct strv
trial_minimal(const struct trial_session *s, struct arena *a)
{
	const struct path *from = s->hearing->tx != NULL ? &s->hearing->tx->env.from : NULL;
	struct strv        text = from != NULL ? path_text(from) : strv("", 0);

	if (text.n == 0)
		text = arena_printf(
		    a, "MAILER-DAEMON@%.*s", (int)s->client.helo.n, s->client.helo.p);
	return arena_printf(a,
	    "From: %.*s\r\nSubject: a test\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
	    "Message-ID: <test@client.example>\r\n\r\nA test.\r\n",
	    (int)text.n, text.p);
}

static bool
has_empty_line(struct strv v)
{
	bool start = true;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\r' && i + 1 < v.n && v.p[i + 1] == '\n')
			continue;
		if (v.p[i] == '\n' && start)
			return true;
		start = v.p[i] == '\n';
	}
	return false;
}

static void
feed_fault(struct trial_session *s, enum message_rc rc, struct trial_answer *out)
{
	if (rc == MESSAGE_HEADER_TOO_BIG)
		trial_limit(s, out, STAGE_MESSAGE, 552, "5.3.4", "message header is too big");
	else if (rc == MESSAGE_FULL)
		trial_limit(s, out, STAGE_MESSAGE, 452, "4.3.1", "no space for the message now");
	else if (rc == MESSAGE_FAULT)
		trial_limit(s, out, STAGE_MESSAGE, 451, "4.3.0", "could not keep the message");
}

MAY_YIELD static void
take_body(struct trial_session *s, struct strv body, struct trial_answer *out)
{
	enum spool_rc rc;

	if (body.n == 0 || out->code != 0)
		return;
	rc = spool_add(s->hearing->tx->msg.body, body);
	if (rc != SPOOL_OK)
		feed_fault(s, rc == SPOOL_FULL ? MESSAGE_FULL : MESSAGE_FAULT, out);
	else if (judge_wants_body(s->t->judge))
		(void)judge_body(s->hearing, body);
}

struct heard { /* of the text, while it comes */
	bool headed;
};

MAY_YIELD static void
look_at_header(struct trial_session *s, struct heard *h, struct trial_answer *out)
{
	struct message *m = &s->hearing->tx->msg;

	if (!m->headers_done || h->headed || out->code != 0)
		return;
	h->headed = true;
	/* RFC 5321 6.3 */
	if (m->received > trial_limits(s)->received_hops)
		trial_limit(s, out, STAGE_MESSAGE, 554, "5.4.6",
		    "too many hops, this message goes in a circle");
	else
		(void)judge_headers(s->hearing);
}

MAY_YIELD static void
take(struct trial_session *s, struct strv text, struct heard *h, struct trial_answer *out)
{
	struct message *m = &s->hearing->tx->msg;
	struct strv     body = { NULL, 0 };
	uint64_t        max = trial_limits(s)->message_size;

	if (out->code != 0 || text.n == 0)
		return;
	feed_fault(s, message_feed(m, text, &body), out);
	if (out->code == 0 && max > 0 && m->octets > max)
		trial_limit(
		    s, out, STAGE_MESSAGE, 552, "5.3.4", "message size exceeds fixed limit");
	look_at_header(s, h, out);
	take_body(s, body, out);
}

MAY_YIELD static void
take_all(struct trial_session *s, struct strv text, struct trial_answer *out)
{
	struct dots_in dots;
	struct heard   h = { false };
	struct strv    piece, body = { NULL, 0 };
	bool           alone = !has_empty_line(text);

	dots_in_begin(&dots, false);
	dots.count_lines = true;
	while (dots_decode(&dots, &text, &piece) == DOTS_PIECE)
		take(s, piece, &h, out);
	take(s, dots_finish(&dots), &h, out);
	if (alone)
		take(s, SV("\r\n"), &h, out);
	if (out->code != 0)
		return;
	feed_fault(s, message_end(&s->hearing->tx->msg, &body), out);
	look_at_header(s, &h, out);
	take_body(s, body, out);
	if (out->code == 0 && trial_limits(s)->line > 0 && dots.longest > trial_limits(s)->line)
		trial_limit(
		    s, out, STAGE_MESSAGE, 554, "5.6.0", "the message has a line that is too long");
}

static void
show_fields(const struct trial_session *s)
{
	const struct edits *all = &s->hearing->tx->edits;

	for (unsigned i = 0; s->t->field != NULL && i < all->n; i++) {
		const struct edit *e = &all->v[i];

		if (e->op == EDIT_ADD_HEADER || e->op == EDIT_INSERT_HEADER)
			s->t->field(s->t->arg, e->name, e->value);
	}
}

MAY_YIELD static void
decide(struct trial_session *s, struct trial_answer *out)
{
	struct verdict v = { 0 };

	s->hearing->tx->msg.complete = true;
	if (judge_message(s->hearing, &v) != WAIT_OK)
		return;
	if (!verdict_final(&v) || v.kind == VERDICT_QUARANTINE)
		show_fields(s);
	if (verdict_final(&v)) {
		trial_say_verdict(s, out, STAGE_MESSAGE, &v);
		return;
	}
	trial_say(s, out, STAGE_MESSAGE, 250, "2.0.0", SV("Ok"), SV("upstream"));
}

/* All of its recipients were dropped: the word is that of the check that dropped the first. */
static bool
is_dropped(struct trial_session *s, struct trial_answer *out)
{
	struct envelope *env = &s->hearing->tx->env;

	if (envelope_taken(env) > 0)
		return false;
	for (unsigned i = 0; i < env->n_rcpt && out->code == 0; i++) {
		if (env->rcpt[i].dropped)
			trial_say_verdict(s, out, STAGE_MESSAGE, &env->rcpt[i].said);
	}
	return out->code != 0;
}

MAY_YIELD static void
hear_text(struct trial_session *s, struct strv text, struct trial_answer *out)
{
	struct transaction *tx = s->hearing->tx;

	if (!trial_stage(s, STAGE_DATA, out) || out->code != 0)
		return;
	out->at = STAGE_MESSAGE;
	message_begin(
	    &tx->msg, tx->a, spool_new(s->t->spools), (uint32_t)trial_limits(s)->header_size);
	tx->msg.authserv = smtp_authserv(&s->t->s->smtp, &s->client.addr.addr);
	take_all(s, text, out);
	if (out->code == 0)
		decide(s, out);
}

/* No recipient was taken: what the last one heard. */
static void
no_recipient(struct trial_session *s, struct trial_answer *out)
{
	if (s->no_rcpt.code == 0) {
		trial_limit(s, out, STAGE_DATA, 554, "5.5.1", "no valid recipients");
		return;
	}
	*out = s->no_rcpt;
	out->earlier = true;
}

void
trial_message(struct trial_session *s, struct strv text, struct trial_answer *out)
{
	*out = (struct trial_answer){ .at = STAGE_MESSAGE };
	if ((s->hearing->tx == NULL || s->over) && trial_stands(s, out)) {
		if (!trial_not_let_in(s))
			s->refused.code = 0;
		return;
	}
	if (s->hearing->tx == NULL)
		trial_limit(s, out, STAGE_DATA, 503, "5.5.1", "need MAIL command first");
	else if (!trial_has_recipient(s))
		no_recipient(s, out);
	else if (verdict_final(&s->drop))
		trial_say_verdict(s, out, STAGE_MESSAGE, &s->drop);
	else if (!is_dropped(s, out))
		hear_text(s, text, out);
	trial_end_transaction(s);
}
