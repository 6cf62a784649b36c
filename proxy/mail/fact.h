/*
 * fact -- something known about a session or transaction: a type, a first stage, a state, a value.
 *
 * Filters define and fill facts; the policy asks for them by number.  Unknown (a failed look-up) is a
 * state of its own, absent (there is no such thing) is a value.
 */
#ifndef PROXY_MAIL_FACT_H
#define PROXY_MAIL_FACT_H

#include "proxy/base/addr.h"
#include "proxy/base/fiber.h"
#include "proxy/mail/stage.h"

struct arena;

enum fact_type { FACT_BOOL, FACT_NUMBER, FACT_TEXT, FACT_ADDR, FACT_PATH, FACT_WORD, FACT_ADDRS, FACT_TEXTS };

/*
 * What asking costs at most, the cheapest first: nothing to speak of, waiting for the client, a look-up in the DNS,
 * that the text has arrived whole.
 */
enum fact_cost { COST_MEMORY, COST_TIME, COST_DNS, COST_TEXT };

struct fact_def {
	const char        *name;        /* "client.ip"; a fact with an argument: "dnsbl" */
	enum fact_type     type;
	enum stage         first;       /* earliest stage at which it is known for good */
	bool               per_session; /* one value for all transactions of a session */
	bool               per_rcpt;    /* one value for each recipient */
	const char *const *words;       /* FACT_WORD: what it may be, NULL-terminated; else NULL */
	const char        *about;       /* one line for the manual and `check` */
	/*
	 * What stands in ( ) behind it, a letter each: s a string, f a fact of type TEXT or PATH (of a path the
	 * domain is meant), n a number that may be left out.  NULL: it is written without ( ).
	 */
	const char        *args;
	enum fact_cost     cost;
	bool               address;     /* FACT_TEXT: a mail address, held by its domain; no local part, which may have any @ */
	bool               inner;       /* no word of the language: made by a predicate (`X resolves'), found by name alone */
	unsigned           own;         /* which of its filter's facts, for that filter alone */
	/* Known from `first' on it may still change until this stage: a check that asks it stands here, unless `at' says
	 * earlier.  STAGE_CONNECT: what is known stays. */
	enum stage         settled;
};

enum fact_state { FACT_UNASKED, FACT_RUNNING, FACT_KNOWN, FACT_UNKNOWN };

#define FACT_NUMBER_ABSENT INT64_MIN    /* a size that was not declared */
#define FACT_WORD_ABSENT   ((unsigned)-1)

union fact_value {
	bool               yes;
	int64_t            number;      /* FACT_NUMBER_ABSENT: absent */
	struct strv        text;        /* FACT_TEXT: absent view = absent fact */
	struct addr        addr;        /* FACT_ADDR: ADDR_NONE = absent */
	const struct path *path;        /* FACT_PATH: NULL = absent; PATH_NULL is <> */
	unsigned           word;        /* FACT_WORD: index into words; FACT_WORD_ABSENT: absent */
	struct { const struct addr *v; unsigned n; } addrs;
	struct { const struct strv *v; unsigned n; } texts;
};

struct fact {                           /* one asked-for fact of a session or transaction */
	const struct fact_def *def;
	unsigned               number;  /* of def, as the registry counts */
	unsigned               rcpt;    /* per_rcpt: which recipient */
	/*
	 * Of dnsbl("zone"): "zone".  Of mx(sender.domain): the value of that fact.  Of rhsbl("zone", helo): the
	 * string, one blank, the value.  Numbers are not in it.  Absent: the fact takes none.
	 */
	struct strv            arg;
	struct arena          *a;       /* where what it holds lives: value and source, as long as the fact */
	enum fact_state        state;
	union fact_value       v;
	struct strv            source;  /* where it is from, for explain and log: "PTR 1.2.0.192.in-addr.arpa" */
	struct fiber          *asker;   /* while RUNNING: in whose call of ask; NULL: the loop's */
	struct fact_waiter    *waiting; /* fibers that want it too, fact.c's */
};

struct facts {                          /* one for the session, one for each transaction (outer: the session's) */
	struct facts  *outer;
	struct arena  *a;               /* facts and their values live here */
	struct fact  **slot;            /* those asked so far */
	unsigned       n, max;
	uint16_t      *index;           /* fact.c's: where in slot, by a hash; NULL while they are few */
	unsigned       room;            /* of index, a power of two */
	uint8_t       *plain;           /* by number, those without argument: where in slot, from 1; 0: not there */
	enum wait_rc (*ask)(void *ctx, struct fact *f);         /* judge_ask: the one inversion; may park */
	void          *ctx;
};

/*
 * fact_get -- the fact, asked for if it was not yet
 *
 *   defs, number   the registry's table and the number in it
 *   rcpt           which recipient, for facts that are per_rcpt; else ignored
 *   arg            absent for a fact without one
 *
 * A per_session fact lives in the outermost facts.  Of those who ask while it is RUNNING one at a time
 * is in `ask`, the others park.  A fact that asks for itself, and one whose asker's deadline passes, is
 * UNKNOWN (for a waiter whose own deadline passes: a copy that says so).
 *
 * WAIT_OK: *out has state KNOWN or UNKNOWN.  WAIT_CANCELLED: *out is not set; another may still ask.
 */
MAY_YIELD enum wait_rc fact_get(struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt,
    struct strv arg, struct fact **out);
/*
 * fact_peek -- the fact if the answer is there already, KNOWN or UNKNOWN; NULL: nobody asked yet, or it is still on
 * its way.  Asks nothing.
 */
const struct fact *fact_peek(const struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt,
    struct strv arg);
/* Has anybody asked for it, whether or not the answer is there?  Asks nothing. */
bool fact_begun(const struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt, struct strv arg);
/*
 * fact_put -- what a filter says by itself of a fact of its own that changes, such as milter(NAME): over whatever was
 * there.  Of the transaction's facts, or the session's before MAIL.  v's views live as long as fs->a.
 */
void fact_put(struct facts *fs, const struct fact_def *defs, unsigned number, struct strv arg, enum fact_state state,
    union fact_value v);
/* Forgets what is known only behind `at' (first is later); what was known by then is known for good. */
void facts_forget(struct facts *fs, enum stage at);
/* The number of a fact by name, or -1. n: entries of defs. */
int fact_find(const struct fact_def *defs, unsigned n, struct strv name);
/* Does the fact have no value (absent)?  Known facts only. */
bool fact_absent(const struct fact *f);
/*
 * The value as text for placeholders and logs, in the arena or borrowed from the fact: "yes" "no", a number,
 * an address, "<>" for the null path, words, lists joined by ", ".  Absent and unknown: "".
 */
struct strv fact_print(struct arena *a, const struct fact *f);

#endif
