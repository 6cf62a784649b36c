/*
 * hop_smtp -- the envelope on its way to an SMTP server: MAIL held until the first recipient that policy
 * allows, commands in one segment where the server takes that; and the connection between two transactions.
 *
 * Not for the replies: hop_settle.  Invariant: whatever is put into cmds here is owed a reply from then on.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/auth.h"

#define OWED_FRONT 8 /* RSET, XFORWARD, MAIL, and the command at hand */

void
hop_queue_mail(struct session *s, struct slot *slot)
{
	struct upstream       *up = s->relay.up;
	const struct envelope *e = &session_tx(s)->env;
	uint32_t               caps;

	if (up->dirty) {
		buf_add(&up->cmds, SV("RSET\r\n"));
		hop_owe(up, OWED_RSET, 0, NULL);
	}
	xforward_queue(s);
	/* RFC 4954 5: AUTH= only on a connection that has authenticated. */
	caps = s->bound ? up->ehlo.caps : up->ehlo.caps & ~(uint32_t)EHLO_AUTH;
	print_mail(&up->cmds, &e->from, &e->params, caps);
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

static void
break_promise(struct session *s)
{
	relay_break(s, 451, "4.3.0", SV("the mail server has changed what it offers, try again"));
}

/* One that was kept for the session's next transaction: it must be of the right pool, and good enough. */
static bool
still_good(const struct session *s, struct upstream *up)
{
	return up->sv->pool == s->relay.pool && up->errors < POOL_ERRORS &&
	    hop_keeps_promises(s, up);
}

/* Nobody else knows the user, so there is nowhere else to go. */
static bool
have_bound(struct session *s)
{
	struct upstream *up = s->relay.up;
	enum up_idle     quiet;

	if (up == NULL) {
		relay_break(s, 421, "4.3.2", SV("the mail server is gone, try again"));
		return false;
	}
	up->heard = false;
	quiet = upstream_quiet(up);
	if (quiet != UP_QUIET)
		hop_fail(s, quiet == UP_GONE ? UP_CLOSED : UP_BAD);
	else if (!hop_keeps_promises(s, up))
		break_promise(s);
	return !s->relay.broken;
}

static bool
have_connection(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (s->bound)
		return have_bound(s);
	if (up == NULL)
		return hop_connect(s, false);
	up->idle_since = up->ticket = 0;
	up->reused = true;
	up->heard = false;
	up->tainted = upstream_quiet(up) != UP_QUIET;
	if (!up->tainted && still_good(s, up))
		return true;
	s->relay.up = NULL;
	pool_give(up);
	return hop_connect(s, false);
}

/*
 * Without PIPELINING upstream one command waits for its reply; with it, the ring of replies owed is the bound.
 * It must take RSET, the lines of XFORWARD and MAIL as well, should all be said again elsewhere.
 */
void
hop_make_room(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up != NULL && up->n_owed > 0 &&
	    (!(up->ehlo.caps & EHLO_PIPELINING) || up->n_owed + OWED_FRONT > UPSTREAM_OWED))
		hop_settle(s);
}

static bool
knows(struct session *s, uint32_t caps)
{
	if ((s->relay.up->ehlo.caps & caps) == caps)
		return true;
	break_promise(s);
	return false;
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
	if (!have_connection(s))
		return false;
	hop_queue_mail(s, slot);
	return true;
}

void
hop_mail(struct session *s, struct slot *slot)
{
	if (mail_is_sent(s, slot))
		return;
	s->relay.told = true;
	slots_fill(&s->replies, slot, &s->relay.refusal);
}

void
hop_rcpt(struct session *s, unsigned i, struct slot *slot)
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

/* The client of a lost server hears 421, unless that was the answer to what it said last. */
static void
end_lost(struct session *s)
{
	if (!s->bound || s->ending || s->gone)
		return;
	if (s->relay.broken && s->relay.refusal.code == 421)
		session_end(s, "the server of its user is gone");
	else
		auth_lost(s);
}

/*
 * What becomes of the connection: a text cut short or replies still owed leave it in an unknown state.
 * No RSET after a finished transaction, and none now for one that was given up: Postfix counts it as junk.
 */
void
hop_end(struct session *s)
{
	struct upstream *up = s->relay.up;

	if (up == NULL) {
		end_lost(s);
		return;
	}
	if (up->n_owed > 0 || (s->relay.streaming && !s->relay.committed))
		up->tainted = true;
	buf_clear(&up->cmds);
	if (s->bound && !up->tainted && !up->io.fault)
		return;
	if (up->named && !up->bound && !up->tainted && !pool_crowded(s->relay.pool) && !s->ending) {
		up->idle_since = loop_now(s->smtp->loop);
		return;
	}
	s->relay.up = NULL;
	pool_give(up);
	end_lost(s);
}

void
hop_close(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	s->bound = false;
	if (up != NULL)
		pool_give(up);
}

const struct hop hop_smtp = {
	.name = "smtp",
	.mail = hop_mail,
	.rcpt = hop_rcpt,
	.settle = hop_settle,
	.stream = hop_stream,
	.finish = hop_finish,
	.redirect = hop_redirect,
	.envelope = hop_envelope,
	.end = hop_end,
	.close = hop_close,
};
