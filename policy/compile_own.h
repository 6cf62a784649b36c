/*
 * compile_own -- what the files of compile_expr share; nobody else includes it.
 *
 * compile         expressions and predicates: what is asked, and how
 * compile_value   one value that a fact is held against
 * compile_in      lists, sets and maps, behind `in'
 *
 * Each function that gives bool has reported when it gives false.
 */
#ifndef POLICY_COMPILE_OWN_H
#define POLICY_COMPILE_OWN_H

#include "policy/load.h"

struct compiling {                      /* one predicate */
	struct loader         *l;
	enum stage             at;      /* STAGE_MAX: not known */
	const struct pred     *x;
	const struct fact_def *def;     /* what it asks; NULL: not of this build */
	struct rule           *r;       /* what becomes of it */
	unsigned               max;     /* its matches there is room for */
};

/* ---- compile.c ---- */

/* One more match of the rule; it stays where it is until the next. */
struct match *compile_match(struct compiling *s, enum match_kind kind);
/* "the fact is of this type: what": reported at that place. Always false. */
bool compile_wrong_type(struct compiling *s, struct pos at, const char *what);

/* ---- compile_value.c ---- */

bool compile_values(struct compiling *s, const struct lits *v);         /* one of them; all are looked at */
bool compile_text(struct compiling *s, const struct lit *v);            /* of a fact that is a text, or several */

/* ---- compile_in.c ---- */

bool compile_in(struct compiling *s, const struct list_ref *ref);
bool compile_set(struct compiling *s, const struct lits *set);          /* = { }, in { } */

#endif
