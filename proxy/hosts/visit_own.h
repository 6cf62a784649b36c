/*
 * visit_own -- what the visit*.c share; nobody else includes it.
 */
#ifndef PROXY_HOSTS_VISIT_OWN_H
#define PROXY_HOSTS_VISIT_OWN_H

#include "proxy/base/arena.h"
#include "proxy/base/fiber.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/hosts/visit.h"
#include "proxy/judge.h"
#include "proxy/mail/reply.h"

struct visits {
	struct bridge         *bridge;
	struct world          *w;
	struct loop           *loop;
	const struct settings *s;
	struct fiber_pool     *fibers;
	struct spool_pool     *spools;
	struct visit          *first;           /* those that are open */
	unsigned               open, max;
	struct timer           again;           /* where no fiber was to be had for one of them */
	struct log_line        line;            /* visit_log.c's */
};

struct visit {
	struct visits     *all;
	struct visit      *next, **back;        /* of all->first */
	struct arena      *a;
	struct client      client;
	struct hearing    *hearing;
	struct fiber      *fiber;               /* while there are calls */
	struct bridge_call *first, **last;      /* calls that wait for it */
	char               id[9];
	uint64_t           opened, began;       /* ms; of the session, of the transaction */
	unsigned           n_tx, n_messages;
	/* of the transaction */
	char               queue[32];           /* as the mail server names it; "": it has not */
	struct strv       *rcpt;                /* of each recipient as it was told, for who deletes it */
	unsigned           max_rcpt;
	struct reply       fault;               /* of the text; code 0: none */
	bool               headed, cr;          /* judge_headers was called; the body's last octet was a CR */
};

static inline struct transaction *
visit_tx(const struct visit *v)
{
	return v->hearing->tx;
}

/* What a call asks, CLOSE alone excepted, and its answer: visit_step.c */
MAY_YIELD void visit_step(struct visit *v, struct visit_call *c);
/* None, too; v->hearing is ready for the next one. */
MAY_YIELD void visit_end_transaction(struct visit *v);

/* What the mail server tells of its client: visit_client.c */
void visit_learn_addresses(struct visit *v, const struct visit_call *c);        /* once, at connect */
void visit_learn_client(struct visit *v, const struct visit_call *c);           /* TLS and AUTH */
void visit_learn_helo(struct visit *v, struct strv name);
void visit_learn_queue(struct visit *v, const struct visit_call *c);

/* The text of a message: visit_text.c */
MAY_YIELD void visit_text_header(struct visit *v, const struct visit_call *c);
MAY_YIELD void visit_text_body(struct visit *v, struct strv text);
/* No text comes any more. */
MAY_YIELD void visit_text_end(struct visit *v);

/* MAIL and RCPT as libmilter tells them: visit_envelope.c.  False: *why, static. */
bool visit_take_from(struct visit *v, const struct visit_call *c, const char **why);
bool visit_take_rcpt(struct visit *v, const struct visit_call *c, const char **why);

/* The answer: visit_answer.c */
void visit_say_reply(struct visit_answer *out, const struct reply *r, const char *id);
/* What edits make of the message and the recipients that are dropped, as the mail server is to be told. False: *why. */
bool visit_say_edits(struct visit *v, struct visit_answer *out, const struct verdict *verdict, const char **why);
/* How n recipients of the transaction are left. */
unsigned visit_left(const struct visit *v);

/* The log: visit_log.c */
void visit_log_checks(struct visit *v);
void visit_log_refused(struct visit *v, enum stage at, const struct verdict *said, const struct reply *r);
void visit_log_message(struct visit *v, const char *outcome, const struct verdict *said, const struct reply *r);
void visit_log_end(struct visit *v);
void visit_log_event(struct visit *v, const char *what, const char *why);

#endif
