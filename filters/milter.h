/*
 * milter -- what the parts of the milter client share.
 *
 * The filter "milter" is one seat for all milters and plugins of a configuration, called in file order.  Each keeps its
 * connection for the session, is told what it wants to hear as late as needed, and is re-armed after every transaction.
 * What it answers is advice (findings.advice); the policy obeys or not.
 *
 *   milter.c         the filter: who is told when, and what becomes of the answers
 *   milter_talk.c    one connection: opened, told, heard, dropped
 *   milter_heard.c   what an answer means
 *   milter_fail.c    what becomes of one that fails, or whose process has died
 *   milter_tell.c    what a stage tells, and what was missed before it
 *   milter_text.c    header, body and end of a message
 *   milter_macros.c, milter_values.c, milter_edits.c
 */
#ifndef FILTERS_MILTER_H
#define FILTERS_MILTER_H

#include "filters/milter_end.h"
#include "proxy/mail/filter.h"

/* --- milter_macros.c, milter_values.c --- */

struct milter_ask {                     /* what macros are made of */
	const struct milters_conf *conf;
	const struct mail         *mail;
	unsigned                   rcpt;        /* which {rcpt_addr} is, at RCPT or behind it; beyond the last: none */
	bool                       refused;     /* that one is: {rcpt_mailer} is "error" */
};

/*
 * The macros of a place, as a set: those named in `wanted' (blanks between them; absent: the default, Sendmail's and
 * Postfix's together, and results of `authenticate': methods, auth.h).
 */
uint64_t milter_macros_set(enum milter_place at, struct strv wanted, unsigned methods);
/* What is sent there besides, to isolated plugins: {postern_id}, for postern-plugind (hosts/culprit.h). */
uint64_t milter_macros_own(enum milter_place at);
/* Those of the set that have a value, in a, or views of what lives as long as the transaction. */
MAY_YIELD enum wait_rc milter_macros(struct arena *a, const struct milter_ask *ask, uint64_t set, struct milter_macros *out);
/* The client's name as milters hear it: one that was confirmed, or "[192.0.2.1]". */
MAY_YIELD enum wait_rc milter_client_name(struct arena *a, const struct mail *m, struct strv *out);

/* --- milter_edits.c: answers at the end of a message become edits --- */

/*
 * An index of CHANGE_HEADER counts the fields of that name as the milter was shown them: what it changes, adds and
 * deletes meanwhile does not move them, so that it may delete from the front or from the back.
 *
 * A place of INSERT_HEADER counts our own Received, too, which it was not shown (libmilter, smfi_insheader): 0 is in
 * front of all, 1 in front of the first field shown.
 */
struct milter_edits;

/*
 * v: the message as this milter was shown it; what those before put above our Received is there as long as nobody
 * deletes it.  exact: LEADING_SPACE was negotiated.
 */
struct milter_edits *milter_edits_begin(struct arena *a, const struct view *v, bool exact);
/*
 * Adds what the answer says to e; by: who says so.  False with *why: it may not be done (a field that would be two, an
 * address that is none, too many); the milter has failed then, and the caller rewinds.
 * Pieces of REPLACE_BODY are gathered in a spool of the message's pool, which the arena gives back (arena_defer).
 */
bool milter_edits_add(struct milter_edits *m, struct edits *e, const struct milter_answer *answer, struct strv by,
    const char **why);
/* A parameter that the last answer had, and that was left out as no milter may say it; a view of the answer. */
struct strv milter_edits_ignored(const struct milter_edits *m);
/* No more comes: a replaced body becomes an edit.  False: as above. */
bool milter_edits_end(struct milter_edits *m, struct edits *e, struct strv by, const char **why);

/* --- one milter of one session --- */

struct milter_shared {                  /* of a configuration */
	const struct milters_conf *conf;
	unsigned                   methods;     /* of `authenticate' */
	struct strv               *by;          /* of each: "milter NAME" */
};

struct milter_peer {                    /* in the session's arena, from when it is first told something */
	const struct milter_conf *conf;
	struct arena       *a;          /* the connection's; NULL: there is none */
	struct milter_end  *end;
	uint32_t            wants;      /* protocol bits that were agreed */
	uint32_t            actions;
	uint64_t            macros[MILTER_PLACES];      /* what goes in front of that place's command */
	uint64_t            text_macros;                /* in front of fields and body; see milter_talk.c */
	enum milter_command last;       /* what was told last, or passed over since it is not wanted */
	struct strv         helo;       /* as it was told; absent: not yet */
	uint32_t            blamed, process;    /* blame_count, blame_processes, before it was connected */
	bool                quiet;      /* nothing was heard of it since the last transaction ended */
	/* Of the session. */
	struct verdict      session;    /* an answer to CONNECT or HELO, or 421 at any time */
	bool                session_over, session_accepts;
	bool                misused;    /* it says what it should not: the log has it once */
	/* Of the transaction, and before the first one. */
	bool                failed;     /* it is not tried again */
	bool                cut;        /* something was too long for it: the log has it once */
	bool                over, accepts;
	struct verdict      message;    /* an answer that is the whole message's */
	struct verdict      late;       /* to a recipient who had been accepted before it was asked: at DATA the message's */
	struct verdict      now;        /* to what is at hand alone */
	unsigned            rcpts;      /* of the envelope, told or passed over */
	unsigned            named;      /* of the envelope, from 1: the last that was told; 0: none */
	bool                named_refused;
	unsigned            answered;   /* of the envelope: those in front have their answer, by whichever process */
	unsigned            again;      /* times that its process died under this transaction, which was then told anew */
	unsigned            skips;      /* commands, by 1 << enum milter_command */
};

