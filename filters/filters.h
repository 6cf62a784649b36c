/*
 * filters -- the filters of this build, for the registry alone.  A new one is a line here and one there.
 */
#ifndef FILTERS_FILTERS_H
#define FILTERS_FILTERS_H

#include "proxy/mail/filter.h"

extern const struct filter client_filter;       /* who connected, and how */
extern const struct filter names_filter;        /* are there such domains and hosts? */
extern const struct filter dnsbl_filter;        /* lists in the DNS */
extern const struct filter envelope_filter;     /* what was said before the message */
extern const struct filter message_filter;      /* its size and header */

#endif
