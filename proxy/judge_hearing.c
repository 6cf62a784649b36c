/*
 * judge_hearing -- a session's hearing and its transactions: their birth, what they know, their end.
 *
 * Facts are asked here of the filters that own them.
 *
 * Invariant: every seat that was opened is closed, every begin has its end.
 */
#include <assert.h>

#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/judge_own.h"

/* ---- facts ----------------------------------------------------------------------------------- */

static enum fact_state
state_of(enum filter_rc rc)
{
	return rc == FILTER_OK ? FACT_KNOWN : FACT_UNKNOWN;
}

/*
 * The one inversion: a fact that nobody asked for yet is asked of the filter that owns it.  One of the session
 * sees no transaction: who asks may outlive it.
 */
static enum wait_rc
judge_ask(void *ctx, struct fact *f)
{
	struct hearing *h = ctx;
	unsigned        at = h->judge->seat_of[registry_owner(f->number)];
	struct seat    *seat = at != NO_SEAT ? &h->seat[at] : NULL;
	enum filter_rc  rc = FILTER_BUG;

	f->state = FACT_RUNNING;
	if (seat != NULL && seat->filter != NULL && seat->filter->ask != NULL)
		rc = seat->filter->ask(
		    seat->self, f, h->tx != NULL && !f->def->per_session ? &h->tx->mail : &h->mail);
	f->state = state_of(rc);
	return rc == FILTER_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

/* ---- a session ------------------------------------------------------------------------------- */

static void
open_seats(struct hearing *h)
{
	h->seat = arena_array(h->a, h->judge->n_filters, sizeof *h->seat);
	for (unsigned i = 0; i < h->judge->n_filters; i++) {
		const struct filter *f = h->judge->filter[i];
		struct seat         *s = &h->seat[i];

		if (f->open != NULL)
			s->self = f->open(h->a, h->judge->shared[i], h->client);
		s->filter = f->open == NULL || s->self != NULL ? f : NULL;
	}
}

#define BEFORE_MAIL (AT(CONNECT) | AT(HELO) | AT(AUTH))

static struct policy_case *
case_of_session(struct hearing *h)
{
	struct policy_case *c = arena_alloc(h->a, sizeof *c);

	c->a = h->a;
	c->facts = &h->facts;
	c->edits = arena_alloc(h->a, sizeof *c->edits);
	return c;
}

struct hearing *
judge_open(const struct judge *j, struct arena *a, const struct client *client)
{
	struct hearing *h = arena_alloc(a, sizeof *h);

	h->judge = j;
	h->a = a;
	h->client = client;
	h->mail.client = client;
	h->mail.facts = &h->facts;
	h->facts.a = a;
	h->facts.ask = judge_ask;
	h->facts.ctx = h;
	open_seats(h);
	if (((j->checked | j->advises) & BEFORE_MAIL) && j->policy != NULL)
		h->checks = case_of_session(h);
	if (j->tells != 0)
		h->advice = arena_array(a, j->n_milters, sizeof *h->advice);
	return h;
}

void
judge_explains(struct hearing *h, bool all, void (*look)(void *arg, const struct look *), void *arg)
{
	if (h->judge->policy == NULL)
		return;
	if (h->checks == NULL)
		h->checks = case_of_session(h);
	h->checks->mode = all ? POLICY_EXPLAIN : POLICY_TEST;
	h->checks->look = look;
	h->checks->look_arg = arg;
}

void
judge_close(struct hearing *h)
{
	if (h == NULL)
		return;
	judge_end(h);
	lookup_end(h, true);
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].filter != NULL && h->seat[i].filter->close != NULL)
			h->seat[i].filter->close(h->seat[i].self);
}

void
judge_forget(struct hearing *h)
{
	facts_forget(&h->facts, STAGE_CONNECT);
}

/* ---- a transaction --------------------------------------------------------------------------- */

static void
begin_checks(struct hearing *h, struct transaction *tx)
{
	struct policy_case *c;

	/* Where nothing can be noted nothing is kept. */
	if (h->judge->checked == 0 && h->judge->advises == 0 &&
	    (h->judge->policy == NULL || policy_seals(h->judge->policy) == 0))
		return;
	c = tx->checks = arena_alloc(tx->a, sizeof *c);
	c->a = tx->a;
	c->facts = &tx->facts;
	c->env = &tx->env;
	c->edits = &tx->edits;
	c->no_gate = h->judge->no_gate;
	if (h->checks == NULL)
		return;
	c->mode = h->checks->mode;
	c->look = h->checks->look;
	c->look_arg = h->checks->look_arg;
	policy_begin(h->judge->policy, h->checks, c);
}

struct transaction *
judge_begin(struct hearing *h, struct arena *a)
{
	struct transaction *tx = arena_alloc(a, sizeof *tx);

	assert(h->tx == NULL);
	tx->a = a;
	tx->mail = (struct mail){ .client = h->client,
		.env = &tx->env,
		.msg = &tx->msg,
		.facts = &tx->facts,
		.id = tx->id,
		.session = h->mail.session };
	tx->facts = (struct facts){ .outer = &h->facts, .a = a, .ask = judge_ask, .ctx = h };
	tx->verdict = h->held;
	h->tx = tx;
	begin_checks(h, tx);
	if (h->advice != NULL)
		tx->advice = advice_of_session(h, a);
	h->deaf = 0;
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].filter != NULL && h->seat[i].filter->begin != NULL)
			h->seat[i].filter->begin(h->seat[i].self, a);
	return tx;
}

void
judge_end(struct hearing *h)
{
	if (h->tx == NULL)
		return;
	lookup_end(h, false);
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].filter != NULL && h->seat[i].filter->end != NULL)
			h->seat[i].filter->end(h->seat[i].self);
	h->tx = NULL;
}
