/*
 * crypt_verify -- signatures of others, by OpenSSL's EVP.
 *
 * A public key comes from a stranger's DNS.  So its few octets of DER are read here, and only a modulus and an
 * exponent that were found within bounds reach OpenSSL: what a verification costs is bounded by CRYPT_RSA_MAX.
 * Nothing is left in OpenSSL's error queue, which all fibers share.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "proxy/base/arena.h"
#include "proxy/base/crypt_own.h"
#include "proxy/base/hash.h"

enum {
	PUBLIC_OCTETS = CRYPT_RSA_MAX / 8 + 64
}; /* of a key that is kept: the modulus, and DER around it */

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

/* ---- a key for OpenSSL ------------------------------------------------------------------------ */

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

/* ---- keys that are kept ---------------------------------------------------------------------- */

struct crypt_kept {
	struct place {
		EVP_PKEY_CTX *ctx; /* ready to verify; NULL: the place is free */
		size_t        n;
		char public[PUBLIC_OCTETS];
	} place[CRYPT_KEPT];
};

static void
free_kept(void *arg)
{
	struct crypt_kept *kept = arg;

	for (unsigned i = 0; i < CRYPT_KEPT; i++)
		EVP_PKEY_CTX_free(kept->place[i].ctx);
}

struct crypt_kept *
crypt_kept_new(struct arena *a)
{
	struct crypt_kept *kept = arena_alloc(a, sizeof(*kept));

	arena_defer(a, free_kept, kept);
	return kept;
}

/* Who looks for keys that share a place makes us read them again, as without it. */
static struct place *
place_of(struct crypt_kept *kept, struct strv public)
{
	if (kept == NULL || public.n > PUBLIC_OCTETS)
		return NULL;
	return &kept->place[crc32c(0, public) % CRYPT_KEPT];
}

static void
keep(struct place *p, struct strv public, EVP_PKEY_CTX *ctx)
{
	EVP_PKEY_CTX_free(p->ctx);
	p->ctx = ctx;
	p->n = public.n;
	memcpy(p->public, public.p, public.n);
}

/* ---- verifying ------------------------------------------------------------------------------- */

static EVP_PKEY_CTX *
make_context(const struct rsa_public *k)
{
	EVP_PKEY     *key = make_rsa(k);
	EVP_PKEY_CTX *ctx = key != NULL ? crypt_rsa_context(key, EVP_PKEY_verify_init) : NULL;

	EVP_PKEY_free(key);
	return ctx;
}

static enum crypt_rc
verify_rsa(struct crypt_kept *kept, struct strv public, unsigned minimum,
    const unsigned char digest[CRYPT_SHA256], struct strv sig)
{
	struct place     *p = place_of(kept, public);
	struct rsa_public k;
	EVP_PKEY_CTX     *ctx;
	bool              ok;

	if (!read_public(public, &k) || !within_bounds(&k, minimum))
		return CRYPT_BAD;
	if (sig.n != k.n.n) /* RFC 8017 8.2.2 */
		return CRYPT_WRONG;
	if (p != NULL && p->ctx != NULL && strv_eq(strv(p->public, p->n), public))
		ctx = p->ctx;
	else if ((ctx = make_context(&k)) == NULL)
		return CRYPT_BAD;
	else if (p != NULL)
		keep(p, public, ctx);
	ok = EVP_PKEY_verify(ctx, (const unsigned char *)sig.p, sig.n, digest, CRYPT_SHA256) == 1;
	if (p == NULL)
		EVP_PKEY_CTX_free(ctx);
	return ok ? CRYPT_OK : CRYPT_WRONG;
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
crypt_verify(struct crypt_kept *kept, enum crypt_kind kind, struct strv public, unsigned minimum,
    const unsigned char digest[CRYPT_SHA256], struct strv signature)
{
	enum crypt_rc rc;

	ERR_clear_error();
	rc = kind == CRYPT_RSA ? verify_rsa(kept, public, minimum, digest, signature) :
				 verify_ed25519(public, digest, signature);
	ERR_clear_error();
	return rc;
}
