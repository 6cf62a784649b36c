/*
 * chance_facts -- chance_policy.h's facts: some of the transaction, of recipients, lists; a truth for each by chance.
 */
#ifndef TESTS_UNIT_CHANCE_FACTS_H
#define TESTS_UNIT_CHANCE_FACTS_H

#include "policy/eval.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

enum {
	PLAIN = 5,   /* facts of the transaction, yes or no */
	OF_RCPT = 2, /* of each recipient */
	LISTS = 3,   /* answer or not; each has a weight */
	FACTS = PLAIN + OF_RCPT + LISTS,
	RCPTS = 3,
	TAGS = 3,
	CHECKS = 6,
	VALUES = PLAIN + OF_RCPT * RCPTS + LISTS
};

static struct fact_def defs[FACTS + 1];
static struct arena   *arena;
static uint64_t        seed;

T_UNUSED static unsigned
below(unsigned n)
{
	return (unsigned)(t_random(&seed) % n);
}

T_UNUSED static void
make_defs(void)
{
	for (unsigned i = 0; i < FACTS; i++) {
		defs[i].name = "x";
		defs[i].type = i < PLAIN + OF_RCPT ? FACT_BOOL : FACT_ADDRS;
		defs[i].per_rcpt = i >= PLAIN && i < PLAIN + OF_RCPT;
	}
}

/* ---- the world: a truth for each fact, and who was asked ---- */

struct life {
	enum truth      value[VALUES];
	unsigned        asked[VALUES];
	struct envelope env;
	struct rcpt     rcpt[RCPTS];
	struct facts    facts;
};

T_UNUSED static unsigned
place(unsigned number, unsigned rcpt)
{
	if (number < PLAIN)
		return number;
	if (number < PLAIN + OF_RCPT)
		return PLAIN + (number - PLAIN) * RCPTS + rcpt;
	return number - OF_RCPT + OF_RCPT * RCPTS;
}

T_UNUSED static enum wait_rc
ask(void *ctx, struct fact *f)
{
	static const struct addr listed = { .family = ADDR_IP4, .b = { 127, 0, 0, 2 } };
	struct life             *l = ctx;
	unsigned                 i = place(f->number, f->rcpt);

	l->asked[i]++;
	if (l->value[i] == TRUTH_UNKNOWN)
		return WAIT_TIMEOUT;
	f->state = FACT_KNOWN;
	if (f->def->type == FACT_BOOL) {
		f->v.yes = l->value[i] == TRUTH_YES;
	} else {
		f->v.addrs.v = &listed;
		f->v.addrs.n = l->value[i] == TRUTH_YES;
	}
	return WAIT_OK;
}

T_UNUSED static void
live(struct life *l, const enum truth *value)
{
	static const bool took[RCPTS] = { true, false, true };

	*l = (struct life){ .env = { .n_rcpt = RCPTS } };
	memcpy(l->value, value, sizeof(l->value));
	l->env.rcpt = l->rcpt;
	for (unsigned i = 0; i < RCPTS; i++)
		l->rcpt[i].upstream_took = took[i];
	l->facts = (struct facts){ .a = arena, .ask = ask, .ctx = l };
}

T_UNUSED static void
draw_values(enum truth *value)
{
	for (unsigned i = 0; i < VALUES; i++)
		value[i] = (enum truth)below(3);
}

#endif
