/*
 * auth -- AUTH passed through to the server: the exchange, what becomes of its answer, failures.
 *
 * The connection is taken when AUTH comes (XCLIENT or the like before it), stays with the session and is
 * never reused.  Authenticated is who the server said 235 to, and nobody else.  RFC 4954.
 */
#ifndef PROXY_SMTP_AUTH_H
#define PROXY_SMTP_AUTH_H

#include "proxy/smtp/sasl.h"
#include "proxy/smtp/session.h"

/*
 * May AUTH be offered to this client now?  It speaks TLS or the listener does without, it has not
 * authenticated yet, and every server of the listener's pool is one to which secrets may be sent: on this
 * machine, or with `tls require` or `verify`.
 */
bool auth_offered(const struct session *s);
/* AUTH mechanism [initial]. */
MAY_YIELD void auth_run(struct session *s, struct strv rest);
/*
 * PHASE_AUTH: a line of the exchange has come, or one that was too long; or the answer that was held back
 * is due.  False: nothing of it.
 */
MAY_YIELD bool auth_turn(struct session *s);
/* PHASE_AUTH: auth_turn would have something to do. */
bool auth_has_work(const struct session *s);
/* PHASE_AUTH: the answer to a failure is held back (auth-delay), until then.  0: it is not. */
uint64_t auth_held(const struct session *s);
/* PHASE_AUTH: the client has until `until` for its next line.  When to look at it again, auth_may_think. */
uint64_t auth_thinks(struct session *s, uint64_t until);
/*
 * It is time to look: true, and the deadline is moved, if it may go on thinking.  It needs no secret to get
 * as far as this, and holds a connection: where somebody waits for one it has no longer than 10 s.
 */
bool auth_may_think(struct session *s);
/* The exchange is over, however: its memory is wiped.  Harmless without one. */
void auth_drop(struct session *s);
/*
 * The server of a session that it has authenticated is gone: 421 behind what was said so far, and the end, as
 * no other connection knows this user.  Slots that wait are filled by the caller.
 */
void auth_lost(struct session *s);

#endif
