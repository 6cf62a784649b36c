/*
 * keeper_folder -- folders of plugins' sockets: whose master is gone, with all of its hosts, are removed at a next start.
 *
 * A folder is held as long as its master lives: by a lock on it, which the kernel gives back however that ends, and
 * which is known to every container that sees the folder (process ids are not).
 */
#ifndef PROXY_KEEPER_FOLDER_H
#define PROXY_KEEPER_FOLDER_H

#include <stdint.h>

struct arena;

#define FOLDER_NAME "postern-plugins-"  /* and six letters */

/*
 * A folder belongs to the user of the plugins, who may put into it, or in its place, a symbolic link to what is not
 * theirs: whatever we do there as root is done with that user's rights, between these two.  NULL: we are who we are.
 */
void folder_as(const char *user);
void folder_as_ourselves(void);

/*
 * Makes one that the processes of `user' alone can enter, its path in a, and holds it; those that were left behind go
 * first.  -1: *why, static or in said.
 */
int folder_make(struct arena *a, const char *user, uint64_t wall, const char **folder, struct arena *said,
    const char **why);

#endif
