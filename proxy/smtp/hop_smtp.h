/*
 * hop_smtp -- what the files of the SMTP hop share: queueing commands, failures, replay.
 */
#ifndef PROXY_SMTP_HOP_SMTP_H
#define PROXY_SMTP_HOP_SMTP_H

#include "proxy/smtp/session.h"

/* The connection failed or talked nonsense: it is closed, every reply owed becomes 451, the transaction is broken. */
void hop_fail(struct session *s, enum up_rc rc);
/* Takes a connection and says who the client is; false: the transaction is broken. */
MAY_YIELD bool hop_connect(struct session *s, bool fresh);
/* The connection that we got has every extension that this transaction uses; false: broken. */
bool hop_keeps_promises(struct session *s);
/* MAIL (with RSET in front where one is open) and one RCPT into cmds; replies are owed. */
void hop_queue_mail(struct session *s, struct slot *slot);
void hop_queue_rcpt(struct session *s, unsigned i, struct slot *slot);
/* Waits for all that is owed. */
MAY_YIELD void hop_settle(struct session *s);
/* Settles first where one more command must not be on its way at once. */
MAY_YIELD void hop_make_room(struct session *s);
void hop_owe(struct upstream *up, enum owed_kind kind, unsigned rcpt, struct slot *slot);

/*
 * replay_queue -- the commands whose replies are owed, once more on a fresh connection (the one that
 * idled had gone stale before it answered anything).  False: broken.
 */
MAY_YIELD bool replay_owed(struct session *s);
/* The whole transaction so far, on a fresh connection; every answer must be 2xx.  False: broken. */
MAY_YIELD bool replay_transaction(struct session *s);

/* XCLIENT on a ready connection, then EHLO.  PROTOCOL: Postfix XCLIENT_README.  *refusal in the transaction's arena. */
MAY_YIELD enum up_rc xclient_say(struct session *s, struct upstream *up);
/* Its one or two command lines, for tests: pure. */
void xclient_print(struct buf *out, const struct client *c, uint32_t attributes, struct strv user);

/* Of struct hop: hop_stream.c and hop_text.c. */
MAY_YIELD bool hop_stream(struct session *s, struct strv text);
MAY_YIELD void hop_finish(struct session *s, struct reply *out);

#endif
