/*
 * wire -- see wire.h.  Knows octets, lines and TLS, but no SMTP.
 *
 * Invariant: after wire_fini or an end by wire_close or wire_reset the actor's fd is -1.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/sim/certs.h"
#include "tests/sim/wire.h"

static ino_t
inode_of(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
}

void
wire_init(struct wire *w, struct actor *a, int peer_fd)
{
	*w = (struct wire){ .actor = a, .peer_fd = peer_fd, .peer_ino = inode_of(peer_fd) };
	buf_init(&w->in, WIRE_MAX);
	buf_init(&w->out, WIRE_MAX);
}

void
wire_fini(struct wire *w)
{
	wire_close(w);
	SSL_free(w->ssl);
	w->ssl = NULL;
	buf_fini(&w->in);
	buf_fini(&w->out);
}

/* n > 0 octets, 0: the end, -1: not now, -2: lost */
static ssize_t
from_ssl(struct wire *w, int n)
{
	switch (SSL_get_error(w->ssl, n)) {
	case SSL_ERROR_NONE:
		return n;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
		return -1;
	case SSL_ERROR_WANT_WRITE:
		w->actor->writing = true;
		return -1;
	default:
		ERR_clear_error();
		return -2;
	}
}

static ssize_t
from_kernel(struct wire *w, ssize_t n)
{
	(void)w;
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? -1 : -2;
}

static ssize_t
get(struct wire *w, void *p, size_t n)
{
	ERR_clear_error();
	if (w->ssl != NULL)
		return from_ssl(w, SSL_read(w->ssl, p, (int)n));
	return from_kernel(w, recv(w->actor->fd, p, n, 0));
}

static ssize_t
put(struct wire *w, const void *p, size_t n)
{
	ERR_clear_error();
	if (w->ssl != NULL)
		return from_ssl(w, SSL_write(w->ssl, p, (int)n));
	return from_kernel(w, send(w->actor->fd, p, n, MSG_NOSIGNAL));
}

static bool
receive(struct wire *w)
{
	static char part[65536];
	bool        did = false;
	ssize_t     n;

	if (w->taken == w->in.n) {
		w->taken = 0;
		buf_clear(&w->in);
	}
	while (!w->eof && !w->lost && !w->actor->deaf) {
		if (w->hold > 0 && w->in.n - w->taken >= w->hold)
			break;
		n = get(w, part, sizeof(part));
		if (n == -1)
			break;
		did = true;
		if (n == 0)
			w->eof = true;
		else if (n < 0)
			w->lost = true;
		else if (!buf_add(&w->in, strv(part, (size_t)n)))
			abort();
	}
	return did;
}

static bool
transmit(struct wire *w)
{
	size_t  n = w->out.n - w->sent;
	ssize_t gone;

	w->actor->writing = false;
	if (n == 0 || w->lost)
		return false;
	if (w->cut > 0 && n > w->cut)
		n = w->cut;
	gone = put(w, w->out.p + w->sent, n);
	if (gone == -1) {
		w->actor->writing = true;
		return false;
	}
	/* 0: the peer has ended TLS, nothing more goes out */
	if (gone <= 0) {
		w->lost = true;
		return true;
	}
	w->sent += (size_t)gone;
	if (w->sent == w->out.n) {
		w->sent = 0;
		buf_clear(&w->out);
	} else
		w->actor->again = true;
	return true;
}

static bool
shake(struct wire *w)
{
	uint64_t before = BIO_number_written(SSL_get_wbio(w->ssl));
	int      n = SSL_do_handshake(w->ssl);
	ssize_t  rc = from_ssl(w, n);

	if (n == 1) {
		w->shaking = false;
		return true;
	}
	/* What went out may be for another actor: the clock must not jump before it has looked. */
	if (rc == -1)
		return BIO_number_written(SSL_get_wbio(w->ssl)) != before;
	w->lost = true;
	return true;
}

bool
wire_pump(struct wire *w)
{
	bool did = false;

	if (w->actor->fd < 0)
		return false;
	if (w->shaking) {
		w->actor->writing = false;
		did = shake(w);
		if (w->shaking)
			return did;
	}
	did |= receive(w);
	did |= transmit(w);
	if (w->shut_next && !w->shut && wire_idle(w)) {
		w->shut = true;
		if (w->ssl != NULL)
			SSL_shutdown(w->ssl);
		shutdown(w->actor->fd, SHUT_WR);
		did = true;
	}
	if (w->eof || w->lost)
		w->actor->deaf = true;
	return did;
}

bool
wire_idle(const struct wire *w)
{
	return w->out.n == w->sent && !w->shaking;
}

void
wire_add(struct wire *w, struct strv v)
{
	if (!buf_add(&w->out, v))
		abort();
	w->actor->again = true;
}

