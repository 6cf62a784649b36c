/*
 * world_sim -- a world of its own: clock, randomness, network, files and log of one test.
 *
 * One process, one thread.  sim_run() lets the loop and the actors act until neither has anything
 * to do; only then the clock jumps to the next timer.  The same seed gives the same log.
 */
#ifndef TESTS_SIM_WORLD_SIM_H
#define TESTS_SIM_WORLD_SIM_H

#include <stdio.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

#define SIM_START 1000                  /* ms of the clock when a world begins */
#define SIM_NEVER UINT64_MAX

/*
 * One end of a connection that a test plays.  act() does what can be done without waiting and says
 * whether anything was; it is called when its descriptor is ready, its time has come, `again` is
 * set, and, with `settled`, once for all when the rest of the world has nothing to do.
 */
struct actor {
	char          name[24];
	int           fd;               /* -1: none */
	bool          writing;          /* wants to know when it can write */
	bool          deaf;             /* does not read */
	bool          again, over;      /* over: freed by the world after act() */
	uint64_t      wake;             /* SIM_NEVER: none */
	bool        (*act)(struct actor *, bool settled);
	void        (*free)(struct actor *);
	struct sim   *sim;
	struct actor *next;
};

struct sim_file {
	char            *path;
	struct buf       text;
	bool             dir, made;     /* made: put there by the proxy */
	struct sim_file *next;
};

/* A place that can be connected to. dial: a descriptor for the proxy, or -1 or WORLD_AGAIN with *why. */
struct sim_place {
	struct endpoint   at;
	int             (*dial)(void *arg, const char **why);
	void             *arg;
	struct sim_place *next;
};

struct sim_temp;                        /* a file being written */
struct sim_dns;                         /* dns_sim.h */

struct sim {
	struct world      world;
	struct loop      *loop;
	uint64_t          clock;
	uint64_t          random_proxy, random_actors;
	struct actor     *actors;
	struct sim_place *places;
	struct sim_file  *files;
	struct sim_temp  *temps;
	struct sim_dns   *dns;
	bool              disk_full;
	bool              disk_unreadable;      /* what is spooled now can be written alone */
	bool              shuffle;      /* ready actors act or not by chance */
	int               sndbuf;       /* octets a connection holds, 0: the system's */
	struct buf        log;          /* "seconds line\n" of every line logged */
	struct buf        story;        /* the same and what actors say */
	FILE             *echo;         /* the story as it happens, or NULL */
};

enum sim_rc { SIM_FINISHED, SIM_LATE, SIM_STUCK, SIM_RESTLESS };

struct sim *sim_new(uint64_t seed);     /* with its loop */
void sim_free(struct sim *s);           /* frees actors and files */
uint64_t sim_random(struct sim *s);     /* for actors */
/* 0 .. n-1; n > 0 */
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, unsigned percent);

/* act and free are set by the caller */
void sim_actor(struct sim *s, struct actor *a, const char *name);
void sim_note(struct sim *s, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void sim_note_octets(struct sim *s, const char *who, const char *mark, struct strv v);

/* Until finished(arg), at the latest at `until` (ms of the clock). */
enum sim_rc sim_run(struct sim *s, bool (*finished)(void *arg), void *arg, uint64_t until);
const char *sim_rc_name(enum sim_rc rc);

void sim_place(struct sim *s, const struct endpoint *at, int (*dial)(void *, const char **),
    void *arg);
/* Both ends non-blocking; false: no descriptors. */
bool sim_pair(struct sim *s, int fd[2]);
void sim_write_file(struct sim *s, const char *path, struct strv text);
struct sim_file *sim_find_file(struct sim *s, struct strv path);

unsigned sim_count_fds(void);            /* open descriptors of this process */
/* Does text match the pattern, in which * stands for any run of octets? */
bool sim_match(struct strv pattern, struct strv text);

#endif
