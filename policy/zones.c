/*
 * zones -- whose text %{dnsbl.text} is.
 *
 * Lists are asked side by side, so which answered last says little.  In the texts of a check that asks
 * lists itself the text is that of the first of them, in the order of its `when', that answered; only where a
 * check names no list (it asks for a tag, or the score) it is that of the latest.  A question is a zone and, of
 * rhsbl, a name: two names of one zone are two questions.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

struct zones {
	const struct policy *p;
	int                  latest; /* number of dnsbl.text */
	int list[2], text[2];   /* of the facts that are lists of the bad, and of their texts */
	struct list_asked *all; /* of one check */
	unsigned           n, max;
};

/* Which of z->list it asks; -1: none. */
static int
which_list(const struct zones *z, const struct asked *x)
{
	for (int i = 0; i < 2; i++)
		if (z->list[i] >= 0 && z->text[i] >= 0 && x->subject == SUBJECT_FACT &&
		    x->fact == (unsigned)z->list[i])
			return i;
	return -1;
}

/* Deeper only as far as the parser lets expressions nest. */
static void
collect(struct zones *z, const struct rule *r)
{
	int which = r->kind == EXPR_PRED ? which_list(z, &r->ask) : -1;

	for (unsigned i = 0; i < r->n_kid; i++)
		collect(z, r->kid[i]);
	if (which < 0)
		return;
	z->all = arena_grow(z->p->a, z->all, &z->max, z->n + 1, sizeof(*z->all));
	z->all[z->n++] = (struct list_asked){ &r->ask, (unsigned)z->text[which] };
}

static void
change(const struct zones *z, struct text *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct piece *x = &t->piece[i];

		if (x->plain.p != NULL || x->ask.subject != SUBJECT_FACT ||
		    x->ask.fact != (unsigned)z->latest)
			continue;
		x->list = z->all;
		x->n_list = z->n;
	}
}

void
zones_bind(struct policy *p)
{
	struct zones z = { .p = p,
		.latest = facts_number(p, "dnsbl.text"),
		.list = { facts_number(p, "dnsbl"), facts_number(p, "rhsbl") },
		.text = { facts_number(p, "dnsbl.text.of"), facts_number(p, "rhsbl.text.of") } };

	if (z.latest < 0)
		return;
	for (unsigned i = 0; i < p->n_check; i++) {
		struct check *c = &p->check[i];

		z.all = NULL;
		z.n = z.max = 0;
		if (c->when != NULL)
			collect(&z, c->when);
		if (z.n == 0)
			continue;
		change(&z, &c->on_unknown.text);
		change(&z, &c->final.text);
		for (unsigned k = 0; k < c->n_effect; k++)
			change(&z, &c->effect[k].text);
	}
}
