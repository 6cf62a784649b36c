/*
 * expr -- words and expressions as they are written: the smaller half of tree.h.
 */
#ifndef POLICY_EXPR_H
#define POLICY_EXPR_H

#include "policy/policy.h"

/* A WORD or a STRING. */
struct lit {
	struct strv text;
	struct pos  pos;
	bool        quoted;
};

struct lits {
	struct lit *v;
	unsigned    n, max;
};

void lits_add(struct arena *a, struct lits *l, struct lit x);

/* FACT [ args ], or the call of a map or a memory in a listref. */
struct fact_ref {
	struct lit  name;
	struct arg *arg;
	unsigned    n_arg, max_arg;
	bool        call;               /* ( ) were written */
};

enum arg_kind { ARG_STRING, ARG_NUMBER, ARG_FACT };

struct arg {
	enum arg_kind   kind;
	struct lit      lit;            /* STRING, NUMBER */
	struct fact_ref fact;           /* FACT */
};

enum ref_kind { REF_NONE, REF_NAME, REF_SET, REF_CALL };

struct list_ref {
	enum ref_kind    kind;
	struct lit       name;          /* NAME; else only its pos */
	struct lits      set;
	struct fact_ref *call;
};

enum pred_op { PRED_BARE, PRED_IS, PRED_IN, PRED_MATCHES, PRED_EQ, PRED_LT, PRED_LE, PRED_GT, PRED_GE,
	PRED_RESOLVES };

struct pred {
	struct fact_ref fact;
	enum pred_op    op;
	bool            negated;        /* is not, not in, not matches, != */
	struct pos      op_pos;
	struct lits     value;          /* IS: one or more; MATCHES and the comparisons: one, or none before a set */
	struct list_ref list;           /* IN; EQ with a set */
};

enum expr_kind { EXPR_OR, EXPR_AND, EXPR_NOT, EXPR_ANY_RCPT, EXPR_ALL_RCPT, EXPR_PRED };

struct expr {
	enum expr_kind kind;
	struct pos     pos;
	struct expr  **kid;             /* OR, AND: two or more; NOT, ANY, ALL: one */
	unsigned       n_kid, max_kid;
	struct pred   *pred;
};

#endif
