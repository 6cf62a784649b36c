/*
 * edit -- changes to a message or its envelope that somebody wants: staged, checked, all or none.
 */
#ifndef PROXY_MAIL_EDIT_H
#define PROXY_MAIL_EDIT_H

#include "proxy/base/strv.h"

struct arena;
struct envelope;
struct spool;

enum edit_op { EDIT_ADD_HEADER, EDIT_INSERT_HEADER, EDIT_CHANGE_HEADER, EDIT_DELETE_HEADER, EDIT_REPLACE_BODY,
	EDIT_DELETE_ALL /* fields of that name */, EDIT_ADD_RCPT, EDIT_DELETE_RCPT, EDIT_CHANGE_FROM };

struct edit_for {                       /* wanted for a recipient */
	unsigned rcpt, turn;            /* by number; when: later ones have greater turns */
};

struct edit {
	enum edit_op  op;
	unsigned      at;               /* INSERT: position from 0; CHANGE, DELETE: n-th of that name, from 1 */
	struct strv   name, value;      /* of a header; value: CRLF only before a blank (folding) */
	bool          exact;            /* of a header: the value follows the colon as it is, no blank is put in */
	bool          above;            /* INSERT: it stands above our own Received */
	struct strv   params;           /* ADD_RCPT, CHANGE_FROM: "NOTIFY=NEVER", blanks between; absent: none */
	struct strv   by;               /* who wants it */
	struct spool *body;             /* REPLACE_BODY */
	struct edit_for *whom;          /* n_whom of them, in turn; none: for the message, whoever gets it */
	unsigned      n_whom, max_whom;
	unsigned      turn;             /* of edits_add */
};

struct edits {
	struct edit *v;
	unsigned     n, max;
	unsigned     turns;             /* so far */
};

#define EDITS_MAX 2000

/* RFC 5322 3.6.8: could that be the name of a header field, at most 998 octets? */
bool edit_name_good(struct strv v);
/* No NUL, no CR or LF that is not CRLF followed by a blank, a legal name, sizes: true; else *why. */
bool edit_check(const struct edit *e, const char **why);
/* Adds a copy (strings too) when edit_check agrees and there are fewer than EDITS_MAX. */
bool edits_add(struct arena *a, struct edits *e, const struct edit *add, const char **why);
/* Forgets all edits from mark on; mark is a former e->n. */
void edits_rewind(struct edits *e, unsigned mark);

/* Edit i is wanted for that recipient, now: perhaps once more, or for one of many. */
void edits_want(struct arena *a, struct edits *e, unsigned i, unsigned rcpt);
/*
 * edits_settle -- the server has answered: what is wanted for recipients none of whom was taken or dropped goes
 *
 * The others are put in the order in which they were wanted, so that who replaces a field for each recipient has
 * replaced it once; and from here on they are for the message.
 */
void edits_settle(struct edits *e, const struct envelope *env);

#endif
