/*
 * keeper -- the processes of isolated plugins: started, watched, limited, restarted with back-off.
 *
 * Of the master.  A host is one process (postern-plugind) for one plugin of one generation; it listens on a unix socket
 * in a folder of its own that only we can enter, whose path stands in milter_conf.at before workers fork.  It dies with
 * its plugin.  That costs the message whose callback it died in `on failure': who that was stands in a page that
 * outlives it (milter_conf.blame), and workers tell the next process of all others that it held.  The socket is the
 * master's: who comes while a host is started anew waits in its queue.  One whose memory comes to an end gets a
 * successor while it lives, which takes the new sessions.
 */
#ifndef PROXY_KEEPER_H
#define PROXY_KEEPER_H

#include <poll.h>
#include <sys/types.h>

#include "proxy/settings.h"

#define KEEPER_HOSTS 256                /* of all generations together */
#define KEEPER_FDS   (4 * KEEPER_HOSTS) /* of pollfds */

struct keeper;

struct keeper *keeper_new(struct world *w);
/* All hosts end, folders are removed.  NULL is allowed. */
void keeper_free(struct keeper *k);
/*
 * Starts the hosts of a configuration and writes their addresses into it; generation: crew.generation that will use
 * them.  Waits until they serve, at most READY_MS.  False with *why in a: no folder, no program, a plugin that cannot
 * be loaded; nothing of it runs then.
 */
bool keeper_want(struct keeper *k, struct settings *s, unsigned generation, struct arena *a, const char **why);
/* What was wanted last is not, after all. */
void keeper_drop(struct keeper *k, unsigned generation);
/* Workers older than that are gone: so are their hosts. */
void keeper_retire(struct keeper *k, unsigned before);
/* Is the process that ended one of ours?  It is started again, behind its back-off. */
bool keeper_ended(struct keeper *k, pid_t pid, int status);
/* Fills pollfds, room for KEEPER_FDS; gives how many are to be polled. keeper_reports takes what they say. */
unsigned keeper_poll(const struct keeper *k, struct pollfd *p);
void keeper_reports(struct keeper *k, const struct pollfd *p, unsigned n);
/* When something is due next (ms of world->now, UINT64_MAX: nothing), and doing it. */
uint64_t keeper_next(const struct keeper *k);
void keeper_due(struct keeper *k);
/* In a child of the master: what is the master's is forgotten, nothing is ended. */
void keeper_leave(struct keeper *k);
#endif
