/*
 * addr.c -- IP addresses and ranges of them: text and back.  With a port: endpoint.c.
 *
 * Not for look-ups: a host is always an address.  The invariant: an IPv4-mapped IPv6 address never
 * leaves this file as IPv6, so that ::ffff:192.0.2.1 and 192.0.2.1 meet the same rules.
 */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "proxy/base/addr.h"

static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

/* ---- addresses ---- */

void
addr_set_ip4(struct addr *out, const void *octets)
{
	*out = (struct addr){ .family = ADDR_IP4 };
	memcpy(out->b, octets, 4);
}

void
addr_set_ip6(struct addr *out, const void *octets)
{
	if (memcmp(octets, mapped, sizeof(mapped)) == 0) {
		addr_set_ip4(out, (const char *)octets + sizeof(mapped));
		return;
	}
	*out = (struct addr){ .family = ADDR_IP6 };
	memcpy(out->b, octets, 16);
}

bool
addr_parse(struct strv v, struct addr *out)
{
	char          text[ADDR_TEXT];
	unsigned char octets[16];

	if (v.n == 0 || v.n >= sizeof(text) || strv_chr(v, '\0') < v.n)
		return false;
	memcpy(text, v.p, v.n);
	text[v.n] = '\0';
	if (inet_pton(AF_INET, text, octets) == 1)
		addr_set_ip4(out, octets);
	else if (inet_pton(AF_INET6, text, octets) == 1)
		addr_set_ip6(out, octets);
	else
		return false;
	return true;
}

static unsigned
group(const uint8_t *b, size_t i)
{
	return (unsigned)b[2 * i] << 8 | b[2 * i + 1];
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952 4.2). */
static unsigned
longest_zeros(const uint8_t *b, unsigned *n_out)
{
	unsigned at = 8, best = 1;

	for (unsigned i = 0; i < 8; i++) {
		unsigned n = 0;

		while (i + n < 8 && group(b, i + n) == 0)
			n++;
		if (n > best) {
			at = i;
			best = n;
		}
	}
	*n_out = at == 8 ? 0 : best;
	return at;
}

static char *
put_hex(char *p, unsigned number)
{
	static const char digits[] = "0123456789abcdef";

	for (int shift = 12; shift >= 0; shift -= 4)
		if (shift == 0 || number >> shift != 0)
			*p++ = digits[number >> shift & 15];
	return p;
}

static char *
put_ip6(char *p, const uint8_t *b)
{
	unsigned n_zeros, zeros = longest_zeros(b, &n_zeros);

	for (unsigned i = 0; i < 8;) {
		if (i == zeros) {
			*p++ = ':';
			*p++ = ':';
			i += n_zeros;
			continue;
		}
		if (i > 0 && i != zeros + n_zeros)
			*p++ = ':';
		p = put_hex(p, group(b, i));
		i++;
	}
	return p;
}

static char *
put_octet(char *p, unsigned v)
{
	if (v >= 100)
		*p++ = (char)('0' + v / 100);
	if (v >= 10)
		*p++ = (char)('0' + v / 10 % 10);
	*p++ = (char)('0' + v % 10);
	return p;
}

static char *
put_ip4(char *p, const uint8_t *b)
{
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0)
			*p++ = '.';
		p = put_octet(p, b[i]);
	}
	return p;
}

static char *
put_addr(char *p, const struct addr *a)
{
	if (a->family == ADDR_IP4)
		return put_ip4(p, a->b);
	if (a->family == ADDR_IP6)
		return put_ip6(p, a->b);
	*p++ = '-';
	return p;
}

struct strv
addr_print(const struct addr *a, char buf[ADDR_TEXT])
{
	char *end = put_addr(buf, a);

	*end = '\0';
	return strv(buf, (size_t)(end - buf));
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	return a->family == b->family && memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool
addr_is_loopback(const struct addr *a)
{
	static const struct addr one = { ADDR_IP6, { [15] = 1 } };

	return a->family == ADDR_IP4 ? a->b[0] == 127 : addr_eq(a, &one);
}

static unsigned
width(const struct addr *a)
{
	return a->family == ADDR_IP4 ? 32 : a->family == ADDR_IP6 ? 128 : 0;
}

/* Makes every bit of a behind the first `bits` that of `fill`, 0x00 or 0xff. */
static struct addr
fill_behind(const struct addr *a, unsigned bits, uint8_t fill)
{
	struct addr out = *a;

	for (unsigned i = 0; i < width(a) / 8; i++) {
		unsigned keep = bits <= 8 * i ? 0 : bits - 8 * i;
		uint8_t  mask = keep >= 8 ? 0 : (uint8_t)(0xff >> keep);

		out.b[i] = (uint8_t)((a->b[i] & ~mask) | (fill & mask));
	}
	return out;
}

struct addr
addr_mask(const struct addr *a, unsigned bits)
{
	return fill_behind(a, bits, 0);
}

/* IPv6-addr stands behind its tag only, and IPv4 without one (RFC 5321 4.1.3). */
bool
addr_parse_literal(struct strv v, struct addr *out)
{
	bool tagged = strv_istarts(v, SV("IPv6:"));

	if (tagged)
		v = strv_from(v, 5);
	return (strv_chr(v, ':') < v.n) == tagged && addr_parse(v, out);
}

/* ---- ranges ---- */

static bool
parse_network(struct strv address, struct strv prefix, struct addr_range *out, const char **why)
{
	uint64_t bits;
	unsigned before;

	if (!addr_parse(address, &out->lo)) {
		*why = "not an IP address";
		return false;
	}
	/* ::ffff:192.0.2.0/120 was stored as IPv4: 96 bits of it went. */
	before = out->lo.family == ADDR_IP4 && strv_chr(address, ':') < address.n ? 96 : 0;
	if (!strv_number(prefix, before + width(&out->lo), &bits) || bits < before) {
		*why = before > 0 ? "the prefix of an IPv4-mapped address must be 96 to 128 bits" :
		    width(&out->lo) == 32 ? "the prefix of an IPv4 network must be 0 to 32 bits" :
					    "the prefix of an IPv6 network must be 0 to 128 bits";
		return false;
	}
	bits -= before;
	out->hi = addr_mask(&out->lo, (unsigned)bits);
	if (!addr_eq(&out->lo, &out->hi)) {
		*why = "bits are set behind the network's prefix";
		return false;
	}
	out->hi = fill_behind(&out->lo, (unsigned)bits, 0xff);
	return true;
}

static bool
parse_from_to(struct strv lo, struct strv hi, struct addr_range *out, const char **why)
{
	if (!addr_parse(lo, &out->lo) || !addr_parse(hi, &out->hi))
		*why = "not an IP address";
	else if (out->lo.family != out->hi.family)
		*why = "both ends of a range must be of one family";
	else if (memcmp(out->lo.b, out->hi.b, sizeof(out->lo.b)) > 0)
		*why = "the first address of a range must not be above the last";
	else
		return true;
	return false;
}

bool
addr_range_parse(struct strv v, struct addr_range *out, const char **why)
{
	struct addr_range r = { .lo = { .family = ADDR_NONE } };
	size_t            slash = strv_chr(v, '/'), dash = strv_chr(v, '-');
	bool              good;

	if (slash < v.n)
		good = parse_network(strv_first(v, slash), strv_from(v, slash + 1), &r, why);
	else if (dash < v.n)
		good = parse_from_to(strv_first(v, dash), strv_from(v, dash + 1), &r, why);
	else
		good = parse_from_to(v, v, &r, why);
	if (good)
		*out = r;
	return good;
}
