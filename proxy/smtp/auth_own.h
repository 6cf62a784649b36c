/*
 * auth_own -- what auth.c (what the client says) and auth_answer.c (what the server says) share.
 */
#ifndef PROXY_SMTP_AUTH_OWN_H
#define PROXY_SMTP_AUTH_OWN_H

#include "proxy/smtp/auth.h"

struct auth {                           /* on the heap while an exchange is open or its answer is held back */
	enum sasl_mechanism mechanism;
	unsigned            step;       /* responses of the client so far */
	char                name[2][SASL_NAME];
	struct strv         user, author;       /* into name; absent: not said yet */
	uint64_t            held;       /* ms, when `reply` is due; 0: nothing is held back */
	uint64_t            until;      /* ms, when a client that says nothing is given up */
	struct reply        reply;      /* its text, of a 334 decoded, in `text` */
	char               *text;
	bool                counted;    /* as a failure */
	bool                ends;       /* and the session with it */
};

/* A reply in the exchange: it goes on, or is over, one way or the other. */
void auth_answered(struct session *s, struct reply *r);
/* The answer that was held back is due: the end of the exchange, or a 334 and it goes on. */
void auth_release(struct session *s);
/* There is no answer: 454, and the server is dropped (broken) or was never had (no_answer). */
void auth_broken(struct session *s, const char *why);
void auth_no_answer(struct session *s);
/* The client has gone before the answer: that is a guess, too, if it has sent its secret. */
void auth_abandoned(struct session *s);
/* It says goodbye to a server that is in a known state. */
void auth_leave_server(struct session *s);
/* Has its address failed too often to be asked?  421, and the end. */
bool auth_failed_too_often(const struct session *s);
void auth_refuse_for_good(struct session *s);

#endif
