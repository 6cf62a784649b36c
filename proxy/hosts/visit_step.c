/*
 * visit_step -- what a call asks: a mail server's command put to the judge, and the judge's word made into its answer.
 *
 * Visit.c has their order; here is one at a time, in the session's fiber.  The invariant: an answer that no step fills in
 * lets the mail server go on, and what the policy refuses is logged where it is said.
 */
#include "proxy/hosts/visit_own.h"

#define STEP_MS  25000 /* for all but the end of a message: a mail server waits 30 s */
#define TX_ARENA 8192
#define TX_QUOTA (16 * 1024 * 1024)

/* ---- the transaction ------------------------------------------------------------------------- */

static void
begin_transaction(struct visit *v)
{
	struct transaction *tx = judge_begin(v->hearing, arena_new(TX_ARENA, TX_QUOTA));
	struct strv         id = arena_printf(tx->a, "%s.%u", v->id, ++v->n_tx % 10000);

	memcpy(tx->id, id.p, id.n + 1);
	v->began = loop_now(v->all->loop);
}

MAY_YIELD void
visit_end_transaction(struct visit *v)
{
	struct transaction *tx = visit_tx(v);
	struct arena       *a;

	v->queue[0] = '\0';
	if (tx == NULL)
		return;
	a = tx->a;
	spool_free(tx->msg.body);
	tx->msg.body = NULL;
	judge_end(v->hearing);
	v->rcpt = NULL;
	v->max_rcpt = 0;
	v->fault = (struct reply){ .code = 0 };
	v->headed = v->cr = false;
	arena_free(a);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void
say(struct visit *v, struct visit_answer *out, const struct reply *r)
{
	const struct transaction *tx = visit_tx(v);

	out->say = r->code / 100 == 4 ? VISIT_TEMPFAIL : VISIT_REJECT;
	visit_say_reply(out, r, tx != NULL ? tx->id : v->id);
}

static void
say_error(
    struct visit *v, struct visit_answer *out, uint16_t code, const char *enh, const char *text)
{
	struct reply r = { .code = code, .text = strv_z(text) };

	memcpy(r.enh, enh, strlen(enh) + 1);
	say(v, out, &r);
}

static void
refuse(struct visit *v, struct visit_answer *out, enum stage at, const struct verdict *said)
{
	struct reply r = reply_of_verdict(said);

	visit_log_refused(v, at, said, &r);
	say(v, out, &r);
}

static void
cancelled(struct visit *v, struct visit_answer *out)
{
	say_error(v, out, 451, "4.3.0", "the session was cancelled");
}

/* At connect, helo, mail, data. */
MAY_YIELD static void
judge(struct visit *v, struct visit_answer *out, enum stage at)
{
	struct verdict said = { .kind = VERDICT_NONE };

	if (judge_stage(v->hearing, at, &said) != WAIT_OK) {
		cancelled(v, out);
		return;
	}
	visit_log_checks(v);
	if (said.kind == VERDICT_DISCARD) {
		out->say = VISIT_DISCARD;
		visit_log_message(v, "discarded", &said, &(struct reply){ .code = 0 });
	} else if (verdict_final(&said)) {
		refuse(v, out, at, &said);
	}
}

/* ---- the steps ------------------------------------------------------------------------------- */

MAY_YIELD static void
on_connect(struct visit *v, struct visit_call *c)
{
	visit_learn_addresses(v, c);
	visit_learn_client(v, c);
	judge(v, &c->answer, STAGE_CONNECT);
}

MAY_YIELD static void
on_helo(struct visit *v, struct visit_call *c)
{
	visit_learn_client(v, c);
	visit_learn_helo(v, c->text);
	judge_forget(v->hearing);
	judge(v, &c->answer, STAGE_HELO);
}

/* A mail server that begins anew says so, or does not. */
MAY_YIELD static void
on_mail(struct visit *v, struct visit_call *c)
{
	const char *why = NULL;

	visit_end_transaction(v);
	visit_learn_client(v, c);
	begin_transaction(v);
	visit_learn_queue(v, c);
	if (!visit_take_from(v, c, &why))
		say_error(v, &c->answer, 501, "5.1.7", why);
	else
		judge(v, &c->answer, STAGE_MAIL);
}

MAY_YIELD static void
on_rcpt(struct visit *v, struct visit_call *c)
{
	struct transaction *tx = visit_tx(v);
	struct verdict      said = { .kind = VERDICT_NONE };
	const char         *why = NULL;
	unsigned            i;

	if (tx == NULL || tx->env.n_rcpt >= v->all->s->smtp.limits.recipients) {
		say_error(v, &c->answer, 452, "4.5.3", "too many recipients");
		return;
	}
	visit_learn_queue(v, c);
	if (!visit_take_rcpt(v, c, &why)) {
		say_error(v, &c->answer, 501, "5.1.3", why);
		return;
	}
	i = tx->env.n_rcpt - 1;
	if (judge_rcpt(v->hearing, i, &said) != WAIT_OK) {
		cancelled(v, &c->answer);
		return;
	}
	visit_log_checks(v);
	tx->env.rcpt[i].said = said;
	tx->env.rcpt[i].upstream_took = !verdict_final(&said);
	tx->env.rcpt[i].dropped = said.kind == VERDICT_DISCARD;
	if (verdict_final(&said) && said.kind != VERDICT_DISCARD)
		refuse(v, &c->answer, STAGE_RCPT, &said);
}

MAY_YIELD static void
on_data(struct visit *v, struct visit_call *c)
{
	if (visit_tx(v) != NULL)
		judge(v, &c->answer, STAGE_DATA);
}

MAY_YIELD static void
on_header(struct visit *v, struct visit_call *c)
{
	if (visit_tx(v) != NULL && !v->headed)
		visit_text_header(v, c);
}

MAY_YIELD static void
on_body(struct visit *v, struct visit_call *c)
{
	if (visit_tx(v) != NULL)
		visit_text_body(v, c->text);
}

/* ---- the end of a message -------------------------------------------------------------------- */

static void
end_refused(
    struct visit *v, struct visit_answer *out, const struct verdict *said, const struct reply *r)
{
	say(v, out, r);
	visit_log_message(v, r->code / 100 == 4 ? "deferred" : "refused", said, r);
}

static void
end_discarded(struct visit *v, struct visit_answer *out, const struct verdict *said)
{
	out->say = VISIT_DISCARD;
	visit_log_message(v, "discarded", said, &(struct reply){ .code = 0 });
}

static void
end_passed(struct visit *v, struct visit_answer *out, const struct verdict *said)
{
	const char *why = NULL;

	if (!visit_say_edits(v, out, said, &why)) {
		visit_log_event(v, "edit-failed", why);
		out->n_edit = 0;
		say_error(v, out, 451, "4.3.0", "the message could not be edited");
		return;
	}
	v->n_messages++;
	visit_log_message(v, said->kind == VERDICT_QUARANTINE ? "quarantined" : "passed", said,
	    &(struct reply){ .code = 0 });
}

static void
end_decided(struct visit *v, struct visit_answer *out, const struct verdict *said)
{
	struct reply r;

	if (said->kind == VERDICT_DISCARD) {
		end_discarded(v, out, said);
	} else if (said->kind == VERDICT_NONE || said->kind == VERDICT_QUARANTINE) {
		end_passed(v, out, said);
	} else {
		r = reply_of_verdict(said);
		end_refused(v, out, said, &r);
	}
}

/* Whose mail is dropped for all recipients: the first one's word. */
static const struct verdict *
dropped_by(const struct envelope *e)
{
	for (unsigned i = 0; i < e->n_rcpt; i++)
		if (e->rcpt[i].dropped)
			return &e->rcpt[i].said;
	return NULL;
}

MAY_YIELD static void
decide(struct visit *v, struct visit_answer *out)
{
	struct transaction *tx = visit_tx(v);
	struct verdict      said = { .kind = VERDICT_NONE }, limits = { .by = SV("limits") };

	visit_text_end(v);
	if (arena_spent(tx->a) && v->fault.code == 0)
		v->fault = (struct reply){ 452, "4.3.1", SV("the message used up its memory") };
	if (v->fault.code != 0) {
		end_refused(v, out, &limits, &v->fault);
		return;
	}
	if (judge_message(v->hearing, &said) != WAIT_OK) {
		cancelled(v, out);
		return;
	}
	visit_log_checks(v);
	end_decided(v, out, &said);
}

MAY_YIELD static void
on_end(struct visit *v, struct visit_call *c)
{
	struct transaction   *tx = visit_tx(v);
	const struct verdict *dropped;

	if (tx == NULL) {
		say_error(v, &c->answer, 451, "4.3.0", "there is no such message");
		return;
	}
	visit_learn_queue(v, c);
	dropped = visit_left(v) == 0 ? dropped_by(&tx->env) : NULL;
	if (dropped != NULL)
		end_discarded(v, &c->answer, dropped);
	else
		decide(v, &c->answer);
	visit_end_transaction(v);
}

MAY_YIELD static void
on_abort(struct visit *v, struct visit_call *c)
{
	(void)c;
	visit_end_transaction(v);
}

MAY_YIELD void
visit_step(struct visit *v, struct visit_call *c)
{
	static void (*const on[])(struct visit *, struct visit_call *) = {
		[VISIT_CONNECT] = on_connect,
		[VISIT_HELO] = on_helo,
		[VISIT_MAIL] = on_mail,
		[VISIT_RCPT] = on_rcpt,
		[VISIT_DATA] = on_data,
		[VISIT_HEADER] = on_header,
		[VISIT_BODY] = on_body,
		[VISIT_END] = on_end,
		[VISIT_ABORT] = on_abort,
	};

	(void)buf_addc(&c->answer.text, '\0');
	/* The end of a message has a time of its own: judge_message. */
	fiber_self()->deadline = c->ask == VISIT_END ? 0 : loop_now(v->all->loop) + STEP_MS;
	if (arena_spent(v->a) && c->ask != VISIT_ABORT)
		say_error(v, &c->answer, 421, "4.3.1", "the session used up its memory");
	else
		on[c->ask](v, c);
}
