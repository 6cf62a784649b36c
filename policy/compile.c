/*
 * compile -- expressions into rules: names into numbers, words into sets, types held together.
 *
 * Every predicate becomes "one of some matches, or none of them" on one fact; what cannot mean
 * anything for a fact's type is an error here, so eval.c meets only what it can decide.
 */
#include "policy/compile_own.h"
#include "policy/hints.h"
#include "proxy/base/arena.h"

static const char *
type_text(enum fact_type type)
{
	static const char *const words[] = { "a yes or no", "a number", "a text",
		"an address of a host", "a mail address", "a word", "a set of host addresses",
		"a set of texts" };

	return words[type];
}

struct match *
compile_match(struct compiling *s, enum match_kind kind)
{
	struct rule *r = s->r;

	r->match = arena_grow(s->l->a, r->match, &s->max, r->n_match + 1, sizeof(*r->match));
	r->match[r->n_match] = (struct match){ .kind = kind };
	return &r->match[r->n_match++];
}

bool
compile_wrong_type(struct compiling *s, struct pos at, const char *what)
{
	diag_add(s->l->d, DIAG_ERROR, at, hint_ask(s->l->a, s->x->fact.name.text, s->def),
	    "%s is %s: %s", diag_quote(s->l->a, s->x->fact.name.text), type_text(s->def->type),
	    what);
	return false;
}

static bool
bare(struct compiling *s)
{
	if (s->def->type == FACT_BOOL) {
		compile_match(s, MATCH_TRUE);
		return true;
	}
	if (s->def->type == FACT_ADDRS || s->def->type == FACT_TEXTS) {
		compile_match(s, MATCH_ABSENT);
		s->r->negated = true;
		return true;
	}
	return compile_wrong_type(
	    s, s->x->fact.name.pos, "it cannot stand alone, ask something of it");
}

/* matches STRING, matches LIST: one of some patterns is found in the text. */
static bool
matches(struct compiling *s, const struct lit *v)
{
	struct loader         *l = s->l;
	const struct pattern **one;
	struct match          *m;
	struct list           *list;

	if (s->def->type != FACT_TEXT && s->def->type != FACT_TEXTS && s->def->type != FACT_PATH)
		return compile_wrong_type(s, s->x->op_pos, "patterns are found in texts");
	if (!lists_have_patterns(l, s->x->op_pos, "matches"))
		return false;
	m = compile_match(s, MATCH_PATTERN);
	if (v->quoted) {
		one = arena_array(l->a, 1, sizeof(*one));
		*one = lists_pattern(l, v);
		m->pattern = one;
		m->n_pattern = 1;
		return *one != NULL;
	}
	list = lists_find(l, v, WANT(PATTERNS), "`matches'");
	if (list == NULL)
		return false;
	m->pattern = list->pattern;
	m->n_pattern = list->n_pattern;
	return true;
}

static bool
compile_op(struct compiling *s)
{
	const struct pred *x = s->x;

	switch (x->op) {
	case PRED_BARE:
		return bare(s);
	case PRED_IS:
		return compile_values(s, &x->value);
	case PRED_IN:
		return compile_in(s, &x->list);
	case PRED_EQ:
		return x->list.kind == REF_SET ? compile_set(s, &x->list.set) :
						 compile_values(s, &x->value);
	case PRED_MATCHES:
		return matches(s, &x->value.v[0]);
	case PRED_RESOLVES:
		return bare(s);
	default:
		break;
	}
	if (s->def->type != FACT_NUMBER)
		return compile_wrong_type(s, x->op_pos, "only numbers are smaller or greater");
	return compile_values(s, &x->value);
}

/* What is known of names where the fact itself is not of this build. */
static void
check_names(struct loader *l, const struct pred *x)
{
	struct map_call call;

	if (x->op == PRED_IN && x->list.kind == REF_CALL)
		maps_call(l, x->list.call, 0, STAGE_MAX, &call);
	else if (x->op == PRED_IN && x->list.kind == REF_NAME &&
	    !names_has_memory(l, x->list.name.text))
		lists_find(
		    l, &x->list.name, WANT(NETWORKS) | WANT(DOMAINS) | WANT(ADDRESSES), "`in'");
	else if (x->op == PRED_MATCHES && x->value.n == 1 && !x->value.v[0].quoted)
		lists_find(l, &x->value.v[0], WANT(PATTERNS), "`matches'");
}

/* What is asked about: a fact, or M(fact), which is like a fact of several texts. */
static bool
compile_subject(struct compiling *s)
{
	static const struct fact_def resolves = { .name = "resolves", .type = FACT_BOOL };
	struct rule                 *r = s->r;

	if (s->x->op == PRED_RESOLVES) {
		s->def = &resolves;
		if (!asks_resolves(s->l, &s->x->fact, s->at, s->x->op_pos, &r->ask))
			return false;
	} else if (!asks_find(s->l, &s->x->fact, s->at, &r->ask, &s->def)) {
		return false;
	}
	r->null_is_fqdn = strv_eq(strv_z(s->def->name), SV("sender.domain"));
	r->null_is_yes = asks_null_is_yes(s->l, &r->ask);
	return true;
}

static struct rule *
compile_pred(struct loader *l, const struct pred *x, enum stage at)
{
	struct rule     *r = arena_alloc(l->a, sizeof(*r));
	struct compiling s = { .l = l, .at = at, .x = x, .r = r };

	r->kind = EXPR_PRED;
	r->negated = x->negated;
	if (compile_subject(&s))
		return compile_op(&s) ? r : NULL;
	if (s.def == NULL)
		check_names(l, x);
	return NULL;
}

static bool
quantifier_ok(struct loader *l, const struct expr *e, enum stage at)
{
	const char *word = e->kind == EXPR_ANY_RCPT ? "any rcpt" : "all rcpt";

	if ((e->kind != EXPR_ANY_RCPT && e->kind != EXPR_ALL_RCPT) || at >= STAGE_DATA)
		return true;
	diag_add(l->d, DIAG_ERROR, e->pos,
	    SV("at rcpt an expression speaks of the one recipient at hand"),
	    "`%s' is for what is decided at message", word);
	return false;
}

/*
 * at: the stage at which it will be asked; STAGE_MAX: not known.  All kids are compiled, also
 * behind a mistake.  Depth is bounded by the parser.
 */
struct rule *
compile_expr(struct loader *l, const struct expr *e, enum stage at)
{
	struct rule *r;
	bool         ok;

	if (e == NULL)
		return NULL;
	if (e->kind == EXPR_PRED) {
		r = compile_pred(l, e->pred, at);
		if (r != NULL)
			r->pos = e->pos;
		return r;
	}
	ok = quantifier_ok(l, e, at);
	r = arena_alloc(l->a, sizeof(*r));
	r->kind = e->kind;
	r->pos = e->pos;
	r->kid = arena_array(l->a, e->n_kid, sizeof(struct rule *));
	for (; r->n_kid < e->n_kid; r->n_kid++) {
		r->kid[r->n_kid] = compile_expr(l, e->kid[r->n_kid], at);
		ok = r->kid[r->n_kid] != NULL && ok;
	}
	return ok ? r : NULL;
}
