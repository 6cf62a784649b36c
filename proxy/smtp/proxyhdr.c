/*
 * proxyhdr -- who connected to the proxy in front of us, in its words.
 *
 * Not for the question whether to believe it: the listener's list of peers says that, and from one of
 * those a header is demanded, so there is no guessing here.  The invariant: more octets can turn
 * "incomplete" into anything, but never change "complete" or "malformed".
 *
 *     v1         = "PROXY" SP ( "TCP4" / "TCP6" ) SP src SP dst SP sport SP dport CRLF     107 octets at most
 *                / "PROXY" SP "UNKNOWN" *octet CRLF
 *     v2         = signature %x20-21 family length16 addresses *( type length16 value )
 */
#include "proxy/smtp/proxyhdr.h"

#include "proxy/base/buf.h"
#include "proxy/base/hash.h"

#define V1_MAX 107
#define TEXT_MAX \
	1000 /* of a TLV that is written: the addresses and four of them fit PROXYHDR_MAX */
#define V2_HEAD       16 /* signature, version and command, family, length */
#define UNIQUE_ID_MAX 128

static const char v2_signature[12] = { '\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T',
	'\n' };

enum { CMD_LOCAL = 0x20, CMD_PROXY = 0x21 };
enum { FAM_UNSPEC = 0x00, FAM_TCP4 = 0x11, FAM_TCP6 = 0x21, FAM_UNIX = 0x31 };
enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_UNIQUE_ID = 0x05,
	TLV_SSL = 0x20,
	TLV_NETNS = 0x30
};
enum { SSL_VERSION = 0x21, SSL_CN = 0x22, SSL_CIPHER = 0x23 };
enum { SSL_BIT_TLS = 1, SSL_BIT_CERT_CONN = 2, SSL_BIT_CERT_SESSION = 4 };

static int
malformed(const char **why, const char *text)
{
	*why = text;
	return -1;
}

static uint16_t
be16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint16_t)(u[0] << 8 | u[1]);
}

