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

#include "proxy/mail/client.h"
#include "proxy/mail/envelope.h"
#include "proxy/mail/fact.h"
#include "proxy/mail/view.h"

struct mail {                           /* what filters see; env and msg are NULL outside a transaction */
	const struct client   *client;
	const struct envelope *env;
	const struct message  *msg;
};

struct findings {
	struct facts  *facts;
	struct edits  *edits;
	struct verdict advice;          /* a milter's answer; the policy obeys it or not */
};

/* TEMP: a passing fault; BUG: nonsense from outside or inside. Neither decides: the fact is unknown. */
enum filter_rc { FILTER_OK, FILTER_TEMP, FILTER_BUG, FILTER_CANCELLED };

enum filter_does {
	DOES_BODY = 1,                  /* wants body() */
	DOES_HEADER_EDIT = 2, DOES_BODY_EDIT = 4, DOES_ENVELOPE_EDIT = 8,
	DOES_SEAL = 16,                 /* acts at STAGE_SEAL: signs, seals, adds our results */
	DOES_ORIGINAL = 32              /* body() as received, before any edit */
};

struct filter {
	const char            *name;
	const struct fact_def *facts;   /* ends with name == NULL; NULL: none */
	unsigned               does;    /* enum filter_does */
	unsigned               stages;  /* AT(...) for which at() is called */
	/* Once a configuration, before fork: what all sessions of a worker share (it is written to, each worker has its
	 * own copy). Given to open() as `shared'. NULL: nothing is shared. */
	void *(*make)(struct arena *conf);
	void *(*open)(struct arena *session, void *shared, const struct client *);      /* NULL: sits this one out */
	void  (*begin)(void *self, struct arena *transaction);
	void  (*end)(void *self);
	MAY_YIELD enum filter_rc (*at)(void *self, enum stage, const struct mail *, const struct view *, struct findings *);
	MAY_YIELD enum filter_rc (*ask)(void *self, struct fact *, const struct mail *);        /* fills exactly that fact */
	MAY_YIELD enum filter_rc (*body)(void *self, struct strv text);
	void  (*close)(void *self);
};

#endif
