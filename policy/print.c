/*
 * print -- the canonical text of a configuration: one statement a line, one item of a block a
 * line.
 *
 * print(parse(p)) parses to the same tree: parentheses stand where the tree needs them, strings
 * are quoted so that the lexer undoes exactly what is done here.
 */
#include "policy/tree.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

#define WIDTH      96
#define OCTETS_MAX ((size_t)256 << 20)

struct printer {
	struct buf b; /* the line so far */
	unsigned   indent;
	void (*emit)(struct strv line, void *arg);
	void *arg;
};

/* Ends the line. A string over several lines ends more than one. */
static void
end_line(struct printer *p)
{
	struct strv all = buf_view(&p->b);

	while (all.p != NULL)
		p->emit(strv_cut(&all, '\n'), p->arg);
	buf_clear(&p->b);
}

static void
indent(struct printer *p)
{
	for (unsigned i = 0; i < p->indent; i++)
		buf_addc(&p->b, '\t');
}

static void
put(struct printer *p, struct strv v)
{
	buf_add(&p->b, v);
}

static void
put_string(struct printer *p, struct strv v)
{
	if (strv_chr(v, '\n') < v.n) {
		put(p, SV("\"\"\"\n"));
		put(p, v);
		put(p, SV("\"\"\""));
		return;
	}
	buf_addc(&p->b, '"');
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_addc(&p->b, '\\');
		buf_addc(&p->b, v.p[i]);
	}
	buf_addc(&p->b, '"');
}

static void
put_lit(struct printer *p, const struct lit *x)
{
	if (x->quoted)
		put_string(p, x->text);
	else
		put(p, x->text);
}

/* A blank and the word, where there is one. */
static void
put_after(struct printer *p, const struct lit *x)
{
	if (x->text.p == NULL)
		return;
	buf_addc(&p->b, ' ');
	put_lit(p, x);
}

static void
open_block(struct printer *p)
{
	put(p, SV(" {"));
	end_line(p);
	p->indent++;
}

static void
close_block(struct printer *p)
{
	p->indent--;
	indent(p);
	buf_addc(&p->b, '}');
	end_line(p);
}

/* Inside { } a newline is white space: a long set is broken behind commas. */
static void
break_long(struct printer *p, size_t *line_at)
{
	if (p->b.n - *line_at < WIDTH) {
		buf_addc(&p->b, ' ');
		return;
	}
	buf_addc(&p->b, '\n');
	*line_at = p->b.n;
	p->indent++;
	indent(p);
	p->indent--;
}

static void
put_set(struct printer *p, const struct lits *set)
{
	size_t line_at = 0;

	put(p, SV("{ "));
	for (unsigned i = 0; i < set->n; i++) {
		if (i > 0) {
			buf_addc(&p->b, ',');
			break_long(p, &line_at);
		}
		put_lit(p, &set->v[i]);
	}
	put(p, set->n > 0 ? SV(" }") : SV("}"));
}

/* ---- expressions ---- */

static void put_fact(struct printer *p, const struct fact_ref *f);

static void
put_args(struct printer *p, const struct fact_ref *f)
{
	buf_addc(&p->b, '(');
	for (unsigned i = 0; i < f->n_arg; i++) {
		put(p, i > 0 ? SV(", ") : SV(""));
		if (f->arg[i].kind == ARG_FACT)
			put_fact(p, &f->arg[i].fact);
		else
			put_lit(p, &f->arg[i].lit);
	}
	buf_addc(&p->b, ')');
}

static void
put_fact(struct printer *p, const struct fact_ref *f)
{
	put(p, f->name.text);
	if (f->call)
		put_args(p, f);
}

static void
put_ref(struct printer *p, const struct list_ref *ref)
{
	if (ref->kind == REF_SET)
		put_set(p, &ref->set);
	else if (ref->kind == REF_CALL)
		put_fact(p, ref->call);
	else
		put_lit(p, &ref->name);
}

