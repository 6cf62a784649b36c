/*
 * replay -- the same commands once more, on another connection.
 *
 * Three cases: a connection, gone stale or of a server that fails, before the client heard any answer of it (it
 * notices nothing), a transaction that died while the client was still sending its text, and one whose connection
 * was lent.  A fourth is on the same connection: the envelope has been edited (relay_envelope.c).
 * The text itself is in the spool; nothing is replayed once octets that commit have been sent.
 */
#include "proxy/smtp/hop_smtp.h"

void
hop_drop(struct session *s)
{
	struct upstream *up = s->relay.up;

	s->relay.up = NULL;
	if (up == NULL)
		return;
	up->tainted = true;
	pool_drop(up);
}

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

/* MAIL comes first, also where its answer had come already: nobody but us heard it. */
static struct slot *
mail_slot(const struct owed *owed, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (owed[i].kind == OWED_MAIL)
			return owed[i].slot;
	return NULL;
}

/* Who has a place in the ring has one in the next: hop_make_room leaves room for what comes in front. */
bool
replay_owed(struct session *s, bool fresh)
{
	struct upstream *up = s->relay.up;
	unsigned         n = up->n_owed;
	struct owed     *owed = arena_array(session_tx(s)->a, n, sizeof *owed);

	for (unsigned i = 0; i < n; i++)
		owed[i] = hop_owed_pop(up);
	hop_drop(s);
	s->relay.mail = MAIL_HELD;
	if (!hop_connect(s, fresh)) {
		give_up(s, owed, n);
		return false;
	}
	hop_queue_mail(s, mail_slot(owed, n));
	for (unsigned i = 0; i < n; i++)
		if (owed[i].kind == OWED_RCPT)
			hop_queue_rcpt(s, owed[i].rcpt, owed[i].slot);
	return true;
}

static bool
all_took(const struct session *s, unsigned n)
{
	return !s->relay.broken && s->relay.mail == MAIL_OK &&
	    envelope_taken(&session_tx(s)->env) == n;
}

/* Every recipient that was taken, or shall be, must be taken now. */
MAY_YIELD static bool
say_envelope(struct session *s)
{
	struct envelope *e = &session_tx(s)->env;
	unsigned         n = envelope_taken(e);

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

/* What a client was told of each recipient must hold on the new connection, too. */
MAY_YIELD static bool
say_again(struct session *s, bool fresh)
{
	s->relay.mail = MAIL_HELD;
	if (!hop_connect(s, fresh))
		return false;
	if (s->relay.replayed)
		counters_add(s->smtp->counters, s->smtp->place, COUNTER_REPLAYS, 1);
	return say_envelope(s);
}

bool
replay_here(struct session *s)
{
	s->relay.mail = MAIL_HELD;
	return say_envelope(s);
}

bool
replay_transaction(struct session *s)
{
	s->relay.replayed = true;
	if (s->bound) {
		hop_fail(s, UP_CLOSED);
		return false;
	}
	hop_drop(s);
	return say_again(s, true);
}

bool
replay_lent(struct session *s)
{
	s->relay.lent = false;
	return say_again(s, false);
}
