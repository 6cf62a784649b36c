/*
 * trial_look -- what a check has seen, in words: facts with their values and where they are from.
 */
#ifndef PROXY_TRIAL_LOOK_H
#define PROXY_TRIAL_LOOK_H

#include "policy/policy.h"

/* `dnsbl("zen.spamhaus.org") is 127.0.0.2 (A 9.100.51.198.zen.spamhaus.org)'; the source may be left out.  In a. */
struct strv look_fact(struct arena *a, const struct fact *f, bool source);
/* All facts of a look, joined by ", "; at most LOOK_FACTS of them.  "": it read none. */
struct strv look_facts(struct arena *a, const struct look *l, bool source);
/* "fired", "did not fire", "is unknown" ... static. */
const char *look_came(enum look_came c);

#define LOOK_FACTS 12

#endif
