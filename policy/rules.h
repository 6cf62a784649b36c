/*
 * rules -- a compiled policy: what check.c and compile.c make, eval.c walks, explain.c tells.
 *
 * Read-only after policy_load (shared by workers after fork) but for `sets`, which grows while
 * settings resolve lists of plain statements, before fork.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "policy/maptable.h"
#include "policy/tree.h"
#include "proxy/base/hash.h"
#include "proxy/base/nameset.h"
#include "proxy/base/netset.h"
#include "proxy/mail/path.h"

/* What the values of a map must be, for those who use it. */
enum map_want { MAP_NETS = 1, MAP_NAMES = 2, MAP_POOLS = 4 };

/* A list or map that was read. The sets are owned by the policy's `sets`. */
struct list {
	const struct conf_list *conf;
	struct netset          *nets;           /* LIST_NETWORKS */
	struct nameset         *names;          /* LIST_DOMAINS, LIST_ADDRESSES */
	struct maptable        *map;            /* LIST_MAP */
	unsigned                want;           /* LIST_MAP: MAP_ of all who use it */
	size_t                  items;          /* as given */
	bool                    used;
};

/* M(fact): the values that the map has for the value of the fact; map NULL: no such call. */
struct map_call {
	const struct list *map;
	unsigned           fact;
};

/* One thing that a fact's value is held against. */
enum match_kind { MATCH_TRUE, MATCH_NULL, MATCH_ABSENT, MATCH_FQDN, MATCH_LITERAL, MATCH_NETS, MATCH_NAMES, MATCH_TEXT,
	MATCH_PATH, MATCH_WORDS, MATCH_NUMBER, MATCH_MAP, MATCH_PATTERN };

struct pattern;                                 /* a compiled regular expression with its limits: patterns.h */

struct match {
	enum match_kind       kind;
	const struct pattern *const *pattern;   /* PATTERN: any of n_pattern */
	unsigned              n_pattern;
	const struct netset  *nets;
	const struct nameset *domains;          /* NAMES: either or both */
	const struct nameset *addresses;
	struct strv           text;
	struct path           path;
	struct map_call       call;             /* MAP: the value is in M(fact) */
	uint64_t              words;            /* a bit for each word */
	double                number;
	enum pred_op          op;               /* NUMBER: EQ LT LE GT GE */
};

/*
 * What a predicate, a placeholder or a key asks.  FACT: with text and of the fact that `of' names as the argument
 * (fact.h, struct fact.arg); MAP: what the map has for the fact; TAG: has a check set tag number `fact'; SCORE: the
 * weights of the lists that answer (struct policy.weighed).
 */
enum subject { SUBJECT_FACT, SUBJECT_MAP, SUBJECT_TAG, SUBJECT_SCORE };

struct asked {
	enum subject       subject;
	unsigned           fact;                /* number of the fact; TAG: of the tag */
	struct strv        text;                /* FACT: "zone" of dnsbl("zone"); absent: no string */
	int                of;                  /* FACT: number of the fact whose value is the argument; -1: none */
	const struct list *map;                 /* MAP */
};

/*
 * A node of a compiled expression: AND, OR, NOT over kids; ANY_RCPT, ALL_RCPT over the recipients that were taken, one
 * kid; PRED: one of the matches (or none: negated).
 */
struct rule {
	enum expr_kind  kind;
	struct rule   **kid;
	unsigned        n_kid;
	struct asked    ask;
	bool            negated;
	bool            null_is_fqdn;           /* sender.domain: where it is absent the sender is <> */
	bool            null_is_yes;            /* X resolves, mx(X): true where X is <> (absent sender.domain) or a literal */
	struct match   *match;
	unsigned        n_match;
};

struct gate_cond {
	enum cond_kind        kind;
	bool                  over_tls;
	const struct netset  *nets;             /* FROM */
	const struct nameset *domains;          /* TO: either or both */
	const struct nameset *addresses;
	struct map_call       call;             /* FROM, TO: M(fact) in place of those */
	struct strv           listener;         /* ON */
	const struct rule    *when;
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

struct piece {                                  /* of a text with placeholders: plain text, or what is asked */
	struct strv  plain;                     /* absent: ask */
	struct asked ask;
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
	unsigned         number;                /* TAG: the tag; SKIP: the check */
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
	const struct rule *when;
	struct say         on_unknown, final;
	struct effect     *effect;
	unsigned           n_effect;
	enum fact_cost     cost;                /* of the dearest fact that it may ask */
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

/* A fact that is asked for sure where no check above has ended the hearing, and that costs a look-up. */
struct want {
	struct asked ask;
	enum stage   from;                      /* it can be started here */
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
	struct tag            *tag;
	unsigned               n_tag;
	struct weighed        *weighed;
	unsigned               n_weighed;
	struct want           *want;            /* sorted by from */
	unsigned               n_want;
	bool                   edits;           /* a check at message changes header fields */
	bool                  *certain;         /* by fact: asked for at every recipient */
	struct sets           *sets;
};

#endif
