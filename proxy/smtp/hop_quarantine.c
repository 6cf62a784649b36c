/*
 * hop_quarantine -- a message that a rule wants kept: into the Maildir of `quarantine "DIR"`.
 *
 * Its envelope stands in fields at its head (quarantine.h), so that `postern release` can send it on.  The
 * invariant is that of every hop: 250 only when it is durable.  What the server took before is given up with
 * the transaction, by the RSET in front of its next MAIL.
 */
#include <stdio.h>
#include <time.h>

#include "proxy/smtp/maildir.h"
#include "proxy/smtp/quarantine.h"
#include "proxy/smtp/render.h"
#include "proxy/smtp/sessionlog.h"

#define NAME_LONGEST 200

/* "MAIL FROM:<...> ...CRLF" without its verb and end. */
static struct strv
argument(struct arena *a, struct buf *line, size_t verb)
{
	struct strv v = strv_from(buf_view(line), verb);

	v = arena_dup(a, strv_first(v, v.n - 2));
	buf_clear(line);
	return v;
}

static void
set_envelope(struct transaction *tx, struct quarantined *q)
{
	struct envelope *e = &tx->env;
	struct buf       line;

	buf_init(&line, 16 * 1024);
	print_mail(&line, &e->from, &e->params, UINT32_MAX);
	q->sender = argument(tx->a, &line, sizeof("MAIL FROM:") - 1);
	q->rcpt = arena_array(tx->a, e->n_rcpt, sizeof *q->rcpt);
	for (unsigned i = 0; i < e->n_rcpt; i++) {
		struct rcpt *r = &e->rcpt[i];

		r->replaced = r->upstream_took;
		r->upstream_took = false;
		if (!r->replaced)
			continue;
		print_rcpt(&line, &r->to, r->params, r->n_params, UINT32_MAX);
		q->rcpt[q->n_rcpt++] = argument(tx->a, &line, sizeof("RCPT TO:") - 1);
	}
	buf_fini(&line);
}

/* RFC 3339, UTC. */
static struct strv
moment(struct arena *a, struct world *w)
{
	time_t    t = (time_t)(w->wall(w) / 1000000);
	struct tm tm;
	char      text[32];

	gmtime_r(&t, &tm);
	return arena_dup(a, strv(text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm)));
}

static struct strv
fields(struct session *s, uint64_t octets)
{
	struct transaction *tx = session_tx(s);
	char                text[ENDPOINT_TEXT];
	struct quarantined  q = {
		 .id = session_id(s),
		 .check = tx->verdict.by,
		 .reason = tx->verdict.text.n > 0 ? tx->verdict.text : (struct strv){ NULL, 0 },
		 .time = moment(tx->a, s->smtp->world),
		 .client = arena_dup(tx->a, endpoint_print(&s->client.addr, text)),
		 .listener = s->client.listener,
		 .helo = s->client.helo,
		 .esmtp = s->client.esmtp,
		 .tls = s->client.tls.version,
		 .user = s->client.auth_user,
		 .octets = octets,
	};

	set_envelope(tx, &q);
	return quarantine_print(tx->a, &q);
}

/* The id is found in it; W is what Maildir++ calls the size with CRLF. */
static const char *
make_name(struct session *s, uint64_t octets)
{
	struct world *w = s->smtp->world;
	struct strv   host = s->smtp->conf->hostname;
	char          name[NAME_LONGEST];

	snprintf(name, sizeof name, "%llu.%s.%.*s", (unsigned long long)(w->wall(w) / 1000000),
	    session_tx(s)->id, (int)(host.n < 64 ? host.n : 64), host.p);
	maildir_name_clean(name);
	return arena_printf(session_tx(s)->a, "%s,W=%llu", name, (unsigned long long)octets).p;
}

static void
answer(struct session *s, const struct delivery *d, struct reply *out)
{
	struct arena *a = session_tx(s)->a;

	if (d->rc == FILE_OK) {
		s->relay.outcome = OUTCOME_QUARANTINED;
		*out =
		    (struct reply){ 250, "2.0.0", arena_printf(a, "Ok (%s)", session_tx(s)->id) };
		return;
	}
	s->relay.outcome = OUTCOME_FAILED;
	session_log_event(
	    s, "quarantine-failed", arena_printf(a, "%s: %s", d->tmp, file_rc_name(d->rc)).p);
	*out = (struct reply){ 452, "4.3.1", SV("no space for the message now") };
	if (d->rc != FILE_FULL)
		*out = (struct reply){ 451, "4.3.0", SV("could not keep the message now") };
}

static struct delivery *
prepare(struct session *s)
{
	struct transaction *tx = session_tx(s);
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };
	struct render       r;
	struct strv         head;
	struct delivery    *d;

	/* Received fields are for those who pass it on: whoever releases it adds one. */
	render_begin(&r, tx->a, &v, SV(""));
	head = fields(s, r.size);
	d = maildir_prepare(s, s->smtp->conf->quarantine, make_name(s, head.n + r.size));
	d->fields = head;
	d->head = r.head;
	d->body = r.body;
	d->max = s->smtp->conf->quarantine_max;
	d->octets = head.n + r.size;
	return d;
}

/* A check cannot want what cannot be: `check' sees to that.  A milter may, at any time; and nothing is streamed then. */
static const char *
why_not(struct session *s)
{
	struct transaction *tx = session_tx(s);

	if (s->relay.streaming)
		return "the text is on its way already";
	return arena_z(tx->a,
	    arena_printf(tx->a, "%.*s wants it kept, and no `quarantine' says where",
		(int)tx->verdict.by.n, tx->verdict.by.p));
}

void
relay_quarantine(struct session *s, struct reply *out)
{
	struct delivery *d;

	if (s->smtp->conf->quarantine == NULL || s->relay.streaming) {
		session_log_event(s, "quarantine-failed", why_not(s));
		*out = (struct reply){ 451, "4.3.0", SV("could not keep the message now") };
		return;
	}
	if (relay_client_left(s)) {
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	d = prepare(s);
	s->relay.committed = true;
	if (d->fields.p == NULL)
		d->rc = FILE_TOO_BIG;
	else
		maildir_deliver(s, d);
	answer(s, d, out);
}
