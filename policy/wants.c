/*
 * wants -- what is cheap is asked first, and which look-ups can begin before their check is reached.
 *
 * Sure to be asked is what stands leftmost in `and', `or' and `not' among all that costs a look-up, unless what
 * costs nothing settles the answer; that is looked at first, and again when the look-up could begin
 * (policy_wanted).  All this is said of the way on which no check above fires.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

static enum fact_cost
dearer(enum fact_cost a, enum fact_cost b)
{
	return a > b ? a : b;
}

static enum fact_cost
ask_cost(const struct policy *p, const struct asked *ask)
{
	enum fact_cost cost = COST_MEMORY;

	switch (ask->subject) {
	case SUBJECT_TAG:
		return COST_MEMORY;
	case SUBJECT_SCORE:
		return COST_DNS;
	case SUBJECT_FACT:
		if (ask->of >= 0)
			cost = p->facts[ask->of].cost;
		break;
	case SUBJECT_MAP:
		break;
	}
	return dearer(cost, p->facts[ask->fact].cost);
}

static enum fact_cost
rule_cost(const struct policy *p, const struct rule *r)
{
	enum fact_cost cost = r->kind == EXPR_PRED ? ask_cost(p, &r->ask) : COST_MEMORY;

	for (unsigned i = 0; i < r->n_kid; i++)
		cost = dearer(cost, rule_cost(p, r->kid[i]));
	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == MATCH_MAP)
			cost = dearer(cost, p->facts[r->match[i].call.fact].cost);
	}
	return cost;
}

/* ---- the cheap first ---- */

/*
 * In Kleene's logic the order of `and' and `or' changes no answer, only what is asked on the way to it.  So
 * what is known anyway comes before what must be looked up, and settles it where it can.
 */
static void
cheap_first(const struct policy *p, struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++)
		cheap_first(p, r->kid[i]);
	for (unsigned i = 1; i < r->n_kid; i++) {
		struct rule   *x = r->kid[i];
		enum fact_cost cost = rule_cost(p, x);
		unsigned       k = i;

		for (; k > 0 && rule_cost(p, r->kid[k - 1]) > cost; k--)
			r->kid[k] = r->kid[k - 1];
		r->kid[k] = x;
	}
}

static enum fact_cost
cond_cost(const struct policy *p, const struct gate_cond *c)
{
	return c->kind == COND_WHEN ? rule_cost(p, c->when) : COST_MEMORY;
}

/* The conditions of one line of the gate are an `and', its lines an `or'. */
static enum fact_cost
sort_conds(const struct policy *p, struct gate_line *line)
{
	enum fact_cost all = COST_MEMORY;

	for (unsigned i = 0; i < line->n; i++) {
		struct gate_cond x = line->cond[i];
		enum fact_cost   cost = cond_cost(p, &x);
		unsigned         k = i;

		if (x.kind == COND_WHEN)
			cheap_first(p, x.when);
		for (; k > 0 && cond_cost(p, &line->cond[k - 1]) > cost; k--)
			line->cond[k] = line->cond[k - 1];
		line->cond[k] = x;
		all = dearer(all, cost);
	}
	return all;
}

static void
sort_lines(struct policy *p)
{
	for (unsigned i = 0; i < p->n_line; i++) {
		enum fact_cost   cost = sort_conds(p, &p->line[i]);
		struct gate_line x = p->line[i];
		unsigned         k = i;

		for (; k > 0 && sort_conds(p, &p->line[k - 1]) > cost; k--)
			p->line[k] = p->line[k - 1];
		p->line[k] = x;
	}
}

/* ---- wants ---- */

struct wants {
	struct policy *p;
	unsigned       max;
	enum stage     at; /* of those who ask at hand */
};

static bool
is_wanted(struct policy *p, const struct want *x)
{
	for (unsigned i = 0; i < p->n_want; i++) {
		struct want *there = &p->want[i];

		if (!asks_same(&there->ask, &x->ask) ||
		    (there->when != x->when && there->when != NULL))
			continue;
		there->gate = there->gate && x->gate;
		return true;
	}
	return false;
}

