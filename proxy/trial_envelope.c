/*
 * trial_envelope -- sender and recipients of a made-up session: as proxy/smtp judges them in mail.c, rcpt.c and route.c.
 *
 * The order is theirs: syntax and limits, what was held, the gate and the checks, and then whether a recipient goes
 * where those before it go.
 */
#include "proxy/trial_session_own.h"

#include "proxy/base/arena.h"
#include "proxy/smtp/parse.h"

#define TX_ARENA 8192
#define TX_QUOTA (16 * 1024 * 1024)

/* A server that has all that we pass on. */
#define OFFERED \
	(EHLO_PIPELINING | EHLO_SIZE | EHLO_ENHANCED | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_DSN | \
	    EHLO_CHUNKING)

/* What stands behind MAIL FROM: or RCPT TO:.  A plain address gets its brackets, and says what it needs. */
static struct strv
as_path(struct arena *a, const char *prefix, struct strv v, bool mail)
{
	bool        utf8 = false;
	struct strv at = strv_z(prefix);

	for (size_t i = 0; i < v.n; i++)
		utf8 = utf8 || (unsigned char)v.p[i] > 127;
	if (v.n > 0 && v.p[0] == '<')
		return arena_concat(a, at, v);
	return arena_printf(
	    a, "%s<%.*s>%s", prefix, (int)v.n, v.p, utf8 && mail ? " SMTPUTF8" : "");
}

/* What stands in the way before the command is looked at (command.c). */
static bool
demanded(struct trial_session *s, struct trial_answer *out)
{
	if (s->listener->require_tls && !s->client.tls.on)
		trial_limit(
		    s, out, STAGE_MAIL, 530, "5.7.0", "must issue a STARTTLS command first");
	else if (s->listener->require_auth && s->client.auth_user.p == NULL)
		trial_limit(s, out, STAGE_MAIL, 530, "5.7.0", "authentication required");
	else if (s->n_tx >= trial_limits(s)->transactions)
		trial_limit(s, out, STAGE_MAIL, 421, "4.7.0", "too many messages in one session");
	else
		return false;
	return true;
}

static bool
mail_parsed(struct trial_session *s, struct strv from, struct trial_answer *out)
{
	struct transaction *tx = s->hearing->tx;
	struct fault        f = { 0 };
	uint32_t            offered = OFFERED | (s->client.auth_user.p != NULL ? EHLO_AUTH : 0u);
	uint64_t            max = trial_limits(s)->message_size;

	if (!parse_mail(tx->a, as_path(tx->a, "FROM:", from, true), offered, &tx->env.from,
		&tx->env.params, &f)) {
		trial_limit(s, out, STAGE_MAIL, f.code, f.enh, f.text);
		return false;
	}
	/* RFC 1870 6.1 */
	if (max == 0 || tx->env.params.size <= max)
		return true;
	trial_limit(s, out, STAGE_MAIL, 552, "5.3.4", "message size exceeds fixed limit");
	return false;
}

static void
begin_transaction(struct trial_session *s)
{
	struct transaction *tx;

	s->tx_a = arena_new(TX_ARENA, TX_QUOTA);
	tx = judge_begin(s->hearing, s->tx_a);
	memcpy(tx->id, "test.1", 7);
	s->n_tx++;
	s->routed = false;
	s->no_rcpt.code = 0;
	s->drop.kind = VERDICT_NONE;
}

void
trial_mail(struct trial_session *s, struct strv from, struct trial_answer *out)
{
	if (trial_not_let_in(s) && trial_stands(s, out))
		return;
	trial_end_transaction(s);
	s->refused.code = 0;
	if (demanded(s, out)) {
		(void)trial_refused(s, out);
		return;
	}
	begin_transaction(s);
	if (mail_parsed(s, from, out) && trial_stage(s, STAGE_MAIL, out) && out->code == 0)
		trial_say(s, out, STAGE_MAIL, 250, "2.1.0", SV("Ok"), strv(NULL, 0));
	if (out->dropped)
		s->drop = (struct verdict){ .kind = VERDICT_DISCARD, .by = out->by };
	if (trial_refused(s, out))
		trial_end_transaction(s);
}

