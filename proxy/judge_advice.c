/*
 * judge_advice -- filters that advise: told behind the checks of a stage, and the policy asked what it makes of it.
 *
 * Invariants: who advises hears of nothing that is settled, but for a recipient that has just been refused;
 * a stage at which nobody advises costs one test of a bit (judge.advises).
 */
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/judge_own.h"

/*
 * Before the end of a message a client waits at least two minutes for an answer (RFC 5321 4.5.3.2.4, DATA); a chain of
 * milters, each within its own time, must not take longer than that.
 */
#define STAGE_MS 90000

/* ---- telling ---- */

static struct policy_case *
case_of(const struct hearing *h)
{
	return h->tx != NULL ? h->tx->checks : h->checks;
}

enum hears
advice_hears(const struct findings *f, unsigned i)
{
	struct hearing *h = f->ctx;

	if (h->judge->policy == NULL)
		return HEARS_YES;
	return policy_hears(h->judge->policy, i, h->advises_at, case_of(h));
}

bool
advice_settles(const struct findings *f, unsigned i)
{
	struct hearing *h = f->ctx;
	unsigned        rcpt = h->tx != NULL ? h->tx->mail.rcpt : 0;
	struct verdict  v;

	if (h->judge->policy == NULL)
		return false;
	v = policy_obeyed(h->judge->policy, i, h->advises_at, rcpt, case_of(h), &f->advice[i]);
	if (h->advises_at == STAGE_RCPT && (v.kind == VERDICT_REJECT || v.kind == VERDICT_TEMPFAIL))
		h->tx->env.rcpt[rcpt].said = v;
	return verdict_final(&v);
}

struct advice *
advice_of_session(const struct hearing *h, struct arena *tx)
{
	unsigned       n = h->judge->n_milters;
	struct advice *own = arena_array(tx, n, sizeof(*own));

	for (unsigned i = 0; i < n; i++)
		own[i] = h->advice[i];
	return own;
}

/* What is not said when the time is up is a milter that could not be heard. */
MAY_YIELD static enum wait_rc
tell(struct hearing *h, enum stage at, struct advice *advice)
{
	struct fiber *f = fiber_self();
	uint64_t      before = f != NULL ? f->deadline : 0;
	uint64_t      ms = h->judge->decide_within;
	uint64_t      until;
	enum wait_rc  rc = WAIT_OK;

	if (f != NULL && at != STAGE_MESSAGE) {
		until = loop_now(fiber_loop()) + (ms < STAGE_MS ? ms : STAGE_MS);
		f->deadline = before == 0 || before > until ? until : before;
	}
	h->advises_at = at;
	for (unsigned i = 0; i < h->judge->n_filters && rc == WAIT_OK; i++)
		if (seat_hears(&h->seat[i], at) && (h->seat[i].filter->does & DOES_ADVISE))
			rc = judge_hear(h, &h->seat[i], at, advice);
	if (f != NULL)
		f->deadline = before;
	return rc;
}

/* ---- asking the policy ---- */

/*
 * Who looks into the quarantine reads the name of the check; what made it fire is in the words of the milter that it
 * asked.  One line: the field and the log have no more.
 */
static void
give_reason(const struct hearing *h, const struct advice *advice, struct verdict *v)
{
	const struct policy *p = h->judge->policy;
	struct arena        *a = h->tx != NULL ? h->tx->a : h->a;

	if (v->kind != VERDICT_QUARANTINE || v->text.n > 0 || advice == NULL)
		return;
	for (unsigned i = 0; i < h->judge->n_milters; i++) {
		struct strv text = advice[i].say.text, name = policy_milter(p, i)->name;
		char       *z;

		if (text.n == 0 || !policy_asks_milter(p, v->by, i))
			continue;
		v->text = arena_printf(a, "%.*s: %.*s", (int)name.n, name.p, (int)text.n, text.p);
		while ((z = memchr(v->text.p, '\n', v->text.n)) != NULL)
			*z = ' ';
		return;
	}
}

