/*
 * checks -- the checks of a stage in file order: what fires, and what is said.
 *
 * The first final verdict holds.  Behind it nothing is asked any more; a check that would have fired by what
 * is known already is noted.  What checks do is checks_effects.c's; what is left of it (tags, skips, fields) is
 * kept in struct policy_case: case.c.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"

enum {
	READ = 16,        /* facts of one check that need no memory of the transaction */
	TOLD_SOURCE = 300 /* octets of what the log hears of one: a name, and what became of it */
};

/* ---- marks ---- */

void
checks_set(struct arena *a, uint64_t **v, unsigned bit, unsigned bits)
{
	if (*v == NULL)
		*v = arena_array(a, bits / 64 + 1, sizeof(**v));
	(*v)[bit / 64] |= (uint64_t)1 << bit % 64;
}

static bool
skipped_for(const struct policy_case *c, unsigned check, unsigned rcpt)
{
	return rcpt < c->n_rcpt && bit_is(c->rcpt[rcpt].skip, check);
}

/* Where one answer is for all recipients, all of them must have skipped it. */
static bool
skipped_for_all(const struct policy_case *c, unsigned check)
{
	unsigned taken = 0;

	for (unsigned i = 0; c->n_rcpt > 0 && c->env != NULL && i < c->env->n_rcpt; i++) {
		if (!eval_taken(&c->env->rcpt[i]))
			continue;
		if (!skipped_for(c, check, i))
			return false;
		taken++;
	}
	return taken > 0;
}

bool
checks_skipped(const struct policy_case *c, unsigned bit, bool of_rcpt, unsigned rcpt)
{
	if (bit_is(c->marks.skip, bit))
		return true;
	return of_rcpt ? skipped_for(c, bit, rcpt) : skipped_for_all(c, bit);
}

/* ---- what is told ---- */

struct note *
eval_note(
    struct policy_case *c, enum note_kind kind, enum stage at, unsigned rcpt, struct strv name)
{
	struct note *n;

	if (c->notes.n >= NOTES_MAX)
		return NULL;
	n = arena_alloc(c->a, sizeof(*n));
	n->kind = kind;
	n->at = at;
	n->rcpt = rcpt;
	n->check = name;
	if (c->notes.last != NULL)
		c->notes.last->next = n;
	else
		c->notes.first = n;
	c->notes.last = n;
	c->notes.n++;
	return n;
}

struct note *
checks_note(struct walk *w, enum note_kind kind, const struct check *k)
{
	return eval_note(w->e.c, kind, w->at, w->e.of_rcpt ? w->e.rcpt : NOTE_NO_RCPT, k->name);
}

/* As `explain' has it; whether the name of a domain resolves is no fact that anybody can write: it is the source. */
static struct strv
unknown_fact(struct arena *a, const struct fact *f)
{
	struct strv from = strv_first(
	    f->source, f->source.n < TOLD_SOURCE ? f->source.n : TOLD_SOURCE);
	struct strv arg = strv_first(f->arg, f->arg.n < TOLD_SOURCE ? f->arg.n : TOLD_SOURCE);

	if (from.n > 0 && f->def->inner)
		return arena_dup(a, from);
	if (from.n > 0)
		return arena_printf(a, "%s (%.*s)", f->def->name, (int)from.n, from.p);
	if (arg.n == 0)
		return strv_z(f->def->name);
	return arena_printf(a, "%s(%.*s)", f->def->name, (int)arg.n, arg.p);
}

/* The first, and that there are others; absent: it was a search that is too long. */
static struct strv
what_is_unknown(const struct walk *w)
{
	struct strv said = { NULL, 0 };

	for (unsigned i = 0; i < w->e.n_read; i++) {
		if (w->e.read[i]->state == FACT_KNOWN)
			continue;
		if (said.p != NULL)
			return arena_concat(w->e.c->a, said, SV(", ..."));
		said = unknown_fact(w->e.c->a, w->e.read[i]);
	}
	return said;
}

