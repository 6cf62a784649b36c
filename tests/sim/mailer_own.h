/*
 * mailer_own -- between the files that play a mail server: mailer.c (connections and what comes in),
 * mailer_reply.c (what is due to a command), mailer_auth.c.
 */
#ifndef TESTS_SIM_MAILER_OWN_H
#define TESTS_SIM_MAILER_OWN_H

#include "tests/sim/mailer.h"

enum up_state { UP_IDLE, UP_MAILED, UP_RCPTED, UP_DATA, UP_BDAT };

struct up_auth {                        /* an exchange */
	bool     open;                  /* the next line belongs to it */
	bool     done;                  /* somebody is authenticated */
	unsigned step;                  /* responses so far */
	char     mechanism[24];
	char     user[64];              /* as the client says */
	bool     good;                  /* of what was said so far */
};

struct up_conn {
	struct actor       actor;       /* first */
	struct wire        wire;
	struct mailer     *up;
	unsigned           no;
	enum up_state      state;
	bool               greeted, helo, extended, xclient_done;
	bool            too_many;       /* it was given more replies than commands */
	bool               proxied;     /* its PROXY header has come */
	bool               shake_next;  /* 220 to STARTTLS is on its way */
	bool               secret, tls_noted;
	bool               closing, stalled;
	bool               used;        /* MAIL was taken on it */
	uint64_t           active;      /* ms, when something happened last */
	char              *offers;      /* what its last EHLO was told; NULL: none yet */
	struct up_auth     auth;
	char               reply[700];  /* one that is made up */
	struct up_message *m;           /* the transaction */
	uint64_t           chunk;       /* octets of BDAT still to come */
	bool               last, chunk_bad;
	bool               chunk_said;  /* the reply to this chunk went out before its octets came */
	uint64_t           text_n;      /* octets of text on the wire so far */
	struct up_message *unreplied;   /* taken, its reply not yet written whole */
	/* what waits for its time */
	bool               waiting;
	uint64_t           until;
	struct up_moment   moment;
	struct up_answer   answer;
	char              *line;        /* moment.line's octets */
};

void mailer_event(struct up_conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void mailer_fault(struct up_conn *c, const char *what);
/* Was the keyword in its last EHLO (or would it be in one)? */
bool mailer_offered(const struct up_conn *c, const char *keyword);
uint64_t mailer_order(void);            /* of events and messages; each is larger than the one before */
void mailer_message_free(struct up_message *m);

/* mailer_reply.c */
void mailer_say(struct up_conn *c, struct strv octets);
void mailer_say_hello(struct up_conn *c);
/* The reply that is due, and the change of state if it is not refused: NULL: HELO's, "": none. */
const char *mailer_due(struct up_conn *c, const struct up_moment *m, bool refused);
void mailer_end_of_message(struct up_conn *c, bool taken);
void mailer_forget(struct up_conn *c);  /* the transaction */

/* mailer_auth.c: the AUTH command, and a line of the exchange that it began. The reply that is due. */
const char *mailer_auth(struct up_conn *c, struct strv line);
const char *mailer_auth_line(struct up_conn *c, struct strv line);
/* At such a moment a rule said something of its own: what becomes of the exchange. */
void mailer_auth_said(struct up_conn *c, const struct up_moment *m, struct strv say);

#endif
