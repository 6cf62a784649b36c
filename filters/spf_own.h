/*
 * spf_own -- what the two halves of a check of SPF share: spf_eval.c walks records, spf_match.c looks at a term.
 */
#ifndef FILTERS_SPF_OWN_H
#define FILTERS_SPF_OWN_H

#include "filters/spf_eval.h"
#include "filters/spf_macro.h"
#include "proxy/base/dns.h"

struct spf_asking {                     /* one check */
	struct arena     *a;            /* as long as the check */
	struct arena     *brief;        /* as long as the look-ups of one term */
	struct spf_macros macros;
	uint64_t          until;
	unsigned          terms, voids, questions;
	bool              cancelled;
	bool              knows_names;  /* the client's, below */
	struct strv       name[SPF_NAMES];
	unsigned          n_names;
	struct strv       by, exp, exp_domain;  /* of what decided last */
};

/* What a term says of the client.  INCLUDE: what another record says. */
enum spf_match { SPF_MATCH_NO, SPF_MATCH_YES, SPF_MATCH_TEMP, SPF_MATCH_PERM, SPF_MATCH_INCLUDE };

/* ---- spf_match.c ---- */

/* A term of the record of that domain.  Empties brief. */
MAY_YIELD enum spf_match spf_match(struct spf_asking *c, struct strv domain, const struct spf_term *t);
/* The name that a domain-spec stands for, or the record's own domain where there is none. */
MAY_YIELD struct strv spf_target(struct spf_asking *c, struct strv domain, struct strv spec);
/* One question, for no longer than the check may last. */
MAY_YIELD enum dns_rc spf_question(struct spf_asking *c, struct arena *a, struct strv name, uint16_t type,
    struct dns_answer *out);
bool spf_is_void(enum dns_rc rc);                       /* it has found nothing */
unsigned spf_time_left(const struct spf_asking *c);     /* ms; 0: nothing */
/* One more term looks up.  False: it is one too many, which is told. */
bool spf_may_look_up(struct spf_asking *c, struct strv domain, const struct spf_term *t);
/* Makes `by': `what', of a term that stands in the record of a domain; both may be empty. */
void spf_tell(struct spf_asking *c, struct strv domain, struct strv term, const char *what);
struct strv spf_term_told(struct strv term);            /* as much of it as is told */
/* The client's names, once a check; the best of them for %{p} in the record of that domain. */
MAY_YIELD enum dns_rc spf_learn_names(struct spf_asking *c);
struct strv spf_best_name(const struct spf_asking *c, struct strv domain);

#endif
