/*
 * pool -- connections to the mail servers of one name, as one loop sees them.
 *
 * A connection is reused after a delivered message or with fewer than POOL_ERRORS refusals since one;
 * never after XCLIENT, AUTH or a PROXY header: for XCLIENT a few ready connections (greeted, EHLO said)
 * are kept.  Each server has a ceiling; one queue, in order of arrival, stands before all of them.
 * What a server offers is learnt from each EHLO in which no client was named; what one lacks that names a client
 * is kept from the offer for a while.  A server that is down is probed, as is one that turns new connections away
 * while others of it work, that may have refused a client because it refuses all, or whose EHLO lost something.
 */
#ifndef PROXY_SMTP_POOL_H
#define PROXY_SMTP_POOL_H

#include "proxy/base/io.h"
#include "proxy/base/loop.h"
#include "proxy/mail/reply.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/pool_server.h"
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
	enum owed_kind      awaits;     /* what the reply is to that a fiber waits for */
	uint64_t            awaits_since;       /* ms; 0: none does */
	bool                left;       /* its session's client had ended its side before that */
	bool                connecting; /* greeting and EHLO are under way */
	bool                wanted;     /* by a session, as it was made: not by a probe, nor ahead */
	bool                greeted;    /* the greeting has come */
	bool                tainted;    /* its state is unknown: never reused */
	bool                tls_fault;  /* TLS was to be had on it, and went wrong */
	bool                dirty;      /* a transaction is open in it: RSET before the next MAIL */
	bool                reused;     /* it idled, or served a transaction, before this transaction took it */
	bool                heard;      /* a reply came since it was taken */
	bool                named;      /* XCLIENT or a PROXY header was said: serves one session */
	bool                lendable;   /* its session waits for something else: whoever needs one may have it (lend.h) */
	bool                bound;      /* AUTH was tried on it: it stays with its session, under the ceiling for these */
	bool                no_xforward;        /* the server has none for us: it was said in the log, and XFORWARD is left out */
	unsigned            errors;     /* refusals since the last delivered message */
	uint64_t            ticket;     /* of the errand that took it; 0: none, its session kept it */
	uint64_t            idle_since; /* ms; of a named one since its last transaction, 0 inside one */
	struct session     *owner;      /* NULL: in the pool */
	struct upstream    *prev, *next;        /* idle list, youngest first */
	struct upstream    *all_prev, *all_next;
};

/* For who shows it: smtp_look_server, smtp_look_waiting. */
struct server_look pool_look(const struct pool *p, unsigned server);
unsigned pool_waiting(const struct pool *p);

/* What happened while waiting for a server. */
enum up_rc { UP_OK, UP_TIMEOUT, UP_CLOSED, UP_BAD, UP_REFUSED, UP_BUSY, UP_CANCELLED };

const char *up_rc_text(enum up_rc rc);          /* "timed out", ... static */

struct pool *pool_new(struct smtp *m, const struct pool_conf *conf);
/* Its kind of hop. */
const struct hop *pool_hop(const struct pool *p);
const struct pool_conf *pool_conf(const struct pool *p);
void pool_free(struct pool *p);                 /* closes what idles; nothing may be taken */
/* No session uses it any more: no more probes, what idles is closed; what is being made ends within a round. */
void pool_stop(struct pool *p);

/* The first attempt at each of its servers is over, or has taken longer than clients should wait for it. */
bool pool_settled(const struct pool *p);
/* It is settled and some server of it is up, and has said what it offers. A Maildir always is. */
bool pool_up(const struct pool *p);
/*
 * What every server of it offers that is up, or was within POOL_MEMORY_MS; without any, what those said
 * last that ever spoke.  False: none ever did.  RFC 5321 4.1.1.1: a client keeps what it heard.  For a client
 * that has come: a server that lacks what it once had may be asked again, behind this.
 */
bool pool_ehlo(struct pool *p, struct ehlo *out);
/* A listener of it serves nobody who has not said AUTH: a server that lacks it is asked again. */
void pool_require_auth(struct pool *p);
/* Sessions wait for a place that is not one for AUTH: a connection kept for later is better given back. */
bool pool_crowded(const struct pool *p);
/* The same of a connection for AUTH. */
bool pool_auth_crowded(const struct pool *p);

#define POOL_MEMORY_MS 3600000

