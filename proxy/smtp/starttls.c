/*
 * starttls -- STARTTLS.  RFC 3207 4: the handshake begins after our 220, and what came before is forgotten.
 */
#include "proxy/smtp/sessionlog.h"

/*
 * RFC 3207 4.2, CVE-2011-0411: octets behind STARTTLS came in the clear and would be taken for what the
 * client says under TLS.  They are not dropped quietly: such a session is over.
 */
static bool
plaintext_behind(struct session *s)
{
	if (intake_unread(&s->in).n == 0)
		return false;
	session_log_event(s, "plaintext-behind-starttls", "connection closed");
	session_cut(s, "plaintext behind STARTTLS");
	return true;
}

static void
forget(struct session *s)
{
	s->client.helo = (struct strv){ NULL, 0 };
	s->client.esmtp = false;
	s->offered = (struct ehlo){ 0 };
	s->in.auth = false;
	s->state = SMTP_NEW;
	relay_close(s);
	judge_forget(s->hearing);
}

void
starttls_run(struct session *s, struct strv rest)
{
	(void)rest;
	if (s->client.tls.on || s->listener->context == NULL || s->listener->no_starttls) {
		say_error(s, s->client.tls.on ? 503 : 502, "5.5.1",
		    s->client.tls.on ? SV("TLS is on already") : SV("TLS is not available here"));
		return;
	}
	/* RFC 3207 4.2 has us forget who authenticated, but the server behind us would go on knowing it. */
	if (s->client.auth_user.p != NULL) {
		say_error(s, 503, "5.5.1", SV("STARTTLS comes before AUTH"));
		return;
	}
	if (plaintext_behind(s))
		return;
	say(s, 220, "2.0.0", SV("ready to start TLS"));
	if (!slots_flush(&s->replies, &s->io) || conn_drain(&s->io, s->deadline) != WAIT_OK) {
		session_cut(s, "client is gone");
		return;
	}
	forget(s);
	session_start_tls(s);
}
