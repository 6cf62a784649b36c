/*
 * rules -- a compiled policy: what check.c and compile.c make, eval.c walks, explain.c tells.
 *
 * Read-only after policy_load (shared by workers after fork) but for `sets`, which grows while
 * settings resolve lists of plain statements, before fork.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "policy/advised.h"
#include "policy/asked.h"

struct gate_cond {
	enum cond_kind        kind;
	bool                  over_tls;
	const struct netset  *nets;             /* FROM */
	const struct nameset *domains;          /* TO: either or both */
	const struct nameset *addresses;
	struct map_call       call;             /* FROM, TO: M(fact) in place of those */
	struct strv           listener;         /* ON */
	struct rule          *when;
};

struct gate_line {
	const struct relay_line *conf;
	struct gate_cond        *cond;
	unsigned                 n;
};

/* Numbers of the facts that the gate asks by itself; -1: not in the table. */
struct gate_facts { int rcpt, client, authenticated, tls, listener; };

/* transaction-class: a fact's text, M(fact)'s values, or yes or no of an expression. */
enum class_kind { CLASS_NONE, CLASS_FACT, CLASS_MAP, CLASS_EXPR };

struct class_rule {
	enum class_kind    kind;
	unsigned           fact;                /* FACT */
	struct map_call    call;                /* MAP */
	const struct rule *expr;                /* EXPR */
	const struct expr *conf;
};

/* --- checks ----------------------------------------------------------------------------------- */

struct list_asked {                             /* a DNS list, and the number of the fact that is its text */
	const struct asked *ask;
	unsigned            text;
};

struct piece {                                  /* of a text with placeholders: plain text, or what is asked */
	struct strv  plain;                     /* absent: ask */
	struct asked ask;
	const struct list_asked *list;          /* dnsbl.text where the check asks lists: of the first that answered */
	unsigned                 n_list;
};

struct text {
	struct piece *piece;
	unsigned      n;
};

struct say {                                    /* a verdict as it is written; kind NONE: there is none */
	enum verdict_kind kind;
	uint16_t          code;                 /* 0: the kind's own */
	char              enh[10];
	struct text       text;                 /* n 0: the kind's sentence */
	struct strv       to;                   /* quarantine to */
};

struct effect {
	enum effect_kind kind;
	unsigned         number;                /* TAG: the tag; SKIP: the check, or n_check and the milter */
	uint32_t         ms;                    /* DELAY, at most DELAY_MAX */
	struct strv      name;                  /* ADD_HEADER, DELETE_HEADER; TAG: its name */
	struct text      text;                  /* LOG, ADD_HEADER */
};

#define DELAY_MAX 60000                         /* ms: of all delays of one answer together */

struct check {
	const struct conf_check *conf;
	struct pos         pos;                 /* of its name */
	struct strv        name;
	unsigned           number;              /* in file order: its bit in marks */
	enum stage         at;                  /* where it is decided */
	bool               warn, per_rcpt;      /* per_rcpt: decided at rcpt for each recipient by itself */
	bool               advised;             /* it asks milter(), or a tag of one that does: behind the milters of its stage */
	struct rule       *when;
	struct say         on_unknown, final;
	struct effect     *effect;
	unsigned           n_effect;
};

struct tag {
	struct strv name;
	enum stage  first;                      /* the latest stage of the checks that set it */
	bool        per_rcpt;                   /* one of them is */
};

struct weighed {                                /* a call with a weight: dnsbl("zone", 3) */
	struct asked ask;
	double       weight;
};

/*
 * A fact that costs a look-up and is asked for sure where no check above has ended the hearing and `when' is not
 * settled by what costs nothing.
 */
struct want {
	struct asked       ask;
	enum stage         from;                /* it can be started here: all that stands in front of it is known */
	const struct rule *when;
	bool               gate;                /* no check asks it: who has no gate need not start it */
};

struct seal_cond {                              /* of a `sign' or `seal' */
	const struct conf_plain *conf;
	struct rule             *when;          /* NULL: always */
};

struct milter_rule {                            /* a milter or plugin */
	struct policy_milter      is;
	const struct conf_milter *conf;
	const struct expr        *expr;         /* of its `when' */
	struct rule              *when;         /* NULL: always */
	enum stage                at;           /* where its `when' is known */
};

struct sets {                           /* on the heap until policy_free */
	struct netset   **net;
	struct nameset  **name;
	struct maptable **map;
	unsigned          n_net, max_net, n_name, max_name, n_map, max_map;
};

struct policy {
	struct arena          *a;
	const struct conf     *conf;
	const struct fact_def *facts;
	unsigned               n_facts;
	struct hash_key        key;
	struct list           *list;
	unsigned               n_list;
	bool                   has_relay, routing, reject_at_stage;
	struct gate_line      *line;
	unsigned               n_line;
	struct gate_facts      gate;
	const struct list     *route;           /* the map of `route`; NULL: no such statement */
	struct class_rule      class;
	struct check          *check;           /* in file order */
	unsigned               n_check;
	unsigned               stages;          /* AT(...) at which there is a check */
	unsigned               advised;         /* the same of those that are `advised' */
	struct milter_rule    *milter;          /* in file order, plugins among them */
	unsigned               n_milter;
	const struct check   **by_stage;        /* the same by stage, then in file order: checks.c's; NULL: not made */
	unsigned               first[STAGE_MAX + 1];    /* of each stage in by_stage */
	struct tag            *tag;
	unsigned               n_tag;
	struct weighed        *weighed;
	unsigned               n_weighed;
	struct want           *want;            /* sorted by from */
	unsigned               n_want;
	bool                   edits;           /* a check at message changes header fields */
	bool                  *asked;           /* by fact: anything may ask for it */
	struct seal_cond      *seal;            /* in file order, `sign' and `seal' together */
	unsigned               n_seal;
	struct sets           *sets;
};

/* Bits of checks, then of milters: what has been skipped, what has fired. */
static inline unsigned
rules_bits(const struct policy *p)
{
	return p->n_check + p->n_milter;
}

/* Once a policy is compiled: fills in by_stage, so that a stage walks its own checks alone. checks.c */
void checks_order(struct policy *p);

#endif