/* proxy/smtp/route.c: who goes to another pool than the first, or is of another class, comes again. */
MAY_YIELD static bool
routed(struct trial_session *s, unsigned i, struct trial_answer *out)
{
	struct strv pool, class;
	bool        unknown = false, same;

	if (!judge_routes(s->t->judge))
		return true;
	if (judge_route(s->hearing, i, &pool, &class, &unknown) != WAIT_OK)
		return false;
	if (unknown) {
		trial_limit(s, out, STAGE_RCPT, 451, "4.4.3",
		    "where this recipient's mail goes is not known now, try again");
		return false;
	}
	same = strv_eq(pool, s->pool) && strv_eq(class, s->class);
	if (s->routed && !same && envelope_taken(&s->hearing->tx->env) > 0) {
		trial_limit(s, out, STAGE_RCPT, 452, "4.5.3",
		    "send this recipient in a transaction of its own");
		return false;
	}
	s->pool = pool;
	s->class = class;
	s->routed = true;
	return true;
}

MAY_YIELD static void
judged_rcpt(struct trial_session *s, unsigned i, struct trial_answer *out)
{
	struct transaction *tx = s->hearing->tx;
	struct verdict      v = { 0 };

	trial_budget(s);
	if (verdict_final(&s->drop)) {
		trial_say_verdict(s, out, STAGE_RCPT, &s->drop);
		tx->env.rcpt[i].dropped = true;
		return;
	}
	if (judge_rcpt(s->hearing, i, &v) != WAIT_OK)
		return;
	tx->env.rcpt[i].said = v;
	tx->env.rcpt[i].dropped = v.kind == VERDICT_DISCARD;
	if (verdict_final(&v)) {
		trial_say_verdict(s, out, STAGE_RCPT, &v);
	} else if (routed(s, i, out)) {
		tx->env.rcpt[i].upstream_took = true;
		trial_say(s, out, STAGE_RCPT, 250, "2.1.5", SV("Ok"), SV("upstream"));
	}
}

MAY_YIELD static void
hear_rcpt(struct trial_session *s, struct strv to, struct trial_answer *out)
{
	struct transaction *tx = s->hearing->tx;
	struct rcpt         got = { 0 };
	struct fault        f = { 0 };

	if (tx->env.n_rcpt >= trial_limits(s)->recipients) {
		trial_limit(s, out, STAGE_RCPT, 452, "4.5.3", "too many recipients");
		return;
	}
	if (!parse_rcpt(tx->a, as_path(tx->a, "TO:", to, false), OFFERED, true, &got.to,
		&got.params, &got.n_params, &f)) {
		trial_limit(s, out, STAGE_RCPT, f.code, f.enh, f.text);
		return;
	}
	*envelope_add(tx->a, &tx->env) = got;
	judged_rcpt(s, tx->env.n_rcpt - 1, out);
}

void
trial_rcpt(struct trial_session *s, struct strv to, struct trial_answer *out)
{
	*out = (struct trial_answer){ .at = STAGE_RCPT };
	if ((s->hearing->tx == NULL || s->over) && trial_stands(s, out))
		return;
	if (s->hearing->tx == NULL)
		trial_limit(s, out, STAGE_RCPT, 503, "5.5.1", "need MAIL command first");
	else
		hear_rcpt(s, to, out);
	if (out->code >= 400)
		s->no_rcpt = *out;
}

bool
trial_has_recipient(const struct trial_session *s)
{
	const struct transaction *tx = s->hearing->tx;

	return tx != NULL && envelope_taken(&tx->env) + envelope_dropped(&tx->env) > 0;
}

bool
trial_force(struct trial_session *s)
{
	struct transaction *tx = s->hearing->tx;

	for (unsigned i = 0; tx != NULL && i < tx->env.n_rcpt; i++)
		tx->env.rcpt[i].upstream_took = true;
	return tx != NULL && tx->env.n_rcpt > 0;
}

bool
trial_in_transaction(const struct trial_session *s)
{
	return s->hearing->tx != NULL || s->refused.code != 0;
}
