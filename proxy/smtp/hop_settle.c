/*
 * hop_settle -- the replies that are owed: each to its command's slot; where the server fails in place of one, the
 * next server is asked the same, or the client hears it.  Not for what is asked (hop_smtp), nor for how it is said
 * again (replay).
 *
 * Invariant: owed[] lists, in order, exactly the commands of the envelope in cmds or sent whose reply has not come.
 * Until the client has heard an answer of the server (relay.answered) another server may be asked.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/sessionlog.h"

void
hop_owe(struct upstream *up, enum owed_kind kind, unsigned rcpt, struct slot *slot)
{
	struct owed *o = &up->owed[(up->owed_at + up->n_owed++) % UPSTREAM_OWED];

	*o = (struct owed){ kind, rcpt, slot };
}

struct owed
hop_owed_pop(struct upstream *up)
{
	struct owed o = up->owed[up->owed_at];

	up->owed_at = (up->owed_at + 1) % UPSTREAM_OWED;
	up->n_owed--;
	return o;
}

enum up_rc
hop_await(struct upstream *up, enum owed_kind kind, struct reply *out)
{
	up->awaits = kind;
	return upstream_reply(up, upstream_ms(up, kind), out);
}

/* Every slot that still waits gets the transaction's refusal. */
static void
refuse_owed(struct session *s, struct upstream *up)
{
	while (up->n_owed > 0) {
		struct owed o = hop_owed_pop(up);

		s->relay.told = s->relay.told || (o.kind == OWED_MAIL && o.slot != NULL);
		if (o.slot != NULL && o.kind == OWED_RCPT)
			relay_refuse_rcpt(s, o.rcpt, o.slot);
		else if (o.slot != NULL)
			slots_fill(&s->replies, o.slot, &s->relay.refusal);
	}
}

static const char *
fault_text(const struct upstream *up, enum up_rc rc)
{
	return rc == UP_BAD && up->parser.why != NULL ? up->parser.why : up_rc_text(rc);
}

/* Without its server the session of an authenticated user is over; inside a text the end of it comes first. */
static void
lose(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	refuse_owed(s, up);
	up->tainted = true;
	pool_drop(up);
	if (s->bound && s->phase == PHASE_COMMAND)
		session_end(s, "the server of its user is gone");
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

	session_log_event_of(
	    s, "upstream-fault", s->relay.up->sv->conf->name, fault_text(s->relay.up, rc));
	if (s->bound)
		relay_break(s, 421, "4.3.2", strv_z(text[rc]));
	else
		relay_break(s, 451, rc == UP_BAD ? "4.3.0" : "4.4.2", strv_z(text[rc]));
	lose(s);
}

/* The end of the text never goes out, so the server commits nothing. */
void
hop_unread(struct session *s)
{
	const char *dir = s->smtp->conf->spool_dir;

	session_log_event(
	    s, "spool-failed", dir[0] != '\0' ? dir : "the default folder for temporary files");
	relay_break(s, s->bound ? 421 : 451, "4.3.0", SV("could not read the message back"));
	lose(s);
}

/* The upstream's 421 ends its session: its text is told, the client's session goes on. RFC 5321 3.8. */
static void
closing_reply(struct session *s, struct owed o, const struct reply *r)
{
	struct reply told = *r;

	told.code = s->bound ? 421 : 451;
	told.text = arena_dup(session_tx(s)->a, r->text);
	s->relay.told = s->relay.told || (o.kind == OWED_MAIL && o.slot != NULL);
	/* Its enhanced code is of class 4 as well and stays. */
	if (o.slot != NULL)
		slots_fill(&s->replies, o.slot, &told);
	session_log_event(s, "upstream-closing", "421 inside a transaction");
	relay_break(s, told.code, "4.3.2", SV("the mail server is shutting down, try again"));
	/* MAIL was answered by us: what the server said to it is the answer to the recipients. */
	if (o.kind == OWED_MAIL && o.slot == NULL)
		s->relay.refusal = told;
	lose(s);
}

/* The client hears it.  5xx is an error of its, as in Postfix: who tries names is stopped. */
static void
tell(struct session *s, struct slot *slot, const struct reply *r)
{
	s->errors += r->code >= 500;
	slots_fill(&s->replies, slot, r);
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
	rl->answered = rl->answered || o.slot != NULL;
	if (o.slot != NULL)
		tell(s, o.slot, r);
}

