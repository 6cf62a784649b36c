/*
 * trial -- the `test` blocks of a configuration, played through the judge in a made-up world.
 */
#ifndef PROXY_TRIAL_H
#define PROXY_TRIAL_H

#include "proxy/settings.h"

/*
 * trial_run_all -- play every test of s
 *
 *   s          without mistakes; nothing of it is changed
 *   w          tells how much time has really passed, nothing else
 *   d          each `expect` that is not met becomes an error at its place, and so does what cannot be played
 *   progress   before each test, with how many are done; NULL: nobody wants to know
 *
 * A test has TRIAL_REAL_MS of real time.  How many tests passed.
 */
unsigned trial_run_all(const struct settings *s, struct world *w, struct diags *d,
    void (*progress)(unsigned done, unsigned all, void *arg), void *arg);

#define TRIAL_REAL_MS    10000
#define TRIAL_COMMAND_MS 120000         /* of its own time, for each command */

#endif
