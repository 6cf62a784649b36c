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
extern const struct filter txt_filter;          /* TXT records, for those below */
extern const struct filter spf_filter;          /* may this client send for that domain? */
extern const struct filter dkim_filter;         /* who signed it */
extern const struct filter arc_filter;          /* who passed it on */
extern const struct filter dmarc_filter;        /* is it From who it says? */
extern const struct filter milter_filter;       /* milters and plugins: their advice and edits */
extern const struct filter authres_filter;      /* our Authentication-Results */
extern const struct filter sign_filter;         /* our DKIM signatures */
extern const struct filter seal_filter;         /* our ARC seal, last of all */

#endif
