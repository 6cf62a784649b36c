/*
 * trial_steps_own -- what trial_steps.c and trial_expect.c share, and nobody else.
 */
#ifndef PROXY_TRIAL_STEPS_OWN_H
#define PROXY_TRIAL_STEPS_OWN_H

#include "proxy/trial_steps.h"

/* --- trial_steps.c --- */

/* In quotes, as diagnostics have it; in t->a. */
struct strv trial_quote(struct trial *t, struct strv v);
/* Plays the last command that was stated, unless its answer is there: t->answer is that of t->command then. */
MAY_YIELD void trial_hear(struct trial *t);

/* --- trial_expect.c --- */

/* Compares the answer to the last command with that of an `expect'; what was not met goes to t->d. */
MAY_YIELD void trial_expect(struct trial *t, const struct test_block_step *x);

#endif
