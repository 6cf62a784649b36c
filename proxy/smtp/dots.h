/*
 * dots -- message text between the wire and canonical CRLF lines, both ways, any cut.  Pure.
 *
 * Canonical text: lines end with CRLF, no bare CR, bare LF or NUL, dots not doubled.  Only CRLF.CRLF
 * (or, for BDAT, a length that the caller counts) ends a message.  RFC 5321 2.3.8, 4.1.1.4, 4.5.2.
 *
 * Bare LF becomes CRLF, bare CR a space, NUL is dropped; `odd` tells that any was seen, for those who
 * refuse such text after its true end.  A dot behind a bare LF or NUL was not doubled by its sender and is
 * kept; a dot alone between CRLF and a bare LF is a line of text.
 */
#ifndef PROXY_SMTP_DOTS_H
#define PROXY_SMTP_DOTS_H

#include <sys/uio.h>

#include "proxy/base/strv.h"

struct dots_in {
	uint8_t state;
	bool    stuffed;                /* DATA: dots doubled, CRLF.CRLF ends; false: BDAT */
	bool    odd;                    /* bare CR, bare LF or NUL was seen */
	char    before;                 /* for the scan: the last octet given out; '\n' at the start; NUL: one was dropped */
	bool    crlf;                   /* the last line end was a true CRLF (or the start) */
	bool    count_lines;            /* set it after dots_in_begin to have the two below kept; costs a pass */
	uint64_t line_n;                /* octets of the current line so far, as given out */
	uint64_t longest;               /* octets of the longest line, CRLF included */
};

enum dots_rc { DOTS_PIECE, DOTS_MORE, DOTS_END };

void dots_in_begin(struct dots_in *d, bool stuffed);
/*
 * DOTS_PIECE: *piece is the next canonical text, a view into *in or static; call again.
 * DOTS_MORE: all of *in is taken.  DOTS_END: the end mark was taken; *in is what follows it (and DOTS_END
 * is all that comes until dots_in_begin).
 * An octet is never lost: what cannot be judged yet (CR at the end of a cut) is held in the state.
 */
enum dots_rc dots_decode(struct dots_in *d, struct strv *in, struct strv *piece);
/* The end of BDAT text: what is still held comes out, and a CRLF when the last line lacks one. Absent: nothing. */
struct strv dots_finish(struct dots_in *d);

struct dots_out {
	bool line_start;                /* the next octet begins a line; true at the start */
	bool cr;                        /* a CR at the end of the text is held until its LF comes */
};

void dots_out_begin(struct dots_out *d);
/*
 * Canonical text as iovecs for DATA: views into text and static dots; at most max (>= 2).  Returns how
 * many; *taken octets of text are done with (call again with the rest).  Clean text is one iovec.  What
 * is not canonical after all is made so here too: nothing else can put a bare CR, LF or NUL upstream.
 */
unsigned dots_encode(struct dots_out *d, struct strv text, struct iovec *v, unsigned max, size_t *taken);
/* The end mark for what was encoded: ".\r\n", or "\r\n.\r\n" when the text did not end with a line end. */
struct strv dots_end(const struct dots_out *d);

#endif