static void
put_pred(struct printer *p, const struct pred *x)
{
	static const char *const yes[] = { "", " is ", " in ", " matches ", " = ", " < ",
		" <= ", " > ", " >= ", " resolves" };
	static const char *const no[] = { "", " is not ", " not in ", " not matches ", " != ", "",
		"", "", "", "" };

	put_fact(p, &x->fact);
	put(p, strv_z(x->negated ? no[x->op] : yes[x->op]));
	for (unsigned i = 0; i < x->value.n; i++) {
		put(p, i > 0 ? SV(", ") : SV(""));
		put_lit(p, &x->value.v[i]);
	}
	if (x->list.kind != REF_NONE)
		put_ref(p, &x->list);
}

static void
put_expr(struct printer *p, const struct expr *e)
{
	if (e->kind == EXPR_PRED) {
		put_pred(p, e->pred);
		return;
	}
	if (e->kind == EXPR_NOT)
		put(p, SV("not "));
	else if (e->kind == EXPR_ANY_RCPT || e->kind == EXPR_ALL_RCPT)
		put(p, e->kind == EXPR_ANY_RCPT ? SV("any rcpt (") : SV("all rcpt ("));
	for (unsigned i = 0; i < e->n_kid; i++) {
		/* What binds less than its parent, or the same, stood in parentheses. */
		bool parens = e->kid[i]->kind <= EXPR_AND && e->kind <= EXPR_NOT &&
		    !(e->kind == EXPR_OR && e->kid[i]->kind == EXPR_AND);

		put(p, i == 0 ? SV("") : e->kind == EXPR_OR ? SV(" or ") : SV(" and "));
		put(p, parens ? SV("(") : SV(""));
		put_expr(p, e->kid[i]);
		put(p, parens ? SV(")") : SV(""));
	}
	put(p, e->kind == EXPR_ANY_RCPT || e->kind == EXPR_ALL_RCPT ? SV(")") : SV(""));
}

static void
put_when(struct printer *p, const struct expr *e)
{
	if (e == NULL)
		return;
	put(p, SV("when "));
	put_expr(p, e);
}

/* ---- plain statements ---- */

static struct lit
lit_of(const struct conf_value *v)
{
	return (struct lit){ v->text, v->pos, v->kind == CONF_STRING };
}

static void
put_value_set(struct printer *p, const struct conf_value *v)
{
	size_t line_at = 0;

	put(p, SV("{ "));
	for (unsigned i = 0; i < v->n_item; i++) {
		struct lit x = lit_of(&v->item[i]);

		if (i > 0) {
			buf_addc(&p->b, ',');
			break_long(p, &line_at);
		}
		put_lit(p, &x);
	}
	put(p, v->n_item > 0 ? SV(" }") : SV("}"));
}

static void
put_value(struct printer *p, const struct conf_value *v)
{
	struct lit x = lit_of(v);

	if (v->kind == CONF_COMMA) {
		buf_addc(&p->b, ',');
		return;
	}
	buf_addc(&p->b, ' ');
	if (v->kind == CONF_SET)
		put_value_set(p, v);
	else
		put_lit(p, &x);
}

static void
print_named(struct printer *p, const struct conf_plain *x)
{
	struct lit name = lit_of(&x->name);

	put_after(p, &name);
	open_block(p);
	for (unsigned i = 0; i + 1 < x->n; i += 2) {
		struct lit word = lit_of(&x->v[i]);

		indent(p);
		put_lit(p, &word);
		put_value(p, &x->v[i + 1]);
		end_line(p);
	}
	close_block(p);
}

static void
print_plain(struct printer *p, const struct conf_plain *x)
{
	put(p, x->keyword);
	if (x->block) {
		print_named(p, x);
		return;
	}
	for (unsigned i = 0; i < x->n; i++)
		put_value(p, &x->v[i]);
	if (x->when != NULL) {
		put(p, strv_eq(x->keyword, SV("transaction-class")) ? SV(" ") : SV(" when "));
		put_expr(p, x->when);
	}
	end_line(p);
}

/* ---- lists and the gate ---- */

