/*
 * judge -- where filters and policy meet: it owns a session's hearing and its transaction, knows no SMTP.
 *
 * smtp, `check`, `explain` and every other host of the policy use this face alone.
 */
#ifndef PROXY_JUDGE_H
#define PROXY_JUDGE_H

#include "proxy/mail/filter.h"
#include "proxy/mail/note.h"

struct auth_conf;                       /* filters/auth.h */
struct milters_conf;                    /* filters/milter_conf.h */
struct policy;
struct policy_case;                     /* policy.h: what checks keep between stages */
struct look;
struct lookups;
struct judge;                           /* policy and filters of one configuration; shared by all sessions */
struct seat;                            /* one filter's place in a hearing */

struct transaction {                    /* one MAIL ... end of data */
	struct arena   *a;
	char            id[16];         /* as the log and refusals name it, NUL-terminated */
	struct envelope env;
	struct message  msg;
	struct mail     mail;
	struct facts    facts;          /* outer: the hearing's */
	struct edits    edits;
	struct policy_case *checks;     /* NULL: the policy has none */
	struct advice  *advice;         /* of milters, by number; begins as the hearing's. NULL: there are none */
	unsigned        lookups;        /* early look-ups that still run: judge_lookup.c's */
	struct verdict  verdict;        /* held: of mail and earlier stages, spoken at RCPT (reject-at rcpt) */
};

struct hearing {                        /* one session */
	const struct judge  *judge;
	struct arena        *a;
	const struct client *client;
	struct facts         facts;
	struct mail          mail;      /* env and msg NULL */
	struct seat         *seat;      /* one for each filter that takes part */
	uint32_t             deaf;      /* seats, by bit, whose body() failed: for the rest of this message */
	struct transaction  *tx;        /* NULL between transactions */
	struct policy_case  *checks;    /* NULL: the policy has none */
	struct advice       *advice;    /* of milters at connect and helo, by number; NULL: there are none */
	const bool          *holds;     /* at SEAL: judge.c's */
	struct lookups      *lookups;   /* started early, of session and transaction: judge_lookup.c's; NULL: none yet */
	struct verdict       held;      /* of connect and helo */
	enum stage           held_at;
	enum stage           advises_at;        /* whom findings.hears speaks of: judge_advice.c's */
};

#define DECIDE_WITHIN 120000    /* ms: `decide-within' where it is not said */

/* What a judge is made of.  All of it outlives the judge. */
struct judge_conf {
	const struct policy       *policy;      /* NULL: nothing is decided (every recipient is refused all the same) */
	const struct auth_conf    *auth;        /* what `authenticate' and its like say; never NULL */
	const struct milters_conf *milters;     /* NULL: there are none */
	uint64_t                   decide_within;       /* ms behind the last octet of a message; 0: DECIDE_WITHIN */
	bool                       no_gate;     /* somebody else's relay control holds (postern-milter): the gate is not asked */
};

/* In a, which owns it. */
struct judge *judge_new(struct arena *a, const struct judge_conf *c);
/* Can anything loaded still change a message after its text has begun to arrive?  Then text is spooled, never streamed. */
bool judge_edits(const struct judge *j);
/* Does any filter want the body's text? */
bool judge_wants_body(const struct judge *j);

/* Do routes or classes depend on the recipient?  Then MAIL is always held. */
bool judge_routes(const struct judge *j);
/*
 * Where recipient i goes: the pool that `route` names for it (absent: none, the listener's), and its
 * transaction-class (absent: no such statement).  Texts in the transaction's arena or the policy's.
 * WAIT_OK; WAIT_CANCELLED.  A look-up that fails leaves *unknown true: the recipient comes again (451).
 */
MAY_YIELD enum wait_rc judge_route(struct hearing *h, unsigned i, struct strv *pool, struct strv *class, bool *unknown);

