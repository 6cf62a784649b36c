/*
 * judge -- hears the filters, then asks the policy.  Decides nothing itself and knows no SMTP.
 *
 * Invariant: every seat that was opened is closed, every begin has its end.
 */
#include "proxy/judge.h"

#include <assert.h>

#include "filters/registry.h"
#include "policy/policy.h"
#include "proxy/base/arena.h"

struct judge {
	void                 **shared; /* of each filter: what its make() gave */
	const struct policy   *policy;
	const struct fact_def *facts;
	unsigned               n_facts, n_filters;
	unsigned               stages; /* at which any filter has an at() */
	bool                   wants_body;
};

struct seat {
	const struct filter *filter;
	void                *self;
	bool                 present; /* open() did not sit this session out */
};

static unsigned
filters_of_build(void)
{
	unsigned n = 0;

	while (registry_filters[n] != NULL)
		n++;
	return n;
}

struct judge *
judge_new(struct arena *a, const struct policy *p)
{
	struct judge *j = arena_alloc(a, sizeof *j);

	j->policy = p;
	j->facts = registry_facts(&j->n_facts);
	j->shared = arena_array(a, filters_of_build(), sizeof(void *));
	for (unsigned i = 0; registry_filters[i] != NULL; i++) {
		const struct filter *f = registry_filters[i];

		j->shared[j->n_filters++] = f->make != NULL ? f->make(a) : NULL;
		j->stages |= f->at != NULL ? f->stages : 0;
		j->wants_body = j->wants_body || (f->does & DOES_BODY);
	}
	return j;
}

bool
judge_edits(const struct judge *j)
{
	return j->policy != NULL && policy_edits(j->policy);
}

bool
judge_routes(const struct judge *j)
{
	return j->policy != NULL && policy_routes(j->policy);
}

enum wait_rc
judge_route(struct hearing *h, unsigned i, struct strv *pool, struct strv *class, bool *unknown)
{
	struct transaction *tx = h->tx;

	*pool = *class = strv(NULL, 0);
	*unknown = false;
	if (!judge_routes(h->judge))
		return WAIT_OK;
	return policy_route(h->judge->policy, i, &tx->facts, tx->a, pool, class, unknown);
}

bool
judge_wants_body(const struct judge *j)
{
	return j->wants_body;
}

static enum fact_state
state_of(enum filter_rc rc)
{
	return rc == FILTER_OK ? FACT_KNOWN : FACT_UNKNOWN;
}

/* The one inversion: a fact that nobody asked for yet is asked of the filter that owns it. */
static enum wait_rc
judge_ask(void *ctx, struct fact *f)
{
	struct hearing *h = ctx;
	unsigned        owner = registry_owner(f->number);
	struct seat    *seat = &h->seat[owner];
	enum filter_rc  rc = FILTER_BUG;

	f->state = FACT_RUNNING;
	if (seat->present && seat->filter->ask != NULL)
		rc = seat->filter->ask(seat->self, f, h->tx != NULL ? &h->tx->mail : &h->mail);
	f->state = state_of(rc);
	return rc == FILTER_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

static void
open_seats(struct hearing *h)
{
	h->seat = arena_array(h->a, h->judge->n_filters, sizeof *h->seat);
	for (unsigned i = 0; i < h->judge->n_filters; i++) {
		struct seat *s = &h->seat[i];

		s->filter = registry_filters[i];
		s->self = s->filter->open != NULL ?
		    s->filter->open(h->a, h->judge->shared[i], h->client) :
		    NULL;
		s->present = s->filter->open == NULL || s->self != NULL;
	}
}

struct hearing *
judge_open(const struct judge *j, struct arena *a, const struct client *client)
{
	struct hearing *h = arena_alloc(a, sizeof *h);

	h->judge = j;
	h->a = a;
	h->client = client;
	h->mail.client = client;
	h->facts.a = a;
	h->facts.ask = judge_ask;
	h->facts.ctx = h;
	open_seats(h);
	return h;
}

void
judge_close(struct hearing *h)
{
	if (h == NULL)
		return;
	judge_end(h);
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].present && h->seat[i].filter->close != NULL)
			h->seat[i].filter->close(h->seat[i].self);
}

void
judge_forget(struct hearing *h)
{
	h->facts.n = 0;
	h->held = (struct verdict){ 0 };
}

/* --- a stage ---------------------------------------------------------------------------------- */