static void
print_map(struct printer *p, const struct conf_list *l)
{
	open_block(p);
	for (unsigned i = 0; i < l->n_entry; i++) {
		const struct map_entry *x = &l->entry[i];

		indent(p);
		put_lit(p, &x->key);
		for (unsigned k = 0; k < x->value.n; k++) {
			put(p, k > 0 ? SV(",") : SV(""));
			put_after(p, &x->value.v[k]);
		}
		end_line(p);
	}
	close_block(p);
}

static void
print_list(struct printer *p, const struct conf_list *l)
{
	static const char *const kinds[] = { "networks", "domains", "addresses", "patterns",
		"map" };
	static const char *const stores[] = { "", " file", " lmdb", " redis" };

	put(p, strv_z(kinds[l->kind]));
	put_after(p, &l->name);
	put(p, strv_z(stores[l->store]));
	if (l->store == STORE_SET && l->kind == LIST_MAP) {
		print_map(p, l);
		return;
	}
	if (l->store == STORE_SET) {
		buf_addc(&p->b, ' ');
		put_set(p, &l->item);
	} else {
		put_after(p, &l->where);
	}
	end_line(p);
}

static void
put_cond(struct printer *p, const struct relay_cond *c)
{
	static const char *const words[] = { " from ", " to ", " authenticated", " on", " " };

	put(p, strv_z(words[c->kind]));
	if (c->kind == COND_FROM || c->kind == COND_TO)
		put_ref(p, &c->list);
	else if (c->kind == COND_ON)
		put_after(p, &c->name);
	else if (c->kind == COND_WHEN)
		put_when(p, c->when);
	else if (c->over_tls)
		put(p, SV(" over tls"));
}

static void
print_relay(struct printer *p, const struct conf_relay *r)
{
	put(p, SV("relay"));
	open_block(p);
	for (unsigned i = 0; i < r->n; i++) {
		indent(p);
		put(p, r->line[i].routing ? SV("routing-characters allow") : SV("allow"));
		for (unsigned k = 0; k < r->line[i].n; k++)
			put_cond(p, &r->line[i].cond[k]);
		end_line(p);
	}
	close_block(p);
}

/* ---- checks and rates ---- */

static void
put_final(struct printer *p, const struct conf_final *f)
{
	put(p, strv_z(verdict_word(f->kind)));
	put_after(p, &f->code);
	put_after(p, &f->xcode);
	put_after(p, &f->text);
	put(p, f->to.text.p != NULL ? SV(" to") : SV(""));
	put_after(p, &f->to);
}

static void
print_final(struct printer *p, const struct conf_final *f, struct strv before)
{
	if (!f->given)
		return;
	indent(p);
	put(p, before);
	put_final(p, f);
	end_line(p);
}

static void
print_when(struct printer *p, const struct expr *e)
{
	if (e == NULL)
		return;
	indent(p);
	put_when(p, e);
	end_line(p);
}

static void
put_keys(struct printer *p, const struct conf_keys *k)
{
	for (unsigned i = 0; i < k->n; i++) {
		put(p, i > 0 ? SV(", ") : SV(""));
		if (k->v[i].four.text.p == NULL) {
			put_fact(p, &k->v[i].fact);
			continue;
		}
		put_lit(p, &k->v[i].four);
		buf_addc(&p->b, ',');
		put_lit(p, &k->v[i].six);
	}
}

static void
print_effect(struct printer *p, const struct conf_effect *e)
{
	static const char *const words[] = { "tag", "skip", "delay", "log", "add-header",
		"delete-header", "remember" };

	indent(p);
	put(p, strv_z(words[e->kind]));
	if (e->kind == EFFECT_REMEMBER) {
		buf_addc(&p->b, ' ');
		put_keys(p, &e->key);
		put(p, SV(" in"));
	}
	for (unsigned i = 0; i < e->arg.n; i++) {
		put(p, i > 0 && e->kind == EFFECT_SKIP ? SV(",") : SV(""));
		put_after(p, &e->arg.v[i]);
	}
	end_line(p);
}

