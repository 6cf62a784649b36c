/*
 * dns_pack.c -- answers of the DNS in wire format (RFC 1035 4.1) are made: for the made-up DNS (dns_table.c), and tests.
 *
 * Names are not compressed.  A packet is never longer than DNS_PACKET_MAX: what does not fit is left out whole.
 */
#include "proxy/base/dns_wire.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_wire_own.h"

enum { TXT_STRING = 255, FIRST_ROOM = 512 };

static bool
put(struct dns_packer *b, const void *p, size_t n)
{
	if (n > DNS_PACKET_MAX - b->n)
		return false;
	b->p = arena_grow(b->a, b->p, &b->room, b->n + (unsigned)n, 1);
	if (n > 0)
		memcpy(b->p + b->n, p, n);
	b->n += (unsigned)n;
	return true;
}

static bool
put16(struct dns_packer *b, unsigned v)
{
	return put(b, (uint8_t[2]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static bool
put_name(struct dns_packer *b, const char *name)
{
	struct wire_name wire;

	return wire_name_scan(name, &wire) && put(b, wire.b, wire.n);
}

static bool
put_text(struct dns_packer *b, struct strv v)
{
	bool   good;
	size_t n;

	do {
		n = v.n < TXT_STRING ? v.n : TXT_STRING;
		good = put(b, (uint8_t[1]){ (uint8_t)n }, 1) && put(b, v.p, n);
		v = strv_from(v, n);
	} while (good && v.n > 0);
	return good;
}

static bool
put_held(struct dns_packer *b, uint16_t type, const struct dns_record *r)
{
	switch (type) {
	case DNS_A:
		return r->addr.family == ADDR_IP4 && put(b, r->addr.b, 4);
	case DNS_AAAA:
		return r->addr.family == ADDR_IP6 && put(b, r->addr.b, 16);
	case DNS_TXT:
		return r->text.p != NULL && put_text(b, r->text);
	case DNS_MX:
		return put16(b, r->preference) && put_name(b, arena_z(b->a, r->text));
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		return put_name(b, arena_z(b->a, r->text));
	default:
		return false;
	}
}

void
dns_pack_begin(struct dns_packer *b, struct arena *a, const char *name, uint16_t type)
{
	static const uint8_t header[DNS_HEADER] = {
		[2] = DNS_QR | 1, [3] = 0x80, [5] = 1
	}; /* RD, RA */

	*b = (struct dns_packer){ .a = a };
	b->p = arena_grow(a, NULL, &b->room, FIRST_ROOM, 1);
	put(b, header, sizeof(header));
	if (!put_name(b, name))
		put(b, "", 1);
	put16(b, type);
	put16(b, DNS_CLASS_IN);
}

bool
dns_pack_add(struct dns_packer *b, const char *owner, uint16_t type, uint32_t ttl,
    const struct dns_record *r)
{
	unsigned before = b->n, count = (unsigned)b->p[6] << 8 | b->p[7], held;

	if (count == UINT16_MAX || !put_name(b, owner) || !put16(b, type) ||
	    !put16(b, DNS_CLASS_IN) || !put16(b, ttl >> 16) || !put16(b, ttl & 0xffff) ||
	    !put16(b, 0) || (held = b->n, !put_held(b, type, r))) {
		b->n = before;
		return false;
	}
	b->p[held - 2] = (uint8_t)((b->n - held) >> 8);
	b->p[held - 1] = (uint8_t)(b->n - held);
	count++;
	b->p[6] = (uint8_t)(count >> 8);
	b->p[7] = (uint8_t)count;
	return true;
}

struct strv
dns_pack_end(struct dns_packer *b, enum dns_rc rc)
{
	if (rc == DNS_NXDOMAIN)
		b->p[3] |= DNS_RCODE_NXDOMAIN;
	else if (rc != DNS_OK && rc != DNS_NODATA)
		b->p[3] |= DNS_RCODE_SERVFAIL;
	return strv((const char *)b->p, b->n);
}

struct strv
dns_pack(struct arena *a, const char *name, uint16_t type, enum dns_rc rc,
    const struct dns_answer *answer)
{
	struct dns_packer b;

	dns_pack_begin(&b, a, name, type);
	for (unsigned i = 0; rc == DNS_OK && i < answer->n; i++)
		dns_pack_add(&b, name, type, answer->ttl, &answer->v[i]);
	return dns_pack_end(&b, rc);
}