/* The hearing lives in a (the session's arena), closed by judge_close on every path. `client` stays the session's. */
struct hearing *judge_open(const struct judge *j, struct arena *a, const struct client *client);
/* In a fiber early look-ups are cancelled and waited for; in the loop judge_quiet comes first. NULL is allowed. */
MAY_YIELD void judge_close(struct hearing *h);
/*
 * judge_quiet -- no early look-up of this hearing runs any more
 *
 * True: so it is.  Else they are cancelled, and done(arg) is called from the loop, once, when the last is over: only
 * then may judge_close come, and the session's arena go.  Asked again meanwhile it is false, and no second done comes.
 * For who ends a session in the loop.  h NULL: true.
 */
bool judge_quiet(struct hearing *h, void (*done)(void *arg), void *arg);

/*
 * judge_stage -- filters' at(), then the policy; what is not settled then: filters that advise, then the policy on what
 * they say; at connect, helo, auth, mail, data
 *
 * out: what to say now.  With `reject-at rcpt` a refusal is held and out is NONE until RCPT (but for
 * disconnect); `discard' at mail always is: each recipient is told 250.  Behind a verdict that is held no fact is
 * asked any more.  At helo what an earlier HELO left behind is forgotten.  WAIT_OK; WAIT_CANCELLED (out is NONE).
 * Effects that delay are slept here.  May park.
 */
MAY_YIELD enum wait_rc judge_stage(struct hearing *h, enum stage at, struct verdict *out);
/* A transaction begins: its arena holds everything of it. env.from and params are filled by the caller afterwards. */
struct transaction *judge_begin(struct hearing *h, struct arena *a);
/* Recipient i of tx->env: the verdict held, else the relay gate, checks, who advises.  A discard of theirs is held. */
MAY_YIELD enum wait_rc judge_rcpt(struct hearing *h, unsigned i, struct verdict *out);
/* The relay gate alone: of what the checks have let pass before. */
MAY_YIELD enum wait_rc judge_gate(struct hearing *h, unsigned i, struct verdict *out);
/*
 * A command that is not known (UNKNOWN): milters may want to hear of it, and may give another refusal, which is of that
 * command alone.  out NONE: none does.  In and outside of a transaction.  line: without CR, LF and NUL.
 */
MAY_YIELD enum wait_rc judge_unknown(struct hearing *h, struct strv line, struct verdict *out);
/* Does anybody want to hear of those? */
bool judge_hears_unknown(const struct judge *j);
/* Canonical text of the body, as it comes, to the filters that want it and have not failed over it. */
MAY_YIELD enum wait_rc judge_body(struct hearing *h, struct strv text);
/*
 * The header is complete / the message is: filters, policy, then seal, where it goes on or is kept.  What is not known
 * 120 s behind the last octet is unknown.
 */
MAY_YIELD enum wait_rc judge_headers(struct hearing *h);
MAY_YIELD enum wait_rc judge_message(struct hearing *h, struct verdict *out);
/*
 * The transaction is over, however: its early look-ups are cancelled and waited for (in a fiber; in the loop
 * judge_quiet comes first), filters are re-armed; tx is NULL. Its arena is the caller's.
 */
MAY_YIELD void judge_end(struct hearing *h);
/*
 * What the checks did since this was last asked: of the transaction, or of the session outside one.  They live in
 * that one's arena; NULL: nothing.  Asked behind judge_stage, judge_rcpt and judge_message.
 */
const struct note *judge_notes(struct hearing *h);
/*
 * For `check' and `explain': made-up or real facts, but no delays, nothing written; each check is told to look.
 * Behind judge_open.  all: what stands behind the verdict that holds is asked, too.
 */
void judge_explains(struct hearing *h, bool all, void (*look)(void *arg, const struct look *), void *arg);
/*
 * HELO again, STARTTLS, AUTH: what was learnt of the client may have changed; facts of the session that are not known
 * for good at connect are forgotten.  What was decided stays (but see judge_stage).
 */
void judge_forget(struct hearing *h);

#endif
