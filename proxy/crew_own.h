/*
 * crew_own -- what the files of the crew share; nobody else includes it.
 *
 * crew           processes: birth, death, what is due
 * crew_places    which worker accepts at which place
 * crew_channel   orders to the workers, and their reports
 * crew_stuck     which of them hang
 */
#ifndef PROXY_CREW_OWN_H
#define PROXY_CREW_OWN_H

#include "proxy/control.h"
#include "proxy/crew.h"

#define NOBODY (-1)                     /* no child; no column is free */

/* --- crew_places.c --- */

/*
 * Gives each place to whom it belongs now, and drains workers of old generations that own none: whenever somebody has
 * become ready or died, or the generation is another.  Nothing in a crew that stops.
 */
void crew_own_places(struct crew *c);
/* It takes no more clients, whether by our order or by itself, and has its time to end in. */
void crew_drains(struct crew *c, struct child *k);

/* --- crew_channel.c --- */

/*
 * place, of CONTROL_ADOPT and CONTROL_LEAVE, and pass, a descriptor that goes along (-1: none, stays the caller's), as
 * control_send has them.  A child whose end was seen gets nothing, one whose queue is full is killed.
 */
void crew_order(struct crew *c, int child, enum control_kind kind, unsigned place, int pass);

/* --- crew_stuck.c --- */

/* Do plugins live in workers of these settings? */
bool crew_plugins(const struct settings *s);
/* When it is to be looked at next whether a worker hangs (UINT64_MAX: there is none), and looking, where it is due. */
uint64_t crew_stuck_next(const struct crew *c);
void crew_stuck_due(struct crew *c);

#endif
