/*
 * authres -- what the filters found out of a sender, as results.  For filters that write such fields.
 */
#ifndef FILTERS_AUTHRES_H
#define FILTERS_AUTHRES_H

#include "proxy/mail/filter.h"

/*
 * authres_collect -- the resinfo of those methods (AUTH_..., auth.h) in their order: spf, dkim, dmarc, arc
 *
 *   facts   the transaction's (findings.facts); texts live in its arena
 *
 * What is unknown is METHOD=temperror, what is absent METHOD=none.  FILTER_OK; FILTER_CANCELLED.
 */
MAY_YIELD enum filter_rc authres_collect(struct facts *facts, unsigned methods, const struct strv **resinfo, unsigned *n);

#endif
