/*
 * rules -- check blocks into struct check, in four passes over all of them.
 *
 * Names and tags first, since expressions may speak of any; then expressions; then stages, which tags
 * tie together; last verdicts and effects, whose texts may only hold what is known at their stage.
 */
#include "policy/hints.h"
#include "policy/load.h"
#include "proxy/base/arena.h"

int
rules_number(const struct policy *p, struct strv name)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		if (strv_eq(p->check[i].name, name))
			return (int)i;
	}
	return -1;
}

/* ---- names and tags ---- */

/* The number of the tag; -1: there are too many. */
static int
tag_number(struct loader *l, const struct lit *name, unsigned *max)
{
	struct policy *p = l->p;

	for (unsigned i = 0; i < p->n_tag; i++) {
		if (strv_eq(p->tag[i].name, name->text))
			return (int)i;
	}
	if (p->n_tag == TAGS_MAX) {
		diag_add(l->d, DIAG_ERROR, name->pos, SV("one tag can be set by several checks"),
		    "more than %d tags", TAGS_MAX);
		return -1;
	}
	p->tag = arena_grow(l->a, p->tag, max, p->n_tag + 1, sizeof(*p->tag));
	p->tag[p->n_tag] = (struct tag){ .name = name->text };
	l->tag_pos[p->n_tag] = name->pos;
	return (int)p->n_tag++;
}

static void
add_effect(struct check *c, struct effect x)
{
	c->effect[c->n_effect++] = x;
}

/* An effect for each name: `skip a, b' are two. */
static void
begin_effects(struct loader *l, struct check *c, unsigned *max_tag)
{
	const struct conf_check *conf = c->conf;
	unsigned                 n = 0;

	for (unsigned i = 0; i < conf->n_effect; i++)
		n += conf->effect[i].kind == EFFECT_SKIP ? conf->effect[i].arg.n : 1;
	if (n > EFFECTS_MAX) {
		diag_add(l->d, DIAG_ERROR, c->pos,
		    SV("another check can do the others: it asks for a tag that this one sets"),
		    "%s has more than %d effects", diag_quote(l->a, c->name), EFFECTS_MAX);
		return;
	}
	c->effect = arena_array(l->a, n, sizeof(*c->effect));
	for (unsigned i = 0; i < conf->n_effect; i++) {
		const struct conf_effect *e = &conf->effect[i];
		struct effect             x = { .kind = e->kind };
		int                       tag;

		if (e->kind == EFFECT_TAG && e->arg.n == 1) {
			tag = tag_number(l, &e->arg.v[0], max_tag);
			x.number = (unsigned)tag;
			x.name = e->arg.v[0].text;
			if (tag >= 0)
				add_effect(c, x);
		} else if (e->kind != EFFECT_SKIP && e->kind != EFFECT_TAG) {
			add_effect(c, x);
		}
		for (unsigned k = 0; e->kind == EFFECT_SKIP && k < e->arg.n; k++)
			add_effect(c, x);
	}
}

static unsigned
count_checks(const struct conf_tree *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++)
		n += t->block[i].kind == BLOCK_CHECK;
	return n;
}

bool
rules_begin(struct loader *l)
{
	const struct conf_tree *t = l->c->tree;
	struct policy          *p = l->p;
	unsigned                n = count_checks(t), max_tag = 0;

	p->check = arena_array(l->a, n, sizeof(*p->check));
	l->tag_used = arena_array(l->a, TAGS_MAX, sizeof(*l->tag_used));
	l->tag_pos = arena_array(l->a, TAGS_MAX, sizeof(*l->tag_pos));
	for (unsigned i = 0; i < t->n; i++) {
		struct check *c = &p->check[p->n_check];

		if (t->block[i].kind != BLOCK_CHECK)
			continue;
		if (p->n_check == CHECKS_MAX) {
			diag_add(l->d, DIAG_ERROR, t->block[i].pos,
			    SV("a list or a map says at once what many checks say one by one"),
			    "more than %d checks", CHECKS_MAX);
			return false;
		}
		c->conf = t->block[i].u.check;
		c->name = c->conf->name.text;
		c->pos = c->conf->name.text.p == NULL ? t->block[i].pos : c->conf->name.pos;
		c->warn = c->conf->warn;
		c->number = p->n_check++;
		begin_effects(l, c, &max_tag);
	}
	return true;
}

