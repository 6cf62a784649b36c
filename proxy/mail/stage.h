/*
 * stage -- the stages of a session, one table for enum, policy words and manual.
 */
#ifndef PROXY_MAIL_STAGE_H
#define PROXY_MAIL_STAGE_H

#include "proxy/base/strv.h"

/*        name     word       asked when; `policy`: a policy may name it */
#define STAGES(X) \
	X(CONNECT, "connect", "a client has connected",                      true) \
	X(HELO,    "helo",    "HELO or EHLO was said",                       true) \
	X(AUTH,    "auth",    "a client wants to authenticate",              true) \
	X(MAIL,    "mail",    "the sender is known",                         true) \
	X(RCPT,    "rcpt",    "for each recipient",                          true) \
	X(DATA,    "data",    "the text of the message is about to come",    true) \
	X(HEADERS, "headers", "the header of the message is complete",       false) \
	X(BODY,    "body",    "for each piece of the body",                  false) \
	X(MESSAGE, "message", "the message has arrived whole",               true) \
	X(SEAL,    "seal",    "nothing changes the message any more",        false) \
	X(UNKNOWN, "unknown", "a command is not known",                      false)

enum stage {
#define X(name, word, when, policy) STAGE_##name,
	STAGES(X)
#undef X
	STAGE_MAX
};

#define AT(name) (1u << STAGE_##name)   /* a set of stages */

const char *stage_word(enum stage s);
const char *stage_when(enum stage s);
bool stage_in_policy(enum stage s);
bool stage_find(struct strv word, enum stage *out);

#endif
