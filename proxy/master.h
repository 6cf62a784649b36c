/*
 * master -- the process that owns the listening sockets and the workers, and reads no peer's octet.
 */
#ifndef PROXY_MASTER_H
#define PROXY_MASTER_H

#include "proxy/settings.h"

struct master;

/*
 * master_new -- everything that can go wrong before the first worker
 *
 *   w      world_real, its log on standard error
 *   path   the configuration, read again by a reload
 *   a, s   what settings_load gave: the master's from now on, also where it fails
 *
 * Opens the sockets, the log and the shared pages.  NULL: *why says what cannot be done.
 */
struct master *master_new(struct world *w, const char *path, struct arena *a, struct settings *s, const char **why);
/* Serves until it is told to stop by a signal; frees m.  The status to exit with. */
int master_run(struct master *m);

#endif
