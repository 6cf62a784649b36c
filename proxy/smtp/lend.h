/*
 * lend -- a transaction that waits for what we look up lends its connection to sessions that wait for one.
 *
 * Without it a DNS that is slow would fill the places of a server with transactions in which nothing happens.
 * What was said on the connection is said again on another one when the message goes on (replay_lent).
 */
#ifndef PROXY_SMTP_LEND_H
#define PROXY_SMTP_LEND_H

#include "proxy/smtp/session.h"

#define LEND_MS 5       /* who waits less keeps it: saying all of it again has a price, too */

struct lend {                           /* on the stack of the turn that waits */
	struct timer    timer;
	struct session *s;
};

/* From now until lend_end nothing but another session may touch relay.up, and that by pool_lend alone. */
void lend_begin(struct lend *l, struct session *s);
/* relay.lent says what became of it. */
void lend_end(struct lend *l);

#endif
