/*
 * milter_socket -- a milter at the other end of a socket: a daemon, or an isolated plugin.
 *
 * Octets of the session are said in as few writes as the milter lets us: what needs no answer is kept back until
 * something needs one.  Not for where it listens (milter_dial.c), nor for what the answers mean (milter_heard.c).  The
 * invariant: an answer is read only while one is owed; octets that came before their question are nonsense, since they
 * would be taken for the next one's answer.  But for PROGRESS, which answers nothing and may come at any time.
 */
#include "filters/milter_socket_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/io.h"

#define BYTES     64          /* of what came, for the log */
#define READ_MIN  512         /* octets asked for at first; most answers are five */
#define READ_MAX  (64 * 1024) /* and at most, while a packet of them comes */
#define KEEP      1024        /* octets of a buffer that stay allocated while nothing happens */
#define SEND_AT   (32 * 1024) /* so much is kept back at most */
#define LISTS_MAX 8192        /* octets of an answer to the offer, lists of macros included */
#define LOOKS_MAX 16 /* reads of what comes unasked; they grow, and the last has READ_MAX */

struct socket_end {
	struct milter_end end;
	struct conn       io;
	struct buf        out, in;
	size_t            at;     /* octets of `in' that are done with */
	size_t            hunger; /* octets asked for at the next read */
	char              bytes[BYTES];
	struct buf        lists; /* what the views of `theirs' are of */
};

const char *
milter_rc_name(enum milter_rc rc)
{
	static const char *const names[] = { "ok", "timeout", "gone", "garbage", "refused",
		"cancelled", "gone" };

	return names[rc];
}

static struct socket_end *
of(struct milter_end *e)
{
	return (struct socket_end *)(void *)e;
}

static enum milter_rc
fail(struct socket_end *s, enum milter_rc rc, const char *why)
{
	s->end.why = why;
	return rc;
}

static enum milter_rc
garbage(struct socket_end *s, struct strv bytes, const char *why)
{
	size_t n = bytes.n < BYTES ? bytes.n : BYTES;

	memmove(s->bytes, bytes.p, n);
	s->end.bytes = strv(s->bytes, n);
	return fail(s, MILTER_GARBAGE, why);
}

static enum milter_rc
waited(struct socket_end *s, enum wait_rc rc, const char *late)
{
	switch (rc) {
	case WAIT_OK:
		return MILTER_OK;
	case WAIT_TIMEOUT:
		return fail(s, MILTER_LATE, late);
	case WAIT_CLOSED:
		return fail(s, MILTER_GONE, "the connection was closed");
	default:
		return fail(s, MILTER_CANCELLED, "cancelled");
	}
}

/* --- octets in -------------------------------------------------------------------------------- */

/* Forgets what is done with; a large buffer that is empty goes. */
static void
drop_done(struct socket_end *s)
{
	buf_drop(&s->in, s->at);
	s->at = 0;
	if (s->in.n == 0 && s->in.room > KEEP)
		buf_fini(&s->in);
}

/* Takes what is there, at most the `hunger' of the moment or what the packet at hand still needs. */
static enum io_rc
take(struct socket_end *s, size_t missing)
{
	size_t     want = missing > s->hunger ? missing : s->hunger, got = 0;
	enum io_rc rc;

	want = want < READ_MAX ? want : READ_MAX;
	if (!buf_reserve(&s->in, want))
		return IO_FAULT;
	rc = conn_recv(&s->io, s->in.p + s->in.n, want, &got);
	s->in.n += got;
	if (got == want && s->hunger < READ_MAX)
		s->hunger *= 4;
	return rc;
}

MAY_YIELD static enum milter_rc
read_more(struct socket_end *s, size_t missing, uint64_t until)
{
	switch (take(s, missing)) {
	case IO_OK:
		/* One that never stops is no reason for the others to wait, nor for the time not to be up. */
		if (!s->io.readable)
			return MILTER_OK;
		/* FALLTHROUGH */
	case IO_AGAIN:
		return waited(s, conn_wait(&s->io, until), "no answer in time");
	default:
		return fail(s, MILTER_GONE,
		    s->in.n > s->at ? "the connection was closed in the middle of an answer" :
				      "the connection was closed");
	}
}

/* A small packet that is the last of a large buffer moves to a small one: it may stay for long. */
static void
shrink(struct socket_end *s, struct strv *packet)
{
	struct buf small;

	if (s->in.room <= KEEP || s->at < s->in.n || packet->n > KEEP)
		return;
	buf_init(&small, s->in.max);
	buf_add(&small, *packet);
	buf_fini(&s->in);
	s->in = small;
	s->at = packet->n;
	*packet = buf_view(&s->in);
}

