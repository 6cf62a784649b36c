/*
 * hop_smtp -- what the files of the SMTP and LMTP hops share: connections, queueing commands, failures, replay.
 */
#ifndef PROXY_SMTP_HOP_SMTP_H
#define PROXY_SMTP_HOP_SMTP_H

#include "proxy/smtp/session.h"

/* --- a connection: hop_connect.c --- */

/*
 * hop_connect -- takes a connection, says who the client is, and sees that it has every extension that
 * this transaction uses; where one server fails in that, the next one that is not in relay.avoid
 *
 *   fresh   none that idled
 *
 * False: the transaction is broken.  Sets relay.up.
 */
MAY_YIELD bool hop_connect(struct session *s, bool fresh);
/*
 * hop_take_bound -- a connection for AUTH, with no transaction open: relay.up, for this session alone
 *
 *   mechanisms   bits of sasl.h of which the server must offer all, also to the client that XCLIENT named
 *
 * What was kept in relay.up is given back first.  UP_OK; else relay.up is NULL, and it was logged.  Parks.
 */
MAY_YIELD enum up_rc hop_take_bound(struct session *s, uint32_t mechanisms);
/* The server that was asked has failed this transaction: is there another one to ask?  Logs and counts it. */
bool hop_next_server(struct session *s, const struct upstream *up, const char *why);
/* The connection has every extension that this transaction uses. */
bool hop_keeps_promises(const struct session *s, const struct upstream *up);
/* The transaction's arena, else the session's. */
static inline struct arena *
hop_arena(const struct session *s)
{
	return session_tx(s) != NULL ? session_tx(s)->a : s->a;
}

/* --- the envelope: hop_smtp.c; the first four are struct hop's --- */

MAY_YIELD void hop_mail(struct session *s, struct slot *slot);
MAY_YIELD void hop_rcpt(struct session *s, unsigned i, struct slot *slot);
void hop_end(struct session *s);
void hop_close(struct session *s);
/* MAIL, with RSET in front where one is open and XFORWARD where it is wanted, and one RCPT into cmds; replies are owed. */
void hop_queue_mail(struct session *s, struct slot *slot);
void hop_queue_rcpt(struct session *s, unsigned i, struct slot *slot);
/* Settles first where one more command must not be on its way at once. */
MAY_YIELD void hop_make_room(struct session *s);

/* --- the replies: hop_settle.c --- */

/* Waits for all that is owed; struct hop's. */
MAY_YIELD void hop_settle(struct session *s);
/*
 * The connection failed or talked nonsense: it is closed, every reply owed becomes 451, the transaction is
 * broken.  A session bound by AUTH hears 421 and ends.
 */
void hop_fail(struct session *s, enum up_rc rc);
/* The same where the fault is our own: the text in the spool cannot be read, and a part of it has gone out. */
void hop_unread(struct session *s);
/* The reply to a command of that kind, for as long as upstream_ms says. */
MAY_YIELD enum up_rc hop_await(struct upstream *up, enum owed_kind kind, struct reply *out);
/* The ring of replies owed: one more, behind the others (there must be room); the first one, taken out. */
void hop_owe(struct upstream *up, enum owed_kind kind, unsigned rcpt, struct slot *slot);
struct owed hop_owed_pop(struct upstream *up);

/* --- replay.c --- */

/* Closes relay.up, if there is one: its state is unknown. */
void hop_drop(struct session *s);

/*
 * replay_owed -- the commands whose replies are owed, once more on another connection: of those that the
 * server answered the client has heard nothing
 *
 *   fresh   as for hop_connect
 *
 * False: broken.
 */
MAY_YIELD bool replay_owed(struct session *s, bool fresh);
/* The whole transaction so far, on a fresh connection; every answer must be 2xx.  False: broken. */
MAY_YIELD bool replay_transaction(struct session *s);
/* The same where the connection was lent (relay.lent), on any. */
MAY_YIELD bool replay_lent(struct session *s);
/* The same on the connection at hand, behind RSET. */
MAY_YIELD bool replay_here(struct session *s);

/* --- who the client is: xclient.c, xforward.c --- */

#define XCLIENT_LINE    510                     /* 512 with CRLF, of XFORWARD, too */
#define XCLIENT_ADDRESS (ADDR_TEXT + 8)

/*
 * XCLIENT on a ready connection, then EHLO; needs no transaction.  PROTOCOL: Postfix XCLIENT_README.
 * *unwelcome: the server's refusal of that EHLO, a view of up's, when UP_REFUSED; else untouched.
 */
MAY_YIELD enum up_rc xclient_say(struct session *s, struct upstream *up, struct reply *unwelcome);
/* Its one or two command lines, for tests: pure. */
void xclient_print(struct buf *out, const struct client *c, uint32_t attributes, struct strv user);
/* " NAME=value" in xtext; absent or too long: [UNAVAILABLE]. Pure. */
void xclient_attribute(struct buf *out, const char *name, struct strv value);
/* "192.0.2.1", "IPV6:2001:db8::1"; absent: no IP address. Pure. */
struct strv xclient_address(const struct addr *a, char text[XCLIENT_ADDRESS]);
/*
 * The lines of XFORWARD for one transaction, of what the server listed, each at most 512 octets.
 * Gives their number.  Pure.  id: IDENT.
 */
unsigned xforward_print(struct buf *out, const struct client *c, uint32_t listed, struct strv id);
/* They go in front of MAIL where the server's `identity` asks for them. */
void xforward_queue(struct session *s);
void xforward_answered(struct session *s, const struct reply *r);

/* --- the text: hop_stream.c and hop_text.c --- */

MAY_YIELD bool hop_stream(struct session *s, struct strv text);
MAY_YIELD void hop_finish(struct session *s, struct reply *out);
MAY_YIELD bool hop_redirect(struct session *s, unsigned i);

/* --- relay_envelope.c --- */

MAY_YIELD bool hop_envelope(struct session *s, bool anew);

#endif
