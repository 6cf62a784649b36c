/*
 * visit -- see the header: calls of one session in their order, each in the session's fiber.
 *
 * The invariant: a call that came is answered, whatever happens, and CLOSE is the last of its session.  A session
 * whose thread has left in the middle goes on to its CLOSE; one whose thread left before it knew of it ends by itself.
 */
#include "proxy/hosts/visit_own.h"

#define STEP_MS       25000 /* for all but the end of a message: a mail server waits 30 s */
#define STACK         (64 * 1024)
#define FIBERS_MAX    20000 /* three quarters at most are look-ups (fiber_spawn) */
#define VISITS_MAX    (FIBERS_MAX / 4)
#define FIBERS_KEEP   64
#define AGAIN_MS      100
#define SESSION_ARENA 2048
#define SESSION_QUOTA (1024 * 1024)
#define TX_ARENA      8192
#define TX_QUOTA      (16 * 1024 * 1024)
#define TEXT_MAX      (4 * 1024 * 1024) /* octets of one answer */

/* ---- calls ----------------------------------------------------------------------------------- */

static void run(struct bridge_call *call);

static void
drop(struct bridge_call *call)
{
	visit_call_free((struct visit_call *)call);
}

struct visit_call *
visit_call_new(struct visits *all, struct visit *v, enum visit_ask ask, size_t room)
{
	struct visit_call *c = mem_alloc(sizeof(*c) + room);

	c->call = (struct bridge_call){ .run = run, .drop = drop };
	c->all = all;
	c->visit = v;
	c->ask = ask;
	buf_init(&c->answer.text, TEXT_MAX);
	return c;
}

struct strv
visit_call_keep(struct visit_call *c, const char *p, size_t n)
{
	char *to = (char *)(c + 1) + c->call.octets;

	if (p == NULL)
		return (struct strv){ NULL, 0 };
	memcpy(to, p, n);
	to[n] = '\0';
	c->call.octets += n + 1;
	return (struct strv){ to, n };
}

void
visit_call_free(struct visit_call *c)
{
	buf_fini(&c->answer.text);
	mem_free(c->answer.edit);
	mem_free(c);
}

/* ---- the session ----------------------------------------------------------------------------- */

static struct visit *
visit_new(struct visits *all)
{
	struct arena *a = arena_new(SESSION_ARENA, SESSION_QUOTA);
	struct visit *v = arena_alloc(a, sizeof(*v));

	v->all = all;
	v->a = a;
	v->last = &v->first;
	v->opened = loop_now(all->loop);
	log_new_id(all->w, v->id, sizeof(v->id));
	v->hearing = judge_open(all->s->smtp.judge, a, &v->client);
	v->next = all->first;
	v->back = &all->first;
	if (v->next != NULL)
		v->next->back = &v->next;
	all->first = v;
	all->open++;
	return v;
}

MAY_YIELD static void
end_transaction(struct visit *v)
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

/* Of v nothing is left behind this. */
MAY_YIELD static void
end_visit(struct visit *v)
{
	struct arena *a = v->a;

	end_transaction(v);
	judge_close(v->hearing);
	visit_log_end(v);
	*v->back = v->next;
	if (v->next != NULL)
		v->next->back = v->back;
	v->all->open--;
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

static void
begin_transaction(struct visit *v)
{
	struct transaction *tx = judge_begin(v->hearing, arena_new(TX_ARENA, TX_QUOTA));
	struct strv         id = arena_printf(tx->a, "%s.%u", v->id, ++v->n_tx % 10000);

	memcpy(tx->id, id.p, id.n + 1);
	v->began = loop_now(v->all->loop);
}

/* A mail server that begins anew says so, or does not. */
MAY_YIELD static void
on_mail(struct visit *v, struct visit_call *c)
{
	const char *why = NULL;

	end_transaction(v);
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
	end_transaction(v);
}

MAY_YIELD static void
on_abort(struct visit *v, struct visit_call *c)
{
	(void)c;
	end_transaction(v);
}

/* ---- one after the other --------------------------------------------------------------------- */

static struct visit_call *
take(struct visit *v)
{
	struct bridge_call *c = v->first;

	if (c == NULL)
		return NULL;
	v->first = c->next;
	if (v->first == NULL)
		v->last = &v->first;
	return (struct visit_call *)c;
}

MAY_YIELD static void
answer(struct visit *v, struct visit_call *c)
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

MAY_YIELD static void
serve(void *arg)
{
	struct visit      *v = arg;
	struct visit_call *c;

	v->fiber = fiber_self();
	while ((c = take(v)) != NULL) {
		struct visits *all = v->all;
		bool           first = c->ask == VISIT_CONNECT, last = c->ask == VISIT_CLOSE;

		if (!last)
			answer(v, c);
		/* Nobody knows of a session whose first answer nobody waited for. */
		if (last || (!bridge_done(all->bridge, &c->call) && first)) {
			end_visit(v);
			if (last)
				(void)bridge_done(all->bridge, &c->call);
			return;
		}
	}
	v->fiber = NULL;
}

static void
start(struct visit *v)
{
	struct visits *all = v->all;

	if (fiber_start(all->fibers, "visit", serve, v) == NULL && all->again.pos == 0)
		timer_start(all->loop, &all->again, loop_now(all->loop) + AGAIN_MS);
}

/* For calls that found no fiber. */
static void
start_again(void *arg)
{
	struct visits *all = arg;
	struct visit  *v, *next;

	for (v = all->first; v != NULL && all->again.pos == 0; v = next) {
		next = v->next;
		if (v->first != NULL && v->fiber == NULL)
			start(v);
	}
}

static void
post(struct visit *v, struct visit_call *c)
{
	c->call.next = NULL;
	*v->last = &c->call;
	v->last = &c->call.next;
	/* Who waited for an answer has left. */
	if (c->ask == VISIT_CLOSE && v->fiber != NULL)
		fiber_cancel(v->fiber);
	if (v->fiber == NULL)
		start(v);
}

/* In the loop. */
static void
run(struct bridge_call *call)
{
	struct visit_call *c = (struct visit_call *)call;
	struct visits     *all = c->all;

	if (c->ask == VISIT_CONNECT && all->open >= all->max) {
		log_event(all->w, SV("milter"), "full", "sessions=%u", all->open);
		c->answer.say = VISIT_TEMPFAIL;
		(void)bridge_done(all->bridge, call);
		return;
	}
	if (c->ask == VISIT_CONNECT)
		c->visit = visit_new(all);
	post(c->visit, c);
}

struct visits *
visits_new(struct bridge *b, struct world *w, struct loop *l, const struct settings *s)
{
	struct visits          *all = mem_alloc(sizeof(*all));
	const struct smtp_conf *c = &s->smtp;

	all->bridge = b;
	all->w = w;
	all->loop = l;
	all->s = s;
	all->max = c->limits.sessions < VISITS_MAX ? (unsigned)c->limits.sessions : VISITS_MAX;
	all->fibers = fiber_pool_new(l, STACK, FIBERS_MAX, FIBERS_KEEP);
	all->spools = spool_pool_new(w, c->spool_dir, c->spool_memory, c->limits.spool_total);
	all->again = (struct timer){ .fn = start_again, .arg = all };
	return all;
}

unsigned
visits_open(const struct visits *all)
{
	return all->open;
}
