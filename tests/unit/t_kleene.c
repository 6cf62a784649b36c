/*
 * t_kleene -- random policies over random facts, held against a model that is plain and slow.
 *
 * The model says what comes of each check, which facts are asked for and which are not, and what is noted.
 * Beside it what Kleene's logic promises: what is decided with a fact unknown is decided the same with
 * either of its values.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

enum {
	PLAIN = 5,   /* facts of the transaction, yes or no */
	OF_RCPT = 2, /* of each recipient */
	LISTS = 3,   /* answer or not; each has a weight */
	FACTS = PLAIN + OF_RCPT + LISTS,
	RCPTS = 3,
	TAGS = 3,
	CHECKS = 6,
	VALUES = PLAIN + OF_RCPT * RCPTS + LISTS
};

static struct fact_def defs[FACTS + 1];
static struct arena   *arena;
static uint64_t        seed;

static unsigned
below(unsigned n)
{
	return (unsigned)(t_random(&seed) % n);
}

static void
make_defs(void)
{
	for (unsigned i = 0; i < FACTS; i++) {
		defs[i].name = "x";
		defs[i].type = i < PLAIN + OF_RCPT ? FACT_BOOL : FACT_ADDRS;
		defs[i].per_rcpt = i >= PLAIN && i < PLAIN + OF_RCPT;
	}
}

/* ---- the world: a truth for each fact, and who was asked ---- */

struct life {
	enum truth      value[VALUES];
	unsigned        asked[VALUES];
	struct envelope env;
	struct rcpt     rcpt[RCPTS];
	struct facts    facts;
};

static unsigned
place(unsigned number, unsigned rcpt)
{
	if (number < PLAIN)
		return number;
	if (number < PLAIN + OF_RCPT)
		return PLAIN + (number - PLAIN) * RCPTS + rcpt;
	return number - OF_RCPT + OF_RCPT * RCPTS;
}

static enum wait_rc
ask(void *ctx, struct fact *f)
{
	static const struct addr listed = { .family = ADDR_IP4, .b = { 127, 0, 0, 2 } };
	struct life             *l = ctx;
	unsigned                 i = place(f->number, f->rcpt);

	l->asked[i]++;
	if (l->value[i] == TRUTH_UNKNOWN)
		return WAIT_TIMEOUT;
	f->state = FACT_KNOWN;
	if (f->def->type == FACT_BOOL) {
		f->v.yes = l->value[i] == TRUTH_YES;
	} else {
		f->v.addrs.v = &listed;
		f->v.addrs.n = l->value[i] == TRUTH_YES;
	}
	return WAIT_OK;
}

static void
live(struct life *l, const enum truth *value)
{
	static const bool took[RCPTS] = { true, false, true };

	*l = (struct life){ .env = { .n_rcpt = RCPTS } };
	memcpy(l->value, value, sizeof(l->value));
	l->env.rcpt = l->rcpt;
	for (unsigned i = 0; i < RCPTS; i++)
		l->rcpt[i].upstream_took = took[i];
	l->facts = (struct facts){ .a = arena, .ask = ask, .ctx = l };
}

static void
draw_values(enum truth *value)
{
	for (unsigned i = 0; i < VALUES; i++)
		value[i] = (enum truth)below(3);
}

/* ---- random policies ---- */

static struct rule *
rule_of(enum expr_kind kind, unsigned kids)
{
	struct rule *r = arena_alloc(arena, sizeof(*r));

	r->kind = kind;
	r->ask.of = -1;
	r->n_kid = kids;
	r->kid = arena_array(arena, kids, sizeof(struct rule *));
	return r;
}

static struct match *
one_match(struct rule *r, enum match_kind kind)
{
	r->match = arena_alloc(arena, sizeof(*r->match));
	r->match->kind = kind;
	r->n_match = 1;
	return r->match;
}

