/*
 * worker -- what a worker process does: accepts at the places it is given, and runs the sessions.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include "proxy/settings.h"
#include "proxy/sockets.h"

struct worker_start {                   /* what a worker has from its master; all outlives it */
	struct world          *world;   /* world_real */
	const struct settings *settings;
	const struct sockets  *sockets; /* of settings->listener, the same order */
	struct counters       *counters;
	unsigned               column;  /* its own in the counters */
	unsigned               workers; /* that share what is for the whole daemon */
	unsigned               generation;      /* of the settings: 1, 2, ... */
	unsigned               place;   /* which of them this is; what one of them says, 0 does */
	int                    control; /* its end of the socketpair */
	int                    log_fd;
};

/* The status to exit with. Other descriptors of the master are closed already. */
int worker_run(const struct worker_start *start);

#endif
