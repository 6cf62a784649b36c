/*
 * filter -- code that looks at a stage and leaves facts, staged edits or advice.  It never decides.
 *
 * One const object a file, one line in filters/registry.c.  How the calls come:
 *   open once a session; begin/end around each transaction (end on every path: it re-arms);
 *   at for each stage in `stages` in registry order; ask when a fact of its `facts` is first wanted;
 *   body with canonical text as it comes; close on every path, never parks.
 */
#ifndef PROXY_MAIL_FILTER_H
#define PROXY_MAIL_FILTER_H

#include "proxy/mail/advice.h"
#include "proxy/mail/client.h"
#include "proxy/mail/envelope.h"
#include "proxy/mail/fact.h"
#include "proxy/mail/view.h"

struct mail {                           /* what filters see; env and msg are NULL outside a transaction */
	const struct client   *client;
	const struct envelope *env;
	const struct message  *msg;     /* as it came: hidden fields are in it, only who verifies signatures looks at them */
	struct facts          *facts;   /* for filters that build on the facts of others: fact_get */
	const char            *id;      /* the transaction's name in the log; NULL: outside one */
	const char            *session; /* the session's; NULL: it has none */
	unsigned               rcpt;    /* at STAGE_RCPT: which recipient is at hand; env->rcpt[rcpt].said: what we say of it */
	struct strv            line;    /* at STAGE_UNKNOWN: the command, as it was said, without CR, LF, NUL */
};

struct findings {
	struct facts  *facts;
	struct edits  *edits;
	/*
	 * By number of milters and plugins (milter_conf.h); for filters that advise alone, which write it.  Of the
	 * transaction, which begins as a copy of the session's, or of the session.  A DISCARD is of the whole message, at
	 * RCPT, too; other answers to RCPT are of that recipient: who says nothing against the next one clears `say'.
	 * At STAGE_UNKNOWN it is a copy: a `say' that is new there answers that command, and that is all it does.  Nobody
	 * is told there of what came before.
	 */
	struct advice *advice;
	/* Is milter i to be told of this?  NO for good of this session or transaction, YES, or NOT_YET: what its `when' asks is
	 * not known at this stage.  Of the judge, whose word counts for the rest of the transaction. */
	MAY_YIELD enum hears (*hears)(const struct findings *, unsigned i);
	/*
	 * Is it certain that what advice[i] says now is obeyed, whatever those behind may say?  Then they are not told of it.
	 * A refusal of the recipient at hand stands in its `said' behind this, as one of the checks would.  NULL: never.
	 */
	bool         (*settles)(const struct findings *, unsigned i);
	const bool    *holds;           /* at STAGE_SEAL: of each `sign' and `seal', does its condition hold? auth.h */
	/*
	 * Starts a look-up that is sure to be wanted: fact number, of the transaction, with that argument (copied).
	 * Whoever asks for it later waits for the same.  Nothing happens where it was asked, behind a verdict, in the
	 * loop, and for a fact of the text (COST_TEXT) before STAGE_MESSAGE.
	 * start and ctx, together, are good up to the transaction's end: ask() may use a copy of them.
	 */
	void         (*start)(const struct findings *, unsigned number, struct strv arg);
	void          *ctx;             /* the judge's: for hears, settles and start, which find it here */
};

struct auth_conf;                       /* filters/auth.h */
struct milters_conf;                    /* filters/milter_conf.h */

/* What a configuration makes of the filters. */
struct filter_use {
	const struct auth_conf *auth;   /* never NULL */
	const struct milters_conf *milters;     /* never NULL */
	const bool             *asked;  /* by fact number: something in the policy may ask for it */
};

/* TEMP: a passing fault; BUG: nonsense from outside or inside. Neither decides: the fact is unknown. */
enum filter_rc { FILTER_OK, FILTER_TEMP, FILTER_BUG, FILTER_CANCELLED };

enum filter_does {
	DOES_BODY = 1,                  /* wants body() */
	DOES_HEADER_EDIT = 2, DOES_BODY_EDIT = 4, DOES_ENVELOPE_EDIT = 8,
	DOES_SEAL = 16,                 /* acts at STAGE_SEAL: signs, seals, adds our results */
	DOES_ORIGINAL = 32,             /* body() as received, before any edit */
	/*
	 * at() is called behind the checks of the stage, unless a verdict has settled it.  But for a recipient that they
	 * refused just now: env->rcpt[rcpt].said has it, REJECT or TEMPFAIL; who does not want to hear of those looks
	 * away, and advice that is given then does not count.  said NONE: nothing is against that recipient so far.
	 */
	DOES_ADVISE = 64                /* milters */
};

struct filter {
	const char            *name;
	const struct fact_def *facts;   /* ends with name == NULL; NULL: none */
	unsigned               does;    /* enum filter_does */
	unsigned               stages;  /* AT(...) for which at() is called */
	/* Once a configuration, before fork: what all sessions of a worker share (it is written to, each worker has its
	 * own copy). Given to open() as `shared'. It gives NULL: in this configuration the filter takes no part, and
	 * costs nothing. No make(): nothing is shared. */
	void *(*make)(struct arena *conf, const struct filter_use *use);
	void *(*open)(struct arena *session, void *shared, const struct client *);      /* NULL: sits this one out */
	void  (*begin)(void *self, struct arena *transaction);
	void  (*end)(void *self);
	MAY_YIELD enum filter_rc (*at)(void *self, enum stage, const struct mail *, const struct view *, struct findings *);
	MAY_YIELD enum filter_rc (*ask)(void *self, struct fact *, const struct mail *);        /* fills exactly that fact */
	MAY_YIELD enum filter_rc (*body)(void *self, struct strv text);         /* TEMP, BUG: no more of this message */
	void  (*close)(void *self);
};

#endif
