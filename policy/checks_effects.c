/*
 * checks_effects -- what a check does that fires: tags, skips, delays, lines of the log, fields of the header.
 *
 * Apart from checks.c, which every message walks: here comes only what fires.  Nothing is written or slept: all of it is
 * kept in struct policy_case, for the recipient at hand or for all, and the judge looks there.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"

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

static void
note_text(struct walk *w, enum note_kind kind, const struct check *k, struct strv text)
{
	struct note *n = checks_note(w, kind, k);

	if (n != NULL)
		n->text = text;
}

/* ---- fields ---- */

/*
 * The same field by the same check, for another recipient: once is enough.  Of a check's edits values differ, names do
 * not; and all of them are looked at, for there are EDITS_MAX at most, which takes 16 us.  all->n: there is none.
 */
static unsigned
find_same(const struct edits *all, const struct edit *x)
{
	unsigned i = 0;

	for (; i < all->n; i++) {
		if (all->v[i].op == x->op && strv_eq(all->v[i].by, x->by) &&
		    strv_eq(all->v[i].value, x->value) && strv_ieq(all->v[i].name, x->name))
			break;
	}
	return i;
}

/* Whether the recipient at hand is taken is not known yet: edits_settle. */
static void
stage_edit(struct walk *w, const struct edit *x)
{
	struct policy_case *c = w->e.c;
	unsigned            i = find_same(c->edits, x);
	const char         *why;

	if (i == c->edits->n && !edits_add(c->a, c->edits, x, &why))
		return;
	if (w->at == STAGE_RCPT)
		edits_want(c->a, c->edits, i, w->e.rcpt);
}

/* A field stands in front of the header, as trace fields do (RFC 5321 4.4), above those that came. */
MAY_YIELD static void
change_header(struct walk *w, const struct check *k, const struct effect *x)
{
	struct policy_case *c = w->e.c;
	struct edit         edit = { .op = EDIT_DELETE_ALL, .name = x->name, .by = k->name };

	if (x->kind == EFFECT_ADD_HEADER) {
		edit.op = EDIT_INSERT_HEADER;
		edit.value = texts_header(&w->e, &x->text);
	}
	if (c->edits != NULL && !w->e.cancelled)
		stage_edit(w, &edit);
}

/* ---- all of them ---- */

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

MAY_YIELD void
checks_carry_out(struct walk *w, const struct check *k, const struct effect *x)
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
