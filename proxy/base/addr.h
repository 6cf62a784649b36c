/*
 * addr -- IP addresses, endpoints, networks: parse and print.  No look-ups, no sockets.
 */
#ifndef PROXY_BASE_ADDR_H
#define PROXY_BASE_ADDR_H

#include "proxy/base/strv.h"

enum addr_family { ADDR_NONE, ADDR_IP4, ADDR_IP6, ADDR_UNIX };

struct addr {                           /* IPv4-mapped IPv6 addresses are always stored as IP4 */
	uint8_t family;                 /* ADDR_NONE, ADDR_IP4 or ADDR_IP6 */
	uint8_t b[16];                  /* network order; IP4 uses b[0..3], the rest 0 */
};

struct endpoint {
	struct addr addr;               /* family ADDR_UNIX: path holds it */
	uint16_t    port;
	const char *path;               /* unix only; borrowed from configuration */
};

#define ADDR_TEXT 46                    /* room for the text of an address, NUL included */
#define ENDPOINT_TEXT 128

bool addr_parse(struct strv v, struct addr *out);               /* "192.0.2.1", "2001:db8::1"; no brackets */
/* Text of a (canonical, RFC 5952) into buf, NUL-terminated; the view of it. ADDR_NONE: "-". */
struct strv addr_print(const struct addr *a, char buf[ADDR_TEXT]);
/* From 4 or 16 octets in network order; not kept.  Of an IPv4-mapped IPv6 address an IP4 is made. */
void addr_set_ip4(struct addr *out, const void *octets);
void addr_set_ip6(struct addr *out, const void *octets);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
/* a with all bits behind the first `bits` cleared. */
struct addr addr_mask(const struct addr *a, unsigned bits);
/* An SMTP address literal without its brackets: "192.0.2.1", "IPv6:2001:db8::1" (RFC 5321 4.1.3). */
bool addr_parse_literal(struct strv v, struct addr *out);

/*
 * "ADDR:PORT", "[v6]:PORT", "unix:/path", "inet:HOST:PORT" and libmilter's "inet:PORT@HOST" with HOST an
 * address.  The path is copied into the arena.  False: *why says what is wrong (static text).
 */
struct arena;
bool endpoint_parse(struct arena *a, struct strv v, struct endpoint *out, const char **why);
/* Is it written as only libmilter writes it: inet:, inet6:, local:? */
bool endpoint_is_milters(struct strv v);
struct strv endpoint_print(const struct endpoint *e, char buf[ENDPOINT_TEXT]);

/* To and from the kernel's form. A unix peer becomes ADDR_UNIX with the path "" (it is not copied). */
struct sockaddr;
struct sockaddr_storage;
bool     endpoint_from_sockaddr(const struct sockaddr *sa, unsigned len, struct endpoint *out);
unsigned endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out);  /* length, 0: cannot */

/* A range of addresses of one family, both ends included. */
struct addr_range { struct addr lo, hi; };
/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.1-192.0.2.9", a single address. Host bits set: *why, false. */
bool addr_range_parse(struct strv v, struct addr_range *out, const char **why);

#endif
