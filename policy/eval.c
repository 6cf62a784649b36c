/*
 * eval -- expressions, from facts alone.
 *
 * Three values by Kleene's logic: no < unknown < yes, and is the least, or the greatest, not the
 * mirror.  Kids are looked at in the order of the file, and none behind one that has settled the
 * answer, so no fact is asked for that cannot change it.  The score is eval_score.c's.
 */
#include "policy/eval.h"

#include "proxy/base/arena.h"

/* ---- facts ---- */

static void
note_read(struct eval *e, const struct fact *f)
{
	for (unsigned i = 0; i < e->n_read; i++) {
		if (e->read[i] == f)
			return;
	}
	e->read = arena_grow(e->c->a, e->read, &e->max_read, e->n_read + 1, sizeof(*e->read));
	e->read[e->n_read++] = f;
}

static bool
is_cheap(const struct eval *e, unsigned number)
{
	const struct fact_def *def = &e->p->facts[number];

	return def->cost == COST_MEMORY && def->first <= e->upto;
}

/* The fact, asked for or looked at; its state is final. NULL: cancelled, or nobody knows. */
MAY_YIELD static const struct fact *
find(struct eval *e, unsigned number, struct strv arg)
{
	const struct fact *peeked;
	struct fact       *f;

	if (e->peek && !(e->cheap && is_cheap(e, number))) {
		peeked = fact_peek(e->facts, e->p->facts, number, e->rcpt, arg);
		e->missed = e->missed || peeked == NULL;
		return peeked;
	}
	if (fact_get(e->facts, e->p->facts, number, e->rcpt, arg, &f) == WAIT_OK)
		return f;
	e->cancelled = true;
	return NULL;
}

/* Two hundred checks ask the same few facts: what was seen in this walk is not searched for again. */
MAY_YIELD static const struct fact *
get(struct eval *e, unsigned number, struct strv arg)
{
	bool               keep = number < EVAL_SEEN && arg.p == NULL;
	const struct fact *f;

	if (e->cancelled)
		return NULL;
	f = keep ? e->seen[number] : NULL;
	if (f == NULL && (f = find(e, number, arg)) == NULL)
		return NULL;
	if (keep && !f->def->per_rcpt)
		e->seen[number] = f;
	if (e->noting)
		note_read(e, f);
	return f->state == FACT_KNOWN ? f : NULL;
}

MAY_YIELD const struct fact *
eval_known(struct eval *e, unsigned number)
{
	return get(e, number, strv(NULL, 0));
}

/* Of <> and of sender.domain where the sender is <>: no name, and not the lack of one either. */
static bool
is_null(const struct fact *f)
{
	if (f->def->type == FACT_PATH && !fact_absent(f))
		return f->v.path->kind == PATH_NULL;
	return fact_absent(f) && strv_eq(strv_z(f->def->name), SV("sender.domain"));
}

/* The value of the fact that is an argument: a text, or the domain of an address. */
static enum asked_rc
argument(const struct fact *f, struct strv *out)
{
	if (is_null(f))
		return ASKED_NULL;
	if (fact_absent(f))
		return ASKED_NOTHING;
	*out = f->def->type == FACT_PATH ? f->v.path->domain : f->v.text;
	return out->p == NULL ? ASKED_NOTHING : ASKED_FACT;
}

/* The whole argument, with the value of the other fact. */
static enum asked_rc
whole_argument(struct eval *e, const struct asked *what, const struct fact *of, struct strv *out)
{
	struct arena *a = e->facts->a;
	struct strv   value;
	enum asked_rc rc = argument(of, &value);

	if (rc == ASKED_FACT)
		*out = what->text.p == NULL ?
		    value :
		    arena_concat(a, arena_concat(a, what->text, SV(" ")), value);
	return rc;
}

MAY_YIELD enum asked_rc
eval_asked(struct eval *e, const struct asked *what, const struct fact **f)
{
	struct strv        arg = what->text;
	const struct fact *of;
	enum asked_rc      rc;

	if (what->subject == SUBJECT_FACT && what->of >= 0) {
		if ((of = eval_known(e, (unsigned)what->of)) == NULL)
			return ASKED_UNKNOWN;
		if ((rc = whole_argument(e, what, of, &arg)) != ASKED_FACT)
			return rc;
	}
	*f = get(e, what->fact, what->subject == SUBJECT_FACT ? arg : strv(NULL, 0));
	return *f == NULL ? ASKED_UNKNOWN : ASKED_FACT;
}

