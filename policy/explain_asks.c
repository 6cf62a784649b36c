/*
 * explain_asks -- what an expression asks, each question once, in words and with what it costs.
 *
 * Apart from explain_checks.c because checks, milters and seals all have conditions, and are told of alike.
 */
#include "policy/explain.h"

#define FACTS_MAX 64 /* of one expression, that are told */

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

/* ---- of a condition ---- */

void
explain_asks(struct teller *t, const struct rule *when)
{
	struct asks s = { .p = t->p };

	collect(&s, when);
	tell_asks(t, &s);
}

bool
explain_can_be_unknown(const struct policy *p, const struct rule *when)
{
	struct asks s = { .p = p };

	collect(&s, when);
	return can_be_unknown(&s);
}
