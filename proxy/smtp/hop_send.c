/*
 * hop_send -- the octets of a text on their way to a server, by reference wherever they lie.
 *
 * Knows no replies.  Every send has a deadline of its own, so a slow server that moves is not given up.
 */
#include "proxy/smtp/hop_text.h"

#define IOVECS    32
#define FILE_PART (4 * 1024 * 1024)

uint64_t
hop_send_deadline(const struct upstream *up)
{
	return loop_now(up->smtp->loop) + upstream_ms(up, OWED_TEXT);
}

enum up_rc
hop_sent(enum wait_rc rc)
{
	static const enum up_rc map[] = { UP_OK, UP_TIMEOUT, UP_CLOSED, UP_CANCELLED };

	return map[rc];
}

/* Canonical text as DATA wants it, dots doubled, by reference. */
enum up_rc
hop_send_dotted(struct session *s, struct strv text)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = UP_OK;

	while (rc == UP_OK && text.n > 0) {
		struct iovec v[IOVECS];
		size_t       taken;
		unsigned     n = dots_encode(&s->relay.dots, text, v, IOVECS, &taken);

		if (n > 0)
			rc = hop_sent(conn_send(&up->io, v, n, hop_send_deadline(up)));
		text = strv_from(text, taken);
	}
	return rc;
}

enum up_rc
hop_send_plain(struct upstream *up, struct strv text)
{
	struct iovec v = { (void *)(uintptr_t)text.p, text.n };

	return text.n == 0 ? UP_OK : hop_sent(conn_send(&up->io, &v, 1, hop_send_deadline(up)));
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

/* What we spooled cannot be read: not the server's fault, though it has heard a part that nothing can follow. */
static enum up_rc
unread(struct session *s)
{
	hop_unread(s);
	return UP_CLOSED;
}

enum up_rc
hop_send_body(struct session *s, const struct spool *body, bool dotted)
{
	char      *scratch = bufpool_take(s->smtp->bufs);
	uint64_t   at = 0;
	enum up_rc rc = UP_OK;

	while (rc == UP_OK) {
		struct strv t = spool_read(body, at, scratch, BUFPOOL_SIZE);

		if (t.p == NULL)
			rc = unread(s);
		if (t.n == 0)
			break;
		rc = dotted ? hop_send_dotted(s, t) : hop_send_plain(s->relay.up, t);
		at += t.n;
	}
	bufpool_give(s->smtp->bufs, scratch);
	return rc;
}

/* In parts, so that the deadline is one for progress. */
MAY_YIELD static enum up_rc
send_file(struct session *s, const struct spool *body)
{
	struct upstream *up = s->relay.up;
	uint64_t         size = spool_size(body), at = 0;
	enum up_rc       rc = UP_OK;

	for (uint64_t n; rc == UP_OK && at < size; at += n) {
		n = size - at < FILE_PART ? size - at : FILE_PART;
		rc = hop_sent(
		    conn_send_file(&up->io, spool_fd(body), at, n, hop_send_deadline(up)));
	}
	return rc == UP_CLOSED && up->io.unread ? unread(s) : rc;
}

enum up_rc
hop_send_spooled(struct session *s, const struct render *r, bool dotted)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = dotted ? hop_send_dotted(s, r->head) : hop_send_plain(up, r->head);

	if (rc != UP_OK || r->body == NULL)
		return rc;
	if (!dotted && !spool_in_memory(r->body))
		return send_file(s, r->body);
	return hop_send_body(s, r->body, dotted);
}

/*
 * Has the server said something although it does not have all yet?  `readable` is set by the loop alone, so
 * right after a send it tells of octets that came before the last ones went out: no answer to them.  Of those
 * that come while the last ones still wait in c->out hop_final_reply hears by io.crossed.
 */
enum up_rc
hop_spoke_early(struct upstream *up)
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

enum up_rc
hop_send_whole(struct session *s, const struct render *r, bool dotted)
{
	struct upstream *up = s->relay.up;
	struct dots_out  dots = s->relay.dots;
	struct iovec     v[IOVECS];
	unsigned         n = gather(s, r, dotted, v);
	enum up_rc       rc;

	if (n > 0)
		return hop_sent(conn_send(&up->io, v, n, hop_send_deadline(up)));
	s->relay.dots = dots;
	rc = hop_send_spooled(s, r, dotted);
	if (rc == UP_OK && dotted)
		rc = hop_spoke_early(up);
	if (rc == UP_OK && dotted)
		rc = hop_send_plain(up, dots_end(&s->relay.dots));
	return rc;
}
