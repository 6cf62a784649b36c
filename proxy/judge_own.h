/*
 * judge_own -- what judge.c and judge_lookup.c share; nobody else includes it.
 */
#ifndef PROXY_JUDGE_OWN_H
#define PROXY_JUDGE_OWN_H

#include "policy/policy.h"
#include "proxy/judge.h"

struct judge {
	void                 **shared;          /* of each filter: what its make() gave */
	const struct policy   *policy;
	const struct fact_def *facts;
	unsigned               n_facts, n_filters;
	unsigned               stages;          /* at which any filter has an at() */
	unsigned               checked;         /* AT(...) with a check */
	unsigned               wanted;          /* AT(...) at which look-ups can be started */
	bool                   wants_body, edits;
	bool                   no_gate;
	uint64_t               decide_within;   /* ms */
};

/*
 * Starts what is sure to be asked from that stage on, in fibers of their own.  In the loop, and where no fiber is to
 * be had, nothing: then it is asked where it is reached.
 */
void lookup_start(struct hearing *h, enum stage at, unsigned rcpt);
/*
 * Starts that fact of the transaction, as lookup_start does; arg is copied.  Nothing outside one, in the loop, where
 * it was asked, and for a fact of the text before the text is there.
 */
void lookup_fact(struct hearing *h, unsigned number, struct strv arg);
/* Cancels those of h->tx (all: those of the session as well) and waits for their end; in the loop there are none. */
MAY_YIELD void lookup_end(struct hearing *h, bool all);

#endif
