/*
 * stages_own -- what the files about the stages of checks share; nobody else includes it.
 *
 * stages        which stage each check gets
 * stages_look   what cannot be at that stage
 */
#ifndef POLICY_STAGES_OWN_H
#define POLICY_STAGES_OWN_H

#include "policy/load.h"

/* ---- stages.c ---- */

/*
 * When what one predicate asks is known: its subject, and the fact that its map is asked with.  *per_rcpt: set where it
 * differs from recipient to recipient, else left as it was.
 */
enum stage stages_pred(const struct policy *p, const struct rule *r, bool *per_rcpt);
/* Does the check set the tag of that number? */
bool stages_sets_tag(const struct check *c, unsigned tag);

static inline bool
is_quantifier(enum expr_kind kind)
{
	return kind == EXPR_ANY_RCPT || kind == EXPR_ALL_RCPT;
}

/* ---- stages_look.c ---- */

/* Reports what cannot be asked or said where it stands, of all checks; their stages and those of tags are settled. */
void stages_look(struct loader *l);

#endif
