/*
 * milterd_own -- what milterd.c, milterd_loop.c and milterd_log.c share, and nobody else.
 */
#ifndef PROXY_HOSTS_MILTERD_OWN_H
#define PROXY_HOSTS_MILTERD_OWN_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "proxy/base/loop.h"
#include "proxy/hosts/bridge.h"
#include "proxy/settings.h"

/* What the command line gives. */
struct given {
	const char *file, *socket, *group, *pid;
	bool        check, help, version;
};

struct milterd_log {
	int              fd, pipe[2];   /* fd: where the log goes; pipe: towards the logger, -1: no syslog */
	pid_t            logger;        /* 0: none */
	uint64_t         logger_at;     /* ms: not before then is one started */
	struct timer     again;
};

struct milterd {
	struct given     given;
	struct arena    *a;
	struct world    *w;
	struct settings *s;
	struct bridge   *bridge;
	struct visits   *visits;
	struct loop     *loop;
	struct loop_fd   signals;       /* SIGUSR1, SIGCHLD */
	pthread_t        thread;
	struct milterd_log log;
	int              ready[2];      /* the loop's thread tells how it began */
};

/* --- milterd.c --- */

/* "what: why" to standard error; why may be NULL.  Gives EXIT_MISTAKES. */
int milterd_fail(const char *what, const char *why);
/* --- milterd_log.c --- */

/*
 * Where the log is wanted: a descriptor of the caller's, or -1 with *why (strerror's, or static).  For syslog it is a
 * pipe to a process that is started here.
 */
int milterd_open_log(struct milterd *m, const char **why);
/* In the loop: has the logger died?  Then another is started, a second behind the birth of the last. */
void milterd_watch_logger(struct milterd *m);
void milterd_log_again(struct milterd *m);      /* in the loop: the file may have been moved away */
/* Behind the end of the loop, and nothing is said behind it: waits, at most 5 s, until the logger has told what is left. */
void milterd_end_log(struct milterd *m);

/* --- milterd_loop.c: both are for the main thread --- */

/*
 * Starts the thread of the loop and waits until it serves: bridge and visits are there then.  Signals that are its or
 * libmilter's are blocked in every thread from here on.  False: it was said why.
 */
bool milterd_start_loop(struct milterd *m);
/*
 * No more calls: those in hand are answered, as long as `drain' allows or until another SIGTERM, and what was answered
 * reaches the mail server.  The thread has ended behind it.
 */
void milterd_stop_loop(struct milterd *m);

#endif
