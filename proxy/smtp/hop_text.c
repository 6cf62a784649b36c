/*
 * hop_text -- a message's text on its way to an SMTP server: after its end, or streamed; as DATA, or as
 * BDAT where the server offers CHUNKING (no 354 to wait for, and a length leaves nothing to smuggle past).
 *
 * Invariant: relay.committed is set before the first octet is sent that could make the server take the
 * message, and nothing is replayed after that.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/render.h"
#include "proxy/smtp/sessionlog.h"

#define IOVECS      32
#define CHUNK       (256 * 1024) /* RFC 3030 2: of a streamed message */
#define FILE_PART   (4 * 1024 * 1024)
#define CHUNKS_OWED 4 /* replies to chunks that may wait */

static uint64_t
send_deadline(const struct upstream *up)
{
	return loop_now(up->smtp->loop) + upstream_ms(up, OWED_TEXT);
}

static enum up_rc
sent(enum wait_rc rc)
{
	static const enum up_rc map[] = { UP_OK, UP_TIMEOUT, UP_CLOSED, UP_CANCELLED };

	return map[rc];
}

/* Canonical text as DATA wants it, dots doubled, by reference. */
static enum up_rc
send_dotted(struct session *s, struct strv text)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = UP_OK;

	while (rc == UP_OK && text.n > 0) {
		struct iovec v[IOVECS];
		size_t       taken;
		unsigned     n = dots_encode(&s->relay.dots, text, v, IOVECS, &taken);

		if (n > 0)
			rc = sent(conn_send(&up->io, v, n, send_deadline(up)));
		text = strv_from(text, taken);
	}
	return rc;
}

static enum up_rc
send_plain(struct upstream *up, struct strv text)
{
	struct iovec v = { (void *)(uintptr_t)text.p, text.n };

	return text.n == 0 ? UP_OK : sent(conn_send(&up->io, &v, 1, send_deadline(up)));
}

/* --- small messages: everything with one write ------------------------------------------------ */

/* Head, body pieces and end mark as iovecs, if they fit; 0: they do not. */
static unsigned
gather(struct session *s, const struct render *r, bool dotted, struct iovec *v)
{
	struct iovec piece[8];
	unsigned     n = 0, n_pieces = r->body != NULL ? spool_pieces(r->body, piece, 8) : 0;
	size_t       taken;

	if (r->body != NULL && (!spool_in_memory(r->body) || spool_n_pieces(r->body) > 8))
		return 0;
	for (unsigned i = 0; i <= n_pieces; i++) {
		struct strv t = i == 0 ? r->head :
					 strv(piece[i - 1].iov_base, piece[i - 1].iov_len);

		if (n + 3 > IOVECS)
			return 0;
		if (t.n == 0)
			continue;
		if (!dotted) {
			v[n++] = (struct iovec){ (void *)(uintptr_t)t.p, t.n };
			continue;
		}
		n += dots_encode(&s->relay.dots, t, v + n, IOVECS - 1 - n, &taken);
		if (taken < t.n)
			return 0;
	}
	if (dotted) {
		struct strv mark = dots_end(&s->relay.dots);

		v[n++] = (struct iovec){ (void *)(uintptr_t)mark.p, mark.n };
	}
	return n;
}

/* --- any message: piece by piece -------------------------------------------------------------- */

static enum up_rc
send_body(struct session *s, const struct spool *body, bool dotted)
{
	char      *scratch = bufpool_take(s->smtp->bufs);
	uint64_t   at = 0;
	enum up_rc rc = UP_OK;

	while (rc == UP_OK) {
		struct strv t = spool_read(body, at, scratch, BUFPOOL_SIZE);

		if (t.p == NULL)
			rc = UP_CLOSED;
		if (t.n == 0)
			break;
		rc = dotted ? send_dotted(s, t) : send_plain(s->relay.up, t);
		at += t.n;
	}
	bufpool_give(s->smtp->bufs, scratch);
	return rc;
}

/* In parts, so that the deadline is one for progress. */
static enum up_rc
send_file(struct upstream *up, const struct spool *body)
{
	uint64_t   size = spool_size(body), at = 0;
	enum up_rc rc = UP_OK;

	for (uint64_t n; rc == UP_OK && at < size; at += n) {
		n = size - at < FILE_PART ? size - at : FILE_PART;
		rc = sent(conn_send_file(&up->io, spool_fd(body), at, n, send_deadline(up)));
	}
	return rc;
}

