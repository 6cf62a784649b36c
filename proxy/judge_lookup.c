/*
 * judge_lookup -- look-ups that are started before anybody asks for them, since they are sure to be asked.
 *
 * Each is a fiber of nobody on the same slot of the same facts: who asks later waits for it, or finds the
 * answer there.  The invariant: none is alive when the arena that it works in goes.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/judge_own.h"

#define LOOKUPS_MAX 24    /* at once, of one hearing */
#define LOOKUP_MS   20000 /* for one; its questions have times of their own */

struct lookup { /* in the arena of its transaction, or of the session */
	struct lookup      *next;
	struct hearing     *h;
	struct transaction *tx;         /* NULL: of the session */
	unsigned            want, rcpt; /* of the policy; or, where c is NULL, */
	unsigned            fact;       /* a fact that a filter wants, with its argument */
	struct strv         arg;
	struct policy_case *c;
	struct fiber       *fiber;
};

struct lookups {
	struct lookup     *first;
	unsigned           n;
	struct policy_case c;     /* of the session's */
	struct fiber      *waits; /* in lookup_end */
	void (*quiet)(void *arg); /* until it was called */
	void *arg;
};

/* ---- the fibers ---- */

static void
tell_quiet(void *arg)
{
	struct lookups *l = arg;
	void (*quiet)(void *) = l->quiet;

	l->quiet = NULL;
	quiet(l->arg);
}

/* Behind this nothing of the hearing is touched by this fiber. */
static void
over(struct lookup *k)
{
	struct lookups *l = k->h->lookups;
	struct lookup **at = &l->first;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	l->n--;
	if (k->tx != NULL)
		k->tx->lookups--;
	if (l->waits != NULL)
		fiber_wake(l->waits);
	else if (l->n == 0 && l->quiet != NULL)
		loop_defer(fiber_loop(), tell_quiet, l);
}

static struct lookup *
find_mine(const struct lookups *l)
{
	struct lookup *k = l->first;

	while (k->fiber != fiber_self())
		k = k->next;
	return k;
}

MAY_YIELD static void
look_up(void *arg)
{
	struct lookup *k = find_mine(arg);
	struct fact   *f;

	fiber_self()->deadline = loop_now(fiber_loop()) + LOOKUP_MS;
	/* Cancelled: whoever wants to know asks again. */
	if (k->c != NULL)
		(void)policy_want(k->h->judge->policy, k->want, k->rcpt, k->c);
	else
		(void)fact_get(&k->tx->facts, k->h->judge->facts, k->fact, 0, k->arg, &f);
	over(k);
}

/* ---- the hearing's side ---- */

static struct lookups *
lookups_of(struct hearing *h)
{
	struct lookups *l = h->lookups;

	if (l != NULL)
		return l;
	l = h->lookups = arena_alloc(h->a, sizeof *l);
	l->c.a = h->a;
	l->c.facts = &h->facts;
	l->c.no_gate = h->judge->no_gate;
	return l;
}

/*
 * What `like' says, in a fiber of its own, which runs later.  Nothing is allocated where there is none to be had: a
 * client could go on for ever.
 */
static void
start(struct hearing *h, struct lookup like)
{
	struct lookups *l = h->lookups;
	struct arena   *a = h->tx != NULL ? h->tx->a : h->a;
	struct fiber   *fiber = fiber_spawn("look-up", look_up, l);
	struct lookup  *k;

	if (fiber == NULL)
		return;
	k = arena_alloc(a, sizeof *k);
	*k = like;
	k->h = h;
	k->tx = h->tx;
	k->fiber = fiber;
	k->next = l->first;
	if (like.arg.p != NULL)
		k->arg = arena_dup(a, like.arg);
	l->first = k;
	l->n++;
	if (k->tx != NULL)
		k->tx->lookups++;
}

/* Without checks there may be look-ups all the same: the gate's. */
static struct policy_case *
case_of(struct hearing *h)
{
	struct transaction *tx = h->tx;
	struct policy_case *c = tx == NULL ? &h->lookups->c : tx->checks;

	if (c != NULL)
		return c;
	c = arena_alloc(tx->a, sizeof *c);
	c->a = tx->a;
	c->facts = &tx->facts;
	c->env = &tx->env;
	c->no_gate = h->judge->no_gate;
	return c;
}

void
lookup_start(struct hearing *h, enum stage at, unsigned rcpt)
{
	const struct policy *p = h->judge->policy;
	struct lookups      *l;
	struct policy_case  *c;
	unsigned             first, n;

	if (!(h->judge->wanted & 1u << at) || fiber_self() == NULL)
		return;
	l = lookups_of(h);
	c = case_of(h);
	n = policy_wants(p, at, &first);
	for (unsigned i = first; i < first + n && l->n < LOOKUPS_MAX; i++) {
		if (policy_wanted(p, i, rcpt, c))
			start(h, (struct lookup){ .want = i, .rcpt = rcpt, .c = c });
	}
}

/* Its fiber may not have run yet. */
static bool
is_started(const struct lookups *l, const struct transaction *tx, unsigned fact, struct strv arg)
{
	for (const struct lookup *k = l->first; k != NULL; k = k->next)
		if (k->tx == tx && k->c == NULL && k->fact == fact && strv_eq(k->arg, arg))
			return true;
	return false;
}

/* A fact of the text answers nothing while the text is coming, and would stay unknown. */
static bool
may_be_asked(const struct transaction *tx, const struct fact_def *def)
{
	return !def->per_rcpt && (def->cost != COST_TEXT || tx->msg.complete);
}

void
lookup_fact(struct hearing *h, unsigned number, struct strv arg)
{
	struct transaction *tx = h->tx;

	if (tx == NULL || fiber_self() == NULL || lookups_of(h)->n >= LOOKUPS_MAX ||
	    !may_be_asked(tx, &h->judge->facts[number]) ||
	    is_started(h->lookups, tx, number, arg) ||
	    fact_begun(&tx->facts, h->judge->facts, number, 0, arg))
		return;
	start(h, (struct lookup){ .fact = number, .arg = arg });
}

/* True: there are such. */
static bool
cancel(struct hearing *h, bool all)
{
	bool any = false;

	for (struct lookup *k = h->lookups->first; k != NULL; k = k->next) {
		if (!all && k->tx == NULL)
			continue;
		fiber_cancel(k->fiber);
		any = true;
	}
	return any;
}

/* No cancelling of the caller ends the wait: what they work in goes next. */
MAY_YIELD void
lookup_end(struct hearing *h, bool all)
{
	struct lookups *l = h->lookups;

	if (l == NULL || !cancel(h, all))
		return;
	assert(fiber_self() != NULL && l->quiet == NULL);
	l->waits = fiber_self();
	while (all ? l->n > 0 : h->tx->lookups > 0)
		fiber_hold("its look-ups");
	l->waits = NULL;
}

bool
judge_quiet(struct hearing *h, void (*done)(void *arg), void *arg)
{
	struct lookups *l = h == NULL ? NULL : h->lookups;

	if (l == NULL || (l->n == 0 && l->quiet == NULL))
		return true;
	if (l->quiet == NULL) {
		l->quiet = done;
		l->arg = arg;
		(void)cancel(h, true);
	}
	return false;
}
