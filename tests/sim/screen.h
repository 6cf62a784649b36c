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
	bool                wanted;             /* it shall be kept, with the edits that there are */
	bool                broken;             /* something irregular was said, or too late: it may have failed */
	bool                dead;               /* it cannot but have failed */
	unsigned            rcpts_refused;      /* bits, by number */
	struct screen_note *next;
};

struct screen_conn {
	struct screen_note *note;       /* NULL: no letter yet */
	bool                broken;
	bool                spoke;      /* it said something unasked, which may be taken for its next answer */
};

struct screen_milter {
	struct screen      *screen;
	struct sim_milter  *m;
	unsigned            no;
	enum screen_failure failure;
	enum screen_when    when;
	bool                warn;
	bool                adds, tops, body;   /* what it does to a message */
	bool                keeps;              /* it wants some letters in the quarantine */
	bool                from, bcc, drops;   /* to its envelope: another sender, one recipient more, without r0 */
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

struct screen_found {                   /* a letter, where somebody has it */
	const struct up_message *m;
	bool                     kept;          /* that is the quarantine */
	bool                     settled;       /* the law has decided by itself: milters may not have heard of the end */
	bool                     away;          /* and sent it to one address, whoever the recipients were */
	bool                     took_first;    /* r0 was told 250, and by the law it stays */
};

/*
 * screen_wrong -- the text and the envelope of a letter that somebody has, held against what milters said
 *
 *   had       the text; what milters have added is taken out
 *   want      what the letter's text is to be but for that
 *   added     something was taken out
 *
 * NULL, or what is wrong: static text.
 */
const char *screen_wrong(const struct screen *w, const struct letter *l, const struct screen_found *f,
    struct buf *had, struct buf *want, bool *added);
/* Will one of them, perhaps, have taken r0 away? */
bool screen_drops(const struct screen *w, const struct letter *l);
/* Does one of them, beyond doubt, add a recipient? */
bool screen_adds(const struct screen *w, const struct letter *l);
/* Was that recipient refused by one of them, beyond doubt? */
bool screen_refuses(const struct screen *w, const struct letter *l, unsigned rcpt);
/* Has one of them thrown it away, or kept it? */
bool screen_discards(const struct screen *w, const struct letter *l);
bool screen_keeps(const struct screen *w, const struct letter *l);

#endif
