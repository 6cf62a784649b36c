/*
 * listens -- `listen' statements as they are written: their names and options, without a socket.
 */
#ifndef POLICY_LISTENS_H
#define POLICY_LISTENS_H

#include "policy/expr.h"
#include "policy/policy.h"

/* The next of them; *at: 0 for the first.  NULL: there is none. */
const struct conf_plain *listens_next(const struct conf *c, unsigned *at);
/* What it is called, else its address; absent: it has neither. */
struct strv listens_name(const struct conf_plain *x);
bool listens_has(const struct conf_plain *x, struct strv option);
/* May a client of the listener of that name have TLS?  Absent: of the first. */
bool listens_offers_tls(const struct conf *c, struct strv name);
/*
 * listens_tls_first -- has TLS begun before the greeting, wherever `when' may be true?
 *
 * A listener is left out where `when' says in so many words that it is another: listener is NAME, alone or with `and'.
 * False: *none has no `tls'; NULL: there is no listener.
 */
bool listens_tls_first(const struct conf *c, const struct expr *when, const struct conf_plain **none);

#endif
