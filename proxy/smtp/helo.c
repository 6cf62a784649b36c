/*
 * helo -- HELO and EHLO: the client's name, and what it is offered.  RFC 5321 4.1.1.1, 4.1.4.
 */
#include "proxy/smtp/auth.h"
#include "proxy/smtp/route.h"
#include "proxy/smtp/sessionlog.h"
#include "proxy/smtp/xclient_in.h"

#define RECEIVED_MAX 1024 /* octets of a Received field of ours: names are at most 255 each */

/* What is offered holds until the next EHLO, whatever becomes of the server meanwhile. */
static void
make_offer(struct session *s)
{
	struct ehlo     up = route_ehlo(s);
	struct ehlo_own own = { .size = s->smtp->conf->limits.message_size };

	own.starttls = s->listener->context != NULL && !s->listener->no_starttls &&
	    !s->client.tls.on;
	own.auth = auth_offered(s);
	own.xclient = xclient_in_allowed(s);
	/* The server counts the field that we put in front, too. */
	if (s->smtp->conf->received && up.size > RECEIVED_MAX)
		up.size -= RECEIVED_MAX;
	s->offered = ehlo_offer(&up, &own);
	s->in.auth = s->offered.caps & EHLO_AUTH;
}

static struct strv
hello(struct session *s)
{
	struct strv parts = arena_concat(s->a, s->smtp->conf->hostname, SV(" "));

	return arena_concat(s->a, parts, s->client.helo);
}

/* The name is taken only when the command as a whole is: a failed HELO changes nothing (RFC 5321 4.1.4). */
MAY_YIELD static bool
take_name(struct session *s, struct strv rest, bool esmtp)
{
	struct fault   f = { 0 };
	struct strv    name;
	struct verdict v = { 0 };

	if (!parse_helo(rest, &name, &f)) {
		say_error(s, f.code, f.enh, strv_z(f.text));
		return false;
	}
	tx_end(s);
	if (s->ending)
		return false;
	/* RFC 4954 4: who authenticated stays so, and where. */
	if (!s->bound)
		relay_close(s);
	judge_forget(s->hearing);
	s->client.helo = arena_dup(s->a, name);
	s->client.esmtp = esmtp;
	s->state = SMTP_READY;
	if (judge_stage(s->hearing, STAGE_HELO, &v) != WAIT_OK)
		return false;
	session_log_checks(s);
	if (!verdict_final(&v))
		return true;
	s->state = SMTP_NEW;
	say_verdict(s, &v, STAGE_HELO, NULL);
	return false;
}

void
helo_run(struct session *s, struct strv rest)
{
	struct reply r = { 250, "", s->smtp->conf->hostname };

	if (!take_name(s, rest, false))
		return;
	/* RFC 5321 4.1.1.1: who says HELO knows no extensions. */
	s->offered = (struct ehlo){ 0 };
	s->in.auth = false;
	slots_say(&s->replies, &r);
}

void
ehlo_run(struct session *s, struct strv rest)
{
	if (!take_name(s, rest, true))
		return;
	make_offer(s);
	ehlo_print(slots_print(&s->replies), hello(s), &s->offered);
}
