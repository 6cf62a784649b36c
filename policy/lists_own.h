/*
 * lists_own -- what the files that read lists share; nobody else includes it.
 *
 * lists            networks, domains, addresses; which list a name means
 * lists_patterns   patterns
 */
#ifndef POLICY_LISTS_OWN_H
#define POLICY_LISTS_OWN_H

#include "policy/load.h"

/*
 * lists_load_patterns -- what to->conf, a list of patterns, holds in braces or in its file
 *
 *   to   gets pattern, n_pattern and items; the patterns live as long as the policy, in its arena
 *
 * Mistakes are reported pattern by pattern, and what is wrong is left out.  Without PCRE2: reported, and
 * the list is empty.
 */
void lists_load_patterns(struct loader *l, struct list *to);

#endif
