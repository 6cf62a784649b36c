/*
 * stages -- where each check is decided: the earliest stage at which all that it asks is known and its
 * verdicts can be said, or where `at' puts it.
 *
 * A tag is known when the last check that may set it has been decided, so stages of checks and of tags
 * are found together: both only ever grow later, until nothing moves.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

static enum stage
later(enum stage a, enum stage b)
{
	return a > b ? a : b;
}

static enum stage
fact_stage(const struct policy *p, unsigned fact, bool *per_rcpt)
{
	*per_rcpt = *per_rcpt || p->facts[fact].per_rcpt;
	return later(p->facts[fact].first, p->facts[fact].settled);
}

enum stage
stages_of(const struct policy *p, const struct asked *ask, bool *per_rcpt)
{
	enum stage at = STAGE_CONNECT;

	switch (ask->subject) {
	case SUBJECT_TAG:
		*per_rcpt = *per_rcpt || p->tag[ask->fact].per_rcpt;
		return p->tag[ask->fact].first;
	case SUBJECT_SCORE:
		for (unsigned i = 0; i < p->n_weighed; i++)
			at = later(at, stages_of(p, &p->weighed[i].ask, per_rcpt));
		return at;
	case SUBJECT_FACT:
		if (ask->of >= 0)
			at = fact_stage(p, (unsigned)ask->of, per_rcpt);
		break;
	case SUBJECT_MAP:
		break;
	}
	return later(at, fact_stage(p, ask->fact, per_rcpt));
}

/* What one predicate asks: its subject, and the fact that its map is asked with. */
static enum stage
pred_stage(const struct policy *p, const struct rule *r, bool *per_rcpt)
{
	enum stage at = stages_of(p, &r->ask, per_rcpt);

	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == MATCH_MAP)
			at = later(at, fact_stage(p, r->match[i].call.fact, per_rcpt));
	}
	return at;
}

static bool
is_quantifier(enum expr_kind kind)
{
	return kind == EXPR_ANY_RCPT || kind == EXPR_ALL_RCPT;
}

/* All recipients are known at DATA: there the facts of each are facts of all. */
enum stage
stages_rule(const struct policy *p, const struct rule *r, bool *per_rcpt)
{
	bool       inside = false;
	enum stage at = STAGE_CONNECT;

	if (r->kind == EXPR_PRED)
		return pred_stage(p, r, per_rcpt);
	for (unsigned i = 0; i < r->n_kid; i++)
		at = later(
		    at, stages_rule(p, r->kid[i], is_quantifier(r->kind) ? &inside : per_rcpt));
	return is_quantifier(r->kind) ? later(at, STAGE_DATA) : at;
}

/* ---- verdicts ---- */

static bool
legal(const struct check *c, enum stage at)
{
	return stage_in_policy(at) && verdict_legal(c->conf->final.kind, at) &&
	    verdict_legal(c->conf->on_unknown.kind, at);
}

/* A verdict that cannot be said where `at' wants it. */
static void
report_illegal(struct loader *l, const struct conf_final *f, enum stage at)
{
	enum stage first = STAGE_CONNECT;

	if (verdict_legal(f->kind, at))
		return;
	while (first < STAGE_MESSAGE && !verdict_legal(f->kind, first))
		first++;
	diag_add(l->d, DIAG_ERROR, f->pos,
	    arena_printf(
		l->a, "write `at %s', or nothing: it is found by itself", stage_word(first)),
	    "%s can be said from %s on, the check stands at %s",
	    diag_quote(l->a, strv_z(verdict_word(f->kind))), stage_word(first), stage_word(at));
}

/* ---- the stages ---- */

static enum stage
check_stage(const struct policy *p, const struct check *c, bool *per_rcpt)
{
	enum stage at = stages_rule(p, c->when, per_rcpt), given;

	if (stage_find(c->conf->at.text, &given) && stage_in_policy(given))
		return given;
	while (at < STAGE_MESSAGE && !legal(c, at))
		at++;
	return at;
}

static bool
check_tags(const struct check *c, unsigned tag)
{
	for (unsigned i = 0; i < c->n_effect; i++) {
		if (c->effect[i].kind == EFFECT_TAG && c->effect[i].number == tag)
			return true;
	}
	return false;
}

