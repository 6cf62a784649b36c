/*
 * callbacks_own -- what the callbacks*.c share; nobody else includes it.  All of it runs in libmilter's threads.
 */
#ifndef PROXY_HOSTS_CALLBACKS_OWN_H
#define PROXY_HOSTS_CALLBACKS_OWN_H

#include <stdbool.h>

#include <libmilter/mfapi.h>

#include "proxy/hosts/visit.h"

#define MACROS_ROOM 4096        /* octets of all macros of one call; longer ones are left out */

/* Macros: callbacks_macros.c.  At the negotiation, where the mail server lets us choose (SMFIF_SETSYMLIST). */
void callbacks_ask_macros(SMFICTX *ctx);
/* Those that the mail server tells of now go into c, which was made for room + MACROS_ROOM octets. */
void callbacks_keep_macros(SMFICTX *ctx, struct visit_call *c, size_t room);

/*
 * The answer, said with smfi_*: callbacks_say.c.  leadspc: a value brings its blank behind the colon along
 * (SMFIP_HDR_LEADSPC); else the mail server puts one in, and edits of a are changed to leave theirs out.
 * The result is for libmilter.
 */
sfsistat callbacks_say(SMFICTX *ctx, bool leadspc, struct visit_answer *a);

#endif
