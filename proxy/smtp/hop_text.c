/*
 * hop_text -- a message's text and the server's answers to it: what every way of sending has in common, and
 * the messages that go after their end (hop_stream.c has the others).
 *
 * Invariant: relay.committed is set before the first octet is sent that could make the server take the
 * message, and nothing is replayed after that.
 */
#include "proxy/smtp/hop_text.h"

#include "proxy/smtp/sessionlog.h"

/* --- the parts of a conversation -------------------------------------------------------------- */

bool
hop_chunking(const struct session *s)
{
	return (s->relay.up->ehlo.caps & EHLO_CHUNKING) && !s->relay.up->sv->conf->no_chunking;
}

void
hop_render(struct session *s, struct render *r)
{
	struct transaction *tx = session_tx(s);
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };

	render_begin(r, tx->a, &v, relay_fields(s));
	dots_out_begin(&s->relay.dots);
}

/* The connection as the text's turn comes: one that died meanwhile is replaced, one that spoke is not trusted. */
bool
hop_still_there(struct session *s)
{
	enum up_idle quiet = s->relay.up != NULL ? upstream_quiet(s->relay.up) : UP_GONE;

	if (s->relay.lent)
		return replay_lent(s);
	if (quiet == UP_QUIET)
		return true;
	if (quiet == UP_GONE && !s->relay.replayed) {
		session_log_event(s, "replay", "the upstream was lost during the upload");
		return replay_transaction(s);
	}
	if (s->relay.up == NULL) {
		relay_break(s, 451, "4.4.2", SV("the mail server was lost, try again"));
		return false;
	}
	s->relay.up->parser.why = "an answer before its command";
	hop_fail(s, quiet == UP_GONE ? UP_CLOSED : UP_BAD);
	return false;
}

/* RFC 5321 4.1.1.4: DATA and its 354. UP_REFUSED: *r is another answer. */
enum up_rc
hop_ask_data(struct session *s, struct reply *r)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = UP_CLOSED;

	buf_add(&up->cmds, SV("DATA\r\n"));
	if (upstream_flush(up))
		rc = hop_await(up, OWED_DATA, r);
	if (rc != UP_OK)
		return rc;
	if (r->code == 354)
		return up->in == NULL ? UP_OK : UP_BAD;
	return r->code >= 400 ? UP_REFUSED : UP_BAD;
}

/* The server's no, word for word; its 421 is not the client's. */
void
hop_refused(struct session *s, struct reply *r, struct reply *out)
{
	s->relay.outcome = OUTCOME_REFUSED;
	s->relay.up->errors++;
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(r);
	*out = *r;
	if (r->code == 421) {
		out->code = 451;
		s->relay.up->tainted = true;
	}
}

/* A server that refuses inside the text and closes has said why; the failed send leaves that to be read. */
bool
hop_last_words(struct session *s, enum up_rc rc, struct reply *r)
{
	struct upstream *up = s->relay.up;

	return rc == UP_CLOSED && up != NULL && upstream_reply(up, 1, r) == UP_OK && r->code >= 400;
}

void
hop_failed(struct session *s, enum up_rc rc, struct reply *out)
{
	struct reply r;

	if (hop_last_words(s, rc, &r)) {
		s->relay.up->tainted = true;
		hop_refused(s, &r, out);
		return;
	}
	s->relay.outcome = OUTCOME_FAILED;
	if (s->relay.up != NULL)
		hop_fail(s, rc);
	*out = s->relay.refusal;
}

/*
 * RFC 1047: the octets are out and no answer came; the client will come again, perhaps with a copy.  Of what the
 * kernel did not take the server has never seen the end.
 */
MAY_YIELD static void
end_unknown(struct session *s, enum up_rc rc, struct reply *out)
{
	struct conn *c = &s->relay.up->io;
	bool         whole;

	conn_flush(c);
	whole = conn_unsent(c) == 0;
	hop_failed(s, rc, out);
	if (whole)
		s->relay.outcome = OUTCOME_UNKNOWN;
}

