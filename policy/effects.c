/*
 * effects -- what a check does besides its verdict, held against what can be done at its stage.
 *
 * Header fields that would break a message, that servers count loops by, or that only who checked may
 * write, are refused here, so that nothing below has to ask.
 */
#include "policy/load.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

/* ---- skip ---- */

static int
skip_number(struct loader *l, const struct check *c, const struct lit *name)
{
	const struct block *b = names_rule(l, name, false);
	const struct check *x;

	/* Milters come behind the checks of every stage. */
	if (b != NULL && b->kind == BLOCK_MILTER)
		return (int)l->p->n_check + milters_number(l->p, name->text);
	/* Rates are of another build, which is said of their own blocks. */
	if (b == NULL || b->kind != BLOCK_CHECK)
		return -1;
	x = &l->p->check[rules_number(l->p, name->text)];
	if (x->number <= c->number && !(x->advised && !c->advised && x->at >= c->at)) {
		diag_add(l->d, DIAG_ERROR, name->pos,
		    SV("a check that stands above is decided already"),
		    "%s does not come behind this check", diag_quote(l->a, name->text));
		return -1;
	}
	if (x->when != NULL && c->when != NULL && x->at < c->at) {
		diag_add(l->d, DIAG_ERROR, name->pos,
		    arena_printf(l->a, "this check is decided at %s", stage_word(c->at)),
		    "%s is decided at %s already", diag_quote(l->a, name->text), stage_word(x->at));
		return -1;
	}
	if (x->at == c->at && c->advised && !x->advised) {
		diag_add(l->d, DIAG_ERROR, name->pos,
		    SV("this check asks what milters say, and is decided behind them"),
		    "%s is decided in front of the milters already", diag_quote(l->a, name->text));
		return -1;
	}
	return (int)x->number;
}

/* ---- header fields ---- */

/* What may be done to a field. ONCE: there is one at most (RFC 5322 3.6), so it is deleted before one is added. */
enum field_may { MAY_ALL, MAY_DELETE, MAY_NOTHING, MAY_ONCE, MAY_BOTH };

static const struct {
	const char    *name;
	enum field_may may;
	const char    *why;
} fields[] = {
	{ "received", MAY_NOTHING, "servers count loops by it" },
	{ "delivered-to", MAY_NOTHING, "servers find loops by it" },
	{ "return-path", MAY_DELETE, "the server that delivers writes it" },
	{ "authentication-results", MAY_DELETE, "it is believed to be true" },
	{ "dkim-signature", MAY_DELETE, "it is computed" },
	{ "arc-seal", MAY_DELETE, "it is computed" },
	{ "arc-message-signature", MAY_DELETE, "it is computed" },
	{ "arc-authentication-results", MAY_DELETE, "it is computed" },
	{ "content-type", MAY_NOTHING, "the body could not be read any more" },
	{ "content-transfer-encoding", MAY_NOTHING, "the body could not be read any more" },
	{ "mime-version", MAY_NOTHING, "the body could not be read any more" },
	{ "from", MAY_BOTH, NULL },
	{ "date", MAY_BOTH, NULL },
	{ "sender", MAY_ONCE, NULL },
	{ "reply-to", MAY_ONCE, NULL },
	{ "to", MAY_ONCE, NULL },
	{ "cc", MAY_ONCE, NULL },
	{ "bcc", MAY_ONCE, NULL },
	{ "message-id", MAY_ONCE, NULL },
	{ "in-reply-to", MAY_ONCE, NULL },
	{ "references", MAY_ONCE, NULL },
	{ "subject", MAY_ONCE, NULL },
};

static bool
check_does(const struct check *c, enum effect_kind kind, struct strv field)
{
	for (unsigned i = 0; i < c->conf->n_effect; i++) {
		const struct conf_effect *e = &c->conf->effect[i];

		if (e->kind == kind && e->arg.n > 0 && strv_ieq(e->arg.v[0].text, field))
			return true;
	}
	return false;
}

static void
field_refused(struct loader *l, const struct lit *x, bool add, const char *why)
{
	diag_add(l->d, DIAG_ERROR, x->pos, why == NULL ? strv(NULL, 0) : strv_z(why),
	    "the field %s cannot be %s", diag_quote(l->a, x->text), add ? "added" : "deleted");
}

