/*
 * tls.c -- OpenSSL behind the face of tls.h; no other file of the proxy includes its headers.
 *
 * It reads and writes the socket through a BIO of ours: no SIGPIPE, and no recv() that is known to
 * give nothing.  With read-ahead that makes one system call of a command, as without TLS.
 * Not for certificates of others: no client certificate is asked for, no upstream is verified here yet.
 * The invariants: OpenSSL's error queue is empty before each call (fibers share it); after a fatal
 * error (`broken`) the SSL is only freed.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/base/world.h"

enum {
	SECRET = 32,
	TICKET_PERIOD = 4 * 3600, /* s; a ticket lives TICKET_LIFE, so two keys suffice */
	TICKET_LIFE = 2 * 3600
};

/* One period's key. All zero: none yet, since period 0 lies in 1970. */
struct ticket_key {
	uint64_t      period;
	unsigned char name[16], aes[32], hmac[32];
};

struct tls_context {
	SSL_CTX          *ssl;
	uint64_t          expires;
	unsigned char     secret[SECRET]; /* of it come the keys of all periods, in all workers */
	struct ticket_key keys[2];        /* of the latest periods used; a cache */
};

struct tls {
	SSL         *ssl;
	struct conn *c;
	char  *ahead; /* octets that the owner had read already, [ahead_at, ahead_n) not taken */
	size_t ahead_at, ahead_n;
	bool   raw;     /* the kernel may have octets */
	bool   raw_end; /* and it said that there is no more */
	bool   up;      /* the handshake is done */
	bool   broken;
	bool   closed; /* our close_notify is out */
	bool   pending, wants_write;
	bool   ended; /* reading gave `end`, for good */
	enum io_rc end;
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* OpenSSL's reason for what failed last, static. */
static const char *
reason(void)
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
	/* a short read has emptied the socket, unless the end stands behind it */
	if ((r < 0 && errno == EAGAIN) || (r > 0 && r < n && !t->c->eof))
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

/* ---- tickets --------------------------------------------------------------------------------- */

static bool
derive(
    const struct tls_context *x, unsigned char part, uint64_t period, unsigned char *out, size_t n)
{
	unsigned char text[9], mac[EVP_MAX_MD_SIZE];
	bool          good;

	text[0] = part;
	for (unsigned i = 0; i < 8; i++)
		text[1 + i] = (unsigned char)(period >> 8 * i);
	good = HMAC(EVP_sha512(), x->secret, SECRET, text, sizeof(text), mac, NULL) != NULL;
	memcpy(out, mac, n);
	OPENSSL_cleanse(mac, sizeof(mac));
	return good;
}

/* The key of a period, NULL: OpenSSL failed. */
static const struct ticket_key *
ticket_key(struct tls_context *x, uint64_t period)
{
	struct ticket_key *k = &x->keys[period % 2];

	if (k->period == period)
		return k;
	k->period = 0;
	if (!derive(x, 'n', period, k->name, sizeof(k->name)) ||
	    !derive(x, 'a', period, k->aes, sizeof(k->aes)) ||
	    !derive(x, 'h', period, k->hmac, sizeof(k->hmac)))
		return NULL;
	k->period = period;
	return k;
}

static bool
mac_init(EVP_MAC_CTX *mac, const struct ticket_key *k)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, (void *)k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int
ticket_seal(const struct ticket_key *k, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *aes,
    EVP_MAC_CTX *mac)
{
	memcpy(name, k->name, sizeof(k->name));
	if (RAND_bytes(iv, 16) != 1 ||
	    EVP_EncryptInit_ex(aes, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1)
		return -1;
	return mac_init(mac, k) ? 1 : -1;
}

/* 0: not ours or too old, a full handshake follows; 1; 2: good, but give the client a new one. */
static int
ticket_open(struct tls_context *x, uint64_t period, const unsigned char *name,
    const unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac)
{
	const struct ticket_key *k;

	for (unsigned age = 0; age < 2; age++) {
		k = ticket_key(x, period - age);
		if (k == NULL)
			return -1;
		if (memcmp(name, k->name, sizeof(k->name)) != 0)
			continue;
		if (EVP_DecryptInit_ex(aes, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1 ||
		    !mac_init(mac, k))
			return -1;
		return age == 0 ? 1 : 2;
	}
	return 0;
}

static int
ticket_cb(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac,
    int seal)
{
	const struct tls        *t = SSL_get_app_data(ssl);
	struct tls_context      *x = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	struct world            *w = loop_world(t->c->loop);
	uint64_t                 period = w->wall(w) / 1000000 / TICKET_PERIOD + 2;
	const struct ticket_key *k;

	if (!seal)
		return ticket_open(x, period, name, iv, aes, mac);
	k = ticket_key(x, period);
	return k != NULL ? ticket_seal(k, name, iv, aes, mac) : -1;
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* A key with a password would make OpenSSL ask the terminal. */
static int
no_password(char *buf, int n, int writing, void *arg)
{
	(void)buf, (void)n, (void)writing, (void)arg;
	return -1;
}

static bool
use_chain(struct tls_context *x, BIO *b)
{
	X509     *cert = PEM_read_bio_X509_AUX(b, NULL, no_password, NULL);
	struct tm tm;
	bool      good;

	if (cert == NULL)
		return false;
	good = SSL_CTX_use_certificate(x->ssl, cert) == 1 &&
	    ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) == 1;
	if (good)
		x->expires = (uint64_t)timegm(&tm);
	X509_free(cert);
	while (good && (cert = PEM_read_bio_X509(b, NULL, no_password, NULL)) != NULL)
		if (SSL_CTX_add0_chain_cert(x->ssl, cert) != 1) {
			X509_free(cert);
			good = false;
		}
	return good &&
	    (ERR_peek_error() == 0 || ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE);
}

static bool
use_key(struct tls_context *x, BIO *b)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	bool      good = key != NULL && SSL_CTX_use_PrivateKey(x->ssl, key) == 1;

	EVP_PKEY_free(key);
	return good;
}

static bool
use(struct tls_context *x, struct strv text, bool (*fn)(struct tls_context *, BIO *))
{
	BIO *b = text.n <= INT32_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
	bool good;

	ERR_clear_error();
	good = b != NULL && fn(x, b);
	BIO_free(b);
	return good;
}

static void
configure(SSL_CTX *ssl, int minimum)
{
	SSL_CTX_set_min_proto_version(ssl, minimum);
	SSL_CTX_set_options(ssl,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_dh_auto(ssl, 1);
	/* state lies with the client alone; with no ticket at all a client with Nagle waits 40 ms */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_timeout(ssl, TICKET_LIFE);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_cb);
}

/* What is wrong, or NULL. */
static const char *
fill(struct tls_context *x, struct strv certificate, struct strv key, int minimum, struct strv id)
{
	x->ssl = SSL_CTX_new(TLS_server_method());
	if (x->ssl == NULL || RAND_bytes(x->secret, SECRET) != 1)
		return "OpenSSL does not start";
	configure(x->ssl, minimum);
	SSL_CTX_set_app_data(x->ssl, x);
	if (id.n > SSL_MAX_SSL_SESSION_ID_LENGTH ||
	    SSL_CTX_set_session_id_context(x->ssl, (const unsigned char *)id.p, (unsigned)id.n) !=
		1)
		return "the session id context is too long";
	if (!use(x, certificate, use_chain))
		return "the certificate file holds no certificate that can be used";
	if (!use(x, key, use_key))
		return ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ?
		    "the key does not match the certificate" :
		    "the key file holds no key that can be used (it may not have a password)";
	if (SSL_CTX_check_private_key(x->ssl) != 1)
		return "the key does not match the certificate";
	return NULL;
}

struct tls_context *
tls_context_server(
    struct arena *a, const struct tls_server *conf, unsigned *which, struct strv *why)
{
	struct tls_context *x = mem_alloc(sizeof(*x));
	const char         *wrong;

	ERR_clear_error();
	*which = 0;
	wrong = fill(x, conf->certificate->chain, conf->certificate->key, conf->minimum, conf->id);
	if (wrong == NULL)
		return x;
	*why = arena_printf(a, "%s: %s", wrong, reason());
	ERR_clear_error();
	tls_context_free(x);
	return NULL;
}

void
tls_context_free(struct tls_context *x)
{
	if (x == NULL)
		return;
	SSL_CTX_free(x->ssl);
	OPENSSL_cleanse(x, sizeof(*x));
	mem_free(x);
}

uint64_t
tls_context_expires(const struct tls_context *x)
{
	return x->expires;
}

/* ---- connections ----------------------------------------------------------------------------- */

bool
tls_accept(struct conn *c, struct tls_context *x)
{
	struct tls *t;
	BIO        *b = NULL;

	assert(c->tls == NULL);
	if (c->out.n > 0)
		return false; /* it was meant to go out in plain text */
	t = mem_alloc(sizeof(*t));
	ERR_clear_error();
	t->c = c;
	t->raw = c->readable;
	t->ssl = SSL_new(x->ssl);
	if (t->ssl == NULL || (b = bio_new(t)) == NULL) {
		SSL_free(t->ssl);
		mem_free(t);
		return false;
	}
	SSL_set_bio(t->ssl, b, b);
	SSL_set_app_data(t->ssl, t);
	SSL_set_accept_state(t->ssl);
	c->tls = t;
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

static enum io_rc
handshake_over(struct tls *t, const char **why)
{
	bool closed = t->raw_end && ERR_peek_error() == 0;

	*why = closed ? "the peer closed the connection" : reason();
	t->broken = true;
	t->c->fault = true;
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
	ERR_clear_error();
	rc = SSL_do_handshake(t->ssl);
	if (rc == 1) {
		t->up = t->pending = c->readable = true;
		return IO_OK;
	}
	switch (SSL_get_error(t->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		c->readable = false;
		return IO_AGAIN;
	case SSL_ERROR_WANT_WRITE:
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
	while (!t->ended && *got < n) {
		ERR_clear_error();
		if (SSL_read_ex(t->ssl, (char *)p + *got, n - *got, &one) == 1)
			*got += one;
		else {
			read_stopped(t, SSL_get_error(t->ssl, 0));
			break;
		}
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

void
tls_break(struct tls *t)
{
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
	mem_free(t);
}

/* ---- facts ----------------------------------------------------------------------------------- */

static struct strv
subject(const struct tls *t, struct arena *a)
{
	X509       *cert = SSL_get1_peer_certificate(t->ssl);
	BIO        *b = NULL;
	struct strv v = { NULL, 0 };
	char       *p;
	long        n;

	if (cert != NULL && SSL_get_verify_result(t->ssl) == X509_V_OK)
		b = BIO_new(BIO_s_mem());
	if (b != NULL &&
	    X509_NAME_print_ex(b, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0 &&
	    (n = BIO_get_mem_data(b, &p)) > 0)
		v = arena_dup(a, strv(p, (size_t)n));
	BIO_free(b);
	X509_free(cert);
	return v;
}

void
tls_facts_get(const struct conn *c, struct arena *a, struct tls_facts *out)
{
	const struct tls *t = c->tls;
	const char       *sni;

	*out = (struct tls_facts){ 0 };
	if (t == NULL || !t->up)
		return;
	ERR_clear_error();
	out->on = true;
	out->version = arena_dup(a, strv_z(SSL_get_version(t->ssl)));
	out->cipher = arena_dup(a, strv_z(SSL_get_cipher_name(t->ssl)));
	out->bits = (unsigned)SSL_get_cipher_bits(t->ssl, NULL);
	sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	if (sni != NULL)
		out->sni = arena_dup(a, strv_z(sni));
	out->client_cert = subject(t, a);
}
