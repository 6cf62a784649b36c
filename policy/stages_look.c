/*
 * stages_look -- what cannot be asked or said at the stage at which it stands: a tag that is set later, a fact of one
 * recipient for all of them, a verdict that comes too early, the score before its lists.
 *
 * Apart from stages.c because it changes nothing: the stages of all checks and tags are settled here, and it only
 * reports.
 */
#include "policy/stages_own.h"
#include "proxy/base/arena.h"

/* ---- expressions ---- */

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

		if (!stages_sets_tag(s, tag))
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
		return stages_pred(p, r, &per_rcpt) == at ? e->pred : NULL;
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

	(void)stages_pred(k->l->p, r, &per_rcpt);
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

/* ---- verdicts ---- */

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

/* ---- checks, and conditions behind them ---- */

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

/* ---- the score ---- */

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
stages_look(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_check; i++)
		look_check(l, &l->p->check[i]);
	look_scores(l);
}
