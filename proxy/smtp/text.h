/*
 * text -- a message's text on its way in: what data.c does for itself and for bdat.c.
 */
#ifndef PROXY_SMTP_TEXT_H
#define PROXY_SMTP_TEXT_H

#include "proxy/smtp/session.h"

/* A text begins: its message, spool and times.  chunked: by BDAT, which has no end mark. */
void text_begin(struct session *s, bool chunked);
/* The next piece; what is wrong with it becomes the text's fault. */
MAY_YIELD void text_take(struct session *s, struct strv canonical);
/* The message has come whole: judge, hop, reply, log; the transaction is over. */
MAY_YIELD void text_done(struct session *s);
/* The message is discarded, whatever comes: the hop is given back, what it was told is undone. */
void text_discard(struct session *s, const struct verdict *v);
/* Where every recipient was discarded the message is, too: nothing that would be decided later is of any use. */
void text_discard_if_nobody(struct session *s);
/* `discard' for the whole message: of mail, helo or data. */
static inline bool
text_is_discarded(const struct session *s)
{
	return session_tx(s)->verdict.kind == VERDICT_DISCARD;
}
/*
 * Of what is dropped the octets count that are beyond what a message may have, and of a chunk out of order all: of
 * more than as much again, and more than 32 MiB, the client does not mean it well, 421.
 */
bool text_too_much(struct session *s);
/* Takes *v as text, to its end or to the end mark (DOTS_END; *v is what follows). */
MAY_YIELD enum dots_rc text_decode(struct session *s, struct strv *v);

#endif
