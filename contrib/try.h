/*
 * try -- what the parts of milter-try share: one session made up from options, and the story of what milters heard and
 * said in it.
 */
#ifndef CONTRIB_TRY_H
#define CONTRIB_TRY_H

#include <stdio.h>

#include "filters/milter_end.h"
#include "proxy/mail/client.h"
#include "proxy/mail/edit.h"
#include "proxy/mail/verdict.h"

#define TRY_RCPTS 100

/* What becomes of the message: the exit status. */
enum try_outcome {
	TRY_GOES_ON = 0, TRY_NOTHING = 1 /* it could not be tried */, TRY_USAGE = 2, TRY_FAILED = 3 /* a milter */,
	TRY_REJECT = 10, TRY_TEMPFAIL = 11, TRY_DISCARD = 12, TRY_QUARANTINE = 13, TRY_DISCONNECT = 14
};

struct try_task {
	struct milters_conf milters;
	struct client       client;
	const char         *name;       /* the client's, confirmed; NULL: none */
	const char         *helo, *user, *unknown;      /* NULL: not said */
	const char         *from;       /* "ADDRESS [PARAMETER...]", as rcpt */
	const char         *rcpt[TRY_RCPTS];
	unsigned            n_rcpt;
	unsigned            messages;   /* the same so many times, in one session */
	uint64_t            timeout;    /* ms */
	struct strv         text;       /* lines end with LF or CRLF */
	bool                result;     /* the message that comes of it is written to standard output */
};

/* --- try_session.c --- */

/* The whole session, in a loop of its own. */
enum try_outcome try_session(const struct try_task *t, struct world *w);

/* --- try_end.c: an end that tells the story of another one --- */

extern const struct milter_end_kind try_end;

/* --- try_story.c: all that is printed, of which nothing can move a terminal's cursor --- */

enum try_colour { TRY_PLAIN, TRY_BOLD, TRY_DIM, TRY_GREEN, TRY_YELLOW, TRY_RED, TRY_CYAN };

void try_story_begin(FILE *to, bool colour, bool quiet);
void try_say(enum try_colour c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* v with what is not printable as \xNN; good until the fourth call from now. */
const char *try_show(struct strv v);

void try_say_offer(const struct milter_conf *m, const struct milter_offer *theirs);
void try_say_event(const struct milter_conf *m, const struct milter_event *e, const struct milter_macros *macros,
    bool answered);
void try_say_answer(const struct milter_conf *m, const struct milter_answer *a);
void try_say_edit(const struct edit *e);
void try_say_verdict(const char *who, const struct verdict *v);

#endif