struct milter_talk {                    /* one stage, one milter */
	const struct milter_shared *shared;
	struct milter_peer *p;
	struct arena       *session;
	enum stage          at;
	const struct mail  *m;
	struct findings    *found;
	struct arena       *work;       /* STAGE_MESSAGE: gone behind it */
	bool                lost;       /* the process lost_process has died under it in this stage */
	uint32_t            lost_process;
};

/* Has it heard of a message whose end it has not? */
static inline bool
milter_in_message(const struct milter_peer *p)
{
	return p->last >= MILTER_CMD_MAIL && p->last < MILTER_CMD_EOM;
}

/* OVER: it has no more to hear of this (message or session).  GONE: it lacks its connection, and is to be told anew. */
enum milter_told { TOLD_ON, TOLD_OVER, TOLD_FAILED, TOLD_GONE, TOLD_CANCELLED };

/* --- milter_talk.c --- */

/* Connected and negotiated. */
MAY_YIELD enum milter_told milter_talk_open(struct milter_talk *t);
/* Tells it, as far as it wants to hear of such, and takes the answer where one is due.  Not for EOM. */
MAY_YIELD enum milter_told milter_talk_say(struct milter_talk *t, const struct milter_event *e, const struct milter_ask *ask);
/* Tells EOM, and takes its answers up to the last: edits are staged, all or none. */
MAY_YIELD enum milter_told milter_talk_end(struct milter_talk *t, const struct milter_event *e, const struct milter_ask *ask,
    const struct view *v);
/* The message that it is in has ended in its middle. Never parks; of p with an end. */
void milter_talk_abort(struct milter_peer *p);
/* Nothing more is said on this connection. Never parks. polite: QUIT. */
void milter_talk_close(struct milter_peer *p, bool polite);

/* --- milter_heard.c: an answer is written down, in the peer and the findings.  None parks; texts are copied --- */

/*
 * An answer to anything but EOM, of those that are legal to it; ask: of RCPT, else not looked at.  ON: it is told on;
 * OVER: that answer was of the message, or of the session.
 */
enum milter_told milter_heard(struct milter_talk *t, const struct milter_event *e, const struct milter_answer *answer,
    const struct milter_ask *ask);
/*
 * One edit, or QUARANTINE; v: the message as it was shown.  *edits: NULL before the first, made here.  False: *why says
 * why it may not (static); the caller fails the milter, and rewinds.
 */
bool milter_heard_edit(struct milter_talk *t, const struct view *v, struct milter_edits **edits,
    const struct milter_answer *answer, const char **why);
/*
 * The last word to EOM; edits: NULL, there were none.  *keeps: it lets the message go on, so they stay; else untouched,
 * and the caller rewinds.  OVER; or what milter_fail_answer says, where an edit may not be.
 */
enum milter_told milter_heard_end(struct milter_talk *t, struct milter_edits *edits, const struct milter_event *e,
    const struct milter_answer *answer, bool *keeps);

/* --- milter_fail.c: behind these there is neither end nor answer any more; the log tells of it --- */

/*
 * A command was not told, or not answered; why absent: the end's.  FAILED: it is heard no more until the next
 * transaction.  GONE: nobody's fault, tell it anew.
 */
enum milter_told milter_fail(struct milter_talk *t, enum milter_command told, enum milter_rc rc, struct strv why);
enum milter_told milter_fail_answer(struct milter_talk *t, enum milter_command told, const struct milter_answer *answer,
    const char *why);
/* The text cannot be read: what it was told of it was not all. */
enum milter_told milter_fail_text(struct milter_talk *t);
/* A new connection: ON, or FAILED where it is to the very process that was lost. */
enum milter_told milter_fail_same(struct milter_talk *t);
/* No failure: it is told no more than `most' octets of n of that, which is said once a message. */
void milter_fail_cut(struct milter_talk *t, enum milter_command told, struct strv what, size_t n, size_t most);

/* No failure either: a parameter that it said is left out, which is said once a session. */
void milter_fail_param(struct milter_talk *t, enum milter_answer_kind said, struct strv param);

/* --- milter_tell.c, milter_text.c --- */

/* What happened up to the stage at hand, and was not told yet. */
MAY_YIELD enum milter_told milter_tell(struct milter_talk *t);
MAY_YIELD enum milter_told milter_tell_text(struct milter_talk *t);

#endif
