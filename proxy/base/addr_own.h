/* addr_own -- what addresses and endpoints share; nobody else includes it. */
#ifndef PROXY_BASE_ADDR_OWN_H
#define PROXY_BASE_ADDR_OWN_H

#include "proxy/base/addr.h"

/* From 4 or 16 octets in network order; not kept.  Of an IPv4-mapped IPv6 address an IP4 is made. */
void addr_set_ip4(struct addr *out, const void *octets);
void addr_set_ip6(struct addr *out, const void *octets);

#endif