struct strv
wire_unread(const struct wire *w)
{
	return strv_from(buf_view(&w->in), w->taken);
}

void
wire_take(struct wire *w, size_t n)
{
	w->taken += n;
}

bool
wire_line(struct wire *w, struct strv *line)
{
	struct strv v = wire_unread(w);
	size_t      n = strv_chr(v, '\n');

	if (n == v.n)
		return false;
	wire_take(w, n + 1);
	if (n > 0 && v.p[n - 1] == '\r')
		n--;
	*line = strv_first(v, n);
	return true;
}

void
wire_close(struct wire *w)
{
	if (w->actor->fd < 0)
		return;
	if (w->ssl != NULL && !w->shaking && !w->lost)
		SSL_shutdown(w->ssl);
	ERR_clear_error();
	close(w->actor->fd);
	w->actor->fd = -1;
}

void
wire_halfclose(struct wire *w)
{
	w->shut_next = true;
	w->actor->again = true;
}

/*
 * A unix socket that is closed with octets unread gives its peer ECONNRESET.  So one octet is put
 * there through the proxy's own descriptor, if it still is the one that we gave it.
 */
void
wire_reset(struct wire *w)
{
	if (w->actor->fd < 0)
		return;
	if (w->peer_ino != 0 && inode_of(w->peer_fd) == w->peer_ino)
		(void)!send(w->peer_fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(w->actor->fd);
	w->actor->fd = -1;
}

/* ---- TLS ---- */

static int wire_index = -1; /* of SSL: whose it is */

/* Keeps what the next connection may begin with. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct wire *w = SSL_get_ex_data(ssl, wire_index);

	if (w == NULL || w->resume == NULL)
		return 0;
	SSL_SESSION_free(*w->resume);
	*w->resume = session;
	return 1;
}

static bool
begin(struct wire *w, SSL *ssl)
{
	if (ssl == NULL || SSL_set_fd(ssl, w->actor->fd) != 1)
		return false;
	w->ssl = ssl;
	w->shaking = true;
	w->actor->again = true;
	return true;
}

static bool
apply(SSL *ssl, const struct wire_tls *o)
{
	void *x, *key;

	if (o->version != 0) {
		SSL_set_security_level(ssl, 0);
		SSL_set_min_proto_version(ssl, o->version);
		SSL_set_max_proto_version(ssl, o->version);
	}
	if (o->sni != NULL && SSL_set_tlsext_host_name(ssl, o->sni) != 1)
		return false;
	if (o->resume != NULL && *o->resume != NULL && SSL_set_session(ssl, *o->resume) != 1)
		return false;
	if (o->cert == WIRE_CERT_NONE)
		return true;
	certs_of_client(o->cert == WIRE_CERT_KNOWN, &x, &key);
	return SSL_use_certificate(ssl, x) == 1 && SSL_use_PrivateKey(ssl, key) == 1;
}

bool
wire_tls_connect(struct wire *w, const struct wire_tls *o)
{
	SSL *ssl = SSL_new(certs_client());

	if (!begin(w, ssl) || !apply(ssl, o))
		return false;
	if (wire_index < 0) {
		wire_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
		SSL_CTX_sess_set_new_cb(certs_client(), keep_session);
	}
	w->resume = o->keep;
	SSL_set_ex_data(ssl, wire_index, w);
	SSL_set_connect_state(ssl);
	return true;
}

bool
wire_starttls(struct wire *w)
{
	return wire_tls_connect(w, &(struct wire_tls){ 0 });
}

bool
wire_tls_accept(struct wire *w, void *ctx)
{
	SSL *ssl = SSL_new(ctx);

	if (!begin(w, ssl))
		return false;
	SSL_set_accept_state(ssl);
	return true;
}

bool
wire_renegotiate(struct wire *w)
{
	if (w->ssl == NULL || SSL_renegotiate(w->ssl) != 1)
		return false;
	w->shaking = true;
	w->actor->again = true;
	return true;
}

const char *
wire_tls_version(const struct wire *w)
{
	return w->ssl == NULL || w->shaking ? "" : SSL_get_version(w->ssl);
}

bool
wire_tls_resumed(const struct wire *w)
{
	return w->ssl != NULL && SSL_session_reused(w->ssl);
}

const char *
wire_tls_sni(const struct wire *w)
{
	return w->ssl == NULL ? NULL : SSL_get_servername(w->ssl, TLSEXT_NAMETYPE_host_name);
}

void
wire_tls_peer(const struct wire *w, char *cn, size_t room)
{
	X509 *x = w->ssl == NULL ? NULL : SSL_get0_peer_certificate(w->ssl);

	cn[0] = '\0';
	if (x != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, (int)room);
}

void
wire_session_free(void *session)
{
	SSL_SESSION_free(session);
}
