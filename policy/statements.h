/*
 * statements -- one table of all statements: how each is parsed, whether this build has it, how it is
 * written.  And the words of the language that have their own lists.
 */
#ifndef POLICY_STATEMENTS_H
#define POLICY_STATEMENTS_H

#include "proxy/base/strv.h"

enum statement_kind { STATEMENT_PLAIN, STATEMENT_CLASS, STATEMENT_INCLUDE, STATEMENT_NAMED, STATEMENT_MEMORY,
	STATEMENT_LIST, STATEMENT_RELAY, STATEMENT_CHECK, STATEMENT_RATE, STATEMENT_MILTER, STATEMENT_TEST };

struct statement {
	const char         *word;
	enum statement_kind kind;
	bool                here;       /* this build has it */
	const char         *form;       /* as the manual writes it */
};

/* NULL: no such statement. */
const struct statement *statement_find(struct strv word);
/* The words of all statements, NULL-terminated, for suggestions. */
const char *const *statement_words(void);

#endif