/* The tags that the check sets are known from its stage on. */
static bool
raise_tags(struct policy *p, const struct check *c)
{
	bool moved = false;

	for (unsigned i = 0; i < c->n_effect; i++) {
		struct tag *t;

		if (c->effect[i].kind != EFFECT_TAG)
			continue;
		t = &p->tag[c->effect[i].number];
		if (t->first >= c->at && (t->per_rcpt || !c->per_rcpt))
			continue;
		t->first = later(t->first, c->at);
		t->per_rcpt = t->per_rcpt || c->per_rcpt;
		moved = true;
	}
	return moved;
}

/* Each round but the last moves a tag, and a tag can move only so often. */
static void
settle(struct policy *p)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (unsigned i = 0; i < p->n_check; i++) {
			struct check *c = &p->check[i];
			bool          per_rcpt = false;

			if (c->when == NULL)
				continue;
			c->at = check_stage(p, c, &per_rcpt);
			/* At rcpt a milter speaks of the recipient at hand. */
			per_rcpt = per_rcpt || milters_asked(p, c->when);
			c->per_rcpt = per_rcpt && c->at == STAGE_RCPT;
			moved = raise_tags(p, c) || moved;
		}
	}
}

/* ---- behind milters ---- */

/* A tag that a check above sets behind the milters of this stage. */
static bool
asks_advised_tag(const struct policy *p, const struct check *c, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++) {
		if (asks_advised_tag(p, c, r->kid[i]))
			return true;
	}
	if (r->kind != EXPR_PRED || r->ask.subject != SUBJECT_TAG)
		return false;
	for (unsigned i = 0; i < c->number; i++) {
		const struct check *s = &p->check[i];

		if (s->advised && s->at == c->at && check_tags(s, r->ask.fact))
			return true;
	}
	return false;
}

/* In file order: only what stands above makes a check wait. */
static void
find_advised(struct policy *p)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		struct check *c = &p->check[i];

		if (c->when == NULL)
			continue;
		c->advised = milters_asked(p, c->when) || asks_advised_tag(p, c, c->when);
		if (c->advised)
			p->advised |= 1u << c->at;
	}
}

/* ---- what cannot be ---- */

struct looker { /* at one check whose stage is settled */
	struct loader      *l;
	const struct check *c;
	bool                inside; /* any rcpt ( ), all rcpt ( ) */
	bool                rcpt;   /* a fact of the recipient was met */
};

static bool
comes_before(const struct check *s, const struct check *c)
{
	if (s->at != c->at)
		return s->at < c->at;
	return s->advised == c->advised ? s->number < c->number : c->advised;
}

/* A setter that is decided before the check; *behind: one that is not. */
static bool
is_set_before(const struct looker *k, unsigned tag, const struct check **behind)
{
	const struct policy *p = k->l->p;

	for (unsigned i = 0; i < p->n_check; i++) {
		const struct check *s = &p->check[i];

		if (!check_tags(s, tag))
			continue;
		if (s->when == NULL || comes_before(s, k->c))
			return true;
		*behind = s;
	}
	return false;
}

static void
look_tag(struct looker *k, const struct fact_ref *f, unsigned tag)
{
	const struct check *behind = NULL;

	if (is_set_before(k, tag, &behind) || behind == NULL)
		return;
	if (behind == k->c)
		diag_add(k->l->d, DIAG_ERROR, f->name.pos,
		    SV("a tag is known to checks below the one that sets it, and at later stages"),
		    "%s is set by this very check", diag_quote(k->l->a, f->name.text));
	else
		diag_add(k->l->d, DIAG_ERROR, f->name.pos,
		    SV("a tag is known to checks below the one that sets it, and at later stages"),
		    "%s is set by %s, which is decided at %s, behind this check",
		    diag_quote(k->l->a, f->name.text), diag_quote(k->l->a, behind->name),
		    stage_word(behind->at));
}

/* The name of what makes the check wait until its stage, for the hint. */
static const struct pred *
latest(const struct policy *p, const struct expr *e, const struct rule *r, enum stage at)
{
	const struct pred *x = NULL;
	bool               per_rcpt = false;

	if (r->kind == EXPR_PRED)
		return pred_stage(p, r, &per_rcpt) == at ? e->pred : NULL;
	for (unsigned i = 0; i < r->n_kid && x == NULL; i++)
		x = latest(p, e->kid[i], r->kid[i], at);
	return x;
}

static struct strv
why_late(const struct looker *k)
{
	const struct check *c = k->c;
	const struct pred  *x = latest(k->l->p, c->conf->when, c->when, c->at);
	static const char   form[] = "ask `any rcpt ( ... )' or `all rcpt ( ... )'";

	if (x != NULL && c->conf->at.text.p == NULL)
		return arena_printf(k->l->a, "%s is known at %s: %s",
		    diag_quote(k->l->a, x->fact.name.text), stage_word(c->at), form);
	if (c->conf->at.text.p == NULL && c->conf->final.kind == VERDICT_QUARANTINE)
		return arena_printf(k->l->a, "`quarantine' is said at message: %s", form);
	return strv_z(form);
}

