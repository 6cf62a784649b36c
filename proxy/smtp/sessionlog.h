/*
 * sessionlog -- the log lines of a session: one a message, a refusal and a session.
 */
#ifndef PROXY_SMTP_SESSIONLOG_H
#define PROXY_SMTP_SESSIONLOG_H

#include "proxy/smtp/session.h"

/* Policy or limits said no. rcpt: at RCPT, else NULL. */
void session_log_refusal(struct session *s, enum stage at, const struct reply *r, struct strv by, const struct path *rcpt);
/* The end of data was answered with r; `heard`: the client's connection took the reply. */
void session_log_message(struct session *s, const struct reply *r, bool heard);
void session_log_end(struct session *s);
/* Something that an operator wants to know; text is escaped. */
void session_log_event(struct session *s, const char *what, const char *text);

#endif
