/*
 * t_kleene -- random policies over random facts, held against a model that is plain and slow.
 *
 * The model says what comes of each check, which facts are asked for and which are not, and what is noted.
 */
#include "tests/unit/chance_policy.h"

/* ---- the model ---- */

struct model {
	const struct policy *p;
	const enum truth    *value;
	bool                 asked[VALUES];
	bool                 tag[TAGS], skip[CHECKS];
	bool                 peek, missed;
	char                 story[CHECKS * 8 + 1]; /* notes, a letter and the check's */
	unsigned             n;
	int                  by; /* -1: no verdict */
	enum verdict_kind    kind;
};

static enum truth
m_fact(struct model *m, unsigned number, unsigned rcpt)
{
	unsigned i = place(number, rcpt);

	if (m->peek && !m->asked[i]) {
		m->missed = true;
		return TRUTH_UNKNOWN;
	}
	m->asked[i] = true;
	return m->value[i];
}

static bool
m_compares(const struct match *x, double sum)
{
	return x->op == PRED_LT ? sum < x->number :
	    x->op == PRED_LE    ? sum <= x->number :
	    x->op == PRED_GT    ? sum > x->number :
				  sum >= x->number;
}

/* Every way in which the lists that are not known may answer. */
static enum truth
m_all_ways(const struct model *m, const struct match *x, const enum truth *list)
{
	bool yes = false, no = false;

	for (unsigned way = 0; way < 1u << LISTS; way++) {
		double sum = 0;
		bool   possible = true;

		for (unsigned i = 0; i < LISTS; i++) {
			bool listed = way >> i & 1;

			possible = possible &&
			    (list[i] == TRUTH_UNKNOWN || listed == (list[i] == TRUTH_YES));
			sum += listed ? m->p->weighed[i].weight : 0;
		}
		if (possible && m_compares(x, sum))
			yes = true;
		else if (possible)
			no = true;
	}
	return yes && no ? TRUTH_UNKNOWN : yes ? TRUTH_YES : TRUTH_NO;
}

static enum truth
m_score(struct model *m, const struct match *x)
{
	enum truth list[LISTS] = { TRUTH_UNKNOWN, TRUTH_UNKNOWN, TRUTH_UNKNOWN };
	enum truth t = m_all_ways(m, x, list);

	for (unsigned i = 0; i < LISTS && t == TRUTH_UNKNOWN; i++) {
		list[i] = m_fact(m, PLAIN + OF_RCPT + i, 0);
		t = m_all_ways(m, x, list);
	}
	return t;
}

static enum truth
m_not(enum truth t)
{
	return t == TRUTH_YES ? TRUTH_NO : t == TRUTH_NO ? TRUTH_YES : TRUTH_UNKNOWN;
}

static enum truth m_rule(struct model *m, const struct rule *r, unsigned rcpt);

static enum truth
m_pred(struct model *m, const struct rule *r, unsigned rcpt)
{
	enum truth t;

	if (r->ask.subject == SUBJECT_SCORE)
		t = m_score(m, r->match);
	else if (r->ask.subject == SUBJECT_TAG)
		t = m->tag[r->ask.fact] ? TRUTH_YES : TRUTH_NO;
	else
		t = m_fact(m, r->ask.fact, rcpt);
	return r->negated ? m_not(t) : t;
}

/* One no makes an `and' no; else one unknown makes it unknown.  `or' is the same with not. */
static enum truth
m_and(struct model *m, const struct rule *r, unsigned rcpt, bool mirror)
{
	enum truth all = TRUTH_YES, t;

	for (unsigned i = 0; i < r->n_kid; i++) {
		t = m_rule(m, r->kid[i], rcpt);
		t = mirror ? m_not(t) : t;
		if (t == TRUTH_NO)
			return mirror ? TRUTH_YES : TRUTH_NO;
		if (t == TRUTH_UNKNOWN)
			all = TRUTH_UNKNOWN;
	}
	return mirror ? m_not(all) : all;
}

/* Recipients 0 and 2 were taken. */
static enum truth
m_rcpts(struct model *m, const struct rule *r, bool any)
{
	enum truth all = TRUTH_YES, t;

	for (unsigned i = 0; i < RCPTS; i += 2) {
		t = m_rule(m, r->kid[0], i);
		t = any ? m_not(t) : t;
		if (t == TRUTH_NO)
			return any ? TRUTH_YES : TRUTH_NO;
		if (t == TRUTH_UNKNOWN)
			all = TRUTH_UNKNOWN;
	}
	return any ? m_not(all) : all;
}

static enum truth
m_rule(struct model *m, const struct rule *r, unsigned rcpt)
{
	switch (r->kind) {
	case EXPR_AND:
		return m_and(m, r, rcpt, false);
	case EXPR_OR:
		return m_and(m, r, rcpt, true);
	case EXPR_NOT:
		return m_not(m_rule(m, r->kid[0], rcpt));
	case EXPR_ANY_RCPT:
		return m_rcpts(m, r, true);
	case EXPR_ALL_RCPT:
		return m_rcpts(m, r, false);
	case EXPR_PRED:
		break;
	}
	return m_pred(m, r, rcpt);
}

