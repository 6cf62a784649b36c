/*
 * asks -- what a predicate or a placeholder asks: a fact with its arguments, M(fact), tag.X, score.
 *
 * Behind this every question is a struct asked: the fact by number, its string, the fact whose value
 * is its other argument.  The same question is the same fact.  What stands in ( ) is read by asks_args.c.
 */
#include "policy/asks_own.h"
#include "policy/hints.h"
#include "proxy/base/arena.h"

/* ---- weights and the score ---- */

bool
asks_same(const struct asked *a, const struct asked *b)
{
	return a->subject == b->subject && a->fact == b->fact && a->of == b->of &&
	    a->map == b->map && strv_eq(a->text, b->text);
}

static struct weighed *
weighed_find(struct policy *p, const struct asked *ask)
{
	for (unsigned i = 0; i < p->n_weighed; i++) {
		if (asks_same(&p->weighed[i].ask, ask))
			return &p->weighed[i];
	}
	return NULL;
}

static bool
add_weight(struct loader *l, const struct fact_ref *f, const struct asked *ask, double weight)
{
	struct policy  *p = l->p;
	struct weighed *x = weighed_find(p, ask);

	if (ask->of >= 0 && p->facts[ask->of].per_rcpt) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("the score is that of the message, for all of its recipients"),
		    "%s of a recipient can have no weight", diag_quote(l->a, f->name.text));
		return false;
	}
	if (x != NULL && x->weight != weight) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("one question has one weight: give it where it is asked first"),
		    "this call has the weight %g elsewhere, and here %g", x->weight, weight);
		return false;
	}
	if (x == NULL && p->n_weighed == WEIGHED_MAX) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("what a list says can be asked without a weight as well"),
		    "more than %d calls have a weight", WEIGHED_MAX);
		return false;
	}
	if (x == NULL) {
		p->weighed = arena_grow(
		    l->a, p->weighed, &l->max_weighed, p->n_weighed + 1, sizeof(*p->weighed));
		p->weighed[p->n_weighed++] = (struct weighed){ *ask, weight };
	}
	return true;
}

/* The list is only complete when all is compiled: stages_look.c looks at what was asked of it then. */
static bool
ask_score(struct loader *l, const struct fact_ref *f, enum stage at, struct asked *out)
{
	if (facts_number(l->p, "dnsbl") < 0) {
		not_in_build(l, f->name.pos, f->name.text);
		return false;
	}
	if (f->call) {
		diag_add(l->d, DIAG_ERROR, f->name.pos, SV("such as: score >= 5"),
		    "`score' is written without ( )");
		return false;
	}
	l->score = arena_grow(l->a, l->score, &l->max_score, l->n_score + 1, sizeof(*l->score));
	l->score[l->n_score++] = (struct score_use){ f->name.pos, at };
	out->subject = SUBJECT_SCORE;
	return true;
}

/* ---- tags ---- */

/* The name of a tag is what stands behind "tag." */
static bool
ask_tag(struct loader *l, const struct fact_ref *f, struct asked *out)
{
	struct strv name = strv_from(f->name.text, 4), *names;
	unsigned    n;

	if (f->call) {
		diag_add(l->d, DIAG_ERROR, f->name.pos, diag_did_you_mean(l->a, f->name.text),
		    "%s is written without ( )", diag_quote(l->a, f->name.text));
		return false;
	}
	if (!l->tags) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("tags are set by checks, and known to checks alone"),
		    "%s cannot be asked here", diag_quote(l->a, f->name.text));
		return false;
	}
	out->subject = SUBJECT_TAG;
	for (out->fact = 0; out->fact < l->p->n_tag; out->fact++) {
		if (strv_eq(l->p->tag[out->fact].name, name)) {
			l->tag_used[out->fact] = true;
			return true;
		}
	}
	names = arena_array(l->a, l->p->n_tag, sizeof(*names));
	for (n = 0; n < l->p->n_tag && l->d->n < DIAG_MAX; n++)
		names[n] = arena_concat(l->a, SV("tag."), l->p->tag[n].name);
	diag_add(l->d, DIAG_ERROR, f->name.pos,
	    hint_words(l->a, f->name.text, names, n, "a check sets it: tag NAME"),
	    "no check sets the tag %s", diag_quote(l->a, name));
	return false;
}

/* ---- all ---- */

static bool
ask_fact(struct loader *l, const struct fact_ref *f, enum stage at, struct asked *out,
    const struct fact_def **def)
{
	struct asks_weight w = { 0 };

	if (facts_name(l, f, &out->fact) != FACT_HERE)
		return false;
	*def = &l->p->facts[out->fact];
	if (strcmp((*def)->name, "milter") == 0) {
		if (!milters_ask(l, f, &out->text))
			return false;
	} else if ((*def)->args != NULL && !asks_args(l, f, *def, at, out, &w)) {
		return false;
	}
	return facts_at(l, f, out->fact, at) && (!w.given || add_weight(l, f, out, w.n));
}

bool
asks_find(struct loader *l, const struct fact_ref *f, enum stage at, struct asked *out,
    const struct fact_def **def)
{
	static const struct fact_def of_map = { .name = "", .type = FACT_TEXTS },
				     of_tag = { .name = "tag", .type = FACT_BOOL },
				     of_score = { .name = "score", .type = FACT_NUMBER };
	struct map_call call;

	*out = (struct asked){ .of = -1 };
	*def = NULL;
	if (f->call && !facts_has(l, f->name.text) && names_map(l, f->name.text) != NULL) {
		*def = &of_map;
		if (!maps_call(l, f, 0, at, &call))
			return false;
		out->subject = SUBJECT_MAP;
		out->map = call.map;
		out->fact = call.fact;
		return true;
	}
	if (strv_starts(f->name.text, SV("tag."))) {
		*def = &of_tag;
		return ask_tag(l, f, out);
	}
	if (strv_eq(f->name.text, SV("score"))) {
		*def = &of_score;
		return ask_score(l, f, at, out);
	}
	return ask_fact(l, f, at, out, def);
}
