/*
 * tls.c -- a connection: the handshake, octets, the end.
 *
 * It reads and writes the socket through a BIO of ours: no SIGPIPE, and no recv() that is known to
 * give nothing.  With read-ahead that makes one system call of a command, as without TLS.
 * Beside it: tls_context.c (certificates), tls_sni.c (which of them), tls_ticket.c, tls_client.c,
 * tls_flood.c (records without data), and tls_facts.c (what is known of the peer).
 * The invariants: OpenSSL's error queue is empty before each call (fibers share it); after a fatal
 * error (`broken`) the SSL is only freed.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls_own.h"
#include "proxy/base/world.h"

/* In one tls_recv: who sends octet by octet would hold up the others. */
enum { RECV_RECORDS = 512 };

/* ---- errors ---------------------------------------------------------------------------------- */

const char *
tls_reason(void)
{
	unsigned long e = ERR_peek_error();
	const char   *text = NULL;

	if (e != 0 && ERR_SYSTEM_ERROR(e))
		text = strerror(ERR_GET_REASON(e));
	else if (e != 0)
		text = ERR_reason_error_string(e);
	return text != NULL ? text : "no reason given";
}

/* ---- the BIO --------------------------------------------------------------------------------- */

static int
take_ahead(struct tls *t, char *p, size_t n)
{
	size_t left = t->ahead_n - t->ahead_at;

	if (n > left)
		n = left;
	memcpy(p, t->ahead + t->ahead_at, n);
	t->ahead_at += n;
	return (int)n;
}

static int
bio_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t     r;

	BIO_clear_retry_flags(b);
	if (t->ahead_at < t->ahead_n && n > 0)
		return take_ahead(t, p, (size_t)n);
	if (!t->raw) {
		BIO_set_retry_read(b);
		return -1;
	}
	do
		r = recv(t->c->fd, p, (size_t)n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		t->raw_end = true;
	if (r < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	/* a short read has emptied the socket, unless the end or a reset stands behind it */
	if ((r < 0 && errno == EAGAIN) || (r > 0 && r < n && !t->c->eof && !t->c->hung))
		t->raw = false;
	return (int)r;
}

static int
bio_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t     r;

	BIO_clear_retry_flags(b);
	do
		r = send(t->c->fd, p, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	return (int)r;
}

static long
bio_ctrl(BIO *b, int cmd, long n, void *p)
{
	struct tls *t = BIO_get_data(b);

	(void)n, (void)p;
	if (cmd == BIO_CTRL_FLUSH)
		return 1;
	return cmd == BIO_CTRL_EOF && t->raw_end;
}

static BIO *
bio_new(struct tls *t)
{
	static BIO_METHOD *method;
	BIO               *b;

	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection");
		if (method == NULL)
			return NULL;
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_ctrl);
	}
	b = BIO_new(method);
	if (b != NULL) {
		BIO_set_data(b, t);
		BIO_set_init(b, 1);
	}
	return b;
}

/* ---- connections ----------------------------------------------------------------------------- */

struct tls *
tls_begin(struct conn *c, struct tls_context *x)
{
	struct tls *t;
	BIO        *b = NULL;

	assert(c->tls == NULL);
	conn_flush(c);
	if (c->out.n > 0)
		return NULL; /* it was meant to go out in plain text */
	t = mem_alloc(sizeof(*t));
	ERR_clear_error();
	t->c = c;
	t->x = x;
	t->raw = c->readable;
	t->ssl = SSL_new(x->ssl);
	if (t->ssl == NULL || (b = bio_new(t)) == NULL) {
		SSL_free(t->ssl);
		mem_free(t);
		return NULL;
	}
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	return c->tls = t;
}

void
tls_keep_name(struct tls *t, struct strv name)
{
	mem_free(t->name);
	t->name = NULL;
	t->name_n = name.n;
	if (name.n == 0)
		return;
	t->name = mem_alloc(name.n + 1);
	memcpy(t->name, name.p, name.n);
}

uint64_t
tls_wall(const struct tls *t)
{
	struct world *w = loop_world(t->c->loop);

	return w->wall(w) / 1000000;
}

bool
tls_accept(struct conn *c, struct tls_context *x)
{
	struct tls *t = tls_begin(c, x);

	if (t == NULL)
		return false;
	if (x->asks)
		X509_VERIFY_PARAM_set_time(SSL_get0_param(t->ssl), (time_t)tls_wall(t));
	SSL_set_accept_state(t->ssl);
	tls_ticket_prepare(t);
	return true;
}

