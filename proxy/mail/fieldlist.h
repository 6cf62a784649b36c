/*
 * fieldlist -- the fields of a header in their order, while edits put some between and take some away.
 *
 * Fields have numbers: from 1 those that stood there at first, then each as it is put in.  What a field says is its
 * owner's affair.  Names are compared without case.
 */
#ifndef PROXY_MAIL_FIELDLIST_H
#define PROXY_MAIL_FIELDLIST_H

#include "proxy/base/strv.h"

struct arena;
struct fieldlist;

#define FIELD_NONE 0

/*
 * name: of `fields' fields, in order, and behind them those up to n_name that may be asked for or put in; the caller
 * keeps them.  named: false where nobody will ask for a name.
 */
struct fieldlist *fieldlist_new(struct arena *a, const struct strv *name, unsigned fields, unsigned n_name, bool named);
/* In front of the at-th (from 0) of those that are there, behind all where they are fewer. */
uint32_t fieldlist_insert(struct fieldlist *l, uint32_t at, struct strv name);
uint32_t fieldlist_add(struct fieldlist *l, struct strv name);                  /* behind all */
/* It is not there any more.  Once. */
void fieldlist_drop(struct fieldlist *l, uint32_t field);
void fieldlist_drop_all(struct fieldlist *l, struct strv name);
bool fieldlist_has(const struct fieldlist *l, uint32_t field);
unsigned fieldlist_count(const struct fieldlist *l);                            /* fields that are there */
/* The nth (from 1) of that name of those that are there; FIELD_NONE: there are fewer. */
uint32_t fieldlist_find(struct fieldlist *l, struct strv name, uint32_t nth);
/* The same of those that stood there at first, whether they still do or not. */
uint32_t fieldlist_find_old(struct fieldlist *l, struct strv name, uint32_t nth);
/* How many of its name are there up to that one, which is counted: as fieldlist_find counts. */
unsigned fieldlist_nth(struct fieldlist *l, uint32_t field);
/* Those that are there, in order: the first, the one behind it, FIELD_NONE. */
uint32_t fieldlist_first(struct fieldlist *l);
uint32_t fieldlist_next(struct fieldlist *l, uint32_t field);
uint64_t fieldlist_steps(const struct fieldlist *l);    /* what all that has cost: what tests hold to a bound */

#endif
