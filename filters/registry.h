/*
 * registry -- every filter of this build, and every fact by number.
 */
#ifndef FILTERS_REGISTRY_H
#define FILTERS_REGISTRY_H

#include "proxy/mail/filter.h"

extern const struct filter *const registry_filters[];   /* NULL-terminated, in the order of their calls */

/* All facts of all filters in one table, name == NULL behind the last; the index is the fact's number. Always the same. */
const struct fact_def *registry_facts(unsigned *n);
/* The filter that owns fact `number`: its index in registry_filters. */
unsigned registry_owner(unsigned number);
/* The number of a fact of this build, by name. */
unsigned registry_number(const char *name);

#endif
