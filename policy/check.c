/*
 * check -- policy_load: the tree held together and compiled.
 *
 * Everything is looked at before anything is refused: all mistakes come in one run.  Blocks of
 * another build are one error each; their names, codes and texts are looked at all the same.
 */
#include "policy/load.h"
#include "policy/statements.h"
#include "proxy/base/arena.h"

/* ---- blocks that this build does not have ---- */

static void
check_keys(struct loader *l, const struct conf_keys *k)
{
	for (unsigned i = 0; i < k->n; i++) {
		unsigned number;

		if (k->v[i].four.text.p == NULL)
			facts_find(l, &k->v[i].fact, &number);
	}
}

static void
check_ref(struct loader *l, const struct list_ref *ref, unsigned want, const char *taker)
{
	struct map_call call;

	if (ref->kind == REF_NAME)
		lists_find(l, &ref->name, want, taker);
	else if (ref->kind == REF_CALL)
		maps_call(l, ref->call, 0, STAGE_MAX, &call);
}

/* skip names a check that comes later. */
static void
check_skip(struct loader *l, const struct lit *name, const struct block *from)
{
	const struct block *b = names_rule(l, name, false);

	if (b != NULL && b <= from)
		diag_add(l->d, DIAG_ERROR, name->pos,
		    SV("a check that stands above is decided already"),
		    "%s does not come behind this check", diag_quote(l->a, name->text));
}

static void
check_effect(struct loader *l, const struct conf_effect *e, const struct block *from)
{
	check_keys(l, &e->key);
	for (unsigned i = 0; i < e->arg.n; i++) {
		const struct lit *x = &e->arg.v[i];

		if (e->kind == EFFECT_SKIP)
			check_skip(l, x, from);
		else if (e->kind == EFFECT_LOG || (e->kind == EFFECT_ADD_HEADER && i == 1))
			finals_text(l, x, 0);
		else if (e->kind == EFFECT_REMEMBER && !names_has_memory(l, x->text))
			diag_add(l->d, DIAG_ERROR, x->pos, strv(NULL, 0), "no memory is called %s",
			    diag_quote(l->a, x->text));
	}
}

static void
check_stage(struct loader *l, const struct lit *at)
{
	static const char *const words[] = { "connect", "helo", "auth", "mail", "rcpt", "data",
		"message", NULL };
	enum stage               stage;

	if (at->text.p == NULL || (stage_find(at->text, &stage) && stage_in_policy(stage)))
		return;
	did_you_mean(l, at->pos, strv_z(diag_nearest(at->text, words)), "there is no stage %s",
	    diag_quote(l->a, at->text));
}

static void
check_check(struct loader *l, const struct block *b)
{
	const struct conf_check *c = b->u.check;

	check_stage(l, &c->at);
	compile_expr(l, c->when, STAGE_MAX);
	finals_check(l, &c->on_unknown);
	for (unsigned i = 0; i < c->n_effect; i++)
		check_effect(l, &c->effect[i], b);
	finals_check(l, &c->final);
}

static void
check_rate(struct loader *l, const struct conf_rate *r)
{
	check_keys(l, &r->key);
	compile_expr(l, r->when, STAGE_MAX);
	for (unsigned i = 0; i < r->n_limit; i++)
		check_ref(l, &r->limit[i].except, WANT(NETWORKS) | WANT(DOMAINS) | WANT(ADDRESSES),
		    "`except'");
	finals_check(l, &r->final);
}

static void
check_milter(struct loader *l, const struct conf_milter *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		if (m->item[i].kind == MILTER_WHEN)
			compile_expr(l, m->item[i].when, STAGE_MAX);
	}
}

static void
check_test(struct loader *l, const struct conf_test *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (t->step[i].by.text.p != NULL)
			names_rule(l, &t->step[i].by, true);
	}
}

static void
check_block(struct loader *l, const struct block *b, struct strv word)
{
	not_in_build(l, b->pos, word);
	l->quiet = true;
	switch (b->kind) {
	case BLOCK_CHECK:
		check_check(l, b);
		break;
	case BLOCK_RATE:
		check_rate(l, b->u.rate);
		break;
	case BLOCK_MILTER:
		check_milter(l, b->u.milter);
		break;
	case BLOCK_TEST:
		check_test(l, b->u.test);
		break;
	default:
		break;
	}
	l->quiet = false;
}

/* ---- plain statements ---- */

static void
use_lists(struct loader *l, const struct conf_plain *x)
{
	for (unsigned i = 0; i < x->n; i++) {
		for (unsigned k = 0; x->v[i].kind == CONF_WORD && k < l->p->n_list; k++) {
			if (strv_eq(l->p->list[k].conf->name.text, x->v[i].text))
				l->p->list[k].used = true;
		}
	}
}

