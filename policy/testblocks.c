/*
 * testblocks -- `test` blocks, taken out of the tree.  What they mean is not known here.
 */
#include "policy/testblocks.h"

#include "policy/tree.h"
#include "proxy/base/arena.h"

static struct conf_value
value_of(const struct lit *x)
{
	return (struct conf_value){
		.kind = x->quoted ? CONF_STRING : CONF_WORD,
		.text = x->text,
		.pos = x->pos,
	};
}

static struct test_block_step
step_of(const struct test_step *x)
{
	struct test_block_step s = {
		.word = x->word.text,
		.pos = x->word.pos,
		.by = value_of(&x->by),
	};

	for (unsigned i = 0; i < x->arg.n && i < TEST_ARGS; i++)
		s.arg[s.n++] = value_of(&x->arg.v[i]);
	return s;
}

struct test_block *
testblocks_list(const struct conf *c, struct arena *a, unsigned *n)
{
	struct test_block *all = arena_array(a, c->tree->n, sizeof(*all));

	*n = 0;
	for (unsigned i = 0; i < c->tree->n; i++) {
		const struct conf_test *t = c->tree->block[i].u.test;
		struct test_block      *b = &all[*n];

		if (c->tree->block[i].kind != BLOCK_TEST)
			continue;
		*b = (struct test_block){ t->name.text, t->name.pos,
			arena_array(a, t->n, sizeof(*b->step)), t->n };
		for (unsigned k = 0; k < t->n; k++)
			b->step[k] = step_of(&t->step[k]);
		(*n)++;
	}
	return all;
}

/* ---- zones ---- */

struct zones {
	struct arena *a;
	struct strv   fact;
	struct strv  *v;
	unsigned      n, max;
};

static void
zone_of(struct zones *z, const struct fact_ref *f)
{
	if (f->n_arg == 0 || f->arg[0].kind != ARG_STRING || !strv_eq(f->name.text, z->fact))
		return;
	z->v = arena_grow(z->a, z->v, &z->max, z->n + 1, sizeof(*z->v));
	z->v[z->n++] = f->arg[0].lit.text;
}

/* As deep as the parser let an expression be. */
static void
zones_of(struct zones *z, const struct expr *e)
{
	if (e == NULL)
		return;
	for (unsigned i = 0; i < e->n_kid; i++)
		zones_of(z, e->kid[i]);
	if (e->pred != NULL)
		zone_of(z, &e->pred->fact);
}

static void
zones_of_gate(struct zones *z, const struct conf_relay *r)
{
	for (unsigned i = 0; i < r->n; i++)
		for (unsigned k = 0; k < r->line[i].n; k++)
			zones_of(z, r->line[i].cond[k].when);
}

struct strv *
testblocks_zones(const struct conf *c, struct arena *a, struct strv fact, unsigned *n)
{
	struct zones z = { .a = a, .fact = fact };

	for (unsigned i = 0; i < c->tree->n; i++) {
		const struct block *b = &c->tree->block[i];

		if (b->kind == BLOCK_CHECK)
			zones_of(&z, b->u.check->when);
		else if (b->kind == BLOCK_RELAY)
			zones_of_gate(&z, b->u.relay);
	}
	*n = z.n;
	return z.v;
}
