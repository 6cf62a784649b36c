/*
 * note -- what the checks did, beyond the verdict: for the log and for explain.
 *
 * Notes are made while the policy is evaluated, in the arena of the transaction (or of the session before
 * MAIL), in the order in which they happened; whoever logs takes them all (judge_notes) before that arena goes.
 */
#ifndef PROXY_MAIL_NOTE_H
#define PROXY_MAIL_NOTE_H

#include "proxy/mail/verdict.h"

enum note_kind {
	NOTE_FIRED,                     /* its verdict is the one that holds */
	NOTE_WARN,                      /* `warn': its verdict would hold */
	NOTE_ALSO,                      /* it would have fired, too, behind the one that holds */
	NOTE_UNKNOWN,                   /* its `when' is unknown, and nothing is said of that: no verdict */
	NOTE_LOG,                       /* effect `log': text */
	NOTE_TAG                        /* effect `tag': text is its name */
};

#define NOTE_NO_RCPT ((unsigned)-1)
#define NOTES_MAX    200                /* of one transaction, and of one session outside them; more are dropped */

struct note {
	enum note_kind kind;
	enum stage     at;
	unsigned       rcpt;            /* at rcpt: for which; else NOTE_NO_RCPT */
	struct strv    check;           /* its name; the policy's */
	struct strv    text;            /* LOG, TAG: printable octets are not promised, the log escapes */
	struct verdict verdict;         /* FIRED, WARN, ALSO */
	bool           unknown;         /* those: `on unknown' said it */
	struct strv    lacks;           /* those, and UNKNOWN: what could not be known; absent: nothing that has a name */
	bool           failed;          /* of a milter: `on failure' said it */
	struct note   *next;
};

struct notes {                          /* all zero: none */
	struct note *first, *last;
	unsigned     n;
};

struct log_line;
/* In a log line: what came of it; and, behind who it was about, what no other line will have of it. */
void note_tell(struct log_line *l, const struct note *n);
void note_tell_more(struct log_line *l, const struct note *n);

#endif
