/*
 * prove_same -- expressions compared as they are written: is one the other, does one imply the other,
 * does one hold its own contrary?
 *
 * This sees what a search over values cannot, as for patterns; what it says is true, what it does not
 * say may be so all the same.
 */
#include "policy/prove.h"

#define MEMBERS 64 /* of two lists that are compared one by one */

static bool
same_strv(struct strv x, struct strv y)
{
	return (x.p == NULL) == (y.p == NULL) && strv_eq(x, y);
}

static bool
same_nets(const struct netset *x, const struct netset *y)
{
	if (x == y || x == NULL || y == NULL)
		return x == y;
	if (netset_count(x) != netset_count(y) || netset_count(x) > MEMBERS)
		return false;
	for (size_t i = 0; i < netset_count(x); i++) {
		struct addr_range a = netset_at(x, i), b = netset_at(y, i);

		if (!addr_eq(&a.lo, &b.lo) || !addr_eq(&a.hi, &b.hi))
			return false;
	}
	return true;
}

static bool
same_names(const struct nameset *x, const struct nameset *y)
{
	if (x == y || x == NULL || y == NULL)
		return x == y;
	if (nameset_count(x) != nameset_count(y) || nameset_count(x) > MEMBERS)
		return false;
	for (size_t i = 0; i < nameset_count(x); i++) {
		if (!nameset_has(y, nameset_at(x, i)))
			return false;
	}
	return true;
}

static bool
same_patterns(const struct match *x, const struct match *y)
{
	if (x->n_pattern != y->n_pattern)
		return false;
	for (unsigned i = 0; i < x->n_pattern; i++) {
		if (x->pattern[i] != y->pattern[i] &&
		    !strv_eq(pattern_text(x->pattern[i]), pattern_text(y->pattern[i])))
			return false;
	}
	return true;
}

static bool
same_match(const struct match *x, const struct match *y)
{
	return x->kind == y->kind && same_nets(x->nets, y->nets) &&
	    same_names(x->domains, y->domains) && same_names(x->addresses, y->addresses) &&
	    same_strv(x->text, y->text) && same_strv(x->path.text, y->path.text) &&
	    x->call.map == y->call.map && x->call.fact == y->call.fact && x->words == y->words &&
	    x->number == y->number && x->op == y->op && same_patterns(x, y);
}

/* But for `negated'. */
static bool
same_pred(const struct rule *x, const struct rule *y)
{
	const struct asked *a = &x->ask, *b = &y->ask;

	if (a->subject != b->subject || a->fact != b->fact || a->of != b->of || a->map != b->map ||
	    !same_strv(a->text, b->text) || x->n_match != y->n_match ||
	    x->null_is_yes != y->null_is_yes)
		return false;
	for (unsigned i = 0; i < x->n_match; i++) {
		if (!same_match(&x->match[i], &y->match[i]))
			return false;
	}
	return true;
}

static bool
same_rule(const struct rule *x, const struct rule *y)
{
	if (x == y)
		return true;
	if (x->kind != y->kind || x->n_kid != y->n_kid || x->negated != y->negated)
		return false;
	if (x->kind == EXPR_PRED)
		return same_pred(x, y);
	for (unsigned i = 0; i < x->n_kid; i++) {
		if (!same_rule(x->kid[i], y->kid[i]))
			return false;
	}
	return true;
}

static bool
contrary(const struct rule *x, const struct rule *y)
{
	if (x->kind == EXPR_NOT && same_rule(x->kid[0], y))
		return true;
	if (y->kind == EXPR_NOT && same_rule(y->kid[0], x))
		return true;
	return x->kind == EXPR_PRED && y->kind == EXPR_PRED && x->negated != y->negated &&
	    same_pred(x, y);
}

bool
rule_contrary(const struct rule *r)
{
	for (unsigned i = 0; r->kind == EXPR_AND && i < r->n_kid; i++) {
		for (unsigned k = 0; k < i; k++) {
			if (contrary(r->kid[i], r->kid[k]))
				return true;
		}
	}
	return false;
}

/* All of them, or one of them. */
static bool
all_imply(const struct rule *x, const struct rule *y)
{
	for (unsigned i = 0; i < x->n_kid; i++) {
		if (!rule_implies(x->kid[i], y))
			return false;
	}
	return true;
}

static bool
one_implies(const struct rule *x, const struct rule *y)
{
	for (unsigned i = 0; i < x->n_kid; i++) {
		if (rule_implies(x->kid[i], y))
			return true;
	}
	return false;
}

bool
rule_implies(const struct rule *x, const struct rule *y)
{
	if (same_rule(x, y))
		return true;
	if (x->kind == EXPR_OR)
		return all_imply(x, y);
	if (y->kind == EXPR_AND) {
		for (unsigned i = 0; i < y->n_kid; i++) {
			if (!rule_implies(x, y->kid[i]))
				return false;
		}
		return true;
	}
	if (x->kind == EXPR_AND && one_implies(x, y))
		return true;
	for (unsigned i = 0; y->kind == EXPR_OR && i < y->n_kid; i++) {
		if (rule_implies(x, y->kid[i]))
			return true;
	}
	return false;
}
