/*
 * milter -- what the parts of the milter client share: milter.c (order), milter_macros.c, milter_edits.c.
 *
 * The filter "milter" is one seat for all milters and plugins of a configuration, called in file order.  Each keeps its
 * connection for the session, is told what it wants to hear as late as needed, and is re-armed after every transaction.
 * What it answers is advice (findings.advice); the policy obeys or not.
 */
#ifndef FILTERS_MILTER_H
#define FILTERS_MILTER_H

#include "filters/milter_end.h"
#include "proxy/mail/filter.h"

/* --- milter_macros.c --- */

/*
 * The macros of a place: of the names in `wanted' (blanks between them; absent: the default, Sendmail's and Postfix's
 * together, and results of `authenticate') those that have a value.  In a.  rcpt: at MILTER_AT_RCPT, which recipient.
 */
MAY_YIELD enum wait_rc milter_macros(struct arena *a, const struct milters_conf *conf, enum milter_place at, struct strv wanted,
    const struct mail *mail, unsigned rcpt, struct milter_macros *out);

/* --- milter_edits.c: answers at the end of a message become edits --- */

/*
 * An index of CHANGE_HEADER counts the fields of that name as the milter was shown them: what it changes, adds and
 * deletes meanwhile does not move them, so that it may delete from the front or from the back.
 */
struct milter_edits;

/* v: the message as this milter was shown it. exact: LEADING_SPACE was negotiated. */
struct milter_edits *milter_edits_begin(struct arena *a, const struct view *v, bool exact);
/*
 * Adds what the answer says to e; by: who says so.  False with *why: it may not be done (a field that would be two, an
 * address that is none, too many); the milter has failed then, and the caller rewinds.
 * Pieces of REPLACE_BODY are gathered in a spool of the message's pool, which the arena gives back (arena_defer).
 */
bool milter_edits_add(struct milter_edits *m, struct edits *e, const struct milter_answer *answer, struct strv by,
    const char **why);
/* No more comes: a replaced body becomes an edit.  False: as above. */
bool milter_edits_end(struct milter_edits *m, struct edits *e, struct strv by, const char **why);
#endif
