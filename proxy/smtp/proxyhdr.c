/*
 * proxyhdr -- who connected to the proxy in front of us, in its words.
 *
 * Not for the question whether to believe it: the listener's list of peers says that, and from one of
 * those a header is demanded, so there is no guessing here.  Headers are written by proxyhdr_print.  The
 * invariant: more octets can turn "incomplete" into anything, but never change "complete" or "malformed".
 *
 *     v1         = "PROXY" SP ( "TCP4" / "TCP6" ) SP src SP dst SP sport SP dport CRLF     107 octets at most
 *                / "PROXY" SP "UNKNOWN" *octet CRLF
 *     v2         = signature %x20-21 family length16 addresses *( type length16 value )
 */
#include "proxy/smtp/proxyhdr_own.h"

#include "proxy/base/hash.h"

#define V1_MAX        107
#define UNIQUE_ID_MAX 128

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

static struct addr
v2_addr(const char *p, size_t n)
{
	struct addr a;

	if (n == 4)
		addr_set_ip4(&a, p);
	else
		addr_set_ip6(&a, p);
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
	struct strv v1 = SV("PROXY "), v2 = V2_SIGNATURE;

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