/* ---- texts of lists ---- */

/* Nothing is asked here: the text is that of a list that has answered already. */
static bool
has_answered(struct eval *e, const struct asked *list, unsigned rcpt, struct strv *arg)
{
	const struct fact_def *defs = e->p->facts;
	const struct fact     *f;

	*arg = list->text;
	if (list->of >= 0) {
		f = fact_peek(e->facts, defs, (unsigned)list->of, rcpt, strv(NULL, 0));
		if (f == NULL || f->state != FACT_KNOWN ||
		    whole_argument(e, list, f, arg) != ASKED_FACT)
			return false;
	}
	f = fact_peek(e->facts, defs, list->fact, rcpt, *arg);
	return f != NULL && f->state == FACT_KNOWN && !fact_absent(f);
}

MAY_YIELD bool
eval_listed(struct eval *e, const struct list_asked *x, const struct fact **text)
{
	bool each = !e->of_rcpt && e->c != NULL && e->c->env != NULL && x->ask->of >= 0 &&
	    e->p->facts[x->ask->of].per_rcpt;
	unsigned    from = each ? 0 : e->rcpt, n = each ? e->c->env->n_rcpt : from + 1;
	struct strv arg = { NULL, 0 };

	for (; from < n; from++) {
		if (!has_answered(e, x->ask, from, &arg))
			continue;
		*text = get(e, x->text, arg);
		return true;
	}
	return false;
}

/* ---- predicates on facts and maps ---- */

/* A predicate on what is absent is false, but for `is absent' itself. */
static bool
match_absent(const struct rule *r, const struct match *m)
{
	return m->kind == MATCH_ABSENT || (m->kind == MATCH_FQDN && r->null_is_fqdn);
}

static enum truth
eval_absent(const struct rule *r, enum asked_rc rc)
{
	bool yes = rc == ASKED_NULL && r->null_is_yes;

	for (unsigned i = 0; i < r->n_match && !yes; i++)
		yes = match_absent(r, &r->match[i]);
	return eval_truth(yes != r->negated);
}

/* X in M(fact), where X is there; without a value of the fact, or a key, nothing is in it. */
MAY_YIELD static enum truth
eval_in_map(struct eval *e, const struct match *m, const struct fact *f, const struct map_values *v)
{
	const struct fact *key = eval_known(e, m->call.fact);
	struct map_values  in;

	if (key == NULL)
		return TRUTH_UNKNOWN;
	in = match_map(m->call.map, key);
	return eval_truth(v != NULL ? match_values_in(*v, in) : match_fact_in(f, in));
}

/* One of the values of a map is what the match asks for. */
static enum truth
match_values(struct eval *e, const struct match *m, struct map_values v)
{
	enum truth  all = TRUTH_NO, t;
	struct strv one;

	while (all != TRUTH_YES && map_values_next(&v, &one)) {
		t = m->kind == MATCH_PATTERN ? match_pattern_text(m, one, &e->steps) :
					       eval_truth(match_text(m, one));
		all = t > all ? t : all;
	}
	return all;
}

/* `in M(fact)' is the only match of its predicate. */
static bool
asks_map(const struct rule *r)
{
	return r->n_match == 1 && r->match[0].kind == MATCH_MAP;
}

/* A predicate on M(fact): on a fact of several texts that is absent where the map has no such key. */
MAY_YIELD static enum truth
eval_map_pred(struct eval *e, const struct rule *r, const struct fact *f)
{
	struct map_values v = match_map(r->ask.map, f);
	enum truth        any = TRUTH_NO, t;

	if (asks_map(r) && v.n > 0)
		return eval_negate(eval_in_map(e, &r->match[0], NULL, &v), r->negated);
	for (unsigned i = 0; i < r->n_match && any != TRUTH_YES; i++) {
		t = v.n == 0 ? eval_truth(r->match[i].kind == MATCH_ABSENT) :
			       match_values(e, &r->match[i], v);
		any = t > any ? t : any;
	}
	return eval_negate(any, r->negated);
}