/* Inside any rcpt ( ) only the first recipient is asked for sure. */
static void
want(struct wants *w, struct want x, bool inside)
{
	struct policy *p = w->p;
	bool           per_rcpt = false;
	enum stage     from;

	if (x.ask.subject == SUBJECT_SCORE) {
		for (unsigned i = 0; i < p->n_weighed; i++)
			want(w, (struct want){ p->weighed[i].ask, x.from, x.when, x.gate }, inside);
		return;
	}
	if (x.ask.subject != SUBJECT_FACT || p->facts[x.ask.fact].cost != COST_DNS)
		return;
	from = stages_of(p, &x.ask, &per_rcpt);
	x.from = from > x.from ? from : x.from;
	/* Who asks of TLS earlier than that has asked already. */
	if (x.from > w->at || (inside && per_rcpt) || is_wanted(p, &x))
		return;
	p->want = arena_grow(p->a, p->want, &w->max, p->n_want + 1, sizeof(*p->want));
	p->want[p->n_want++] = x;
}

/* A tag is set on the way: what it says is known only when the check is reached. */
static bool
asks_tags(const struct rule *r)
{
	if (r->kind == EXPR_PRED)
		return r->ask.subject == SUBJECT_TAG;
	for (unsigned i = 0; i < r->n_kid; i++) {
		if (asks_tags(r->kid[i]))
			return true;
	}
	return false;
}

/*
 * The first kid that costs a look-up; what is cheap in front of it must be known before, so it makes *from later.
 * NULL: there is none, or what stands in front cannot be known early.
 */
static const struct rule *
first_dear(const struct policy *p, const struct rule *r, bool inside, enum stage *from)
{
	for (unsigned i = 0; i < r->n_kid; i++) {
		const struct rule *kid = r->kid[i];
		bool               per_rcpt = false;
		enum stage         at;

		if (rule_cost(p, kid) >= COST_DNS)
			return kid;
		if (inside || asks_tags(kid) || rule_cost(p, kid) != COST_MEMORY)
			return NULL;
		at = stages_rule(p, kid, &per_rcpt);
		*from = at > *from ? at : *from;
	}
	return NULL;
}

static void
want_rule(struct wants *w, const struct rule *r, bool gate)
{
	struct want x = { .when = r, .gate = gate };
	bool        inside = false, cheap = false;

	for (; r != NULL && r->kind != EXPR_PRED;) {
		inside = inside || r->kind == EXPR_ANY_RCPT || r->kind == EXPR_ALL_RCPT;
		cheap = cheap || rule_cost(w->p, r->kid[0]) < COST_DNS;
		r = first_dear(w->p, r, inside, &x.from);
	}
	if (r == NULL)
		return;
	x.ask = r->ask;
	if (!cheap)
		x.when = NULL;
	/* The key of a map is a fact of its own. */
	if (x.ask.subject == SUBJECT_MAP)
		x.ask = (struct asked){ .fact = x.ask.fact, .of = -1 };
	want(w, x, inside);
}

/* By insertion: what begins at the same stage stays in the order of the checks. */
static void
sort_wants(struct policy *p)
{
	for (unsigned i = 1; i < p->n_want; i++) {
		struct want x = p->want[i];
		unsigned    k = i;

		for (; k > 0 && p->want[k - 1].from > x.from; k--)
			p->want[k] = p->want[k - 1];
		p->want[k] = x;
	}
}

void
wants_find(struct loader *l)
{
	struct policy *p = l->p;
	struct wants   w = { .p = p };

	sort_lines(p);
	for (unsigned i = 0; i < p->n_check; i++)
		cheap_first(p, p->check[i].when);
	for (unsigned i = 0; i < p->n_seal; i++) {
		if (p->seal[i].when != NULL)
			cheap_first(p, p->seal[i].when);
	}
	for (unsigned i = 0; i < p->n_milter; i++) {
		if (p->milter[i].when != NULL)
			cheap_first(p, p->milter[i].when);
	}
	for (unsigned at = STAGE_CONNECT; at <= STAGE_MESSAGE; at++) {
		w.at = (enum stage)at;
		/* The gate comes before the checks of its stage. */
		if (at == STAGE_RCPT && p->n_line > 0 && p->line[0].n > 0 &&
		    p->line[0].cond[0].kind == COND_WHEN)
			want_rule(&w, p->line[0].cond[0].when, true);
		for (unsigned i = 0; i < p->n_check; i++) {
			if (p->check[i].at == at)
				want_rule(&w, p->check[i].when, false);
		}
		for (unsigned i = 0; i < p->n_milter; i++) {
			if (p->milter[i].at == at)
				want_rule(&w, p->milter[i].when, false);
		}
	}
	sort_wants(p);
}
