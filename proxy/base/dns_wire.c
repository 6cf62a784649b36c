/*
 * dns_wire.c -- answers of the DNS in wire format (RFC 1035 4.1): read them, and make them for tests.
 *
 * A packet is a stranger's. A compression pointer only leads backwards and few of them belong to a name;
 * a count is believed only as far as there are octets; each record lies wholly inside the packet, what it
 * holds wholly inside the record.  What breaks a rule makes the whole answer DNS_BAD.
 */
#include "proxy/base/dns_wire.h"

#include "proxy/base/arena.h"

enum {
	HEADER = 12,
	QR = 0x80, /* of the third octet */
	TC = 0x02,
	OPCODE = 0x78,
	RCODE = 0x0f, /* of the fourth */
	RCODE_SERVFAIL = 2,
	RCODE_NXDOMAIN = 3,
	CLASS_IN = 1,
	NAME_OCTETS = 255, /* in wire format, the root's octet included */
	LABEL_OCTETS = 63,
	POINTER = 0xc0,
	POINTER_AT_MOST = 0x3fff,
	JUMPS = 128, /* pointers in one name: there are no more labels either */
	TXT_STRING = 255,
	FIRST_ROOM = 512
};

struct wire_name { /* without compression, lower case; n octets, the root's included */
	uint8_t  b[NAME_OCTETS];
	unsigned n;
};

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

/* ---- names ---- */

static bool
add_label(struct wire_name *out, struct strv packet, size_t at, unsigned n)
{
	if (out->n + 1 + n + 1 > NAME_OCTETS)
		return false;
	out->b[out->n++] = (uint8_t)n;
	for (unsigned i = 0; i < n; i++)
		out->b[out->n++] = (uint8_t)ascii_lower(packet.p[at + i]);
	return true;
}

/* The name at *at; *at moves behind it. Below `end' lies what is read in place. RFC 1035 4.1.4 */
static bool
get_name(struct strv packet, size_t *at, size_t end, struct wire_name *out)
{
	size_t   pos = *at, low = *at;
	unsigned jumps = 0, n;

	out->n = 0;
	while (pos < end) {
		n = (uint8_t)packet.p[pos];
		if ((n & POINTER) == POINTER) {
			if (pos + 2 > end || jumps == JUMPS)
				return false;
			if (jumps++ == 0)
				*at = pos + 2;
			pos = get16(packet, pos) & POINTER_AT_MOST;
			if (pos < HEADER)
				return false;
			end = low; /* only backwards: else the loop is over */
			low = pos;
			continue;
		}
		if (n > LABEL_OCTETS || pos + 1 + n > end)
			return false;
		if (n == 0) {
			if (jumps == 0)
				*at = pos + 1;
			out->b[out->n++] = 0;
			return true;
		}
		if (!add_label(out, packet, pos + 1, n))
			return false;
		pos += 1 + n;
	}
	return false;
}

static bool
name_eq(const struct wire_name *x, const struct wire_name *y)
{
	return x->n == y->n && memcmp(x->b, y->b, x->n) == 0;
}

