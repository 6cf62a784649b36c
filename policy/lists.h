/*
 * lists -- what other rooms' files need of lists.c: where a named file is.
 */
#ifndef POLICY_LISTS_H
#define POLICY_LISTS_H

#include "proxy/base/diag.h"

/* A relative file name begins where the file stands that names it. */
const char *lists_path(struct arena *a, const struct pos *at, struct strv name);

#endif
