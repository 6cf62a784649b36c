/*
 * trial_session -- one made-up SMTP session through the judge: no socket, no server, its commands as calls.
 *
 * For `test` blocks and `explain`.  What can be said without a server is said here as proxy/smtp says it (syntax,
 * limits, what a listener demands); the server behind takes everything.  Runs in a fiber.
 */
#ifndef PROXY_TRIAL_SESSION_H
#define PROXY_TRIAL_SESSION_H

#include "proxy/judge.h"
#include "proxy/settings.h"

struct loop;
struct spool_pool;

struct trial_house {                    /* what the sessions of one test share */
	const struct settings *s;
	const struct judge    *judge;   /* of its own: filters keep things in it */
	struct loop           *loop;
	struct spool_pool     *spools;
	uint64_t               command_ms;      /* longest time that one command may take */
	bool                   all;     /* behind a verdict checks are asked on (explain) */
	/* Each check as it is looked at; rcpt as it was written, absent elsewhere.  The look is good during the call. */
	void                 (*look)(void *arg, const struct look *);
	void                  *arg;
	/* Each field that the header of a message that goes on gets; NULL: nobody wants to know. */
	void                 (*field)(void *arg, struct strv name, struct strv value);
};

struct trial_answer {                   /* what the client hears */
	uint16_t    code;               /* 0: the session was cancelled */
	char        enh[10];            /* "": none */
	struct strv text;               /* without the enhanced code; the session's arena */
	struct strv by;                 /* "upstream", "limits", "relay", a check; absent: nobody's word but ours */
	enum stage  at;
	bool        closed;             /* and the session is over */
	bool        earlier;            /* it was said to an earlier command, that stands in the way of this one */
	bool        dropped;            /* 250, but nobody ever sees it (discard) */
	bool        kept;               /* 250, and it is in quarantine, here or at `to' */
	struct strv to;
};

struct trial_session;

/* a: the session's, freed behind trial_close. */
struct trial_session *trial_open(const struct trial_house *t, struct arena *a, const struct listener *l,
    const struct addr *client);
/* The greeting. */
MAY_YIELD void trial_greet(struct trial_session *s, struct trial_answer *out);
MAY_YIELD void trial_helo(struct trial_session *s, struct strv name, struct trial_answer *out);
/* STARTTLS and, where HELO was said, that once more.  On a listener with implicit TLS, or a second time: nothing. */
MAY_YIELD void trial_tls(struct trial_session *s, struct trial_answer *out);
/* The server would say 235. */
MAY_YIELD void trial_auth(struct trial_session *s, struct strv user, struct trial_answer *out);
/* An address, or <path> and parameters as behind "MAIL FROM:".  An open transaction is given up. */
MAY_YIELD void trial_mail(struct trial_session *s, struct strv from, struct trial_answer *out);
MAY_YIELD void trial_rcpt(struct trial_session *s, struct strv to, struct trial_answer *out);
/*
 * DATA and the text, with any line ends; without an empty line in it, it is a header alone.  The transaction is
 * over behind it.
 */
MAY_YIELD void trial_message(struct trial_session *s, struct strv text, struct trial_answer *out);
/* Counts what the client heard: behind too many errors (limits.h) the session is over, with 421. */
void trial_count(struct trial_session *s, const struct trial_answer *heard);
/* A message with nothing in it but what every one has, from the transaction's sender. */
struct strv trial_minimal(const struct trial_session *s, struct arena *a);
/* Is there a transaction with a recipient that was taken? */
bool trial_has_recipient(const struct trial_session *s);
/* Goes on as if every recipient had been taken, to see what would become of the message. False: there is none. */
bool trial_force(struct trial_session *s);
bool trial_in_transaction(const struct trial_session *s);
/* The session is over: waits for look-ups that still run. */
MAY_YIELD void trial_close(struct trial_session *s);

#endif
