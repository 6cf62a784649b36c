/*
 * chance_policy -- policies drawn by chance over facts drawn by chance, and what comes of them.  Header-only.
 */
#ifndef TESTS_UNIT_CHANCE_POLICY_H
#define TESTS_UNIT_CHANCE_POLICY_H

#include "tests/unit/chance_facts.h"

/* ---- random policies ---- */

T_UNUSED static struct rule *
rule_of(enum expr_kind kind, unsigned kids)
{
	struct rule *r = arena_alloc(arena, sizeof(*r));

	r->kind = kind;
	r->ask.of = -1;
	r->n_kid = kids;
	r->kid = arena_array(arena, kids, sizeof(struct rule *));
	return r;
}

T_UNUSED static struct match *
one_match(struct rule *r, enum match_kind kind)
{
	r->match = arena_alloc(arena, sizeof(*r->match));
	r->match->kind = kind;
	r->n_match = 1;
	return r->match;
}

T_UNUSED static struct rule *
draw_pred(bool of_rcpt)
{
	static const enum pred_op ops[] = { PRED_LT, PRED_LE, PRED_GT, PRED_GE };
	struct rule              *r = rule_of(EXPR_PRED, 0);
	struct match             *m = one_match(r, MATCH_TRUE);
	unsigned                  kind = below(8);

	r->negated = below(4) == 0;
	if (kind == 0) {
		r->ask.subject = SUBJECT_SCORE;
		m->kind = MATCH_NUMBER;
		m->op = ops[below(4)];
		m->number = (double)below(7) - 2;
	} else if (kind == 1) {
		r->ask.subject = SUBJECT_TAG;
		r->ask.fact = below(TAGS);
	} else if (of_rcpt && kind < 5) {
		r->ask.fact = PLAIN + below(OF_RCPT);
	} else {
		r->ask.fact = kind == 7 ? PLAIN + OF_RCPT + below(LISTS) : below(PLAIN);
	}
	return r;
}

T_UNUSED static struct rule *
draw_rule(unsigned depth, bool of_rcpt)
{
	unsigned     kind = depth == 0 ? 9 : below(10);
	struct rule *r;

	if (kind >= 5)
		return draw_pred(of_rcpt);
	if (kind == 4 && of_rcpt)
		kind = 0;
	if (kind < 2)
		r = rule_of(kind == 0 ? EXPR_AND : EXPR_OR, 2 + below(2));
	else if (kind == 4)
		r = rule_of(below(2) == 0 ? EXPR_ANY_RCPT : EXPR_ALL_RCPT, 1);
	else
		r = rule_of(EXPR_NOT, 1);
	for (unsigned i = 0; i < r->n_kid; i++)
		r->kid[i] = draw_rule(depth - 1, of_rcpt || kind == 4);
	return r;
}

T_UNUSED static void
draw_effects(struct check *k)
{
	k->effect = arena_array(arena, 2, sizeof(*k->effect));
	if (below(3) == 0)
		k->effect[k->n_effect++] =
		    (struct effect){ .kind = EFFECT_TAG, .number = below(TAGS), .name = SV("t") };
	if (below(4) == 0 && k->number + 1 < CHECKS)
		k->effect[k->n_effect++] = (struct effect){ .kind = EFFECT_SKIP,
			.number = k->number + 1 + below(CHECKS - k->number - 1) };
}

static const char *const names[CHECKS] = { "a", "b", "c", "d", "e", "f" };

/* rich: with effects, dry runs and verdicts for the unknown. */
T_UNUSED static struct policy *
draw_policy(unsigned checks, bool rich)
{
	static const enum verdict_kind kinds[] = { VERDICT_NONE, VERDICT_REJECT, VERDICT_TEMPFAIL,
		VERDICT_DISCARD };
	struct policy                 *p = arena_alloc(arena, sizeof(*p));

	p->facts = defs;
	p->n_facts = FACTS;
	p->n_tag = TAGS;
	p->n_check = checks;
	p->check = arena_array(arena, checks, sizeof(*p->check));
	p->stages = AT(MESSAGE);
	p->n_weighed = LISTS;
	p->weighed = arena_array(arena, LISTS, sizeof(*p->weighed));
	for (unsigned i = 0; i < LISTS; i++)
		p->weighed[i] = (struct weighed){ .ask = { .fact = PLAIN + OF_RCPT + i, .of = -1 },
			.weight = (double)below(5) - 1.5 };
	for (unsigned i = 0; i < checks; i++) {
		struct check *k = &p->check[i];

		k->number = i;
		k->name = strv_z(names[i]);
		k->at = STAGE_MESSAGE;
		k->when = draw_rule(3, false);
		k->final.kind = kinds[rich ? below(4) : 1 + below(3)];
		if (!rich)
			continue;
		k->on_unknown.kind = below(3) == 0 ? kinds[below(4)] : VERDICT_NONE;
		k->warn = below(5) == 0;
		draw_effects(k);
	}
	return p;
}

/* ---- what comes of it ---- */

T_UNUSED static void
evaluate(const struct policy *p, struct life *l, struct policy_case *c, struct verdict *out)
{
	*c = (struct policy_case){ .a = arena, .facts = &l->facts, .env = &l->env };
	T_EQ_NUM(policy_eval(p, STAGE_MESSAGE, 0, c, out), WAIT_OK);
}

T_UNUSED static struct strv
story(const struct policy_case *c)
{
	static const char letters[] = { 'F', 'W', 'A', 'U', 'L', 'T' };
	struct strv       all = SV("");

	for (const struct note *n = c->notes.first; n != NULL; n = n->next)
		all = arena_printf(
		    arena, "%.*s%c%c", (int)all.n, all.p, letters[n->kind], n->check.p[0]);
	return all;
}

T_UNUSED static enum truth
truth_of(const struct policy *p, const enum truth *value, unsigned check)
{
	struct policy_case c;
	struct life        l;
	struct eval        e;

	live(&l, value);
	c = (struct policy_case){ .a = arena, .facts = &l.facts, .env = &l.env };
	e = (struct eval){ .p = p, .facts = &l.facts, .c = &c };
	return eval_rule(&e, p->check[check].when);
}

#endif
