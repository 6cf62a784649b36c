/*
 * milter_sim -- a milter, played: strict and well-behaved, it answers `continue' to all that wants an answer; at each
 * moment it asks `decide' whether it shall do something else, and keeps what it was told.
 *
 * It notes as a `fault' whatever an MTA must not do: packets that are none, commands out of order, those that it asked not
 * to be sent, a command ahead of the answer to the one before, more of a message that it has finished with.
 * Packets are read and made here and not by the code under test.
 */
#ifndef TESTS_SIM_MILTER_SIM_H
#define TESTS_SIM_MILTER_SIM_H

#include "tests/sim/mailer.h"

#define MILTER_DEEDS     32             /* of one moment */
#define MILTER_OFFERED   UINT32_MAX     /* actions, protocol: as it was offered */

enum milter_deed_op {
	DEED_SAY,                       /* octets: raw */
	DEED_WAIT,                      /* n: ms; it reads nothing meanwhile */
	DEED_CLOSE, DEED_RESET,
	DEED_HANG,                      /* says nothing more, and reads on */
	DEED_DEAF,                      /* says and reads nothing more */
	DEED_REFUSE, DEED_AGAIN, DEED_BLACK_HOLE,       /* when it is dialled, before a descriptor exists */
	DEED_CUT                        /* n: from now on octets leave in such pieces */
};

struct milter_deed {
	enum milter_deed_op op;
	char                letter;     /* DEED_SAY: of an answer that is one; 0: octets of any kind */
	struct strv         octets;
	uint64_t            n;
};

struct milter_moment {
	/* "DIAL", "OFFER", "MACROS", "CONNECT", "HELO", "MAIL", "RCPT", "DATA", "HEADER", "EOH", "BODY", "EOM", "UNKNOWN",
	 * "ABORT", "QUIT" or "QUIT_NC" */
	struct strv verb;
	struct strv line;               /* as the journal has it, the verb in front */
	unsigned    conn;               /* which connection, from 1 */
};

struct milter_plan {                    /* views are good until decide is called again */
	struct milter_deed deed[MILTER_DEEDS];
	unsigned           n;
};

struct sim_milter {
	struct sim       *sim;
	char              name[16];
	uint32_t          version;      /* it answers a negotiation with; 0: as offered, at most 6 */
	uint32_t          actions, protocol;
	struct buf        symlist;      /* what stands behind them in its answer, as octets */
	size_t            cut;          /* of answers */
	bool              lax;          /* no faults are noted */
	enum mailer_mode  mode;
	/* False: it behaves.  Else the plan is done in place of an answer; an empty one is no answer. */
	bool            (*decide)(void *arg, const struct milter_moment *, struct milter_plan *);
	void             *arg;
	unsigned          conns;
	struct up_event  *event;
	unsigned          n_event, max_event;
	struct buf        faults;       /* a line each */
};

struct sim_milter *sim_milter_new(struct sim *s, const char *name, const struct endpoint *at);
void sim_milter_turn(struct sim_milter *m, enum mailer_mode mode);
void sim_milter_free(struct sim_milter *m);     /* after its world */

/* A packet: its length, the letter, data. */
void sim_milter_pack(struct buf *out, char letter, struct strv data);
void sim_milter_pack_u32(struct buf *out, uint32_t n);

#endif
