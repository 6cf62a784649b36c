/*
 * items -- what may stand in lists and as keys and values of maps: read, held in its one canonical text.
 */
#ifndef POLICY_ITEMS_H
#define POLICY_ITEMS_H

#include "policy/load.h"

struct item {
	struct strv text;
	struct pos  pos;
};

/*
 * Each: the item in canonical form; false, absent: it is none, and that is reported.  Texts are the
 * item's own or live in l->a.
 */
bool item_network(struct loader *l, const struct item *x, struct addr_range *out);
struct strv item_domain(struct loader *l, const struct item *x);        /* d, .d, [literal] */
struct strv item_address(struct loader *l, const struct item *x);       /* user@d, @d, <>; the local part decoded */
bool item_is_address(struct strv v);            /* is it meant as one: is there an "@", or is it <>? */

/*
 * items_file -- the lines of the file that a list or map names, each to line()
 *
 *   line   gets a view of one line without its newline, and its place (columns are its own affair)
 *
 * Inside line() l->a is a scratch arena.  What cannot be read is reported.
 */
void items_file(struct loader *l, const struct conf_list *c,
    void (*line)(struct loader *l, void *to, struct strv text, struct pos at), void *to);

#endif
