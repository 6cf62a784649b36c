/*
 * t_hash -- SipHash-2-4 against the vectors of its authors, CRC-32C against RFC 3720 B.4.
 */
#include "tests/unit/t.h"

#include "proxy/base/hash.h"

/* Key 00 01 ... 0f, message 00 01 ... n-1. */
/* clang-format off */
static const struct { size_t n; uint64_t want; } vectors[] = {
	{ 0, 0x726fdb47dd0e0e31 },
	{ 1, 0x74f839c593dc67fd },
	{ 2, 0x0d6c8009d9a94f5a },
	{ 3, 0x85676696d7fb7e2d },
	{ 4, 0xcf2794e0277187b7 },
	{ 5, 0x18765564cd99a68d },
	{ 6, 0xcbc9466e58fee3ce },
	{ 7, 0xab0200f58b01d137 },
	{ 8, 0x93f5f5799a932462 },
	{ 9, 0x9e0082df0ba9e4b0 },
	{ 14, 0xf723ca908e7af2ee },
	{ 15, 0xa129ca6149be45e5 },
	{ 16, 0x3f2acc7f57c29bdb },
	{ 31, 0x32d892fad841c342 },
	{ 32, 0x7127512f72f27cce },
	{ 63, 0x958a324ceb064572 },
};
/* clang-format on */

static const struct hash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static void
sip_vectors(void)
{
	char message[64];

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (char)i;
	for (size_t i = 0; i < T_COUNT(vectors); i++) {
		char  exact[64]; /* nothing behind the message is read: the sanitizers see */
		char *p = exact + sizeof(exact) - vectors[i].n;

		memcpy(p, message, vectors[i].n);
		T_CHECKF(hash_sip(&key, strv(p, vectors[i].n)) == vectors[i].want, "length %zu",
		    vectors[i].n);
	}
	T_CHECK(hash_sip(&key, strv_z(NULL)) == vectors[0].want);
}

static void
sip_depends_on_key(void)
{
	struct hash_key other = key;

	for (unsigned bit = 0; bit < 128; bit++) {
		uint64_t *half = bit < 64 ? &other.k0 : &other.k1;

		*half ^= UINT64_C(1) << bit % 64;
		T_CHECK(hash_sip(&other, SV("a.example")) != hash_sip(&key, SV("a.example")));
		*half ^= UINT64_C(1) << bit % 64;
	}
}

static void
fold_is_hash_of_lower_case(void)
{
	uint64_t seed = 3;

	for (unsigned i = 0; i < 2000; i++) {
		char   text[40], lower[40];
		size_t n = t_random(&seed) % 41;

		for (size_t k = 0; k < n; k++) {
			text[k] = (char)t_random(&seed);
			lower[k] = ascii_lower(text[k]);
		}
		T_CHECK(hash_sip_fold(&key, strv(text, n)) == hash_sip(&key, strv(lower, n)));
	}
}

static void
crc_vectors(void)
{
	static const char pdu[48] = "\x01\xc0\0\0"
				    "\0\0\0\0"
				    "\0\0\0\0"
				    "\0\0\0\0"
				    "\x14\0\0\0"
				    "\0\0\x04\0"
				    "\0\0\0\x14"
				    "\0\0\0\x18"
				    "\x28\0\0\0"
				    "\0\0\0\0"
				    "\x02\0\0\0"
				    "\0\0\0";
	char              text[32];

	memset(text, 0, sizeof(text));
	T_EQ_NUM(crc32c(0, strv(text, 32)), 0x8a9136aa);
	memset(text, 0xff, sizeof(text));
	T_EQ_NUM(crc32c(0, strv(text, 32)), 0x62a8ab43);
	for (unsigned i = 0; i < 32; i++)
		text[i] = (char)i;
	T_EQ_NUM(crc32c(0, strv(text, 32)), 0x46dd794e);
	for (unsigned i = 0; i < 32; i++)
		text[i] = (char)(31 - i);
	T_EQ_NUM(crc32c(0, strv(text, 32)), 0x113fdb5c);
	T_EQ_NUM(crc32c(0, strv(pdu, 48)), 0xd9963a56);
	T_EQ_NUM(crc32c(0, SV("123456789")), 0xe3069283);
	T_EQ_NUM(crc32c(0, SV("")), 0);
}

/* In pieces it is the same: the PROXY header is summed with its checksum field as zeros. */
static void
crc_in_pieces(void)
{
	struct strv v = SV("123456789");

	for (size_t i = 0; i <= v.n; i++)
		T_EQ_NUM(crc32c(crc32c(0, strv_first(v, i)), strv_from(v, i)), 0xe3069283);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(sip_vectors);
	T_RUN(sip_depends_on_key);
	T_RUN(fold_is_hash_of_lower_case);
	T_RUN(crc_vectors);
	T_RUN(crc_in_pieces);
	return t_end();
}
