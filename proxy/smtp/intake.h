/*
 * intake -- what a client sent and nobody has taken yet: a borrowed buffer, command lines out of it.
 *
 * The buffer is borrowed from the loop's pool while it holds octets and goes back when it is empty; an
 * unfinished command line that is not too long yet is kept aside instead: no client holds a whole buffer
 * with half a line.  Only CRLF ends a line;
 * a line longer than INTAKE_LINE, or with a bare CR, bare LF or NUL in it, is reported once, as a whole.
 *
 * Lines of an AUTH exchange may have INTAKE_WIDE octets, and what they leave in memory is wiped.
 */
#ifndef PROXY_SMTP_INTAKE_H
#define PROXY_SMTP_INTAKE_H

#include "proxy/base/bufpool.h"
#include "proxy/base/io.h"
#include "proxy/base/strv.h"

#define INTAKE_LINE 4096        /* RFC 3461 4.1 wants 1036 for RCPT; room for every parameter we know */
#define INTAKE_WIDE 12290       /* RFC 4954 4: 12288 and CRLF */

struct intake {
	struct bufpool *pool;
	char           *b;              /* borrowed; NULL: nothing */
	uint32_t        at, n;          /* octets [at, n) of b are unread */
	char           *keep;           /* unfinished line, on the heap */
	uint16_t        keep_n;
	bool            skipping;       /* the rest of an over-long line is dropped */
	uint32_t        skipped;        /* octets dropped of it */
	bool            auth;           /* the owner's: a line that begins with AUTH may be wide */
	bool            wide;           /* the owner's: every line may be, and is secret */
	bool            secret;         /* something secret is or was in the buffer: intake_secret */
	bool            was_wide;       /* the line that was TOO_LONG might have been wide */
};

#define INTAKE_SKIP (1024 * 1024)       /* octets of one line that are dropped in patience */

enum intake_rc { INTAKE_LINE_OK, INTAKE_MORE, INTAKE_TOO_LONG, INTAKE_BAD, INTAKE_ENDLESS };

void intake_init(struct intake *in, struct bufpool *pool);
void intake_fini(struct intake *in);
/* One conn_recv behind what is there. */
enum io_rc intake_recv(struct intake *in, struct conn *c);
static inline struct strv
intake_unread(const struct intake *in)          /* absent: nothing */
{
	return in->b == NULL ? (struct strv){ NULL, 0 } : strv(in->b + in->at, in->n - in->at);
}
void intake_take(struct intake *in, size_t n);  /* n octets of intake_unread are done with */
/* Is there something for intake_line: a whole line, or one that is too long already? */
bool intake_has_line(const struct intake *in);
/*
 * The next command line without its CRLF, a view into the buffer that is valid until intake_rest.
 * TOO_LONG and BAD: such a line was dropped up to its CRLF.  MORE: no complete line.  ENDLESS: more than
 * INTAKE_SKIP octets came without a CRLF.
 */
enum intake_rc intake_line(struct intake *in, struct strv *line);
/* The buffer holds a secret: it is wiped when it goes back. */
void intake_secret(struct intake *in);
/* What intake_rest kept aside is unread again. */
void intake_wake(struct intake *in);
/* Nothing will be read for now: gives the buffer back, keeping what must be kept. */
void intake_rest(struct intake *in);

#endif
