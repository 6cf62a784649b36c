/*
 * judge -- one stage after the other: hears the filters, then asks the policy.
 *
 * Decides nothing itself and knows no SMTP.
 *
 * Invariant: of verdicts that are held the first stays; only HELO again takes back what HELO brought.
 */
#include "proxy/judge_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

/* ---- filters --------------------------------------------------------------------------------- */

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

MAY_YIELD static enum wait_rc
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

/* ---- the policy ------------------------------------------------------------------------------ */

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

MAY_YIELD static enum wait_rc
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

/* ---- a stage --------------------------------------------------------------------------------- */

/* One stage in its order: who looks, who decides, who advises, who decides upon that. */
MAY_YIELD static enum wait_rc
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
	if (at == STAGE_DATA && h->tx != NULL)
		edits_settle(&h->tx->edits, &h->tx->env);
	if (!judge_settled(h))
		lookup_start(h, at, 0);
	rc = decide(h, at, 0, out);
	if (rc == WAIT_OK && is_held(h, at, out))
		hold(h, at, out);
	return rc;
}

/* ---- a recipient ----------------------------------------------------------------------------- */

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

/* ---- the message ----------------------------------------------------------------------------- */

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
MAY_YIELD static enum wait_rc
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

MAY_YIELD static enum wait_rc
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

MAY_YIELD static enum wait_rc
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
	/* A mail server that calls us as its milter may not tell of DATA. */
	edits_settle(&h->tx->edits, &h->tx->env);
	if (f != NULL && (before == 0 || before > until))
		f->deadline = until;
	rc = hear_message(h, out);
	if (f != NULL)
		f->deadline = before;
	return rc;
}
