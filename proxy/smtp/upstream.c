/*
 * upstream -- one connection to a server: who it is for, the greeting, EHLO, STARTTLS; then commands out and
 * replies in.  Knows no session and no pool rule.
 *
 * Invariant: octets are parsed only while a reply is owed; what comes unasked is found by upstream_quiet.
 * Nothing is ever said in the clear on a connection on which STARTTLS was said.
 */
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/smtp/proxyhdr.h"
#include "proxy/smtp/session.h"

/* RFC 5321 4.5.3.2: what a client must wait at each stage. */
uint64_t
upstream_ms(const struct upstream *up, enum owed_kind kind)
{
	static const uint64_t ms[] = {
		[OWED_AUTH] = 120000,
		[OWED_GREETING] = 120000,
		[OWED_XCLIENT] = 300000,
		[OWED_RSET] = 300000,
		[OWED_XFORWARD] = 300000,
		[OWED_MAIL] = 300000,
		[OWED_RCPT] = 300000,
		[OWED_DATA] = 120000,
		[OWED_CHUNK] = 600000,
		[OWED_TEXT] = 600000,
	};
	uint64_t own = up->sv->conf->timeout;

	return own > 0 ? own : ms[kind];
}

static void
give_input(struct upstream *up)
{
	if (up->in != NULL)
		bufpool_give(up->smtp->bufs, up->in);
	up->in = NULL;
	up->in_at = up->in_n = 0;
}

static enum io_rc
read_more(struct upstream *up)
{
	enum io_rc rc;
	size_t     got = 0;

	if (up->in == NULL)
		up->in = bufpool_take(up->smtp->bufs);
	rc = conn_recv(&up->io, up->in, BUFPOOL_SIZE, &got);
	up->in_at = 0;
	up->in_n = got;
	if (got == 0)
		give_input(up);
	return rc;
}

/* Parses what is there. 1: *out is set; 0: more is needed; -1: nonsense. */
static int
parse(struct upstream *up, struct reply *out)
{
	struct strv v = strv(up->in + up->in_at, up->in_n - up->in_at);
	int         rc = reply_parse(&up->parser, &v, out);

	up->in_at = up->in_n - v.n;
	if (v.n == 0)
		give_input(up);
	return rc;
}

static enum up_rc
wait_for_octets(struct upstream *up, uint64_t deadline)
{
	switch (conn_wait(&up->io, deadline)) {
	case WAIT_OK:
		return UP_OK;
	case WAIT_TIMEOUT:
		return UP_TIMEOUT;
	case WAIT_CLOSED:
		return UP_CLOSED;
	default:
		return UP_CANCELLED;
	}
}

MAY_YIELD static enum up_rc
reply_by(struct upstream *up, uint64_t deadline, struct reply *out)
{
	enum up_rc rc = UP_OK;

	while (rc == UP_OK) {
		int        got = up->in != NULL ? parse(up, out) : 0;
		enum io_rc io;

		if (got != 0) {
			up->heard = up->heard || got > 0;
			return got > 0 ? UP_OK : UP_BAD;
		}
		io = read_more(up);
		if (io == IO_EOF || io == IO_FAULT)
			return UP_CLOSED;
		if (io == IO_AGAIN)
			rc = wait_for_octets(up, deadline);
	}
	return rc;
}

enum up_rc
upstream_reply(struct upstream *up, uint64_t ms, struct reply *out)
{
	enum up_rc rc;

	pool_silence_begins(up);
	rc = reply_by(up, up->awaits_since + ms, out);
	pool_silence_ends(up, rc);
	return rc;
}

bool
upstream_flush(struct upstream *up)
{
	bool ok = up->cmds.n == 0 || (!up->cmds.full && conn_queue_v(&up->io, buf_view(&up->cmds)));

	buf_clear(&up->cmds);
	return ok;
}

/* An answer before its question is how a reply for one message is passed off as another's. */
enum up_idle
upstream_quiet(struct upstream *up)
{
	enum io_rc rc = IO_AGAIN;

	if (up->in != NULL || up->parser.open)
		return UP_SPOKE;
	if (up->io.fault)
		return UP_GONE;
	if (up->io.readable || up->io.eof)
		rc = read_more(up);
	if (rc == IO_AGAIN)
		return UP_QUIET;
	if (rc != IO_OK)
		return UP_GONE;
	/* A server that says 421 and closes has gone, too: nothing of ours was answered by it. */
	return up->in_n >= 4 && memcmp(up->in, "421", 3) == 0 ? UP_GONE : UP_SPOKE;
}

