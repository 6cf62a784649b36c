/*
 * asks_own -- what the files of asks_find share; nobody else includes it.
 *
 * asks        which fact, map, tag or score a name means
 * asks_args   what stands in its ( )
 */
#ifndef POLICY_ASKS_OWN_H
#define POLICY_ASKS_OWN_H

#include "policy/load.h"

struct asks_weight {            /* of the call at hand */
	bool   given;
	double n;               /* not 0, at most a million either way */
};

/*
 * asks_args -- what is written in f's ( ), as def->args wants it
 *
 *   at    the stage at which it is asked (STAGE_MAX: any); a fact that is an argument must be known there
 *   out   gets text, in the loader's arena or the source, and of
 *   w     zero at first; given where there is a weight
 *
 * False: reported.
 */
bool asks_args(struct loader *l, const struct fact_ref *f, const struct fact_def *def, enum stage at,
    struct asked *out, struct asks_weight *w);

#endif
