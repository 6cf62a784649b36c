/*
 * ehlo -- the service extensions: one table, parsing of a server's EHLO reply, intersection, printing of ours.
 *
 * What we offer is ours ∩ (the upstream's ∪ what we emulate); unknown keywords are dropped.  Pure.
 * RFC 5321 4.1.1.1 and the RFC of each extension.
 */
#ifndef PROXY_SMTP_EHLO_H
#define PROXY_SMTP_EHLO_H

#include "proxy/base/buf.h"

/*        name         keyword                 how: E emulated, U only if the upstream has it, O ours alone, N never offered */
#define EHLO_CAPS(X) \
	X(PIPELINING,  "PIPELINING",           E, "RFC 2920") \
	X(SIZE,        "SIZE",                 E, "RFC 1870") \
	X(ENHANCED,    "ENHANCEDSTATUSCODES",  E, "RFC 2034") \
	X(8BITMIME,    "8BITMIME",             U, "RFC 6152") \
	X(SMTPUTF8,    "SMTPUTF8",             U, "RFC 6531") \
	X(DSN,         "DSN",                  U, "RFC 3461") \
	X(CHUNKING,    "CHUNKING",             E, "RFC 3030") \
	X(STARTTLS,    "STARTTLS",             O, "RFC 3207") \
	X(AUTH,        "AUTH",                 O, "RFC 4954") \
	X(XCLIENT,     "XCLIENT",              O, "Postfix XCLIENT_README") \
	X(XFORWARD,    "XFORWARD",             N, "Postfix XFORWARD_README")

enum ehlo_bit {
#define X(name, word, how, rfc) EHLO_BIT_##name,
	EHLO_CAPS(X)
#undef X
	EHLO_BIT_MAX
};
enum ehlo_cap {
#define X(name, word, how, rfc) EHLO_##name = 1 << EHLO_BIT_##name,
	EHLO_CAPS(X)
#undef X
};

/* Attributes of XCLIENT and XFORWARD (which has the last two alone) that a server listed. */
enum xclient_attr { XCLIENT_NAME = 1, XCLIENT_REVERSE_NAME = 2, XCLIENT_ADDR = 4, XCLIENT_PORT = 8, XCLIENT_PROTO = 16,
	XCLIENT_HELO = 32, XCLIENT_LOGIN = 64, XCLIENT_DESTADDR = 128, XCLIENT_DESTPORT = 256, XFORWARD_IDENT = 512,
	XFORWARD_SOURCE = 1024 };

struct ehlo {
	uint32_t caps;                  /* EHLO_... */
	uint64_t size;                  /* of SIZE; 0: none said or no fixed limit */
	uint32_t xclient, xforward;     /* attributes */
	uint32_t auth;                  /* mechanisms of AUTH, bits of sasl.h; never one that we do not pass on */
};

/* The text of a 250 reply to EHLO (lines split by \n; the first is the greeting and is skipped). */
void ehlo_parse(struct strv text, struct ehlo *out);
/* What both have; SIZE the smaller limit of those that set one; attributes likewise. */
struct ehlo ehlo_intersect(const struct ehlo *a, const struct ehlo *b);
/* What a listener may offer by itself; all zero: nothing of it. */
struct ehlo_own {
	uint64_t size;                  /* our limit, 0: none */
	bool     starttls;
	bool     auth;                  /* AUTH, with the upstream's mechanisms: where there are none it is not offered */
	uint32_t xclient;               /* attributes that this client may say; 0: XCLIENT is not offered */
};

/*
 * What a client is offered: of `upstream` what may pass, with what we emulate and what is ours.
 * SMTPUTF8 falls where 8BITMIME is lacking.
 */
struct ehlo ehlo_offer(const struct ehlo *upstream, const struct ehlo_own *own);
/* "250-hostname\r\n250-PIPELINING\r\n ... 250 DSN\r\n": the whole reply to EHLO.
 * `hello`: text of the first line (at most 512 octets). */
void ehlo_print(struct buf *out, struct strv hello, const struct ehlo *e);

#endif
