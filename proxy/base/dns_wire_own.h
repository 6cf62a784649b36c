/*
 * dns_wire_own -- what those who read packets of the DNS and those who make them have in common; nobody else includes it.
 */
#ifndef PROXY_BASE_DNS_WIRE_OWN_H
#define PROXY_BASE_DNS_WIRE_OWN_H

#include "proxy/base/dns.h"

enum {                                  /* RFC 1035 4.1.1 */
	DNS_HEADER = 12,                /* octets */
	DNS_QR = 0x80,                  /* of the third */
	DNS_RCODE = 0x0f,               /* of the fourth */
	DNS_RCODE_SERVFAIL = 2,
	DNS_RCODE_NXDOMAIN = 3,
	DNS_CLASS_IN = 1
};

#define DNS_WIRE_NAME 255               /* octets of a name in wire format, the root's included: RFC 1035 2.3.4 */

struct wire_name {                      /* without compression, lower case; n octets, the root's included */
	uint8_t  b[DNS_WIRE_NAME];
	unsigned n;
};

/* The name at *at; *at moves behind it. Below `end' lies what is read in place. False: there is none. */
bool wire_name_get(struct strv packet, size_t *at, size_t end, struct wire_name *out);
bool wire_name_eq(const struct wire_name *x, const struct wire_name *y);
/* Without its last dot; "" is the root. In a. */
struct strv wire_name_print(struct arena *a, const struct wire_name *name);
/* What wire_name_print makes.  False: it is no name. */
bool wire_name_scan(const char *z, struct wire_name *out);

#endif