static void
rcpt_answered(struct session *s, struct owed o, struct reply *r)
{
	struct rcpt *rcpt = &session_tx(s)->env.rcpt[o.rcpt];

	s->relay.answered = true;
	if (s->relay.mail == MAIL_REFUSED) {
		if (o.slot != NULL)
			tell(s, o.slot, &s->relay.refusal);
		return;
	}
	rcpt->upstream_took = reply_is_ok(r);
	if (!reply_is_ok(r)) {
		s->relay.up->errors++;
		session_log_refusal(s, STAGE_RCPT, r, SV("upstream"), &rcpt->to);
	}
	if (o.slot != NULL)
		tell(s, o.slot, r);
}

/* One reply to its command.  False: the connection is lost. */
static bool
answered(struct session *s, struct reply *r)
{
	struct upstream *up = s->relay.up;
	struct owed      o = hop_owed_pop(up);

	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(r);
	if (r->code == 421) {
		closing_reply(s, o, r);
		return false;
	}
	if (o.kind == OWED_XFORWARD)
		xforward_answered(s, r);
	else if (o.kind == OWED_MAIL)
		mail_answered(s, o, r);
	else if (o.kind == OWED_RCPT)
		rcpt_answered(s, o, r);
	return true;
}

/* A connection that idled may have been closed meanwhile: then nothing of ours was seen by the server. */
static bool
gone_stale(const struct session *s, const struct upstream *up, enum up_rc rc)
{
	return rc == UP_CLOSED && up->reused && !up->heard && !s->bound;
}

/*
 * What the server said so far nobody else has heard, so the next one may be asked.  Who was told yes or no to
 * a recipient stays with the server that said it; so does a user with the one that knows it.
 */
static bool
may_fail_over(struct session *s, const char *why)
{
	return !s->bound && !s->relay.answered && !s->relay.replayed && !s->turn->cancelled &&
	    hop_next_server(s, s->relay.up, why);
}

/* True: what was owed is on its way again, or has been answered in its stead. */
MAY_YIELD static bool
elsewhere(struct session *s, enum up_rc rc)
{
	struct upstream *up = s->relay.up;

	if (rc == UP_CANCELLED)
		return false;
	if (gone_stale(s, up, rc))
		replay_owed(s, true);
	else if (may_fail_over(s, fault_text(up, rc)))
		replay_owed(s, false);
	else
		return false;
	return true;
}

/* RFC 2920: to a server without PIPELINING only the first of what is queued goes out now. */
static bool
send_queued(struct upstream *up)
{
	struct strv all = buf_view(&up->cmds);
	size_t      n = strv_chr(all, '\n') + 1;
	bool        ok;

	if ((up->ehlo.caps & EHLO_PIPELINING) || n >= all.n || up->cmds.full)
		return upstream_flush(up);
	ok = conn_queue_v(&up->io, strv_first(all, n));
	buf_drop(&up->cmds, n);
	return ok;
}

/* The next reply owed; UP_BAD also where it cannot be one to its command. */
MAY_YIELD static enum up_rc
next_reply(struct upstream *up, struct reply *r)
{
	enum owed_kind kind = up->owed[up->owed_at].kind;
	bool           first = up->reused && !up->heard;
	enum up_rc     rc = UP_CLOSED;

	if (send_queued(up))
		rc = hop_await(up, kind, r);
	if (rc != UP_OK)
		return rc;
	/* RFC 5321 4.2.1: 3xx has no place here. */
	if (r->code / 100 == 3 || (kind == OWED_RSET && !reply_is_ok(r) && r->code != 421))
		return UP_BAD;
	if (r->code != 421 || !first)
		return UP_OK;
	/* It said goodbye before it read what we sent. */
	up->heard = false;
	return UP_CLOSED;
}

void
hop_settle(struct session *s)
{
	struct reply r;

	while (s->relay.up != NULL && s->relay.up->n_owed > 0) {
		enum up_rc rc = next_reply(s->relay.up, &r);

		if (rc == UP_OK && r.code == 421 && may_fail_over(s, "421"))
			replay_owed(s, false);
		else if (rc == UP_OK && !answered(s, &r))
			return;
		else if (rc != UP_OK && !elsewhere(s, rc))
			hop_fail(s, rc);
	}
	/* Section 4.2 of RFC 5321 knows no reply without a command: octets left over spoil what follows. */
	if (s->relay.up != NULL && s->relay.up->in != NULL) {
		s->relay.up->parser.why = "a reply that nothing asked for";
		hop_fail(s, UP_BAD);
	}
}
