/* Digests, keys and signatures: published and foreign vectors, and what strangers put into p= and b=. */
#include "proxy/base/crypt.h"

#include <openssl/err.h>

#include "proxy/base/arena.h"
#include "tests/unit/t.h"
#include "tests/unit/test_keys.h"

static struct arena *a;

static int
digit(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

static struct strv
unhex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	char  *p = arena_bytes(a, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
	return strv(p, n);
}

static struct strv
digest_of(struct strv v, size_t piece)
{
	struct crypt_digest *d = crypt_digest_begin(a);
	unsigned char       *out = arena_bytes(a, CRYPT_SHA256);

	for (size_t i = 0; i < v.n; i += piece)
		crypt_digest_add(d, strv(v.p + i, v.n - i < piece ? v.n - i : piece));
	crypt_digest_end(d, out);
	return strv((const char *)out, CRYPT_SHA256);
}

/* FIPS 180-2, appendix B. */
static void
digests(void)
{
	static char many[1000000];

	memset(many, 'a', sizeof(many));
	T_EQ_STRV(digest_of(SV("abc"), 1),
	    unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
	T_EQ_STRV(digest_of(strv(many, sizeof(many)), 997),
	    unhex("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"));
	T_EQ_STRV(digest_of(SV(""), 1),
	    unhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
}

static void
copied_digests(void)
{
	struct crypt_digest *d = crypt_digest_begin(a), *copy;
	unsigned char        out[CRYPT_SHA256];

	crypt_digest_add(d, SV("a"));
	copy = crypt_digest_copy(a, d);
	crypt_digest_add(d, SV("b"));
	crypt_digest_add(copy, SV("c"));
	crypt_digest_end(d, out);
	T_EQ_STRV(strv((char *)out, sizeof(out)), digest_of(SV("ab"), 2));
	crypt_digest_end(copy, out);
	T_EQ_STRV(strv((char *)out, sizeof(out)), digest_of(SV("ac"), 2));
}

#define FOX_RSA \
	"2b596c0283f1e63a6d3e1f75f0a5a942a2f91fe9ecff094f0107464bceab6da5b61f80257d1af218" \
	"10094a7b9df8d1d3e0d230a7944bad0179b87425ca0608dc51649f77d23bd15fdc37fa321e8fed47" \
	"4a9e01a37445826cccaa5777feba2c21d373b44a2b40ceef7cea310b55076c03062ac82d7fc8fe9b" \
	"cd7e93d3d9cc09be"
#define FOX_ED25519 \
	"9cd44f335e37b8514350e1ff9c9fdd7b806740081cc69871b0efaf098b689a3eb4cda85bb79dabf8" \
	"705522b85c7889902ee49be91eec83e9645c4ff90958c20d"

static const unsigned char *
fox(void)
{
	return (const unsigned char *)digest_of(SV("The quick brown fox"), 19).p;
}

static const struct crypt_key *
key_of(const char *pem)
{
	const char             *why = NULL;
	const struct crypt_key *k = crypt_key_read(a, strv_z(pem), &why);

	T_CHECKF(k != NULL, "no key: %s", why);
	return k;
}

/* What openssl(1) signed with these keys is what we sign, and verifies. */
static void
signatures(void)
{
	static const struct {
		const char     *pem, *want;
		enum crypt_kind kind;
		unsigned        bits;
	} rows[] = {
		{ KEY_RSA_1024, FOX_RSA, CRYPT_RSA, 1024 },
		{ KEY_ED25519, FOX_ED25519, CRYPT_ED25519, 256 },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		const struct crypt_key *k = key_of(rows[i].pem);
		struct strv             p = crypt_key_public(a, k), sig = unhex(rows[i].want);

		T_CHECK(crypt_key_kind(k) == rows[i].kind);
		T_EQ_NUM(crypt_key_bits(k), rows[i].bits);
		T_EQ_STRV(crypt_sign(a, k, fox()), sig);
		T_CHECK(crypt_verify(NULL, rows[i].kind, p, 1024, fox(), sig) == CRYPT_OK);
		for (size_t bit = 0; bit < sig.n * 8; bit++) {
			struct strv bad = arena_dup(a, sig);

			((char *)bad.p)[bit / 8] ^= (char)(1 << bit % 8);
			T_CHECK(
			    crypt_verify(NULL, rows[i].kind, p, 1024, fox(), bad) == CRYPT_WRONG);
		}
		for (size_t n = 0; n < sig.n; n++)
			T_CHECK(crypt_verify(NULL, rows[i].kind, p, 1024, fox(),
				    strv_first(sig, n)) == CRYPT_WRONG);
		T_CHECK(crypt_verify(NULL, rows[i].kind, p, 1024,
			    (const unsigned char *)digest_of(SV("another fox"), 3).p,
			    sig) == CRYPT_WRONG);
		T_CHECK(ERR_peek_error() == 0);
	}
}

/* RFC 8463 A.2, and the p= of the key above by openssl(1). */
static void
public_keys(void)
{
	struct strv spki = crypt_key_public(a, key_of(KEY_RSA_1024)), bare = strv_from(spki, 22);

	T_EQ_STRV(crypt_key_public(a, key_of(KEY_ED25519)),
	    unhex("2e1fdd7a2214135787bd0ab1f4c899501bf862bc1a37673f5ef50e179312ba58"));
	T_EQ_NUM(spki.n, 162);
	T_EQ_NUM(crypt_public_bits(spki), 1024);
	T_EQ_NUM(crypt_public_bits(bare), 1024);
	T_EQ_NUM(crypt_public_bits(crypt_key_public(a, key_of(KEY_RSA_2048))), 2048);
	T_EQ_NUM(crypt_public_bits(SV("")), 0);
	T_CHECK(crypt_verify(NULL, CRYPT_RSA, bare, 1024, fox(), unhex(FOX_RSA)) == CRYPT_OK);
	T_CHECK(crypt_verify(NULL, CRYPT_RSA, bare, 1025, fox(), unhex(FOX_RSA)) == CRYPT_BAD);
	T_CHECK(
	    crypt_verify(NULL, CRYPT_ED25519, bare, 1024, fox(), unhex(FOX_ED25519)) == CRYPT_BAD);
}

/* Cut anywhere, or with an octet changed, it is no key or another; with one more behind it, none. */
static void
mangled_keys(void)
{
	struct strv sig = unhex(FOX_RSA), spki = crypt_key_public(a, key_of(KEY_RSA_1024));

	for (size_t n = 0; n < spki.n; n++) {
		char       *copy = malloc(n + 1); /* of exactly that size, for the sanitizer */
		struct strv cut = strv(copy, n);

		memcpy(copy, spki.p, n);
		T_CHECK(crypt_verify(NULL, CRYPT_RSA, cut, 1024, fox(), sig) == CRYPT_BAD);
		copy[n] = 0x55;
		if (n >= 22)
			T_CHECK(crypt_verify(NULL, CRYPT_RSA, strv_from(strv(copy, n), 22), 1024,
				    fox(), sig) == CRYPT_BAD);
		free(copy);
	}
	for (size_t i = 0; i < spki.n; i++)
		for (unsigned v = 0; v < 256; v++) {
			struct strv other = arena_dup(a, spki);

			((char *)other.p)[i] = (char)v;
			if (!strv_eq(other, spki))
				T_CHECK(crypt_verify(NULL, CRYPT_RSA, other, 1024, fox(), sig) !=
				    CRYPT_OK);
		}
	T_CHECK(crypt_verify(NULL, CRYPT_RSA, arena_concat(a, spki, SV("x")), 1024, fox(), sig) ==
	    CRYPT_BAD);
	T_CHECK(ERR_peek_error() == 0);
}

/* ---- made up: RSAPublicKey of any numbers ---- */

static size_t
put_head(char *p, unsigned char tag, size_t n)
{
	p[0] = (char)tag;
	p[1] = (char)0x83;
	p[2] = (char)(n >> 16);
	p[3] = (char)(n >> 8);
	p[4] = (char)n;
	return 5;
}

static size_t
put_integer(char *p, struct strv v)
{
	size_t n = put_head(p, 2, v.n + 1);

	p[n++] = 0;
	memcpy(p + n, v.p, v.n);
	return n + v.n;
}

/* An RSAPublicKey of those two. */
static struct strv
public_of(struct strv modulus, struct strv e)
{
	char  *p = arena_bytes(a, modulus.n + e.n + 100);
	size_t n = 5 + put_integer(p + 5, modulus);

	n += put_integer(p + n, e);
	put_head(p, 0x30, n - 5);
	return strv(p, n);
}

/* A modulus of that many bits (all of them 1, or its last 0), and that exponent. */
static struct strv
made_up(size_t bits, bool even, struct strv e)
{
	size_t octets = (bits + 7) / 8;
	char  *m = arena_bytes(a, octets + 1);

	memset(m, 0xff, octets);
	if (bits % 8 != 0)
		m[0] = (char)((1 << bits % 8) - 1);
	if (even)
		m[octets - 1] = (char)0xfe;
	return public_of(strv(m, octets), e);
}

#define F4 SV("\x01\x00\x01")

static void
absurd_keys(void)
{
	static const struct {
		const char   *name;
		size_t        bits;
		bool          even;
		struct strv   e;
		enum crypt_rc want; /* of a signature that cannot be right */
	} rows[] = {
		{ "1024 bits", 1024, false, { "\x01\x00\x01", 3 }, CRYPT_WRONG },
		{ "4096 bits", 4096, false, { "\x01\x00\x01", 3 }, CRYPT_WRONG },
		{ "exponent 3", 1024, false, { "\x03", 1 }, CRYPT_WRONG },
		{ "the largest exponent", 1024, false, { "\xff\xff\xff\xff", 4 }, CRYPT_WRONG },
		{ "zeros before the exponent", 1024, false, { "\0\0\0\0\0\0\x03", 7 },
		    CRYPT_WRONG },
		{ "1023 bits", 1023, false, { "\x01\x00\x01", 3 }, CRYPT_BAD },
		{ "1 bit", 1, false, { "\x01\x00\x01", 3 }, CRYPT_BAD },
		{ "4097 bits", 4097, false, { "\x01\x00\x01", 3 }, CRYPT_BAD },
		{ "a million bits", 1000000, false, { "\x01\x00\x01", 3 }, CRYPT_BAD },
		{ "even", 2048, true, { "\x01\x00\x01", 3 }, CRYPT_BAD },
		{ "exponent 0", 2048, false, { "\x00", 1 }, CRYPT_BAD },
		{ "exponent 1", 2048, false, { "\x01", 1 }, CRYPT_BAD },
		{ "exponent 2", 2048, false, { "\x02", 1 }, CRYPT_BAD },
		{ "an exponent above 2^32", 2048, false, { "\x01\x00\x00\x00\x01", 5 }, CRYPT_BAD },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv p = made_up(rows[i].bits, rows[i].even, rows[i].e), sig;
		size_t      n = (rows[i].bits + 7) / 8 < 512 ? (rows[i].bits + 7) / 8 : 512;

		t_row = rows[i].name;
		sig = strv(memset(arena_bytes(a, n), 0x11, n), n);
		T_CHECK(crypt_verify(NULL, CRYPT_RSA, p, 1024, fox(), sig) == rows[i].want);
		T_CHECK(crypt_verify(NULL, CRYPT_RSA, p, 1024, fox(), SV("")) == rows[i].want);
	}
	t_row = NULL;
	T_EQ_NUM(crypt_public_bits(made_up(1000000, false, F4)), 1000000);
}

/* A modulus of 1024 bits that nobody has the primes of. */
static struct strv
stranger(uint64_t *random)
{
	struct strv p = made_up(1024, false, F4);
	char       *octets = (char *)(uintptr_t)p.p;

	for (size_t i = p.n / 2; i < p.n / 2 + 32; i++)
		octets[i] = (char)t_random(random);
	return p;
}

/* Keys that are kept say what keys say that are not: one of ours among many more than there are places for. */
static void
kept_keys(void)
{
	struct crypt_kept *kept = crypt_kept_new(a);
	struct strv        ours = crypt_key_public(a, key_of(KEY_RSA_1024)), good = unhex(FOX_RSA);
	struct strv        bad = arena_dup(a, good), ed = crypt_key_public(a, key_of(KEY_ED25519));
	uint64_t           random = 1;

	((char *)(uintptr_t)bad.p)[100] ^= 1;
	for (unsigned i = 0; i < 2 * CRYPT_KEPT; i++) {
		T_CHECK(crypt_verify(kept, CRYPT_RSA, ours, 1024, fox(), good) == CRYPT_OK);
		T_CHECK(crypt_verify(kept, CRYPT_RSA, stranger(&random), 1024, fox(), good) ==
		    CRYPT_WRONG);
		if (i % 8 != 0)
			continue;
		T_CHECK(crypt_verify(kept, CRYPT_RSA, ours, 1024, fox(), bad) == CRYPT_WRONG);
		T_CHECK(crypt_verify(kept, CRYPT_RSA, ours, 1025, fox(), good) == CRYPT_BAD);
		T_CHECK(crypt_verify(kept, CRYPT_ED25519, ours, 1024, fox(), good) == CRYPT_BAD);
		T_CHECK(crypt_verify(kept, CRYPT_ED25519, ed, 1024, fox(), unhex(FOX_ED25519)) ==
		    CRYPT_OK);
	}
	T_CHECK(ERR_peek_error() == 0);
}

/* DER that is longer than it need be, by zeros before the modulus: as good a key, and no place is that large. */
static void
keys_too_long_to_keep(void)
{
	struct crypt_kept *kept = crypt_kept_new(a);
	char              *m = arena_bytes(a, 200 + 512), sig[512];

	memset(m, 0, 200);
	memset(m + 200, 0xff, 512);
	memset(sig, 0x11, sizeof(sig));
	for (unsigned i = 0; i < 2 * CRYPT_KEPT; i++) {
		struct strv p = public_of(strv(m + i, 200 + 512 - i), F4);

		m[400 + i] = 0x7f;
		T_CHECK(crypt_verify(kept, CRYPT_RSA, p, 1024, fox(), strv(sig, sizeof(sig))) ==
		    CRYPT_WRONG);
	}
}

/* Not DER, or not that: none of it is a key. */
static void
no_keys(void)
{
	/* clang-format off */
	static const char *const rows[] = {
		"", "30", "3000", "3080", "30ff", "3084ffffffff", "3082ffff", "30020200", "3003020100",
		"30060201ff020103", "3006020101", "300602010302010330", "020103",
		"30300d06092a864886f70d01010105000303", "300b300906072a8648ce3d0201", "30000000",
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i];
		T_CHECK(
		    crypt_verify(NULL, CRYPT_RSA, unhex(rows[i]), 0, fox(), SV("x")) == CRYPT_BAD);
		T_CHECK(crypt_verify(NULL, CRYPT_ED25519, unhex(rows[i]), 0, fox(), SV("x")) ==
		    CRYPT_BAD);
	}
	t_row = NULL;
}

static void
unfit_private_keys(void)
{
	static const struct {
		const char *pem, *why;
	} rows[] = {
		{ NULL, "no private key in PEM" },
		{ "", "no private key in PEM" },
		{ "v=DKIM1; p=abc\n", "no private key in PEM" },
		{ "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
		    "no private key in PEM" },
		{ KEY_ENCRYPTED, "encrypted" },
		{ KEY_EC, "neither RSA nor Ed25519" },
		{ KEY_RSA_512, "RSA of 512 bits: 1024 to 4096 will do" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		const char *why = NULL;

		T_CHECK(crypt_key_read(a, strv_z(rows[i].pem), &why) == NULL);
		T_EQ_STR(why, rows[i].why);
	}
	T_CHECK(ERR_peek_error() == 0);
}

int
main(int argc, char **argv)
{
	a = arena_new(65536, 0);
	t_begin(argc, argv);
	T_RUN(digests);
	T_RUN(copied_digests);
	T_RUN(signatures);
	T_RUN(public_keys);
	T_RUN(mangled_keys);
	T_RUN(absurd_keys);
	T_RUN(kept_keys);
	T_RUN(keys_too_long_to_keep);
	T_RUN(no_keys);
	T_RUN(unfit_private_keys);
	arena_free(a);
	return t_end();
}
