/*
 * checks -- the checks of a stage in file order: what fires, what is said, what is done.
 *
 * The first final verdict holds.  Behind it nothing is asked any more; a check that would have fired by what
 * is known already is noted.  What checks leave behind (tags, skips, fields) is kept in struct policy_case.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"

/* ---- marks ---- */

void
checks_set(struct arena *a, uint64_t **v, unsigned bit, unsigned bits)
{
	if (*v == NULL)
		*v = arena_array(a, bits / 64 + 1, sizeof(**v));
	(*v)[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* Of the recipient at hand, where the check decides for it alone; else of all. */
static struct marks *
marks_for(struct walk *w, const struct check *k)
{
	struct policy_case *c = w->e.c;

	if (!k->per_rcpt || !w->e.of_rcpt)
		return &c->marks;
	c->rcpt = arena_grow(c->a, c->rcpt, &c->max_rcpt, w->e.rcpt + 1, sizeof(*c->rcpt));
	if (c->n_rcpt <= w->e.rcpt)
		c->n_rcpt = w->e.rcpt + 1;
	return &c->rcpt[w->e.rcpt];
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

static struct note *
note(struct walk *w, enum note_kind kind, const struct check *k)
{
	return eval_note(w->e.c, kind, w->at, w->e.of_rcpt ? w->e.rcpt : NOTE_NO_RCPT, k->name);
}

static void
note_text(struct walk *w, enum note_kind kind, const struct check *k, struct strv text)
{
	struct note *n = note(w, kind, k);

	if (n != NULL)
		n->text = text;
}

static void
note_verdict(struct walk *w, enum note_kind kind, const struct check *k, enum truth t,
    const struct verdict *v)
{
	struct note *n = note(w, kind, k);

	if (n == NULL)
		return;
	n->verdict = *v;
	n->unknown = t == TRUTH_UNKNOWN;
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

/* ---- effects ---- */

/*
 * The same field by the same check, for another recipient: once is enough.  Of a check's edits values differ, names do
 * not; and all of them are looked at, for there are EDITS_MAX at most, which takes 16 us.
 */
static bool
is_there(const struct edits *all, const struct edit *x)
{
	for (unsigned i = 0; i < all->n; i++) {
		if (all->v[i].op == x->op && strv_eq(all->v[i].by, x->by) &&
		    strv_eq(all->v[i].value, x->value) && strv_ieq(all->v[i].name, x->name))
			return true;
	}
	return false;
}

/* A field stands in front of the header, as trace fields do (RFC 5321 4.4), above those that came. */
MAY_YIELD static void
change_header(struct walk *w, const struct check *k, const struct effect *x)
{
	struct policy_case *c = w->e.c;
	struct edit         edit = { .op = EDIT_DELETE_ALL, .name = x->name, .by = k->name };
	const char         *why;

	if (x->kind == EFFECT_ADD_HEADER) {
		edit.op = EDIT_INSERT_HEADER;
		edit.value = texts_header(&w->e, &x->text);
	}
	if (c->edits != NULL && !w->e.cancelled && !is_there(c->edits, &edit))
		(void)edits_add(c->a, c->edits, &edit, &why);
}

static void
set_tag(struct walk *w, const struct check *k, const struct effect *x)
{
	checks_set(w->e.c->a, &marks_for(w, k)->tag, x->number, w->e.p->n_tag);
	note_text(w, NOTE_TAG, k, x->name);
}

static void
add_delay(struct policy_case *c, uint32_t ms)
{
	c->delay = ms > DELAY_MAX - c->delay ? DELAY_MAX : c->delay + ms;
}

MAY_YIELD static void
carry_out(struct walk *w, const struct check *k, const struct effect *x)
{
	struct strv text;

	switch (x->kind) {
	case EFFECT_TAG:
		set_tag(w, k, x);
		break;
	case EFFECT_SKIP:
		checks_set(w->e.c->a, &marks_for(w, k)->skip, x->number, rules_bits(w->e.p));
		break;
	case EFFECT_DELAY:
		add_delay(w->e.c, x->ms);
		break;
	case EFFECT_LOG:
		text = texts_log(&w->e, &x->text);
		note_text(w, NOTE_LOG, k, text);
		break;
	case EFFECT_ADD_HEADER:
	case EFFECT_DELETE_HEADER:
		change_header(w, k, x);
		break;
	case EFFECT_REMEMBER: /* no build has it yet: the compiler refuses */
		break;
	}
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
		carry_out(w, k, &k->effect[i]);
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
		(void)note(w, NOTE_UNKNOWN, k);
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
	w->e.noting = w->e.c->look != NULL;
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

/* A recipient that is refused leaves no fields behind, which would speak of it to others. */
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

	for (unsigned i = checks_from(p, w->at); i < checks_upto(p, w->at) && !w->e.cancelled;
	     i++) {
		const struct check *k = p->by_stage != NULL ? p->by_stage[i] : &p->check[i];

		if (k->at == w->at && k->advised == advised)
			one_check(w, k);
	}
}

MAY_YIELD enum wait_rc
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

/* ---- sessions and their transactions ---- */

static uint64_t *
copy_bits(struct arena *a, const uint64_t *v, unsigned bits)
{
	uint64_t *copy;

	if (v == NULL)
		return NULL;
	copy = arena_array(a, bits / 64 + 1, sizeof(*copy));
	memcpy(copy, v, (bits / 64 + 1) * sizeof(*copy));
	return copy;
}

void
policy_begin(const struct policy *p, const struct policy_case *session, struct policy_case *tx)
{
	const char *why;

	if (session == NULL)
		return;
	tx->marks.skip = copy_bits(tx->a, session->marks.skip, rules_bits(p));
	tx->marks.tag = copy_bits(tx->a, session->marks.tag, p->n_tag);
	for (unsigned i = 0; session->edits != NULL && tx->edits != NULL && i < session->edits->n;
	     i++)
		(void)edits_add(tx->a, tx->edits, &session->edits->v[i], &why);
}

/* Field effects stand in the order of stages: those to be kept are in front. */
static void
rewind_edits(const struct policy *p, enum stage at, struct edits *e)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < p->n_check && kept < e->n; i++) {
		while (
		    p->check[i].at < at && kept < e->n && strv_eq(e->v[kept].by, p->check[i].name))
			kept++;
	}
	edits_rewind(e, kept);
}

static void
mark_again(const struct policy *p, const struct check *k, struct policy_case *c)
{
	for (unsigned i = 0; i < k->n_effect && !k->warn; i++) {
		const struct effect *x = &k->effect[i];

		if (x->kind == EFFECT_TAG)
			checks_set(c->a, &c->marks.tag, x->number, p->n_tag);
		else if (x->kind == EFFECT_SKIP)
			checks_set(c->a, &c->marks.skip, x->number, rules_bits(p));
	}
}

static void
clear_bits(uint64_t *v, unsigned bits)
{
	if (v != NULL)
		memset(v, 0, (bits / 64 + 1) * sizeof(*v));
}

void
policy_again(const struct policy *p, enum stage at, struct policy_case *c)
{
	if (c->marks.fired == NULL)
		return;
	clear_bits(c->marks.skip, rules_bits(p));
	clear_bits(c->marks.tag, p->n_tag);
	for (unsigned i = 0; i < p->n_check; i++) {
		const struct check *k = &p->check[i];

		if (!bit_is(c->marks.fired, k->number))
			continue;
		if (k->at < at)
			mark_again(p, k, c);
		else
			c->marks.fired[k->number / 64] &= ~((uint64_t)1 << k->number % 64);
	}
	if (c->edits != NULL)
		rewind_edits(p, at, c->edits);
}
