/*
 * relay_envelope -- what milters want of the envelope, said to the hop: behind the verdict, before the text.
 *
 * Postfix and Sendmail own a queue and edit what stands in it.  We have a server that was told each recipient while
 * the client waited, so an edit is a conversation.  Which one depends on where the transaction stands:
 *
 * - SMTP, the connection is in that transaction.  Where recipients were only added each is one RCPT more, in one
 *   segment.  Else RSET, MAIL and every recipient that is left, in one segment as well.
 * - The connection was lent meanwhile, or has gone: all must be said again anyhow, and replay.c says the envelope as
 *   it is now.  So does a replay that comes later, between here and the text.
 * - A session bound by AUTH: as the first, on the one connection there is; where that has gone the session is over.
 *   A connection that was told of its client by XCLIENT or PROXY: RSET does not make a server forget that.
 * - LMTP: one recipient a transaction (hop_lmtp.c).  One may take another's place; two are more than one answer
 *   can speak for, so a milter that adds one there gets each message deferred, and the log says why.
 * - Maildir, and the quarantine: nobody was asked, the fields of the file are written of the envelope as it is.
 * - MAIL is still held: then no recipient was taken, and there is no message either.
 *
 * Not the relay gate, nor a route, is asked of an added recipient: milters are the postmaster's own, and the message
 * is in its server's hands already.  Any answer but 2xx, here, and the message is deferred: the client was told 250
 * of its own recipients, and of those of a milter it can be told nothing.
 */
#include "proxy/smtp/edit_envelope.h"
#include "proxy/smtp/hop_smtp.h"
#include "proxy/smtp/hop_text.h"
#include "proxy/smtp/sessionlog.h"

/* ---- SMTP ---- */

static bool
all_wanted_taken(const struct envelope *e)
{
	return envelope_wanted(e) == envelope_taken(e);
}

MAY_YIELD static void
add_recipients(struct session *s)
{
	const struct envelope *e = &session_tx(s)->env;

	for (unsigned i = 0; i < e->n_rcpt && !s->relay.broken; i++) {
		if (!e->rcpt[i].added || e->rcpt[i].deleted)
			continue;
		hop_make_room(s);
		if (!s->relay.broken)
			hop_queue_rcpt(s, i, NULL);
	}
	hop_settle(s);
	if (!all_wanted_taken(e))
		relay_break(s, 451, "4.3.0",
		    SV("the mail server does not take all recipients now, try again"));
}

bool
hop_envelope(struct session *s, bool anew)
{
	struct envelope *e = &session_tx(s)->env;
	struct upstream *up = s->relay.up;

	if (s->relay.lent || up == NULL || upstream_quiet(up) != UP_QUIET) {
		envelope_take_wanted(e);
		return hop_still_there(s);
	}
	if (!hop_keeps_promises(s, up)) {
		relay_break(
		    s, 451, "4.3.0", SV("the mail server has changed what it offers, try again"));
	} else if (anew) {
		envelope_take_wanted(e);
		(void)replay_here(s);
	} else {
		add_recipients(s);
	}
	return !s->relay.broken;
}

/* ---- any hop ---- */

static uint32_t
caps_of(const struct session *s)
{
	struct ehlo e = { 0 };

	if (s->bound && s->relay.up != NULL)
		return s->relay.up->ehlo.caps;
	(void)pool_ehlo(s->relay.pool, &e);
	return e.caps;
}

static bool
failed(struct session *s, const struct edited *ed, const char *why, struct reply *out)
{
	struct arena *a = session_tx(s)->a;
	struct strv   text = arena_printf(
	      a, "milter %.*s: %.*s: %s", (int)ed->by.n, ed->by.p, (int)ed->what.n, ed->what.p, why);

	session_log_event(s, "envelope-failed", arena_z(a, text));
	s->relay.outcome = OUTCOME_FAILED;
	*out = (struct reply){ 451, "4.3.0", SV("the envelope cannot be changed now, try again") };
	if (s->relay.broken)
		*out = s->relay.refusal;
	return false;
}

static bool
tell_hop(struct session *s, const struct edited *ed, struct reply *out)
{
	struct relay *r = &s->relay;

	if (r->streaming)
		return failed(s, ed, "the text is on its way already", out);
	if (r->hop->envelope == NULL)
		envelope_take_wanted(&session_tx(s)->env);
	else if (!r->hop->envelope(s, ed->kind == EDITED_ANEW))
		return failed(s, ed, "not taken", out);
	return true;
}

bool
relay_envelope(struct session *s, struct verdict *v, struct reply *out)
{
	struct transaction *tx = session_tx(s);
	bool                keep = v->kind == VERDICT_QUARANTINE;
	struct edited       ed;

	if ((v->kind != VERDICT_NONE && !keep) || !envelope_edits(&tx->edits) || s->relay.broken ||
	    envelope_taken(&tx->env) == 0)
		return true;
	ed = envelope_edit(tx->a, &tx->env, &tx->edits, caps_of(s), keep);
	switch (ed.kind) {
	case EDITED_BAD:
		return failed(s, &ed, ed.why, out);
	case EDITED_NOBODY:
		*v = (struct verdict){ .kind = VERDICT_DISCARD, .by = ed.by };
		return true;
	case EDITED_SAME:
		return true;
	default:
		break;
	}
	/* What is kept, or goes to another address, has no need of the server's word for it. */
	if (!keep)
		return tell_hop(s, &ed, out);
	envelope_take_wanted(&tx->env);
	return true;
}
