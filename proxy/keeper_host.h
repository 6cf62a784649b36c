/*
 * keeper_host -- one process of an isolated plugin, and those that follow it: start, back-off, death.
 *
 * What stays from one process to the next is its socket, in whose queue clients wait meanwhile, and the page that tells
 * who is to blame for a death (proxy/base/blame.h).
 */
#ifndef PROXY_KEEPER_HOST_H
#define PROXY_KEEPER_HOST_H

#include <sys/types.h>

#include "filters/milter_conf.h"
#include "proxy/keeper_cpu.h"
#include "proxy/keeper_said.h"

struct arena;
struct world;

struct host {
	struct strv        name;
	const char        *path;                /* of its socket */
	const char *const *words;               /* its command line */
	const char        *program, *user;
	bool               ending;              /* it was told to end, and is not started again */
	pid_t              pid;                 /* 0: none runs */
	int                channel, listening;  /* -1: none */
	bool               ready;
	bool               full;                /* its memory comes to an end: it wants a successor */
	bool               low;                 /* its limit is too low: that was said */
	uint64_t           full_at, full_wait;  /* not before then it has one; ms of the last one's life before that */
	bool               retired, held;       /* it has one; and takes no sessions any more */
	uint64_t           started, start_at, backoff, kill_at;         /* start_at, kill_at 0: not due */
	uint64_t           look_at;
	struct cpu_watch  *cpu;
	struct said        said;
	struct blame      *blame;               /* NULL: none could be had */
	int                blame_fd;
	uint32_t           blamed;              /* blame_count when the process was started */
};

/* No process, and none will be: a place for one that is replaced. */
void host_none(struct host *h);
/* h of all zero; writes the address and the page into m, of which everything else is copied into a. */
void host_init(struct host *h, struct arena *a, struct milter_conf *m, const char *folder, const char *program,
    const char *user);
void host_fini(struct host *h);
void host_start(struct host *h, struct world *w);
/* The channel is readable. */
void host_hear(struct host *h, struct world *w);
/*
 * Its process goes on as `old', of which none runs, and another one is started.  When that is ready, host_hold tells
 * old to take no more sessions: it ends with those that it has.
 */
void host_succeed(struct host *h, struct host *old, struct world *w);
void host_hold(struct host *old);
/* Its predecessor has ended: where it is in a long back-off, clients are better refused. */
void host_alone(struct host *h, struct world *w);
/* The order to end. */
void host_end(struct host *h, struct world *w);
/*
 * Its process has ended: another one follows, behind the back-off, unless it was told to end.  covered: another one takes
 * sessions from its socket meanwhile.
 */
void host_ended(struct host *h, struct world *w, int status, bool covered);
/* The same, and none follows. */
void host_forget(struct host *h, struct world *w);
/* When something is due next (UINT64_MAX: nothing), and doing it. */
uint64_t host_next(const struct host *h);
void host_due(struct host *h, struct world *w);
/* In a child of the master: what is the master's is forgotten. */
void host_leave(struct host *h);

/*
 * keeper_full.c: its memory comes to an end, and it says so.  Where each process does soon after its start, no successor
 * would be better: they follow one another at longer and longer times.
 */
void full_hear(struct host *h, struct world *w);
/* When its successor is to be started (UINT64_MAX: none is, or not yet); old: its place, another one may be there yet. */
uint64_t full_next(const struct host *h, const struct host *old);
/* It dies; none: for want of memory. */
void full_ended(struct host *h, uint64_t now, bool none);
/* ms that a process has to live before its successor; last: of the one before, 0: it is the first; lived: when it was full. */
uint64_t full_wait(uint64_t last, uint64_t lived);
void host_say(const struct host *h, struct world *w, const char *what, const char *key, const char *value);
/* ms until a host that lived so long is started again; last: what it was before, 0: it is the first death. */
uint64_t host_backoff(uint64_t last, uint64_t lived);

#endif
