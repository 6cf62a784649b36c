/*
 * crypt -- digests, and signatures that we make, for DKIM and ARC, by OpenSSL's EVP.
 *
 * Nothing is left in OpenSSL's error queue, which all fibers share.
 */
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "proxy/base/arena.h"
#include "proxy/base/crypt_own.h"

enum { RSA_LEAST = 1024 };

struct crypt_digest {
	EVP_MD_CTX *ctx;
};

struct crypt_key {
	EVP_PKEY       *key;
	enum crypt_kind kind;
	unsigned        bits;
};

/* ---- digest ---------------------------------------------------------------------------------- */

/* Fetched once a process: an implicit fetch costs more than hashing a short header. */
static const EVP_MD *
sha256(void)
{
	static EVP_MD *md;

	if (md == NULL)
		md = EVP_MD_fetch(NULL, "SHA256", NULL);
	return md;
}

/* Fails only where there is no memory, and then as an arena does. */
static void
must(int rc)
{
	if (rc != 1)
		abort();
}

static void
free_digest(void *arg)
{
	EVP_MD_CTX_free(arg);
}

static struct crypt_digest *
new_digest(struct arena *a)
{
	struct crypt_digest *d = arena_alloc(a, sizeof(*d));

	ERR_clear_error();
	d->ctx = EVP_MD_CTX_new();
	if (d->ctx == NULL)
		abort();
	arena_defer(a, free_digest, d->ctx);
	return d;
}

struct crypt_digest *
crypt_digest_begin(struct arena *a)
{
	struct crypt_digest *d = new_digest(a);

	must(EVP_DigestInit_ex2(d->ctx, sha256(), NULL));
	return d;
}

struct crypt_digest *
crypt_digest_copy(struct arena *a, const struct crypt_digest *d)
{
	struct crypt_digest *copy = new_digest(a);

	must(EVP_MD_CTX_copy_ex(copy->ctx, d->ctx));
	return copy;
}

void
crypt_digest_add(struct crypt_digest *d, struct strv v)
{
	if (v.n > 0)
		must(EVP_DigestUpdate(d->ctx, v.p, v.n));
}

void
crypt_digest_end(struct crypt_digest *d, unsigned char out[CRYPT_SHA256])
{
	must(EVP_DigestFinal_ex(d->ctx, out, NULL));
}

/* ---- private keys ---------------------------------------------------------------------------- */

/* A key with a password would make OpenSSL ask the terminal. */
static int
no_password(char *buf, int n, int writing, void *arg)
{
	(void)buf, (void)n, (void)writing, (void)arg;
	return -1;
}

static EVP_PKEY *
read_pem(struct strv pem)
{
	BIO *b = pem.p != NULL && pem.n <= INT32_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
	EVP_PKEY *key = b != NULL ? PEM_read_bio_PrivateKey(b, NULL, no_password, NULL) : NULL;

	BIO_free(b);
	return key;
}

static void
free_key(void *arg)
{
	EVP_PKEY_free(arg);
}

/* NULL: the key will do. */
static const char *
unfit(struct arena *a, struct crypt_key *k)
{
	BIGNUM *e = NULL;
	bool    odd;

	if (EVP_PKEY_is_a(k->key, "ED25519")) {
		k->kind = CRYPT_ED25519;
		k->bits = 256;
		return NULL;
	}
	if (!EVP_PKEY_is_a(k->key, "RSA"))
		return "neither RSA nor Ed25519";
	k->kind = CRYPT_RSA;
	k->bits = (unsigned)EVP_PKEY_get_bits(k->key);
	if (k->bits < RSA_LEAST || k->bits > CRYPT_RSA_MAX)
		return arena_z(a,
		    arena_printf(
			a, "RSA of %u bits: %u to %u will do", k->bits, RSA_LEAST, CRYPT_RSA_MAX));
	odd = EVP_PKEY_get_bn_param(k->key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) &&
	    !BN_is_one(e) && BN_num_bits(e) <= EXPONENT_OCTETS * 8;
	BN_free(e);
	return odd ? NULL : "an exponent that others refuse";
}

const struct crypt_key *
crypt_key_read(struct arena *a, struct strv pem, const char **why)
{
	struct crypt_key *k = arena_alloc(a, sizeof(*k));

	ERR_clear_error();
	k->key = read_pem(pem);
	if (k->key != NULL)
		arena_defer(a, free_key, k->key);
	if (k->key != NULL)
		*why = unfit(a, k);
	else if (pem.p != NULL && memmem(pem.p, pem.n, "ENCRYPTED", 9) != NULL)
		*why = "encrypted";
	else
		*why = "no private key in PEM";
	ERR_clear_error();
	return *why == NULL ? k : NULL;
}

enum crypt_kind
crypt_key_kind(const struct crypt_key *k)
{
	return k->kind;
}

unsigned
crypt_key_bits(const struct crypt_key *k)
{
	return k->bits;
}

struct strv
crypt_key_public(struct arena *a, const struct crypt_key *k)
{
	unsigned char raw[ED25519_KEY], *der = NULL;
	size_t        n = sizeof(raw);
	struct strv   out = strv("", 0);
	int           len;

	ERR_clear_error();
	if (k->kind == CRYPT_ED25519) {
		if (EVP_PKEY_get_raw_public_key(k->key, raw, &n) == 1)
			out = arena_dup(a, strv((const char *)raw, n));
	} else if ((len = i2d_PUBKEY(k->key, &der)) > 0)
		out = arena_dup(a, strv((const char *)der, (size_t)len));
	OPENSSL_free(der);
	ERR_clear_error();
	return out;
}

EVP_PKEY_CTX *
crypt_rsa_context(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (ctx != NULL && init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, sha256()) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static size_t
sign_rsa(EVP_PKEY *key, const unsigned char *digest, unsigned char *out, size_t n)
{
	EVP_PKEY_CTX *ctx = crypt_rsa_context(key, EVP_PKEY_sign_init);

	if (ctx == NULL || EVP_PKEY_sign(ctx, out, &n, digest, CRYPT_SHA256) != 1)
		n = 0;
	EVP_PKEY_CTX_free(ctx);
	return n;
}

static size_t
sign_ed25519(EVP_PKEY *key, const unsigned char *digest, unsigned char *out, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
	    EVP_DigestSign(ctx, out, &n, digest, CRYPT_SHA256) != 1)
		n = 0;
	EVP_MD_CTX_free(ctx);
	return n;
}

struct strv
crypt_sign(struct arena *a, const struct crypt_key *k, const unsigned char digest[CRYPT_SHA256])
{
	unsigned char out[CRYPT_SIGN_MAX];
	size_t        n;

	ERR_clear_error();
	n = k->kind == CRYPT_RSA ? sign_rsa(k->key, digest, out, sizeof(out)) :
				   sign_ed25519(k->key, digest, out, sizeof(out));
	ERR_clear_error();
	return arena_dup(a, strv((const char *)out, n));
}
