/*
 * crypt -- digests and signatures for DKIM and ARC, by OpenSSL's EVP.
 *
 * A public key comes from a stranger's DNS.  So its few octets of DER are read here, and only a modulus and an
 * exponent that were found within bounds reach OpenSSL: what a verification costs is bounded by CRYPT_RSA_MAX.
 * Nothing is left in OpenSSL's error queue, which all fibers share.
 */
#include "proxy/base/crypt.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "proxy/base/arena.h"

enum { RSA_LEAST = 1024, EXPONENT_OCTETS = 4, ED25519_KEY = 32, ED25519_SIGNATURE = 64 };

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

/* ---- a public key's DER ---------------------------------------------------------------------- */

enum { DER_INTEGER = 0x02, DER_BITS = 0x03, DER_SEQUENCE = 0x30 };

struct rsa_public {
	struct strv n, e; /* big-endian, without zeros in front */
	unsigned    bits;
};

/*
 * The content of the element of that tag at the front of *v, which moves behind it.  Absent: there is none.
 * Lengths are definite; that they are the shortest form is not demanded (X.690 8.1.3).
 */
static struct strv
der_take(struct strv *v, unsigned char tag)
{
	const unsigned char *p = (const unsigned char *)v->p;
	size_t               n, head = 2;
	struct strv          content;

	if (v->n < 2 || p[0] != tag)
		return strv(NULL, 0);
	n = p[1];
	if (n > 0x80 && n <= 0x83) {
		head += n & 0x7f;
		n = 0;
		for (size_t i = 2; i < head && i < v->n; i++)
			n = n << 8 | p[i];
	} else if (n >= 0x80)
		return strv(NULL, 0);
	if (head > v->n || n > v->n - head)
		return strv(NULL, 0);
	content = strv(v->p + head, n);
	*v = strv_from(*v, head + n);
	return content;
}

/* A number above 0; absent: it is none. */
static struct strv
der_positive(struct strv *v)
{
	struct strv n = der_take(v, DER_INTEGER);

	if (n.n == 0 || (unsigned char)n.p[0] >= 0x80)
		return strv(NULL, 0);
	while (n.n > 0 && n.p[0] == '\0')
		n = strv_from(n, 1);
	return n.n > 0 ? n : strv(NULL, 0);
}

static unsigned
bits_of(struct strv n)
{
	unsigned bits = (unsigned)(n.n < UINT32_MAX / 8 ? n.n * 8 : UINT32_MAX);

	for (unsigned char top = (unsigned char)n.p[0]; top < 0x80 && bits > 0; top <<= 1)
		bits--;
	return bits;
}

/* RFC 8017 A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
static bool
read_rsa_public(struct strv der, struct rsa_public *out)
{
	struct strv inside = der_take(&der, DER_SEQUENCE);

	out->n = der_positive(&inside);
	out->e = der_positive(&inside);
	if (out->n.p == NULL || out->e.p == NULL || inside.n > 0 || der.n > 0)
		return false;
	out->bits = bits_of(out->n);
	return true;
}

/*
 * RFC 5280 4.1: SubjectPublicKeyInfo ::= SEQUENCE { SEQUENCE { rsaEncryption, NULL }, BIT STRING of the above }.
 * RFC 6376 3.6.1 names both forms.
 */
