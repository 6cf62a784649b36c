/*
 * wire -- see wire.h.  Knows octets, lines and TLS, but no SMTP.
 *
 * Invariant: after wire_fini or an end by wire_close or wire_reset the actor's fd is -1.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

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
	int     n = SSL_do_handshake(w->ssl);
	ssize_t rc = from_ssl(w, n);

	if (n == 1) {
		w->shaking = false;
		return true;
	}
	if (rc == -1)
		return false;
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

bool
wire_starttls(struct wire *w)
{
	static SSL_CTX *ctx;
	SSL            *ssl;

	if (ctx == NULL && (ctx = SSL_CTX_new(TLS_client_method())) == NULL)
		return false;
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if ((ssl = SSL_new(ctx)) == NULL || SSL_set_fd(ssl, w->actor->fd) != 1)
		return false;
	SSL_set_connect_state(ssl);
	w->ssl = ssl;
	w->shaking = true;
	w->actor->again = true;
	return true;
}

const char *
wire_tls_version(const struct wire *w)
{
	return w->ssl == NULL || w->shaking ? "" : SSL_get_version(w->ssl);
}

static struct strv
pem_of(BIO *b)
{
	char *p;
	long  n = BIO_get_mem_data(b, &p);

	return strv(p, (size_t)n);
}

static X509 *
self_signed(EVP_PKEY *key)
{
	X509      *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -86400);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 3650L);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)"mx.test", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_sign(x, key, EVP_sha256());
	return x;
}

void
wire_certificate(struct strv *certificate, struct strv *key)
{
	static BIO *c, *k;

	if (c == NULL) {
		EVP_PKEY *pkey = EVP_EC_gen("P-256");
		X509     *x = self_signed(pkey);

		c = BIO_new(BIO_s_mem());
		k = BIO_new(BIO_s_mem());
		PEM_write_bio_X509(c, x);
		PEM_write_bio_PrivateKey(k, pkey, NULL, NULL, 0, NULL, NULL);
		X509_free(x);
		EVP_PKEY_free(pkey);
	}
	*certificate = pem_of(c);
	*key = pem_of(k);
}
