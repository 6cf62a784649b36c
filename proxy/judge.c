/*
 * judge -- hears the filters, then asks the policy.  Decides nothing itself and knows no SMTP.
 *
 * Invariant: every seat that was opened is closed, every begin has its end.
 */
#include "proxy/judge_own.h"

#include <assert.h>

#include "filters/milter_conf.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

/* Who advises may edit, too. */
#define DOES_EDIT (DOES_HEADER_EDIT | DOES_BODY_EDIT | DOES_ENVELOPE_EDIT | DOES_SEAL | DOES_ADVISE)

static unsigned
filters_of_build(void)
{
	unsigned n = 0;

	while (registry_filters[n] != NULL)
		n++;
	return n;
}

/* What the policy has to say, by stage, so that a stage without checks costs nothing. */
static void
ask_stages(struct judge *j)
{
	unsigned first;

	for (unsigned at = 0; at < STAGE_MAX; at++) {
		if (policy_has(j->policy, (enum stage)at))
			j->checked |= 1u << at;
		if (policy_wants(j->policy, (enum stage)at, &first) > 0)
			j->wanted |= 1u << at;
		if (policy_has_advised(j->policy, (enum stage)at))
			j->asked_of |= 1u << at;
	}
	j->edits = j->edits || policy_edits(j->policy);
}

/* By number: may the policy ask for that fact? */
static const bool *
what_is_asked(const struct judge *j, struct arena *a)
{
	bool *asked = arena_array(a, j->n_facts, sizeof(*asked));

	for (unsigned i = 0; i < j->n_facts && j->policy != NULL; i++)
		asked[i] = policy_asks(j->policy, i);
	return asked;
}

/* What a filter that takes part means for all sessions. */
static void
note_filter(struct judge *j, const struct filter *f)
{
	if (f->at != NULL && (f->does & DOES_ADVISE))
		j->tells |= f->stages;
	else if (f->at != NULL)
		j->stages |= f->stages;
	j->wants_body = j->wants_body || (f->does & DOES_BODY);
	j->edits = j->edits || (f->does & DOES_EDIT);
}

/* A filter that has nothing to do in this configuration has no seat, and costs nothing. */
static void
seat_filters(struct judge *j, struct arena *a, const struct filter_use *use)
{
	unsigned n = filters_of_build();

	j->filter = arena_array(a, n, sizeof(*j->filter));
	j->shared = arena_array(a, n, sizeof(*j->shared));
	j->seat_of = arena_array(a, n, sizeof(*j->seat_of));
	for (unsigned i = 0; i < n; i++) {
		const struct filter *f = registry_filters[i];
		void                *shared = f->make != NULL ? f->make(a, use) : NULL;

		j->seat_of[i] = NO_SEAT;
		if (f->make != NULL && shared == NULL)
			continue;
		assert(j->n_filters < 32);
		j->seat_of[i] = (uint8_t)j->n_filters;
		j->filter[j->n_filters] = f;
		j->shared[j->n_filters++] = shared;
		note_filter(j, f);
	}
}

struct judge *
judge_new(struct arena *a, const struct judge_conf *c)
{
	static const struct milters_conf none = { .n = 0 };
	struct judge                    *j = arena_alloc(a, sizeof *j);
	struct filter_use                use = { .auth = c->auth,
			       .milters = c->milters != NULL ? c->milters : &none };

	j->policy = c->policy;
	j->decide_within = c->decide_within > 0 ? c->decide_within : DECIDE_WITHIN;
	j->no_gate = c->no_gate;
	j->facts = registry_facts(&j->n_facts);
	use.asked = what_is_asked(j, a);
	seat_filters(j, a, &use);
	if (j->policy != NULL)
		ask_stages(j);
	j->n_milters = use.milters->n;
	j->advises = j->tells | j->asked_of;
	return j;
}

