/*
 * milter_socket_own -- what the two files of a milter's socket share; nobody else includes it.
 */
#ifndef FILTERS_MILTER_SOCKET_OWN_H
#define FILTERS_MILTER_SOCKET_OWN_H

#include "filters/milter_end.h"
#include "proxy/base/io.h"

/*
 * milter_dial.c: io is connected to `at'; until: absolute ms.  Parks.  LATE, AWAY, CANCELLED: *why says what was wrong
 * (static); OK leaves it alone.  Whatever came of it, io is the caller's to close.
 */
MAY_YIELD enum milter_rc milter_socket_dial(struct conn *io, const struct endpoint *at, uint64_t until, const char **why);

#endif
