/*
 * advised -- what is made of what milters say: checks that ask it, then "as the milters say".
 *
 * A refusal of theirs is worth as much as that of a check: the first that is final, in file order, holds.
 * What a milter could not be asked about is a matter of the message at hand, never of the session, since
 * it is asked anew with the next one.
 */
#include "policy/eval.h"
#include "policy/policy.h"

/* Behind MESSAGE in the enum: a command that is not known may come between any two others. */
static enum stage
known_by(enum stage at, const struct policy_case *c)
{
	if (at != STAGE_UNKNOWN)
		return at;
	return c->env != NULL ? STAGE_MAIL : STAGE_CONNECT;
}

MAY_YIELD enum hears
policy_hears(const struct policy *p, unsigned i, enum stage at, struct policy_case *c)
{
	const struct milter_rule *m = &p->milter[i];
	struct eval               e = { .p = p, .facts = c->facts, .c = c };
	unsigned                  bit = p->n_check + i;
	enum truth                t;

	at = known_by(at, c);
	/* Which of its recipients are left to be told of is known when all are. */
	if (at < STAGE_DATA ? bit_is(c->marks.skip, bit) : checks_skipped(c, bit, false, 0))
		return HEARS_NO;
	if (m->when == NULL)
		return HEARS_YES;
	if (at < m->at)
		return HEARS_NOT_YET;
	t = eval_rule(&e, m->when);
	if (e.cancelled)
		return HEARS_CANCELLED;
	return t == TRUTH_NO ? HEARS_NO : HEARS_YES;
}

bool
policy_has_advised(const struct policy *p, enum stage at)
{
	return p->advised & 1u << at;
}

/* Depth is bounded by the parser. */
static bool
asks(const struct policy *p, const struct rule *r, struct strv milter)
{
	for (unsigned i = 0; i < r->n_kid; i++) {
		if (asks(p, r->kid[i], milter))
			return true;
	}
	return r->kind == EXPR_PRED && r->ask.subject == SUBJECT_FACT &&
	    strcmp(p->facts[r->ask.fact].name, "milter") == 0 && strv_eq(r->ask.text, milter);
}

bool
policy_asks_milter(const struct policy *p, struct strv check, unsigned i)
{
	for (unsigned k = 0; k < p->n_check; k++) {
		const struct check *c = &p->check[k];

		if (strv_eq(c->name, check))
			return c->when != NULL && asks(p, c->when, p->milter[i].is.name);
	}
	return false;
}

/* ---- as the milters say ---- */

static const struct {
	enum verdict_kind kind;
	const char       *text;
} failures[] = {
	[FAILURE_TEMPFAIL] = { VERDICT_TEMPFAIL, "this cannot be checked now, try again later" },
	[FAILURE_ACCEPT] = { VERDICT_NONE, NULL },
	[FAILURE_REJECT] = { VERDICT_REJECT, "this cannot be checked" },
	[FAILURE_QUARANTINE] = { VERDICT_QUARANTINE, NULL },
	[FAILURE_DISCONNECT] = { VERDICT_DISCONNECT, "this cannot be checked now" },
};

/* A failure counts from MAIL on: with the next message it is asked anew. */
static struct verdict
said(const struct milter_rule *m, const struct advice *x, enum stage at)
{
	struct verdict v = { 0 };

	if (x->failed && at >= STAGE_MAIL && at != STAGE_UNKNOWN) {
		v.kind = failures[m->is.on_failure].kind;
		if (failures[m->is.on_failure].text != NULL)
			v.text = strv_z(failures[m->is.on_failure].text);
	} else if (!x->failed) {
		v = x->say;
	}
	if (!verdict_legal(v.kind, at == STAGE_UNKNOWN ? STAGE_CONNECT : at))
		v = (struct verdict){ 0 };
	v.by = m->is.name;
	return v;
}

static void
note(struct walk *w, enum note_kind kind, const struct advice *x, const struct verdict *v)
{
	struct note *n = eval_note(
	    w->e.c, kind, w->at, w->e.of_rcpt ? w->e.rcpt : NOTE_NO_RCPT, v->by);

	if (n == NULL)
		return;
	n->verdict = *v;
	n->failed = x->failed;
}

/* What holds for the rest is told once; what a milter says of a recipient, of each. */
static void
warn(struct walk *w, unsigned bit, const struct advice *x, const struct verdict *v)
{
	struct policy_case *c = w->e.c;
	bool                of_one = w->at == STAGE_RCPT && !x->failed &&
	    (v->kind == VERDICT_REJECT || v->kind == VERDICT_TEMPFAIL);

	if (bit_is(c->marks.fired, bit))
		return;
	note(w, NOTE_WARN, x, v);
	if (!of_one)
		checks_set(c->a, &c->marks.fired, bit, rules_bits(w->e.p));
}

static void
one_milter(struct walk *w, unsigned i, const struct advice *x)
{
	const struct milter_rule *m = &w->e.p->milter[i];
	unsigned                  bit = w->e.p->n_check + i;
	struct verdict            v = said(m, x, w->at);

	if (!x->asked || !verdict_final(&v) || checks_skipped(w->e.c, bit, w->e.of_rcpt, w->e.rcpt))
		return;
	if (m->is.warn) {
		if (!w->settled)
			warn(w, bit, x, &v);
		return;
	}
	note(w, w->settled ? NOTE_ALSO : NOTE_FIRED, x, &v);
	if (!w->settled)
		*w->out = v;
	w->settled = true;
}

struct verdict
policy_obeyed(const struct policy *p, unsigned i, enum stage at, unsigned rcpt,
    const struct policy_case *c, const struct advice *x)
{
	const struct milter_rule *m = &p->milter[i];
	struct verdict            v = said(m, x, at);

	if (policy_has_advised(p, at) || m->is.warn || !x->asked || !verdict_final(&v) ||
	    v.kind == VERDICT_QUARANTINE ||
	    checks_skipped(c, p->n_check + i, at == STAGE_RCPT, rcpt))
		return (struct verdict){ 0 };
	return v;
}

MAY_YIELD enum wait_rc
policy_advised(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    const struct advice *advice, unsigned n, struct verdict *out)
{
	struct walk w = checks_begin(p, at, rcpt, c, out);

	checks_walk(&w, true);
	/* Behind a verdict that is held from before no milter is told of anything: nothing new is said. */
	for (unsigned i = 0; i < n && i < p->n_milter && !c->settled && !w.e.cancelled; i++)
		one_milter(&w, i, &advice[i]);
	return checks_end(&w);
}
