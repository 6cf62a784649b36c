/*
 * filters -- the filters of this build, for the registry alone.  A new one is a line here and one there.
 */
#ifndef FILTERS_FILTERS_H
#define FILTERS_FILTERS_H

#include "proxy/mail/filter.h"

extern const struct filter client_filter;       /* who connected, and how */
extern const struct filter envelope_filter;     /* what was said before the message */

#endif
