/*
 * same -- are two configurations the same tree?  By structure, places aside: what print.c writes must
 * parse to what it was, whatever print.c thinks of it.
 */
#ifndef TESTS_POLICY_SAME_H
#define TESTS_POLICY_SAME_H

#include "tests/policy/same_expr.h"

static bool
same_value(const struct conf_value *a, const struct conf_value *b)
{
	bool same = a->kind == b->kind && same_text(a->text, b->text) && a->n_item == b->n_item;

	for (unsigned i = 0; same && i < a->n_item; i++)
		same = same_value(&a->item[i], &b->item[i]);
	return same;
}

static bool
same_plain(const struct conf_plain *a, const struct conf_plain *b)
{
	bool same = strv_eq(a->keyword, b->keyword) && a->n == b->n && a->block == b->block &&
	    same_value(&a->name, &b->name) && same_expr(a->when, b->when);

	for (unsigned i = 0; same && i < a->n; i++)
		same = same_value(&a->v[i], &b->v[i]);
	return same;
}

static bool
same_list(const struct conf_list *a, const struct conf_list *b)
{
	bool same = a->kind == b->kind && same_lit(&a->name, &b->name) && a->store == b->store &&
	    same_lit(&a->where, &b->where) && same_lits(&a->item, &b->item) && a->n_entry == b->n_entry;

	for (unsigned i = 0; same && i < a->n_entry; i++)
		same = same_lit(&a->entry[i].key, &b->entry[i].key) &&
		    same_lits(&a->entry[i].value, &b->entry[i].value);
	return same;
}

static bool
same_cond(const struct relay_cond *a, const struct relay_cond *b)
{
	return a->kind == b->kind && a->over_tls == b->over_tls && same_ref(&a->list, &b->list) &&
	    same_lit(&a->name, &b->name) && same_expr(a->when, b->when);
}

static bool
same_relay(const struct conf_relay *a, const struct conf_relay *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++) {
		same = a->line[i].routing == b->line[i].routing && a->line[i].n == b->line[i].n;
		for (unsigned k = 0; same && k < a->line[i].n; k++)
			same = same_cond(&a->line[i].cond[k], &b->line[i].cond[k]);
	}
	return same;
}

static bool
same_final(const struct conf_final *a, const struct conf_final *b)
{
	return a->given == b->given && a->kind == b->kind && same_lit(&a->code, &b->code) &&
	    same_lit(&a->xcode, &b->xcode) && same_lit(&a->text, &b->text) && same_lit(&a->to, &b->to);
}

static bool
same_keys(const struct conf_keys *a, const struct conf_keys *b)
{
	bool same = a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = same_fact(&a->v[i].fact, &b->v[i].fact) && same_lit(&a->v[i].four, &b->v[i].four) &&
		    same_lit(&a->v[i].six, &b->v[i].six);
	return same;
}

static bool
same_check(const struct conf_check *a, const struct conf_check *b)
{
	bool same = same_lit(&a->name, &b->name) && a->warn == b->warn && same_lit(&a->at, &b->at) &&
	    same_expr(a->when, b->when) && same_final(&a->on_unknown, &b->on_unknown) &&
	    same_final(&a->final, &b->final) && a->n_effect == b->n_effect;

	for (unsigned i = 0; same && i < a->n_effect; i++)
		same = a->effect[i].kind == b->effect[i].kind &&
		    same_lits(&a->effect[i].arg, &b->effect[i].arg) &&
		    same_keys(&a->effect[i].key, &b->effect[i].key);
	return same;
}

static bool
same_rate(const struct conf_rate *a, const struct conf_rate *b)
{
	bool same = same_lit(&a->name, &b->name) && a->warn == b->warn && a->accepted == b->accepted &&
	    same_lit(&a->what, &b->what) && same_keys(&a->key, &b->key) && same_expr(a->when, b->when) &&
	    same_final(&a->final, &b->final) && a->n_limit == b->n_limit;

	for (unsigned i = 0; same && i < a->n_limit; i++)
		same = same_lit(&a->limit[i].number, &b->limit[i].number) &&
		    same_lit(&a->limit[i].duration, &b->limit[i].duration) &&
		    same_ref(&a->limit[i].except, &b->limit[i].except);
	return same;
}

static bool
same_milter(const struct conf_milter *a, const struct conf_milter *b)
{
	bool same = same_lit(&a->name, &b->name) && a->plugin == b->plugin && a->warn == b->warn && a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = a->item[i].kind == b->item[i].kind && same_lit(&a->item[i].value, &b->item[i].value) &&
		    same_lits(&a->item[i].args, &b->item[i].args) &&
		    same_expr(a->item[i].when, b->item[i].when);
	return same;
}

static bool
same_test(const struct conf_test *a, const struct conf_test *b)
{
	bool same = same_lit(&a->name, &b->name) && a->n == b->n;

	for (unsigned i = 0; same && i < a->n; i++)
		same = same_lit(&a->step[i].word, &b->step[i].word) &&
		    same_lits(&a->step[i].arg, &b->step[i].arg) && same_lit(&a->step[i].by, &b->step[i].by);
	return same;
}

static bool
same_block(const struct conf *a, const struct block *x, const struct conf *b, const struct block *y)
{
	if (x->kind != y->kind)
		return false;
	switch (x->kind) {
	case BLOCK_PLAIN:  return same_plain(&a->plain[x->u.plain], &b->plain[y->u.plain]);
	case BLOCK_LIST:   return same_list(x->u.list, y->u.list);
	case BLOCK_RELAY:  return same_relay(x->u.relay, y->u.relay);
	case BLOCK_CHECK:  return same_check(x->u.check, y->u.check);
	case BLOCK_RATE:   return same_rate(x->u.rate, y->u.rate);
	case BLOCK_MILTER: return same_milter(x->u.milter, y->u.milter);
	case BLOCK_TEST:   return same_test(x->u.test, y->u.test);
	}
	return false;
}

__attribute__((unused)) static bool
same_conf(const struct conf *a, const struct conf *b)
{
	bool same = a->tree->n == b->tree->n && a->n_plain == b->n_plain;

	for (unsigned i = 0; same && i < a->tree->n; i++)
		same = same_block(a, &a->tree->block[i], b, &b->tree->block[i]);
	return same;
}

#endif