/* One of the matches; the fact is there. */
static enum truth
eval_matches(struct eval *e, const struct rule *r, const struct fact *f)
{
	enum truth any = TRUTH_NO, t;

	for (unsigned i = 0; i < r->n_match && any != TRUTH_YES; i++) {
		t = r->match[i].kind == MATCH_PATTERN ? match_pattern(&r->match[i], f, &e->steps) :
							eval_truth(match_value(&r->match[i], f));
		any = t > any ? t : any;
	}
	return any;
}

MAY_YIELD static enum truth
eval_fact_pred(struct eval *e, const struct rule *r)
{
	const struct fact *f;
	enum asked_rc      rc = eval_asked(e, &r->ask, &f);

	if (rc == ASKED_UNKNOWN)
		return TRUTH_UNKNOWN;
	if (rc == ASKED_FACT && r->ask.subject == SUBJECT_MAP)
		return eval_map_pred(e, r, f);
	if (rc != ASKED_FACT || fact_absent(f))
		return eval_absent(r, rc);
	if (asks_map(r))
		return eval_negate(eval_in_map(e, &r->match[0], f, NULL), r->negated);
	return eval_negate(eval_matches(e, r, f), r->negated);
}

/* ---- tags ---- */

bool
eval_tag(const struct eval *e, unsigned tag)
{
	const struct policy_case *c = e->c;

	return c != NULL &&
	    (bit_is(c->marks.tag, tag) ||
		(e->of_rcpt && e->rcpt < c->n_rcpt && bit_is(c->rcpt[e->rcpt].tag, tag)));
}

static enum truth
eval_tag_pred(const struct eval *e, const struct rule *r)
{
	bool yes = false;

	for (unsigned i = 0; i < r->n_match && !yes; i++)
		yes = r->match[i].kind == MATCH_TRUE && eval_tag(e, r->ask.fact);
	return eval_truth(yes != r->negated);
}

/* ---- expressions ---- */

MAY_YIELD static enum truth
eval_pred(struct eval *e, const struct rule *r)
{
	switch (r->ask.subject) {
	case SUBJECT_FACT:
	case SUBJECT_MAP:
		return eval_fact_pred(e, r);
	case SUBJECT_TAG:
		return eval_tag_pred(e, r);
	case SUBJECT_SCORE:
		return eval_score_pred(e, r);
	}
	return TRUTH_UNKNOWN;
}

MAY_YIELD static enum truth
eval_junction(struct eval *e, const struct rule *r)
{
	bool and = r->kind == EXPR_AND;
	enum truth settled = and? TRUTH_NO : TRUTH_YES, all = and? TRUTH_YES : TRUTH_NO, one;

	for (unsigned i = 0; i < r->n_kid && all != settled; i++) {
		one = eval_rule(e, r->kid[i]);
		if (and? one < all : one > all)
			all = one;
	}
	return all;
}

/* Over the recipients that were taken: of none, any is no and all is yes. */
MAY_YIELD static enum truth
eval_quantifier(struct eval *e, const struct rule *r)
{
	const struct envelope *env = e->c != NULL ? e->c->env : NULL;
	bool                   every = r->kind == EXPR_ALL_RCPT, outer = e->of_rcpt;
	unsigned               rcpt = e->rcpt;
	enum truth settled = every ? TRUTH_NO : TRUTH_YES, all = every ? TRUTH_YES : TRUTH_NO, one;

	e->of_rcpt = true;
	for (unsigned i = 0; env != NULL && i < env->n_rcpt && all != settled; i++) {
		if (!eval_taken(&env->rcpt[i]))
			continue;
		e->rcpt = i;
		one = eval_rule(e, r->kid[0]);
		if (every ? one < all : one > all)
			all = one;
	}
	e->rcpt = rcpt;
	e->of_rcpt = outer;
	return all;
}

/* Deeper only as far as the parser lets expressions nest. */
MAY_YIELD enum truth
eval_rule(struct eval *e, const struct rule *r)
{
	switch (r->kind) {
	case EXPR_PRED:
		return eval_pred(e, r);
	case EXPR_NOT:
		return (enum truth)(TRUTH_YES - eval_rule(e, r->kid[0]));
	case EXPR_AND:
	case EXPR_OR:
		return eval_junction(e, r);
	case EXPR_ANY_RCPT:
	case EXPR_ALL_RCPT:
		return eval_quantifier(e, r);
	}
	return TRUTH_UNKNOWN;
}
