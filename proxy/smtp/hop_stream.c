/*
 * hop_stream -- a message that is sent on while it arrives, because nothing can change it any more.
 *
 * As DATA piece by piece, or gathered into BDAT chunks.  A late refusal holds back the end: no dot, no LAST,
 * and the connection is closed.
 */
#include "proxy/smtp/hop_text.h"

#include <stdio.h>

#define IOVECS      32
#define CHUNK       (256 * 1024) /* RFC 3030 2 */
#define CHUNKS_OWED 4            /* replies to chunks that may wait */

/* What the server said instead of going on is what the client hears at the end of its text. */
static bool
stream_refused(struct session *s, struct reply *r)
{
	struct reply out;

	hop_refused(s, r, &out);
	relay_break(s, out.code, out.enh, out.text);
	s->relay.outcome = OUTCOME_REFUSED;
	s->relay.up->tainted = true;
	return false;
}

MAY_YIELD static bool
stream_failed(struct session *s, enum up_rc rc)
{
	struct reply r;

	if (hop_last_words(s, rc, &r))
		return stream_refused(s, &r);
	if (s->relay.up != NULL)
		hop_fail(s, rc);
	s->relay.outcome = s->relay.committed ? OUTCOME_UNKNOWN : OUTCOME_FAILED;
	return false;
}

MAY_YIELD static bool
take_chunk_reply(struct session *s)
{
	struct upstream *up = s->relay.up;
	struct reply     r;
	enum up_rc       rc = hop_await(up, OWED_CHUNK, &r);

	if (rc == UP_OK && r.code / 100 == 3)
		rc = UP_BAD;
	if (rc != UP_OK)
		return stream_failed(s, rc);
	s->relay.chunks--;
	return reply_is_ok(&r) || stream_refused(s, &r);
}

/* Command, head, what is spooled and text as iovecs; 0: not in memory, or too many pieces. */
static unsigned
chunk_iovecs(struct session *s, struct strv line, struct strv text, struct iovec *v)
{
	struct spool *body = session_tx(s)->msg.body;
	struct strv   whole[3] = { line, s->relay.front, text };
	unsigned      n = 0;

	if (!spool_in_memory(body) || spool_n_pieces(body) + 3 > IOVECS)
		return 0;
	for (unsigned i = 0; i < 3; i++) {
		if (i == 2)
			n += spool_pieces(body, v + n, IOVECS - 1 - n);
		if (whole[i].n > 0)
			v[n++] = (struct iovec){ (void *)(uintptr_t)whole[i].p, whole[i].n };
	}
	return n;
}

MAY_YIELD static enum up_rc
send_parts(struct session *s, struct strv line, struct strv text)
{
	struct upstream *up = s->relay.up;
	struct spool    *body = session_tx(s)->msg.body;
	struct iovec     v[IOVECS];
	unsigned         n = chunk_iovecs(s, line, text, v);
	enum up_rc       rc;

	if (n > 0)
		return hop_sent(conn_send(&up->io, v, n, hop_send_deadline(up)));
	rc = hop_send_plain(up, line);
	if (rc == UP_OK)
		rc = hop_send_plain(up, s->relay.front);
	if (rc == UP_OK && spool_size(body) > 0)
		rc = hop_send_body(s, body, false);
	return rc == UP_OK ? hop_send_plain(up, text) : rc;
}

