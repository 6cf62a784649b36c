/*
 * judge_own -- what judge.c and the judge_*.c share; nobody else includes it.
 */
#ifndef PROXY_JUDGE_OWN_H
#define PROXY_JUDGE_OWN_H

#include "policy/policy.h"
#include "proxy/judge.h"

#define NO_SEAT 255

struct judge {
	/* Those filters that take part in this configuration: one seat each in a hearing, in the registry's order. */
	const struct filter  **filter;
	void                 **shared;          /* of each: what its make() gave */
	uint8_t               *seat_of;         /* of each filter of the registry: its seat, or NO_SEAT */
	const struct policy   *policy;
	const struct fact_def *facts;
	unsigned               n_facts, n_filters;      /* n_filters: seats */
	unsigned               stages;          /* at which any filter has an at() */
	unsigned               checked;         /* AT(...) with a check */
	unsigned               wanted;          /* AT(...) at which look-ups can be started */
	unsigned               tells;           /* AT(...) at which filters that advise hear of it; 0: there are none */
	unsigned               asked_of;        /* AT(...) with a check that asks what they said */
	unsigned               advises;         /* either: the one bit that a stage looks at */
	unsigned               n_milters;
	bool                   wants_body, edits;
	bool                   no_gate;
	uint64_t               decide_within;   /* ms */
};

struct seat {
	const struct filter *filter;            /* NULL: it sits this session out */
	void                *self;
};

static inline bool
seat_hears(const struct seat *s, enum stage at)
{
	return s->filter != NULL && s->filter->at != NULL && (s->filter->stages & 1u << at);
}

/* A verdict is held: of this transaction, or of the session. */
static inline bool
judge_settled(const struct hearing *h)
{
	return verdict_final(h->tx != NULL ? &h->tx->verdict : &h->held);
}

/* --- judge.c --- */

/* One filter's at(); half-made edits are cut off.  advice: of findings. */
MAY_YIELD enum wait_rc judge_hear(struct hearing *h, struct seat *s, enum stage at, struct advice *advice);
/* Effects that delay; a client that has gone ends it. */
MAY_YIELD enum wait_rc judge_wait_out(struct policy_case *c);

/* --- judge_advice.c --- */

/* findings.hears */
MAY_YIELD enum hears advice_hears(const struct findings *f, unsigned i);
/* findings.settles */
bool advice_settles(const struct findings *f, unsigned i);
/* A transaction's begins as the session's. */
struct advice *advice_of_session(const struct hearing *h, struct arena *tx);
/*
 * Behind the checks of a stage: filters that advise are told, unless something has settled it (out, or what is held);
 * then the policy is asked what it makes of their advice.  out: in and out.
 */
MAY_YIELD enum wait_rc advice_stage(struct hearing *h, enum stage at, unsigned rcpt, struct verdict *out);

/* --- judge_lookup.c --- */

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
