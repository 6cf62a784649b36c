/* hash -- SipHash-2-4, keyed, for tables whose keys strangers choose.  Aumasson and Bernstein, 2012. */
#ifndef PROXY_BASE_HASH_H
#define PROXY_BASE_HASH_H

#include "proxy/base/strv.h"

struct hash_key { uint64_t k0, k1; };

uint64_t hash_sip(const struct hash_key *key, struct strv v);
uint64_t hash_sip_fold(const struct hash_key *key, struct strv v);      /* of v in ASCII lower case */
/*
 * The same without a key: to tell most names apart before they are compared, where there are many.  Never for places in
 * a table: names that share a few of its bits are easily found.
 */
uint64_t hash_name(struct strv v);
uint32_t crc32c(uint32_t crc, struct strv v);                           /* Castagnoli; start with 0 */

#endif
