/*
 * resend -- a message of the quarantine in a session without a client: what relays every other message relays it.
 *
 * Invariant: `taken' is true only where a hop took the message for every one of its recipients.
 */
#include "proxy/smtp/resend.h"

#include "proxy/smtp/route.h"
#include "proxy/smtp/session_own.h"

#define LOOK_MS 20

struct errand {
	struct session *s;
	struct resend  *r;
};

static void
tell(struct resend *r, const char *what, struct strv more)
{
	buf_add(&r->said, strv_z(what));
	buf_add(&r->said, more);
	buf_addc(&r->said, '\n');
}

MAY_YIELD static bool
server_is_up(struct session *s, struct resend *r)
{
	uint64_t until = loop_now(s->smtp->loop) + s->smtp->conf->limits.greeting_wait;

	while (!route_up(s)) {
		if (loop_now(s->smtp->loop) < until && fiber_sleep(LOOK_MS) == WAIT_OK)
			continue;
		tell(r, "no mail server is available now", SV(""));
		return false;
	}
	return true;
}

static bool
take_sender(struct session *s, struct resend *r)
{
	struct transaction *tx = session_tx(s);
	struct fault        f = { 0 };

	if (parse_mail(tx->a, arena_concat(tx->a, SV("FROM:"), r->q->sender), UINT32_MAX,
		&tx->env.from, &tx->env.params, &f))
		return true;
	tell(r, "the sender cannot be read: ", strv_z(f.text));
	return false;
}

/* What the servers do not offer; nothing where they are not asked. */
static uint32_t
lacking(struct session *s)
{
	struct pool *p = s->relay.pool;
	struct ehlo  e;

	return pool_conf(p)->kind != HOP_MAILDIR && pool_ehlo(p, &e) ? ~e.caps : 0;
}

/* RFC 3461 5.2.2: to a server without DSN a message goes on without its words.  Its sender is not here to be asked. */
static void
drop_dsn(struct session *s, struct resend *r, struct rcpt *to)
{
	struct mail_params *p = &session_tx(s)->env.params;
	bool                had = p->ret.p != NULL || p->envid.p != NULL || to->n_params > 0;

	p->ret = p->envid = (struct strv){ NULL, 0 };
	to->n_params = 0;
	if (had && !r->without_dsn)
		tell(r,
		    "the mail server does not offer DSN: sent without RET, ENVID, NOTIFY and ORCPT",
		    SV(""));
	r->without_dsn = r->without_dsn || had;
}

/* The pool is known: can it take such a message? */
static bool
adapt(struct session *s, struct resend *r, struct rcpt *to)
{
	const struct mail_params *p = &session_tx(s)->env.params;
	uint32_t                  no = lacking(s);
	const char               *what = NULL;

	if (p->smtputf8 && (no & EHLO_SMTPUTF8))
		what = "SMTPUTF8";
	else if (p->body == BODY_8BITMIME && (no & EHLO_8BITMIME))
		what = "8BITMIME";
	if (what != NULL)
		tell(r, "the mail server does not offer what the message needs: ", strv_z(what));
	else if (no & EHLO_DSN)
		drop_dsn(s, r, to);
	return what == NULL;
}

/* What the gate, or the server, says no to; its words are the reply that a client would hear. */
MAY_YIELD static bool
say_rcpt(struct session *s, struct resend *r, unsigned i)
{
	struct verdict v = { 0 };
	struct reply   no;

	if (judge_gate(s->hearing, i, &v) != WAIT_OK)
		return false;
	if (verdict_final(&v)) {
		no = reply_of_verdict(&v);
		slots_say(&s->replies, &no);
		return false;
	}
	if (route_rcpt(s, i) && adapt(s, r, &session_tx(s)->env.rcpt[i]))
		relay_rcpt(s, i);
	relay_settle(s);
	return session_tx(s)->env.rcpt[i].upstream_took;
}

MAY_YIELD static bool
take_rcpt(struct session *s, struct resend *r, struct strv text)
{
	struct transaction *tx = session_tx(s);
	struct rcpt         got = { 0 };
	struct fault        f = { 0 };
	bool                ok;

	if (!parse_rcpt(tx->a, arena_concat(tx->a, SV("TO:"), text), UINT32_MAX,
		tx->env.params.smtputf8, &got.to, &got.params, &got.n_params, &f)) {
		tell(r, "a recipient cannot be read: ", text);
		return false;
	}
	*envelope_add(tx->a, &tx->env) = got;
	ok = say_rcpt(s, r, tx->env.n_rcpt - 1);
	if (!ok) {
		tell(r, "not taken: ", text);
		buf_add(&r->said, buf_view(&s->replies.out));
	}
	buf_clear(&s->replies.out);
	return ok;
}