static void
look_field(struct loader *l, const struct check *c, const struct lit *x, bool add)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!strv_ieq(x->text, strv_z(fields[i].name)))
			continue;
		switch (fields[i].may) {
		case MAY_ALL:
			break;
		case MAY_DELETE:
			if (add)
				field_refused(l, x, add, fields[i].why);
			break;
		case MAY_NOTHING:
			field_refused(l, x, add, fields[i].why);
			break;
		case MAY_ONCE:
		case MAY_BOTH:
			if (add && !check_does(c, EFFECT_DELETE_HEADER, x->text))
				field_refused(l, x, add,
				    "a message has it once: delete it in the same check");
			else if (!add && fields[i].may == MAY_BOTH &&
			    !check_does(c, EFFECT_ADD_HEADER, x->text))
				field_refused(l, x, add,
				    "every message has it: add another in the same check");
			break;
		}
	}
}

static void
load_field(struct loader *l, struct check *c, const struct conf_effect *e, struct effect *x)
{
	const struct lit *name = &e->arg.v[0];
	bool              add = e->kind == EFFECT_ADD_HEADER;
	struct strv       v = name->text;

	x->name = v;
	if (!asks_header_name(v)) {
		diag_add(l->d, DIAG_ERROR, name->pos,
		    v.n > 1 && v.p[v.n - 1] == ':' ?
			diag_did_you_mean(l->a, strv_first(v, v.n - 1)) :
			strv_z(asks_header_form),
		    "%s is no name of a header field", diag_quote(l->a, v));
		return;
	}
	look_field(l, c, name, add);
	if (add)
		texts_load(l, &e->arg.v[1], TEXT_HEADER, v.n + 2,
		    c->when == NULL ? STAGE_MAX : c->at, &x->text);
	if (c->at == STAGE_MESSAGE && !c->warn)
		l->p->edits = true;
}

/* ---- others ---- */

static void
load_delay(struct loader *l, const struct lit *v, struct effect *x)
{
	uint64_t seconds = 0;

	(void)word_duration(v->text, &seconds);
	if (seconds > DELAY_MAX / 1000)
		diag_add(l->d, DIAG_ERROR, v->pos,
		    SV("who waits holds a connection, of the client's and of ours"),
		    "a delay is at most %d seconds", DELAY_MAX / 1000);
	else
		x->ms = (uint32_t)seconds * 1000;
}

static void
look_remember(struct loader *l, const struct conf_effect *e)
{
	const struct lit *x = &e->arg.v[0];
	unsigned          number;

	not_in_build(l, e->pos, SV("remember"));
	l->quiet = true;
	for (unsigned i = 0; i < e->key.n; i++) {
		if (e->key.v[i].four.text.p == NULL)
			facts_find(l, &e->key.v[i].fact, &number);
	}
	l->quiet = false;
	if (e->arg.n == 1 && !names_has_memory(l, x->text))
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("such as: memory NAME { for 24h  max 1000000 }"), "no memory is called %s",
		    diag_quote(l->a, x->text));
}

static void
load_effect(struct loader *l, struct check *c, const struct conf_effect *e, struct effect *x)
{
	switch (e->kind) {
	case EFFECT_DELAY:
		load_delay(l, &e->arg.v[0], x);
		break;
	case EFFECT_LOG:
		texts_load(
		    l, &e->arg.v[0], TEXT_LOG, 0, c->when == NULL ? STAGE_MAX : c->at, &x->text);
		break;
	case EFFECT_ADD_HEADER:
	case EFFECT_DELETE_HEADER:
		load_field(l, c, e, x);
		break;
	case EFFECT_REMEMBER:
		look_remember(l, e);
		break;
	case EFFECT_TAG:
	case EFFECT_SKIP:
		break;
	}
}

/* rules.c has made an effect for each that is written, and for each name of `skip'. */
void
effects_load(struct loader *l, struct check *c)
{
	unsigned at = 0;

	for (unsigned i = 0; i < c->conf->n_effect && at < c->n_effect; i++) {
		const struct conf_effect *e = &c->conf->effect[i];

		if (e->kind == EFFECT_SKIP) {
			for (unsigned k = 0; k < e->arg.n; k++)
				c->effect[at++].number = (unsigned)skip_number(l, c, &e->arg.v[k]);
			continue;
		}
		if (e->kind == EFFECT_TAG && c->effect[at].kind != EFFECT_TAG)
			continue; /* one more than there may be */
		load_effect(l, c, e, &c->effect[at++]);
	}
}
