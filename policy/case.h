/*
 * case -- what one session, or one transaction, keeps for its checks between two stages.
 *
 * Of the judge, who makes it; the policy fills it in.  Included by policy.h alone.
 */
#ifndef POLICY_CASE_H
#define POLICY_CASE_H

#include "proxy/mail/edit.h"
#include "proxy/mail/envelope.h"
#include "proxy/mail/fact.h"
#include "proxy/mail/note.h"

/* Bits that checks leave behind, by number; NULL: none is set yet. */
struct marks {
	uint64_t *skip, *tag, *fired;
};

/* How the policy is asked.  LIVE: mail is at stake. TEST: nothing is slept or written. EXPLAIN: TEST, and behind a
 * verdict everything is asked on, to tell what else would have fired. */
enum policy_mode { POLICY_LIVE, POLICY_TEST, POLICY_EXPLAIN };

/* One check as it was looked at, for explain. */
enum look_came { LOOK_NO, LOOK_YES, LOOK_UNKNOWN, LOOK_SKIPPED, LOOK_UNASKED };

struct look {
	struct strv               check;
	enum stage                at;
	unsigned                  rcpt;         /* NOTE_NO_RCPT */
	enum look_came            came;         /* UNASKED: behind a verdict, and a fact of it is not there yet */
	bool                      warn, holds;  /* holds: its verdict is the one that counts */
	bool                      behind;       /* another one holds already: nothing of what it does is done */
	struct verdict            said;         /* YES, UNKNOWN: what it says, or would */
	const struct fact *const *fact;         /* those that were read, in order, each once */
	unsigned                  n_fact;
};

/*
 * What one session, or one transaction, keeps for its checks between two stages.  All zero but for a, facts and
 * mode at first.  Of the judge; the policy fills in the rest, in `a'.
 */
struct policy_case {
	struct arena          *a;               /* the transaction's, or the session's before MAIL */
	struct facts          *facts;
	enum policy_mode       mode;
	const struct envelope *env;             /* NULL before MAIL */
	struct edits          *edits;           /* header effects; before MAIL they wait here for policy_begin */
	struct marks           marks;
	struct marks          *rcpt;            /* marks of recipient i alone; n_rcpt of them */
	unsigned               n_rcpt, max_rcpt;
	struct notes           notes;
	uint32_t               delay;           /* ms, what effects asked for since the judge has last looked; <= 60 s */
	bool                   settled;         /* a verdict is held from before: nothing here can hold any more */
	unsigned               mark;            /* at rcpt: edits that were there before this recipient */
	bool                   no_gate;         /* the relay gate is not asked: somebody else's holds */
	void                 (*look)(void *arg, const struct look *);   /* NULL: nobody wants to know */
	void                  *look_arg;
};

#endif
