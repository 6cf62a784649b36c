/*
 * trial_session -- what proxy/smtp does with a session, without its octets: who is asked, in which order.
 *
 * Here is what is said before a transaction and behind it, and how an answer is made; the transaction itself is
 * trial_envelope's and trial_text's.  The invariant: one that was begun is ended, and the hearing is closed when
 * nothing of it runs.
 */
#include "proxy/trial_session_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/smtp/parse.h"

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

void
trial_budget(const struct trial_session *s)
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

bool
trial_refused(struct trial_session *s, const struct trial_answer *out)
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
	trial_budget(s);
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

MAY_YIELD static void
judge_helo(struct trial_session *s, struct trial_answer *out)
{
	judge_forget(s->hearing);
	if (!trial_stage(s, STAGE_HELO, out))
		return;
	if (out->code == 0)
		trial_say(s, out, STAGE_HELO, 250, "", s->t->s->smtp.hostname, strv(NULL, 0));
	(void)trial_refused(s, out);
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
		(void)trial_refused(s, out);
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
	struct trial_answer again;

	if (trial_not_let_in(s) && trial_stands(s, out))
		return;
	trial_say(s, out, STAGE_HELO, 220, "2.0.0", SV("ready to start TLS"), strv(NULL, 0));
	if (s->client.tls.on)
		return;
	trial_end_transaction(s);
	tls_on(s);
	judge_forget(s->hearing);
	if (s->client.helo.p == NULL)
		return;
	/* The EHLO that clients say again is heard of where it is refused. */
	judge_helo(s, &again);
	if (again.code != 250)
		*out = again;
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
