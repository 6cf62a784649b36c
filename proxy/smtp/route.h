/*
 * route -- which pools a session may need, what all of them offer, and to which one a recipient goes.
 */
#ifndef PROXY_SMTP_ROUTE_H
#define PROXY_SMTP_ROUTE_H

#include "proxy/smtp/session.h"

/*
 * A session begins, or is about to authenticate: its transactions go to its listener's pool, unless a route
 * says otherwise.  A connection that it kept of another pool is given back.  Not inside a transaction.
 */
void route_session(struct session *s);
/* A server is up that this session may need, and the first attempts are over: it may be greeted. */
bool route_up(const struct session *s);
/*
 * What every pool offers that this session may need (routes: all pools that ever spoke); mechanisms of AUTH
 * are the listener's pool's.  Nothing where none ever spoke.
 */
struct ehlo route_ehlo(const struct session *s);
/*
 * Recipient i was allowed: settles the transaction's pool and class with the first one.  False: it was
 * answered: 452 4.5.3 where it belongs to another pool or class, 451 4.4.3 where that is unknown; or the turn
 * is cancelled.  Recipients that the server refused settle nothing.
 * A session that has authenticated sends all its mail through the server that knows its user: routes do not
 * apply to it, classes do.
 */
MAY_YIELD bool route_rcpt(struct session *s, unsigned i);

#endif