MAY_YIELD static enum milter_rc
next_packet(struct socket_end *s, struct strv *packet, uint64_t until)
{
	enum milter_rc rc = MILTER_OK;

	drop_done(s);
	while (rc == MILTER_OK) {
		const char *why;
		size_t      need;

		switch (milter_frame(buf_view(&s->in), MILTER_PACKET_MAX, packet, &need, &why)) {
		case MILTER_FRAME_OK:
			s->at = need;
			shrink(s, packet);
			return MILTER_OK;
		case MILTER_FRAME_BAD:
			return garbage(s, buf_view(&s->in), why);
		case MILTER_FRAME_MORE:
			rc = read_more(s, need - s->in.n, until);
		}
	}
	return rc;
}

/* What is left behind what is done with is no more than such packets, the last perhaps in part. */
static bool
is_progress(struct socket_end *s)
{
	struct strv all = SV("\0\0\0\1p"), left = strv_from(buf_view(&s->in), s->at);

	while (left.n >= all.n && strv_starts(left, all)) {
		left = strv_from(left, all.n);
		s->at += all.n;
	}
	return strv_starts(all, left);
}

/* Nothing was asked: has it said something, or gone?  `look': ask the socket, not the loop alone. */
static enum milter_rc
quiet(struct socket_end *s, bool look)
{
	enum io_rc rc = IO_OK;

	if (!is_progress(s))
		return garbage(s, strv_from(buf_view(&s->in), s->at), "an answer too many");
	if (s->io.readable || s->io.eof || s->io.fault || (look && conn_waits(&s->io)))
		s->io.readable = true;
	/* To its end: behind any number of such packets an answer may wait. */
	for (unsigned n = 0; n < LOOKS_MAX && rc == IO_OK && s->io.readable; n++) {
		drop_done(s);
		rc = take(s, 1);
		if (rc != IO_AGAIN && rc != IO_OK)
			return fail(s, MILTER_GONE, "the connection was closed");
		if (!is_progress(s))
			return garbage(s, strv_from(buf_view(&s->in), s->at),
			    "an answer that nobody asked for");
	}
	drop_done(s);
	return MILTER_OK;
}

/* --- octets out ------------------------------------------------------------------------------- */

/* All that is kept back, and `behind' it by reference. */
MAY_YIELD static enum milter_rc
flush(struct socket_end *s, struct strv behind, uint64_t until)
{
	struct iovec v[2] = { { s->out.p, s->out.n }, { (void *)(uintptr_t)behind.p, behind.n } };
	enum wait_rc rc = WAIT_OK;

	if (s->out.n > 0)
		rc = conn_send(&s->io, v, behind.n > 0 ? 2 : 1, until);
	buf_clear(&s->out);
	if (s->out.room > KEEP)
		buf_fini(&s->out);
	return waited(s, rc, "it takes no more octets");
}

/* --- the negotiation -------------------------------------------------------------------------- */

MAY_YIELD static enum milter_rc
negotiate(struct socket_end *s, const struct milter_offer *ours, struct milter_offer *theirs,
    uint64_t until)
{
	struct strv    packet = { 0 };
	const char    *why;
	enum milter_rc rc;

	milter_pack_offer(&s->out, ours);
	rc = flush(s, SV(""), until);
	if (rc == MILTER_OK)
		rc = next_packet(s, &packet, until);
	if (rc != MILTER_OK)
		return rc;
	/* The lists of macros live as long as the connection; the buffer they came in does not. */
	if (!buf_add(&s->lists, packet))
		return garbage(s, packet, "lists of macros that are too long");
	if (!milter_unpack_offer(buf_view(&s->lists), ours, theirs, &why)) {
		rc = garbage(s, packet, why);
		return theirs->version == 0 ? rc : MILTER_REFUSED;
	}
	if (packet.n <= 13)
		buf_fini(&s->lists);
	return MILTER_OK;
}

/* With what came instead, as it came: who shows it escapes it. */
static struct strv
explain(struct arena *a, const struct milter_end *e)
{
	struct strv why = strv_z(e->why);

	return e->bytes.n == 0 ? why : arena_concat(a, arena_concat(a, why, SV(": ")), e->bytes);
}

static void
socket_close(struct milter_end *e, bool polite)
{
	struct socket_end  *s = of(e);
	struct milter_event quit = { .cmd = MILTER_CMD_QUIT };

	if (polite && !s->io.fault && milter_pack(&s->out, &quit))
		conn_queue_bye(&s->io, buf_view(&s->out));
	conn_close(&s->io);
	buf_fini(&s->out);
	buf_fini(&s->in);
	buf_fini(&s->lists);
	mem_free(s);
}

