/*
 * hop_smtp -- the envelope on its way to an SMTP server: MAIL held until the first recipient that policy
 * allows, commands in one segment where the server takes that, each reply to the slot of its command.
 *
 * Invariant: owed[] lists, in order, exactly the commands in cmds or sent whose reply has not come.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/sessionlog.h"

void
hop_owe(struct upstream *up, enum owed_kind kind, unsigned rcpt, struct slot *slot)
{
	struct owed *o = &up->owed[(up->owed_at + up->n_owed++) % UPSTREAM_OWED];

	*o = (struct owed){ kind, rcpt, slot };
}

static struct owed
owed_pop(struct upstream *up)
{
	struct owed o = up->owed[up->owed_at];

	up->owed_at = (up->owed_at + 1) % UPSTREAM_OWED;
	up->n_owed--;
	return o;
}

void
hop_queue_mail(struct session *s, struct slot *slot)
{
	struct upstream       *up = s->relay.up;
	const struct envelope *e = &session_tx(s)->env;

	if (up->dirty) {
		buf_add(&up->cmds, SV("RSET\r\n"));
		hop_owe(up, OWED_RSET, 0, NULL);
	}
	print_mail(&up->cmds, &e->from, &e->params, up->ehlo.caps);
	hop_owe(up, OWED_MAIL, 0, slot);
	up->dirty = true;
	s->relay.mail = MAIL_SENT;
}

void
hop_queue_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	struct upstream   *up = s->relay.up;
	const struct rcpt *r = &session_tx(s)->env.rcpt[i];

	print_rcpt(&up->cmds, &r->to, r->params, r->n_params, up->ehlo.caps);
	hop_owe(up, OWED_RCPT, i, slot);
}

/* Every slot that still waits gets the transaction's refusal. */
static void
refuse_owed(struct session *s, struct upstream *up)
{
	while (up->n_owed > 0) {
		struct owed o = owed_pop(up);

		s->relay.told = s->relay.told || (o.kind == OWED_MAIL && o.slot != NULL);
		if (o.slot != NULL && o.kind == OWED_RCPT)
			relay_refuse_rcpt(s, o.rcpt, o.slot);
		else if (o.slot != NULL)
			slots_fill(&s->replies, o.slot, &s->relay.refusal);
	}
}

static void
lose(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	refuse_owed(s, up);
	up->tainted = true;
	pool_drop(up);
}

void
hop_fail(struct session *s, enum up_rc rc)
{
	static const char *const text[] = {
		[UP_OK] = "",
		[UP_REFUSED] = "refused",
		[UP_BUSY] = "busy",
		[UP_CANCELLED] = "cancelled",
		[UP_TIMEOUT] = "the mail server does not answer, try again",
		[UP_CLOSED] = "the mail server closed the connection, try again",
		[UP_BAD] = "the mail server gave no usable answer, try again",
	};

	session_log_event(s, "upstream-fault",
	    rc == UP_BAD && s->relay.up->parser.why != NULL ? s->relay.up->parser.why :
							      up_rc_text(rc));
	relay_break(s, 451, rc == UP_BAD ? "4.3.0" : "4.4.2", strv_z(text[rc]));
	lose(s);
}

/* The upstream's 421 ends its session: its text is told, the client's session goes on. RFC 5321 3.8. */
static void
closing_reply(struct session *s, struct owed o, const struct reply *r)
{
	struct reply told = *r;

	told.code = 451;
	told.text = arena_dup(session_tx(s)->a, r->text);
	s->relay.told = o.kind == OWED_MAIL && o.slot != NULL;
	/* Its enhanced code is of class 4 as well and stays. */
	if (o.slot != NULL)
		slots_fill(&s->replies, o.slot, &told);
	session_log_event(s, "upstream-closing", "421 inside a transaction");
	relay_break(s, 451, "4.3.2", SV("the mail server is shutting down, try again"));
	lose(s);
}

static void
mail_answered(struct session *s, struct owed o, struct reply *r)
{
	struct relay *rl = &s->relay;

	if (reply_is_ok(r)) {
		rl->mail = MAIL_OK;
	} else {
		rl->mail = MAIL_REFUSED;
		rl->told = o.slot != NULL;
		rl->up->errors++;
		rl->refusal = *r;
		/* RFC 5321 4.5.3.1.10: at RCPT 552 would mean too many recipients. */
		rl->refusal.code = r->code == 552 ? 554 : r->code;
		rl->refusal.text = arena_dup(session_tx(s)->a, r->text);
		session_log_refusal(s, STAGE_MAIL, r, SV("upstream"), NULL);
	}
	if (o.slot != NULL)
		slots_fill(&s->replies, o.slot, r);
}

