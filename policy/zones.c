/*
 * zones -- whose text %{dnsbl.text} is.
 *
 * Lists are asked side by side, so which answered last says little.  In the texts of a check that asks
 * lists itself the text is that of the first of them, in the order of its `when', that answered; only where a
 * check names no list (it asks for a tag, or the score) it is that of the latest.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

struct zones {
	const struct policy *p;
	int                  list[2];       /* numbers of the facts that are lists of the bad */
	int                  latest, first; /* of dnsbl.text and its inner sister */
	struct strv          all;           /* with a blank between two */
};

static bool
is_list(const struct zones *z, const struct asked *x)
{
	for (size_t i = 0; i < sizeof(z->list) / sizeof(z->list[0]); i++)
		if (z->list[i] >= 0 && x->fact == (unsigned)z->list[i])
			return x->subject == SUBJECT_FACT && x->text.n > 0;
	return false;
}

/* Deeper only as far as the parser lets expressions nest. */
static void
collect(struct zones *z, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++)
		collect(z, r->kid[i]);
	if (r->kind != EXPR_PRED || !is_list(z, &r->ask))
		return;
	z->all = z->all.n == 0 ?
	    r->ask.text :
	    arena_concat(z->p->a, arena_concat(z->p->a, z->all, SV(" ")), r->ask.text);
}

static void
change(const struct zones *z, struct text *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct piece *x = &t->piece[i];

		if (x->plain.p != NULL || x->ask.subject != SUBJECT_FACT ||
		    x->ask.fact != (unsigned)z->latest)
			continue;
		x->ask.fact = (unsigned)z->first;
		x->ask.text = z->all;
	}
}

void
zones_bind(struct policy *p)
{
	struct zones z = { .p = p,
		.list = { facts_number(p, "dnsbl"), facts_number(p, "rhsbl") },
		.latest = facts_number(p, "dnsbl.text"),
		.first = facts_number(p, "dnsbl.text.of") };

	if (z.latest < 0 || z.first < 0)
		return;
	for (unsigned i = 0; i < p->n_check; i++) {
		struct check *c = &p->check[i];

		z.all = strv(NULL, 0);
		if (c->when != NULL)
			collect(&z, c->when);
		if (z.all.n == 0)
			continue;
		change(&z, &c->on_unknown.text);
		change(&z, &c->final.text);
		for (unsigned k = 0; k < c->n_effect; k++)
			change(&z, &c->effect[k].text);
	}
}