static void
on_event(void *arg)
{
	struct upstream *up = arg;

	/* A handshake that waited for room to write goes on; its fiber waits as if for octets. */
	if (up->connecting && up->io.tls != NULL && up->io.reader != NULL) {
		up->io.readable = true;
		fiber_wake(up->io.reader);
	}
	/* What TLS says to itself, or a socket with room again, is no reason to part. */
	if (up->owner == NULL && !up->connecting && upstream_quiet(up) != UP_QUIET)
		pool_drop(up);
}

struct upstream *
upstream_new(struct smtp *m, struct pool_server *sv, const char **why)
{
	struct upstream *up = mem_alloc(sizeof *up);

	up->smtp = m;
	up->sv = sv;
	up->connecting = true;
	buf_init(&up->cmds, 256 * 1024);
	reply_parser_init(&up->parser);
	if (conn_dial(&up->io, m->loop, &sv->conf->at, on_event, up, why))
		return up;
	mem_free(up);
	return NULL;
}

void
upstream_free(struct upstream *up)
{
	give_input(up);
	conn_close(&up->io);
	buf_fini(&up->cmds);
	reply_parser_fini(&up->parser);
	mem_free(up);
}

/* Sends a line and waits for its reply, which must be of class 2. */
static enum up_rc
ask(struct upstream *up, struct strv line, uint64_t ms, struct reply *out)
{
	enum up_rc rc;

	if (line.n > 0)
		buf_add(&up->cmds, line);
	if (!upstream_flush(up))
		return UP_CLOSED;
	up->awaits = up->connecting ? OWED_GREETING : OWED_XCLIENT;
	rc = upstream_reply(up, ms, out);
	if (rc != UP_OK)
		return rc;
	up->greeted = true;
	if (up->in != NULL)
		return UP_BAD;
	return reply_is_ok(out) ? UP_OK : UP_REFUSED;
}

enum up_rc
upstream_ehlo(struct upstream *up, struct strv name, struct reply *out)
{
	bool       lmtp = up->sv->conf->kind == HOP_LMTP;
	uint64_t   ms = upstream_ms(up, OWED_MAIL);
	struct buf line;
	enum up_rc rc;

	buf_init(&line, 1024);
	buf_printf(&line, "%s %.*s\r\n", lmtp ? "LHLO" : "EHLO", (int)name.n, name.p);
	memset(&up->ehlo, 0, sizeof up->ehlo);
	rc = ask(up, buf_view(&line), ms, out);
	if (rc == UP_OK)
		ehlo_parse(out->text, &up->ehlo);
	/* RFC 5321 3.2: a server that knows only HELO; it offers nothing.  RFC 2033 4.1: never with LMTP. */
	if (rc == UP_REFUSED && out->code / 100 == 5 && !lmtp) {
		buf_clear(&line);
		buf_printf(&line, "HELO %.*s\r\n", (int)name.n, name.p);
		rc = ask(up, buf_view(&line), ms, out);
	}
	buf_fini(&line);
	return rc;
}

/* --- STARTTLS --------------------------------------------------------------------------------- */

static void
log_tls(const struct upstream *up, const char *what, const char *why)
{
	struct log_line l;

	log_begin(&l, up->smtp->world, SV("worker"), what);
	log_strv(&l, "server", up->sv->conf->name);
	log_z(&l, "why", why);
	log_number(&l, "worker", up->smtp->conf->worker);
	log_end(&l);
}

/* Probes go on: once is enough until it works again. */
static void
log_tls_failed(struct upstream *up, const char *why)
{
	if (!up->sv->tls_failed)
		log_tls(up, "upstream-tls-failed", why);
	up->sv->tls_failed = up->tls_fault = true;
}

/* What we do not put up with is told like a refusal of the server's. */
static enum up_rc
no_tls(struct upstream *up, struct reply *out, const char *why)
{
	log_tls_failed(up, why);
	*out = (struct reply){ 454, "4.7.0", strv_z(why) };
	return UP_REFUSED;
}

/* Who relied on a server's STARTTLS, though only where there is one, should hear that it is gone. */
static bool
offers_tls(struct upstream *up)
{
	bool offers = (up->ehlo.caps & EHLO_STARTTLS) != 0;

	if (!offers && up->sv->tls_seen)
		log_tls(up, "upstream-tls-lost", "the server offers STARTTLS no more");
	up->sv->tls_seen = offers;
	return offers;
}

