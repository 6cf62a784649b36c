/*
 * prove -- made-up sessions that are held against a policy: what prove*.c share.
 *
 * An act is a set of variables (the client's address, HELO, the sender ...), each with the few values that matter to
 * the expressions at hand, one of them at a time or none: what is open is an unknown fact.  What an expression says
 * is asked of policy_eval itself.  As unknown facts only ever make an answer less certain, "no" with some of them
 * open is "no" whatever they are: so a search over the values ends early, and what it finds is true as it stands.
 */
#ifndef POLICY_PROVE_H
#define POLICY_PROVE_H

#include "policy/patterns.h"
#include "policy/rules.h"

#define ACT_VARS   32           /* an expression with more of them is not proved */
#define ACT_PICKS  200          /* values of one variable */
#define ACT_SCAN   4096         /* members of one list, keys of one map, that are looked at */
#define ACT_RANGES 512          /* networks of one list */
#define ACT_EVALS  150000       /* questions for all proofs of one kind together: some tenths of a second */

enum var_kind { VAR_CLIENT, VAR_NAME, VAR_RDNS, VAR_LISTENER, VAR_TLS, VAR_CIPHER, VAR_SNI, VAR_HELO, VAR_SENDER,
	VAR_RCPT, VAR_OTHER, VAR_TAG, VAR_FIXED };

enum var_part { PART_WHOLE, PART_LOCAL, PART_DOMAIN };

/* Where a variable is asked: what of its values differs for these is all that matters of them. */
struct use {
	const struct fact_def *def;
	enum var_part          part;
	const struct match    *match;
	unsigned               n_match;
	const struct list     *map;             /* the value is looked up there */
};

struct pick {
	union fact_value v;
	bool             own;                   /* NAME, SENDER, HELO, OTHER: a name that anybody can have for himself */
	uint64_t         sign;                  /* the same for values that no use tells apart */
};

struct var {
	enum var_kind          kind;
	unsigned               rcpt;            /* RCPT: of which */
	struct asked           ask;             /* OTHER, TAG */
	const struct fact_def *def;             /* OTHER */
	struct use            *use;
	unsigned               n_use, max_use;
	struct pick           *pick;
	unsigned               n, max;
	struct parts          *local, *domain;  /* SENDER, RCPT: all that are named; NULL: none yet */
	int                    now;             /* the value at hand; -1: open */
	bool                   partial;         /* there may be values that matter and are not among the picks */
	bool                   cut;             /* there are, as a ceiling was reached */
};

struct act {
	const struct policy *p;
	struct arena        *a;                 /* of the variables and their values */
	struct arena        *scratch;           /* of one question */
	struct var           var[ACT_VARS];
	unsigned             n, n_rcpt;
	bool                 full;              /* more variables than ACT_VARS */
	const struct outside *outside;          /* only values that a stranger can bring about; NULL: any */
	bool                 routes;            /* with `outside': recipients of any domain, whose local parts route */
	bool                 clean;             /* what is no variable is known, and as good as can be */
	bool                 no_dns;            /* clean, but nothing of the DNS is known */
	bool                 maybe;             /* the search met what it cannot tell */
	bool                 over;              /* the search ended before it was done */
	bool                 cut;               /* with `outside': what it cannot tell is behind a ceiling */
	unsigned            *left;              /* questions that may still be asked */
};

enum answer { ANSWER_NO, ANSWER_MAYBE, ANSWER_YES };

/* ---- prove_vars.c: the variables of a session ---- */

void act_init(struct act *t, const struct policy *p, struct arena *a, struct arena *scratch, unsigned *left);
struct var *act_var(struct act *t, enum var_kind kind, unsigned rcpt);          /* found or made; NULL: full */
/* The variables of an expression, and of a line of the gate. */
void act_learn(struct act *t, const struct rule *r);
void act_learn_line(struct act *t, const struct gate_line *line);
/* Of which kind of variable, and which part of it, the fact is. */
enum var_kind act_role(const struct act *t, const struct fact_def *def, enum var_part *part);

/* ---- prove_value.c: its facts ---- */

union fact_value act_absent(enum fact_type type);
union fact_value act_part(const union fact_value *v, enum var_part part);        /* of a path: local part, domain */
const struct path *act_mailbox(struct arena *a, struct strv local, struct strv domain);
/* The value that a fact has in this session; false: it is open. */
bool act_value(const struct act *t, const struct fact_def *def, unsigned rcpt, struct strv arg, union fact_value *out);

/* ---- prove_act.c: what is said to it ---- */

/* What the session says to one line of the gate; to an expression; to the whole policy at a stage. */
enum answer act_ask_line(struct act *t, const struct gate_line *line);
enum answer act_ask_rule(struct act *t, struct rule *r);
struct verdict act_ask_policy(struct act *t, enum stage at, struct policy_case *c);
/*
 * act_find -- a choice of values to which ask() says yes; they stay at hand
 *
 * False: there is none, unless maybe or over is set.  With `outside' only what is sure is looked for.
 */
