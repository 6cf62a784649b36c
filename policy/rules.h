/*
 * rules -- a compiled policy: what check.c and compile.c make, eval.c walks, explain.c tells.
 *
 * Read-only after policy_load (shared by workers after fork) but for `sets`, which grows while
 * settings resolve lists of plain statements, before fork.
 */
#ifndef POLICY_RULES_H
#define POLICY_RULES_H

#include "policy/tree.h"
#include "proxy/base/hash.h"
#include "proxy/base/nameset.h"
#include "proxy/base/netset.h"
#include "proxy/mail/path.h"

/* A list that was read. The sets are owned by the policy's `sets`. */
struct list {
	const struct conf_list *conf;
	struct netset          *nets;           /* LIST_NETWORKS */
	struct nameset         *names;          /* LIST_DOMAINS, LIST_ADDRESSES */
	size_t                  items;          /* as given */
	bool                    used;
};

/* One thing that a fact's value is held against. */
enum match_kind { MATCH_TRUE, MATCH_NULL, MATCH_ABSENT, MATCH_FQDN, MATCH_LITERAL, MATCH_NETS, MATCH_NAMES, MATCH_TEXT,
	MATCH_PATH, MATCH_WORDS, MATCH_NUMBER };

struct match {
	enum match_kind       kind;
	const struct netset  *nets;
	const struct nameset *domains;          /* NAMES: either or both */
	const struct nameset *addresses;
	struct strv           text;
	struct path           path;
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

struct sets {                           /* on the heap until policy_free */
	struct netset  **net;
	struct nameset **name;
	unsigned         n_net, max_net, n_name, max_name;
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
	bool                  *certain;         /* by fact: asked for at every recipient */
	struct sets           *sets;
};

#endif
