/*
 * hop_text -- what hop_send.c, hop_text.c and hop_stream.c share; nobody else includes it.
 */
#ifndef PROXY_SMTP_HOP_TEXT_H
#define PROXY_SMTP_HOP_TEXT_H

#include "proxy/smtp/hop_smtp.h"
#include "proxy/smtp/render.h"

/* --- sending: hop_send.c.  Text must stay where it is until they return. --- */

uint64_t hop_send_deadline(const struct upstream *up);
enum up_rc hop_sent(enum wait_rc rc);           /* what a send's end means for the connection */
/* Canonical text as it is, or as DATA wants it, dots doubled. */
MAY_YIELD enum up_rc hop_send_plain(struct upstream *up, struct strv text);
MAY_YIELD enum up_rc hop_send_dotted(struct session *s, struct strv text);
/* A spool's text; a message's head and body; the same with the end mark and, where small, one write. */
MAY_YIELD enum up_rc hop_send_body(struct session *s, const struct spool *body, bool dotted);
MAY_YIELD enum up_rc hop_send_spooled(struct session *s, const struct render *r, bool dotted);
MAY_YIELD enum up_rc hop_send_whole(struct session *s, const struct render *r, bool dotted);
/* UP_OK: the server has said nothing before it has all. */
enum up_rc hop_spoke_early(struct upstream *up);

/* --- answers: hop_text.c --- */

bool hop_chunking(const struct session *s);     /* BDAT, not DATA */
void hop_render(struct session *s, struct render *r);
/* The connection as the text's turn comes, replayed where it died meanwhile; false: broken. */
MAY_YIELD bool hop_still_there(struct session *s);
/* DATA and its 354. UP_REFUSED: *r is another answer. */
MAY_YIELD enum up_rc hop_ask_data(struct session *s, struct reply *r);
/* All octets are out: the answer to them, unless the server spoke before it had them. Sets the outcome. */
MAY_YIELD void hop_final_reply(struct session *s, struct reply *out);
/* The server said no; it failed.  Each sets the outcome and *out. */
void hop_refused(struct session *s, struct reply *r, struct reply *out);
MAY_YIELD void hop_failed(struct session *s, enum up_rc rc, struct reply *out);
/* hop_stream.c: the end of a streamed text. */
MAY_YIELD void hop_finish_stream(struct session *s, struct reply *out);
/* A refusal that a closing server left to be read. */
MAY_YIELD bool hop_last_words(struct session *s, enum up_rc rc, struct reply *r);

#endif
