/*
 * print_block -- lists, maps, the relay gate, checks, rates, milters and plugins, tests: one item of a block a line.
 *
 * An item that was not written is not printed: no default shows up in a file as if somebody had said it.
 */
#include "policy/print_own.h"

/* ---- lists and the gate ---- */

static void
print_map(struct printer *p, const struct conf_list *l)
{
	print_open(p);
	for (unsigned i = 0; i < l->n_entry; i++) {
		const struct map_entry *x = &l->entry[i];

		print_indent(p);
		print_lit(p, &x->key);
		for (unsigned k = 0; k < x->value.n; k++) {
			print_put(p, k > 0 ? SV(",") : SV(""));
			print_after(p, &x->value.v[k]);
		}
		print_end(p);
	}
	print_close(p);
}

void
print_list(struct printer *p, const struct conf_list *l)
{
	static const char *const kinds[] = { "networks", "domains", "addresses", "patterns",
		"map" };
	static const char *const stores[] = { "", " file", " lmdb", " redis" };

	print_put(p, strv_z(kinds[l->kind]));
	print_after(p, &l->name);
	print_put(p, strv_z(stores[l->store]));
	if (l->store == STORE_SET && l->kind == LIST_MAP) {
		print_map(p, l);
		return;
	}
	if (l->store == STORE_SET) {
		buf_addc(&p->b, ' ');
		print_set(p, &l->item);
	} else {
		print_after(p, &l->where);
	}
	print_end(p);
}

static void
put_cond(struct printer *p, const struct relay_cond *c)
{
	static const char *const words[] = { " from ", " to ", " authenticated", " on", " " };

	print_put(p, strv_z(words[c->kind]));
	if (c->kind == COND_FROM || c->kind == COND_TO)
		print_ref(p, &c->list);
	else if (c->kind == COND_ON)
		print_after(p, &c->name);
	else if (c->kind == COND_WHEN)
		print_when(p, c->when);
	else if (c->over_tls)
		print_put(p, SV(" over tls"));
}

void
print_relay(struct printer *p, const struct conf_relay *r)
{
	print_put(p, SV("relay"));
	print_open(p);
	for (unsigned i = 0; i < r->n; i++) {
		print_indent(p);
		print_put(p, r->line[i].routing ? SV("routing-characters allow") : SV("allow"));
		for (unsigned k = 0; k < r->line[i].n; k++)
			put_cond(p, &r->line[i].cond[k]);
		print_end(p);
	}
	print_close(p);
}

/* ---- checks and rates ---- */

static void
put_final(struct printer *p, const struct conf_final *f)
{
	print_put(p, strv_z(verdict_word(f->kind)));
	print_after(p, &f->code);
	print_after(p, &f->xcode);
	print_after(p, &f->text);
	print_put(p, f->to.text.p != NULL ? SV(" to") : SV(""));
	print_after(p, &f->to);
}

static void
final_line(struct printer *p, const struct conf_final *f, struct strv before)
{
	if (!f->given)
		return;
	print_indent(p);
	print_put(p, before);
	put_final(p, f);
	print_end(p);
}

static void
when_line(struct printer *p, const struct expr *e)
{
	if (e == NULL)
		return;
	print_indent(p);
	print_when(p, e);
	print_end(p);
}

static void
put_keys(struct printer *p, const struct conf_keys *k)
{
	for (unsigned i = 0; i < k->n; i++) {
		print_put(p, i > 0 ? SV(", ") : SV(""));
		if (k->v[i].four.text.p == NULL) {
			print_fact(p, &k->v[i].fact);
			continue;
		}
		print_lit(p, &k->v[i].four);
		buf_addc(&p->b, ',');
		print_lit(p, &k->v[i].six);
	}
}

static void
print_effect(struct printer *p, const struct conf_effect *e)
{
	static const char *const words[] = { "tag", "skip", "delay", "log", "add-header",
		"delete-header", "remember" };

	print_indent(p);
	print_put(p, strv_z(words[e->kind]));
	if (e->kind == EFFECT_REMEMBER) {
		buf_addc(&p->b, ' ');
		put_keys(p, &e->key);
		print_put(p, SV(" in"));
	}
	for (unsigned i = 0; i < e->arg.n; i++) {
		print_put(p, i > 0 && e->kind == EFFECT_SKIP ? SV(",") : SV(""));
		print_after(p, &e->arg.v[i]);
	}
	print_end(p);
}

void
print_check(struct printer *p, const struct conf_check *c)
{
	print_put(p, SV("check"));
	print_after(p, &c->name);
	print_put(p, c->warn ? SV(" warn") : SV(""));
	print_open(p);
	if (c->at.text.p != NULL) {
		print_indent(p);
		print_put(p, SV("at"));
		print_after(p, &c->at);
		print_end(p);
	}
	when_line(p, c->when);
	final_line(p, &c->on_unknown, SV("on unknown "));
	for (unsigned i = 0; i < c->n_effect; i++)
		print_effect(p, &c->effect[i]);
	final_line(p, &c->final, SV(""));
	print_close(p);
}

static void
print_limit(struct printer *p, const struct conf_limit *x)
{
	print_indent(p);
	print_put(p, SV("limit"));
	print_after(p, &x->number);
	print_put(p, SV(" in"));
	print_after(p, &x->duration);
	if (x->except.kind != REF_NONE) {
		print_put(p, SV(" except "));
		print_ref(p, &x->except);
	}
	print_end(p);
}

void
print_rate(struct printer *p, const struct conf_rate *r)
{
	print_put(p, SV("rate"));
	print_after(p, &r->name);
	print_put(p, r->warn ? SV(" warn") : SV(""));
	print_open(p);
	print_indent(p);
	print_put(p, r->accepted ? SV("count accepted") : SV("count"));
	print_after(p, &r->what);
	print_put(p, SV(" per "));
	put_keys(p, &r->key);
	print_end(p);
	when_line(p, r->when);
	for (unsigned i = 0; i < r->n_limit; i++)
		print_limit(p, &r->limit[i]);
	final_line(p, &r->final, SV(""));
	print_close(p);
}

/* ---- milters and tests ---- */

static void
print_milter_item(struct printer *p, const struct milter_item *x)
{
	static const char *const words[] = { "socket", "load", "isolated", "timeout", "args ", "",
		"on failure" };

	print_indent(p);
	print_put(p, strv_z(words[x->kind]));
	print_after(p, &x->value);
	if (x->kind == MILTER_ARGS)
		print_set(p, &x->args);
	print_when(p, x->when);
	print_end(p);
}

void
print_milter(struct printer *p, const struct conf_milter *m)
{
	print_put(p, m->plugin ? SV("plugin") : SV("milter"));
	print_after(p, &m->name);
	print_put(p, m->warn ? SV(" warn") : SV(""));
	print_open(p);
	for (unsigned i = 0; i < m->n; i++)
		print_milter_item(p, &m->item[i]);
	print_close(p);
}

void
print_test(struct printer *p, const struct conf_test *t)
{
	print_put(p, SV("test"));
	print_after(p, &t->name);
	print_open(p);
	for (unsigned i = 0; i < t->n; i++) {
		const struct test_step *x = &t->step[i];

		print_indent(p);
		print_lit(p, &x->word);
		for (unsigned k = 0; k < x->arg.n; k++)
			print_after(p, &x->arg.v[k]);
		print_put(p, x->by.text.p != NULL ? SV(" by") : SV(""));
		print_after(p, &x->by);
		print_end(p);
	}
	print_close(p);
}