static void
note_verdict(struct walk *w, enum note_kind kind, const struct check *k, enum truth t,
    const struct verdict *v)
{
	struct note *n = checks_note(w, kind, k);

	if (n == NULL)
		return;
	n->verdict = *v;
	n->unknown = t == TRUTH_UNKNOWN;
	if (n->unknown)
		n->lacks = what_is_unknown(w);
}

/* No verdict, since nothing is said of it. */
static void
note_unknown(struct walk *w, const struct check *k)
{
	struct note *n = checks_note(w, NOTE_UNKNOWN, k);

	if (n != NULL)
		n->lacks = what_is_unknown(w);
}

static void
tell(struct walk *w, const struct check *k, enum look_came came, const struct verdict *v)
{
	struct policy_case *c = w->e.c;
	struct look         l;

	if (c->look == NULL)
		return;
	l = (struct look){ .check = k->name,
		.at = w->at,
		.rcpt = w->e.of_rcpt ? w->e.rcpt : NOTE_NO_RCPT,
		.came = came,
		.warn = k->warn,
		.fact = w->e.read,
		.n_fact = w->e.n_read };
	if (v != NULL)
		l.said = *v;
	l.holds = v != NULL && verdict_final(v) && !w->settled && !k->warn;
	l.behind = w->settled;
	c->look(c->look_arg, &l);
}

/* ---- verdicts ---- */

MAY_YIELD static struct verdict
verdict_of(struct walk *w, const struct check *k, const struct say *say)
{
	struct verdict v = { .kind = say->kind, .code = say->code, .by = k->name, .to = say->to };

	memcpy(v.enh, say->enh, sizeof v.enh);
	v.text = texts_reply(&w->e, &say->text);
	return v;
}

/* ---- one check ---- */

/* Behind the verdict that holds: what it would have said; nothing is done. */
MAY_YIELD static void
would_say(struct walk *w, const struct check *k, enum truth t, const struct say *say)
{
	enum look_came came = t == TRUTH_YES ? LOOK_YES : LOOK_UNKNOWN;
	struct verdict v = { 0 };

	if (t == TRUTH_UNKNOWN && w->e.missed) {
		tell(w, k, LOOK_UNASKED, NULL);
		return;
	}
	if (say->kind != VERDICT_NONE) {
		v = verdict_of(w, k, say);
		if (!k->warn)
			note_verdict(w, NOTE_ALSO, k, t, &v);
	}
	tell(w, k, came, &v);
}

MAY_YIELD static void
fires(struct walk *w, const struct check *k, enum truth t, const struct say *say)
{
	struct verdict v = { 0 };

	for (unsigned i = 0; t == TRUTH_YES && !k->warn && i < k->n_effect; i++)
		checks_carry_out(w, k, &k->effect[i]);
	if (t == TRUTH_YES)
		checks_set(w->e.c->a, &w->e.c->marks.fired, k->number, rules_bits(w->e.p));
	if (say->kind != VERDICT_NONE)
		v = verdict_of(w, k, say);
	if (w->e.cancelled)
		return;
	tell(w, k, t == TRUTH_YES ? LOOK_YES : LOOK_UNKNOWN, &v);
	if (k->warn) {
		note_verdict(w, NOTE_WARN, k, t, &v);
	} else if (verdict_final(&v)) {
		note_verdict(w, NOTE_FIRED, k, t, &v);
		*w->out = v;
		w->settled = true;
	}
}

