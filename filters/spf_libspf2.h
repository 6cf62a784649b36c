/*
 * spf_libspf2 -- libspf2 as a second engine of SPF, fenced in.  On a fiber.
 *
 * No record reaches it that our parser has not taken, exp= is removed from each, look-ups and time are counted as
 * spf_eval does, and no question stays without an answer.
 */
#ifndef FILTERS_SPF_LIBSPF2_H
#define FILTERS_SPF_LIBSPF2_H

#include "filters/spf_eval.h"

enum spf_second {
	SPF_SECOND_SAID,        /* *out is set; explanations are spf_explain's, as ever */
	/* Not a question for it: a loopback client, no domain, octets outside ASCII, a record that is long or that it cannot
	 * read (those with /0); or it is not in this build. */
	SPF_SECOND_NOT,
	SPF_SECOND_CANCELLED
};

bool spf_libspf2_here(void);    /* in this build? */
MAY_YIELD enum spf_second spf_libspf2_check(struct arena *a, const struct spf_identity *id, struct spf_said *out);

#endif