static struct rule *
draw_pred(bool of_rcpt)
{
	static const enum pred_op ops[] = { PRED_LT, PRED_LE, PRED_GT, PRED_GE };
	struct rule              *r = rule_of(EXPR_PRED, 0);
	struct match             *m = one_match(r, MATCH_TRUE);
	unsigned                  kind = below(8);

	r->negated = below(4) == 0;
	if (kind == 0) {
		r->ask.subject = SUBJECT_SCORE;
		m->kind = MATCH_NUMBER;
		m->op = ops[below(4)];
		m->number = (double)below(7) - 2;
	} else if (kind == 1) {
		r->ask.subject = SUBJECT_TAG;
		r->ask.fact = below(TAGS);
	} else if (of_rcpt && kind < 5) {
		r->ask.fact = PLAIN + below(OF_RCPT);
	} else {
		r->ask.fact = kind == 7 ? PLAIN + OF_RCPT + below(LISTS) : below(PLAIN);
	}
	return r;
}

static struct rule *
draw_rule(unsigned depth, bool of_rcpt)
{
	unsigned     kind = depth == 0 ? 9 : below(10);
	struct rule *r;

	if (kind >= 5)
		return draw_pred(of_rcpt);
	if (kind == 4 && of_rcpt)
		kind = 0;
	if (kind < 2)
		r = rule_of(kind == 0 ? EXPR_AND : EXPR_OR, 2 + below(2));
	else if (kind == 4)
		r = rule_of(below(2) == 0 ? EXPR_ANY_RCPT : EXPR_ALL_RCPT, 1);
	else
		r = rule_of(EXPR_NOT, 1);
	for (unsigned i = 0; i < r->n_kid; i++)
		r->kid[i] = draw_rule(depth - 1, of_rcpt || kind == 4);
	return r;
}

static void
draw_effects(struct check *k)
{
	k->effect = arena_array(arena, 2, sizeof(*k->effect));
	if (below(3) == 0)
		k->effect[k->n_effect++] =
		    (struct effect){ .kind = EFFECT_TAG, .number = below(TAGS), .name = SV("t") };
	if (below(4) == 0 && k->number + 1 < CHECKS)
		k->effect[k->n_effect++] = (struct effect){ .kind = EFFECT_SKIP,
			.number = k->number + 1 + below(CHECKS - k->number - 1) };
}

static const char *const names[CHECKS] = { "a", "b", "c", "d", "e", "f" };

/* rich: with effects, dry runs and verdicts for the unknown. */
static struct policy *
draw_policy(unsigned checks, bool rich)
{
	static const enum verdict_kind kinds[] = { VERDICT_NONE, VERDICT_REJECT, VERDICT_TEMPFAIL,
		VERDICT_DISCARD };
	struct policy                 *p = arena_alloc(arena, sizeof(*p));

	p->facts = defs;
	p->n_facts = FACTS;
	p->n_tag = TAGS;
	p->n_check = checks;
	p->check = arena_array(arena, checks, sizeof(*p->check));
	p->stages = AT(MESSAGE);
	p->n_weighed = LISTS;
	p->weighed = arena_array(arena, LISTS, sizeof(*p->weighed));
	for (unsigned i = 0; i < LISTS; i++)
		p->weighed[i] = (struct weighed){ .ask = { .fact = PLAIN + OF_RCPT + i, .of = -1 },
			.weight = (double)below(5) - 1.5 };
	for (unsigned i = 0; i < checks; i++) {
		struct check *k = &p->check[i];

		k->number = i;
		k->name = strv_z(names[i]);
		k->at = STAGE_MESSAGE;
		k->when = draw_rule(3, false);
		k->final.kind = kinds[rich ? below(4) : 1 + below(3)];
		if (!rich)
			continue;
		k->on_unknown.kind = below(3) == 0 ? kinds[below(4)] : VERDICT_NONE;
		k->warn = below(5) == 0;
		draw_effects(k);
	}
	return p;
}

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
evaluate(const struct policy *p, struct life *l, struct policy_case *c, struct verdict *out)
{
	*c = (struct policy_case){ .a = arena, .facts = &l->facts, .env = &l->env };
	T_EQ_NUM(policy_eval(p, STAGE_MESSAGE, 0, c, out), WAIT_OK);
}