static void
print_check(struct printer *p, const struct conf_check *c)
{
	put(p, SV("check"));
	put_after(p, &c->name);
	put(p, c->warn ? SV(" warn") : SV(""));
	open_block(p);
	if (c->at.text.p != NULL) {
		indent(p);
		put(p, SV("at"));
		put_after(p, &c->at);
		end_line(p);
	}
	print_when(p, c->when);
	print_final(p, &c->on_unknown, SV("on unknown "));
	for (unsigned i = 0; i < c->n_effect; i++)
		print_effect(p, &c->effect[i]);
	print_final(p, &c->final, SV(""));
	close_block(p);
}

static void
print_limit(struct printer *p, const struct conf_limit *x)
{
	indent(p);
	put(p, SV("limit"));
	put_after(p, &x->number);
	put(p, SV(" in"));
	put_after(p, &x->duration);
	if (x->except.kind != REF_NONE) {
		put(p, SV(" except "));
		put_ref(p, &x->except);
	}
	end_line(p);
}

static void
print_rate(struct printer *p, const struct conf_rate *r)
{
	put(p, SV("rate"));
	put_after(p, &r->name);
	put(p, r->warn ? SV(" warn") : SV(""));
	open_block(p);
	indent(p);
	put(p, r->accepted ? SV("count accepted") : SV("count"));
	put_after(p, &r->what);
	put(p, SV(" per "));
	put_keys(p, &r->key);
	end_line(p);
	print_when(p, r->when);
	for (unsigned i = 0; i < r->n_limit; i++)
		print_limit(p, &r->limit[i]);
	print_final(p, &r->final, SV(""));
	close_block(p);
}

/* ---- milters and tests ---- */

static void
print_milter_item(struct printer *p, const struct milter_item *x)
{
	static const char *const words[] = { "socket", "load", "isolated", "timeout", "args ", "",
		"on failure" };

	indent(p);
	put(p, strv_z(words[x->kind]));
	put_after(p, &x->value);
	if (x->kind == MILTER_ARGS)
		put_set(p, &x->args);
	put_when(p, x->when);
	end_line(p);
}

static void
print_milter(struct printer *p, const struct conf_milter *m)
{
	put(p, m->plugin ? SV("plugin") : SV("milter"));
	put_after(p, &m->name);
	put(p, m->warn ? SV(" warn") : SV(""));
	open_block(p);
	for (unsigned i = 0; i < m->n; i++)
		print_milter_item(p, &m->item[i]);
	close_block(p);
}

static void
print_test(struct printer *p, const struct conf_test *t)
{
	put(p, SV("test"));
	put_after(p, &t->name);
	open_block(p);
	for (unsigned i = 0; i < t->n; i++) {
		const struct test_step *x = &t->step[i];

		indent(p);
		put_lit(p, &x->word);
		for (unsigned k = 0; k < x->arg.n; k++)
			put_after(p, &x->arg.v[k]);
		put(p, x->by.text.p != NULL ? SV(" by") : SV(""));
		put_after(p, &x->by);
		end_line(p);
	}
	close_block(p);
}

void
conf_print(
    const struct conf *c, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct printer p = { .emit = emit, .arg = arg };

	(void)a;
	buf_init(&p.b, OCTETS_MAX);
	for (unsigned i = 0; i < c->tree->n; i++) {
		const struct block *b = &c->tree->block[i];

		switch (b->kind) {
		case BLOCK_PLAIN:
			print_plain(&p, &c->plain[b->u.plain]);
			break;
		case BLOCK_LIST:
			print_list(&p, b->u.list);
			break;
		case BLOCK_RELAY:
			print_relay(&p, b->u.relay);
			break;
		case BLOCK_CHECK:
			print_check(&p, b->u.check);
			break;
		case BLOCK_RATE:
			print_rate(&p, b->u.rate);
			break;
		case BLOCK_MILTER:
			print_milter(&p, b->u.milter);
			break;
		case BLOCK_TEST:
			print_test(&p, b->u.test);
			break;
		}
	}
	buf_fini(&p.b);
}
