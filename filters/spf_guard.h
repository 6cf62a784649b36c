/*
 * spf_guard -- what libspf2 may ask in one check, and what it is shown of the answers: terms, questions and time are
 * counted as spf_eval does.  On a fiber.
 *
 * What the guard said stands above whatever the library then concludes.
 */
#ifndef FILTERS_SPF_GUARD_H
#define FILTERS_SPF_GUARD_H

#include "filters/spf_eval.h"
#include "proxy/base/dns.h"

struct spf_guard {                      /* one check */
	struct arena *a, *names;        /* names: where those of the latest MX or PTR lie */
	uint64_t      until;
	unsigned      records, shown, terms, voids, questions;  /* shown: records of SPF that were handed over */
	struct strv   name[SPF_NAMES];  /* of the latest MX or PTR: their addresses are no terms */
	unsigned      n_names;
	bool          cancelled, declined;      /* declined: not a check for the library */
	bool          settled;                  /* `says' and `why' stand above the library's */
	enum spf_says says;
	const char   *why;
};

/* From now; until spf_guard_end, which frees what lies in g->a. */
void spf_guard_begin(struct spf_guard *g);
void spf_guard_end(struct spf_guard *g);

/*
 * spf_guard_ask -- a question of the library's
 *
 *   name  as the library has it
 *   out   of OK: what may be shown, in a: of texts only records of SPF, printed anew (these in g->a); of names at
 *         most SPF_NAMES.  Else nothing.
 *
 * Parks.  Once the check is over (settled, cancelled or declined) nothing is asked: it is NXDOMAIN.
 */
MAY_YIELD enum dns_rc spf_guard_ask(struct spf_guard *g, struct arena *a, struct strv name, uint16_t type,
    struct dns_answer *out);

#endif