static struct strv
story(const struct policy_case *c)
{
	static const char letters[] = { 'F', 'W', 'A', 'U', 'L', 'T' };
	struct strv       all = SV("");

	for (const struct note *n = c->notes.first; n != NULL; n = n->next)
		all = arena_printf(
		    arena, "%.*s%c%c", (int)all.n, all.p, letters[n->kind], n->check.p[0]);
	return all;
}

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

static enum truth
truth_of(const struct policy *p, const enum truth *value, unsigned check)
{
	struct policy_case c;
	struct life        l;
	struct eval        e;

	live(&l, value);
	c = (struct policy_case){ .a = arena, .facts = &l.facts, .env = &l.env };
	e = (struct eval){ .p = p, .facts = &l.facts, .c = &c };
	return eval_rule(&e, p->check[check].when);
}

/* What stands with a fact unknown stands with it no and with it yes. */
static void
unknown_decides_nothing(void)
{
	enum truth value[VALUES], with, no, yes;
	unsigned   decided = 0;

	for (unsigned n = 0; n < 20000; n++) {
		const struct policy *p;
		unsigned             u;

		seed = n;
		p = draw_policy(1, false);
		draw_values(value);
		u = below(VALUES);
		value[u] = TRUTH_UNKNOWN;
		with = truth_of(p, value, 0);
		value[u] = TRUTH_NO;
		no = truth_of(p, value, 0);
		value[u] = TRUTH_YES;
		yes = truth_of(p, value, 0);
		T_CHECKF(with == TRUTH_UNKNOWN || (with == no && with == yes),
		    "seed %u: %d with the fact unknown, %d and %d with its values", n, with, no,
		    yes);
		decided += with != TRUTH_UNKNOWN;
		arena_reset(arena);
	}
	T_CHECK(decided > 5000 && decided < 19000);
}

static bool
is_noted(const struct policy_case *c, enum note_kind kind, struct strv check)
{
	for (const struct note *n = c->notes.first; n != NULL; n = n->next) {
		if (n->kind == kind && strv_eq(n->check, check))
			return true;
	}
	return false;
}

/*
 * Of a whole policy: the verdict with a fact unknown is the one of either value, but where a check that
 * was noted as unknown has one of its own for that value, and is above.
 */
static void
unknown_gives_no_verdict_of_its_own(void)
{
	enum truth         value[VALUES];
	struct policy_case c, d;
	struct verdict     with, v;
	struct life        l;
	unsigned           same = 0;

	for (unsigned n = 0; n < 10000; n++) {
		const struct policy *p;
		unsigned             u;

		seed = n;
		p = draw_policy(CHECKS, false);
		draw_values(value);
		u = below(VALUES);
		value[u] = TRUTH_UNKNOWN;
		live(&l, value);
		evaluate(p, &l, &c, &with);
		for (unsigned x = 0; x < 2; x++) {
			value[u] = x == 0 ? TRUTH_NO : TRUTH_YES;
			live(&l, value);
			evaluate(p, &l, &d, &v);
			same += strv_eq(v.by, with.by);
			T_CHECKF(strv_eq(v.by, with.by) || is_noted(&c, NOTE_UNKNOWN, v.by),
			    "seed %u: by \"%.*s\", but \"%.*s\" with fact %u known", n,
			    (int)with.by.n, with.by.p, (int)v.by.n, v.by.p, u);
		}
		arena_reset(arena);
	}
	T_CHECK(same > 10000);
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
	T_RUN(unknown_decides_nothing);
	T_RUN(says_what_the_model_says);
	T_RUN(unknown_gives_no_verdict_of_its_own);
	arena_free(arena);
	return t_end();
}
