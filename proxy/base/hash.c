/*
 * hash.c -- SipHash-2-4 (Aumasson and Bernstein, 2012) and CRC-32C (RFC 3720 B.4).
 *
 * Not for anything secret but the key: it guards tables against chosen collisions.  The result is
 * the same on machines of either byte order.
 */
#include <endian.h>

#include "proxy/base/hash.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static inline void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t
load(const char *p, size_t n, bool fold)
{
	uint64_t w = 0;

	memcpy(&w, p, n);
	w = le64toh(w);
	return fold ? ascii_lower8(w) : w;
}

static inline uint64_t
sip(const struct hash_key *key, struct strv v, bool fold)
{
	struct sip s = { key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u };
	uint64_t   last = (uint64_t)v.n << 56;
	size_t     i = 0;

	for (; v.n - i >= 8; i += 8)
		sip_word(&s, load(v.p + i, 8, fold));
	if (i < v.n)
		last |= load(v.p + i, v.n - i, fold);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	for (int i_round = 0; i_round < 4; i_round++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t
hash_sip(const struct hash_key *key, struct strv v)
{
	return sip(key, v, false);
}

uint64_t
hash_sip_fold(const struct hash_key *key, struct strv v)
{
	return sip(key, v, true);
}

uint64_t
hash_name(struct strv v)
{
	static const struct hash_key none = { 0, 0 };

	return sip(&none, v, true);
}

/* Four bits a step: the only user is the PROXY header, a few hundred octets a session. */
uint32_t
crc32c(uint32_t crc, struct strv v)
{
	/* clang-format off */
	static const uint32_t nibble[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
		0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
		0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	/* clang-format on */

	crc = ~crc;
	for (size_t i = 0; i < v.n; i++) {
		crc ^= (unsigned char)v.p[i];
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}
