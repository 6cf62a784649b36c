/*
 * prove_checks -- checks that can never fire, that always do, and that stand behind one which fires
 * whenever they would.
 *
 * All warnings: such a policy does what it says, but hardly what was meant.  Nothing is said of what
 * could not be told (patterns, maps, very long lists): what is said is so for all sessions in which the
 * facts are known.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define RCPTS_MAX 4 /* recipients of a made-up transaction */

struct pair {
	struct rule *yes, *no; /* yes, and not no: NULL: nothing asked of it */
};

struct known { /* of one check */
	bool dead, always, skipped;
};

enum found { FOUND_NONE, FOUND_ONE, FOUND_UNSURE };

static enum answer
ask_pair(struct act *t, void *arg)
{
	const struct pair *p = arg;
	enum answer        yes = p->yes != NULL ? act_ask_rule(t, p->yes) : ANSWER_YES, no;

	if (yes == ANSWER_NO || p->no == NULL)
		return yes;
	no = (enum answer)(ANSWER_YES - act_ask_rule(t, p->no));
	return no < yes ? no : yes;
}

/* Each `any rcpt' or `all rcpt' may speak of a recipient of its own. */
static unsigned
quantifiers(const struct rule *r)
{
	unsigned n = r->kind == EXPR_ANY_RCPT || r->kind == EXPR_ALL_RCPT;

	for (unsigned i = 0; i < r->n_kid; i++)
		n += quantifiers(r->kid[i]);
	return n;
}

/* Made-up tags are the same for all recipients, which a tag that is set for one of them is not. */
static bool
asks_rcpt_tag(const struct policy *p, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++) {
		if (asks_rcpt_tag(p, r->kid[i]))
			return true;
	}
	return r->kind == EXPR_PRED && r->ask.subject == SUBJECT_TAG &&
	    p->tag[r->ask.fact].per_rcpt;
}

static bool
tells_rcpts_apart(const struct policy *p, const struct rule *r)
{
	return r != NULL && quantifiers(r) > 0 && asks_rcpt_tag(p, r);
}

/* Is there a session in which `yes' is true and `no' is not? */
static enum found
find_pair(struct prover *x, struct pair p, unsigned *left)
{
	struct act t;
	unsigned   n = (p.yes != NULL ? quantifiers(p.yes) : 0) +
	    (p.no != NULL ? quantifiers(p.no) : 0);
	bool found;

	if (n > RCPTS_MAX || tells_rcpts_apart(x->p, p.yes) || tells_rcpts_apart(x->p, p.no))
		return FOUND_UNSURE;
	act_init(&t, x->p, x->a, x->scratch, left);
	t.n_rcpt = n > 0 ? n : 1;
	if (p.yes != NULL)
		act_learn(&t, p.yes);
	if (p.no != NULL)
		act_learn(&t, p.no);
	picks_fill(&t);
	found = act_find(&t, ask_pair, &p);
	return found ? FOUND_ONE : t.maybe || t.over ? FOUND_UNSURE : FOUND_NONE;
}

/* ---- one check by itself ---- */

static bool
all_texts_have_a_dot(const struct rule *r)
{
	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind != MATCH_TEXT || !strv_starts(r->match[i].text, SV(".")))
			return false;
	}
	return r->n_match > 0;
}

/* Why a question by itself is never true, where it is clear what was meant; absent: it is not. */
static struct strv
why_never(struct prover *x, const struct rule *r)
{
	struct strv            why = { NULL, 0 };
	const struct fact_def *def;

	for (unsigned i = 0; i < r->n_kid && r->kind != EXPR_NOT && why.p == NULL; i++)
		why = why_never(x, r->kid[i]);
	if (r->kind != EXPR_PRED || r->ask.subject != SUBJECT_FACT || r->negated)
		return why;
	def = &x->p->facts[r->ask.fact];
	if (def->per_rcpt && r->n_match == 1 && r->match->kind == MATCH_NULL)
		return SV("RCPT is never <>; who sends it is asked by: sender is null");
	if (def->type == FACT_TEXT && all_texts_have_a_dot(r))
		return arena_printf(x->d->a,
		    "no name begins with a dot; of what is below a domain ask: %s in { %.*s }",
		    def->name, (int)r->match->text.n, r->match->text.p);
	return why;
}

