/*
 * milter_own -- between milter_sim.c (connections, when something is done) and milter_told.c (what a packet says, and
 * whether it may say that now).
 */
#ifndef TESTS_SIM_MILTER_OWN_H
#define TESTS_SIM_MILTER_OWN_H

#include "tests/sim/milter_sim.h"

/* Where the MTA is, by what it has told. */
enum told_at { TOLD_NEW, TOLD_AGREED, TOLD_SESSION, TOLD_MAILED, TOLD_RCPTS, TOLD_TEXT, TOLD_FIELDS,
	TOLD_FIELDS_END, TOLD_CHUNKS, TOLD_END };

struct milter_conn {
	struct actor       actor;       /* first */
	struct wire        wire;
	struct sim_milter *m;
	unsigned           no;
	enum told_at     at;
	char               command;     /* the last that was told, not macros */
	bool               answered;    /* and it has its answer */
	uint32_t           version, protocol;   /* that were agreed upon */
	bool               odd;         /* something irregular was said: order is nobody's fault any more */
	bool               enough;      /* of this message: a final answer was given */
	bool               enough_ever; /* of this session */
	bool               skips;       /* SKIP was said to a BODY */
	bool               hung, closing, quit;
	struct buf         line;        /* of the journal, for the moment at hand */
	/* what is being done */
	bool               busy;
	struct milter_deed deed[MILTER_DEEDS];
	unsigned           n_deed, at_deed;
	struct buf         octets;      /* theirs */
	uint64_t           until;
};

void milter_fault(struct milter_conn *c, const char *what);

/* milter_told.c: c->line becomes what the packet (letter and data) says; the verb in it. */
struct strv milter_read(struct milter_conn *c, struct strv packet);
/* Notes what is wrong with it now, and moves c->at. */
void milter_order(struct milter_conn *c, char letter);
/* Is an answer wanted to the command told last? */
bool milter_wants(const struct milter_conn *c);
/* That answer was given to it. */
void milter_answered(struct milter_conn *c, char letter);

#endif
