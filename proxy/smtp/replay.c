/*
 * replay -- the same commands once more, on a fresh connection.
 *
 * Two cases: a connection that had gone stale before it answered anything (the client notices nothing),
 * and a transaction that died while the client was still sending its text.  The text itself is in the
 * spool; nothing is replayed once octets that commit have been sent.
 */
#include "proxy/smtp/hop_smtp.h"

static void
give_up(struct session *s, const struct owed *owed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (owed[i].slot != NULL) {
			s->relay.told = s->relay.told || owed[i].kind == OWED_MAIL;
			if (owed[i].kind == OWED_RCPT)
				relay_refuse_rcpt(s, owed[i].rcpt, owed[i].slot);
			else
				slots_fill(&s->replies, owed[i].slot, &s->relay.refusal);
		}
}

static void
drop(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	if (up == NULL)
		return;
	up->tainted = true;
	pool_drop(up);
}

bool
replay_owed(struct session *s)
{
	struct upstream *up = s->relay.up;
	struct owed      owed[UPSTREAM_OWED];
	unsigned         n = up->n_owed;

	for (unsigned i = 0; i < n; i++)
		owed[i] = up->owed[(up->owed_at + i) % UPSTREAM_OWED];
	drop(s);
	if (!hop_connect(s, true) || !hop_keeps_promises(s)) {
		give_up(s, owed, n);
		return false;
	}
	for (unsigned i = 0; i < n; i++)
		if (owed[i].kind == OWED_MAIL)
			hop_queue_mail(s, owed[i].slot);
		else if (owed[i].kind == OWED_RCPT)
			hop_queue_rcpt(s, owed[i].rcpt, owed[i].slot);
	return true;
}

static bool
all_took(const struct session *s, unsigned n)
{
	return !s->relay.broken && s->relay.mail == MAIL_OK &&
	    envelope_taken(&session_tx(s)->env) == n;
}

/* What a client was told of each recipient must hold on the new connection, too. */
bool
replay_transaction(struct session *s)
{
	struct envelope *e = &session_tx(s)->env;
	unsigned         n = envelope_taken(e);

	drop(s);
	s->relay.replayed = true;
	s->relay.mail = MAIL_HELD;
	if (!hop_connect(s, true) || !hop_keeps_promises(s))
		return false;
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_REPLAYS, 1);
	hop_queue_mail(s, NULL);
	for (unsigned i = 0; i < e->n_rcpt && !s->relay.broken; i++)
		if (e->rcpt[i].upstream_took) {
			hop_make_room(s);
			if (s->relay.up != NULL)
				hop_queue_rcpt(s, i, NULL);
		}
	hop_settle(s);
	if (!all_took(s, n))
		relay_break(s, 451, "4.3.0", SV("the mail server changed its mind, try again"));
	return !s->relay.broken;
}
