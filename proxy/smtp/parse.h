/*
 * parse -- the arguments of SMTP commands.  Pure: a line in, values or a fault out.
 *
 * Lines come without CRLF and hold no CR, LF or NUL (the intake saw to it).  Names are case-insensitive.
 */
#ifndef PROXY_SMTP_PARSE_H
#define PROXY_SMTP_PARSE_H

#include "proxy/mail/envelope.h"
#include "proxy/smtp/ehlo.h"

struct arena;

struct fault {                          /* what is wrong with a command: becomes its reply */
	uint16_t    code;               /* 501, 553, 555, 552 ...; 0: nothing */
	const char *enh;
	const char *text;               /* static */
};

/* The verb: the first word, at most 16 octets kept; *rest: what follows the blank behind it, trailing blanks cut. */
struct strv parse_verb(struct strv line, struct strv *rest);

/*
 * The argument of HELO or EHLO: a domain or address literal, without the root's dot, not empty, at most 255 octets,
 * printable (lenient on its syntax: RFC 5321 4.1.4 forbids refusing mail for a bad name; blanks and controls are 501).
 */
bool parse_helo(struct strv rest, struct strv *name, struct fault *f);

/*
 * "FROM:<path> params" and "TO:<path> params", also with blanks behind the colon
 *
 *   offered   what this session was offered: parameters of others are 555 5.5.4
 *   a         the transaction's arena, owns all views
 *
 * Duplicate or malformed parameters: 501 5.5.4.  SIZE: number of at most 20 digits.  BODY=BINARYMIME: 555.
 * ENVID, ORCPT: xtext, at most 100 and 500 octets; RET FULL|HDRS; NOTIFY NEVER or a list.  SMTPUTF8 takes
 * no value and is looked for before the path is judged, so <ü@x> SMTPUTF8 is fine and without it is 553 5.6.7.
 * AUTH= is taken (xtext) only when `offered` has EHLO_AUTH.
 */
bool parse_mail(struct arena *a, struct strv rest, uint32_t offered, struct path *from, struct mail_params *out,
    struct fault *f);
bool parse_rcpt(struct arena *a, struct strv rest, uint32_t offered, bool utf8, struct path *to, struct param **params,
    unsigned *n_params, struct fault *f);
/* "size" or "size LAST"; size 0..2^63-1. */
bool parse_bdat(struct strv rest, uint64_t *size, bool *last, struct fault *f);

/* xtext (RFC 3461 4), xtext.c: is v well formed; decode such a one into arena a; encode v into out. */
bool xtext_valid(struct strv v);
struct strv xtext_parse(struct arena *a, struct strv v);
bool xtext_print(struct buf *out, struct strv v);

/* MAIL and RCPT written anew: "MAIL FROM:<path> SIZE=... \r\n" with only what `to` (the upstream) has. */
void print_mail(struct buf *out, const struct path *from, const struct mail_params *p, uint32_t to);
void print_rcpt(struct buf *out, const struct path *rcpt, const struct param *p, unsigned n, uint32_t to);

#endif
