/*
 * rcpt -- RCPT: parsed, judged, passed on.  RFC 5321 4.1.1.3.
 */
#include "proxy/smtp/route.h"
#include "proxy/smtp/sessionlog.h"

/* RFC 5321 4.5.3.1.10: 452, and the client comes again with the rest. */
static bool
too_many(struct session *s)
{
	if (session_tx(s)->env.n_rcpt < s->smtp->conf->limits.recipients)
		return false;
	say(s, 452, "4.5.3", SV("too many recipients"));
	return true;
}

static struct rcpt *
parse_it(struct session *s, struct strv rest)
{
	struct transaction *tx = session_tx(s);
	struct fault        f = { 0 };
	struct rcpt         got = { 0 }, *r;

	if (!parse_rcpt(tx->a, rest, s->offered.caps, tx->env.params.smtputf8, &got.to, &got.params,
		&got.n_params, &f)) {
		say_error(s, f.code, f.enh, strv_z(f.text));
		return NULL;
	}
	r = envelope_add(tx->a, &tx->env);
	*r = got;
	return r;
}

/* RFC 5321 4.1.1.3; `discard` for one recipient: the hop never hears of it. */
MAY_YIELD static void
answer(struct session *s, unsigned i, const struct verdict *v)
{
	struct rcpt *r = &session_tx(s)->env.rcpt[i];

	r->said = *v;
	if (!verdict_final(v)) {
		if (route_rcpt(s, i))
			relay_rcpt(s, i);
	} else if (v->kind == VERDICT_DISCARD) {
		r->dropped = true;
		say(s, 250, "2.1.5", SV("Ok"));
	} else {
		say_verdict(s, v, STAGE_RCPT, &r->to);
	}
}

void
rcpt_run(struct session *s, struct strv rest)
{
	struct verdict v = { 0 };
	unsigned       i = session_tx(s)->env.n_rcpt;

	if (too_many(s) || parse_it(s, rest) == NULL)
		return;
	if (judge_rcpt(s->hearing, i, &v) == WAIT_OK) {
		session_log_checks(s);
		answer(s, i, &v);
	}
	if (arena_spent(session_tx(s)->a)) {
		relay_settle(s);
		tx_end(s);
		say(s, 421, "4.3.1", SV("transaction used up its memory"));
		session_end(s, "memory");
	}
}