bool
judge_edits(const struct judge *j)
{
	return j->edits;
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

/* --- a stage ---------------------------------------------------------------------------------- */

/* Behind a verdict nothing is sure to be wanted. */
static void
start_fact(const struct findings *found, unsigned number, struct strv arg)
{
	struct hearing *h = found->ctx;

	if (!judge_settled(h))
		lookup_fact(h, number, arg);
}

enum wait_rc
judge_hear(struct hearing *h, struct seat *s, enum stage at, struct advice *advice)
{
	struct mail    *mail = h->tx != NULL ? &h->tx->mail : &h->mail;
	struct facts   *facts = h->tx != NULL ? &h->tx->facts : &h->facts;
	struct edits   *edits = h->tx != NULL ? &h->tx->edits : NULL;
	struct view     view = { mail->msg, edits, edits != NULL ? edits->n : 0 };
	struct findings found = { .facts = facts,
		.edits = edits,
		.advice = advice,
		.hears = advice_hears,
		.settles = advice_settles,
		.holds = h->holds,
		.start = start_fact,
		.ctx = h };
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

		if (seat_hears(s, at) && !(s->filter->does & DOES_ADVISE))
			rc = judge_hear(h, s, at, NULL);
	}
	return rc;
}

/* ---- the policy ---- */

