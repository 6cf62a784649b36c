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
	bool                  no_starttls, require_tls;
	const struct netset  *proxy_from;       /* PROXY header demanded of these peers, text from others; NULL: no */
	struct tls_context   *context;          /* NULL: no TLS here */
};

enum hop_kind { HOP_SMTP, HOP_MAILDIR };
enum identity { IDENTITY_NONE, IDENTITY_XCLIENT };

/* One `upstream` statement. */
struct server {
	enum hop_kind   kind;
	struct endpoint at;                     /* HOP_SMTP */
	const char     *dir;                    /* HOP_MAILDIR */
	struct strv     name;                   /* as written, for the log */
	enum identity   identity;
	bool            eager;                  /* MAIL is sent at once, not held */
	bool            no_chunking;
	bool            no_streaming;           /* text is sent only when it is there whole */
	uint64_t        timeout;                /* ms for each reply; 0: RFC 5321 4.5.3.2 by stage */
	unsigned        connections;            /* ceiling of this worker, already split among workers */
};

enum line_endings { LINES_NORMALIZE, LINES_REJECT };

/* What one configuration says, as far as sessions care. All of it outlives the struct smtp. */
struct smtp_conf {
	struct strv           hostname;
	struct limits         limits;           /* spool_total already split among workers */
	const struct judge   *judge;
	const struct server  *server;           /* one, in this build */
	unsigned              n_server;
	enum line_endings     lines;
	const struct netset  *lines_for;        /* `line-endings reject for LIST`: only these clients; NULL: all */
	bool                  received;         /* add a Received field */
	const char           *spool_dir;        /* "" default */
	uint64_t              spool_memory;     /* octets of a message held in memory, default 256 KiB */
	struct hash_key       key;              /* of tables that the workers share; made before fork */
};

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
/* No session may be alive and the loop must have run its queue since. Closes pooled connections. */
void smtp_free(struct smtp *s);

#endif