static void
warn(struct prover *x, const struct check *c, const char *text, struct strv hint)
{
	diag_add(x->d, DIAG_WARNING, c->conf->when->pos, hint, "%s", text);
}

/* A part behind `or' that is never true is a slip, too. */
static bool
prove_parts(struct prover *x, const struct rule *r, unsigned *left)
{
	bool        told = false;
	struct strv why;

	for (unsigned i = 0; i < r->n_kid; i++) {
		if (r->kind == EXPR_OR &&
		    find_pair(x, (struct pair){ r->kid[i], NULL }, left) == FOUND_NONE) {
			why = why_never(x, r->kid[i]);
			diag_add(x->d, DIAG_WARNING, r->kid[i]->pos,
			    why.p != NULL ? why : SV("leave it out, or correct what it asks"),
			    "this part can never be true");
			told = true;
		} else if (r->kid[i]->kind != EXPR_PRED) {
			told = prove_parts(x, r->kid[i], left) || told;
		}
	}
	return told;
}

static void
prove_alone(struct prover *x, const struct check *c, struct known *k, unsigned *left)
{
	struct strv why;

	k->dead = rule_contrary(c->when) ||
	    find_pair(x, (struct pair){ c->when, NULL }, left) == FOUND_NONE;
	if (k->dead) {
		why = why_never(x, c->when);
		warn(x, c,
		    c->on_unknown.kind == VERDICT_NONE ?
			"this `when' can never be true: the check is dead" :
			"this `when' can never be true: only `on unknown' is left of the check",
		    why.p != NULL ?
			why :
			SV("facts have one value at a time, but for those with several"));
		return;
	}
	(void)prove_parts(x, c->when, left);
	k->always = find_pair(x, (struct pair){ NULL, c->when }, left) == FOUND_NONE;
	if (k->always && c->final.kind != VERDICT_NONE)
		warn(x, c, "this `when' is true for every session",
		    SV("a check that should rest is better taken out, or given the word `warn'"));
}

/* ---- two checks ---- */

/* Is a's verdict in force before b is looked at?  Then b comes to nothing. */
static bool
comes_first(const struct check *a, const struct check *b)
{
	if (a->at == b->at && a->advised != b->advised)
		return b->advised && (!a->per_rcpt || b->per_rcpt);
	if (a->at == b->at)
		return a->number < b->number && (!a->per_rcpt || b->per_rcpt);
	/* A refusal of AUTH leaves the session as it was; one recipient is not all. */
	return a->at < b->at && a->at != STAGE_AUTH && !a->per_rcpt;
}

/* Where `when' is unknown nothing is skipped: what b says to that stays. */
static bool
skips(const struct check *a, const struct check *b)
{
	for (unsigned i = 0; i < a->n_effect; i++) {
		if (a->effect[i].kind == EFFECT_SKIP && a->effect[i].number == b->number)
			return !a->warn && (!a->per_rcpt || b->per_rcpt) &&
			    b->on_unknown.kind == VERDICT_NONE;
	}
	return false;
}

/* t: a session in which b fires.  Mostly a does not in that very session, and no search is needed. */
static bool
implies(
    struct prover *x, struct act *t, const struct check *b, const struct check *a, unsigned *left)
{
	struct prover inner = *x;

	if (rule_implies(b->when, a->when))
		return true;
	if (act_ask_rule(t, a->when) == ANSWER_NO)
		return false;
	inner.a = x->inner;
	arena_reset(inner.a);
	return find_pair(&inner, (struct pair){ b->when, a->when }, left) == FOUND_NONE;
}

