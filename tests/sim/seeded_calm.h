/*
 * seeded_calm -- the last client of a seeded world: it comes when all that broke is whole again, and must be served.
 *
 * What is held against servers and clients elsewhere is that nothing wrong was done; here it is that something is done.
 */
#ifndef TESTS_SIM_SEEDED_CALM_H
#define TESTS_SIM_SEEDED_CALM_H

#include "tests/sim/rogue.h"

#define CALM_AFTER  (60 * 60000u)       /* ms behind the crowd: probes find servers up, what hung has ended */
#define CALM_ANSWER (5 * 60000u)        /* ms: any answer is there by then */

struct calm {
	struct crowd  *crowd;
	struct letter *letter;          /* its only one, among those of the crowd; NULL: nobody listened */
	const char    *wrong;           /* static text: it was not served to its end; NULL: it was */
	const char    *step;            /* the last thing said, to which the next two belong */
	unsigned       code;            /* heard; 0: nothing */
	uint64_t       waited;          /* ms */
	bool           away;            /* 421, and not by a rule: no server was to be had */
	bool           over;
};

/* It connects CALM_AFTER from now.  k lives as long as the world; the letter is the crowd's. */
void calm_start(struct calm *k, struct crowd *c);
bool calm_over(void *k);                /* for sim_run */

#endif
