/*
 * patterns -- regular expressions (PCRE2) with ceilings: neither one nor many can make a worker think for long.
 *
 * Built while a configuration is loaded, in its arena; read-only behind that. HAVE_PCRE2 0: there are none.
 */
#ifndef POLICY_PATTERNS_H
#define POLICY_PATTERNS_H

#include "proxy/base/strv.h"

struct arena;
struct pattern;

#define PATTERN_OCTETS         2000     /* of one pattern, as it is written */
#define PATTERN_SUBJECT_OCTETS 4096     /* of what is searched; longer: unknown */
#define PATTERNS_MAX           1000     /* of one list: they are tried from the front */

enum pattern_rc { PATTERN_NO, PATTERN_YES, PATTERN_UNKNOWN };

/* Was it built with PCRE2? */
bool patterns_here(void);
/*
 * pattern_new -- a pattern, compiled; freed with the arena
 *
 * NULL: it does not compile: *why says so in English, *offset is where in v. Case counts, ^ and $ are the ends of the
 * text, UTF-8 is read as characters.
 */
struct pattern *pattern_new(struct arena *a, struct strv v, struct strv *why, size_t *offset);
struct strv pattern_text(const struct pattern *p);      /* as it was written */
/*
 * Is it found in the text?  Octets that are no UTF-8 match nothing.  *steps grows by what that cost at most; once it is
 * PATTERNS_STEPS nothing is tried any more.  UNKNOWN: a limit was reached.
 */
enum pattern_rc pattern_match(const struct pattern *p, struct strv text, uint64_t *steps);
/*
 * Is one of n found?  UNKNOWN: none is, but some reached a limit; behind PATTERNS_TIRED of those the others are not
 * tried.
 */
enum pattern_rc patterns_match(const struct pattern *const *p, unsigned n, struct strv text, uint64_t *steps);

#define PATTERNS_TIRED 5
#define PATTERNS_STEPS 40000000 /* of one walk of all checks of a stage: a second at worst, without JIT */

#endif