void
tls_ahead(struct conn *c, struct strv octets)
{
	struct tls *t = c->tls;

	assert(t->ahead == NULL);
	if (octets.n == 0)
		return;
	t->ahead = mem_alloc(octets.n);
	t->ahead_n = octets.n;
	memcpy(t->ahead, octets.p, octets.n);
}

/* Of a certificate that we did not take, its fault, since "verify failed" helps nobody. */
static const char *
handshake_reason(const struct tls *t)
{
	long verified = SSL_get_verify_result(t->ssl);

	if (t->client && verified != X509_V_OK &&
	    ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED)
		return X509_verify_cert_error_string(verified);
	return tls_reason();
}

static enum io_rc
handshake_over(struct tls *t, const char **why)
{
	const char *flood = tls_flood(t);
	bool        closed = t->raw_end && ERR_peek_error() == 0 && flood == NULL;

	*why = closed ? "the peer closed the connection" : handshake_reason(t);
	if (flood != NULL)
		*why = flood;
	t->broken = true;
	t->c->fault = true;
	if (t->client)
		tls_client_failed(t);
	return closed ? IO_EOF : IO_FAULT;
}

enum io_rc
tls_handshake(struct conn *c, const char **why)
{
	struct tls *t = c->tls;
	int         rc;

	*why = "the handshake has failed before";
	if (t->broken)
		return IO_FAULT;
	loop_send(c->loop); /* a crowd's handshakes in one round are many milliseconds */
	ERR_clear_error();
	t->wants_write = false;
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1) {
		t->up = t->pending = c->readable = true;
		t->idle = 0;
		if (t->client)
			tls_client_up(t);
		return IO_OK;
	}
	switch (tls_flood(t) != NULL ? SSL_ERROR_SSL : SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->readable = false;
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		/* a fiber waits for octets, and is woken when there is room */
		c->readable = false;
		t->wants_write = true;
		conn_want_write(c);
		return IO_AGAIN;
	default:
		return handshake_over(t, why);
	}
}

/* SSL_read gave nothing: notes why, and what must happen before it may give something again. */
static void
read_stopped(struct tls *t, int error)
{
	t->pending = false;
	if (tls_flood(t) != NULL)
		error = SSL_ERROR_SSL;
	switch (error) {
	case SSL_ERROR_WANT_READ:
		break;
	case SSL_ERROR_WANT_WRITE:
		t->wants_write = true;
		break;
	case SSL_ERROR_ZERO_RETURN:
		t->ended = true;
		t->end = IO_EOF;
		break;
	default:
		t->ended = t->broken = true;
		t->end = IO_FAULT;
	}
}

enum io_rc
tls_recv(struct tls *t, void *p, size_t n, size_t *got)
{
	size_t one;

	*got = 0;
	if (!t->up || (t->broken && !t->ended))
		return IO_FAULT;
	t->pending = true;
	t->wants_write = false;
	for (unsigned i = 0; i < RECV_RECORDS && !t->ended && *got < n; i++) {
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, (char *)p + *got, n - *got, &one) != 1) {
			read_stopped(t, SSL_get_error(t->ssl, 0));
			break;
		}
		*got += one;
		tls_flood_data(t);
	}
	t->pending |= t->ended;
	if (*got > 0)
		return IO_OK;
	return t->ended ? t->end : IO_AGAIN;
}

enum io_rc
tls_send(struct tls *t, const void *p, size_t n, size_t *sent)
{
	*sent = 0;
	if (!t->up || t->broken || t->closed)
		return IO_FAULT;
	ERR_clear_error();
	if (SSL_write_ex(t->ssl, p, n, sent) == 1)
		return IO_OK;
	*sent = 0;
	if (SSL_get_error(t->ssl, 0) == SSL_ERROR_WANT_WRITE)
		return IO_AGAIN;
	t->broken = true;
	return IO_FAULT;
}

const char *
tls_fault(const struct conn *c)
{
	return c->tls != NULL ? tls_flood(c->tls) : NULL;
}

bool
tls_pending(const struct tls *t)
{
	return t->pending;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

void
tls_event(struct tls *t)
{
	t->raw = true;
}

/* OpenSSL spoils the session of a connection that was not shut down, also for those that begin with it. */
void
tls_break(struct tls *t)
{
	if (t->up && !t->broken)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_get_shutdown(t->ssl));
	t->broken = true;
}

void
tls_close(struct tls *t)
{
	ERR_clear_error();
	if (t->up && !t->broken && !t->closed)
		(void)SSL_shutdown(t->ssl);
	t->closed = true;
}

void
tls_free(struct tls *t)
{
	tls_close(t);
	SSL_free(t->ssl);
	ERR_clear_error();
	mem_free(t->ahead);
	mem_free(t->name);
	mem_free(t);
}
