/*
 * route -- which pools a session may need, what all of them offer, and to which one a recipient goes.
 */
#ifndef PROXY_SMTP_ROUTE_H
#define PROXY_SMTP_ROUTE_H

#include "proxy/smtp/session.h"

/* A session begins: its transactions go to its listener's pool, unless a route says otherwise. */
void route_session(struct session *s);
/* A server is up that this session may need: it may be greeted. */
bool route_up(const struct session *s);
/* What every pool offers that this session may need (routes: all pools). Nothing where none ever spoke. */
struct ehlo route_ehlo(const struct session *s);
/*
 * Recipient i was allowed: settles the transaction's pool and class with the first one.  False: it was
 * answered: 452 4.5.3 where it belongs to another pool or class, 451 where that is unknown.
 * A first recipient that the server refuses settles nothing.
 */
MAY_YIELD bool route_rcpt(struct session *s, unsigned i);

#endif
