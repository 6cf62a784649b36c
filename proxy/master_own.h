/*
 * master_own -- what the files of the master share; nobody else includes it.
 *
 * master         signals and the wait: birth, stop, end
 * master_reload  what holds is changed for what a file says now
 * master_log     what the master says, and where the log of all goes
 *
 * Invariant: what holds (arena, settings, sockets, log, generation) changes as a whole or not at all.
 */
#ifndef PROXY_MASTER_OWN_H
#define PROXY_MASTER_OWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proxy/crew.h"
#include "proxy/keeper.h"
#include "proxy/master.h"
#include "proxy/sockets.h"

struct master_log {
	int      fd;                    /* where the log goes */
	int      pipe[2];               /* towards the logger; -1: no syslog so far */
	pid_t    logger;                /* 0: none */
	uint64_t logger_at;             /* ms: not before then is one started */
};

struct master {
	struct world     *w;
	const char       *path;
	struct arena     *a;            /* of the configuration that holds */
	struct settings  *s;
	struct sockets    sockets;
	struct crew       crew;
	struct keeper    *keeper;
	struct master_log log;
	pid_t             checker;      /* 0: none */
	uint64_t          check_until;  /* ms; 0: it need not end, or was ended */
	bool              check_again;  /* a SIGHUP came while the checker ran */
	bool              unsaid;       /* what was loaded has not all of its workers yet, so that no line says so */
	uint64_t          tickets_at;   /* ms: when the keys of tickets are made to follow the clock */
	bool              stopping;
	int               signals;      /* signalfd */
};

/* --- master.c --- */

/* In any child: closes what is the master's, which is m.  The listening sockets and the log are left. */
void master_leave(void *m);

/* --- master_reload.c --- */

/* Somebody wants a reload: a checker is started, or, where one is at work, another behind it. */
void master_reload(struct master *m);
/* The checker is gone: what it found good is loaded. */
void master_checked(struct master *m, int status);
/* Says that a reload is done, once it is: not before all workers could be made. */
void master_say_reloaded(struct master *m);
/* Ends a checker whose time is over. */
void master_bound_checker(struct master *m);
/*
 * Takes over what s wants of the system: log, sockets, number of workers.  All or nothing; false: *why, in a.
 * The processes of its plugins are not in that: the caller asks for them.
 */
bool master_take_over(struct master *m, struct settings *s, struct arena *a, const char **why);

/* --- master_log.c --- */

/* A line with one key; NULL: with none. */
void master_say(struct master *m, const char *what, const char *key, const char *value);
/* The line that tells what holds now, and lines of what is allowed but hardly meant. */
void master_say_settings(struct master *m, const char *what);
void master_log_init(struct master *m);
/* Where s wants the log: a descriptor for master_log_to, or -1 with *why. */
int master_log_open(struct master *m, const struct settings *s, const char **why);
/* One that was opened for s is not wanted after all. */
void master_log_drop(const struct settings *s, int fd);
/* From now on the log goes there. */
void master_log_to(struct master *m, int fd);
void master_log_reopen(struct master *m);       /* the file may have been moved away */
/* Is the process that ended the one that speaks to syslog? */
bool master_log_ended(struct master *m, pid_t pid);
/* When one is due, UINT64_MAX: none; and starting it. */
uint64_t master_log_next(const struct master *m);
void master_log_due(struct master *m);
/* The last thing of all: waits, at most 5 s, until the logger has told what is left and is gone. Nothing is said behind it. */
void master_log_end(struct master *m);

#endif
