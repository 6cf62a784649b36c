/*
 * prove_several -- values of facts that have several at once: answers of DNS lists, domains of signatures.
 */
#include "policy/match.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define SINGLES 24 /* values of one element */

static void
add_several(struct act *t, struct var *v, const struct addr *addr, unsigned n)
{
	union fact_value x = { .number = 0 };
	struct addr     *copy = arena_array(t->a, n, sizeof(*copy));

	for (unsigned i = 0; i < n; i++)
		copy[i] = addr[i];
	x.addrs.v = copy;
	x.addrs.n = n;
	picks_add(t, v, x, false);
}

/* The first of a range and what stands behind its last: between those nothing changes. */
static unsigned
ends_of(const struct addr_range *r, struct addr *out)
{
	struct addr behind = r->hi;

	out[0] = r->lo;
	if (!picks_successor(&behind))
		return 1;
	out[1] = behind;
	return 2;
}

/* Each alone, each two, all of them: enough where at most two questions are asked of it. */
void
picks_add_answers(struct act *t, struct var *v)
{
	struct addr one[SINGLES + 2];
	unsigned    n = 0, asked = 0;

	for (unsigned i = 0; i < v->n_use; i++) {
		for (unsigned k = 0; k < v->use[i].n_match; k++) {
			const struct netset *s = v->use[i].match[k].nets;
			size_t               count = s == NULL ? 0 : netset_count(s);

			asked += s != NULL;
			for (size_t r = 0; r < count && n < SINGLES; r++) {
				struct addr_range range = netset_at(s, r);

				n += ends_of(&range, &one[n]);
			}
		}
	}
	v->partial = v->partial || asked > 2 || n >= SINGLES;
	n = n < SINGLES ? n : SINGLES;
	(void)addr_parse(SV("127.0.0.2"), &one[n++]);
	for (unsigned i = 0; i < n; i++)
		add_several(t, v, &one[i], 1);
	for (unsigned i = 0; i + 1 < n; i++)
		add_several(t, v, &one[i], 2);
	add_several(t, v, one, n);
}

void
picks_add_texts(struct act *t, struct var *v, struct strv text)
{
	union fact_value x = { .number = 0 };
	struct strv     *copy = arena_alloc(t->a, sizeof(*copy));

	*copy = text;
	x.texts.v = copy;
	x.texts.n = 1;
	picks_add(t, v, x, false);
}
