/*
 * decode -- the text of a header field as people read it.  Pure; RFC 5322 2.2.3, RFC 2047, RFC 6532.
 */
#ifndef PROXY_MAIL_DECODE_H
#define PROXY_MAIL_DECODE_H

#include "proxy/base/strv.h"

struct arena;

#define DECODE_OCTETS 65536             /* of one field that are looked at; more are cut off */

/*
 * decode_text -- the value of a field, unfolded, trimmed, with its encoded words decoded
 *
 *   value  behind the colon, with its folding
 *   most   octets of the result at most; it is cut between two characters
 *
 * Always well-formed UTF-8 without controls: an octet that is none is U+FFFD, a control a blank.  What is no encoded
 * word, or one of a charset that nobody here knows, stays as it is written.  In a; never absent.
 */
struct strv decode_text(struct arena *a, struct strv value, size_t most);

/* Where characters go: p has room for `room' octets, of which n are used; full: one did not fit, nor does any more. */
struct decode_out {
	char  *p;
	size_t n, room;
	bool   full;
};

/*
 * Octets of a charset, appended as UTF-8 (decode_charset.c). False: there is no such charset here, nothing was
 * appended.
 */
bool decode_charset(struct strv charset, struct strv octets, struct decode_out *out);
/* Appends octets that should be UTF-8. */
void decode_utf8(struct strv octets, struct decode_out *out);

#endif