/* The end of the text waited still, or was never taken, as the server spoke.  Its no may be of what it has seen. */
static bool
crossed(struct upstream *up)
{
	if (!up->io.crossed && conn_unsent(&up->io) == 0)
		return false;
	up->parser.why = "an answer before the end of the text";
	return true;
}

void
hop_final_reply(struct session *s, struct reply *out)
{
	struct upstream *up = s->relay.up;
	struct reply     r;
	enum up_rc       rc = hop_spoke_early(up);

	up->io.crossed = false;
	if (rc == UP_OK)
		rc = hop_await(up, OWED_TEXT, &r);
	if (rc == UP_OK && (r.code / 100 == 3 || (reply_is_ok(&r) && crossed(up))))
		rc = UP_BAD;
	if (rc != UP_OK) {
		end_unknown(s, rc, out);
		return;
	}
	up->dirty = false;
	up->tainted = up->tainted || up->in != NULL || crossed(up);
	if (!reply_is_ok(&r)) {
		hop_refused(s, &r, out);
		return;
	}
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(&r);
	up->errors = 0;
	s->relay.outcome = OUTCOME_TAKEN;
	*out = r;
}

/* --- held and spooled messages ---------------------------------------------------------------- */

MAY_YIELD static void
commit_whole(struct session *s, const struct render *r, bool dotted, struct reply *out)
{
	enum up_rc rc;

	if (relay_client_left(s)) {
		s->relay.up->tainted = true;
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	s->relay.committed = true;
	rc = hop_send_whole(s, r, dotted);
	if (rc == UP_OK)
		hop_final_reply(s, out);
	else
		hop_failed(s, rc, out);
}

MAY_YIELD static void
finish_chunk(struct session *s, struct reply *out)
{
	struct arena *a = session_tx(s)->a;
	struct render r;
	struct strv   line;
	char          size[STRV_NUMBER];

	hop_render(s, &r);
	line = arena_concat(a, SV("BDAT "), strv_print_number(r.size, size));
	/* The command travels in front of the head, in the same write. */
	r.head = arena_concat(a, arena_concat(a, line, SV(" LAST\r\n")), r.head);
	s->relay.way = WAY_BDAT;
	commit_whole(s, &r, false, out);
}

MAY_YIELD static void
finish_data(struct session *s, struct reply *out)
{
	struct render r;
	struct reply  rep;
	enum up_rc    rc = hop_ask_data(s, &rep);

	if (rc == UP_CLOSED && !s->relay.replayed && replay_transaction(s))
		rc = hop_ask_data(s, &rep);
	if (s->relay.broken) {
		s->relay.outcome = OUTCOME_FAILED;
		*out = s->relay.refusal;
	} else if (rc == UP_REFUSED) {
		hop_refused(s, &rep, out);
	} else if (rc != UP_OK) {
		hop_failed(s, rc, out);
	} else {
		hop_render(s, &r);
		commit_whole(s, &r, true, out);
	}
}

MAY_YIELD static void
finish_held(struct session *s, struct reply *out)
{
	if (!hop_still_there(s)) {
		/* Broken; a server that only changed its mind keeps its connection. */
		s->relay.outcome = OUTCOME_FAILED;
		*out = s->relay.refusal;
	} else if (hop_chunking(s)) {
		finish_chunk(s, out);
	} else {
		finish_data(s, out);
	}
}

/* A connection that is still there is kept: RSET goes in front of MAIL.  Else all is said to a fresh one. */
bool
hop_redirect(struct session *s, unsigned i)
{
	struct rcpt *r = &session_tx(s)->env.rcpt[i];

	if (s->relay.up == NULL || upstream_quiet(s->relay.up) != UP_QUIET) {
		r->upstream_took = true;
		return hop_still_there(s);
	}
	s->relay.mail = MAIL_HELD;
	hop_queue_mail(s, NULL);
	hop_queue_rcpt(s, i, NULL);
	hop_settle(s);
	return !s->relay.broken && session_tx(s)->env.rcpt[i].upstream_took;
}

void
hop_finish(struct session *s, struct reply *out)
{
	if (s->relay.streaming)
		hop_finish_stream(s, out);
	else
		finish_held(s, out);
}