static void
m_note(struct model *m, char what, const struct check *k)
{
	m->story[m->n++] = what;
	m->story[m->n++] = k->name.p[0];
}

static void
m_effects(struct model *m, const struct check *k)
{
	for (unsigned i = 0; i < k->n_effect; i++) {
		if (k->effect[i].kind == EFFECT_TAG) {
			m->tag[k->effect[i].number] = true;
			m_note(m, 'T', k);
		} else {
			m->skip[k->effect[i].number] = true;
		}
	}
}

static void
m_check(struct model *m, const struct check *k)
{
	enum truth        t = TRUTH_NO;
	enum verdict_kind kind;

	if (m->skip[k->number])
		return;
	m->peek = m->by >= 0;
	m->missed = false;
	t = m_rule(m, k->when, 0);
	kind = t == TRUTH_YES ? k->final.kind : k->on_unknown.kind;
	if (t == TRUTH_NO || (m->peek && (k->warn || kind == VERDICT_NONE)))
		return;
	if (m->peek) {
		if (t == TRUTH_YES || !m->missed)
			m_note(m, 'A', k);
		return;
	}
	if (t == TRUTH_UNKNOWN && kind == VERDICT_NONE) {
		m_note(m, 'U', k);
	} else if (k->warn) {
		m_note(m, 'W', k);
	} else {
		if (t == TRUTH_YES)
			m_effects(m, k);
		if (kind == VERDICT_NONE)
			return;
		m_note(m, 'F', k);
		m->by = (int)k->number;
		m->kind = kind;
	}
}

static void
m_policy(struct model *m, const struct policy *p, const enum truth *value)
{
	*m = (struct model){ .p = p, .value = value, .by = -1 };
	for (unsigned i = 0; i < p->n_check; i++)
		m_check(m, &p->check[i]);
}

/* ---- held against each other ---- */

static void
says_what_the_model_says(void)
{
	enum truth         value[VALUES];
	struct policy_case c;
	struct verdict     v;
	struct model       m;
	struct life        l;
	char               row[32];

	for (unsigned n = 0; n < 20000; n++) {
		const struct policy *p;

		seed = n;
		snprintf(row, sizeof(row), "seed %u", n);
		t_row = row;
		p = draw_policy(1 + below(CHECKS), true);
		draw_values(value);
		live(&l, value);
		m_policy(&m, p, value);
		evaluate(p, &l, &c, &v);
		T_EQ_NUM(v.kind, m.by < 0 ? VERDICT_NONE : m.kind);
		T_EQ_TEXT(m.by < 0 ? SV("") : v.by, m.by < 0 ? "" : names[m.by]);
		T_EQ_TEXT(story(&c), m.story);
		for (unsigned i = 0; i < VALUES; i++)
			T_CHECKF(l.asked[i] == m.asked[i], "fact %u asked %u times, want %u", i,
			    l.asked[i], m.asked[i]);
		arena_reset(arena);
	}
}

/* Every expression of two levels over two facts, with every value of theirs. */
static void
small_ones_whole(void)
{
	static const enum expr_kind kinds[] = { EXPR_AND, EXPR_OR };
	enum truth                  value[VALUES] = { TRUTH_NO };
	struct policy              *p = draw_policy(1, false);
	struct model                m = { .p = p, .value = value };

	for (unsigned n = 0; n < 2 * 2 * 2 * 2 * 2 * 9; n++) {
		struct rule *r = rule_of(kinds[n & 1], 2), *inner = rule_of(kinds[n >> 1 & 1], 2);
		struct rule *outer = r;

		r->kid[0] = rule_of(EXPR_PRED, 0);
		one_match(r->kid[0], MATCH_TRUE);
		r->kid[0]->negated = n >> 2 & 1;
		r->kid[1] = inner;
		inner->kid[0] = r->kid[0];
		inner->kid[1] = rule_of(EXPR_PRED, 0);
		one_match(inner->kid[1], MATCH_TRUE);
		inner->kid[1]->ask.fact = 1;
		inner->kid[1]->negated = n >> 3 & 1;
		if (n >> 4 & 1) {
			outer = rule_of(EXPR_NOT, 1);
			outer->kid[0] = r;
		}
		value[0] = (enum truth)((n >> 5) % 3);
		value[1] = (enum truth)((n >> 5) / 3);
		p->check[0].when = outer;
		T_EQ_NUM(truth_of(p, value, 0), m_rule(&m, outer, 0));
	}
	arena_reset(arena);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	make_defs();
	T_RUN(small_ones_whole);
	T_RUN(says_what_the_model_says);
	arena_free(arena);
	return t_end();
}
