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

static void
add_addresses(struct buf *out, const struct proxyhdr *h)
{
	size_t n = h->src.addr.family == ADDR_IP4 ? 4 : 16;

	buf_add(out, strv((const char *)h->src.addr.b, n));
	buf_add(out, strv((const char *)h->dst.addr.b, n));
	add_be16(out, h->src.port);
	add_be16(out, h->dst.port);
}

static void
print_v2(struct buf *out, bool local, const struct proxyhdr *h)
{
	size_t   at = out->n;
	uint32_t crc;

	if (!buf_reserve(out, PROXYHDR_MAX))
		return;
	buf_add(out, V2_SIGNATURE);
	buf_addc(out, local ? CMD_LOCAL : CMD_PROXY);
	if (local) {
		buf_addc(out, FAM_UNSPEC);
		add_be16(out, 0);
		return;
	}
	buf_addc(out, h->src.addr.family == ADDR_IP4 ? FAM_TCP4 : FAM_TCP6);
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
print_v1(struct buf *out, bool local, const struct proxyhdr *h)
{
	char        src[ADDR_TEXT], dst[ADDR_TEXT];
	struct strv from = addr_print(&h->src.addr, src), to = addr_print(&h->dst.addr, dst);

	if (local)
		buf_add(out, SV("PROXY UNKNOWN\r\n"));
	else
		buf_printf(out, "PROXY TCP%c %.*s %.*s %u %u\r\n",
		    h->src.addr.family == ADDR_IP4 ? '4' : '6', (int)from.n, from.p, (int)to.n,
		    to.p, h->src.port, h->dst.port);
}

void
proxyhdr_print(struct buf *out, int version, const struct proxyhdr *h)
{
	uint8_t family = h->src.addr.family;
	bool    known = (family == ADDR_IP4 || family == ADDR_IP6) && family == h->dst.addr.family;

	if (version == 1)
		print_v1(out, h->local || !known, h);
	else
		print_v2(out, h->local || !known, h);
}
