/*
 * keeper_folder -- folders of plugins' sockets: whose master is gone, with all of its hosts, are removed at a next start.
 *
 * A folder is held as long as its master lives: by a lock on it, which the kernel gives back however that ends, and
 * which is known to every container that sees the folder (process ids are not).
 */
#ifndef PROXY_KEEPER_FOLDER_H
#define PROXY_KEEPER_FOLDER_H

#include <stdint.h>

#define FOLDER_NAME "postern-plugins-"  /* and six letters */

/* The descriptor that holds it, to be closed by whom it is not for, too; -1: that cannot be had. */
int folder_hold(const char *path);
/*
 * In base, with the rights that we have on files now: those of our own user that nobody holds and that were made a
 * while ago (wall: world->wall) go, with the sockets in them.  No link is followed, and what is no socket stays.
 */
void folder_sweep(const char *base, uint64_t wall);

#endif
