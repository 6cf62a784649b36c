/*
 * session_own -- what session.c, session_open.c, session_time.c, session_close.c, xclient_in.c and resend.c
 * share; nobody else includes it.
 */
#ifndef PROXY_SMTP_SESSION_OWN_H
#define PROXY_SMTP_SESSION_OWN_H

#include "proxy/smtp/session.h"

/* What there is to do outside a turn; begins one where there is text for it.  May free s. */
void session_advance(struct session *s);
/* The same from the loop's wake queue. */
void session_later(struct session *s);
void session_event(void *arg);           /* the connection's on_event */

/* session_time.c.  The timer's: the client's time may be over, or a fiber free by now.  May free s. */
void session_timer(void *arg);
/*
 * It is the client's move again, after a turn that began at `began` (ms of loop_now); took: it found something to
 * do.  Moves the deadlines of the client and of its text.
 */
void session_client_again(struct session *s, uint64_t began, bool took);

/* session_open.c: one that is not listed yet and has no connection; among those of m. */
struct session *session_new(struct smtp *m, const struct listener *l, const struct endpoint *peer,
    const struct endpoint *local);
void session_list(struct smtp *m, struct session *s);
/* Steps of the phases before the greeting. */
void session_proxy_header(struct session *s);
void session_handshake(struct session *s);
/* The upstream's EHLO is known (or the hop has none).  False: it is being watched, with a deadline. */
bool session_may_greet(struct session *s);

/*
 * Under what the client is counted: its address, or the IPv6 /64 around it, which whoever has one address has
 * (RFC 4291 2.5.4); to each its own count were no limit.
 */
uint64_t session_client_key(const struct session *s);
/*
 * Counts the session for its client's address, and no more for the one it had (XCLIENT).  False: there are
 * too many of it.
 */
bool session_count_client(struct session *s);

/* session_close.c.  The second and third may free s. */
void session_say_shutdown(struct session *s);
void session_begin_closing(struct session *s);
void session_closing(struct session *s);

#endif
