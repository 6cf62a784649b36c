/* moods -- how the mail server of the seeded sessions misbehaves. */
#ifndef TESTS_SIM_MOODS_H
#define TESTS_SIM_MOODS_H

#include "tests/sim/mailer.h"

/* What it does at this moment; trouble: in how many of a thousand moments something is wrong. */
bool moods_decide(struct sim *s, unsigned trouble, const struct up_moment *m, struct up_answer *a);

#endif
