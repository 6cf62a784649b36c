/*
 * screen -- the milters of a seeded world: good, slow or faulty by chance, and what must have come of them.
 *
 * Each notes of every letter what it said, so that what a server took can be held against it: refused and yet taken,
 * half edited, edited and yet as it was, not filtered though its failure is no acceptance.
 */
#ifndef TESTS_SIM_SCREEN_H
#define TESTS_SIM_SCREEN_H

#include "tests/sim/milter_sim.h"
#include "tests/sim/rogue.h"

#define SCREEN_MILTERS 2

enum screen_failure { FAILURE_IS_TEMPFAIL, FAILURE_IS_ACCEPT, FAILURE_IS_REJECT, FAILURE_IS_QUARANTINE,
	FAILURE_IS_DISCONNECT };
enum screen_when { SCREEN_ALL, SCREEN_HELO, SCREEN_SUBJECT };

struct screen_note {                    /* of one letter */
	unsigned            client, no;
	bool                refused, discarded; /* the whole of it */
	bool                edited;             /* every edit was said, and that it may go on */
	bool                plain;              /* it may go on as it is */
	bool                broken;             /* something irregular was said, or too late: it may have failed */
	bool                dead;               /* it cannot but have failed */
	unsigned            rcpts_refused;      /* bits, by number */
	struct screen_note *next;
};

struct screen_conn {
	struct screen_note *note;       /* NULL: no letter yet */
	bool                broken;
};

struct screen_milter {
	struct screen      *screen;
	struct sim_milter  *m;
	unsigned            no;
	enum screen_failure failure;
	enum screen_when    when;
	bool                warn;
	bool                adds, tops, body;   /* what it does to a message */
	unsigned            trouble;    /* per mille of moments at which something is wrong */
	unsigned            refusals;   /* likewise, of answers that are no `continue' */
	struct screen_conn *conn;       /* by number of the connection */
	unsigned            n_conn;
	struct screen_note *notes;
	struct buf          said;       /* octets of the plan at hand */
};

struct screen {
	struct sim          *sim;
	struct screen_milter milter[SCREEN_MILTERS];
	unsigned             n;
};

/* Draws them, mostly none; config: statements are added. */
void screen_open(struct screen *w, struct sim *s, struct buf *config);
void screen_free(struct screen *w);     /* after its world */

/*
 * screen_wrong -- the text of a letter that somebody has, held against what milters said
 *
 *   kept      the quarantine has it
 *   settled   the law has decided by itself: milters may not have heard of the end
 *   had       the text; what milters have added is taken out
 *   want      what the letter's text is to be but for that
 *   added     something was taken out
 *
 * NULL, or what is wrong: static text.
 */
const char *screen_wrong(const struct screen *w, const struct letter *l, bool kept, bool settled,
    struct buf *had, struct buf *want, bool *added);
/* Was that recipient refused by one of them, beyond doubt? */
bool screen_refuses(const struct screen *w, const struct letter *l, unsigned rcpt);
/* Has one of them thrown it away, or kept it? */
bool screen_discards(const struct screen *w, const struct letter *l);
bool screen_keeps(const struct screen *w, const struct letter *l);

#endif