MAY_YIELD static enum wait_rc
ask(struct hearing *h, enum stage at, unsigned rcpt, bool settled, struct verdict *out)
{
	const struct policy *p = h->judge->policy;
	const struct advice *advice = h->tx != NULL ? h->tx->advice : h->advice;
	struct policy_case  *c = case_of(h);
	enum wait_rc         rc;

	if (p == NULL || !stage_in_policy(at))
		return WAIT_OK;
	c->settled = settled;
	rc = policy_advised(p, at, rcpt, c, advice, advice != NULL ? h->judge->n_milters : 0, out);
	if (rc == WAIT_OK)
		give_reason(h, advice, out);
	return rc == WAIT_OK ? judge_wait_out(c) : rc;
}

/* Is it a milter's own discard, obeyed?  Names of checks and milters are of one kind, and no two are the same. */
static bool
is_milters_discard(const struct hearing *h, const struct verdict *v)
{
	const struct advice *advice = h->tx->advice;

	for (unsigned i = 0;
	     v->kind == VERDICT_DISCARD && advice != NULL && i < h->judge->n_milters; i++)
		if (advice[i].say.kind == VERDICT_DISCARD &&
		    strv_eq(policy_milter(h->judge->policy, i)->name, v->by))
			return true;
	return false;
}

/* Did the checks refuse this recipient?  Then milters that want to know are told (SMFIP_RCPT_REJ). */
static bool
is_refused(const struct hearing *h, enum stage at, const struct verdict *v)
{
	return at == STAGE_RCPT && !judge_settled(h) &&
	    (v->kind == VERDICT_REJECT || v->kind == VERDICT_TEMPFAIL);
}

enum wait_rc
advice_stage(struct hearing *h, enum stage at, unsigned rcpt, struct verdict *out)
{
	bool           settled = judge_settled(h) || verdict_final(out);
	bool           refused = is_refused(h, at, out);
	struct verdict v = { 0 };
	enum wait_rc   rc = WAIT_OK;

	if (refused)
		h->tx->env.rcpt[rcpt].said = *out;
	if ((h->judge->tells & 1u << at) && (!settled || refused))
		rc = tell(h, at, h->tx != NULL ? h->tx->advice : h->advice);
	/* Behind a verdict only checks have something to note. */
	if (rc == WAIT_OK && (!settled || (h->judge->asked_of & 1u << at)))
		rc = ask(h, at, rcpt, settled, &v);
	if (rc != WAIT_OK)
		*out = (struct verdict){ 0 };
	else if (!settled)
		*out = v;
	/* libmilter, SMFIS_DISCARD: also of a recipient it is the whole message that goes. */
	if (at == STAGE_RCPT && !settled && is_milters_discard(h, out))
		h->tx->verdict = *out;
	return rc;
}

/* ---- commands that are not known ---- */

bool
judge_hears_unknown(const struct judge *j)
{
	return j->tells & AT(UNKNOWN);
}

/* The first refusal that is new; of those that only warn none. */
static void
find_refusal(const struct hearing *h, const struct advice *was, const struct advice *now,
    struct verdict *out)
{
	const struct policy *p = h->judge->policy;

	for (unsigned i = 0; i < h->judge->n_milters; i++) {
		const struct policy_milter *m = p != NULL ? policy_milter(p, i) : NULL;

		if (verdict_final(&was[i].say) || verdict_code(&now[i].say) < 400 ||
		    (m != NULL && m->warn))
			continue;
		*out = now[i].say;
		out->by = m != NULL ? m->name : out->by;
		return;
	}
}

/* What is said of it is said of this command alone: the advice of session and transaction stays as it is. */
enum wait_rc
judge_unknown(struct hearing *h, struct strv line, struct verdict *out)
{
	struct mail   *mail = h->tx != NULL ? &h->tx->mail : &h->mail;
	struct arena  *a = h->tx != NULL ? h->tx->a : h->a;
	struct advice *own = h->tx != NULL ? h->tx->advice : h->advice, *now;
	enum wait_rc   rc;

	*out = (struct verdict){ 0 };
	if (!judge_hears_unknown(h->judge) || judge_settled(h))
		return WAIT_OK;
	now = arena_array(a, h->judge->n_milters, sizeof(*now));
	for (unsigned i = 0; i < h->judge->n_milters; i++)
		now[i] = own[i];
	mail->line = line;
	rc = tell(h, STAGE_UNKNOWN, now);
	mail->line = strv(NULL, 0);
	if (rc == WAIT_OK)
		find_refusal(h, own, now, out);
	return rc;
}
