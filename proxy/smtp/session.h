/*
 * session -- one client's conversation: phases, the turn, and what the command files share.
 *
 * While a session waits for its client it has no fiber.  An event reads once; a whole command line or
 * text starts a *turn*, a fiber that answers all that is there and ends.  Nothing but the turn (and, when
 * there is none, the event) touches the session.
 */
#ifndef PROXY_SMTP_SESSION_H
#define PROXY_SMTP_SESSION_H

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/hash.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/base/world.h"
#include "proxy/judge.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/intake.h"
#include "proxy/smtp/parse.h"
#include "proxy/smtp/pool.h"
#include "proxy/smtp/relay.h"
#include "proxy/smtp/slots.h"
#include "proxy/smtp/smtp.h"

#define SMTP_SPARE_ARENAS 64

struct smtp {                           /* what all sessions of a loop share */
	const struct smtp_conf *conf;
	struct world           *world;
	struct loop            *loop;
	struct fiber_pool      *fibers;
	struct bufpool         *bufs;
	struct spool_pool      *spools;
	struct counters        *counters;
	unsigned                place;
	struct pool           **pool;   /* as in conf->pool */
	unsigned                n_pool;
	struct pool_watch      *watch;  /* sessions that wait for a server to come up */
	struct hash_key         key;
	struct session         *sessions;
	unsigned                n_sessions;
	struct arena           *spare[SMTP_SPARE_ARENAS];       /* of transactions, to be used again */
	unsigned                n_spare;
	struct slots_spare      spare_slots;
	uint64_t                starved_at;     /* when it was last logged that a turn found no fiber; 0: never */
	bool                    draining;
	void                  (*drained)(void *arg);
	void                   *drained_arg;
};

enum phase {
	PHASE_PROXY,                    /* a PROXY header must come first */
	PHASE_TLS,                      /* a handshake */
	PHASE_GREET,                    /* waiting until some EHLO of the upstream is known */
	PHASE_COMMAND,
	PHASE_AUTH,                     /* behind 334: the next line is no command */
	PHASE_TEXT,                     /* behind 354 */
	PHASE_CHUNK,                    /* the octets of a BDAT */
	PHASE_SKIP,                     /* octets of a refused BDAT */
	PHASE_CLOSING                   /* replies go out, input is dropped */
};

enum smtp_state {                       /* what commands are timely */
	SMTP_NEW,                       /* no HELO yet */
	SMTP_READY,                     /* no transaction */
	SMTP_MAIL,                      /* MAIL was taken */
	SMTP_BDAT,                      /* chunks have come */
	SMTP_REFUSED                    /* 554 was the greeting: QUIT is all that is left (RFC 5321 3.1) */
};

/* The text of a message on its way in: what is wrong with it is told after its end. */
struct intext {
	struct dots_in dots;
	struct reply   fault;           /* code 0: nothing wrong so far */
	uint64_t       left;            /* octets of this BDAT still to come */
	uint64_t       began;           /* ms, of the first text */
	uint64_t       until;           /* ms, data-total from then; stands still while the client's time does */
	uint64_t       dropped;         /* octets of text_too_much */
	bool           last;            /* of this BDAT */
	bool           failed;          /* a chunk was refused: the transaction takes no more (RFC 3030 2) */
	bool           headed;          /* the filters have seen the header */
	bool           drop;            /* a rule has discarded the message: its text is only counted */
};

struct session {
	struct conn            io;
	struct smtp           *smtp;
	const struct listener *listener;
	struct arena          *a;
	struct session        *prev, *next;
	char                   id[12];
	struct client          client;
	struct hearing        *hearing;
	struct relay           relay;
	struct slots           replies;
	struct intake          in;
	struct intext          text;
	struct reply           skip;    /* PHASE_SKIP: what is said when the octets are gone; static text */
	struct auth           *auth;    /* an exchange that is under way; NULL: none. auth.h */
	struct noted          *noted[2];/* of the checks, for the line of a message: session's, transaction's. sessionlog.c's */
	struct fiber          *turn;    /* NULL: waiting for the client */
	struct timer           timer;
	uint64_t               deadline;        /* of the client; looked at when the timer fires */
	struct pool_watch      watch;           /* for the greeting */
	enum phase             phase;
	enum smtp_state        state;
	struct ehlo            offered;
	uint64_t               client_hash;
	uint64_t               opened;          /* ms of loop_now, for the session's log line */