static void
rcpt_answered(struct session *s, struct owed o, struct reply *r)
{
	struct rcpt *rcpt = &session_tx(s)->env.rcpt[o.rcpt];

	if (s->relay.mail == MAIL_REFUSED) {
		if (o.slot != NULL)
			slots_fill(&s->replies, o.slot, &s->relay.refusal);
		return;
	}
	rcpt->upstream_took = reply_is_ok(r);
	if (!reply_is_ok(r)) {
		s->relay.up->errors++;
		counters_add(s->smtp->counters, s->smtp->place, COUNTER_UPSTREAM_REFUSED, 1);
		session_log_refusal(s, STAGE_RCPT, r, SV("upstream"), &rcpt->to);
	}
	if (o.slot != NULL)
		slots_fill(&s->replies, o.slot, r);
}

/* One reply to its command.  False: the connection is lost. */
static bool
answered(struct session *s, struct reply *r)
{
	struct upstream *up = s->relay.up;
	struct owed      o = up->owed[up->owed_at];

	/* RFC 5321 4.2.1: 3xx has no place here. */
	if (r->code / 100 == 3 || (o.kind == OWED_RSET && !reply_is_ok(r) && r->code != 421)) {
		hop_fail(s, UP_BAD);
		return false;
	}
	owed_pop(up);
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(r);
	if (r->code == 421) {
		closing_reply(s, o, r);
		return false;
	}
	if (o.kind == OWED_MAIL)
		mail_answered(s, o, r);
	else if (o.kind == OWED_RCPT)
		rcpt_answered(s, o, r);
	return true;
}

/* A connection that idled may have been closed meanwhile: then nothing of ours was seen by the server. */
static bool
gone_stale(const struct upstream *up, enum up_rc rc)
{
	return rc == UP_CLOSED && up->reused && !up->heard;
}

static void
fault(struct session *s, enum up_rc rc)
{
	if (!gone_stale(s->relay.up, rc))
		hop_fail(s, rc);
	else
		replay_owed(s);
}

void
hop_settle(struct session *s)
{
	struct reply r;

	while (s->relay.up != NULL && s->relay.up->n_owed > 0) {
		struct upstream *up = s->relay.up;
		bool             first = up->reused && !up->heard;
		enum up_rc       rc = UP_CLOSED;

		if (upstream_flush(up))
			rc = upstream_reply(up, upstream_ms(up, up->owed[up->owed_at].kind), &r);
		if (rc == UP_OK && r.code == 421 && first) {
			/* It said goodbye before it read what we sent. */
			up->heard = false;
			rc = UP_CLOSED;
		}
		if (rc != UP_OK)
			fault(s, rc);
		else if (!answered(s, &r))
			return;
	}
	/* Section 4.2 of RFC 5321 knows no reply without a command: octets left over spoil what follows. */
	if (s->relay.up != NULL && s->relay.up->in != NULL) {
		s->relay.up->parser.why = "a reply that nothing asked for";
		hop_fail(s, UP_BAD);
	}
}

/* Why no connection could be had, as the client hears it. */
static void
no_connection(struct session *s, enum up_rc rc, const struct reply *refusal)
{
	const char *why = refusal->text.n > 0 ? arena_z(session_tx(s)->a, refusal->text) :
						up_rc_text(rc);

	session_log_event(s, "upstream-unavailable", why);
	if (rc == UP_BUSY)
		relay_break(s, 451, "4.3.2", SV("the mail server is busy, try again"));
	else if (rc == UP_CANCELLED)
		relay_break(s, 451, "4.3.0", SV("cancelled"));
	else
		relay_break(s, 451, "4.4.1", SV("no mail server is available now, try again"));
}

static enum up_rc
introduce(struct session *s, struct upstream *up)
{
	if (up->sv->conf->identity != IDENTITY_XCLIENT)
		return UP_OK;
	return xclient_say(s, up);
}

bool
hop_connect(struct session *s, bool fresh)
{
	struct upstream *up = NULL;
	struct reply     refusal = { 0 };
	bool             reused;
	struct pool_wish wish = { .fresh = fresh, .avoid = s->relay.avoid };
	enum up_rc       rc = pool_take(s->relay.pool, s, &wish, session_tx(s)->a, &up, &refusal);

	if (rc == UP_OK) {
		reused = up->reused;
		rc = introduce(s, up);
		if (rc == UP_OK) {
			s->relay.up = up;
			return true;
		}
		pool_drop(up);
		/* A ready one that had gone stale: once more, quietly. */
		if (rc == UP_CLOSED && reused && !fresh)
			return hop_connect(s, true);
	}
	no_connection(s, rc, &refusal);
	return false;
}