static enum up_rc
send_spooled(struct session *s, const struct render *r, bool dotted)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = dotted ? send_dotted(s, r->head) : send_plain(up, r->head);

	if (rc != UP_OK || r->body == NULL)
		return rc;
	if (!dotted && !spool_in_memory(r->body))
		return send_file(up, r->body);
	return send_body(s, r->body, dotted);
}

/*
 * Has the server said something although it does not have all yet?  `readable` is set by the loop alone, so
 * right after a send it tells of octets that came before the last ones went out: no answer to them.
 */
static enum up_rc
spoke_early(struct upstream *up)
{
	switch (upstream_quiet(up)) {
	case UP_QUIET:
		return UP_OK;
	case UP_GONE:
		return UP_CLOSED;
	default:
		up->parser.why = "an answer before the end of the text";
		return UP_BAD;
	}
}

static enum up_rc
send_whole(struct session *s, const struct render *r, bool dotted)
{
	struct upstream *up = s->relay.up;
	struct dots_out  dots = s->relay.dots;
	struct iovec     v[IOVECS];
	unsigned         n = gather(s, r, dotted, v);
	enum up_rc       rc;

	if (n > 0)
		return sent(conn_send(&up->io, v, n, send_deadline(up)));
	s->relay.dots = dots;
	rc = send_spooled(s, r, dotted);
	if (rc == UP_OK && dotted)
		rc = spoke_early(up);
	if (rc == UP_OK && dotted)
		rc = send_plain(up, dots_end(&s->relay.dots));
	return rc;
}

/* --- the parts of a conversation -------------------------------------------------------------- */

static bool
chunking(const struct session *s)
{
	return (s->relay.up->ehlo.caps & EHLO_CHUNKING) && !s->smtp->conf->server->no_chunking;
}

static void
render(struct session *s, struct render *r)
{
	struct transaction *tx = session_tx(s);
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };

	render_begin(r, tx->a, &v, relay_fields(s));
	dots_out_begin(&s->relay.dots);
}

/* The connection as the text's turn comes: one that died meanwhile is replaced, one that spoke is not trusted. */
static bool
still_there(struct session *s)
{
	enum up_idle quiet = s->relay.up != NULL ? upstream_quiet(s->relay.up) : UP_GONE;

	if (quiet == UP_QUIET)
		return true;
	if (quiet == UP_GONE && !s->relay.replayed) {
		session_log_event(s, "replay", "the upstream was lost during the upload");
		return replay_transaction(s);
	}
	s->relay.up->parser.why = "an answer before its command";
	hop_fail(s, quiet == UP_GONE ? UP_CLOSED : UP_BAD);
	return false;
}

/* RFC 5321 4.1.1.4: DATA and its 354. UP_REFUSED: *r is another answer. */
static enum up_rc
ask_data(struct session *s, struct reply *r)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = UP_CLOSED;

	buf_add(&up->cmds, SV("DATA\r\n"));
	if (upstream_flush(up))
		rc = upstream_reply(up, upstream_ms(up, OWED_DATA), r);
	if (rc != UP_OK)
		return rc;
	if (r->code == 354)
		return up->in == NULL ? UP_OK : UP_BAD;
	return r->code >= 400 ? UP_REFUSED : UP_BAD;
}

/* The server's no, word for word; its 421 is not the client's. */
static void
refused(struct session *s, struct reply *r, struct reply *out)
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
static bool
last_words(struct session *s, enum up_rc rc, struct reply *r)
{
	struct upstream *up = s->relay.up;

	return rc == UP_CLOSED && up != NULL && upstream_reply(up, 1, r) == UP_OK && r->code >= 400;
}

static void
failed(struct session *s, enum up_rc rc, struct reply *out)
{
	struct reply r;

	if (last_words(s, rc, &r)) {
		s->relay.up->tainted = true;
		refused(s, &r, out);
		return;
	}
	s->relay.outcome = OUTCOME_FAILED;
	if (s->relay.up != NULL)
		hop_fail(s, rc);
	*out = s->relay.refusal;
}

