/*
 * trial_session -- what proxy/smtp does with a session, without its octets: who is asked, in which order.
 *
 * The order of judging is smtp's (mail.c, rcpt.c, data.c): syntax and limits, what was held, the gate and the
 * checks.  The invariant: a transaction that was begun is ended, and the hearing is closed when nothing of it runs.
 */
#include "proxy/trial_session_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/smtp/parse.h"

#define TX_ARENA 8192
#define TX_QUOTA (16 * 1024 * 1024)

/* A server that has all that we pass on. */
#define OFFERED \
	(EHLO_PIPELINING | EHLO_SIZE | EHLO_ENHANCED | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_DSN | \
	    EHLO_CHUNKING)

const struct limits *
trial_limits(const struct trial_session *s)
{
	return &s->t->s->smtp.limits;
}

/* ---- answers ---- */

/* Nothing is answered any more but by what was said last. */
static void
close_it(struct trial_session *s, struct trial_answer *out)
{
	s->over = out->closed = true;
	s->refused = *out;
}

void
trial_say(struct trial_session *s, struct trial_answer *out, enum stage at, uint16_t code,
    const char *enh, struct strv text, struct strv by)
{
	*out = (struct trial_answer){ .code = code, .text = text, .by = by, .at = at };
	memcpy(out->enh, enh, strlen(enh) + 1);
	if (code == 421)
		close_it(s, out);
}

void
trial_limit(struct trial_session *s, struct trial_answer *out, enum stage at, uint16_t code,
    const char *enh, const char *text)
{
	trial_say(s, out, at, code, enh, strv_z(text), SV("limits"));
}

void
trial_say_verdict(
    struct trial_session *s, struct trial_answer *out, enum stage at, const struct verdict *v)
{
	bool yes = v->kind == VERDICT_DISCARD || v->kind == VERDICT_QUARANTINE;

	/* What is dropped or kept hears what all others hear. */
	trial_say(s, out, at, verdict_code(v),
	    !yes                 ? verdict_enh(v) :
		at == STAGE_MAIL ? "2.1.0" :
		at == STAGE_RCPT ? "2.1.5" :
				   "2.0.0",
	    yes ? SV("Ok") : arena_dup(s->a, verdict_text(v)), arena_dup(s->a, v->by));
	out->dropped = v->kind == VERDICT_DISCARD;
	out->kept = v->kind == VERDICT_QUARANTINE;
	if (v->to.p != NULL)
		out->to = arena_dup(s->a, v->to);
	if (v->kind == VERDICT_DISCONNECT)
		close_it(s, out);
}

static void
budget(const struct trial_session *s)
{
	fiber_self()->deadline = loop_now(s->t->loop) + s->t->command_ms;
}

/* The session is over, or the transaction was refused: what was said then stands for all that follows. */
bool
trial_stands(struct trial_session *s, struct trial_answer *out)
{
	if (s->refused.code == 0)
		return false;
	*out = s->refused;
	out->earlier = true;
	return true;
}

static bool
refused(struct trial_session *s, const struct trial_answer *out)
{
	if (out->code < 400)
		return false;
	s->refused = *out;
	return true;
}

/* Over, or its HELO was refused: no mail before another one. */
bool
trial_not_let_in(const struct trial_session *s)
{
	return s->over || s->refused.at <= STAGE_HELO;
}

/* As session.h says: 5xx that it heard; what stood in its way before is said with a 503.  A message forgives. */
void
trial_count(struct trial_session *s, const struct trial_answer *heard)
{
	struct trial_answer last;

	if (s->over)
		return;
	s->errors += heard->code >= 500 || heard->earlier;
	if (heard->at == STAGE_MESSAGE && heard->code == 250 && !heard->dropped)
		s->errors = 0;
	if (s->errors >= trial_limits(s)->errors)
		trial_limit(s, &last, heard->at, 421, "4.7.0", "too many errors");
}

/* ---- the session ---- */

static void
tls_on(struct trial_session *s)
{
	s->client.tls.on = true;
	s->client.tls.version = SV("TLSv1.3");
	s->client.tls.cipher = SV("TLS_AES_256_GCM_SHA384");
}

struct trial_session *
trial_open(const struct trial_house *t, struct arena *a, const struct listener *l,
    const struct addr *client)
{
	struct trial_session *s = arena_alloc(a, sizeof(*s));

	s->t = t;
	s->a = a;
	s->listener = l;
	s->client.addr = (struct endpoint){ .addr = *client, .port = 49152 };
	s->client.peer = s->client.addr;
	s->client.local = l->at;
	s->client.listener = l->name;
	if (l->tls)
		tls_on(s);
	s->hearing = judge_open(t->judge, a, &s->client);
	judge_explains(s->hearing, t->all, t->look, t->arg);
	return s;
}