/* A named connection is kept for its session's next transaction while the client is the same and it is quiet. */
static bool
have_connection(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up == NULL)
		return hop_connect(s, false);
	if (up->idle_since == 0)
		return true;
	up->idle_since = 0;
	up->reused = true;
	up->heard = false;
	if (upstream_quiet(up) == UP_QUIET && up->errors < POOL_ERRORS &&
	    (!up->dirty || (up->ehlo.caps & EHLO_PIPELINING)))
		return true;
	s->relay.up = NULL;
	up->tainted = true;
	pool_drop(up);
	return hop_connect(s, false);
}

/* Without PIPELINING upstream one command waits for its reply; with it, the ring of replies owed is the bound. */
void
hop_make_room(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up != NULL && up->n_owed > 0 &&
	    (!(up->ehlo.caps & EHLO_PIPELINING) || up->n_owed + 3 > UPSTREAM_OWED))
		hop_settle(s);
}

/* What the client was promised, the server that we got must know: its EHLO may have changed since. */
static uint32_t
needed(const struct mail_params *p)
{
	uint32_t caps = 0;

	caps |= p->smtputf8 ? EHLO_SMTPUTF8 : 0;
	caps |= p->body == BODY_8BITMIME ? EHLO_8BITMIME : 0;
	caps |= p->ret.p != NULL || p->envid.p != NULL ? EHLO_DSN : 0;
	return caps;
}

static bool
knows(struct session *s, uint32_t caps)
{
	if ((s->relay.up->ehlo.caps & caps) == caps)
		return true;
	relay_break(s, 451, "4.3.0", SV("the mail server has changed what it offers, try again"));
	return false;
}

bool
hop_keeps_promises(struct session *s)
{
	const struct envelope *e = &session_tx(s)->env;
	uint32_t               caps = needed(&e->params);

	for (unsigned i = 0; i < e->n_rcpt; i++)
		caps |= e->rcpt[i].n_params > 0 ? EHLO_DSN : 0;
	return knows(s, caps);
}

/* A reply that nothing asked for would be taken as the answer to the next command, and every later one askew. */
static void
distrust_early_words(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up == NULL || up->n_owed > 0 || upstream_quiet(up) != UP_SPOKE)
		return;
	up->parser.why = "a reply that nothing asked for";
	hop_fail(s, UP_BAD);
}

/* MAIL is sent now, if it was held. False: what follows in this transaction hears relay.refusal. */
static bool
mail_is_sent(struct session *s, struct slot *slot)
{
	if (s->relay.mail != MAIL_HELD)
		return !s->relay.broken && s->relay.mail != MAIL_REFUSED;
	if (!have_connection(s) || !knows(s, needed(&session_tx(s)->env.params)))
		return false;
	hop_queue_mail(s, slot);
	return true;
}

static void
smtp_mail(struct session *s, struct slot *slot)
{
	if (mail_is_sent(s, slot))
		return;
	s->relay.told = true;
	slots_fill(&s->replies, slot, &s->relay.refusal);
}

static void
smtp_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	const struct rcpt *r = &session_tx(s)->env.rcpt[i];
	bool               sent = mail_is_sent(s, NULL);

	if (sent) {
		hop_make_room(s);
		distrust_early_words(s);
		sent = !s->relay.broken && s->relay.mail != MAIL_REFUSED &&
		    (r->n_params == 0 || knows(s, EHLO_DSN));
	}
	if (sent)
		hop_queue_rcpt(s, i, slot);
	else
		relay_refuse_rcpt(s, i, slot);
}

/*
 * What becomes of the connection: a text cut short or replies still owed leave it in an unknown state.
 * No RSET after a finished transaction, and none now for one that was given up: Postfix counts it as junk.
 */
static void
smtp_end(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up == NULL)
		return;
	if (up->n_owed > 0 || (s->relay.streaming && s->relay.outcome == OUTCOME_NONE))
		up->tainted = true;
	buf_clear(&up->cmds);
	if (up->named && !up->tainted && !pool_crowded(s->relay.pool) && !s->ending) {
		up->idle_since = loop_now(s->smtp->loop);
		return;
	}
	s->relay.up = NULL;
	pool_give(up);
}

static void
smtp_close(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	if (up != NULL)
		pool_give(up);
}

const struct hop hop_smtp = {
	.name = "smtp",
	.mail = smtp_mail,
	.rcpt = smtp_rcpt,
	.settle = hop_settle,
	.stream = hop_stream,
	.finish = hop_finish,
	.end = smtp_end,
	.close = smtp_close,
};
