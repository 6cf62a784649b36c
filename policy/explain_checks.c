/*
 * explain_checks -- what was understood of the checks: stage by stage in the order in which they are
 * asked, which can meet unknown facts; then milters, `sign' and `seal', and what becomes of the text.
 *
 * What each asks, and what that costs, is explain_asks.c's.
 */
#include "policy/explain.h"

#include "policy/load.h"

/* ---- a check ---- */

struct written { /* the lines of one block */
	struct teller *t;
	unsigned       number;
	bool           inside;
};

static void
tell_written(struct strv line, void *arg)
{
	struct written *w = arg;
	struct buf     *b = &w->t->b;

	line = strv_trim(line);
	if (strv_eq(line, SV("}")))
		return;
	if (!w->inside)
		buf_printf(b, "%4u. ", w->number);
	else
		buf_add(b, SV("         "));
	if (!w->inside && strv_ends(line, SV(" {")))
		line.n -= 2;
	w->inside = true;
	buf_add(b, strv_first(line, line.n < LINE_OCTETS / 2 ? line.n : LINE_OCTETS / 2));
	explain_line(w->t);
}

static void
tell_check(struct teller *t, const struct check *c, unsigned number)
{
	struct written   w = { .t = t, .number = number };
	struct block     block = { .kind = BLOCK_CHECK };
	struct conf_tree tree = { .block = &block, .n = 1 };
	struct conf      only = { .tree = &tree };

	block.u.check = (struct conf_check *)c->conf;
	conf_print(&only, t->a, tell_written, &w);
	explain_asks(t, c->when);
}

/* ---- stages ---- */

/* Those that ask what milters say, or the others. */
static void
tell_some(struct teller *t, enum stage at, bool advised)
{
	static const char *const each[] = { "", ", for each recipient" };
	unsigned                 n = 0;

	for (unsigned i = 0; i < t->p->n_check; i++) {
		const struct check *c = &t->p->check[i];

		if (c->at != at || c->advised != advised)
			continue;
		if (n++ == 0) {
			buf_printf(&t->b, "at %s%s: checks%s", stage_word(at),
			    advised ? ", behind what milters say" : "", each[at == STAGE_RCPT]);
			explain_line(t);
		}
		tell_check(t, c, n);
	}
}

static void
tell_stage(struct teller *t, enum stage at)
{
	tell_some(t, at, false);
	tell_some(t, at, true);
}

static void
tell_unknown(struct teller *t)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->p->n_check; i++) {
		const struct check *c = &t->p->check[i];

		if (c->on_unknown.kind != VERDICT_NONE || !explain_can_be_unknown(t->p, c->when))
			continue;
		buf_add(&t->b,
		    n++ == 0 ?
			SV("without `on unknown', so nothing happens where a look-up fails or a search is too long: ") :
			SV(", "));
		buf_add(&t->b, c->name);
	}
	if (n > 0)
		explain_line(t);
}

/* ---- milters ---- */

/* What a block leaves unsaid, where a postmaster would ask at once. */
static void
tell_rest(struct teller *t, const struct milter_rule *m)
{
	if (m->when != NULL) {
		explain_asks(t, m->when);
		buf_printf(&t->b, "         its `when' is known at %s%s", stage_word(m->at),
		    m->at == STAGE_CONNECT ? "" : ": it is told then of all that came before");
		explain_line(t);
	}
	if (m->is.failure_pos.src == NULL) {
		buf_add(&t->b, SV("         on failure tempfail"));
		explain_line(t);
	}
}

static void
tell_milter(struct teller *t, const struct milter_rule *m, unsigned number)
{
	struct written   w = { .t = t, .number = number };
	struct block     block = { .kind = BLOCK_MILTER };
	struct conf_tree tree = { .block = &block, .n = 1 };
	struct conf      only = { .tree = &tree };

	block.u.milter = (struct conf_milter *)m->conf;
	conf_print(&only, t->a, tell_written, &w);
	tell_rest(t, m);
}

