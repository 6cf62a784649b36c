/*
 * spawn -- postern-plugind as a process: where it lies, what it is given, how it is started.
 */
#ifndef PROXY_SPAWN_H
#define PROXY_SPAWN_H

#include <sys/types.h>

#include "filters/milter_conf.h"

struct arena;
struct log_line;

/* The program: beside our own, else where it is installed; in a.  NULL: in neither place. */
const char *spawn_program(struct arena *a);

enum { SPAWN_CHANNEL = 3, SPAWN_LISTENING = 4, SPAWN_BLAME = 5 };        /* descriptors in the new process */

/*
 * Its command line for plugin m, NULL behind the last; in a.  socket: where it listens, a path, to be handed the
 * descriptors above, or NULL: it describes the plugin and ends (--check).
 */
const char *const *spawn_words(struct arena *a, const char *program, const struct milter_conf *m, const char *socket);

struct spawn {
	const char        *program;
	const char *const *words;
	const char        *user;        /* whom it becomes where we are root; NULL: who we are */
	int                out;         /* its standard output and error */
	int                channel, listening, blame;   /* -1: none */
};

/*
 * Starts it: nothing is inherited but those descriptors and the environment of spawn.c; it dies with us.  What cannot
 * be done in the new process is said on `out', and it ends with status 127.  -1: no process can be had.
 */
pid_t spawn_start(const struct spawn *s);

/* How a process of ours has ended, as waitpid told it: signal=SIGSEGV, or exit=1. */
void spawn_log_end(struct log_line *l, int status);

/*
 * It has ended: so do the processes that it has left, as far as they are of its session.  They would hold its
 * connections open, whose other ends then wait for nobody.
 */
void spawn_sweep(pid_t pid);

#endif
