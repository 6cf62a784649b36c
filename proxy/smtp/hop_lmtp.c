/*
 * hop_lmtp -- a server that speaks LMTP.  RFC 2033.  As SMTP, but for its greeting (upstream.c) and that it
 * answers the text once for every recipient.
 *
 * A client of SMTP hears one answer to its message.  So a transaction has one recipient: the answer to the
 * text is that one's, and nothing can be lost or doubled between two of them.
 */
#include "proxy/smtp/edit_envelope.h"
#include "proxy/smtp/hop_smtp.h"

/*
 * What becomes of a recipient that is still asked for decides about the next one: a refused one makes room.
 * RFC 5321 4.5.3.1.10: 452 is "too many recipients", and the client comes again with the rest.
 */
MAY_YIELD static void
lmtp_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	struct reply later = { 452, "4.5.3", SV("one recipient a message, send the others again") };

	hop_settle(s);
	if (s->relay.broken || envelope_taken(&session_tx(s)->env) == 0)
		hop_rcpt(s, i, slot);
	else
		slots_fill(&s->replies, slot, &later);
}

MAY_YIELD static bool
lmtp_envelope(struct session *s, bool anew)
{
	if (envelope_wanted(&session_tx(s)->env) <= 1)
		return hop_envelope(s, anew);
	relay_break(s, 451, "4.3.0", SV("one recipient a message, and there is another one now"));
	return false;
}

const struct hop hop_lmtp = {
	.name = "lmtp",
	.mail = hop_mail,
	.rcpt = lmtp_rcpt,
	.settle = hop_settle,
	.stream = hop_stream,
	.finish = hop_finish,
	.redirect = hop_redirect,
	.envelope = lmtp_envelope,
	.end = hop_end,
	.close = hop_close,
};
