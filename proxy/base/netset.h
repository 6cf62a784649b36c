/*
 * netset -- a set of networks; nameset -- a set of domains or addresses.  Built once, then only read:
 * made before fork and shared by the workers.
 */
#ifndef PROXY_BASE_NETSET_H
#define PROXY_BASE_NETSET_H

#include "proxy/base/addr.h"

struct netset;

struct netset *netset_new(void);
void netset_add(struct netset *s, const struct addr_range *r);
/* Sorts and joins; after it no more may be added. One call, before the first netset_has. */
void netset_seal(struct netset *s);
bool netset_has(const struct netset *s, const struct addr *a);  /* binary search; ADDR_NONE: false */
size_t netset_count(const struct netset *s);                    /* ranges after joining */
/* The i-th of them, i < netset_count: those of IPv4 first, each family rising. */
struct addr_range netset_at(const struct netset *s, size_t i);
void netset_free(struct netset *s);

#endif