/* RFC 1035 5.1 */
static unsigned
print_octet(uint8_t c, char out[4])
{
	if (c <= ' ' || c >= 0x7f) {
		out[0] = '\\';
		out[1] = (char)('0' + c / 100);
		out[2] = (char)('0' + c / 10 % 10);
		out[3] = (char)('0' + c % 10);
		return 4;
	}
	if (strchr(".\\\"();@$", c) != NULL) {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	out[0] = (char)c;
	return 1;
}

static struct strv
print_name(struct arena *a, const struct wire_name *name)
{
	char    *p = arena_bytes(a, 4 * (size_t)name->n + 1);
	size_t   n = 0;
	unsigned label;

	for (unsigned i = 0; (label = name->b[i]) != 0; i += 1 + label) {
		if (i > 0)
			p[n++] = '.';
		for (unsigned k = 1; k <= label; k++)
			n += print_octet(name->b[i + k], p + n);
	}
	p[n] = '\0';
	return strv(p, n);
}

/* One octet of printed text, its escape undone; *z moves behind it. -1: there is none such. */
static int
scan_octet(const char **z)
{
	const char *p = *z;
	int         c;

	if (p[0] != '\\') {
		*z = p + 1;
		return (uint8_t)p[0];
	}
	if (!ascii_is_digit(p[1])) {
		*z = p + 2;
		return p[1] == '\0' ? -1 : (uint8_t)p[1];
	}
	if (!ascii_is_digit(p[2]) || !ascii_is_digit(p[3]))
		return -1;
	c = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
	*z = p + 4;
	return c > 255 ? -1 : c;
}

/* A printed name without its last dot; "" is the root. */
static bool
scan_name(const char *z, struct wire_name *out)
{
	unsigned label = 0; /* where the length of the current one stands */
	int      c;

	out->n = 1;
	while (*z != '\0') {
		if (*z == '.') {
			if (out->n - label == 1 || out->n >= NAME_OCTETS)
				return false;
			out->b[label] = (uint8_t)(out->n - label - 1);
			label = out->n++;
			z++;
			continue;
		}
		c = scan_octet(&z);
		if (c < 0 || out->n - label > LABEL_OCTETS || out->n >= NAME_OCTETS - 1)
			return false;
		out->b[out->n++] = (uint8_t)ascii_lower((char)c);
	}
	if (out->n == 1)
		out->b[0] = 0;
	else if (out->n - label == 1)
		return false;
	else {
		out->b[label] = (uint8_t)(out->n - label - 1);
		out->b[out->n++] = 0;
	}
	return true;
}

/* ---- reading ---- */

/* The record at *at; *at moves behind it. */
static bool
get_rr(struct strv packet, size_t *at, struct rr *out)
{
	unsigned n;

	if (!get_name(packet, at, packet.n, &out->owner) || packet.n - *at < 10)
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
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const char          *p = packet.p + rr->at;
	size_t               n = rr->end - rr->at;

	if (n != (rr->type == DNS_A ? 4 : 16))
		return false;
	if (n == 16 && memcmp(p, mapped, sizeof(mapped)) == 0) {
		p += sizeof(mapped);
		n = 4;
	}
	*out = (struct addr){ .family = n == 4 ? ADDR_IP4 : ADDR_IP6 };
	memcpy(out->b, p, n);
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
	if (!get_name(packet, &at, rr->end, &name) || at != rr->end)
		return false;
	out->text = print_name(a, &name);
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
	size_t           at = HEADER;
	struct wire_name asked;

	if (get16(w->packet, 4) != 1 || !get_name(w->packet, &at, w->packet.n, &w->name) ||
	    w->packet.n - at < 4)
		return false;
	if (get16(w->packet, at) != w->type || get16(w->packet, at + 2) != CLASS_IN)
		return false;
	if (w->asked != NULL && (!scan_name(w->asked, &asked) || !name_eq(&asked, &w->name)))
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
		if (rr.class != CLASS_IN || !name_eq(&rr.owner, &w->name))
			continue;
		if (rr.type == w->type && out->n < DNS_RECORDS_MAX) {
			out->v = arena_grow(a, out->v, &max, out->n + 1, sizeof(*out->v));
			if (!get_record(a, w->packet, &rr, &out->v[out->n]))
				return -1;
			out->n++;
		} else if (rr.type == DNS_CNAME && !alias) {
			target = rr.at;
			if (!get_name(w->packet, &target, rr.end, next) || target != rr.end)
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

	if (packet.n < HEADER || (packet.p[2] & QR) == 0 || (packet.p[2] & OPCODE) != 0)
		return DNS_BAD;
	rcode = packet.p[3] & RCODE;
	if (rcode != 0 && rcode != RCODE_NXDOMAIN)
		return DNS_TEMP;
	if (!get_question(&w))
		return DNS_BAD;
	if ((packet.p[2] & TC) != 0) /* there is more, which nobody knows */
		return DNS_TEMP;
	rc = get_records(a, &w, &found);
	if (rc == DNS_BAD)
		return DNS_BAD;
	if (rcode == RCODE_NXDOMAIN) /* of where the chain ends, RFC 6604 3 */
		return found.n > 0 ? DNS_BAD : DNS_NXDOMAIN;
	if (rc != DNS_OK)
		return rc;
	if (type == DNS_MX)
		sort_by_preference(&found);
	found.ttl = w.ttl;
	*out = found;
	return DNS_OK;
}

/* ---- making ---- */

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

	return scan_name(name, &wire) && put(b, wire.b, wire.n);
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
	static const uint8_t header[HEADER] = { [2] = QR | 1, [3] = 0x80, [5] = 1 }; /* RD, RA */

	*b = (struct dns_packer){ .a = a };
	b->p = arena_grow(a, NULL, &b->room, FIRST_ROOM, 1);
	put(b, header, sizeof(header));
	if (!put_name(b, name))
		put(b, "", 1);
	put16(b, type);
	put16(b, CLASS_IN);
}

bool
dns_pack_add(struct dns_packer *b, const char *owner, uint16_t type, uint32_t ttl,
    const struct dns_record *r)
{
	unsigned before = b->n, count = (unsigned)b->p[6] << 8 | b->p[7], held;

	if (count == UINT16_MAX || !put_name(b, owner) || !put16(b, type) || !put16(b, CLASS_IN) ||
	    !put16(b, ttl >> 16) || !put16(b, ttl & 0xffff) || !put16(b, 0) ||
	    (held = b->n, !put_held(b, type, r))) {
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
		b->p[3] |= RCODE_NXDOMAIN;
	else if (rc != DNS_OK && rc != DNS_NODATA)
		b->p[3] |= RCODE_SERVFAIL;
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
