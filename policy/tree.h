/*
 * tree -- a configuration as it is written: what parse.c makes, check.c reads, print.c writes again.
 *
 * All of it lives in the arena that conf_parse was given; texts of words are views into the sources.
 * The tree holds what was parsed, also where there were mistakes: names may be absent (p NULL),
 * pointers NULL.
 */
#ifndef POLICY_TREE_H
#define POLICY_TREE_H

#include "policy/expr.h"

enum list_kind { LIST_NETWORKS, LIST_DOMAINS, LIST_ADDRESSES, LIST_PATTERNS, LIST_MAP };
enum store_kind { STORE_SET, STORE_FILE, STORE_LMDB, STORE_REDIS };

struct map_entry {
	struct lit  key;
	struct lits value;
};

struct conf_list {
	enum list_kind    kind;
	struct lit        name;
	enum store_kind   store;
	struct lit        where;        /* FILE, LMDB, REDIS */
	struct lits       item;
	struct map_entry *entry;
	unsigned          n_entry, max_entry;
};

enum cond_kind { COND_FROM, COND_TO, COND_AUTHENTICATED, COND_ON, COND_WHEN };

struct relay_cond {
	enum cond_kind  kind;
	struct pos      pos;
	bool            over_tls;
	struct list_ref list;
	struct lit      name;           /* ON */
	struct expr    *when;
};

struct relay_line {                     /* allow cond { cond }; routing-characters allow: no conds */
	struct pos         pos;
	bool               routing;
	struct relay_cond *cond;
	unsigned           n, max;
};

struct conf_relay {
	struct relay_line *line;
	unsigned           n, max;
};

struct conf_final {
	bool              given;
	enum verdict_kind kind;
	struct pos        pos;
	struct lit        code, xcode, text, to;
};

struct conf_key {                       /* fact, or PREFIX "," PREFIX */
	struct fact_ref fact;
	struct lit      four, six;      /* four absent: it is a fact */
};

struct conf_keys {
	struct conf_key *v;
	unsigned         n, max;
};

enum effect_kind { EFFECT_TAG, EFFECT_SKIP, EFFECT_DELAY, EFFECT_LOG, EFFECT_ADD_HEADER, EFFECT_DELETE_HEADER,
	EFFECT_REMEMBER };

struct conf_effect {
	enum effect_kind kind;
	struct pos       pos;
	struct lits      arg;           /* all but the keys; of REMEMBER the memory */
	struct conf_keys key;
};

struct conf_check {
	struct lit          name;
	bool                warn;
	struct lit          at;
	struct expr        *when;
	struct conf_final   on_unknown, final;
	struct conf_effect *effect;
	unsigned            n_effect, max_effect;
};

struct conf_limit {
	struct lit      number, duration;
	struct list_ref except;
};

struct conf_rate {
	struct lit         name;
	bool               warn, accepted;
	struct lit         what;
	struct conf_keys   key;
	struct expr       *when;
	struct conf_limit *limit;
	unsigned           n_limit, max_limit;
	struct conf_final  final;
};

enum milter_item_kind { MILTER_SOCKET, MILTER_LOAD, MILTER_ISOLATED, MILTER_TIMEOUT, MILTER_ARGS, MILTER_WHEN,
	MILTER_ON_FAILURE };

struct milter_item {
	enum milter_item_kind kind;
	struct pos            pos;
	struct lit            value;    /* SOCKET, LOAD, TIMEOUT, ON_FAILURE */
	struct lits           args;
	struct expr          *when;
};

struct conf_milter {
	struct lit          name;
	bool                plugin, warn;
	bool                whole;      /* all of its items could be read */
	struct milter_item *item;
	unsigned            n, max;
};

/* client "192.0.2.1", tls, dns NAME TYPE VALUE, expect CODE XCODE by NAME */
struct test_step {
	struct lit  word;
	struct lits arg;                /* dns: two or three; expect: CODE and XCODE; others: none or one */
	struct lit  by;                 /* expect ... by NAME */
};

struct conf_test {
	struct lit        name;
	struct test_step *step;
	unsigned          n, max;
};

enum block_kind { BLOCK_PLAIN, BLOCK_LIST, BLOCK_RELAY, BLOCK_CHECK, BLOCK_RATE, BLOCK_MILTER, BLOCK_TEST };

struct block {
	enum block_kind kind;
	struct pos      pos;            /* of its keyword */
	union {
		unsigned            plain;      /* index into conf.plain */
		struct conf_list   *list;
		struct conf_relay  *relay;
		struct conf_check  *check;
		struct conf_rate   *rate;
		struct conf_milter *milter;
		struct conf_test   *test;
	} u;
};

struct conf_tree {
	struct block *block;            /* all statements in file order, the plain ones, too */
	unsigned      n, max;
	unsigned      max_plain;
};

#endif
