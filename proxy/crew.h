/*
 * crew -- the workers: which there are, which place each serves, how they come and go.
 *
 * A place is a column of listening sockets.  A generation is the workers of one configuration: one for
 * each place.  The owner of a place is the worker that accepts there: the newest of its own that is
 * ready, or, while it has none, whoever can.  From that one rule follow the change of generations and
 * what happens when a worker dies.  Old workers that own nothing drain.
 */
#ifndef PROXY_CREW_H
#define PROXY_CREW_H

#include <poll.h>
#include <sys/types.h>

#include "proxy/base/doing.h"
#include "proxy/settings.h"
#include "proxy/sockets.h"

#define CREW_MAX 128                    /* workers of a generation */

struct stuck {                          /* a worker whose loop does not turn, as looks at it now and then tell */
	uint64_t    since;              /* ms: first seen where it was at the last look; 0: its loop turns */
	uint64_t    tell_at;
	struct doing_said at;           /* the plugin and its callback, or the round of its loop */
	bool        loads;              /* it is not ready, and in no callback */
	bool        told;
};

struct child {
	pid_t    pid;                   /* 0: no such */
	int      control;               /* -1: its end was seen */
	unsigned generation, place;
	bool     ready, draining;
	uint64_t started, kill_at;      /* kill_at: 0 never */
	uint64_t deaf_until;            /* not before then is its channel read: there was no memory for it */
	uint64_t lost_at;               /* 0: its channel is open; when it is alive then, it drains by itself */
	uint64_t drain;                 /* ms: its own, which a reload does not change */
	bool     plugins;               /* some live in it: it is looked at more often whether it hangs */
	struct stuck stuck;
};

struct place {
	int      own;                   /* the worker of this generation for it: index of child, or -1 */
	int      owner;                 /* who accepts here, or -1 */
	uint64_t start_at;              /* when the next worker of its own begins; 0: none is wanted */
	uint64_t backoff;
	int      failed;                /* errno of the last try to begin one; 0: none failed */
};

struct crew {
	struct world          *w;
	struct counters       *counters;
	/* What new workers are given; the master changes it before crew_want. */
	const struct settings *settings;
	const struct sockets  *sockets;
	unsigned               workers;
	int                    log_fd;
	/* In a new process: closes what is the master's and not a worker's. */
	void                 (*leave)(void *arg);
	void                  *arg;
	/* the crew's own */
	struct child          *child;   /* n_child; child[i] counts in column i of the counters */
	unsigned               n_child;
	struct place          *place;
	unsigned               n_place;
	unsigned               generation;
	bool                   stopping, waits;        /* waits: for a column; that was said */
	uint64_t               complain_at;            /* not before then is another failure to begin one told */
	uint64_t               look_at;                /* not before then is it looked at whether a worker hangs */
};

/* Columns for CREW_MAX workers, and for those of older generations that drain. False: no memory. */
bool crew_init(struct crew *c, struct world *w);
void crew_fini(struct crew *c);                 /* nobody is alive */
/* A new generation, of settings, sockets and workers as they are now. */
void crew_want(struct crew *c);
/* Is the process that ended one of them? */
bool crew_ended(struct crew *c, pid_t pid, int status);
void crew_log(struct crew *c, int fd);          /* the log was opened again */
void crew_drain(struct crew *c);                /* all finish what they have and end; none is replaced */
void crew_abort(struct crew *c);                /* all end now */
bool crew_alive(const struct crew *c);
/* There is a place for which a worker could not be made: who had it before serves on, or nobody does. */
bool crew_lacks(const struct crew *c);
unsigned crew_oldest(const struct crew *c);     /* the generation of the oldest that is alive, or the newest */

/* Fills pollfds, room for n_child; gives how many are to be polled. crew_reports takes what they say. */
unsigned crew_poll(const struct crew *c, struct pollfd *p);
void crew_reports(struct crew *c, const struct pollfd *p, unsigned n);
/* When something is due next (UINT64_MAX: nothing), and doing it. */
uint64_t crew_next(const struct crew *c);
void crew_due(struct crew *c);
/* In a child of the master: the ends of all others. */
void crew_close(const struct crew *c);

/*
 * stuck_look -- is a worker where it was at the last look?
 *
 *   s      all zero at first
 *   d      what it is doing, which it may write all the time
 *   ready  it has said so; before, it loads its plugins
 *
 * STUCK_TELL: it has been there for 5 s, or for another minute.  STUCK_BACK: it was said to be, and is not any more; what
 * s held before is what is over.
 */
enum stuck_news { STUCK_NO_NEWS, STUCK_TELL, STUCK_BACK };
enum stuck_news stuck_look(struct stuck *s, const struct doing *d, bool ready, uint64_t now);

#endif
