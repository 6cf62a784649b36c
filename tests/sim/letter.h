/* letter -- the text of a random message. */
#ifndef TESTS_SIM_LETTER_H
#define TESTS_SIM_LETTER_H

#include "tests/sim/rogue.h"

/* Of about at most `largest` octets, mostly small; stuffed: for DATA, dots doubled. */
void letter_write(struct letter *l, struct sim *s, uint64_t largest, bool stuffed);

const char *letter_domain_word(enum letter_domain d);
enum letter_domain letter_domain_draw(struct sim *s);

#endif
