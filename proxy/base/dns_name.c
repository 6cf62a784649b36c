/*
 * dns_name.c -- names that are asked for: what people and clients write, and addresses turned round.
 *
 * What comes out is lower case and printable; its only backslashes are those of \DDD for octets that no name is
 * written with otherwise, which SPF macros make (RFC 7208 7.3).  One name has one form.
 */
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/idn.h"

enum { LABEL_OCTETS = 63, NAME_OCTETS = DNS_NAME_MAX - 1 };

const char *
dns_rc_name(enum dns_rc rc)
{
	static const char *const names[] = {
		[DNS_OK] = "ok",
		[DNS_NXDOMAIN] = "no such name",
		[DNS_NODATA] = "no such record",
		[DNS_TEMP] = "no answer",
		[DNS_BAD] = "malformed answer",
		[DNS_CANCELLED] = "cancelled",
	};

	return names[rc];
}

static const struct {
	uint16_t    type;
	const char *name;
} types[] = {
	{ DNS_A, "A" },
	{ DNS_NS, "NS" },
	{ DNS_CNAME, "CNAME" },
	{ DNS_SOA, "SOA" },
	{ DNS_PTR, "PTR" },
	{ DNS_MX, "MX" },
	{ DNS_TXT, "TXT" },
	{ DNS_AAAA, "AAAA" },
};

const char *
dns_type_name(uint16_t type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

bool
dns_type_find(struct strv name, uint16_t *type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strv_ieq(name, strv_z(types[i].name))) {
			*type = types[i].type;
			return true;
		}
	return false;
}

/* At i: \DDD, as master files write an octet that stands in no name otherwise (RFC 1035 5.1)? */
static bool
is_escape(struct strv v, size_t i)
{
	uint64_t octet;

	return v.n - i >= 4 && strv_number(strv(v.p + i + 1, 3), 255, &octet) &&
	    (octet <= ' ' || octet >= 0x7f);
}

/* RFC 1035 2.3.4; an underscore and the like are no host's, but stand in the DNS (RFC 2181 11). */
static bool
is_name(struct strv v)
{
	size_t label = 0;

	if (v.n > NAME_OCTETS)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || (v.p[i] == '\\' && !is_escape(v, i)))
			return false;
		if (v.p[i] == '\\')
			i += 3;
		if (v.p[i] != '.')
			label++;
		else if (label == 0)
			return false;
		else
			label = 0;
		if (label > LABEL_OCTETS)
			return false;
	}
	return label > 0;
}

bool
dns_name(struct strv name, char out[DNS_NAME_MAX])
{
	char buf[IDN_OCTETS];

	out[0] = '\0';
	if (strv_eq(name, SV(".")))
		return true;
	if (strv_ends(name, SV(".")))
		name.n--;
	name = idn_domain(name, buf);
	if (!is_name(name))
		return false;
	for (size_t i = 0; i < name.n; i++)
		out[i] = ascii_lower(name.p[i]);
	out[name.n] = '\0';
	return true;
}

struct strv
dns_reverse(struct arena *a, const struct addr *addr, struct strv zone)
{
	static const char hex[] = "0123456789abcdef";
	bool              v4 = addr->family == ADDR_IP4;
	const uint8_t    *b = addr->b;
	char              nibbles[64];

	if (zone.n == 0)
		zone = v4 ? SV("in-addr.arpa") : SV("ip6.arpa");
	if (v4)
		return arena_printf(
		    a, "%u.%u.%u.%u.%.*s", b[3], b[2], b[1], b[0], (int)zone.n, zone.p);
	for (unsigned i = 0; i < 16; i++) {
		nibbles[4 * i] = hex[b[15 - i] & 15];
		nibbles[4 * i + 2] = hex[b[15 - i] >> 4];
		nibbles[4 * i + 1] = nibbles[4 * i + 3] = '.';
	}
	return arena_concat(a, strv(nibbles, sizeof(nibbles)), zone);
}
