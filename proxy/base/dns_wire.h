/*
 * dns_wire -- packets as they are made, and the bounds of those that are read: for dns_*.c alone.
 */
#ifndef PROXY_BASE_DNS_WIRE_H
#define PROXY_BASE_DNS_WIRE_H

#include "proxy/base/dns.h"

#define DNS_PACKET_MAX 65535
#define DNS_CHAIN      16               /* CNAMEs that are followed */

struct dns_packer {                     /* a packet that grows; in the arena */
	struct arena *a;
	uint8_t      *p;
	unsigned      n, room;
};

void dns_pack_begin(struct dns_packer *b, struct arena *a, const char *name, uint16_t type);
/* One record of the answer section.  False: it does not fit, or its name is none; nothing was added. */
bool dns_pack_add(struct dns_packer *b, const char *owner, uint16_t type, uint32_t ttl, const struct dns_record *r);
struct strv dns_pack_end(struct dns_packer *b, enum dns_rc rc);

#endif