	bool                   bound;           /* authenticated upstream: relay.up is ours for the session */
	bool                   introduced;      /* XCLIENT was taken: client.addr is what a trusted peer said */
	bool                   ending;          /* no more commands: flush, then close */
	bool                   gone;            /* the client has reset, or our cut: nothing more can be said */
	bool                   greeted;         /* 220 was said (or refused) */
	bool                   counted;         /* in the table of sessions per client */
	bool                   in_turn;         /* a turn runs or is parked */
	bool                   advancing;       /* session_advance is on the stack: it looks again itself */
	bool                   deferred;        /* session_resume is in the wake queue: not to be freed */
	bool                   starved;         /* no fiber was to be had: the timer tries again */
	bool                   lingering;       /* our side is shut; input is dropped until the client closes */
	uint32_t               drained;         /* octets dropped while lingering */
	unsigned               errors, junk, commands, n_tx, n_taken;
	unsigned               forgiven;        /* of the errors: those before the last message that was taken */
	const char            *end_why;         /* static: how the session ended, for its log line */
};

/* NULL between transactions, and before the client's address is known. */
static inline struct transaction *
session_tx(const struct session *s)
{
	return s->hearing != NULL ? s->hearing->tx : NULL;
}

/* Says a reply of our own. enh "" for none; text static or valid until the flush copies it. */
void say(struct session *s, uint16_t code, const char *enh, struct strv text);
/* The same and counts an error of the client; too many end the session with 421. */
void say_error(struct session *s, uint16_t code, const char *enh, struct strv text);
/* The reply of a verdict, with the id behind its text: a refusal is counted, disconnect ends the session. */
struct reply verdict_reply(struct session *s, const struct verdict *v);
/* A refusal by policy is said, and logged. */
void say_verdict(struct session *s, const struct verdict *v, enum stage at, const struct path *rcpt);
/* What moves no mail may be said a number of times between two messages, then it is an error. */
void session_count_junk(struct session *s);
/*
 * RFC 5321 4.3.2: too many errors end the session with 421.  As Postfix counts: 5xx that the client heard, the
 * server's, too, since it last had a message taken.
 */
void session_check_errors(struct session *s);
/* No more commands: what is queued goes out, then the connection is closed. */
void session_end(struct session *s, const char *why);
/* Nothing more can be said. */
void session_cut(struct session *s, const char *why);

/* Transactions: mail.c. */
void tx_begin(struct session *s);               /* arena, judge_begin, relay_begin */
MAY_YIELD void tx_end(struct session *s);       /* on every path; harmless without one; waits for its look-ups */

/* The turn: dispatches one line (command.c); text and chunks (data.c, bdat.c). */
MAY_YIELD void smtp_dispatch(struct session *s, struct strv line);
MAY_YIELD void data_turn(struct session *s);
MAY_YIELD void bdat_turn(struct session *s);
/* Deadlines of the client, session_time.c. */
void session_deadline(struct session *s, uint64_t at);
/* n octets of text came: the deadline moves by n / min-data-rate, never beyond command-timeout (Postfix's rule). */
void session_rate(struct session *s, size_t n);

/* The handshake begins; for STARTTLS after its 220 has gone out. */
void session_start_tls(struct session *s);
void smtp_is_drained(struct smtp *m);            /* a drain was asked for and the last session is gone */
/* After a drain has begun: an idle client is told within 30 s. */
void session_drain(struct session *s);
/* Ends it now, its transaction cut; a client that we wait for hears 421. */
void session_abort(struct session *s);
struct strv session_id(const struct session *s);        /* the transaction's id, else the session's */

/* Commands, one file each. `rest`: the argument, blanks cut. */
MAY_YIELD void helo_run(struct session *s, struct strv rest);
MAY_YIELD void ehlo_run(struct session *s, struct strv rest);
MAY_YIELD void mail_run(struct session *s, struct strv rest);
MAY_YIELD void rcpt_run(struct session *s, struct strv rest);
MAY_YIELD void data_run(struct session *s, struct strv rest);
MAY_YIELD void bdat_run(struct session *s, struct strv rest);
MAY_YIELD void starttls_run(struct session *s, struct strv rest);
MAY_YIELD void rset_run(struct session *s, struct strv rest);
MAY_YIELD void noop_run(struct session *s, struct strv rest);
MAY_YIELD void vrfy_run(struct session *s, struct strv rest);
MAY_YIELD void expn_run(struct session *s, struct strv rest);
MAY_YIELD void etrn_run(struct session *s, struct strv rest);
MAY_YIELD void help_run(struct session *s, struct strv rest);
MAY_YIELD void quit_run(struct session *s, struct strv rest);

#endif
