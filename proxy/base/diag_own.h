/* diag_own -- what the files of diag share; nobody else includes it. */
#ifndef PROXY_BASE_DIAG_OWN_H
#define PROXY_BASE_DIAG_OWN_H

#include "proxy/base/diag.h"

struct buf;

/*
 * Adds the character at the start of v, which is not empty, in a form fit for a terminal: itself, or \xNN for
 * an octet of a control or of what is not UTF-8.  Gives how many octets of v that were, 1..4.
 */
unsigned diag_add_safe(struct buf *b, struct strv v);

#endif