MAY_YIELD static enum milter_rc
socket_open(struct arena *a, const struct milter_conf *c, const struct milter_offer *ours,
    struct milter_offer *theirs, uint64_t until, struct milter_end **out, struct strv *why)
{
	struct socket_end *s = mem_alloc(sizeof *s);
	enum milter_rc     rc;

	s->end = (struct milter_end){ .kind = &milter_socket_end, .conf = c };
	s->io.fd = -1;
	s->hunger = READ_MIN;
	buf_init(&s->out, 2 * MILTER_PACKET_MAX);
	buf_init(&s->in, 4 + MILTER_PACKET_MAX + READ_MAX);
	buf_init(&s->lists, LISTS_MAX);
	rc = milter_socket_dial(&s->io, &c->at, until, &s->end.why);
	if (rc == MILTER_OK)
		rc = negotiate(s, ours, theirs, until);
	*out = rc == MILTER_OK ? &s->end : NULL;
	if (rc == MILTER_OK)
		return rc;
	*why = explain(a, &s->end);
	socket_close(&s->end, false);
	return rc;
}

/* --- telling, and hearing --------------------------------------------------------------------- */

/* libmilter takes macros of commands that have a place for them alone (st_macros, engine.c). */
static enum milter_command
label_of(const struct milter_event *ev)
{
	bool none = ev->cmd == MILTER_CMD_HEADER || ev->cmd == MILTER_CMD_BODY ||
	    ev->cmd == MILTER_CMD_UNKNOWN;

	return none ? MILTER_CMD_MAIL : ev->cmd;
}

/* A body is sent from where it is; ABORT at once, since what follows it may be long in coming. */
MAY_YIELD static enum milter_rc
send(struct socket_end *s, const struct milter_event *ev, uint64_t until)
{
	bool by_reference = ev->cmd == MILTER_CMD_BODY && ev->text.n > SEND_AT / 2;

	if (by_reference ? !milter_pack_chunk(&s->out, ev) : !milter_pack(&s->out, ev))
		return fail(s, MILTER_GARBAGE, "what it is to be told is too long for a packet");
	if (by_reference)
		return flush(s, ev->text, until);
	if (ev->cmd == MILTER_CMD_ABORT) {
		bool ok = conn_queue_v(&s->io, buf_view(&s->out));

		buf_clear(&s->out);
		return ok ? MILTER_OK : fail(s, MILTER_GONE, "the connection was closed");
	}
	return s->out.n >= SEND_AT ? flush(s, SV(""), until) : MILTER_OK;
}

MAY_YIELD static enum milter_rc
socket_tell(struct milter_end *e, const struct milter_event *ev, const struct milter_macros *m,
    bool answered, uint64_t until)
{
	struct socket_end *s = of(e);
	enum milter_rc     rc;

	(void)answered; /* socket_answer sends what is kept back */
	e->bytes = (struct strv){ 0 };
	s->hunger = READ_MIN;
	rc = quiet(s, ev->cmd == MILTER_CMD_EOM);
	if (rc != MILTER_OK)
		return rc;
	if (m != NULL && m->n > 0 && !milter_pack_macros(&s->out, label_of(ev), m->v, m->n))
		return fail(s, MILTER_GARBAGE, "its macros are too long for a packet");
	return send(s, ev, until);
}

MAY_YIELD static enum milter_rc
socket_answer(struct milter_end *e, struct milter_answer *out, uint64_t until)
{
	struct socket_end *s = of(e);
	struct strv        packet;
	enum milter_rc     rc = flush(s, SV(""), until);
	const char        *why;

	e->bytes = (struct strv){ 0 };
	if (rc == MILTER_OK)
		rc = next_packet(s, &packet, until);
	if (rc != MILTER_OK)
		return rc;
	/* Kept for who finds that the answer is none to what was told; and what is unpacked is changed. */
	(void)garbage(s, packet, NULL);
	if (!milter_unpack(packet, (char *)(uintptr_t)packet.p, out, &why))
		return fail(s, MILTER_GARBAGE, why);
	/* What came with the last word is not kept for the next command, or for a message that is decided. */
	if (milter_answer_final(out->kind) && !is_progress(s))
		return garbage(s, strv_from(buf_view(&s->in), s->at), "an answer too many");
	return MILTER_OK;
}

const struct milter_end_kind milter_socket_end = {
	.open = socket_open, .tell = socket_tell, .answer = socket_answer, .close = socket_close
};