bool
trial_stage(struct trial_session *s, enum stage at, struct trial_answer *out)
{
	struct verdict v = { 0 };

	*out = (struct trial_answer){ .at = at };
	budget(s);
	if (judge_stage(s->hearing, at, &v) != WAIT_OK)
		return false;
	if (verdict_final(&v))
		trial_say_verdict(s, out, at, &v);
	return true;
}

void
trial_greet(struct trial_session *s, struct trial_answer *out)
{
	if (!trial_stage(s, STAGE_CONNECT, out))
		return;
	if (out->code == 0) {
		trial_say(s, out, STAGE_CONNECT, 220, "", s->t->s->smtp.hostname, strv(NULL, 0));
		return;
	}
	/* RFC 5321 3.1: a greeting is 220, 554 or 421, and who was not greeted can say nothing but QUIT. */
	out->code = out->code < 500 ? 421 : 554;
	close_it(s, out);
}

void
trial_end_transaction(struct trial_session *s)
{
	if (s->tx_a == NULL)
		return;
	spool_free(s->hearing->tx->msg.body);
	judge_end(s->hearing);
	arena_free(s->tx_a);
	s->tx_a = NULL;
}

static void
judge_helo(struct trial_session *s, struct trial_answer *out)
{
	judge_forget(s->hearing);
	if (!trial_stage(s, STAGE_HELO, out))
		return;
	if (out->code == 0)
		trial_say(s, out, STAGE_HELO, 250, "", s->t->s->smtp.hostname, strv(NULL, 0));
	(void)refused(s, out);
}

void
trial_helo(struct trial_session *s, struct strv name, struct trial_answer *out)
{
	struct fault f = { 0 };
	struct strv  said;

	if (s->over && trial_stands(s, out))
		return;
	if (!parse_helo(name, &said, &f)) {
		trial_limit(s, out, STAGE_HELO, f.code, f.enh, f.text);
		(void)refused(s, out);
		return;
	}
	trial_end_transaction(s);
	s->refused.code = 0;
	s->client.helo = arena_dup(s->a, said);
	s->client.esmtp = true;
	judge_helo(s, out);
}

void
trial_tls(struct trial_session *s, struct trial_answer *out)
{
	if (trial_not_let_in(s) && trial_stands(s, out))
		return;
	trial_say(s, out, STAGE_HELO, 220, "2.0.0", SV("ready to start TLS"), strv(NULL, 0));
	if (s->client.tls.on)
		return;
	trial_end_transaction(s);
	tls_on(s);
	judge_forget(s->hearing);
	if (s->client.helo.p != NULL)
		judge_helo(s, out);
}

void
trial_auth(struct trial_session *s, struct strv user, struct trial_answer *out)
{
	if (trial_not_let_in(s) && trial_stands(s, out))
		return;
	if (s->listener->require_tls && !s->client.tls.on) {
		trial_limit(
		    s, out, STAGE_AUTH, 530, "5.7.0", "must issue a STARTTLS command first");
		return;
	}
	trial_end_transaction(s);
	if (!trial_stage(s, STAGE_AUTH, out) || out->code != 0)
		return;
	s->client.auth_user = arena_dup(s->a, user);
	s->client.auth_mechanism = SV("PLAIN");
	judge_forget(s->hearing);
	trial_say(s, out, STAGE_AUTH, 235, "2.7.0", SV("authenticated"), SV("upstream"));
}

/* ---- the envelope ---- */

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
		(void)refused(s, out);
		return;
	}
	begin_transaction(s);
	if (mail_parsed(s, from, out) && trial_stage(s, STAGE_MAIL, out) && out->code == 0)
		trial_say(s, out, STAGE_MAIL, 250, "2.1.0", SV("Ok"), strv(NULL, 0));
	if (out->dropped)
		s->drop = (struct verdict){ .kind = VERDICT_DISCARD, .by = out->by };
	if (refused(s, out))
		trial_end_transaction(s);
}

/* proxy/smtp/route.c: who goes to another pool than the first, or is of another class, comes again. */
static bool
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

static void
judged_rcpt(struct trial_session *s, unsigned i, struct trial_answer *out)
{
	struct transaction *tx = s->hearing->tx;
	struct verdict      v = { 0 };

	budget(s);
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

static void
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

/* ---- the end ---- */

static void
is_quiet(void *arg)
{
	struct trial_session *s = arg;

	s->quiet = true;
	fiber_wake(s->waits);
}

void
trial_close(struct trial_session *s)
{
	fiber_self()->deadline = 0;
	trial_end_transaction(s);
	s->waits = fiber_self();
	s->quiet = judge_quiet(s->hearing, is_quiet, s);
	while (!s->quiet)
		fiber_hold("the last look-ups of a session");
	judge_close(s->hearing);
}
