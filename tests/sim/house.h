/*
 * house -- the proxy under test, as a worker would run it, in a simulated world.
 */
#ifndef TESTS_SIM_HOUSE_H
#define TESTS_SIM_HOUSE_H

#include "proxy/settings.h"
#include "tests/sim/world_sim.h"

#define HOUSE_UPSTREAM "127.0.0.1:2525"

struct counters;

/*
 * The two ways in which a worker sends: as it comes, and all of a round at its end (io_batch_start).  Nobody but the
 * kernel may notice which it is, so what is played is played both ways.
 */
enum house_mode { HOUSE_PLAIN, HOUSE_BATCH, HOUSE_MODES };

extern const char *const house_mode_name[HOUSE_MODES];

struct house_modes {
	bool     on[HOUSE_MODES];
	unsigned lacking;               /* how many are wanted and not to be had */
};

struct house_generation {               /* what one configuration runs; the youngest takes connections */
	struct arena     *a;
	struct settings  *settings;
	struct smtp_conf *conf;
	struct smtp      *smtp;
	struct fiber_pool *fed;         /* NULL: it has its fibers; else these, to have again */
	bool              draining, drained;
	struct house_generation *older;
};

struct house {
	struct sim       *sim;
	struct counters  *counters;
	struct house_generation *now;
	unsigned          generations;
};

/*
 * Those that can be played of both, or of the one that is named.  What is lacking is printed, in a line that
 * `make check' shows.  False: nothing can be played (the name is none, or that one is lacking).
 */
bool house_modes(struct house_modes *m, const char *name);
/* How s goes on; before house_open. */
void house_mode(struct sim *s, enum house_mode mode);

/*
 * The statements given, with defaults for hostname, listen, upstream, networks, domains and relay
 * where they are lacking.  Certificates exist (certs.h).  False: the story has the diagnostics.
 */
bool house_open(struct house *h, struct sim *s, struct strv config);
/*
 * What a reload does: the configuration is read anew and takes connections, the one before drains.
 * config: as for house_open; absent: as it was, with files as they are now.  False: it has mistakes (the
 * story has them), and all stays as it was.
 */
bool house_reload(struct house *h, struct strv config);
/* A client: its descriptor, or -1: no such listener, or a drain. *peer_fd: the proxy's end. */
int house_connect(struct house *h, struct strv listener, const struct endpoint *from, int *peer_fd);
/* The pools' counts of connections against the connections.  NULL, or what is wrong: static text. */
const char *house_places(const struct house *h);
/* From now on no session begins a turn, for want of fibers; no more so. */
void house_starve(struct house *h, bool yes);
void house_drain(struct house *h);
void house_abort(struct house *h);
/* Ends everything. NULL, or what was left over: static text. */
const char *house_close(struct house *h);

#endif
