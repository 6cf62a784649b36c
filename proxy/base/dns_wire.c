/*
 * dns_wire.c -- answers of the DNS in wire format (RFC 1035 4.1) are read.
 *
 * A packet is a stranger's. A count is believed only as far as there are octets; each record lies wholly inside the
 * packet, what it holds wholly inside the record.  What breaks a rule makes the whole answer DNS_BAD.
 */
#include "proxy/base/dns_wire.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_wire_own.h"

enum { TC = 0x02, OPCODE = 0x78 }; /* of the third octet */

struct rr {
	struct wire_name owner;
	uint16_t         type, class;
	uint32_t         ttl;
	size_t           at, end; /* of what it holds */
};

static unsigned
get16(struct strv v, size_t at)
{
	return (unsigned)(uint8_t)v.p[at] << 8 | (uint8_t)v.p[at + 1];
}

static uint32_t
get32(struct strv v, size_t at)
{
	return (uint32_t)get16(v, at) << 16 | get16(v, at + 2);
}

/* The record at *at; *at moves behind it. */
static bool
get_rr(struct strv packet, size_t *at, struct rr *out)
{
	unsigned n;

	if (!wire_name_get(packet, at, packet.n, &out->owner) || packet.n - *at < 10)
		return false;
	out->type = (uint16_t)get16(packet, *at);
	out->class = (uint16_t)get16(packet, *at + 2);
	out->ttl = get32(packet, *at + 4);
	if (out->ttl > INT32_MAX) /* RFC 2181 8 */
		out->ttl = 0;
	n = get16(packet, *at + 8);
	*at += 10;
	if (packet.n - *at < n)
		return false;
	out->at = *at;
	out->end = *at += n;
	return true;
}

static bool
get_addr(struct strv packet, const struct rr *rr, struct addr *out)
{
	const char *p = packet.p + rr->at;

	if (rr->end - rr->at != (rr->type == DNS_A ? 4 : 16))
		return false;
	if (rr->type == DNS_A)
		addr_set_ip4(out, p);
	else
		addr_set_ip6(out, p);
	return true;
}

static bool
get_text(struct arena *a, struct strv packet, const struct rr *rr, struct strv *out)
{
	char  *p = arena_bytes(a, rr->end - rr->at + 1);
	size_t n = 0, string;

	for (size_t at = rr->at; at < rr->end; at += string) {
		string = (uint8_t)packet.p[at++];
		if (string > rr->end - at)
			return false;
		memcpy(p + n, packet.p + at, string);
		n += string;
	}
	*out = strv(p, n);
	return true;
}

static bool
get_target(struct arena *a, struct strv packet, const struct rr *rr, struct dns_record *out)
{
	struct wire_name name;
	size_t           at = rr->at;

	if (rr->type == DNS_MX) {
		if (rr->end - at < 2)
			return false;
		out->preference = (uint16_t)get16(packet, at);
		at += 2;
	}
	if (!wire_name_get(packet, &at, rr->end, &name) || at != rr->end)
		return false;
	out->text = wire_name_print(a, &name);
	return true;
}

static bool
get_record(struct arena *a, struct strv packet, const struct rr *rr, struct dns_record *out)
{
	switch (rr->type) {
	case DNS_A:
	case DNS_AAAA:
		return get_addr(packet, rr, &out->addr);
	case DNS_TXT:
		return get_text(a, packet, rr, &out->text);
	case DNS_MX:
	case DNS_PTR:
	case DNS_NS:
	case DNS_CNAME:
		return get_target(a, packet, rr, out);
	default: /* nobody reads what it holds */
		out->text = arena_dup(a, strv(packet.p + rr->at, rr->end - rr->at));
		return true;
	}
}

struct answer { /* what is looked for, and where */
	struct strv      packet;
	const char      *asked; /* NULL: nobody says */
	uint16_t         type;
	size_t           at; /* of the answer section */
	unsigned         records;
	struct wire_name name; /* asked for, then where a CNAME leads */
	uint32_t         ttl;
};

