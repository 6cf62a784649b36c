/*
 * certs -- see certs.h: a table of certificates, each made when it is first wanted.
 *
 * Invariant: their ends are fixed dates, so that nothing here depends on the day of the test but
 * that it is after 2001 and before 2100.
 */
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/certs.h"
#include "tests/sim/world_sim.h"

enum who { CA, TLS, TWO, OLD, SOON, CLIENT, STRANGER, UP, UP_EXPIRED, UP_WRONG, UP_SELF, WHO_N };

/* clang-format off */
static const struct {
	const char *file;               /* NULL: none is written */
	const char *cn, *names, *until; /* names: subjectAltName or NULL */
	bool        self;
} table[WHO_N] = {
	[CA]         = { "/ca",     "the CA of the tests", NULL,                             "21000101000000Z", true },
	[TLS]        = { "/tls",    "mx.test",     "DNS:mx.test",                            "21000101000000Z", true },
	[TWO]        = { "/two",    "two.test",    "DNS:two.test,DNS:*.two.test",            "21000101000000Z", false },
	[OLD]        = { "/old",    "mx.test",     "DNS:mx.test",                            "20010101000000Z", false },
	[SOON]       = { "/soon",   "mx.test",     "DNS:mx.test",                            "20260102000000Z", false },
	[CLIENT]     = { "/client", "client.test", "DNS:client.test",                        "21000101000000Z", false },
	[STRANGER]   = { NULL,      "client.test", "DNS:client.test",                        "21000101000000Z", true },
	[UP]         = { "/up",     "mail.test",   "DNS:mail.test,DNS:localhost,IP:127.0.0.1", "21000101000000Z", false },
	[UP_EXPIRED] = { NULL,      "mail.test",   "DNS:mail.test,IP:127.0.0.1",             "20010101000000Z", false },
	[UP_WRONG]   = { NULL,      "wrong.test",  "DNS:wrong.test",                         "21000101000000Z", false },
	[UP_SELF]    = { NULL,      "mail.test",   "DNS:mail.test,IP:127.0.0.1",             "21000101000000Z", true },
};
/* clang-format on */

static struct {
	EVP_PKEY *key;
	X509     *x;
} made[WHO_N];

static void
extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX      ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (e == NULL || X509_add_ext(x, e, -1) != 1)
		abort();
	X509_EXTENSION_free(e);
}

static void
make(enum who w)
{
	X509      *x = X509_new(), *issuer;
	X509_NAME *name = X509_get_subject_name(x);
	EVP_PKEY  *key = EVP_EC_gen("P-256"), *signer;

	made[w].x = x;
	made[w].key = key;
	if (!table[w].self && made[CA].x == NULL)
		make(CA);
	issuer = table[w].self ? x : made[CA].x;
	signer = table[w].self ? key : made[CA].key;
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), (long)w + 1);
	ASN1_TIME_set_string(X509_getm_notBefore(x), "20000101000000Z");
	ASN1_TIME_set_string(X509_getm_notAfter(x), table[w].until);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_ASC, (const unsigned char *)table[w].cn, -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	X509_set_pubkey(x, key);
	if (w == CA)
		extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
	if (table[w].names != NULL)
		extend(x, issuer, NID_subject_alt_name, table[w].names);
	if (X509_sign(x, signer, EVP_sha256()) == 0)
		abort();
}

static void
want(enum who w)
{
	if (made[w].x == NULL)
		make(w);
}

static void
write_pem(struct sim *s, const char *file, const char *ending, X509 *x, EVP_PKEY *key)
{
	BIO *b = BIO_new(BIO_s_mem());
	char path[40], *p;
	long n;

	snprintf(path, sizeof(path), "%s%s", file, ending);
	if (x != NULL)
		PEM_write_bio_X509(b, x);
	else
		PEM_write_bio_PrivateKey(b, key, NULL, NULL, 0, NULL, NULL);
	n = BIO_get_mem_data(b, &p);
	sim_write_file(s, path, strv(p, (size_t)n));
	BIO_free(b);
}

void
certs_write(struct sim *s)
{
	for (enum who w = CA; w < WHO_N; w++) {
		if (table[w].file == NULL)
			continue;
		want(w);
		write_pem(s, table[w].file, ".crt", made[w].x, NULL);
		write_pem(s, table[w].file, ".key", NULL, made[w].key);
	}
}

void *
certs_server(enum cert_kind kind, bool tls12)
{
	static const enum who of[] = { UP, UP_EXPIRED, UP_WRONG, UP_SELF };
	SSL_CTX              *ctx = SSL_CTX_new(TLS_server_method());
	enum who              w = of[kind];

	want(w);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (tls12)
		SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"up", 2);
	if (SSL_CTX_use_certificate(ctx, made[w].x) != 1 ||
	    SSL_CTX_use_PrivateKey(ctx, made[w].key) != 1)
		abort();
	return ctx;
}

void *
certs_client(void)
{
	static SSL_CTX *ctx;

	if (ctx != NULL)
		return ctx;
	ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	return ctx;
}

void
certs_of_client(bool known, void **x509, void **pkey)
{
	enum who w = known ? CLIENT : STRANGER;

	want(w);
	*x509 = made[w].x;
	*pkey = made[w].key;
}

void
certs_free(void *ctx)
{
	SSL_CTX_free(ctx);
}
