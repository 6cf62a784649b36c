/*
 * command -- the table of commands: one row per verb, and what the protocol says of it.
 *
 * The dispatcher, HELP, the manual check and the fuzzers' dictionary read the same rows.
 */
#ifndef PROXY_SMTP_COMMAND_H
#define PROXY_SMTP_COMMAND_H

#include "proxy/smtp/session.h"

#define COMMAND_LINE 512        /* RFC 5321 4.5.3.1.4, CRLF included */

enum command_flags {
	CMD_PLAIN = 1,          /* allowed before STARTTLS where require-tls holds: 530 for the others */
	CMD_BARRIER = 2,        /* every reply owed comes first (RFC 2920 3.1) */
	CMD_JUNK = 4,           /* does nothing for mail: counted, RFC 5321 7.8 */
	CMD_NO_ARG = 8,         /* an argument is 501 */
	CMD_NEEDS_ARG = 16,     /* none is 501 */
	CMD_LONG = 32,          /* may be longer than COMMAND_LINE */
	CMD_NO_AUTH = 64        /* allowed before AUTH where require-auth holds: 530 for the others */
};

struct command {
	const char *verb;
	uint8_t     flags;
	uint8_t     allowed;    /* set of 1 << enum smtp_state; else 503 */
	void      (*run)(struct session *, struct strv rest);   /* MAY_YIELD; one reply */
	const char *syntax;     /* for HELP and the manual */
	const char *source;
};

extern const struct command commands[];         /* ends with verb == NULL */

const struct command *command_find(struct strv verb);

#endif
