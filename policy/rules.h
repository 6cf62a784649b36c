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
	MATCH_PATH, MATCH_WORDS, MATCH_NUMBER, MATCH_MAP };

struct match {
	enum match_kind       kind;
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

/* A node of a compiled expression: AND, OR, NOT over kids, or PRED: one of the matches (or none: negated). */
struct rule {
	enum expr_kind  kind;
	struct rule   **kid;
	unsigned        n_kid;
	unsigned        fact;
	const struct list *map;                 /* the predicate is on map(fact); NULL: on the fact itself */
	bool            negated;
	bool            null_is_fqdn;           /* sender.domain: where it is absent the sender is <> */
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
	bool                  *certain;         /* by fact: asked for at every recipient */
	struct sets           *sets;
};

#endif
