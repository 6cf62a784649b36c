/*
 * tls_context.c -- what a listener presents, and how we speak to servers: certificates, keys,
 * authorities, versions.
 *
 * Not for the choice among certificates (tls_sni.c).  No file is read here but the system's own
 * authorities; no clock is asked: a certificate that has expired is loaded and shown, since that is the
 * operator's affair, and tls_context_expires tells.
 */
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "proxy/base/arena.h"
#include "proxy/base/civil.h"
#include "proxy/base/tls_own.h"

enum { VERIFY_DEPTH = 10 };

/* ---- PEM ------------------------------------------------------------------------------------- */

/* A key with a password would make OpenSSL ask the terminal. */
static int
no_password(char *buf, int n, int writing, void *arg)
{
	(void)buf, (void)n, (void)writing, (void)arg;
	return -1;
}

static BIO *
text_bio(struct strv text)
{
	ERR_clear_error();
	return text.p != NULL && text.n <= INT32_MAX ? BIO_new_mem_buf(text.p, (int)text.n) : NULL;
}

/* After the last certificate: was it the end of the text, or is something broken? */
static bool
at_end(void)
{
	if (ERR_peek_error() != 0 && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

static bool
read_chain(struct tls_shown *s, struct strv text)
{
	BIO  *b = text_bio(text);
	X509 *cert;
	bool  good = b != NULL;

	if (good)
		s->cert = PEM_read_bio_X509_AUX(b, NULL, no_password, NULL);
	if (s->cert == NULL || (s->chain = sk_X509_new_null()) == NULL)
		good = false;
	while (good && (cert = PEM_read_bio_X509(b, NULL, no_password, NULL)) != NULL)
		if (sk_X509_push(s->chain, cert) == 0) {
			X509_free(cert);
			good = false;
		}
	BIO_free(b);
	return good && at_end();
}

static bool
read_key(struct tls_shown *s, struct strv text)
{
	BIO *b = text_bio(text);

	if (b != NULL)
		s->key = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	BIO_free(b);
	return s->key != NULL;
}

/* Calls fn for each certificate.  False: there is none, one is broken, or fn refused. */
static bool
each_certificate(SSL_CTX *ssl, struct strv text, bool (*fn)(SSL_CTX *, X509 *))
{
	BIO     *b = text_bio(text);
	X509    *cert;
	unsigned n = 0;
	bool     good = b != NULL;

	for (; good && (cert = PEM_read_bio_X509(b, NULL, no_password, NULL)) != NULL; n++) {
		good = fn(ssl, cert);
		X509_free(cert);
	}
	BIO_free(b);
	return good && n > 0 && at_end();
}

static bool
trust(SSL_CTX *ssl, X509 *cert)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), cert) == 1;
}

/* RFC 8446 4.2.4: a client with several certificates chooses by the names of those we trust. */
static bool
trust_and_name(SSL_CTX *ssl, X509 *cert)
{
	return trust(ssl, cert) && SSL_CTX_add_client_CA(ssl, cert) == 1;
}

/* ---- what both kinds have -------------------------------------------------------------------- */

