/*
 * world_dns -- the resolver of world_real: libunbound on the worker's own loop.  For world_real.c alone.
 */
#ifndef PROXY_BASE_WORLD_DNS_H
#define PROXY_BASE_WORLD_DNS_H

#include "proxy/base/world.h"

/*
 * From here on w answers questions.  conf lives until world_dns_close; the library's context (memory, descriptors)
 * is made at the first question.  False with *why: not in this build.
 */
bool world_dns_open(struct world *w, struct loop *l, const struct resolver_conf *conf, const char **why);
/* What is still asked for is never answered. Harmless where nothing is open. */
void world_dns_close(struct world *w);

#endif
