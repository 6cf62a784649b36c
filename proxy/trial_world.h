/*
 * trial_world -- the made-up world of a `test` block: a clock that jumps, a DNS of what is stated, nothing else.
 */
#ifndef PROXY_TRIAL_WORLD_H
#define PROXY_TRIAL_WORLD_H

#include "proxy/base/dns_table.h"
#include "proxy/base/world.h"

struct loop;

#define TRIAL_WALL 1767225600u          /* s since 1970: when a test begins that does not say, 2026-01-01T00:00:00Z */

struct trial_world {
	struct world       w;           /* ctx is this struct */
	struct arena      *a;           /* answers of the DNS */
	struct dns_table  *dns;
	struct loop       *loop;        /* for what is done later; set once it is there */
	uint64_t           now;         /* ms */
	uint64_t           wall;        /* us since 1970 when now was 0 */
	uint64_t           seed;
	const struct strv *zone;        /* of rhsbl: their test points answer, see trial_world.c */
	unsigned           n_zone;
};

void trial_world_init(struct trial_world *t, struct arena *a);

#endif
