/*
 * options -- the words behind a command: tables of options, what was given, what is wrong with it.  Pure.
 */
#ifndef PROXY_OPTIONS_H
#define PROXY_OPTIONS_H

#include "proxy/base/strv.h"

struct arena;

#define OPTIONS_MANY 100                /* of one that may be repeated */

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_TEXTS };

struct option_def {                     /* a table ends with an all-zero row */
	const char      *word;          /* "--client", "-c"; a row with "" takes what is no option */
	enum option_kind kind;
	const char      *value;         /* what it needs, as usage says: "an address"; NULL: FLAG */
	size_t           at;            /* offset in the caller's struct: bool, const char *, struct option_texts */
};

struct option_texts {
	const char *v[OPTIONS_MANY];
	unsigned    n;
};

/*
 * options_take -- argv[1] and what follows, into the caller's struct, which holds the defaults
 *
 * "--word VALUE" and "--word=VALUE".  True; or false, and *why (in a) says what is wrong.  More than one text for
 * an option that may not be repeated is wrong.
 */
bool options_take(struct arena *a, int argc, char **argv, const struct option_def *table, void *into,
    struct strv *why);

#endif