static void
check_plain(struct loader *l, const struct conf_plain *x)
{
	const struct statement *s = statement_find(x->keyword);

	if (s->kind == STATEMENT_CLASS) {
		routes_class(l, x);
		return;
	}
	use_lists(l, x);
	if (s->here && x->when != NULL)
		diag_add(l->d, DIAG_ERROR, x->when->pos,
		    arena_printf(l->a, "%s is written: %s", s->word, s->form), "%s takes no `when'",
		    diag_quote(l->a, x->keyword));
	if (!s->here)
		not_in_build(l, x->pos, x->keyword);
	l->quiet = true;
	compile_expr(l, x->when, STAGE_MAX);
	l->quiet = false;
	if (strv_eq(x->keyword, SV("route")))
		routes_map(l, x);
	if (strv_eq(x->keyword, SV("reject-at")) && x->n == 1)
		l->p->reject_at_stage = strv_eq(x->v[0].text, SV("stage"));
}

/* ---- all ---- */

static struct strv
word_of(const struct block *b)
{
	switch (b->kind) {
	case BLOCK_CHECK:
		return SV("check");
	case BLOCK_RATE:
		return SV("rate");
	case BLOCK_MILTER:
		return b->u.milter->plugin ? SV("plugin") : SV("milter");
	case BLOCK_TEST:
		return SV("test");
	case BLOCK_LIST:
		return b->u.list->kind == LIST_PATTERNS ? SV("patterns") : SV("");
	default:
		return SV("");
	}
}

static void
check_all(struct loader *l)
{
	for (unsigned i = 0; i < l->c->tree->n; i++) {
		const struct block *b = &l->c->tree->block[i];
		struct strv         word = word_of(b);

		if (b->kind == BLOCK_PLAIN)
			check_plain(l, &l->c->plain[b->u.plain]);
		else if (word.n > 0)
			check_block(l, b, word);
	}
}

/* With mistakes around, what would have used the list may only be what could not be read. */
static void
warn_unused(struct loader *l)
{
	for (unsigned i = 0; l->d->errors == 0 && i < l->p->n_list; i++) {
		const struct list *x = &l->p->list[i];

		if (!x->used)
			diag_add(l->d, DIAG_WARNING, x->conf->name.pos, strv(NULL, 0),
			    "nothing uses the %s %s", x->conf->kind == LIST_MAP ? "map" : "list",
			    diag_quote(l->a, x->conf->name.text));
	}
}

struct policy *
policy_load(struct arena *a, struct world *w, const struct conf *c, const struct fact_def *facts,
    unsigned n_facts, const struct policy_names *names, const struct hash_key *key, struct diags *d)
{
	struct policy *p = arena_alloc(a, sizeof(*p));
	struct loader  l = { .a = a, .w = w, .d = d, .c = c, .p = p, .names = names };

	*p = (struct policy){ .a = a, .conf = c, .facts = facts, .n_facts = n_facts, .key = *key };
	p->sets = arena_alloc(a, sizeof(*p->sets));
	names_check(&l);
	lists_load(&l);
	gate_load(&l);
	check_all(&l);
	maps_load(&l);
	warn_unused(&l);
	if (d->errors == 0)
		return p;
	policy_free(p);
	return NULL;
}

void
policy_free(struct policy *p)
{
	if (p != NULL)
		sets_free(p->sets);
}

/* ---- lists of plain statements ---- */

const struct netset *
policy_networks(const struct policy *p, const struct conf_value *v, struct diags *d)
{
	struct policy        copy = *p;
	struct loader        l = { .a = p->a, .d = d, .c = p->conf, .p = &copy };
	struct lit           name = { .text = v->text, .pos = v->pos };
	struct lits          items = { 0 };
	struct list         *list;
	const struct netset *nets;
	unsigned             errors = d->errors;

	if (v->kind == CONF_WORD) {
		list = lists_find(&l, &name, WANT(NETWORKS), "this statement");
		return list == NULL ? NULL : list->nets;
	}
	if (v->kind != CONF_SET) {
		diag_add(d, DIAG_ERROR, v->pos, SV("a list is named without quotes"),
		    "expected the name of a list or { ... }");
		return NULL;
	}
	for (unsigned i = 0; i < v->n_item; i++)
		lits_add(p->a, &items, (struct lit){ v->item[i].text, v->item[i].pos, false });
	nets = lists_networks(&l, &items);
	return d->errors == errors ? nets : NULL;
}
