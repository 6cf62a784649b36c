/*
 * world_files -- the files of world_real: those of the machine.  For world_real.c alone.
 */
#ifndef PROXY_BASE_WORLD_FILES_H
#define PROXY_BASE_WORLD_FILES_H

struct world;

/* Fills in the members of w that are about files. They need nothing else of it, and may be called by any thread. */
void world_files_into(struct world *w);

#endif
