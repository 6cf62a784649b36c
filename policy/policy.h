/*
 * policy -- the configuration and policy language: parse, check, decide.  Knows facts by number only.
 *
 * conf_parse reads one file with its includes into statements.  Plain statements (listen, upstream ...)
 * are for proxy/settings.c; lists, relay, checks are compiled here by policy_load.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "policy/advised.h"
#include "proxy/base/diag.h"
#include "proxy/base/world.h"

struct policy;
struct expr;
struct hash_key;

/* One value of a plain statement: a word, a string, a comma or a set { ... }. */
enum conf_value_kind { CONF_WORD, CONF_STRING, CONF_COMMA, CONF_SET };

struct conf_value {
	enum conf_value_kind kind;
	struct strv          text;      /* WORD, STRING */
	struct conf_value   *item;      /* SET: WORDs and STRINGs */
	unsigned             n_item;
	struct pos           pos;
};

/* A plain statement `keyword value ...`, or a named block `limits { word value ... }` (its values: word, value, word, value). */
struct conf_plain {
	struct strv        keyword;
	struct pos         pos;
	struct conf_value *v;
	unsigned           n, max;
	bool               block;       /* written with { } as limits, spf, dkim, greylist, memory are */
	struct conf_value  name;        /* memory NAME { ... }; else its text is absent */
	struct expr       *when;        /* `when ...` behind the values: policy/'s own; NULL: none */
};

struct conf {
	struct conf_plain *plain;       /* in file order, includes expanded */
	unsigned           n_plain;
	struct conf_tree  *tree;        /* the rest, policy/'s own */
	const struct source *source;    /* the main file */
};

/*
 * conf_parse -- the whole language of one file, includes expanded
 *
 *   a   owns everything; d gets every mistake; path is read by w->read_file
 *
 * Never NULL; with d->errors > 0 the result is only good for further diagnostics.
 */
struct conf *conf_parse(struct arena *a, struct world *w, const char *path, struct diags *d);
/* "STATEMENT is written: FORM", a hint; absent: there is no such statement. */
struct strv policy_form(struct arena *a, struct strv statement);
/* The listener that was meant, else those there are: a hint. */
struct strv policy_listener_meant(struct arena *a, struct strv v, const struct strv *names, unsigned n);

/*
 * Resolve names of listrefs in plain statements ("from LIST", "for LIST"): a networks list by NAME or a
 * set, as conf_value.  NULL: a diagnostic was added.  The policy must have been loaded.
 */
const struct netset *policy_networks(const struct policy *p, const struct conf_value *v, struct diags *d);
/* The same of a domains list: d, ".d", "[literal]", in A-labels and lower case. */
const struct nameset *policy_domains(const struct policy *p, const struct conf_value *v, struct diags *d);

struct policy_names {                   /* of the plain statements, for what may be named in rules */
	const struct strv *listener;    /* `on NAME` */
	unsigned           n_listener;
	const struct strv *pool;        /* the words that a `route` may give */
	unsigned           n_pool;
	bool              *pool_used;   /* n_pool of them: set where a route gives that word; NULL: not wanted */
};

/*
 * policy_load -- compile lists, maps, relay gate, routes and checks
 *
 *   facts, n_facts  the registry's table
 *   key             hash key of this process' tables (random)
 *
 * Reads list files through w.  Statements and facts that are not of this build: an error "not in this
 * build".  NULL when d has errors.  The result lives in a; lists on the heap until policy_free.
 */
struct policy *policy_load(struct arena *a, struct world *w, const struct conf *c, const struct fact_def *facts,
    unsigned n_facts, const struct policy_names *names, const struct hash_key *key, struct diags *d);
/*
 * The same, never NULL: with errors it is good for its lists alone (policy_networks, policy_domains), so that mistakes
 * elsewhere are told, too; and for policy_free.
 */
struct policy *policy_read(struct arena *a, struct world *w, const struct conf *c, const struct fact_def *facts,
    unsigned n_facts, const struct policy_names *names, const struct hash_key *key, struct diags *d);
void policy_free(struct policy *p);

/* --- one hearing ---------------------------------------------------------------------------------- */

/*
 * policy_eval -- what the policy says at a stage
 *
 *   rcpt    at STAGE_RCPT: which recipient (the relay gate looks first, then checks); else 0
 *   c       the transaction's, or the session's before MAIL
 *   out     NONE: no opinion; else the first final verdict in file order, with `by` set: "relay" or the check's
 *           name.  Its views live as long as the policy or c->a
 *
 * Checks of that stage run in file order; effects are carried out as they are reached; behind the first final
 * verdict no fact is asked for any more (but in EXPLAIN), what is known already becomes NOTE_ALSO.
 * WAIT_OK; WAIT_CANCELLED: out is NONE.
 */
