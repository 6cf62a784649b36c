/*
 * dns_sim -- the resolver of the simulated world: a made-up DNS behind delays, with a cache, as libunbound is one.
 *
 * A question that is in flight already is joined; what is cached is answered inside the call.
 */
#ifndef TESTS_SIM_DNS_SIM_H
#define TESTS_SIM_DNS_SIM_H

#include "tests/sim/world_sim.h"

struct sim_dns;

struct sim_dns *sim_dns_new(struct sim *s);     /* and s->world asks it */
void sim_dns_free(struct sim_dns *d);
/* One record more, or SERVFAIL, TIMEOUT: dns_table_add. */
bool sim_dns_add(struct sim_dns *d, struct strv name, struct strv type, struct strv value, const char **why);
/* From now on the name has this and nothing else; type "gone": nothing.  What is cached stays so. */
bool sim_dns_change(struct sim_dns *d, struct strv name, struct strv type, struct strv value, const char **why);
/* How long an answer takes; name absent: of all that have no delay of their own. */
void sim_dns_delay(struct sim_dns *d, struct strv name, uint64_t ms);
void sim_dns_keep(struct sim_dns *d, uint64_t ms);      /* how long answers are cached */
/* How often the servers were asked: neither from the cache nor joined. type: "MX", or "*" for any. */
unsigned sim_dns_asked(const struct sim_dns *d, struct strv name, struct strv type);
unsigned sim_dns_waiting(const struct sim_dns *d);      /* questions that nobody has answered or taken back */

#endif