static enum wait_rc
hear_filter(struct hearing *h, struct seat *s, enum stage at)
{
	struct mail    *mail = h->tx != NULL ? &h->tx->mail : &h->mail;
	struct facts   *facts = h->tx != NULL ? &h->tx->facts : &h->facts;
	struct edits   *edits = h->tx != NULL ? &h->tx->edits : NULL;
	struct view     view = { mail->msg, edits, edits != NULL ? edits->n : 0 };
	struct findings found = { .facts = facts, .edits = edits };
	unsigned        mark = view.upto;
	enum filter_rc  rc = s->filter->at(s->self, at, mail, &view, &found);

	/* Half-made edits are cut off. */
	if (rc != FILTER_OK && edits != NULL)
		edits_rewind(edits, mark);
	return rc == FILTER_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

static enum wait_rc
hear_filters(struct hearing *h, enum stage at)
{
	enum wait_rc rc = WAIT_OK;

	if (!(h->judge->stages & 1u << at))
		return WAIT_OK;
	for (unsigned i = 0; i < h->judge->n_filters && rc == WAIT_OK; i++) {
		struct seat *s = &h->seat[i];

		if (s->present && s->filter->at != NULL && (s->filter->stages & 1u << at))
			rc = hear_filter(h, s, at);
	}
	return rc;
}

static enum wait_rc
ask_policy(struct hearing *h, enum stage at, unsigned rcpt, struct verdict *out)
{
	struct policy_case c = {
		.a = h->tx != NULL ? h->tx->a : h->a,
		.facts = h->tx != NULL ? &h->tx->facts : &h->facts,
	};

	if (h->judge->policy == NULL)
		return WAIT_OK;
	return policy_eval(h->judge->policy, at, rcpt, &c, out);
}

/* `reject-at rcpt`: what is decided before RCPT is spoken there, so that the log has the envelope. */
static bool
is_held(const struct hearing *h, enum stage at, const struct verdict *v)
{
	return at < STAGE_RCPT && at != STAGE_AUTH && verdict_final(v) &&
	    v->kind != VERDICT_DISCONNECT && h->judge->policy != NULL &&
	    !policy_reject_at_stage(h->judge->policy);
}

static void
hold(struct hearing *h, struct verdict *v)
{
	struct verdict *slot = h->tx != NULL ? &h->tx->verdict : &h->held;

	if (!verdict_final(slot))
		*slot = *v;
	*v = (struct verdict){ 0 };
}

enum wait_rc
judge_stage(struct hearing *h, enum stage at, struct verdict *out)
{
	enum wait_rc rc = hear_filters(h, at);

	if (rc == WAIT_OK)
		rc = ask_policy(h, at, 0, out);
	if (rc == WAIT_OK && is_held(h, at, out))
		hold(h, out);
	return rc;
}

struct transaction *
judge_begin(struct hearing *h, struct arena *a)
{
	struct transaction *tx = arena_alloc(a, sizeof *tx);

	assert(h->tx == NULL);
	tx->a = a;
	tx->mail = (struct mail){ h->client, &tx->env, &tx->msg };
	tx->facts = (struct facts){ .outer = &h->facts, .a = a, .ask = judge_ask, .ctx = h };
	tx->verdict = h->held;
	h->tx = tx;
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].present && h->seat[i].filter->begin != NULL)
			h->seat[i].filter->begin(h->seat[i].self, a);
	return tx;
}

enum wait_rc
judge_rcpt(struct hearing *h, unsigned i, struct verdict *out)
{
	enum wait_rc rc;

	if (verdict_final(&h->tx->verdict)) {
		*out = h->tx->verdict;
		return WAIT_OK;
	}
	rc = hear_filters(h, STAGE_RCPT);
	return rc == WAIT_OK ? ask_policy(h, STAGE_RCPT, i, out) : rc;
}

enum wait_rc
judge_body(struct hearing *h, struct strv text)
{
	for (unsigned i = 0; i < h->judge->n_filters; i++) {
		struct seat *s = &h->seat[i];

		if (s->present && s->filter->body != NULL &&
		    s->filter->body(s->self, text) == FILTER_CANCELLED)
			return WAIT_CANCELLED;
	}
	return WAIT_OK;
}

enum wait_rc
judge_headers(struct hearing *h)
{
	return hear_filters(h, STAGE_HEADERS);
}

enum wait_rc
judge_message(struct hearing *h, struct verdict *out)
{
	enum wait_rc rc = hear_filters(h, STAGE_MESSAGE);

	if (rc == WAIT_OK)
		rc = ask_policy(h, STAGE_MESSAGE, 0, out);
	if (rc == WAIT_OK && !verdict_final(out))
		rc = hear_filters(h, STAGE_SEAL);
	return rc;
}

void
judge_end(struct hearing *h)
{
	if (h->tx == NULL)
		return;
	for (unsigned i = 0; i < h->judge->n_filters; i++)
		if (h->seat[i].present && h->seat[i].filter->end != NULL)
			h->seat[i].filter->end(h->seat[i].self);
	h->tx = NULL;
}