static void
tell_milters(struct teller *t)
{
	for (unsigned i = 0; i < t->p->n_milter; i++) {
		if (i == 0) {
			buf_add(&t->b,
			    SV("milters and plugins, one after the other behind the checks of each stage:"));
			explain_line(t);
		}
		tell_milter(t, &t->p->milter[i], i + 1);
	}
}

/* ---- `sign' and `seal' ---- */

static void
tell_seal(struct teller *t, const struct seal_cond *c, unsigned number)
{
	struct written   w = { .t = t, .number = number };
	struct block     block = { .kind = BLOCK_PLAIN };
	struct conf_tree tree = { .block = &block, .n = 1 };
	struct conf      only = { .tree = &tree, .n_plain = 1 };

	only.plain = (struct conf_plain *)c->conf;
	conf_print(&only, t->a, tell_written, &w);
	if (c->when == NULL)
		return;
	explain_asks(t, c->when);
}

static void
tell_seals(struct teller *t)
{
	for (unsigned i = 0; i < t->p->n_seal; i++) {
		if (i == 0) {
			buf_add(&t->b, SV("behind all checks of a message that goes on:"));
			explain_line(t);
		}
		tell_seal(t, &t->p->seal[i], i + 1);
	}
}

/* ---- the text ---- */

/* A statement that adds to the header of every message; absent: there is none. */
static struct strv
adds_fields(const struct policy *p)
{
	for (unsigned i = 0; i < p->conf->n_plain; i++) {
		const struct conf_plain *x = &p->conf->plain[i];

		if (strv_eq(x->keyword, SV("authenticate")) || seals_is(x))
			return x->keyword;
	}
	return strv(NULL, 0);
}

/* Why the text must be here before it goes on: absent: it need not. */
static const char *
change_of(const struct check *c)
{
	for (unsigned i = 0; i < c->n_effect && !c->warn; i++) {
		if (c->effect[i].kind == EFFECT_ADD_HEADER ||
		    c->effect[i].kind == EFFECT_DELETE_HEADER)
			return "changes the header";
	}
	if (c->final.kind == VERDICT_QUARANTINE || c->on_unknown.kind == VERDICT_QUARANTINE)
		return "may put it into quarantine";
	return NULL;
}

static void
tell_text(struct teller *t)
{
	const struct policy *p = t->p;
	const char          *why = NULL;
	struct strv          adds = adds_fields(p);

	if (p->n_milter > 0) {
		buf_add(&t->b, SV("the text is kept until all of it is here: "));
		buf_add(&t->b, p->milter[0].is.name);
		buf_add(&t->b, SV(" is shown all of it, and may change it"));
		explain_line(t);
		return;
	}
	for (unsigned i = 0; policy_edits(p) && i < p->n_check; i++) {
		const struct check *c = &p->check[i];

		if (c->at != STAGE_MESSAGE || (why = change_of(c)) == NULL)
			continue;
		buf_add(&t->b, SV("the text is kept until all of it is here: "));
		buf_add(&t->b, c->name);
		buf_printf(&t->b, " %s", why);
		explain_line(t);
		return;
	}
	if (adds.p != NULL) {
		buf_printf(&t->b,
		    "the text is kept until all of it is here: `%.*s' adds to its header",
		    (int)adds.n, adds.p);
		explain_line(t);
		return;
	}
	buf_add(&t->b,
	    policy_edits(p) ?
		SV("the text is kept until all of it is here") :
		policy_has(p, STAGE_MESSAGE) ?
		SV("large texts are passed on while they come; a verdict at message holds back their end") :
		SV("large texts are passed on while they come"));
	explain_line(t);
}

void
explain_checks(struct teller *t)
{
	if (t->p->n_check == 0 && t->p->n_milter == 0 && adds_fields(t->p).p == NULL)
		return;
	for (enum stage at = STAGE_CONNECT; at < STAGE_MAX; at++)
		tell_stage(t, at);
	tell_unknown(t);
	tell_milters(t);
	tell_seals(t);
	tell_text(t);
}
