/*
 * crypt -- digests and signatures, on OpenSSL: what DKIM and ARC need of it.
 *
 * Nothing here parks.  A peer's key or signature that is nonsense is CRYPT_BAD, never more.
 */
#ifndef PROXY_BASE_CRYPT_H
#define PROXY_BASE_CRYPT_H

#include "proxy/base/strv.h"

struct arena;
struct crypt_digest;    /* SHA-256 that is under way */
struct crypt_key;       /* a private key */
struct crypt_kept;      /* public keys that OpenSSL has made ready */

#define CRYPT_SHA256     32
#define CRYPT_RSA_MAX    4096   /* bits; more is refused: RFC 6376 3.3.3, and it costs */
#define CRYPT_SIGN_MAX   512    /* octets of a signature */
#define CRYPT_KEPT       64     /* keys; about 4 KiB each */

enum crypt_kind { CRYPT_RSA, CRYPT_ED25519 };
enum crypt_rc { CRYPT_OK, CRYPT_WRONG /* the signature is not of this */, CRYPT_BAD /* no such key, or out of bounds */ };

/* a owns it, however it ends (arena_defer). */
struct crypt_digest *crypt_digest_begin(struct arena *a);
void crypt_digest_add(struct crypt_digest *d, struct strv v);
/* Another that goes on from where d is: for prefixes that are hashed once. */
struct crypt_digest *crypt_digest_copy(struct arena *a, const struct crypt_digest *d);
/* Once. */
void crypt_digest_end(struct crypt_digest *d, unsigned char out[CRYPT_SHA256]);

/*
 * crypt_key_read -- a private key from PEM text
 *
 * a owns it.  NULL: *why says what is wrong ("no private key in PEM", "encrypted", "RSA of 1024 bits: ...").
 */
const struct crypt_key *crypt_key_read(struct arena *a, struct strv pem, const char **why);
enum crypt_kind crypt_key_kind(const struct crypt_key *k);
unsigned crypt_key_bits(const struct crypt_key *k);     /* of RSA; 256 of Ed25519 */
/* The p= of its public half: RSA: SubjectPublicKeyInfo (RFC 6376 3.6.1), Ed25519: the 32 octets (RFC 8463 4). In a. */
struct strv crypt_key_public(struct arena *a, const struct crypt_key *k);
/* Signs a SHA-256 digest: RSASSA-PKCS1-v1_5 (RFC 6376 3.3), Ed25519 over the digest (RFC 8463 3). In a; empty: failed. */
struct strv crypt_sign(struct arena *a, const struct crypt_key *k, const unsigned char digest[CRYPT_SHA256]);

/*
 * Room for the RSA keys that sign most of the mail: making one ready takes as long as using it.  Only octets that are
 * the same find it, so a key that changes in the DNS is another key.  a owns it; one a thread.
 */
struct crypt_kept *crypt_kept_new(struct arena *a);
/*
 * crypt_verify -- is `signature' one of `digest' by that public key (octets of p=, base64 undone)?
 *
 *   kept      NULL: the key is made for this signature alone
 *   minimum   bits of RSA; fewer, more than CRYPT_RSA_MAX, and absurd exponents are CRYPT_BAD
 */
enum crypt_rc crypt_verify(struct crypt_kept *kept, enum crypt_kind kind, struct strv public, unsigned minimum,
    const unsigned char digest[CRYPT_SHA256], struct strv signature);
/* Bits of an RSA key in p=, 0: it is none. */
unsigned crypt_public_bits(struct strv der);
/* Is it a key within the bounds of crypt_verify?  Costs next to nothing. */
bool crypt_public_fits(enum crypt_kind kind, struct strv public, unsigned minimum);

#endif