MAY_YIELD enum wait_rc policy_eval(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    struct verdict *out);
/* The relay gate alone, for a recipient of what checks have let pass before (`postern release'). As policy_eval. */
MAY_YIELD enum wait_rc policy_gate(const struct policy *p, unsigned rcpt, struct facts *facts, struct verdict *out);
/* A transaction begins: it takes over the marks of the session, and the header effects of checks that fired before. */
void policy_begin(const struct policy *p, const struct policy_case *session, struct policy_case *tx);
/* HELO again: what checks of `at' and later left behind in the session goes. */
void policy_again(const struct policy *p, enum stage at, struct policy_case *session);
/* Is there a check at that stage?  (At rcpt the gate is asked in any case.) */
bool policy_has(const struct policy *p, enum stage at);

/*
 * Look-ups that can be started at a stage because they are sure to be asked at it or later, where no check ends
 * the hearing first: policy_wants(p, at, ...) are number *first .. *first + n - 1; n is returned.  Those of facts of
 * a recipient are started for each.
 */
unsigned policy_wants(const struct policy *p, enum stage at, unsigned *first);
/* Asks that one: what is asked is a fact as any other.  rcpt: for facts of a recipient. */
MAY_YIELD enum wait_rc policy_want(const struct policy *p, unsigned want, unsigned rcpt, struct policy_case *c);
/* Is it worth a fiber: nobody has asked for it yet, as far as that can be seen without asking? */
MAY_YIELD bool policy_wanted(const struct policy *p, unsigned want, unsigned rcpt, struct policy_case *c);

/* `route` or `transaction-class` are there. */
bool policy_routes(const struct policy *p);
/*
 * policy_route -- pool and class of a recipient
 *
 *   rcpt   in the envelope already: facts are asked for by its number
 *   pool   the pool's name that the map of `route` has for its address (with the look-ups of a map); absent: none.
 *          The policy's
 *   class  of `transaction-class`, in ASCII lower case, so that it is compared by octets: a fact's text, what a
 *          map has for it with a blank between two values, "yes" or "no" of an expression; "": the fact or key is
 *          absent; absent: no such statement.  In a, or the policy's
 *
 * WAIT_OK; WAIT_CANCELLED.  *unknown: a fact could not be had, then pool and class mean nothing.
 */
MAY_YIELD enum wait_rc policy_route(const struct policy *p, unsigned rcpt, struct facts *facts, struct arena *a,
    struct strv *pool, struct strv *class, bool *unknown);
/* May anything in it (checks, texts, gate, routes, conditions of `sign' and `seal') ask for that fact? */
bool policy_asks(const struct policy *p, unsigned fact);
/* How many `sign' and `seal' statements there are: their conditions are numbered in file order. */
unsigned policy_seals(const struct policy *p);
/*
 * Does condition i hold, at message?  No `when' is yes; an unknown one is no, *unknown says so and so does a note
 * (a message goes without that signature).  WAIT_OK; WAIT_CANCELLED.
 */
MAY_YIELD enum wait_rc policy_seal(const struct policy *p, unsigned i, struct policy_case *c, bool *holds, bool *unknown);
/* Can anything in it still change a message once its text has begun to come (header actions of checks at message)?
 * Then it is spooled, never streamed. */
bool policy_edits(const struct policy *p);
/* Has it a `quarantine' without an address? */
bool policy_keeps(const struct policy *p, struct pos *where);
/* No relay block: every recipient is refused.  `check` says so. */
bool policy_relays_nothing(const struct policy *p);
/* `reject-at stage`: verdicts of connect, helo, mail are told at once; else (default) at RCPT. */
bool policy_reject_at_stage(const struct policy *p);

/*
 * policy_prove -- what can be proved of a policy without errors, offline and in bounded time (rule 12 of `check')
 *
 * Errors: open relays, each with a session as a `test'.  Warnings: postmaster or abuse is refused, checks that can
 * never fire, local parts that route.  A bound that was hit is a warning, too.  a: scratch; texts live in d->a.
 */
void policy_prove(const struct policy *p, struct arena *a, struct diags *d);

/* What was understood, line by line, for `check`. */
void policy_explain(const struct policy *p, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg);
/* The canonical text of a parsed configuration: print(parse(p)) parses to the same. */
void conf_print(const struct conf *c, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg);

#endif
