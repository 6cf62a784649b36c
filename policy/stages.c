/*
 * stages -- where each check is decided: the earliest stage at which all that it asks is known and its
 * verdicts can be said, or where `at' puts it.
 *
 * A tag is known when the last check that may set it has been decided, so stages of checks and of tags
 * are found together: both only ever grow later, until nothing moves.  Whether what a check asks and says is
 * good there is for stages_look.c.
 */
#include "policy/stages_own.h"

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

enum stage
stages_pred(const struct policy *p, const struct rule *r, bool *per_rcpt)
{
	enum stage at = stages_of(p, &r->ask, per_rcpt);

	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == MATCH_MAP)
			at = later(at, fact_stage(p, r->match[i].call.fact, per_rcpt));
	}
	return at;
}

/* All recipients are known at DATA: there the facts of each are facts of all. */
enum stage
stages_rule(const struct policy *p, const struct rule *r, bool *per_rcpt)
{
	bool       inside = false;
	enum stage at = STAGE_CONNECT;

	if (r->kind == EXPR_PRED)
		return stages_pred(p, r, per_rcpt);
	for (unsigned i = 0; i < r->n_kid; i++)
		at = later(
		    at, stages_rule(p, r->kid[i], is_quantifier(r->kind) ? &inside : per_rcpt));
	return is_quantifier(r->kind) ? later(at, STAGE_DATA) : at;
}

/* ---- of checks and tags ---- */

static bool
legal(const struct check *c, enum stage at)
{
	return stage_in_policy(at) && verdict_legal(c->conf->final.kind, at) &&
	    verdict_legal(c->conf->on_unknown.kind, at);
}

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

bool
stages_sets_tag(const struct check *c, unsigned tag)
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

		if (s->advised && s->at == c->at && stages_sets_tag(s, r->ask.fact))
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

void
stages_infer(struct loader *l)
{
	struct policy *p = l->p;

	settle(p);
	find_advised(p);
	for (unsigned i = 0; i < p->n_check; i++) {
		if (p->check[i].when != NULL)
			p->stages |= 1u << p->check[i].at;
	}
	stages_look(l);
}
