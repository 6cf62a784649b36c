/*
 * hints -- "what would be right", the last line of a diagnostic: forms, examples, the words there are.
 */
#ifndef POLICY_HINTS_H
#define POLICY_HINTS_H

#include "proxy/base/world.h"
#include "proxy/mail/fact.h"

/* How that is written of which the parser says "expected WHAT"; absent: it has no form of its own. */
struct strv hint_due(const char *what);
/* What comes nearest to a statement, option, fact or effect that is not in this build. */
struct strv hint_instead(struct strv what);
/* Which of the words was meant; absent: none, or one that would not be there either. */
struct strv hint_meant(struct arena *a, struct strv v, const char *const *words);
/* What can be asked of a fact of that type, which is called `name`. */
struct strv hint_ask(struct arena *a, struct strv name, const struct fact_def *def);
/* The nearest of the words; else, which there are; where there are none at all `none', which may be NULL. */
struct strv hint_words(struct arena *a, struct strv v, const struct strv *words, unsigned n, const char *none);
struct strv hint_words_z(struct arena *a, struct strv v, const char *const *words);     /* NULL-terminated */
/* Of a word that can name no list: what is written of an item alone; absent: it might be a name. */
struct strv hint_item(struct arena *a, struct strv v);
/* What to do about a file of that name that cannot be read. */
struct strv hint_file(enum file_rc rc, struct strv name);
/* The same of the configuration itself. */
struct strv hint_main_file(enum file_rc rc);

#endif