static bool
read_public(struct strv der, struct rsa_public *out)
{
	static const char rsa[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
	struct strv       all = der, inside = der_take(&all, DER_SEQUENCE), algorithm, bits;

	if (inside.n == 0 || inside.p[0] != DER_SEQUENCE)
		return read_rsa_public(der, out);
	algorithm = der_take(&inside, DER_SEQUENCE);
	bits = der_take(&inside, DER_BITS);
	if (all.n > 0 || inside.n > 0 || !strv_starts(algorithm, strv(rsa, sizeof(rsa) - 1)))
		return false;
	algorithm = strv_from(algorithm, sizeof(rsa) - 1);
	if (algorithm.n > 0 && !strv_eq(algorithm, SV("\x05\x00")))
		return false;
	return bits.n > 0 && bits.p[0] == '\0' && read_rsa_public(strv_from(bits, 1), out);
}

/*
 * RFC 6376 3.3.3 and RFC 8301 3.2 have the sizes.  An even number is no modulus and no exponent, 1 is a forger's
 * exponent, and one above 2^32 only costs.
 */
static bool
within_bounds(const struct rsa_public *k, unsigned minimum)
{
	bool odd = (k->n.p[k->n.n - 1] & 1) && (k->e.p[k->e.n - 1] & 1);
	bool one = k->e.n == 1 && k->e.p[0] == 1;

	return k->bits >= minimum && k->bits <= CRYPT_RSA_MAX && odd && !one &&
	    k->e.n <= EXPONENT_OCTETS;
}

unsigned
crypt_public_bits(struct strv der)
{
	struct rsa_public k;

	return read_public(der, &k) ? k.bits : 0;
}

bool
crypt_public_fits(enum crypt_kind kind, struct strv public, unsigned minimum)
{
	struct rsa_public k;

	if (kind == CRYPT_ED25519)
		return public.n == ED25519_KEY;
	return read_public(public, &k) && within_bounds(&k, minimum);
}

/* ---- verifying ------------------------------------------------------------------------------- */

/* Big-endian octets as a number in the machine's order, as OSSL_PARAM wants it. */
static OSSL_PARAM
param_of(const char *name, struct strv number, unsigned char *room)
{
	union {
		uint16_t      word;
		unsigned char low;
	} order = { .word = 1 };

	for (size_t i = 0; i < number.n; i++)
		room[order.low ? number.n - 1 - i : i] = (unsigned char)number.p[i];
	return OSSL_PARAM_construct_BN(name, room, number.n);
}

static EVP_PKEY *
make_rsa(const struct rsa_public *k)
{
	unsigned char n[CRYPT_RSA_MAX / 8], e[EXPONENT_OCTETS];
	OSSL_PARAM    params[] = { param_of(OSSL_PKEY_PARAM_RSA_N, k->n, n),
		   param_of(OSSL_PKEY_PARAM_RSA_E, k->e, e), OSSL_PARAM_construct_end() };
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY     *key = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* RFC 6376 3.3: RSASSA-PKCS1-v1_5 with SHA-256, of a digest that is there. */
static EVP_PKEY_CTX *
rsa_context(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);

	if (ctx != NULL && init(ctx) == 1 &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(ctx, sha256()) == 1)
		return ctx;
	EVP_PKEY_CTX_free(ctx);
	return NULL;
}

static enum crypt_rc
verify_rsa(
    struct strv public, unsigned minimum, const unsigned char digest[CRYPT_SHA256], struct strv sig)
{
	struct rsa_public k;
	EVP_PKEY         *key;
	EVP_PKEY_CTX     *ctx;
	enum crypt_rc     rc = CRYPT_BAD;

	if (!read_public(public, &k) || !within_bounds(&k, minimum))
		return CRYPT_BAD;
	if (sig.n != k.n.n) /* RFC 8017 8.2.2 */
		return CRYPT_WRONG;
	key = make_rsa(&k);
	ctx = key != NULL ? rsa_context(key, EVP_PKEY_verify_init) : NULL;
	if (ctx != NULL)
		rc = EVP_PKEY_verify(
			 ctx, (const unsigned char *)sig.p, sig.n, digest, CRYPT_SHA256) == 1 ?
		    CRYPT_OK :
		    CRYPT_WRONG;
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

/* RFC 8463 3: what Ed25519 signs is the digest. */
static enum crypt_rc
verify_ed25519(struct strv public, const unsigned char digest[CRYPT_SHA256], struct strv sig)
{
	EVP_PKEY     *key;
	EVP_MD_CTX   *ctx;
	enum crypt_rc rc = CRYPT_BAD;

	if (public.n != ED25519_KEY)
		return CRYPT_BAD;
	if (sig.n != ED25519_SIGNATURE)
		return CRYPT_WRONG;
	key = EVP_PKEY_new_raw_public_key_ex(
	    NULL, "ED25519", NULL, (const unsigned char *)public.p, public.n);
	ctx = EVP_MD_CTX_new();
	if (key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1)
		rc = EVP_DigestVerify(
			 ctx, (const unsigned char *)sig.p, sig.n, digest, CRYPT_SHA256) == 1 ?
		    CRYPT_OK :
		    CRYPT_WRONG;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return rc;
}

enum crypt_rc
crypt_verify(enum crypt_kind kind, struct strv public, unsigned minimum,
    const unsigned char digest[CRYPT_SHA256], struct strv signature)
{
	enum crypt_rc rc;

	ERR_clear_error();
	rc = kind == CRYPT_RSA ? verify_rsa(public, minimum, digest, signature) :
				 verify_ed25519(public, digest, signature);
	ERR_clear_error();
	return rc;
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

static size_t
sign_rsa(EVP_PKEY *key, const unsigned char *digest, unsigned char *out, size_t n)
{
	EVP_PKEY_CTX *ctx = rsa_context(key, EVP_PKEY_sign_init);

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
