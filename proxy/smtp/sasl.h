/*
 * sasl -- what a proxy must understand of an AUTH exchange: the mechanisms that it passes on, and who says
 * to be whom.  Pure; decides nothing.  RFC 4954, 4422.
 *
 * Only the server's 235 authenticates.  Passwords and tokens pass through here and are kept nowhere.
 */
#ifndef PROXY_SMTP_SASL_H
#define PROXY_SMTP_SASL_H

#include "proxy/base/base64.h"

/*
 * Offered all alike, whether they show the secret or not: auth_offered says to whom.
 * -PLUS (channel binding cannot survive us), EXTERNAL, GSSAPI, DIGEST-MD5, NTLM are not in it: never offered.
 */
#define SASL_MECHANISMS(X) \
	X(PLAIN,         "PLAIN",         "RFC 4616") \
	X(LOGIN,         "LOGIN",         "draft-murchison-sasl-login") \
	X(CRAM_MD5,      "CRAM-MD5",      "RFC 2195") \
	X(SCRAM_SHA_1,   "SCRAM-SHA-1",   "RFC 5802") \
	X(SCRAM_SHA_256, "SCRAM-SHA-256", "RFC 7677") \
	X(XOAUTH2,       "XOAUTH2",       "Google's") \
	X(OAUTHBEARER,   "OAUTHBEARER",   "RFC 7628")

enum sasl_mechanism {
#define X(name, word, rfc) SASL_##name,
	SASL_MECHANISMS(X)
#undef X
	SASL_MAX
};
#define SASL_BIT(m) (1u << (m))

#define SASL_LINE 12288         /* octets of a line of an exchange, CRLF not counted: RFC 4954 4 */
#define SASL_NAME 255           /* octets of a user's name that are kept; a longer one is refused */

const char *sasl_word(enum sasl_mechanism m);
/* -1: unknown or one that we do not pass on. Case does not count (RFC 4422 3.1 has upper case; clients differ). */
int sasl_find(struct strv word);
/* The argument words of an EHLO line AUTH as bits. */
uint32_t sasl_parse_words(struct strv words);
/* The server speaks first: a client has no initial response. */
bool sasl_server_first(enum sasl_mechanism m);

struct sasl_names {                     /* absent: not said (yet); an empty user: the token alone says who it is */
	struct strv user;               /* authentication identity */
	struct strv author;             /* authorization identity, where another one was asked for */
	/* The views point into the response, or here where it was written with escapes: leave it where it is. */
	char        room[2][SASL_NAME];
};

/*
 * Who the client says to be, from its response number `step` (0: the initial one, or the first line), decoded.
 * False: this is no such response (a NUL too many, an empty name or password, octets that are no UTF-8,
 * controls, a name longer than SASL_NAME, channel binding, a step more than the mechanism has): 501, nothing
 * is passed on.  True without a user: this step names nobody.
 */
bool sasl_names_of(enum sasl_mechanism m, unsigned step, struct strv response, struct sasl_names *out);

#endif
