/*
 * words -- the shapes that a WORD may have: NAME, FACT, CODE, SIZE and so on.  Pure.
 */
#ifndef POLICY_WORDS_H
#define POLICY_WORDS_H

#include "proxy/base/strv.h"

bool word_is_reserved(struct strv v);           /* when and or not: never a WORD or NAME */
bool word_is_name(struct strv v);               /* a letter, then letters digits - _ */
bool word_is_fact(struct strv v);               /* NAMEs joined by "." */
bool word_is_prefix(struct strv v);             /* a FACT "/" digits */
bool word_is_code(struct strv v);               /* 550 */
bool word_is_xcode(struct strv v);              /* 5.7.1 */
bool word_is_type(struct strv v);               /* A AAAA MX: capitals and digits */
bool word_number(struct strv v, double *out);   /* -1.5; of at most 15 digits */
bool word_size(struct strv v, uint64_t *out);
bool word_duration(struct strv v, uint64_t *seconds);

#endif