struct pool_watch {                             /* embed it; all zero: not watching */
	void (*fn)(void *arg);
	void  *arg;
	struct pool_watch *prev, *next;
	bool   on;
};

/*
 * fn(arg) once, from the loop, when a server of any pool of m has come up or a pool has settled; probes hurry
 * while somebody watches.
 */
void pool_watch(struct smtp *m, struct pool_watch *w);
void pool_unwatch(struct smtp *m, struct pool_watch *w);

struct pool_wish {                              /* all zero: any connection of any server */
	bool     fresh;                         /* never one that idled (the idle one had gone stale) */
	bool     bound;                         /* for AUTH: fresh, counts against auth-connections alone; up->bound is set */
	uint32_t auth;                          /* mechanisms (enum sasl_bit) of which the server must offer all */
	uint64_t ticket;                        /* the place in the order of arrival that its transaction had; 0: the last */
	uint64_t avoid;                         /* bits (1 << up->sv->index) of servers that have failed this transaction */
};

struct pool_refusal {
	const struct pool_server *sv;   /* the server that was tried last; NULL: none was */
	const char  *why;       /* how it failed; static text */
	struct reply said;      /* of greeting, EHLO or STARTTLS, text in an arena; code 0: none */
	bool         of_client; /* the final word to whom the connection named: his answer, and no other server is asked */
};

/*
 * pool_take -- a connection that has been greeted and EHLOed (over TLS where so configured), for this session alone
 *
 *   wish    stays as it is until this returns
 *   out     set on UP_OK; its owner is s
 *   refusal the last server's own reply when UP_REFUSED (greeting or EHLO was not 2xx), text in arena a; code 0
 *           where no server offers the mechanisms wished for.  One for good of the client that a PROXY header named
 *           says nothing about the server, nor does a close behind it: it is logged here, and the server asked again
 *
 * The server: one that is up, by weight (the fewest connections in use, and sessions given lately, for it);
 * backups only where no other is up; one to be avoided only where no other is up; one that is down only where
 * none is up.  A server that cannot be reached, refuses, or lacks the mechanisms: the next one is tried, and
 * the session keeps its place in the order of arrival; none is tried twice, nor begun after POOL_WAIT_MS.
 * With no place free on the servers that are its choice it waits in the queue, in the order of arrival, at
 * most POOL_WAIT_MS (UP_BUSY).  Those who wish for a bound one have a queue of their own, of the same kind
 * and with the same deadline, before the places that auth-connections gives.
 * Not for a Maildir.  Parks.
 */
MAY_YIELD enum up_rc pool_take(struct pool *p, struct session *s, const struct pool_wish *wish, struct arena *a,
    struct upstream **out, struct pool_refusal *refusal);
/* Is it a server's final word to a client, and about nobody else? */
bool pool_turns_away(const struct reply *r);
/* XCLIENT was said and EHLO answered: what that lacks clients are not offered for a while. */
void pool_learn(struct upstream *up);
/* Ends the session's use: back to the pool where the rules allow it, else QUIT and closed. */
void pool_give(struct upstream *up);
/* Closes it at once: its state is unknown or it failed. */
void pool_drop(struct upstream *up);
/* Its session may do without it: who finds no place has it by pool_lend (then relay.up is NULL, relay.lent set). */
void pool_lendable(struct upstream *up, bool yes);
void pool_lend(struct upstream *up);

/* up->awaits a reply from now on; how that ended.  It is asked of each reply: pool_silence.c. */
void pool_silence_begins(struct upstream *up);
void pool_silence_ends(struct upstream *up, enum up_rc rc);

/* --- one connection: upstream.c --- */

/* A connecting one; NULL: *why is static text.  Knows its server, whose `resume` it uses. */
struct upstream *upstream_new(struct smtp *m, struct pool_server *sv, const char **why);
void upstream_free(struct upstream *up);
/*
 * Waits for the connection, the greeting and the reply to EHLO (HELO, LHLO); STARTTLS and EHLO again where
 * the server's `tls` says so.  *out: what refused it.
 *   client   whom a PROXY header in front names (the connection is `named` then); NULL: LOCAL
 */
struct client;
MAY_YIELD enum up_rc upstream_greet(struct upstream *up, struct strv name, const struct client *client, struct reply *out);
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
