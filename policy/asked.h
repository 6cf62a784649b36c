/*
 * asked -- what is asked and against what: lists that were read, matches, compiled expressions.
 *
 * The half of rules.h that eval.c walks; read-only after policy_load.
 */
#ifndef POLICY_ASKED_H
#define POLICY_ASKED_H

#include "policy/maptable.h"
#include "policy/tree.h"
#include "proxy/base/hash.h"
#include "proxy/base/nameset.h"
#include "proxy/base/netset.h"
#include "proxy/mail/path.h"

struct pattern;                         /* a compiled regular expression with its limits: patterns.h */

/* What the values of a map must be, for those who use it. */
enum map_want { MAP_NETS = 1, MAP_NAMES = 2, MAP_POOLS = 4 };

/* A list or map that was read. The sets are owned by the policy's `sets`. */
struct list {
	const struct conf_list *conf;
	struct netset          *nets;           /* LIST_NETWORKS */
	struct nameset         *names;          /* LIST_DOMAINS, LIST_ADDRESSES */
	struct maptable        *map;            /* LIST_MAP */
	const struct pattern  **pattern;        /* LIST_PATTERNS */
	unsigned                n_pattern, max_pattern;
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
	struct pos      pos;                    /* where it is written: wants.c changes the order of kids */
	struct rule   **kid;
	unsigned        n_kid;
	struct asked    ask;
	bool            negated;
	bool            null_is_fqdn;           /* sender.domain: where it is absent the sender is <> */
	bool            null_is_yes;            /* X resolves, mx(X): true where X is <> (absent sender.domain) or a literal */
	struct match   *match;
	unsigned        n_match;
};

#endif
