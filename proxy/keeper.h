/*
 * keeper -- the processes of isolated plugins: started, watched, limited, restarted with back-off.
 *
 * Of the master.  A host is one process (postern-plugind) for one plugin of one generation; it listens on a unix socket
 * in a folder of its own that only we can enter, whose path stands in milter_conf.at before workers fork.  It dies with
 * its plugin, which costs the messages that it held their `on failure', and nobody else anything.
 */
#ifndef PROXY_KEEPER_H
#define PROXY_KEEPER_H

#include <sys/types.h>

#include "proxy/settings.h"

struct keeper;

/* log_fd: where hosts write.  NULL: no memory. */
struct keeper *keeper_new(struct world *w, int log_fd);
/* All hosts end (SIGTERM, SIGKILL after 5 s), folders are removed. */
void keeper_free(struct keeper *k);
/*
 * Starts the hosts of a configuration and writes their addresses into it; generation: crew.generation that will use
 * them.  False with *why (static or in the settings' arena): no folder, no program; nothing of it runs then.
 */
bool keeper_want(struct keeper *k, struct settings *s, unsigned generation, const char **why);
/* Workers older than that are gone: so are their hosts. */
void keeper_retire(struct keeper *k, unsigned before);
/* Is the process that ended one of ours?  It is started again, behind its back-off. */
bool keeper_ended(struct keeper *k, pid_t pid, int status);
/* When something is due next (ms of world->now, UINT64_MAX: nothing), and doing it. */
uint64_t keeper_next(const struct keeper *k);
void keeper_due(struct keeper *k);
void keeper_log(struct keeper *k, int fd);      /* the log was opened again */
/* In a child of the master: what is the master's is forgotten, nothing is ended. */
void keeper_leave(struct keeper *k);

#endif
