/*
 * law_auth -- SPF, DKIM and DMARC of a seeded world: its DNS, what they come to for a letter, and the fields of ours
 * that must say so.
 */
#ifndef TESTS_SIM_LAW_AUTH_H
#define TESTS_SIM_LAW_AUTH_H

#include "tests/sim/rogue.h"

/* What a check may ask of each of them. */
enum law_word { WORD_NONE, WORD_PASS, WORD_FAIL, WORD_TEMPERROR };

struct law_auth {
	unsigned methods;               /* of `authenticate': bits of law_auth.c's table */
	bool     signs, seals;
};

struct law_fields {                     /* of ours, found in one message */
	unsigned   results, signatures, seals;
	bool       inside;              /* a field of ours goes on with what begins with a blank */
	bool       telling;             /* that field is Authentication-Results */
	struct buf said;                /* all of it */
};

bool law_has_dkim(void);                /* DKIM is in this build, and so is DMARC */
const char *law_word(enum law_word w);
enum law_word law_spf(const struct letter *l);
enum law_word law_dkim(const struct letter *l);
enum law_word law_dmarc(const struct letter *l);

/* Draws statements and records. */
void law_auth_open(struct law_auth *w, struct sim *s, struct buf *config);
void law_fields_init(struct law_fields *f);
/* Is that line, with its end, of a field of ours?  It is counted. */
bool law_fields_take(struct law_fields *f, struct strv line);
/* NULL, or what is wrong with them: static text.  f is done with. */
const char *law_fields_wrong(const struct law_auth *w, const struct letter *l, struct law_fields *f);

#endif