static void
configure(SSL_CTX *ssl, int minimum)
{
	SSL_CTX_set_min_proto_version(ssl, minimum);
	SSL_CTX_set_options(ssl,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
		SSL_OP_IGNORE_UNEXPECTED_EOF);
	/* no chain is made up of those we trust: clients' authorities are not ours */
	SSL_CTX_set_mode(ssl,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_verify_depth(ssl, VERIFY_DEPTH);
	/* RFC 8446 8: early data can be played again by anybody */
	SSL_CTX_set_max_early_data(ssl, 0);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	tls_flood_install(ssl);
}

static struct tls_context *
context_new(const SSL_METHOD *method, int minimum)
{
	static uint64_t     serial;
	struct tls_context *x = mem_alloc(sizeof(*x));

	ERR_clear_error();
	x->serial = ++serial;
	x->expires = UINT64_MAX;
	x->ssl = SSL_CTX_new(method);
	if (x->ssl != NULL)
		configure(x->ssl, minimum);
	return x;
}

void
tls_context_free(struct tls_context *x)
{
	if (x == NULL)
		return;
	for (unsigned i = 0; i < x->n_shown; i++) {
		X509_free(x->shown[i].cert);
		EVP_PKEY_free(x->shown[i].key);
		sk_X509_pop_free(x->shown[i].chain, X509_free);
	}
	mem_free(x->shown);
	tls_names_free(x);
	SSL_CTX_free(x->ssl);
	mem_free(x);
}

uint64_t
tls_context_expires(const struct tls_context *x)
{
	return x->expires;
}

static struct tls_context *
refuse(struct tls_context *x, struct arena *a, const char *wrong, struct strv *why)
{
	if (ERR_peek_error() != 0)
		*why = arena_printf(a, "%s: %s", wrong, tls_reason());
	else
		*why = arena_dup(a, strv_z(wrong));
	ERR_clear_error();
	tls_context_free(x);
	return NULL;
}

/* ---- a server's certificates ----------------------------------------------------------------- */

/* Whether the handshake would take them: a key that is too weak is refused by then, too. */
static bool
fits(const struct tls_shown *s)
{
	SSL_CTX *scratch = SSL_CTX_new(TLS_server_method());
	bool     good = scratch != NULL &&
	    SSL_CTX_use_cert_and_key(scratch, s->cert, s->key, s->chain, 1) == 1;

	SSL_CTX_free(scratch);
	return good;
}

/* Since 1970. */
static int64_t
seconds(const struct tm *tm)
{
	int64_t days = civil_day(
	    1900 + (int64_t)tm->tm_year, (unsigned)tm->tm_mon + 1, (unsigned)tm->tm_mday);

	return ((days * 24 + tm->tm_hour) * 60 + tm->tm_min) * 60 + tm->tm_sec;
}

/* What is wrong, or NULL. */
static const char *
load(struct tls_context *x, struct tls_shown *s, const struct tls_certificate *c)
{
	struct tm tm;
	int64_t   ends;

	if (!read_chain(s, c->chain) || ASN1_TIME_to_tm(X509_get0_notAfter(s->cert), &tm) != 1)
		return "the certificate file holds no certificate that can be used";
	if (!read_key(s, c->key))
		return "the key file holds no key that can be used (it may not have a password)";
	if (X509_check_private_key(s->cert, s->key) != 1)
		return "the key does not match the certificate";
	if (!fits(s))
		return "the certificate or its key cannot be used";
	ends = seconds(&tm);
	if (ends < 0)
		ends = 0;
	if ((uint64_t)ends < x->expires)
		x->expires = (uint64_t)ends;
	return NULL;
}

static bool
same_names(const struct tls_context *x, const struct tls_certificate *c, unsigned i, unsigned k)
{
	X509 *a = x->shown[i].cert, *b = x->shown[k].cert;
	int   at = X509_get_ext_by_NID(a, NID_subject_alt_name, -1),
	    bt = X509_get_ext_by_NID(b, NID_subject_alt_name, -1);

	if (c[i].server_name.p != NULL || c[k].server_name.p != NULL)
		return c[i].server_name.p != NULL && strv_ieq(c[i].server_name, c[k].server_name);
	if (at < 0 || bt < 0)
		return at < 0 && bt < 0 &&
		    X509_NAME_cmp(X509_get_subject_name(a), X509_get_subject_name(b)) == 0;
	return ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(X509_get_ext(a, at)),
		   X509_EXTENSION_get_data(X509_get_ext(b, bt))) == 0;
}

/*
 * RSA and ECDSA for the same names go together, and the client's algorithms decide.  True: it has joined
 * the group of an earlier one, in which nothing of its kind was.
 */
static bool
join(struct tls_context *x, const struct tls_certificate *c, unsigned k)
{
	int      kind = EVP_PKEY_get_base_id(x->shown[k].key);
	unsigned last;

	for (unsigned i = 0; i < k; i++) {
		if (x->shown[i].follows || !same_names(x, c, i, k))
			continue;
		for (last = i; EVP_PKEY_get_base_id(x->shown[last].key) != kind;
		     last = x->shown[last].also)
			if (x->shown[last].also == 0) {
				x->shown[last].also = k;
				return x->shown[k].follows = true;
			}
	}
	return false;
}

