/*
 * proxyhdr_print -- who the client is, to a server behind us, in the PROXY protocol's words (the grammar
 * is in proxyhdr.c).
 *
 * Not for whom it is said: the server's `identity` settles that.  The invariant: what is written here
 * proxyhdr_parse takes, and no text makes it longer than PROXYHDR_MAX.
 */
#include "proxy/smtp/proxyhdr_own.h"

#include "proxy/base/buf.h"
#include "proxy/base/hash.h"

#define TEXT_MAX \
	1000 /* of a TLV that is written: the addresses and four of them fit PROXYHDR_MAX */

static void
add_be16(struct buf *out, size_t v)
{
	buf_addc(out, (char)(v >> 8));
	buf_addc(out, (char)v);
}

static void
add_be32(struct buf *out, uint32_t v)
{
	add_be16(out, v >> 16);
	add_be16(out, v & 0xffff);
}

static void
put_be16(char *p, size_t v)
{
	p[0] = (char)(v >> 8);
	p[1] = (char)v;
}

static void
add_text(struct buf *out, uint8_t type, struct strv text)
{
	if (text.n == 0 || text.n > TEXT_MAX)
		return;
	buf_addc(out, (char)type);
	add_be16(out, text.n);
	buf_add(out, text);
}

/* "verify" is 0 only for a certificate that was shown and is good; only such a one has a name worth telling. */
static void
add_ssl(struct buf *out, const struct proxyhdr *h)
{
	unsigned bits = SSL_BIT_TLS;
	size_t   at = out->n;

	if (h->ssl_verified)
		bits |= SSL_BIT_CERT_CONN | SSL_BIT_CERT_SESSION;
	buf_addc(out, TLV_SSL);
	add_be16(out, 0);
	buf_addc(out, (char)bits);
	add_be32(out, h->ssl_verified ? 0 : 1);
	add_text(out, SSL_VERSION, h->ssl_version);
	if (h->ssl_verified)
		add_text(out, SSL_CN, h->ssl_cn);
	add_text(out, SSL_CIPHER, h->ssl_cipher);
	put_be16(out->p + at + 1, out->n - at - 3);
}

/* IPv4 on both sides, or TCP6 with what is IPv4 mapped; a side of which nothing is known becomes "any". */
static bool
is_tcp4(const struct proxyhdr *h)
{
	return h->src.addr.family == ADDR_IP4 && h->dst.addr.family != ADDR_IP6;
}

static void
add_address(struct buf *out, bool four, const struct addr *a)
{
	bool known = a->family == ADDR_IP4 || a->family == ADDR_IP6;

	if (!four && a->family == ADDR_IP4)
		buf_add(out, SV("\0\0\0\0\0\0\0\0\0\0\xff\xff"));
	if (known)
		buf_add(out, strv((const char *)a->b, a->family == ADDR_IP4 ? 4 : 16));
	else
		buf_add(out, strv_first(SV("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), four ? 4 : 16));
}

static void
add_addresses(struct buf *out, const struct proxyhdr *h)
{
	add_address(out, is_tcp4(h), &h->src.addr);
	add_address(out, is_tcp4(h), &h->dst.addr);
	add_be16(out, h->src.port);
	add_be16(out, h->dst.port);
}

static void
print_v2(struct buf *out, const struct proxyhdr *h)
{
	size_t   at = out->n;
	uint32_t crc;

	if (!buf_reserve(out, PROXYHDR_MAX))
		return;
	buf_add(out, V2_SIGNATURE);
	buf_addc(out, h->local ? CMD_LOCAL : CMD_PROXY);
	if (h->local) {
		buf_addc(out, FAM_UNSPEC);
		add_be16(out, 0);
		return;
	}
	buf_addc(out, is_tcp4(h) ? FAM_TCP4 : FAM_TCP6);
	add_be16(out, 0);
	add_addresses(out, h);
	add_text(out, TLV_AUTHORITY, h->authority);
	if (h->ssl)
		add_ssl(out, h);
	buf_addc(out, TLV_CRC32C);
	add_be16(out, 4);
	add_be32(out, 0);
	/* The sum is over all of the header, its own octets as zeros. */
	put_be16(out->p + at + 14, out->n - at - V2_HEAD);
	crc = crc32c(0, strv(out->p + at, out->n - at));
	put_be16(out->p + out->n - 4, crc >> 16);
	put_be16(out->p + out->n - 2, crc & 0xffff);
}

static void
print_address(struct buf *out, bool four, const struct addr *a)
{
	char        text[ADDR_TEXT];
	struct strv v = addr_print(a, text);

	if (a->family != ADDR_IP4 && a->family != ADDR_IP6)
		v = four ? SV("0.0.0.0") : SV("::");
	buf_add(out, !four && a->family == ADDR_IP4 ? SV(" ::ffff:") : SV(" "));
	buf_add(out, v);
}

static void
print_v1(struct buf *out, const struct proxyhdr *h)
{
	bool four = is_tcp4(h);

	if (h->local) {
		buf_add(out, SV("PROXY UNKNOWN\r\n"));
		return;
	}
	buf_add(out, four ? SV("PROXY TCP4") : SV("PROXY TCP6"));
	print_address(out, four, &h->src.addr);
	print_address(out, four, &h->dst.addr);
	buf_printf(out, " %u %u\r\n", h->src.port, h->dst.port);
}

bool
proxyhdr_print(struct buf *out, int version, const struct proxyhdr *h)
{
	uint8_t family = h->src.addr.family;

	if (!h->local && family != ADDR_IP4 && family != ADDR_IP6)
		return false;
	if (version == 1)
		print_v1(out, h);
	else
		print_v2(out, h);
	return true;
}
