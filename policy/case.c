/*
 * case -- what a session's checks have left behind, for each of its transactions, and what is left of it where a stage is
 * decided once more.
 *
 * Apart from checks.c, which leaves it there: no check is asked here, and nothing parks.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"

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

static bool
was_before(const struct policy *p, enum stage at, struct strv check)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		if (strv_eq(p->check[i].name, check))
			return p->check[i].at < at;
	}
	return false;
}

/* Not in file order: checks that ask what milters say come behind the others of their stage. */
static void
rewind_edits(const struct policy *p, enum stage at, struct edits *e)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < e->n; i++) {
		if (was_before(p, at, e->v[i].by))
			e->v[kept++] = e->v[i];
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
