/*
 * arc_check -- is the chain of a message a good one?  For arc.c alone.  RFC 8617 5.2.
 *
 * One a message, in the order begin, start, body, end.  What the header alone can tell is settled at begin.
 */
#ifndef FILTERS_ARC_CHECK_H
#define FILTERS_ARC_CHECK_H

#include "proxy/mail/filter.h"

struct crypt_kept;

/* As the words of the fact arc; NONE: it is not settled yet. */
enum arc_result { ARC_NONE, ARC_PASS, ARC_FAIL, ARC_TEMPERROR };

struct arc_use {                        /* what all messages have in common */
	const struct auth_conf *auth;
	const struct fact_def  *defs;
	unsigned                txt;    /* the number of that fact */
	struct crypt_kept      *kept;
};

struct arc_verdict {
	enum arc_result result;
	struct strv     why;            /* absent: it passes, or is not settled */
	unsigned        sets;           /* of a chain that may hold */
	/* of one that passes */
	unsigned        oldest;         /* set whose message signature still holds, 0: all do */
	struct strv     sealer;         /* d= of the last seal */
};

struct arc_check;

/* m: its header is complete. In a; NULL: there is no ARC field in it. */
struct arc_check *arc_check_begin(struct arena *a, const struct arc_use *use, const struct message *m);
/* Starts the look-ups of keys that are sure to be asked for. */
void arc_check_start(const struct arc_check *c, const struct findings *found);
void arc_check_body(struct arc_check *c, struct strv text);
/* As long as the arena. */
const struct arc_verdict *arc_check_verdict(const struct arc_check *c);
/* The body has ended: settles it, unless it is. WAIT_OK, or WAIT_CANCELLED: another may call it again. */
MAY_YIELD enum wait_rc arc_check_end(struct arc_check *c, const struct mail *m);

#endif