MAY_YIELD static void
came(struct walk *w, const struct check *k, enum truth t)
{
	const struct say *say = t == TRUTH_YES ? &k->final : &k->on_unknown;

	w->e.noting = false;
	if (t == TRUTH_NO && w->e.c->look == NULL) {
		return;
	} else if (t == TRUTH_NO) {
		tell(w, k, LOOK_NO, NULL);
	} else if (w->settled) {
		would_say(w, k, t, say);
	} else if (t == TRUTH_UNKNOWN && say->kind == VERDICT_NONE) {
		note_unknown(w, k);
		tell(w, k, LOOK_UNKNOWN, NULL);
	} else {
		fires(w, k, t, say);
	}
}

MAY_YIELD static void
one_check(struct walk *w, const struct check *k)
{
	enum truth t;

	w->e.n_read = 0;
	if (checks_skipped(w->e.c, k->number, w->e.of_rcpt, w->e.rcpt)) {
		tell(w, k, LOOK_SKIPPED, NULL);
		return;
	}
	w->e.peek = w->settled && w->e.c->mode != POLICY_EXPLAIN;
	w->e.missed = false;
	w->e.noting = true;
	t = eval_rule(&w->e, k->when);
	if (!w->e.cancelled)
		came(w, k, t);
}

void
checks_order(struct policy *p)
{
	unsigned n = 0;

	p->by_stage = arena_array(p->a, p->n_check, sizeof(*p->by_stage));
	for (unsigned at = 0; at < STAGE_MAX; at++) {
		p->first[at] = n;
		for (unsigned i = 0; i < p->n_check; i++) {
			if (p->check[i].at == (enum stage)at)
				p->by_stage[n++] = &p->check[i];
		}
	}
	p->first[STAGE_MAX] = n;
}

static unsigned
checks_from(const struct policy *p, enum stage at)
{
	return p->by_stage != NULL ? p->first[at] : 0;
}

static unsigned
checks_upto(const struct policy *p, enum stage at)
{
	if (!policy_has(p, at))
		return 0;
	return p->by_stage != NULL ? p->first[at + 1] : p->n_check;
}

/*
 * A recipient that is refused leaves no fields behind, which would speak of it to others.  Of those that the server
 * refuses: edits_settle.
 */
static void
take_back(struct walk *w)
{
	struct policy_case *c = w->e.c;

	if (w->at == STAGE_RCPT && c->edits != NULL && verdict_final(w->out) &&
	    w->out->kind != VERDICT_DISCARD)
		edits_rewind(c->edits, c->mark);
}

struct walk
checks_begin(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    struct verdict *out)
{
	*out = (struct verdict){ 0 };
	return (struct walk){
		.e = { .p = p,
		    .facts = c->facts,
		    .c = c,
		    .rcpt = rcpt,
		    .of_rcpt = at == STAGE_RCPT },
		.at = at,
		.out = out,
		.settled = c->settled,
	};
}

MAY_YIELD void
checks_walk(struct walk *w, bool advised)
{
	const struct policy *p = w->e.p;
	const struct fact   *read[READ];

	w->e.read = read;
	w->e.max_read = READ;
	for (unsigned i = checks_from(p, w->at); i < checks_upto(p, w->at) && !w->e.cancelled;
	     i++) {
		const struct check *k = p->by_stage != NULL ? p->by_stage[i] : &p->check[i];

		if (k->at == w->at && k->advised == advised)
			one_check(w, k);
	}
	w->e.read = NULL;
	w->e.n_read = w->e.max_read = 0;
}

enum wait_rc
checks_end(struct walk *w)
{
	take_back(w);
	if (!w->e.cancelled)
		return WAIT_OK;
	*w->out = (struct verdict){ 0 };
	return WAIT_CANCELLED;
}

MAY_YIELD enum wait_rc
policy_eval(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    struct verdict *out)
{
	struct walk w = checks_begin(p, at, rcpt, c, out);

	c->mark = c->edits != NULL ? c->edits->n : 0;
	if (at == STAGE_RCPT && !c->settled && !c->no_gate)
		eval_gate(&w.e, out);
	w.settled = w.settled || verdict_final(out);
	checks_walk(&w, false);
	return checks_end(&w);
}
