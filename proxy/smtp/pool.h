/*
 * pool -- connections to the mail server behind us, one pool a loop.
 *
 * A connection is reused after a delivered message or with fewer than POOL_ERRORS refusals since one;
 * never after XCLIENT: for those a few ready connections (greeted, EHLO said) are kept.  A ceiling with a
 * queue in order of arrival stands behind it.  What the server offers is learnt from each EHLO.
 */
#ifndef PROXY_SMTP_POOL_H
#define PROXY_SMTP_POOL_H

#include "proxy/base/io.h"
#include "proxy/mail/reply.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/smtp.h"

#define POOL_ERRORS   3         /* Postfix slows down after 10 errors and hangs up at 20 */
#define POOL_IDLE_MS  10000
#define POOL_WAIT_MS  60000     /* longest stay in the queue for a place */
#define POOL_READY    4         /* connections kept ready for XCLIENT */
#define UPSTREAM_OWED 64        /* replies owed at once; more commands wait for some of them */

#define UPSTREAM_CONNECT_MS 30000

struct pool;
struct session;
struct slot;

enum owed_kind { OWED_RSET, OWED_MAIL, OWED_RCPT, OWED_DATA, OWED_CHUNK, OWED_TEXT };

struct owed {                           /* a command sent (or about to be) whose reply has not come */
	enum owed_kind kind;
	unsigned       rcpt;
	struct slot   *slot;            /* of the client's command; NULL: nobody waits for it */
};

struct upstream {
	struct conn         io;
	struct smtp        *smtp;
	struct pool_server *sv;
	struct ehlo         ehlo;
	struct buf          cmds;       /* written anew, not yet sent */
	struct reply_parser parser;
	char               *in;         /* borrowed while it holds unread octets */
	size_t              in_at, in_n;
	struct owed         owed[UPSTREAM_OWED];        /* a ring */
	unsigned            owed_at, n_owed;
	bool                connecting; /* greeting and EHLO are under way */
	bool                tainted;    /* its state is unknown: never reused */
	bool                dirty;      /* a transaction is open in it: RSET before the next MAIL */
	bool                reused;     /* it idled, or served a transaction, before this transaction took it */
	bool                heard;      /* a reply came since it was taken */
	bool                named;      /* XCLIENT was said: serves one session */
	unsigned            errors;     /* refusals since the last delivered message */
	uint64_t            idle_since; /* ms; of a named one since its last transaction, 0 inside one */
	struct session     *owner;      /* NULL: in the pool */
	struct upstream    *prev, *next;        /* idle list, youngest first */
	struct upstream    *all_prev, *all_next;
};

struct pool_waiter;

struct pool_server {                    /* one server as this worker sees it */
	const struct server *conf;
	struct ehlo          ehlo;
	struct ehlo          as_client; /* what it says to a client named by XCLIENT */
	bool                 named;     /* as_client is valid */
	bool                 known;     /* ehlo is valid: some EHLO has come */
	bool                 down;      /* the last attempt failed; a probe runs */
	unsigned             n_open;    /* connections, those being made and places promised to waiters included */
	unsigned             n_making;  /* of them, ready ones under way */
	struct upstream     *idle, *idle_last;
	unsigned             n_idle;
	struct upstream     *all;
	struct pool_waiter  *first, *last;      /* sessions waiting for a place, in order */
};

/* What happened while waiting for a server. */
enum up_rc { UP_OK, UP_TIMEOUT, UP_CLOSED, UP_BAD, UP_REFUSED, UP_BUSY, UP_CANCELLED };

const char *up_rc_text(enum up_rc rc);          /* "timed out", ... static */

struct pool *pool_new(struct smtp *m);
void pool_free(struct pool *p);                 /* closes what idles; nothing may be taken */
/* No session uses it any more: no more probes, what idles is closed; what is being made ends within a round. */
void pool_stop(struct pool *p);

/* What is known of the server: NULL before the first EHLO, or while it is down. */
const struct ehlo *pool_ehlo(const struct pool *p);
/* What it said last, also while it is down; nothing before the first EHLO. Never NULL. */
const struct ehlo *pool_last_ehlo(const struct pool *p);
/* Sessions wait for a place: a connection kept for later is better given back. */
bool pool_crowded(const struct pool *p);

struct pool_watch {                             /* embed it; all zero: not watching */
	void (*fn)(void *arg);
	void  *arg;
	struct pool_watch *prev, *next;
	bool   on;
};

/* fn(arg) once, from the loop, when pool_ehlo() is not NULL any more. */
void pool_watch(struct pool *p, struct pool_watch *w);
void pool_unwatch(struct pool *p, struct pool_watch *w);

/*
 * pool_take -- a connection that has been greeted and EHLOed, for this session alone
 *
 *   fresh   never one that idled (the idle one had gone stale)
 *   out     set on UP_OK; its owner is s
 *   refusal the server's own reply when UP_REFUSED (greeting or EHLO was not 2xx), text in arena a
 *
 * Parks: connects, or waits for a place in the order of arrival.
 */
MAY_YIELD enum up_rc pool_take(struct pool *p, struct session *s, bool fresh, struct arena *a, struct upstream **out,
    struct reply *refusal);
/* XCLIENT was said and EHLO answered: what clients are offered from now on is no more than this. */
void pool_learn(struct upstream *up);
/* Ends the session's use: back to the pool where the rules allow it, else QUIT and closed. */
void pool_give(struct upstream *up);
/* Closes it at once: its state is unknown or it failed. */
void pool_drop(struct upstream *up);

/* --- one connection: upstream.c --- */

/* A connecting one; NULL: *why is static text. */
struct upstream *upstream_new(struct smtp *m, struct pool_server *sv, const char **why);
void upstream_free(struct upstream *up);
/* Waits for the connection, the greeting and the reply to EHLO (or HELO). *out: what refused it. */
MAY_YIELD enum up_rc upstream_greet(struct upstream *up, struct strv name, struct reply *out);
MAY_YIELD enum up_rc upstream_ehlo(struct upstream *up, struct strv name, struct reply *out);
/* A line with its CRLF and its one reply: UP_OK 2xx, UP_REFUSED another. */
MAY_YIELD enum up_rc upstream_ask(struct upstream *up, struct strv line, struct reply *out);
/* The next reply. UP_OK: *out is valid until the next call; its views point into up->parser. */
MAY_YIELD enum up_rc upstream_reply(struct upstream *up, uint64_t ms, struct reply *out);
/* Sends up->cmds without waiting. False: it failed. */
bool upstream_flush(struct upstream *up);
/* Octets that nothing owes, or the end?  A look, no park. */
enum up_idle { UP_QUIET, UP_GONE, UP_SPOKE };
enum up_idle upstream_quiet(struct upstream *up);
/* Milliseconds for a reply of that kind: the server's `timeout`, or RFC 5321 4.5.3.2. */
uint64_t upstream_ms(const struct upstream *up, enum owed_kind kind);

#endif
