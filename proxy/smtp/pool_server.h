/*
 * pool_server -- one mail server of a pool, as one loop sees it: what it offers, whether it is up, its connections.
 *
 * The files of the pool change it; who has a connection may read `conf', `pool' and `index'.
 */
#ifndef PROXY_SMTP_POOL_SERVER_H
#define PROXY_SMTP_POOL_SERVER_H

#include "proxy/base/loop.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/smtp.h"

struct pool;
struct upstream;
struct tls_session;

struct pool_withheld {                  /* an extension that a named client's EHLO lacked */
	uint64_t until;                 /* ms: not offered before */
	uint32_t ms;                    /* since it was last lacking; 0: another client's EHLO has had it since */
};

/* What a reply is to, in the order in which a session says these: of AUTH, greeting to STARTTLS, XCLIENT and its EHLO, ... */
enum owed_kind { OWED_AUTH, OWED_GREETING, OWED_XCLIENT, OWED_RSET, OWED_XFORWARD, OWED_MAIL, OWED_RCPT, OWED_DATA,
	OWED_CHUNK, OWED_TEXT, OWED_KINDS };

struct pool_silence {                   /* of a server that answers late or not at all: pool_silence.c */
	uint64_t       heard_at[OWED_KINDS];    /* ms, its last reply to that */
	bool           late;            /* a command ran into its timeout, and nothing like it was answered since */
	bool           trial;           /* the next session gets it as if it were not late */
	enum owed_kind at;              /* the command */
	uint64_t       since;           /* ms, when that was found last */
	uint64_t       ms;              /* from then to the next trial */
	uint64_t       slow_at;         /* ms, when the log said last that sessions wait; 0: never */
	struct timer   timer;
};

struct pool_server {                    /* one server as this worker sees it */
	const struct server *conf;
	struct pool         *pool;
	unsigned             index;     /* in its pool: its bit in a pool_wish's `avoid` */
	struct tls_session  *resume;    /* what the next handshake may begin with; NULL: nothing yet */
	struct ehlo          ehlo;      /* its own: no client was named */
	struct pool_withheld withheld[EHLO_BIT_MAX];
	struct {
		uint32_t caps, auth;
	} had;                          /* what it ever offered of what may be passed on */
	uint64_t             changed_at; /* ms, when `ehlo' did */
	uint64_t             asked_at;  /* ms, when it last said `ehlo', or a probe began */
	bool                 doubted;   /* its own EHLO is wanted: it refused a client, or `ehlo' may be old */
	bool                 suspect;   /* it refused a client, and has greeted nobody since */
	bool                 own;       /* `ehlo' is its own word; false: a client's, until it was asked */
	bool                 known;     /* ehlo is valid: some EHLO has come */
	bool                 down;      /* the last attempt failed; a probe runs */
	bool                 refusing;  /* it turned the last attempt away while connections of it work; a probe runs */
	bool                 tls_failed; /* its TLS could not be had, which was said already */
	bool                 tls_seen;  /* it has offered STARTTLS, and nothing was said yet of its loss */
	uint64_t             up_at;     /* ms, when it was last known to be up; 0: never */
	unsigned             weight;    /* conf's by the greatest common divisor of its pool's */
	unsigned             given;     /* sessions that it got in this round, at most two rounds' */
	struct pool_silence  silence;
	char                 why[80];   /* the beginning of what the log said of its being down, */
	uint64_t             why_at;    /* and when, ms */
	struct timer         probe;
	uint64_t             probe_ms;
	bool                 probing, warming;
	unsigned             n_open;    /* connections, those being made and places promised to waiters included */
	unsigned             n_bound;   /* of them, and under a ceiling of their own: bound by AUTH */
	unsigned             n_making, n_lendable;      /* of them, ready ones under way; those that may be lent */
	struct upstream     *idle, *idle_last;
	unsigned             n_idle;
	struct upstream     *all;
};

#endif
