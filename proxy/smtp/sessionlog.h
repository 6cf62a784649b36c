/*
 * sessionlog -- the log lines of a session: one a message, a refusal, a check that did something, and a session.
 */
#ifndef PROXY_SMTP_SESSIONLOG_H
#define PROXY_SMTP_SESSIONLOG_H

#include "proxy/smtp/session.h"

struct log_line;

/* Policy or limits said no. rcpt: at RCPT, else NULL.  At connect see session_log_refused. */
void session_log_refusal(struct session *s, enum stage at, const struct reply *r, struct strv by, const struct path *rcpt);
/*
 * The session was refused before any command, by that rule or limit.  False: of its client so much was told that it is
 * only counted (flood.h), and no line of it is written any more.
 */
bool session_log_refused(struct session *s, struct strv by);
/* The end of data, or a chunk that was refused, was answered with r; `heard`: the client's connection took the reply. */
void session_log_message(struct session *s, const struct reply *r, bool heard);
void session_log_end(struct session *s);
/*
 * What the checks did since this was last called, a line each (tags none): behind judge_stage, judge_rcpt and
 * judge_message.  Names are kept for the message's line.
 */
void session_log_checks(struct session *s);
/* A transaction, or a client that XCLIENT named, begins: what was kept of the one before is forgotten. */
void session_log_forget(struct session *s, bool transaction);
/* Something that an operator wants to know; text is escaped. */
void session_log_event(struct session *s, const char *what, const char *text);
/* The same of a server, by its name; NULL: of none. */
void session_log_event_of(struct session *s, const char *what, struct strv server, const char *text);
/* Its client left while it waited for this ("upstream", "place"; static): for the session's line. */
void session_log_waited(struct session *s, const char *what);
/* sessionlog_edits.c, for the message's line: which milters changed what; nothing where none did. */
void session_log_edits(struct log_line *l, struct arena *a, const struct edits *edits);

#endif