static void
tell_pair(struct prover *x, const struct check *a, const struct check *b, bool skip)
{
	const char *verb = skip ? "skips it" : "has given its verdict";

	diag_add(x->d, DIAG_WARNING, b->pos,
	    SV("put it above, make the other one narrower, or leave it out"),
	    "the check %s never comes to anything: whenever it would fire %s %s",
	    diag_quote(x->a, b->name), diag_quote(x->a, a->name), verb);
	diag_add(x->d, DIAG_NOTE, a->pos, strv(NULL, 0), "%s is here", diag_quote(x->a, a->name));
}

/* Would a's verdict leave nothing of b? */
static bool
ends(const struct check *a, const struct check *b, const struct known *known)
{
	return a->final.kind != VERDICT_NONE && !a->warn && !known[a->number].skipped &&
	    comes_first(a, b) &&
	    (b->on_unknown.kind == VERDICT_NONE || a->on_unknown.kind != VERDICT_NONE);
}

static void
prove_behind(struct prover *x, const struct known *known, const struct check *b, unsigned *left)
{
	struct act  t;
	struct pair fires = { b->when, NULL };

	act_init(&t, x->p, x->a, x->scratch, left);
	t.n_rcpt = 1 + quantifiers(b->when);
	act_learn(&t, b->when);
	picks_fill(&t);
	(void)act_find(&t, ask_pair, &fires);
	for (unsigned k = 0; k<x->p->n_check && * left> 0; k++) {
		const struct check *a = &x->p->check[k];
		bool                skip = a != b && skips(a, b) && !known[k].skipped;

		/* Of one that is always true enough is said already. */
		if (a == b || known[k].dead || known[k].always || !(skip || ends(a, b, known)))
			continue;
		if (implies(x, &t, b, a, left)) {
			tell_pair(x, a, b, skip);
			return;
		}
	}
}

/* Behind a verdict nothing is left that could be skipped. */
static void
prove_skips(struct prover *x, const struct check *c, struct known *known)
{
	for (unsigned i = 0; i < c->n_effect; i++) {
		if (c->effect[i].kind != EFFECT_SKIP)
			continue;
		if (c->effect[i].number < x->p->n_check)
			known[c->effect[i].number].skipped = true;
		if (c->final.kind != VERDICT_NONE && !c->warn)
			diag_add(x->d, DIAG_WARNING, c->conf->effect[i].pos,
			    SV("take out one of the two"),
			    "`skip' does nothing here: the verdict of this check ends it all");
	}
}

static void
prove_milter(struct prover *x, const struct milter_rule *m, unsigned *left)
{
	if (m->when == NULL)
		return;
	if (rule_contrary(m->when) ||
	    find_pair(x, (struct pair){ m->when, NULL }, left) == FOUND_NONE)
		diag_add(x->d, DIAG_WARNING, m->expr->pos,
		    SV("facts have one value at a time, but for those with several"),
		    "this `when' can never be true: %s hears of no message",
		    diag_quote(x->a, m->is.name));
	else
		(void)prove_parts(x, m->when, left);
}

void
prove_checks(struct prover *x)
{
	struct known *known = arena_array(x->keep, x->p->n_check, sizeof(*known));
	unsigned      left = ACT_EVALS;

	for (unsigned i = 0; i < x->p->n_check; i++) {
		prove_alone(x, &x->p->check[i], &known[i], &left);
		prove_skips(x, &x->p->check[i], known);
		arena_reset(x->a);
	}
	for (unsigned i = 0; i < x->p->n_milter; i++) {
		prove_milter(x, &x->p->milter[i], &left);
		arena_reset(x->a);
	}
	for (unsigned i = 0; i < x->p->n_check; i++) {
		if (!known[i].dead)
			prove_behind(x, known, &x->p->check[i], &left);
		arena_reset(x->a);
	}
	if (left == 0 && x->p->n_check > 0)
		diag_add(x->d, DIAG_WARNING, x->p->check[0].pos,
		    SV("files of fewer checks are compared whole"),
		    "not proved: there are too many checks to compare all of them in time");
}
