/*
 * smtp -- the face of proxy/smtp: what a worker (or a test) gives to it and may ask of it.
 *
 * One struct smtp a loop.  Sessions live in it from session_open until they close themselves.
 */
#ifndef PROXY_SMTP_SMTP_H
#define PROXY_SMTP_SMTP_H

#include "proxy/base/addr.h"
#include "proxy/base/hash.h"
#include "proxy/base/strv.h"
#include "proxy/smtp/limits.h"

struct arena;
struct counters;
struct flood;
struct judge;
struct loop;
struct netset;
struct tls_context;
struct world;

/* One `listen` statement. */
struct listener {
	struct endpoint       at;
	struct strv           name;             /* `name WORD`, else the address as written */
	bool                  tls;              /* implicit TLS */
	bool                  no_starttls, require_tls, require_auth;
	bool                  auth_plain;       /* `auth-without-tls`: AUTH is offered in plain text, too */
	const struct netset  *proxy_from;       /* PROXY header demanded of these peers, text from others; NULL: no */
	const struct netset  *xclient_from;     /* these may say XCLIENT; NULL: nobody */
	bool                  xclient_login;    /* and LOGIN with it: the user is authenticated */
	unsigned              pool;             /* index of smtp_conf.pool: where mail goes that no route sends elsewhere */
	struct tls_context   *context;          /* NULL: no TLS here */
};

enum hop_kind { HOP_SMTP, HOP_LMTP, HOP_MAILDIR };
/* How a server is told who the client is. PROXY1, PROXY2: the versions of the PROXY header. */
enum identity { IDENTITY_NONE, IDENTITY_XCLIENT, IDENTITY_XFORWARD, IDENTITY_PROXY1, IDENTITY_PROXY2 };
/* MAY: where the server offers it; REQUIRE: else nothing is sent; VERIFY: and its certificate is good. */
enum tls_use { TLS_USE_OFF, TLS_USE_MAY, TLS_USE_REQUIRE, TLS_USE_VERIFY };

#define POOL_SERVERS 64         /* of one pool */
#define WEIGHT_MAX   1000

/* One `upstream` statement. */
struct server {
	enum hop_kind       kind;
	struct endpoint     at;                 /* HOP_SMTP, HOP_LMTP; TCP or unix */
	const char         *dir;                /* HOP_MAILDIR */
	struct strv         name;               /* as written, for the log */
	struct strv         pool;               /* name of its pool */
	enum identity       identity;
	enum tls_use        tls;
	struct tls_context *context;            /* of a client; NULL: tls off */
	struct strv         tls_name;           /* what its certificate must bear: a host name, or its address */
	bool                eager;              /* MAIL is sent at once, not held */
	bool                no_chunking;
	bool                no_streaming;       /* text is sent only when it is there whole */
	bool                backup;             /* only while every other server of the pool is down */
	unsigned            weight;             /* 1..WEIGHT_MAX: its share of the sessions */
	uint64_t            timeout;            /* ms for each reply; 0: RFC 5321 4.5.3.2 by stage */
	unsigned            connections;        /* ceiling of this worker, already split among workers */
	unsigned            auth_connections;   /* the same for connections bound to a session by AUTH */
};

/* Passwords may go there: nobody on the way could read them. */
static inline bool
server_keeps_secrets(const struct server *sv)
{
	return sv->at.addr.family == ADDR_UNIX || addr_is_loopback(&sv->at.addr) ||
	    sv->tls == TLS_USE_REQUIRE || sv->tls == TLS_USE_VERIFY;
}

/* The servers of one name; all of one kind, a Maildir stands alone. */
struct pool_conf {
	struct strv          name;              /* "default" where none is said */
	enum hop_kind        kind;
	const struct server *server;
	unsigned             n_server;          /* 1..POOL_SERVERS */
};

enum line_endings { LINES_NORMALIZE, LINES_REJECT };

/* What one configuration says, as far as sessions care. All of it outlives the struct smtp. */
struct smtp_conf {
	struct strv           hostname;
	struct limits         limits;           /* spool_total already split among workers */
	const struct judge   *judge;
	const struct pool_conf *pool;           /* every listener's, and those that routes name */
	unsigned              n_pool;
	enum line_endings     lines;
	const struct netset  *lines_for;        /* `line-endings reject for LIST`: only these clients; NULL: all */
	bool                  received;         /* add a Received field */
	struct strv           authserv;         /* our authserv-id: fields of that id are hidden ... */
	const struct netset  *authserv_trust;   /* ... but those of these peers; NULL: nobody's are kept */
	const char           *spool_dir;        /* "" default */
	uint64_t              spool_memory;     /* octets of a message held in memory, default 256 KiB */
	const char           *quarantine;       /* `quarantine "DIR"`: a Maildir; NULL: none */
	uint64_t              quarantine_max;   /* octets that it may hold; 0: as the disk allows */
	unsigned              worker;           /* its place, as the log has it */
	struct hash_key       key;              /* of tables that the workers share; made before fork */
	struct flood         *flood;            /* this worker's, for the log (flood.h); NULL: each refusal has its lines */
};

/* What a message of that client has for authserv (message.h); absent: the client is trusted. */
struct strv smtp_authserv(const struct smtp_conf *conf, const struct addr *client);

struct smtp;

/*
 * smtp_new -- everything that sessions of one loop share; begins to learn the upstream's EHLO at once
 *
 *   place   this worker's column in the counters
 *
 * NULL: no memory for pools.
 */
struct smtp *smtp_new(const struct smtp_conf *conf, struct world *w, struct loop *l, struct counters *c,
    unsigned place);
/*
 * A new client.  Takes fd over (non-blocking), also where it refuses: over a limit it says 421 and closes.
 * `peer` and `local` are the socket's own endpoints.
 */
void session_open(struct smtp *s, const struct listener *l, int fd, const struct endpoint *peer,
    const struct endpoint *local);
/*
 * No more transactions: idle clients hear 421 4.3.2 (those idle for 30 s at once, others at the first command
 * after a transaction's end).  done(arg) is called once, when the last session is gone.
 */
void smtp_drain(struct smtp *s, void (*done)(void *arg), void *arg);
/* Ends every session now, transactions cut; smtp_drain's done comes through the loop. */
void smtp_abort(struct smtp *s);
unsigned smtp_sessions(const struct smtp *s);
/* A server of one of conf's pools (no Maildir) as this worker sees it, and how many sessions wait in a pool. */
struct server_look {
	bool     up, late;              /* an EHLO of it is known and the last attempt was good; it is behind others */
	unsigned open, in_use;          /* connections */
};
struct server_look smtp_look_server(const struct smtp *s, unsigned pool, unsigned server);
unsigned smtp_look_waiting(const struct smtp *s, unsigned pool);
/* The first attempt at each server of all pools is over, or took too long: before that none is up, which is no news. */
bool smtp_look_settled(const struct smtp *s);
/* No session may be alive and the loop must have run its queue since. Closes pooled connections. */
void smtp_free(struct smtp *s);

#endif