/* What is spooled and `text`, as one chunk, with one write where that can be. */
MAY_YIELD static bool
send_chunk(struct session *s, struct strv text, bool last)
{
	struct upstream *up = s->relay.up;
	struct spool    *body = session_tx(s)->msg.body;
	uint64_t         n = s->relay.front.n + spool_size(body) + text.n;
	char             line[48];
	int              len;
	enum up_rc       rc;

	len = snprintf(
	    line, sizeof(line), "BDAT %llu%s\r\n", (unsigned long long)n, last ? " LAST" : "");
	rc = s->relay.chunks == 0 ? hop_spoke_early(up) : UP_OK;
	if (rc == UP_OK)
		rc = send_parts(s, strv(line, (size_t)len), text);
	spool_clear(body);
	s->relay.front = SV("");
	if (rc != UP_OK)
		return stream_failed(s, rc);
	if (last)
		return true;
	/* RFC 2920: without PIPELINING each command waits for the reply to the one before it. */
	return (++s->relay.chunks < CHUNKS_OWED && (up->ehlo.caps & EHLO_PIPELINING)) ||
	    take_chunk_reply(s);
}

/* The first octets: the head and what was held so far. */
MAY_YIELD static bool
stream_begin(struct session *s)
{
	struct render r;
	struct reply  rep;
	enum up_rc    rc;

	if (!hop_still_there(s)) {
		s->relay.outcome = OUTCOME_FAILED;
		return false;
	}
	/* Said again to another server, which may want the text whole: nothing of it has been sent yet. */
	if (s->relay.up->sv->conf->no_streaming) {
		s->relay.streaming = false;
		return true;
	}
	s->relay.begun = true;
	s->relay.way = hop_chunking(s) ? WAY_BDAT : WAY_DATA;
	hop_render(s, &r);
	if (s->relay.way == WAY_BDAT) {
		s->relay.front = r.head;
		return true;
	}
	rc = hop_ask_data(s, &rep);
	if (rc == UP_REFUSED)
		return stream_refused(s, &rep);
	if (rc == UP_OK)
		rc = hop_send_spooled(s, &r, true);
	spool_clear(session_tx(s)->msg.body);
	return rc == UP_OK || stream_failed(s, rc);
}

MAY_YIELD static bool
stream_piece(struct session *s, struct strv text)
{
	struct spool *body = session_tx(s)->msg.body;
	enum up_rc    rc;

	if (s->relay.way == WAY_BDAT) {
		/* What is gathered for a chunk stays in memory. */
		if (spool_size(body) + text.n >= CHUNK || spool_would_spill(body, text.n))
			return send_chunk(s, text, false);
		if (relay_spool(s, text))
			return true;
		s->relay.up->tainted = true;
		return false;
	}
	rc = hop_send_dotted(s, text);
	return rc == UP_OK || stream_failed(s, rc);
}

bool
hop_stream(struct session *s, struct strv text)
{
	if (s->relay.broken || (!s->relay.begun && !stream_begin(s)))
		return false;
	return s->relay.streaming ? stream_piece(s, text) : relay_spool(s, text);
}

/*
 * LAST commits, so every chunk before it must have been taken: a server that refused one and took the
 * rest would keep a message that its sender believes refused.
 */
MAY_YIELD static void
finish_bdat(struct session *s, struct reply *out)
{
	enum up_rc rc;

	while (s->relay.chunks > 0)
		if (!take_chunk_reply(s)) {
			*out = s->relay.refusal;
			return;
		}
	rc = hop_spoke_early(s->relay.up);
	if (rc != UP_OK) {
		hop_failed(s, rc, out);
		return;
	}
	if (relay_client_left(s)) {
		s->relay.up->tainted = true;
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	s->relay.committed = true;
	if (send_chunk(s, SV(""), true))
		hop_final_reply(s, out);
	else
		*out = s->relay.refusal;
}

MAY_YIELD static void
finish_dotted(struct session *s, struct reply *out)
{
	struct strv mark = dots_end(&s->relay.dots);
	enum up_rc  rc;

	rc = hop_spoke_early(s->relay.up);
	if (rc == UP_OK) {
		s->relay.committed = true;
		rc = hop_send_plain(s->relay.up, mark);
	}
	if (rc == UP_OK)
		hop_final_reply(s, out);
	else
		hop_failed(s, rc, out);
}

void
hop_finish_stream(struct session *s, struct reply *out)
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