static void
look_pred(struct looker *k, const struct pred *x, const struct rule *r)
{
	bool per_rcpt = false;

	(void)pred_stage(k->l->p, r, &per_rcpt);
	k->rcpt = k->rcpt || per_rcpt;
	if (r->ask.subject == SUBJECT_TAG)
		look_tag(k, &x->fact, r->ask.fact);
	if (per_rcpt && !k->inside && k->c->at > STAGE_RCPT)
		diag_add(k->l->d, DIAG_ERROR, x->fact.name.pos, why_late(k),
		    "%s differs between recipients, at %s there is one answer for all",
		    diag_quote(k->l->a, x->fact.name.text), stage_word(k->c->at));
}

/* Rules have the shape of what they were compiled from. */
static void
look_expr(struct looker *k, const struct expr *e, const struct rule *r)
{
	bool quantifier = is_quantifier(r->kind), outer = k->inside;

	if (r->kind == EXPR_PRED) {
		look_pred(k, e->pred, r);
		return;
	}
	if (quantifier && outer) {
		diag_add(k->l->d, DIAG_ERROR, e->pos,
		    SV("inside of ( ) a fact of the recipient is that of the one at hand: ask it there"),
		    "`any rcpt' and `all rcpt' do not stand in each other");
		k->rcpt = true;
		return;
	}
	k->inside = outer || quantifier;
	k->rcpt = quantifier ? false : k->rcpt;
	for (unsigned i = 0; i < r->n_kid; i++)
		look_expr(k, e->kid[i], r->kid[i]);
	k->inside = outer;
	if (quantifier && !k->rcpt)
		diag_add(k->l->d, DIAG_WARNING, e->pos,
		    SV("leave it out: what stands in ( ) is the same"),
		    "`%s rcpt' asks nothing that differs between recipients",
		    r->kind == EXPR_ANY_RCPT ? "any" : "all");
}

static void
look_check(struct loader *l, const struct check *c)
{
	struct looker k = { .l = l, .c = c };

	if (c->when == NULL)
		return;
	look_expr(&k, c->conf->when, c->when);
	if (c->advised && c->at == STAGE_AUTH)
		diag_add(l->d, DIAG_ERROR, c->conf->at.pos, SV("write `at helo' or `at mail'"),
		    "milters hear nothing of auth: what they say cannot be asked there");
	report_illegal(l, &c->conf->final, c->at);
	report_illegal(l, &c->conf->on_unknown, c->at);
}

void
stages_behind(struct loader *l, const struct expr *e, const struct rule *r)
{
	const struct conf_check conf = { .when = (struct expr *)e, .at.text = SV("message") };
	const struct check      behind = { .conf = &conf,
		     .number = l->p->n_check,
		     .at = STAGE_MESSAGE,
		     .advised = true,
		     .when = (struct rule *)r };
	struct looker           k = { .l = l, .c = &behind };

	look_expr(&k, e, r);
}

/* `score' where a stage was given, and of nothing. */
static void
look_scores(struct loader *l)
{
	const struct asked ask = { .subject = SUBJECT_SCORE, .of = -1 };
	bool               per_rcpt = false;
	enum stage         first = stages_of(l->p, &ask, &per_rcpt);

	for (unsigned i = 0; i < l->n_score; i++) {
		const struct score_use *x = &l->score[i];

		if (l->p->n_weighed == 0)
			diag_add(l->d, DIAG_ERROR, x->pos,
			    SV("a weight is written: dnsbl(\"zen.example.org\", 3)"),
			    "no dnsbl, dnswl or rhsbl has a weight: the score is always 0");
		else if (first > x->at)
			diag_add(l->d, DIAG_ERROR, x->pos,
			    arena_printf(l->a, "write `at %s'", stage_word(first)),
			    "`score' is known at %s, which comes behind %s", stage_word(first),
			    stage_word(x->at));
	}
}

void
stages_infer(struct loader *l)
{
	struct policy *p = l->p;

	settle(p);
	find_advised(p);
	for (unsigned i = 0; i < p->n_check; i++) {
		look_check(l, &p->check[i]);
		if (p->check[i].when != NULL)
			p->stages |= 1u << p->check[i].at;
	}
	look_scores(l);
}
