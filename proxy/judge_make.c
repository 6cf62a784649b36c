/*
 * judge_make -- a judge: what policy and filters of one configuration mean for all its sessions.
 *
 * It is asked here, once, who takes part and at which stage anybody has something to do.
 *
 * Invariant: a stage at which nothing is to be done costs a session no more than the test of a bit.
 */
#include <assert.h>

#include "filters/milter_conf.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/judge_own.h"

/* Who advises may edit, too. */
#define DOES_EDIT (DOES_HEADER_EDIT | DOES_BODY_EDIT | DOES_ENVELOPE_EDIT | DOES_SEAL | DOES_ADVISE)

static unsigned
filters_of_build(void)
{
	unsigned n = 0;

	while (registry_filters[n] != NULL)
		n++;
	return n;
}

/* What the policy has to say, by stage, so that a stage without checks costs nothing. */
static void
ask_stages(struct judge *j)
{
	unsigned first;

	for (unsigned at = 0; at < STAGE_MAX; at++) {
		if (policy_has(j->policy, (enum stage)at))
			j->checked |= 1u << at;
		if (policy_wants(j->policy, (enum stage)at, &first) > 0)
			j->wanted |= 1u << at;
		if (policy_has_advised(j->policy, (enum stage)at))
			j->asked_of |= 1u << at;
	}
	j->edits = j->edits || policy_edits(j->policy);
}

/* By number: may the policy ask for that fact? */
static const bool *
what_is_asked(const struct judge *j, struct arena *a)
{
	bool *asked = arena_array(a, j->n_facts, sizeof(*asked));

	for (unsigned i = 0; i < j->n_facts && j->policy != NULL; i++)
		asked[i] = policy_asks(j->policy, i);
	return asked;
}

/* What a filter that takes part means for all sessions. */
static void
note_filter(struct judge *j, const struct filter *f)
{
	if (f->at != NULL && (f->does & DOES_ADVISE))
		j->tells |= f->stages;
	else if (f->at != NULL)
		j->stages |= f->stages;
	j->wants_body = j->wants_body || (f->does & DOES_BODY);
	j->edits = j->edits || (f->does & DOES_EDIT);
}

/* A filter that has nothing to do in this configuration has no seat, and costs nothing. */
static void
seat_filters(struct judge *j, struct arena *a, const struct filter_use *use)
{
	unsigned n = filters_of_build();

	j->filter = arena_array(a, n, sizeof(*j->filter));
	j->shared = arena_array(a, n, sizeof(*j->shared));
	j->seat_of = arena_array(a, n, sizeof(*j->seat_of));
	for (unsigned i = 0; i < n; i++) {
		const struct filter *f = registry_filters[i];
		void                *shared = f->make != NULL ? f->make(a, use) : NULL;

		j->seat_of[i] = NO_SEAT;
		if (f->make != NULL && shared == NULL)
			continue;
		assert(j->n_filters < 32);
		j->seat_of[i] = (uint8_t)j->n_filters;
		j->filter[j->n_filters] = f;
		j->shared[j->n_filters++] = shared;
		note_filter(j, f);
	}
}

struct judge *
judge_new(struct arena *a, const struct judge_conf *c)
{
	static const struct milters_conf none = { .n = 0 };
	struct judge                    *j = arena_alloc(a, sizeof *j);
	struct filter_use                use = { .auth = c->auth,
			       .milters = c->milters != NULL ? c->milters : &none };

	j->policy = c->policy;
	j->decide_within = c->decide_within > 0 ? c->decide_within : DECIDE_WITHIN;
	j->no_gate = c->no_gate;
	j->facts = registry_facts(&j->n_facts);
	use.asked = what_is_asked(j, a);
	seat_filters(j, a, &use);
	if (j->policy != NULL)
		ask_stages(j);
	j->n_milters = use.milters->n;
	j->advises = j->tells | j->asked_of;
	return j;
}

bool
judge_edits(const struct judge *j)
{
	return j->edits;
}

bool
judge_routes(const struct judge *j)
{
	return j->policy != NULL && policy_routes(j->policy);
}

bool
judge_wants_body(const struct judge *j)
{
	return j->wants_body;
}