MAY_YIELD static enum up_rc
handshake(struct upstream *up, struct reply *out)
{
	const struct server *conf = up->sv->conf;
	uint64_t             deadline = loop_now(up->smtp->loop) + upstream_ms(up, OWED_DATA);
	const char          *why = "could not begin";
	enum io_rc           io = IO_AGAIN;
	enum up_rc           rc = UP_OK;

	if (!tls_connect(&up->io, conf->context, conf->tls_name, &up->sv->resume))
		return no_tls(up, out, why);
	while (rc == UP_OK && (io = tls_handshake(&up->io, &why)) == IO_AGAIN)
		rc = wait_for_octets(up, deadline);
	if (rc == UP_TIMEOUT)
		log_tls_failed(up, "the handshake timed out");
	if (rc == UP_OK && io == IO_OK)
		up->sv->tls_failed = false;
	if (rc != UP_OK || io == IO_OK)
		return rc;
	return no_tls(up, out, io == IO_EOF ? "the server closed the connection" : why);
}

/*
 * RFC 3207 4.2: what was said before the handshake is forgotten.  Octets behind the 220 came in the clear and
 * would pass for what the server says under TLS: ask() has none of them.  And no downgrade: a server that
 * offers STARTTLS and then has none is not spoken to in the clear, whoever took it away.
 */
MAY_YIELD static enum up_rc
secure(struct upstream *up, struct strv name, struct reply *out)
{
	enum tls_use use = up->sv->conf->tls;
	enum up_rc   rc;

	if (use == TLS_USE_OFF)
		return UP_OK;
	if (!offers_tls(up))
		return use == TLS_USE_MAY ? UP_OK :
					    no_tls(up, out, "the server offers no STARTTLS");
	rc = ask(up, SV("STARTTLS\r\n"), upstream_ms(up, OWED_DATA), out);
	if (rc == UP_BAD)
		log_tls_failed(up, "no usable answer to STARTTLS, or octets behind it");
	if (rc == UP_OK)
		rc = handshake(up, out);
	return rc == UP_OK ? upstream_ehlo(up, name, out) : rc;
}

/* --- the beginning ---------------------------------------------------------------------------- */

/*
 * A connection for nobody yet is LOCAL.  Version 1 has only UNKNOWN for that, and Postfix (3.7) hangs up at it:
 * there the server itself is named.
 */
static struct proxyhdr
header_of(const struct server *conf, const struct client *c)
{
	if (c == NULL)
		return (struct proxyhdr){ .local = conf->identity == IDENTITY_PROXY2 ||
			    conf->at.addr.family == ADDR_UNIX,
			.src = conf->at,
			.dst = conf->at };
	return (struct proxyhdr){ .src = c->addr,
		.dst = c->local,
		.authority = c->tls.sni,
		/* Behind XCLIENT the line may be TLS, but it is the peer's, and has no version here. */
		.ssl = c->tls.version.n > 0,
		.ssl_verified = c->tls.client_cert.n > 0,
		.ssl_version = c->tls.version,
		.ssl_cn = c->tls.client_cn,
		.ssl_cipher = c->tls.cipher };
}

/*
 * It goes in front of everything and says who the connection is for, so nobody else gets that one.  Who has no
 * address (XCLIENT may say so) gets none: the server would take its mail for our own.
 */
static enum up_rc
queue_proxy_header(struct upstream *up, const struct client *c, struct reply *out)
{
	const struct server *conf = up->sv->conf;
	struct proxyhdr      h = header_of(conf, c);

	if (conf->identity != IDENTITY_PROXY1 && conf->identity != IDENTITY_PROXY2)
		return UP_OK;
	up->named = true;
	if (proxyhdr_print(&up->cmds, conf->identity == IDENTITY_PROXY1 ? 1 : 2, &h))
		return UP_OK;
	*out = (struct reply){ 451, "4.3.0",
		SV("the client has no address that a PROXY header could name") };
	return UP_REFUSED;
}

enum up_rc
upstream_greet(
    struct upstream *up, struct strv name, const struct client *client, struct reply *out)
{
	uint64_t     now = loop_now(up->smtp->loop), ms = upstream_ms(up, OWED_DATA);
	enum wait_rc w = conn_connected(
	    &up->io, now + (ms < UPSTREAM_CONNECT_MS ? ms : UPSTREAM_CONNECT_MS));
	enum up_rc rc;

	if (w != WAIT_OK)
		return w == WAIT_TIMEOUT ? UP_TIMEOUT : w == WAIT_CLOSED ? UP_CLOSED : UP_CANCELLED;
	rc = queue_proxy_header(up, client, out);
	if (rc == UP_OK)
		rc = ask(up, (struct strv){ NULL, 0 }, ms, out);
	if (rc == UP_OK)
		rc = upstream_ehlo(up, name, out);
	if (rc == UP_OK)
		rc = secure(up, name, out);
	up->connecting = false;
	up->heard = false;
	return rc;
}

enum up_rc
upstream_ask(struct upstream *up, struct strv line, struct reply *out)
{
	return ask(up, line, upstream_ms(up, OWED_MAIL), out);
}
