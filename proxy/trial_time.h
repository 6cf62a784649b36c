/*
 * trial_time -- moments and spans as `time` steps of tests have them.  Pure.
 */
#ifndef PROXY_TRIAL_TIME_H
#define PROXY_TRIAL_TIME_H

#include "proxy/base/strv.h"

/* RFC 3339 5.6, in us since 1970; years 1970 to 9999. */
bool trial_time_moment(struct strv v, uint64_t *us);
/* "5m", in ms, at most ten years.  False: *why is static text. */
bool trial_time_span(struct strv v, uint64_t *ms, const char **why);

#endif