static uint32_t
be32(const char *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

/* Does v agree with the prefix as far as it goes? */
static bool
begins(struct strv v, struct strv prefix)
{
	return memcmp(v.p, prefix.p, v.n < prefix.n ? v.n : prefix.n) == 0;
}

static bool
v1_port(struct strv v, uint16_t *out)
{
	uint64_t n;

	if (!strv_number(v, 65535, &n) || (v.n > 1 && v.p[0] == '0'))
		return false;
	*out = (uint16_t)n;
	return true;
}

/* An address of the family that was announced; a mapped one of TCP6 has become IPv4. */
static bool
v1_addr(struct strv v, bool six, struct addr *out)
{
	return (strv_chr(v, ':') < v.n) == six && addr_parse(v, out);
}

static int
v1_line(struct strv line, struct proxyhdr *out, const char **why)
{
	struct strv family;
	bool        six;

	strv_cut(&line, ' ');
	family = strv_cut(&line, ' ');
	if (strv_eq(family, SV("UNKNOWN"))) {
		out->local = true;
		return 1;
	}
	six = strv_eq(family, SV("TCP6"));
	if (!six && !strv_eq(family, SV("TCP4")))
		return malformed(why, "unknown family");
	if (line.p == NULL || !v1_addr(strv_cut(&line, ' '), six, &out->src.addr) ||
	    line.p == NULL || !v1_addr(strv_cut(&line, ' '), six, &out->dst.addr))
		return malformed(why, "malformed address");
	if (line.p == NULL || !v1_port(strv_cut(&line, ' '), &out->src.port) || line.p == NULL ||
	    !v1_port(line, &out->dst.port))
		return malformed(why, "malformed port");
	return 1;
}

static int
parse_v1(struct strv in, struct proxyhdr *out, size_t *used, const char **why)
{
	struct strv seen = strv_first(in, in.n < V1_MAX ? in.n : V1_MAX);
	size_t      lf = strv_chr(seen, '\n'), cr = strv_chr(strv_first(seen, lf), '\r');

	/* a CR in front of anything but LF, or LF without CR */
	if (lf < seen.n ? cr + 1 != lf : cr + 1 < seen.n)
		return malformed(why, "stray CR or LF");
	if (lf == seen.n)
		return seen.n < V1_MAX ? 0 : malformed(why, "line is too long");
	*used = lf + 1;
	return v1_line(strv_first(seen, cr), out, why);
}

/* The next TLV of *v. */
static bool
tlv_next(struct strv *v, uint8_t *type, struct strv *value)
{
	size_t n;

	if (v->n < 3)
		return false;
	*type = (uint8_t)v->p[0];
	n = be16(v->p + 1);
	*v = strv_from(*v, 3);
	if (v->n < n)
		return false;
	*value = strv_first(*v, n);
	*v = strv_from(*v, n);
	return true;
}

/* The whole header with the four octets of the sum itself as zeros. */
static bool
crc_good(struct strv header, struct strv sum)
{
	size_t   at = (size_t)(sum.p - header.p);
	uint32_t crc = crc32c(0, strv_first(header, at));

	crc = crc32c(crc, strv("\0\0\0", 4));
	return crc32c(crc, strv_from(header, at + 4)) == be32(sum.p);
}

static bool
take_ssl(struct strv v, struct proxyhdr *out)
{
	struct strv value;
	uint8_t     client, type;

	if (v.n < 5)
		return false;
	client = (uint8_t)v.p[0];
	out->ssl = client & SSL_BIT_TLS;
	/* verify is 0 for a good certificate, and for none at all */
	out->ssl_verified = client & (SSL_BIT_CERT_CONN | SSL_BIT_CERT_SESSION) &&
	    be32(v.p + 1) == 0;
	for (v = strv_from(v, 5); v.n > 0;) {
		if (!tlv_next(&v, &type, &value))
			return false;
		if (type == SSL_VERSION)
			out->ssl_version = value;
		else if (type == SSL_CN)
			out->ssl_cn = value;
		else if (type == SSL_CIPHER)
			out->ssl_cipher = value;
	}
	return true;
}

static int
take_tlv(
    struct strv header, uint8_t type, struct strv value, struct proxyhdr *out, const char **why)
{
	switch (type) {
	case TLV_ALPN:
		out->alpn = value;
		break;
	case TLV_AUTHORITY:
		out->authority = value;
		break;
	case TLV_CRC32C:
		if (value.n != 4 || !crc_good(header, value))
			return malformed(why, "wrong CRC32C");
		break;
	case TLV_UNIQUE_ID:
		if (value.n > UNIQUE_ID_MAX)
			return malformed(why, "unique id is too long");
		out->unique_id = value;
		break;
	case TLV_SSL:
		if (!take_ssl(value, out))
			return malformed(why, "malformed TLS data");
		break;
	case TLV_NETNS:
		out->netns = value;
		break;
	default: /* what later versions add is skipped */
		break;
	}
	return 1;
}

/* n octets of an address; IPv4-mapped ones are IPv4 for us. */
static struct addr
v2_addr(const char *p, size_t n)
{
	static const char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xff', '\xff' };
	struct addr       a = { .family = n == 4 ? ADDR_IP4 : ADDR_IP6 };

	if (n == 16 && memcmp(p, mapped, sizeof(mapped)) == 0)
		return v2_addr(p + 12, 4);
	memcpy(a.b, p, n);
	return a;
}

/* "addresses": two of them, two ports. */
static void
v2_addresses(const char *p, size_t n, struct proxyhdr *out)
{
	out->src = (struct endpoint){ .addr = v2_addr(p, n), .port = be16(p + 2 * n) };
	out->dst = (struct endpoint){ .addr = v2_addr(p + n, n), .port = be16(p + 2 * n + 2) };
}

static int
v2_block(struct strv header, struct proxyhdr *out, const char **why)
{
	uint8_t     family = (uint8_t)header.p[13], type;
	struct strv rest = strv_from(header, V2_HEAD), value;
	size_t      n = family == FAM_TCP4 ? 12 : family == FAM_TCP6 ? 36 : 216;

	if (family != FAM_TCP4 && family != FAM_TCP6 && family != FAM_UNIX)
		return malformed(why, "unknown family");
	if (rest.n < n)
		return malformed(why, "addresses are cut off");
	if (family == FAM_UNIX) /* no address that a rule could name */
		out->local = true;
	else
		v2_addresses(rest.p, n == 12 ? 4 : 16, out);
	for (rest = strv_from(rest, n); rest.n > 0;)
		if (!tlv_next(&rest, &type, &value))
			return malformed(why, "TLV is cut off");
		else if (take_tlv(header, type, value, out, why) < 0)
			return -1;
	return 1;
}

static int
parse_v2(struct strv in, struct proxyhdr *out, size_t *used, const char **why)
{
	uint8_t command;
	size_t  n;

	if (in.n < 13)
		return 0;
	command = (uint8_t)in.p[12];
	if (command != CMD_LOCAL && command != CMD_PROXY)
		return malformed(why, "unknown version or command");
	if (in.n < V2_HEAD)
		return 0;
	n = V2_HEAD + (size_t)be16(in.p + 14);
	if (n > PROXYHDR_MAX)
		return malformed(why, "header is too long");
	if (in.n < n)
		return 0;
	*used = n;
	/* LOCAL (health checks) and UNSPEC: the rest is skipped, whatever it is */
	if (command == CMD_LOCAL || in.p[13] == FAM_UNSPEC) {
		out->local = true;
		return 1;
	}
	return v2_block(strv_first(in, n), out, why);
}

int
proxyhdr_parse(struct strv in, struct proxyhdr *out, size_t *used, const char **why)
{
	struct strv v1 = SV("PROXY "), v2 = strv(v2_signature, sizeof(v2_signature));

	*out = (struct proxyhdr){ 0 };
	*used = 0;
	if (in.n == 0)
		return 0;
	if (begins(in, v1))
		return in.n < v1.n ? 0 : parse_v1(in, out, used, why);
	if (begins(in, v2))
		return in.n < v2.n ? 0 : parse_v2(in, out, used, why);
	return malformed(why, "no PROXY header");
}

/* ---- written --------------------------------------------------------------------------------- */

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
	buf_add(out, strv(v2_signature, sizeof(v2_signature)));
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
