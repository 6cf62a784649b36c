/*
 * print_own -- what the files of conf_print share; nobody else includes it.
 *
 * print         the walk over the tree, and plain statements
 * print_block   blocks, one function for each kind
 * print_expr    facts, references to lists, expressions
 * print_tools   the line at hand: strings, words, sets, braces
 *
 * A line is gathered in the buffer and given away by print_end.
 */
#ifndef POLICY_PRINT_OWN_H
#define POLICY_PRINT_OWN_H

#include "policy/tree.h"
#include "proxy/base/buf.h"

struct printer {
	struct buf b;                   /* the line so far */
	unsigned   indent;
	void (*emit)(struct strv line, void *arg);
	void      *arg;
};

/* ---- print_tools.c ---- */

void print_end(struct printer *p);      /* ends the line; where a string has several, more than one */
void print_indent(struct printer *p);
void print_put(struct printer *p, struct strv v);               /* as it is */
void print_lit(struct printer *p, const struct lit *x);         /* quoted as it was read */
void print_after(struct printer *p, const struct lit *x);       /* a blank and the word, where there is one */
void print_open(struct printer *p);     /* " {", and the lines of the block begin */
void print_close(struct printer *p);
/* The i-th item of a set: behind a comma, and on a new line where this one is long. *line_at: 0 in front of the first. */
void print_item(struct printer *p, unsigned i, const struct lit *x, size_t *line_at);
void print_set(struct printer *p, const struct lits *set);

/* ---- print_expr.c: inside a line ---- */

void print_fact(struct printer *p, const struct fact_ref *f);
void print_ref(struct printer *p, const struct list_ref *ref);
void print_expr(struct printer *p, const struct expr *e);
void print_when(struct printer *p, const struct expr *e);       /* "when ..."; NULL: nothing */

/* ---- print_block.c: all lines of one, the indent as it was ---- */

void print_list(struct printer *p, const struct conf_list *l);
void print_relay(struct printer *p, const struct conf_relay *r);
void print_check(struct printer *p, const struct conf_check *c);
void print_rate(struct printer *p, const struct conf_rate *r);
void print_milter(struct printer *p, const struct conf_milter *m);
void print_test(struct printer *p, const struct conf_test *t);

#endif