/* ---- expressions ---- */

static enum stage
given_stage(struct loader *l, const struct lit *at)
{
	static const char *const words[] = { "connect", "helo", "auth", "mail", "rcpt", "data",
		"message", NULL };
	enum stage               stage;

	if (at->text.p == NULL)
		return STAGE_MAX;
	if (stage_find(at->text, &stage) && stage_in_policy(stage))
		return stage;
	diag_add(l->d, DIAG_ERROR, at->pos, hint_words_z(l->a, at->text, words),
	    "there is no stage %s", diag_quote(l->a, at->text));
	return STAGE_MAX;
}

static void
compile_when(struct loader *l, struct check *c)
{
	enum stage at = given_stage(l, &c->conf->at);

	l->tags = true;
	l->advice = true;
	l->heard = l->p->n_milter;
	c->at = at;
	l->when = c->conf->when;
	c->when = compile_expr(l, c->conf->when, at);
	l->when = NULL;
	l->advice = false;
	l->tags = false;
}

/* ---- all ---- */

static void
warn_idle(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_check; i++) {
		const struct check *c = &l->p->check[i];
		bool says = c->final.kind != VERDICT_NONE || c->on_unknown.kind != VERDICT_NONE;

		if (c->warn && !says)
			diag_add(l->d, DIAG_WARNING, c->pos,
			    SV("`warn' logs a verdict, and does no effects"),
			    "%s does nothing: it has no verdict", diag_quote(l->a, c->name));
		else if (!says && c->n_effect == 0)
			diag_add(l->d, DIAG_WARNING, c->pos,
			    SV("such as: reject 550 5.7.1 \"not from you\", or tag NAME"),
			    "%s does nothing: it has neither verdict nor effects",
			    diag_quote(l->a, c->name));
	}
}

/* `warn' checks do no effects. */
static bool
is_ever_set(const struct policy *p, unsigned tag)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		const struct check *c = &p->check[i];

		for (unsigned k = 0; k < c->n_effect && !c->warn; k++) {
			if (c->effect[k].kind == EFFECT_TAG && c->effect[k].number == tag)
				return true;
		}
	}
	return false;
}

static void
warn_tags(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_tag; i++) {
		const char *name = diag_quote(l->a, l->p->tag[i].name);

		if (!l->tag_used[i])
			diag_add(l->d, DIAG_WARNING, l->tag_pos[i],
			    arena_printf(l->a, "a check asks for it: when tag.%.*s",
				(int)l->p->tag[i].name.n, l->p->tag[i].name.p),
			    "nothing asks for the tag %s", name);
		else if (!is_ever_set(l->p, i))
			diag_add(l->d, DIAG_WARNING, l->tag_pos[i],
			    SV("a check with `warn' does no effects"), "the tag %s is never set",
			    name);
	}
}

void
rules_load(struct loader *l)
{
	struct policy *p = l->p;

	for (unsigned i = 0; i < p->n_check; i++)
		compile_when(l, &p->check[i]);
	seals_load(l);
	milters_load(l);
	stages_infer(l);
	seals_look(l);
	milters_look(l);
	l->tags = true;
	for (unsigned i = 0; i < p->n_check; i++) {
		struct check *c = &p->check[i];
		enum stage    at = c->when == NULL ? STAGE_MAX : c->at;

		l->when = c->conf->when;
		finals_load(l, &c->conf->on_unknown, at, &c->on_unknown);
		effects_load(l, c);
		finals_load(l, &c->conf->final, at, &c->final);
	}
	l->when = NULL;
	l->tags = false;
	/* Where there are mistakes, what seems to be missing may only be what could not be read. */
	if (l->d->errors > 0)
		return;
	warn_idle(l);
	warn_tags(l);
	seals_warn(l);
	zones_bind(p);
	wants_find(l);
	checks_order(p);
}