/* Effects that delay; a client that has gone ends it.  The turn's own time is up: so is the delay. */
enum wait_rc
judge_wait_out(struct policy_case *c)
{
	uint32_t ms = c->delay;

	c->delay = 0;
	if (ms == 0 || c->mode != POLICY_LIVE || fiber_self() == NULL)
		return WAIT_OK;
	return fiber_sleep(ms) == WAIT_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

static enum wait_rc
ask_policy(struct hearing *h, enum stage at, unsigned rcpt, struct verdict *out)
{
	struct transaction   *tx = h->tx;
	const struct verdict *held = tx != NULL ? &tx->verdict : &h->held;
	struct policy_case    plain, *c = tx != NULL ? tx->checks : h->checks;
	enum wait_rc          rc;

	if (h->judge->policy == NULL || !((h->judge->checked | AT(RCPT)) & 1u << at))
		return WAIT_OK;
	if (c == NULL) {
		plain = (struct policy_case){ .a = tx->a,
			.facts = &tx->facts,
			.env = &tx->env,
			.no_gate = h->judge->no_gate };
		c = &plain;
	}
	c->settled = verdict_final(held);
	rc = policy_eval(h->judge->policy, at, rcpt, c, out);
	if (rc == WAIT_OK)
		rc = judge_wait_out(c);
	if (rc != WAIT_OK)
		*out = (struct verdict){ 0 };
	return rc;
}

const struct note *
judge_notes(struct hearing *h)
{
	struct policy_case *c = h->tx != NULL ? h->tx->checks : h->checks;
	const struct note  *first = c != NULL ? c->notes.first : NULL;

	if (c != NULL)
		c->notes.first = c->notes.last = NULL;
	return first;
}

/* One stage in its order: who looks, who decides, who advises, who decides upon that. */
static enum wait_rc
decide(struct hearing *h, enum stage at, unsigned rcpt, struct verdict *out)
{
	enum wait_rc rc = hear_filters(h, at);

	if (rc == WAIT_OK)
		rc = ask_policy(h, at, rcpt, out);
	if (rc == WAIT_OK && (h->judge->advises & 1u << at))
		rc = advice_stage(h, at, rcpt, out);
	return rc;
}

/*
 * `reject-at rcpt`: what is decided before RCPT is spoken there, so that the log has the envelope.  A sender
 * whose mail is dropped whole hears 250 of each recipient, whatever was configured.
 */
static bool
is_held(const struct hearing *h, enum stage at, const struct verdict *v)
{
	if (at >= STAGE_RCPT || at == STAGE_AUTH || !verdict_final(v))
		return false;
	return v->kind == VERDICT_DISCARD ||
	    (v->kind != VERDICT_DISCONNECT && !policy_reject_at_stage(h->judge->policy));
}

static void
hold(struct hearing *h, enum stage at, struct verdict *v)
{
	struct verdict *slot = h->tx != NULL ? &h->tx->verdict : &h->held;

	if (!verdict_final(slot)) {
		*slot = *v;
		h->held_at = h->tx != NULL ? h->held_at : at;
	}
	*v = (struct verdict){ 0 };
}

/* RFC 5321 4.1.4: a HELO takes the place of the one before.  What was decided at connect stays. */
static void
helo_again(struct hearing *h)
{
	if (verdict_final(&h->held) && h->held_at >= STAGE_HELO)
		h->held = (struct verdict){ 0 };
	if (h->checks != NULL)
		policy_again(h->judge->policy, STAGE_HELO, h->checks);
}

enum wait_rc
judge_stage(struct hearing *h, enum stage at, struct verdict *out)
{
	enum wait_rc rc;

	*out = (struct verdict){ 0 };
	if (at == STAGE_HELO)
		helo_again(h);
	if (!judge_settled(h))
		lookup_start(h, at, 0);
	rc = decide(h, at, 0, out);
	if (rc == WAIT_OK && is_held(h, at, out))
		hold(h, at, out);
	return rc;
}

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

enum wait_rc
judge_rcpt(struct hearing *h, unsigned i, struct verdict *out)
{
	struct verdict also;
	enum wait_rc   rc = WAIT_OK;

	*out = (struct verdict){ 0 };
	h->tx->mail.rcpt = i;
	if (judge_settled(h)) {
		rc = ask_policy(h, STAGE_RCPT, i, &also);
		if (rc == WAIT_OK)
			*out = h->tx->verdict;
		return rc;
	}
	lookup_start(h, STAGE_RCPT, i);
	return decide(h, STAGE_RCPT, i, out);
}

enum wait_rc
judge_gate(struct hearing *h, unsigned i, struct verdict *out)
{
	*out = (struct verdict){ 0 };
	if (h->judge->policy == NULL || h->judge->no_gate)
		return WAIT_OK;
	return policy_gate(h->judge->policy, i, &h->tx->facts, out);
}

/* A filter that fails here hears no more of this text; what that means for its facts it knows itself. */
enum wait_rc
judge_body(struct hearing *h, struct strv text)
{
	for (unsigned i = 0; i < h->judge->n_filters; i++) {
		struct seat   *s = &h->seat[i];
		enum filter_rc rc;

		if (s->filter == NULL || (h->deaf & 1u << i) || s->filter->body == NULL)
			continue;
		rc = s->filter->body(s->self, text);
		if (rc == FILTER_CANCELLED)
			return WAIT_CANCELLED;
		if (rc != FILTER_OK)
			h->deaf |= 1u << i;
	}
	return WAIT_OK;
}

enum wait_rc
judge_headers(struct hearing *h)
{
	return hear_filters(h, STAGE_HEADERS);
}

/* Which `sign' and `seal' are meant: asked behind all checks, and once. */
static enum wait_rc
ask_seals(struct hearing *h)
{
	struct transaction *tx = h->tx;
	unsigned            n = h->judge->policy != NULL ? policy_seals(h->judge->policy) : 0;
	bool               *holds = arena_array(tx->a, n + 1, sizeof(*holds)), unknown;
	struct policy_case  plain = { .a = tx->a, .facts = &tx->facts, .env = &tx->env };
	enum wait_rc        rc = WAIT_OK;

	for (unsigned i = 0; i < n && rc == WAIT_OK; i++)
		rc = policy_seal(h->judge->policy, i, tx->checks != NULL ? tx->checks : &plain,
		    &holds[i], &unknown);
	h->holds = holds;
	return rc;
}

static enum wait_rc
seal(struct hearing *h)
{
	enum wait_rc rc;

	if (!(h->judge->stages & AT(SEAL)))
		return WAIT_OK;
	rc = ask_seals(h);
	if (rc == WAIT_OK)
		rc = hear_filters(h, STAGE_SEAL);
	h->holds = NULL;
	return rc;
}

static enum wait_rc
hear_message(struct hearing *h, struct verdict *out)
{
	enum wait_rc rc;

	if (!judge_settled(h))
		lookup_start(h, STAGE_MESSAGE, 0);
	rc = decide(h, STAGE_MESSAGE, 0, out);
	/* What is kept may be released, and leaves us then as it is. */
	if (rc == WAIT_OK && (!verdict_final(out) || out->kind == VERDICT_QUARANTINE))
		rc = seal(h);
	return rc;
}

/* The client waits (RFC 5321 6.1): what is not known when the time is up is unknown. */
enum wait_rc
judge_message(struct hearing *h, struct verdict *out)
{
	struct fiber *f = fiber_self();
	uint64_t      before = f != NULL ? f->deadline : 0;
	uint64_t      until = f != NULL ? loop_now(fiber_loop()) + h->judge->decide_within : 0;
	enum wait_rc  rc;

	*out = (struct verdict){ 0 };
	if (f != NULL && (before == 0 || before > until))
		f->deadline = until;
	rc = hear_message(h, out);
	if (f != NULL)
		f->deadline = before;
	return rc;
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
