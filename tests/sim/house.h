/*
 * house -- the proxy under test, as a worker would run it, in a simulated world.
 */
#ifndef TESTS_SIM_HOUSE_H
#define TESTS_SIM_HOUSE_H

#include "proxy/settings.h"
#include "tests/sim/world_sim.h"

#define HOUSE_UPSTREAM "127.0.0.1:2525"

struct counters;

struct house_generation {               /* what one configuration runs; the youngest takes connections */
	struct arena     *a;
	struct settings  *settings;
	struct smtp_conf *conf;
	struct smtp      *smtp;
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
void house_drain(struct house *h);
void house_abort(struct house *h);
/* Ends everything. NULL, or what was left over: static text. */
const char *house_close(struct house *h);

#endif
