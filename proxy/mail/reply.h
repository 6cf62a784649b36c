/*
 * reply -- an SMTP reply as a value, its printing (the one place where replies are made), and its
 * incremental parsing from a server.  Pure.  RFC 5321 4.2, RFC 2034.
 */
#ifndef PROXY_MAIL_REPLY_H
#define PROXY_MAIL_REPLY_H

#include "proxy/base/buf.h"

struct arena;
struct verdict;

struct reply {
	uint16_t    code;               /* 200..599 */
	char        enh[10];            /* "2.1.0", or "": none; never for 3xx, greeting, EHLO and HELO */
	struct strv text;               /* lines split by \n, no CR; of an upstream: with the enhanced code it had */
};

#define REPLY_LINE  512                 /* RFC 5321 4.5.3.1.5, CRLF included */
#define REPLY_LINES 100                 /* of one reply of a server */
#define REPLY_MAX   (32 * 1024)         /* octets of one reply of a server, all lines */

/* How the enhanced code of an upstream's reply is treated. */
enum reply_enh { REPLY_ENH_NONE /* as it is */, REPLY_ENH_FILL /* put in x.0.0 where it lacks one */ };

/*
 * Prints r as lines "CODE-ENH text CRLF" ... "CODE ENH text CRLF", each at most REPLY_LINE octets (what
 * is longer loses its tail, at a blank or hard), octets outside printable ASCII and HT become '?' (8-bit
 * stays if `utf8`).  A line of the text that begins with an enhanced code keeps that one; an enh of another
 * class than the code is left out.  Empty text gives "CODE ENH" or "CODE" and a blank.  Where the whole
 * does not fit into the buffer nothing is added but out->full set.
 */
void reply_print(struct buf *out, const struct reply *r, bool utf8);
/* The enhanced code at the start of a reply text, e.g. "5.7.1", or absent; the class must match the code. */
struct strv reply_find_enh(uint16_t code, struct strv text);
/* Fills r->enh with "x.0.0" where r (2xx 4xx 5xx) has none in enh and a line of its text lacks one: printing puts it there. */
void reply_fill_enh(struct reply *r);

/* A reply from a verdict: code, enh, text of it. Views are borrowed from the verdict. */
struct reply reply_of_verdict(const struct verdict *v);

static inline bool
reply_is_ok(const struct reply *r)
{
	return r->code / 100 == 2;
}

/*
 * reply_parser -- a server's replies, fed with any cut of octets
 *
 * Only CRLF ends a line; a bare LF is tolerated as an end (servers exist), a bare CR, NUL or a code that
 * is not [2-5][0-5][0-9], unequal codes in one reply, a fourth octet other than SP - CR, too long or too
 * many lines: malformed, and it stays so.  1xx is malformed.  Lines without text ("250CRLF") are fine.
 */
struct reply_parser {
	struct buf  text;               /* lines split by \n */
	uint16_t    code;
	uint16_t    lines;
	bool        bad, open;          /* open: between the first octet and the end of a reply */
	uint8_t     st;
	bool        last;               /* the line at hand is the last one */
	const char *why;                /* static: what was malformed */
};

void reply_parser_init(struct reply_parser *p);
void reply_parser_fini(struct reply_parser *p);
/*
 * Takes from *in (which moves on).  1: a reply is complete: out->text is valid until the next call;
 * 0: all octets taken, more are needed; -1: malformed, p->why says what.
 */
int reply_parse(struct reply_parser *p, struct strv *in, struct reply *out);

#endif
