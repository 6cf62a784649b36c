/*
 * registry -- the filters in the order of their calls, and their facts numbered through.
 *
 * The numbers are the same in every process of one build, since nothing but the lists decides them.
 */
#include "filters/registry.h"

#include <assert.h>

#include "filters/filters.h"

#define FACTS_MAX 128

const struct filter *const registry_filters[] = { &client_filter, &names_filter, &dnsbl_filter,
	&envelope_filter, &message_filter, &txt_filter, &spf_filter, &dkim_filter, &arc_filter,
	&dmarc_filter, &milter_filter, &authres_filter, &sign_filter, &seal_filter, NULL };

static struct fact_def facts[FACTS_MAX + 1]; /* ends with name == NULL */
static unsigned        owners[FACTS_MAX], n_facts;

/* Once a process, at its first question: before it forks or in a test. */
static void
collect(void)
{
	for (unsigned i = 0; registry_filters[i] != NULL; i++) {
		const struct fact_def *d = registry_filters[i]->facts;

		for (; d != NULL && d->name != NULL; d++) {
			assert(n_facts < FACTS_MAX);
			owners[n_facts] = i;
			facts[n_facts++] = *d;
		}
	}
}

const struct fact_def *
registry_facts(unsigned *n)
{
	if (n_facts == 0)
		collect();
	*n = n_facts;
	return facts;
}

unsigned
registry_number(const char *name)
{
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);
	int                    number = fact_find(defs, n, strv_z(name));

	assert(number >= 0);
	return (unsigned)number;
}

unsigned
registry_owner(unsigned number)
{
	if (n_facts == 0)
		collect();
	assert(number < n_facts);
	return owners[number];
}
