/*
 * dns -- questions to the resolver of the world, asked by fibers; answers as records.
 *
 * A name is what people write: "example.org", with or without a last dot, A-labels or UTF-8 (which becomes
 * A-labels), octets that no name has otherwise as \DDD; what cannot be a name at all is DNS_NXDOMAIN without a
 * question.  CNAMEs are followed by the resolver; what comes here is the end of the chain.  Hostile answers are a
 * value (DNS_BAD), never more.
 */
#ifndef PROXY_BASE_DNS_H
#define PROXY_BASE_DNS_H

#include "proxy/base/addr.h"
#include "proxy/base/fiber.h"
#include "proxy/base/strv.h"

struct arena;
struct world;

enum dns_type { DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16,
	DNS_AAAA = 28 };

/*
 * OK: there are records.  NXDOMAIN: no such name; NODATA: the name, but none of that type.  TEMP: SERVFAIL,
 * refused, bogus, time over; BAD: the answer is malformed.  TEMP and BAD: nothing is known (Kleene's unknown).
 */
enum dns_rc { DNS_OK, DNS_NXDOMAIN, DNS_NODATA, DNS_TEMP, DNS_BAD, DNS_CANCELLED };

const char *dns_rc_name(enum dns_rc rc);        /* "ok", "no such name", ... static */
const char *dns_type_name(uint16_t type);       /* "A", "AAAA", ... static; "?": none of enum dns_type */
bool dns_type_find(struct strv name, uint16_t *type);   /* case does not count; false: none of them */

#define DNS_RECORDS_MAX 256                     /* of one answer; more are cut off */
#define DNS_NAME_MAX    254                     /* octets of a printed name and its NUL */
#define DNS_TIME        10000                   /* ms: for all that one call here asks */

/* ---- the seam to the world ---- */

/*
 * One question in flight.  The world calls done exactly once, perhaps before it returns from `dns', unless
 * it was cancelled.  packet: the whole answer in wire format (RFC 1035 4.1), question included, good only during
 * the call; rc is DNS_OK where there is a packet to read (whatever its RCODE), else DNS_TEMP.
 */
struct dns_query {
	const char *name;               /* absolute, in A-labels, without the last dot ("" is the root); the asker's */
	uint16_t    type;
	void      (*done)(struct dns_query *, enum dns_rc rc, struct strv packet);
	void       *arg;                /* the asker's */
	void       *own;                /* the world's */
};

/* ---- what fibers ask ---- */

struct dns_record {
	struct addr addr;               /* A, AAAA */
	uint16_t    preference;         /* MX */
	struct strv text;               /* MX, PTR, NS, CNAME: a name, lower case, no last dot ("" is the root);
	                                 * TXT: its strings joined (RFC 7208 3.3), any octets */
};

struct dns_answer {                     /* in the arena that was given */
	struct dns_record *v;           /* MX sorted by preference; else as they came */
	unsigned           n;
	uint32_t           ttl;         /* s: the smallest of the records; 0 where there are none */
};

/*
 * dns_ask -- the records of a name
 *
 *   a     owns the answer
 *   type  enum dns_type
 *   ms    budget, 0: DNS_TIME; the fiber's own deadline holds, too (then DNS_TEMP)
 *
 * Parks the fiber, unless the resolver knows at once.  DNS_CANCELLED: the fiber was.  `out' is set on DNS_OK alone.
 */
MAY_YIELD enum dns_rc dns_ask(struct arena *a, struct strv name, uint16_t type, unsigned ms, struct dns_answer *out);

/*
 * dns_ask_addrs -- A and AAAA side by side
 *
 * OK where either has records; NXDOMAIN or NODATA only where that is known of both; else TEMP or BAD.
 */
MAY_YIELD enum dns_rc dns_ask_addrs(struct arena *a, struct strv name, unsigned ms, struct dns_answer *out);

/* The name at which PTR records of an address stand; with a zone behind it what RFC 5782 2.1 asks. In a. */
struct strv dns_reverse(struct arena *a, const struct addr *addr, struct strv zone);
/* What stands in a question for a name as people write it; false: it cannot be a name. RFC 1035 2.3.4, IDNA. */
bool dns_name(struct strv name, char out[DNS_NAME_MAX]);

/* ---- wire format; pure ---- */

/*
 * dns_unpack -- the records that answer a question, from a whole packet
 *
 *   name   what was asked for, as in dns_name; NULL: whatever the packet's own question says
 *
 * Looks at header, question and answer section; follows a chain of CNAMEs inside the packet (at most 16); records
 * of other names are ignored.  Names with octets that no host name has are kept, escaped as in master files.
 */
enum dns_rc dns_unpack(struct arena *a, struct strv packet, const char *name, uint16_t type,
    struct dns_answer *out);

/* One answer for tests, explain and `test' blocks: what a resolver would send. rc: OK, NXDOMAIN, NODATA, TEMP (SERVFAIL). */
struct strv dns_pack(struct arena *a, const char *name, uint16_t type, enum dns_rc rc, const struct dns_answer *answer);

#endif