static const char *
load_all(struct tls_context *x, const struct tls_server *conf, unsigned *which)
{
	const struct tls_certificate *c = conf->certificate;
	const char                   *wrong;

	x->shown = mem_array(conf->n_certificate, sizeof(*x->shown));
	x->n_shown = conf->n_certificate;
	for (unsigned k = 0; k < x->n_shown; k++) {
		*which = k;
		wrong = load(x, &x->shown[k], &c[k]);
		if (wrong != NULL)
			return wrong;
		if (join(x, c, k))
			continue;
		if (c[k].server_name.p != NULL)
			tls_names_add(x, TLS_NAME_GIVEN, c[k].server_name, k);
		else
			tls_names_of(x, k);
	}
	tls_names_sort(x);
	/* the first group is what the context itself shows */
	*which = 0;
	do {
		const struct tls_shown *s = &x->shown[*which];

		if (SSL_CTX_use_cert_and_key(x->ssl, s->cert, s->key, s->chain, 1) != 1)
			return "the certificate or its key cannot be used";
		*which = s->also;
	} while (*which != 0);
	return NULL;
}

/* ---- a server's clients ---------------------------------------------------------------------- */

/*
 * Verifies, and goes on in any case: what came of it stays in the session as its verify result, and a
 * resumed session has it from its ticket.
 */
static int
verify_and_go_on(X509_STORE_CTX *c, void *arg)
{
	(void)arg;
	if (X509_verify_cert(c) <= 0 && X509_STORE_CTX_get_error(c) == X509_V_OK)
		X509_STORE_CTX_set_error(c, X509_V_ERR_UNSPECIFIED);
	ERR_clear_error();
	return 1;
}

static const char *
ask_clients(struct tls_context *x, struct strv ca)
{
	if (ca.p == NULL)
		return NULL;
	if (!each_certificate(x->ssl, ca, trust_and_name))
		return "the file holds no certificate of an authority that can be used";
	if (EVP_Digest(ca.p, ca.n, x->ca, NULL, EVP_sha256(), NULL) != 1)
		return "OpenSSL does not start";
	x->asks = true;
	SSL_CTX_set_verify(x->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(x->ssl, verify_and_go_on, NULL);
	return NULL;
}

/* ---- contexts -------------------------------------------------------------------------------- */

struct tls_context *
tls_context_server(
    struct arena *a, const struct tls_server *conf, unsigned *which, struct strv *why)
{
	struct tls_context *x = context_new(TLS_server_method(), conf->minimum);
	const char         *wrong;

	*which = 0;
	if (x->ssl == NULL || !tls_ticket_begin())
		return refuse(x, a, "OpenSSL does not start", why);
	if (conf->id.n > TLS_ID_MAX)
		return refuse(x, a, "the session id context is too long", why);
	if (conf->id.n > 0)
		memcpy(x->id, conf->id.p, conf->id.n);
	x->id_n = conf->id.n;
	SSL_CTX_set_dh_auto(x->ssl, 1);
	tls_ticket_install(x);
	tls_sni_install(x);
	wrong = load_all(x, conf, which);
	if (wrong == NULL) {
		*which = conf->n_certificate;
		wrong = ask_clients(x, conf->client_ca);
	}
	return wrong == NULL ? x : refuse(x, a, wrong, why);
}

/* The system's authorities are read when one is looked for, from its folder of hashes. */
struct tls_context *
tls_context_client(struct arena *a, const struct tls_client *conf, struct strv *why)
{
	struct tls_context *x = context_new(TLS_client_method(), conf->minimum);

	if (x->ssl == NULL)
		return refuse(x, a, "OpenSSL does not start", why);
	x->verify = conf->verify;
	SSL_CTX_set_verify(x->ssl, conf->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	tls_client_install(x);
	if (conf->ca.p != NULL && !each_certificate(x->ssl, conf->ca, trust))
		return refuse(
		    x, a, "the file holds no certificate of an authority that can be used", why);
	if (conf->ca.p == NULL && SSL_CTX_set_default_verify_paths(x->ssl) != 1)
		return refuse(x, a, "the system's authorities cannot be used", why);
	ERR_clear_error();
	return x;
}
