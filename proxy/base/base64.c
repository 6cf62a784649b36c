/*
 * base64 -- see base64.h.  One implementation for SASL, signatures and keys.
 *
 * Input is hostile: what is not exactly base64 is refused, nothing is skipped.
 */
#include "proxy/base/base64.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int
base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (ascii_is_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, `pad` of them padding, into 3 - pad octets.  False: not base64. */
static bool
decode_group(const char *p, unsigned pad, unsigned char out[3])
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < 4; i++) {
		int d = i < 4 - pad ? base64_digit(p[i]) : 0;

		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
	}
	out[0] = (unsigned char)(bits >> 16);
	out[1] = (unsigned char)(bits >> 8);
	out[2] = (unsigned char)bits;
	return (pad < 1 || out[2] == 0) && (pad < 2 || out[1] == 0);
}

static unsigned
padding(struct strv in)
{
	unsigned n = 0;

	while (n < 2 && n < in.n && in.p[in.n - 1 - n] == '=')
		n++;
	return n;
}

long
base64_decode(struct strv in, char *out, size_t room)
{
	unsigned pad = padding(in);
	size_t   n = 0;

	if (in.n % 4 != 0 || (in.n > 0 && in.n / 4 * 3 - pad > room))
		return -1;
	for (size_t i = 0; i < in.n; i += 4) {
		unsigned      cut = i + 4 == in.n ? pad : 0;
		unsigned char group[3];

		if (!decode_group(in.p + i, cut, group))
			return -1;
		memcpy(out + n, group, 3 - cut);
		n += 3 - cut;
	}
	return (long)n;
}

/* The n octets at p, 1 to 3. */
static void
write_group(const char *p, size_t n, char out[4])
{
	uint32_t bits = (uint32_t)(unsigned char)p[0] << 16;

	bits |= n > 1 ? (uint32_t)(unsigned char)p[1] << 8 : 0;
	bits |= n > 2 ? (uint32_t)(unsigned char)p[2] : 0;
	out[0] = digits[bits >> 18];
	out[1] = digits[bits >> 12 & 63];
	out[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
	out[3] = n > 2 ? digits[bits & 63] : '=';
}

size_t
base64_write(struct strv v, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i += 3, n += 4)
		write_group(v.p + i, v.n - i < 3 ? v.n - i : 3, out + n);
	return n;
}

void
base64_print(struct buf *out, struct strv v)
{
	for (size_t i = 0; i < v.n; i += 3) {
		char text[4];

		write_group(v.p + i, v.n - i < 3 ? v.n - i : 3, text);
		buf_add(out, strv(text, 4));
	}
}
