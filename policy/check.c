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

static void
check_rate(struct loader *l, const struct conf_rate *r)
{
	check_keys(l, &r->key);
	compile_expr(l, r->when, STAGE_MAX);
	for (unsigned i = 0; i < r->n_limit; i++)
		check_ref(l, &r->limit[i].except, WANT(NETWORKS) | WANT(DOMAINS) | WANT(ADDRESSES),
		    "`except'");
	finals_load(l, &r->final, STAGE_MAX, NULL);
}

/* Nobody's word in a test is a milter's: such an expectation could never be met. */
static void
check_whose(struct loader *l, const struct lit *by)
{
	const struct block *b = names_rule(l, by, true);

	if (b != NULL && b->kind == BLOCK_MILTER)
		diag_add(l->d, DIAG_ERROR, by->pos,
		    SV("tests ask no milters and plugins: name a check, relay, limits or upstream"),
		    "%s is a %s", diag_quote(l->a, by->text),
		    b->u.milter->plugin ? "plugin" : "milter");
}

/* What the steps say is for who plays them; here only what is wrong whatever comes. */
static void
check_expect(struct loader *l, const struct test_step *x)
{
	const struct lit *code = x->arg.n > 0 ? &x->arg.v[0] : NULL;
	const struct lit *xcode = x->arg.n > 1 ? &x->arg.v[1] : NULL;

	if (x->by.text.p != NULL)
		check_whose(l, &x->by);
	if (code == NULL || !strv_eq(x->word.text, SV("expect")))
		return;
	if (code->text.p[0] < '2' || code->text.p[0] > '5' || code->text.p[1] > '5')
		diag_add(l->d, DIAG_ERROR, code->pos, SV("such as 250, 354, 451 or 550"),
		    "%s is no reply code", diag_quote(l->a, code->text));
	else if (xcode != NULL && xcode->text.p[0] != code->text.p[0])
		diag_add(l->d, DIAG_ERROR, xcode->pos,
		    diag_did_you_mean(l->a,
			arena_printf(l->a, "%c%.*s", code->text.p[0], (int)xcode->text.n - 1,
			    xcode->text.p + 1)),
		    "the classes of %.3s and %.*s differ", code->text.p, (int)xcode->text.n,
		    xcode->text.p);
}

static void
check_test(struct loader *l, const struct conf_test *t)
{
	for (unsigned i = 0; i < t->n; i++)
		check_expect(l, &t->step[i]);
}

static void
check_block(struct loader *l, const struct block *b, struct strv word)
{
	not_in_build(l, b->pos, word);
	l->quiet = l->tags = true;
	l->advice = true;
	l->heard = l->p->n_milter;
	switch (b->kind) {
	case BLOCK_RATE:
		check_rate(l, b->u.rate);
		break;
	default:
		break;
	}
	l->quiet = l->tags = false;
	l->advice = false;
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
	if (s->here && seals_is(x))
		return; /* seals.c has them */
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
	case BLOCK_RATE:
		return SV("rate");
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
		else if (b->kind == BLOCK_TEST)
			check_test(l, b->u.test);
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
			diag_add(l->d, DIAG_WARNING, x->conf->name.pos,
			    SV("leave it out, or ask: FACT in NAME"), "nothing uses the %s %s",
			    x->conf->kind == LIST_MAP ? "map" : "list",
			    diag_quote(l->a, x->conf->name.text));
	}
}

struct policy *
policy_read(struct arena *a, struct world *w, const struct conf *c, const struct fact_def *facts,
    unsigned n_facts, const struct policy_names *names, const struct hash_key *key, struct diags *d)
{
	struct policy *p = arena_alloc(a, sizeof(*p));
	struct loader  l = { .a = a, .w = w, .d = d, .c = c, .p = p, .names = names };
	bool           few;

	*p = (struct policy){ .a = a, .conf = c, .facts = facts, .n_facts = n_facts, .key = *key };
	p->sets = arena_alloc(a, sizeof(*p->sets));
	names_check(&l);
	lists_load(&l);
	gate_load(&l);
	milters_begin(&l);
	few = rules_begin(&l);
	check_all(&l);
	if (few)
		rules_load(&l);
	maps_load(&l);
	warn_unused(&l);
	seals_asked(p);
	return p;
}

struct policy *
policy_load(struct arena *a, struct world *w, const struct conf *c, const struct fact_def *facts,
    unsigned n_facts, const struct policy_names *names, const struct hash_key *key, struct diags *d)
{
	struct policy *p = policy_read(a, w, c, facts, n_facts, names, key, d);

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

const struct nameset *
policy_domains(const struct policy *p, const struct conf_value *v, struct diags *d)
{
	struct policy         copy = *p;
	struct loader         l = { .a = p->a, .d = d, .c = p->conf, .p = &copy };
	struct lit            name = { .text = v->text, .pos = v->pos };
	struct lits           items = { 0 };
	const struct list    *list;
	const struct nameset *names;
	unsigned              errors = d->errors;

	if (v->kind == CONF_WORD) {
		list = lists_find(&l, &name, WANT(DOMAINS), "this statement");
		return list == NULL ? NULL : list->names;
	}
	for (unsigned i = 0; i < v->n_item; i++)
		lits_add(p->a, &items, (struct lit){ v->item[i].text, v->item[i].pos, false });
	names = lists_domains(&l, &items);
	return d->errors == errors ? names : NULL;
}
