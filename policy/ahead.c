/*
 * ahead -- what is known of a policy before its checks are walked: look-ups that can begin, stages at which it speaks,
 * and what its verdicts will need of a message.
 *
 * Not for what comes of a check: checks.c.  The invariant: nothing here says anything of a message, and what is begun
 * too early, or in vain, changes no verdict.
 */
#include "policy/eval.h"

/* ---- what can be started early ---- */

unsigned
policy_wants(const struct policy *p, enum stage at, unsigned *first)
{
	unsigned n = 0;

	*first = 0;
	while (*first < p->n_want && p->want[*first].from < at)
		++*first;
	while (*first + n < p->n_want && p->want[*first + n].from == at)
		n++;
	return n;
}

MAY_YIELD enum wait_rc
policy_want(const struct policy *p, unsigned want, unsigned rcpt, struct policy_case *c)
{
	struct eval        e = { .p = p, .facts = c->facts, .c = c, .rcpt = rcpt, .of_rcpt = true };
	const struct fact *f;

	(void)eval_asked(&e, &p->want[want].ask, &f);
	return e.cancelled ? WAIT_CANCELLED : WAIT_OK;
}

MAY_YIELD bool
policy_wanted(const struct policy *p, unsigned want, unsigned rcpt, struct policy_case *c)
{
	const struct want *x = &p->want[want];
	struct eval e = { .p = p, .facts = c->facts, .rcpt = rcpt, .of_rcpt = true, .peek = true };
	const struct fact *f;

	if (x->gate && c->no_gate)
		return false;
	(void)eval_asked(&e, &x->ask, &f);
	if (!e.missed || x->when == NULL)
		return e.missed;
	e = (struct eval){ .p = p,
		.facts = c->facts,
		.c = c,
		.rcpt = rcpt,
		.of_rcpt = true,
		.peek = true,
		.cheap = true,
		.upto = x->from };
	return eval_rule(&e, x->when) == TRUTH_UNKNOWN && !e.cancelled;
}

/* ---- what its checks need ---- */

bool
policy_has(const struct policy *p, enum stage at)
{
	return p->stages & 1u << at;
}

/* What is kept on disk, or goes to somebody else, must be there whole as well. */
static bool
quarantines(const struct check *k)
{
	return !k->warn &&
	    (k->final.kind == VERDICT_QUARANTINE || k->on_unknown.kind == VERDICT_QUARANTINE);
}

static bool
keeps(const struct say *v)
{
	return v->kind == VERDICT_QUARANTINE && v->to.p == NULL;
}

bool
policy_keeps(const struct policy *p, struct pos *where)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		const struct check *c = &p->check[i];

		if (!keeps(&c->final) && !keeps(&c->on_unknown))
			continue;
		*where = keeps(&c->final) ? c->conf->final.pos : c->conf->on_unknown.pos;
		return true;
	}
	return false;
}

bool
policy_edits(const struct policy *p)
{
	if (p->n_milter > 0)
		return true;
	for (unsigned i = 0; i < p->n_check; i++) {
		if (quarantines(&p->check[i]))
			return true;
	}
	return p->edits;
}

bool
policy_relays_nothing(const struct policy *p)
{
	return !p->has_relay;
}

bool
policy_reject_at_stage(const struct policy *p)
{
	return p->reject_at_stage;
}
