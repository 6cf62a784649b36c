/*
 * routes -- `route' and `transaction-class' into what eval.c asks once a recipient is allowed.
 *
 * Both are settled at RCPT, so no fact that is known later can stand in them.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

/* "there is a `route' already", with its place. */
static bool
is_second(struct loader *l, const struct conf_plain *x)
{
	for (unsigned i = 0; &l->c->plain[i] < x; i++) {
		const struct conf_plain *first = &l->c->plain[i];

		if (!strv_eq(first->keyword, x->keyword))
			continue;
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("one says all: a map holds as many lines as are needed"),
		    "there is a %s already, at %.*s:%u", diag_quote(l->a, x->keyword),
		    (int)first->pos.src->name.n, first->pos.src->name.p, first->pos.line);
		return true;
	}
	return false;
}

void
routes_map(struct loader *l, const struct conf_plain *x)
{
	struct lit   name;
	struct list *map;

	if (is_second(l, x))
		return;
	if (x->n != 1 || x->v[0].kind != CONF_WORD) {
		diag_add(l->d, DIAG_ERROR, x->n == 0 ? x->pos : x->v[x->n > 1].pos,
		    SV("route is written: route MAP"), "`route' takes the name of one map");
		return;
	}
	name = (struct lit){ .text = x->v[0].text, .pos = x->v[0].pos };
	map = maps_find(l, &name, MAP_POOLS);
	/* It is the recipient that is looked up. */
	if (map != NULL && l->p->gate.rcpt < 0)
		not_in_build(l, x->pos, x->keyword);
	l->p->route = map;
}

/* Does any fact in it differ from recipient to recipient? */
static bool
differs(const struct policy *p, const struct rule *r)
{
	bool yes = false;

	if (r->kind == EXPR_PRED)
		(void)stages_of(p, &r->ask, &yes);
	for (unsigned i = 0; i < r->n_kid && !yes; i++)
		yes = differs(p, r->kid[i]);
	for (unsigned i = 0; i < r->n_match && !yes; i++)
		yes = r->match[i].kind == MATCH_MAP && p->facts[r->match[i].call.fact].per_rcpt;
	return yes;
}

/* A fact with arguments is no value by itself: it is asked as in any expression. */
static bool
is_asked(const struct loader *l, const struct fact_ref *f)
{
	int n = fact_find(l->p->facts, l->p->n_facts, f->name.text);

	return (n >= 0 && l->p->facts[n].args != NULL) || strv_eq(f->name.text, SV("score")) ||
	    strv_starts(f->name.text, SV("tag."));
}

/* A fact or M(fact) alone stands for its value, whatever its type. */
static bool
load_value(struct loader *l, const struct fact_ref *f, struct class_rule *c, bool *by_rcpt)
{
	if (f->call && !facts_has(l, f->name.text) && names_map(l, f->name.text) != NULL) {
		c->kind = CLASS_MAP;
		if (!maps_call(l, f, 0, STAGE_RCPT, &c->call))
			return false;
		*by_rcpt = l->p->facts[c->call.fact].per_rcpt;
		return true;
	}
	c->kind = CLASS_FACT;
	if (facts_find(l, f, &c->fact) != FACT_HERE || !facts_at(l, f, c->fact, STAGE_RCPT))
		return false;
	*by_rcpt = l->p->facts[c->fact].per_rcpt;
	return true;
}

void
routes_class(struct loader *l, const struct conf_plain *x)
{
	struct class_rule *c = &l->p->class;
	const struct expr *e = x->when;
	bool               by_rcpt = false;

	if (is_second(l, x) || e == NULL)
		return;
	c->conf = e;
	if (e->kind == EXPR_PRED && e->pred->op == PRED_BARE && !is_asked(l, &e->pred->fact)) {
		if (!load_value(l, &e->pred->fact, c, &by_rcpt))
			return;
	} else {
		c->kind = CLASS_EXPR;
		c->expr = compile_expr(l, e, STAGE_RCPT);
		if (c->expr == NULL)
			return;
		by_rcpt = differs(l->p, c->expr);
	}
	if (!by_rcpt)
		diag_add(l->d, DIAG_WARNING, e->pos,
		    SV("name a fact of the recipient, such as rcpt.domain"),
		    "all recipients are of one class: nothing here differs between them");
}
