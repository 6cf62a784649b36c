/*
 * session_count -- what the log says of messages and refusals, as numbers of the whole daemon (counters.h).
 */
#ifndef PROXY_SMTP_SESSION_COUNT_H
#define PROXY_SMTP_SESSION_COUNT_H

#include "proxy/smtp/session.h"

/* A message, or a chunk that was refused, was answered with r, ms after it began. Its outcome: COUNTER_ACCEPTED to _UNKNOWN. */
enum counter session_count_message(struct session *s, const struct reply *r, uint64_t ms);
/* A command was refused with r, by a server or (theirs false) by us. */
void session_count_refusal(struct session *s, const struct reply *r, bool theirs);

#endif
