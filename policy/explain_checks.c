/*
 * explain_checks -- what was understood of the checks: stage by stage in the order in which they are
 * asked, what each asks and what that costs, which can meet unknown facts, what becomes of the text.
 */
#include "policy/explain.h"

#include "policy/load.h"
#include "proxy/base/arena.h"

#define FACTS_MAX 64 /* of one check, that are told */

/* ---- what a check asks ---- */

struct asks {
	const struct policy *p;
	struct asked         v[FACTS_MAX];
	unsigned             n;
	bool                 pattern;
};

static bool
same_ask(const struct asked *x, const struct asked *y)
{
	return x->subject == y->subject && x->fact == y->fact && x->of == y->of &&
	    x->map == y->map && (x->text.p == NULL) == (y->text.p == NULL) &&
	    strv_eq(x->text, y->text);
}

static void
add_ask(struct asks *s, const struct asked *x)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (same_ask(&s->v[i], x))
			return;
	}
	if (s->n < FACTS_MAX)
		s->v[s->n++] = *x;
}

static void
add_fact(struct asks *s, unsigned fact)
{
	add_ask(s, &(struct asked){ .subject = SUBJECT_FACT, .fact = fact, .of = -1 });
}

/* Depth is bounded by the parser. */
static void
collect(struct asks *s, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++)
		collect(s, r->kid[i]);
	if (r->kind != EXPR_PRED)
		return;
	add_ask(s, &r->ask);
	for (unsigned i = 0; i < r->n_match; i++) {
		s->pattern = s->pattern || r->match[i].kind == MATCH_PATTERN;
		if (r->match[i].kind == MATCH_MAP)
			add_fact(s, r->match[i].call.fact);
	}
	for (unsigned i = 0; r->ask.subject == SUBJECT_SCORE && i < s->p->n_weighed; i++)
		add_ask(s, &s->p->weighed[i].ask);
}

static enum fact_cost
cost_of(const struct policy *p, const struct asked *x)
{
	enum fact_cost cost = COST_MEMORY, of;

	if (x->subject == SUBJECT_FACT || x->subject == SUBJECT_MAP)
		cost = p->facts[x->fact].cost;
	of = x->of >= 0 ? p->facts[x->of].cost : COST_MEMORY;
	return of > cost ? of : cost;
}

/* Signatures need the text, and the DNS for keys and policies as well. */
static bool
asks_keys(const struct policy *p, const struct asked *x)
{
	struct strv name, head;

	if (x->subject != SUBJECT_FACT && x->subject != SUBJECT_MAP)
		return false;
	name = strv_z(p->facts[x->fact].name);
	head = strv_cut(&name, '.');
	return strv_eq(head, SV("dkim")) || strv_eq(head, SV("dmarc")) || strv_eq(head, SV("arc"));
}

/* Of those: where the DNS fails it has no word for that. */
static bool
asks_dns(const struct policy *p, const struct asked *x)
{
	static const char *const names[] = { "dmarc.policy", "arc.sealer", "arc.oldest-pass" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (x->subject == SUBJECT_FACT && strcmp(p->facts[x->fact].name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool
can_be_unknown(const struct asks *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (cost_of(s->p, &s->v[i]) == COST_DNS || asks_dns(s->p, &s->v[i]))
			return true;
	}
	return s->pattern;
}

/* ---- in words ---- */

static void
put_of(struct buf *b, const struct policy *p, const struct asked *x)
{
	buf_addc(b, '(');
	if (x->text.p != NULL) {
		buf_addc(b, '"');
		buf_add(b, x->text);
		buf_add(b, x->of >= 0 ? SV("\", ") : SV("\""));
	}
	if (x->of >= 0)
		buf_add(b, strv_z(p->facts[x->of].name));
	buf_addc(b, ')');
}

static void
put_ask(struct buf *b, const struct policy *p, const struct asked *x)
{
	const struct fact_def *def = &p->facts[x->fact];

	switch (x->subject) {
	case SUBJECT_TAG:
		buf_add(b, SV("tag."));
		buf_add(b, p->tag[x->fact].name);
		return;
	case SUBJECT_SCORE:
		buf_add(b, SV("score"));
		return;
	case SUBJECT_MAP:
		buf_add(b, x->map->conf->name.text);
		buf_printf(b, "(%s)", def->name);
		return;
	case SUBJECT_FACT:
		break;
	}
	if (def->inner && x->of >= 0) {
		buf_printf(b, "whether %s resolves", p->facts[x->of].name);
		return;
	}
	buf_add(b, strv_z(def->name));
	if (x->text.p != NULL || x->of >= 0)
		put_of(b, p, x);
}

static void
put_cost(struct buf *b, const struct policy *p, const struct asked *x)
{
	enum fact_cost cost = cost_of(p, x);

	/* It is heard at any rate. */
	if (x->subject == SUBJECT_FACT && strcmp(p->facts[x->fact].name, "milter") == 0)
		return;
	if (cost == COST_TEXT)
		buf_add(b,
		    asks_keys(p, x) ? SV(" (DNS, the whole message)") : SV(" (the whole message)"));
	if (cost != COST_DNS)
		return;
	buf_add(b, SV(" (DNS"));
	for (unsigned i = 0; i < p->n_want; i++) {
		if (!same_ask(&p->want[i].ask, x))
			continue;
		buf_printf(b, ", started at %s", stage_word(p->want[i].from));
		break;
	}
	buf_addc(b, ')');
}

static void
tell_asks(struct teller *t, const struct asks *s)
{
	buf_add(&t->b, SV("         asks "));
	for (unsigned i = 0; i < s->n; i++) {
		buf_add(&t->b, i > 0 ? SV(", ") : SV(""));
		put_ask(&t->b, t->p, &s->v[i]);
		put_cost(&t->b, t->p, &s->v[i]);
	}
	explain_line(t);
}

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
	struct asks      s = { .p = t->p };
	struct block     block = { .kind = BLOCK_CHECK };
	struct conf_tree tree = { .block = &block, .n = 1 };
	struct conf      only = { .tree = &tree };

	block.u.check = (struct conf_check *)c->conf;
	conf_print(&only, t->a, tell_written, &w);
	collect(&s, c->when);
	tell_asks(t, &s);
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
		struct asks         s = { .p = t->p };

		collect(&s, c->when);
		if (c->on_unknown.kind != VERDICT_NONE || !can_be_unknown(&s))
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
	struct asks s = { .p = t->p };

	if (m->when != NULL) {
		collect(&s, m->when);
		tell_asks(t, &s);
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
	struct asks      s = { .p = t->p };
	struct block     block = { .kind = BLOCK_PLAIN };
	struct conf_tree tree = { .block = &block, .n = 1 };
	struct conf      only = { .tree = &tree, .n_plain = 1 };

	only.plain = (struct conf_plain *)c->conf;
	conf_print(&only, t->a, tell_written, &w);
	if (c->when == NULL)
		return;
	collect(&s, c->when);
	tell_asks(t, &s);
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