/* RFC 1047: the octets are out and no answer came; the client will come again, perhaps with a copy. */
static void
unknown(struct session *s, enum up_rc rc, struct reply *out)
{
	failed(s, rc, out);
	s->relay.outcome = OUTCOME_UNKNOWN;
}

static void
final_reply(struct session *s, struct reply *out)
{
	struct upstream *up = s->relay.up;
	struct reply     r;
	enum up_rc       rc = upstream_reply(up, upstream_ms(up, OWED_TEXT), &r);

	if (rc == UP_OK && r.code / 100 == 3)
		rc = UP_BAD;
	if (rc != UP_OK) {
		unknown(s, rc, out);
		return;
	}
	up->dirty = false;
	up->tainted = up->tainted || up->in != NULL;
	if (!reply_is_ok(&r)) {
		refused(s, &r, out);
		return;
	}
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(&r);
	up->errors = 0;
	s->relay.outcome = OUTCOME_TAKEN;
	*out = r;
}

/* --- held and spooled messages ---------------------------------------------------------------- */

static void
commit_whole(struct session *s, const struct render *r, bool dotted, struct reply *out)
{
	enum up_rc rc;

	if (relay_client_left(s)) {
		s->relay.up->tainted = true;
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	s->relay.committed = true;
	rc = send_whole(s, r, dotted);
	if (rc != UP_OK) {
		failed(s, rc, out);
		return;
	}
	rc = spoke_early(s->relay.up);
	if (rc == UP_OK)
		final_reply(s, out);
	else
		unknown(s, rc, out);
}

static void
finish_chunk(struct session *s, struct reply *out)
{
	struct arena *a = session_tx(s)->a;
	struct render r;
	struct strv   line;

	render(s, &r);
	line = arena_printf(a, "BDAT %llu LAST\r\n", (unsigned long long)r.size);
	/* The command travels in front of the head, in the same write. */
	r.head = arena_concat(a, line, r.head);
	s->relay.way = WAY_BDAT;
	commit_whole(s, &r, false, out);
}

static void
finish_data(struct session *s, struct reply *out)
{
	struct render r;
	struct reply  rep;
	enum up_rc    rc = ask_data(s, &rep);

	if (rc == UP_CLOSED && !s->relay.replayed && replay_transaction(s))
		rc = ask_data(s, &rep);
	if (s->relay.broken) {
		failed(s, UP_CLOSED, out);
	} else if (rc == UP_REFUSED) {
		refused(s, &rep, out);
	} else if (rc != UP_OK) {
		failed(s, rc, out);
	} else {
		render(s, &r);
		commit_whole(s, &r, true, out);
	}
}

static void
finish_held(struct session *s, struct reply *out)
{
	if (!still_there(s))
		failed(s, UP_CLOSED, out);
	else if (chunking(s))
		finish_chunk(s, out);
	else
		finish_data(s, out);
}

/* --- streamed messages ------------------------------------------------------------------------ */

/* What the server said instead of going on is what the client hears at the end of its text. */
static bool
stream_refused(struct session *s, struct reply *r)
{
	struct reply out;

	refused(s, r, &out);
	relay_break(s, out.code, out.enh, out.text);
	s->relay.outcome = OUTCOME_REFUSED;
	s->relay.up->tainted = true;
	return false;
}

static bool
stream_failed(struct session *s, enum up_rc rc)
{
	struct reply r;

	if (last_words(s, rc, &r))
		return stream_refused(s, &r);
	hop_fail(s, rc);
	s->relay.outcome = s->relay.committed ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
	return false;
}

static bool
take_chunk_reply(struct session *s)
{
	struct upstream *up = s->relay.up;
	struct reply     r;
	enum up_rc       rc = upstream_reply(up, upstream_ms(up, OWED_CHUNK), &r);

	if (rc == UP_OK && r.code / 100 == 3)
		rc = UP_BAD;
	if (rc != UP_OK)
		return stream_failed(s, rc);
	s->relay.chunks--;
	return reply_is_ok(&r) || stream_refused(s, &r);
}

/* What is spooled and `text`, as one chunk; front: the head of the message, in the first one. */
static bool
send_chunk(struct session *s, struct strv front, struct strv text, bool last)
{
	struct upstream *up = s->relay.up;
	struct spool    *body = session_tx(s)->msg.body;
	uint64_t         n = front.n + spool_size(body) + text.n;
	enum up_rc       rc = UP_OK;

	buf_printf(&up->cmds, "BDAT %llu%s\r\n", (unsigned long long)n, last ? " LAST" : "");
	if (!upstream_flush(up))
		rc = UP_CLOSED;
	if (rc == UP_OK)
		rc = send_plain(up, front);
	if (rc == UP_OK && spool_size(body) > 0)
		rc = send_body(s, body, false);
	if (rc == UP_OK)
		rc = send_plain(up, text);
	spool_clear(body);
	if (rc != UP_OK)
		return stream_failed(s, rc);
	if (last)
		return true;
	/* RFC 2920: without PIPELINING each command waits for the reply to the one before it. */
	return (++s->relay.chunks < CHUNKS_OWED && (up->ehlo.caps & EHLO_PIPELINING)) ||
	    take_chunk_reply(s);
}

/* The first octets: the head and what was held so far. */
static bool
stream_begin(struct session *s)
{
	struct render r;
	struct reply  rep;
	enum up_rc    rc;

	if (!still_there(s)) {
		s->relay.outcome = OUTCOME_FAILED;
		return false;
	}
	s->relay.begun = true;
	s->relay.way = chunking(s) ? WAY_BDAT : WAY_DATA;
	render(s, &r);
	if (s->relay.way == WAY_BDAT)
		return send_chunk(s, r.head, SV(""), false);
	rc = ask_data(s, &rep);
	if (rc == UP_REFUSED)
		return stream_refused(s, &rep);
	if (rc == UP_OK)
		rc = send_spooled(s, &r, true);
	spool_clear(session_tx(s)->msg.body);
	return rc == UP_OK || stream_failed(s, rc);
}

static bool
stream_piece(struct session *s, struct strv text)
{
	struct spool *body = session_tx(s)->msg.body;
	enum up_rc    rc;

	if (s->relay.way == WAY_BDAT) {
		if (spool_size(body) + text.n >= CHUNK)
			return send_chunk(s, SV(""), text, false);
		return spool_add(body, text) == SPOOL_OK || stream_failed(s, UP_CLOSED);
	}
	rc = send_dotted(s, text);
	return rc == UP_OK || stream_failed(s, rc);
}

bool
hop_stream(struct session *s, struct strv text)
{
	if (s->relay.broken || (!s->relay.begun && !stream_begin(s)))
		return false;
	return stream_piece(s, text);
}

/*
 * LAST commits, so every chunk before it must have been taken: a server that refused one and took the
 * rest would keep a message that its sender believes refused.
 */
static void
finish_bdat(struct session *s, struct reply *out)
{
	enum up_rc rc;

	while (s->relay.chunks > 0)
		if (!take_chunk_reply(s)) {
			*out = s->relay.refusal;
			return;
		}
	rc = spoke_early(s->relay.up);
	if (rc != UP_OK) {
		failed(s, rc, out);
		return;
	}
	if (relay_client_left(s)) {
		s->relay.up->tainted = true;
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	s->relay.committed = true;
	if (send_chunk(s, SV(""), SV(""), true))
		final_reply(s, out);
	else
		*out = s->relay.refusal;
}

static void
finish_dotted(struct session *s, struct reply *out)
{
	struct strv mark = dots_end(&s->relay.dots);
	enum up_rc  rc;

	rc = spoke_early(s->relay.up);
	if (rc == UP_OK) {
		s->relay.committed = true;
		rc = send_plain(s->relay.up, mark);
	}
	if (rc == UP_OK)
		final_reply(s, out);
	else
		failed(s, rc, out);
}

static void
finish_stream(struct session *s, struct reply *out)
{
	if (relay_client_left(s)) {
		s->relay.up->tainted = true;
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
	} else if (s->relay.way == WAY_BDAT) {
		finish_bdat(s, out);
	} else {
		finish_dotted(s, out);
	}
}

void
hop_finish(struct session *s, struct reply *out)
{
	if (s->relay.streaming)
		finish_stream(s, out);
	else
		finish_held(s, out);
}
