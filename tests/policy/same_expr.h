/*
 * same_expr -- same.h's words and expressions.
 */
#ifndef TESTS_POLICY_SAME_EXPR_H
#define TESTS_POLICY_SAME_EXPR_H

#include "policy/tree.h"

static bool
same_text(struct strv a, struct strv b)
{
	return (a.p == NULL) == (b.p == NULL) && strv_eq(a, b);
}

static bool
same_lit(const struct lit *a, const struct lit *b)
{
	return same_text(a->text, b->text) && a->quoted == b->quoted;
}

static bool
same_lits(const struct lits *a, const struct lits *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = same_lit(&a->v[i], &b->v[i]);
	return same;
}

static bool
same_fact(const struct fact_ref *a, const struct fact_ref *b)
{
	bool same = same_lit(&a->name, &b->name) && a->n_arg == b->n_arg && a->call == b->call;

	for (unsigned i = 0; same && i < a->n_arg; i++)
		same = a->arg[i].kind == b->arg[i].kind && same_lit(&a->arg[i].lit, &b->arg[i].lit) &&
		    same_fact(&a->arg[i].fact, &b->arg[i].fact);
	return same;
}

static bool
same_ref(const struct list_ref *a, const struct list_ref *b)
{
	if (a->kind != b->kind)
		return false;
	return a->kind == REF_NONE || (a->kind == REF_NAME && same_lit(&a->name, &b->name)) ||
	    (a->kind == REF_SET && same_lits(&a->set, &b->set)) ||
	    (a->kind == REF_CALL && same_fact(a->call, b->call));
}

static bool
same_pred(const struct pred *a, const struct pred *b)
{
	return same_fact(&a->fact, &b->fact) && a->op == b->op && a->negated == b->negated &&
	    same_lits(&a->value, &b->value) && same_ref(&a->list, &b->list);
}

static bool
same_expr(const struct expr *a, const struct expr *b)
{
	bool same;

	if (a == NULL || b == NULL)
		return a == b;
	if (a->kind != b->kind || a->n_kid != b->n_kid)
		return false;
	if (a->kind == EXPR_PRED)
		return same_pred(a->pred, b->pred);
	same = true;
	for (unsigned i = 0; same && i < a->n_kid; i++)
		same = same_expr(a->kid[i], b->kid[i]);
	return same;
}

#endif