MAY_YIELD static bool
take_text(struct session *s, struct resend *r)
{
	struct message *m = &session_tx(s)->msg;
	struct strv     rest = r->text, body;
	enum message_rc rc = MESSAGE_OK;

	message_begin(m, session_tx(s)->a, spool_new(s->smtp->spools),
	    (uint32_t)s->smtp->conf->limits.header_size);
	/* Ours, and those of whom we trusted then. */
	m->keep_ours = true;
	while (rc == MESSAGE_OK && rest.n > 0 && s->text.fault.code == 0) {
		struct strv piece = strv_first(rest, rest.n < BUFPOOL_SIZE ? rest.n : BUFPOOL_SIZE);

		rc = message_feed(m, piece, &body);
		if (rc == MESSAGE_OK && body.n > 0)
			relay_text(s, body);
		rest = strv_from(rest, piece.n);
	}
	if (rc == MESSAGE_OK)
		rc = message_end(m, &body);
	if (rc == MESSAGE_OK && body.n > 0)
		relay_text(s, body);
	m->complete = true;
	if (rc != MESSAGE_OK || s->text.fault.code != 0)
		tell(r, "there is no room for the message", SV(""));
	return rc == MESSAGE_OK && s->text.fault.code == 0;
}

MAY_YIELD static void
send_on(struct session *s, struct resend *r)
{
	struct reply reply = { 0 };
	bool         all = take_sender(s, r);

	for (unsigned i = 0; i < r->q->n_rcpt && all; i++)
		all = take_rcpt(s, r, r->q->rcpt[i]);
	if (!all || !take_text(s, r))
		return;
	relay_finish(s, &reply);
	r->taken = s->relay.outcome == OUTCOME_TAKEN;
	reply_print(&r->said, &reply, true);
}

MAY_YIELD static void
run(void *arg)
{
	struct errand  *e = arg;
	struct session *s = e->s;

	s->turn = fiber_self();
	if (server_is_up(s, e->r)) {
		tx_begin(s);
		send_on(s, e->r);
		tx_end(s);
	}
	s->turn = NULL;
	s->in_turn = false;
	session_cut(s, "released");
	session_later(s);
	loop_defer(s->smtp->loop, e->r->done, e->r->arg);
}

static void
become(struct session *s, const struct quarantined *q)
{
	struct client *c = &s->client;

	c->listener = arena_dup(s->a, q->listener);
	c->helo = q->helo.p != NULL ? arena_dup(s->a, q->helo) : q->helo;
	c->esmtp = q->esmtp;
	c->proxied = true;
	c->auth_user = q->user.p != NULL ? arena_dup(s->a, q->user) : q->user;
	c->tls.on = q->tls.p != NULL;
	c->tls.version = c->tls.on && !strv_eq(q->tls, SV("yes")) ? arena_dup(s->a, q->tls) :
								    (struct strv){ NULL, 0 };
	s->offered.caps = EHLO_ENHANCED;
}

static void
ignore(void *arg)
{
	(void)arg;
}

void
session_resend(struct smtp *m, struct resend *r, int fd)
{
	struct endpoint from = { 0 };
	struct session *s;
	struct errand  *e;
	const char     *why = "";

	s = session_new(m, r->listener, &from, &r->listener->at);
	/* An address that cannot be read is one that no network has. */
	(void)endpoint_parse(s->a, r->q->client, &s->client.addr, &why);
	become(s, r->q);
	session_list(m, s);
	s->hearing = judge_open(m->conf->judge, s->a, &s->client);
	e = arena_alloc(s->a, sizeof *e);
	*e = (struct errand){ s, r };
	/* It may be over when fiber_start comes back: where nothing was waited for. */
	s->in_turn = true;
	if (conn_init(&s->io, m->loop, fd, ignore, s) &&
	    fiber_start(m->fibers, "resend", run, e) != NULL)
		return;
	s->in_turn = false;
	tell(r, "no memory", SV(""));
	session_cut(s, "no memory");
	session_later(s);
	loop_defer(m->loop, r->done, r->arg);
}
