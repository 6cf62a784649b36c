/*
 * hop_maildir -- the message into a Maildir: the embedded default of a first run.
 *
 * Only when it is durable under its final name the client hears 250 (RFC 5321 4.2.5); maildir.c writes it.
 */
#include "proxy/smtp/maildir.h"
#include "proxy/smtp/render.h"
#include "proxy/smtp/sessionlog.h"

/* RFC 5321 4.4: final delivery notes the reverse-path. */
static struct strv
delivery_fields(struct session *s)
{
	struct transaction *tx = session_tx(s);
	struct strv         from = path_text(&tx->env.from);
	struct strv out = arena_printf(tx->a, "Return-Path: <%.*s>\r\n", (int)from.n, from.p);

	for (unsigned i = 0; i < tx->env.n_rcpt; i++) {
		struct strv to = path_text(&tx->env.rcpt[i].to);

		if (tx->env.rcpt[i].upstream_took)
			out = arena_concat(tx->a, out,
			    arena_printf(tx->a, "Delivered-To: %.*s\r\n", (int)to.n, to.p));
	}
	return out;
}

static void
maildir_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	struct reply r = { 250, "2.1.5", SV("Ok") };

	session_tx(s)->env.rcpt[i].upstream_took = true;
	s->relay.mail = MAIL_OK;
	slots_fill(&s->replies, slot, &r);
}

static void
answer(struct session *s, const struct delivery *d, const char *name, struct reply *out)
{
	struct arena *a = session_tx(s)->a;

	if (d->rc == FILE_OK) {
		s->relay.outcome = OUTCOME_TAKEN;
		*out = (struct reply){ 250, "2.0.0", arena_printf(a, "Ok: delivered as %s", name) };
		return;
	}
	s->relay.outcome = OUTCOME_FAILED;
	session_log_event(
	    s, "maildir-failed", arena_printf(a, "%s: %s", d->tmp, file_rc_name(d->rc)).p);
	*out = (struct reply){ 452, "4.3.1", SV("no space for the message now") };
	if (d->rc != FILE_FULL)
		*out = (struct reply){ 451, "4.3.0", SV("could not deliver the message now") };
}

MAY_YIELD static void
maildir_finish(struct session *s, struct reply *out)
{
	struct transaction *tx = session_tx(s);
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };
	const char         *name;
	struct delivery    *d;
	struct render       r;

	if (relay_client_left(s)) {
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	render_begin(&r, tx->a, &v, relay_fields(s));
	name = maildir_name(s);
	d = maildir_prepare(s, pool_conf(s->relay.pool)->server->dir, name);
	d->fields = delivery_fields(s);
	d->head = r.head;
	d->body = r.body;
	s->relay.committed = true;
	maildir_deliver(s, d);
	answer(s, d, name, out);
}

const struct hop hop_maildir = {
	.name = "maildir",
	.rcpt = maildir_rcpt,
	.finish = maildir_finish,
};