/* RFC 1035 4.1.1, 4.1.2: one question, the one that was asked. */
static bool
get_question(struct answer *w)
{
	size_t           at = DNS_HEADER;
	struct wire_name asked;

	if (get16(w->packet, 4) != 1 || !wire_name_get(w->packet, &at, w->packet.n, &w->name) ||
	    w->packet.n - at < 4)
		return false;
	if (get16(w->packet, at) != w->type || get16(w->packet, at + 2) != DNS_CLASS_IN)
		return false;
	if (w->asked != NULL &&
	    (!wire_name_scan(w->asked, &asked) || !wire_name_eq(&asked, &w->name)))
		return false;
	w->at = at + 4;
	w->records = get16(w->packet, 6);
	return true;
}

/*
 * The records of one name, and its CNAME.  -1: malformed; 1: *next is where to look instead; 0: all
 * that there are stand in *out.
 */
static int
walk(struct arena *a, struct answer *w, struct dns_answer *out, struct wire_name *next)
{
	unsigned  max = 0;
	size_t    at = w->at, target;
	bool      alias = false;
	struct rr rr;

	for (unsigned i = 0; i < w->records; i++) {
		if (!get_rr(w->packet, &at, &rr))
			return -1;
		if (rr.class != DNS_CLASS_IN || !wire_name_eq(&rr.owner, &w->name))
			continue;
		if (rr.type == w->type && out->n < DNS_RECORDS_MAX) {
			out->v = arena_grow(a, out->v, &max, out->n + 1, sizeof(*out->v));
			if (!get_record(a, w->packet, &rr, &out->v[out->n]))
				return -1;
			out->n++;
		} else if (rr.type == DNS_CNAME && !alias) {
			target = rr.at;
			if (!wire_name_get(w->packet, &target, rr.end, next) || target != rr.end)
				return -1;
			alias = true;
		} else
			continue;
		if (rr.ttl < w->ttl)
			w->ttl = rr.ttl;
	}
	return out->n == 0 && alias;
}

/* Stable: equal preferences stay as they came. */
static void
sort_by_preference(struct dns_answer *answer)
{
	for (unsigned i = 1; i < answer->n; i++) {
		struct dns_record r = answer->v[i];
		unsigned          k = i;

		for (; k > 0 && answer->v[k - 1].preference > r.preference; k--)
			answer->v[k] = answer->v[k - 1];
		answer->v[k] = r;
	}
}

static enum dns_rc
get_records(struct arena *a, struct answer *w, struct dns_answer *out)
{
	struct wire_name next;
	int              rc = 1;

	for (unsigned i = 0; rc == 1; i++) {
		if (i > DNS_CHAIN)
			return DNS_BAD;
		rc = walk(a, w, out, &next);
		if (rc == 1)
			w->name = next;
	}
	if (rc < 0)
		return DNS_BAD;
	return out->n == 0 ? DNS_NODATA : DNS_OK;
}

enum dns_rc
dns_unpack(
    struct arena *a, struct strv packet, const char *name, uint16_t type, struct dns_answer *out)
{
	struct answer     w = { .packet = packet, .asked = name, .type = type, .ttl = UINT32_MAX };
	struct dns_answer found = { 0 };
	enum dns_rc       rc;
	unsigned          rcode;

	if (packet.n < DNS_HEADER || (packet.p[2] & DNS_QR) == 0 || (packet.p[2] & OPCODE) != 0)
		return DNS_BAD;
	rcode = packet.p[3] & DNS_RCODE;
	if (rcode != 0 && rcode != DNS_RCODE_NXDOMAIN)
		return DNS_TEMP;
	if (!get_question(&w))
		return DNS_BAD;
	if ((packet.p[2] & TC) != 0) /* there is more, which nobody knows */
		return DNS_TEMP;
	rc = get_records(a, &w, &found);
	if (rc == DNS_BAD)
		return DNS_BAD;
	if (rcode == DNS_RCODE_NXDOMAIN) /* of where the chain ends, RFC 6604 3 */
		return found.n > 0 ? DNS_BAD : DNS_NXDOMAIN;
	if (rc != DNS_OK)
		return rc;
	if (type == DNS_MX)
		sort_by_preference(&found);
	found.ttl = w.ttl;
	*out = found;
	return DNS_OK;
}