bool act_find(struct act *t, enum answer (*ask)(struct act *t, void *arg), void *arg);

/* ---- prove_picks.c: the values that matter ---- */

void picks_fill(struct act *t);
/* One more, unless a stranger cannot have it or nothing tells it from another. */
void picks_add(struct act *t, struct var *v, union fact_value value, bool own);
void picks_keep(struct act *t, struct var *v, struct strv local, struct strv domain, bool own); /* parts of a path */

/* ---- prove_named.c: values that an expression names, and what is like them ---- */

void picks_add_named(struct act *t, struct var *v);     /* of all its uses */
void picks_add_text(struct act *t, struct var *v, struct strv text, bool own);
void picks_add_path(struct act *t, struct var *v, struct strv local, struct strv domain, bool own);
void picks_add_addr(struct act *t, struct var *v, const struct addr *addr);
bool picks_successor(struct addr *addr);                /* the address behind it; false: it is the last */
void picks_add_number(struct act *t, struct var *v, double number);             /* with those beside it */
/* "d", ".d", "u@d", "@d", "<>", or a word: as a value for that part of the variable. */
void picks_add_name(struct act *t, struct var *v, enum var_part part, struct strv name);
bool picks_are_paths(const struct var *v);
struct strv picks_local(const struct var *v);           /* a local part for a path of which none is named */
/* A domain for one: of nobody here, where strangers are spoken of. */
struct strv picks_domain(const struct act *t, const struct var *v);

/* ---- prove_several.c: values of facts with several ---- */

void picks_add_texts(struct act *t, struct var *v, struct strv text);   /* one */
void picks_add_answers(struct act *t, struct var *v);   /* sets of what it is asked for */

/* A text that the regular expression may find; of alternatives the one of that number. In a.  prove_patterns.c. */
struct strv pattern_sample(struct arena *a, struct strv pattern, unsigned branch);

/* ---- prove_outside.c: what is outside, and what is ours ---- */

struct outside;

struct outside *outside_new(const struct policy *p, struct arena *a);
/* Can a stranger have that address: it is public, and in no list of the gate that is not wide? */
bool outside_has(const struct outside *o, const struct addr *addr);
/* Is that a domain which the gate names as one that mail is taken for? */
bool outside_ours(const struct outside *o, struct strv domain);
struct strv outside_foreign(const struct outside *o, struct arena *a);          /* one that is not */
/* The i-th name that conditions on recipients have, d, .d, @d, u@d; absent behind the last. */
struct strv outside_name(const struct outside *o, unsigned i);
struct strv outside_domain(const struct outside *o, unsigned i);                /* only its domain, without the dot */

/* ---- prove_public.c: the public Internet ---- */

struct breadth {                        /* how much of it some networks are; begins with zeros */
	uint64_t four, six;             /* addresses; networks /64 */
};

void breadth_add(struct breadth *b, const struct addr_range *r);
/* More than a /8 of IPv4 or a /16 of IPv6: no list of hosts that somebody knows. */
bool breadth_wide(const struct breadth *b);
bool nets_wide(const struct netset *s);
/* The first public address of the range; false: there is none. */
bool range_public(const struct addr_range *r, struct addr *out);
/* "com", ".com": one label, which is no name that one owner has, but for those that stay inside (".lan"). */
bool suffix_wide(struct strv v);

/* ---- prove_listen.c: listeners ---- */

/* Can a stranger talk to that listener without authentication?  To any of them, wherever it listens? */
bool outside_reaches(const struct policy *p, struct strv listener);
bool outside_enters(const struct policy *p);

/* ---- prove_same.c: expressions as they are written ---- */

bool rule_implies(const struct rule *x, const struct rule *y);  /* whenever x is true y is */
bool rule_contrary(const struct rule *r);                       /* x and not x */

/* ---- prove_test.c: a session as a test block ---- */

/*
 * Lines with a newline between, in a.  expect: "250", "550 5.7.1 by relay"; at MESSAGE the message is sent; asked: what
 * is looked up in it fails where the act has no DNS; NULL: nothing.
 */
struct strv act_test(const struct act *t, struct arena *a, const char *name, const char *expect, enum stage at,
    const struct rule *asked);

/* ---- the proofs ---- */

struct prover {
	const struct policy *p;
	struct arena        *keep;              /* of all proofs */
	struct arena        *a;                 /* of one: emptied behind it */
	struct arena        *inner;             /* of one inside one */
	struct arena        *scratch;           /* of one question */
	struct diags        *d;
};

void prove_relay(struct prover *x);
void prove_accept(struct prover *x);
void prove_checks(struct prover *x);

#endif
