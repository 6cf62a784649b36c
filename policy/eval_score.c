/*
 * eval_score -- the sum of the weights of those lists that answer, and comparisons with it.
 *
 * Apart from eval.c because it reckons with numbers that are not certain: the sum is between two ends, and what is not
 * asked yet, or unknown, keeps them apart.
 */
#include "policy/eval.h"

#define NOTHING 1e-7 /* two sums that differ by less are one */

static void
widen(struct span *s, double weight)
{
	s->least += weight < 0 ? weight : 0;
	s->most += weight > 0 ? weight : 0;
}

/* What list i adds: its weight, nothing, or, unknown, anything from one to the other. */
MAY_YIELD static void
weigh(struct eval *e, const struct weighed *w, struct span *s)
{
	const struct fact *f;
	enum asked_rc      rc = eval_asked(e, &w->ask, &f);

	if (rc == ASKED_UNKNOWN)
		widen(s, w->weight);
	else if (rc == ASKED_FACT && !fact_absent(f)) {
		s->least += w->weight;
		s->most += w->weight;
	}
}

/* With whatever those lists may still add that were not asked yet. */
static struct span
with_rest(const struct policy *p, unsigned asked, struct span s)
{
	for (unsigned i = asked; i < p->n_weighed; i++)
		widen(&s, p->weighed[i].weight);
	return s;
}

MAY_YIELD struct span
eval_score(struct eval *e)
{
	struct span s = { 0, 0 };

	for (unsigned i = 0; i < e->p->n_weighed; i++)
		weigh(e, &e->p->weighed[i], &s);
	return s;
}

/* Weights are tenths and hundredths, which are no binary fractions: 0.7 and 0.1 are 0.8 here as on paper. */
static double
near(double sum, double number)
{
	double off = sum - number;

	return off < NOTHING && off > -NOTHING ? number : sum;
}

/* A comparison holds, or not, for all that is between the ends if it does for both. */
static enum truth
compare(const struct match *m, struct span s)
{
	bool least, most;

	s.least = near(s.least, m->number);
	s.most = near(s.most, m->number);
	least = match_number(m, s.least);
	most = match_number(m, s.most);
	if (m->kind != MATCH_NUMBER)
		return TRUTH_NO;
	if (m->op != PRED_EQ)
		return least == most ? eval_truth(least) : TRUTH_UNKNOWN;
	if (m->number < s.least || m->number > s.most)
		return TRUTH_NO;
	return eval_truth(least && most) == TRUTH_YES ? TRUTH_YES : TRUTH_UNKNOWN;
}

static enum truth
compare_any(const struct rule *r, struct span s)
{
	enum truth any = TRUTH_NO, t;

	for (unsigned i = 0; i < r->n_match; i++) {
		t = compare(&r->match[i], s);
		any = t > any ? t : any;
	}
	return eval_negate(any, r->negated);
}

/* Lists are asked one after the other, until the others cannot change the answer. */
MAY_YIELD enum truth
eval_score_pred(struct eval *e, const struct rule *r)
{
	struct span sum = { 0, 0 };
	enum truth  t = compare_any(r, with_rest(e->p, 0, sum));

	for (unsigned i = 0; i < e->p->n_weighed && t == TRUTH_UNKNOWN; i++) {
		weigh(e, &e->p->weighed[i], &sum);
		t = compare_any(r, with_rest(e->p, i + 1, sum));
	}
	return t;
}
