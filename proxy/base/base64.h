/*
 * base64 -- octets as text and back.  RFC 4648 4.
 */
#ifndef PROXY_BASE_BASE64_H
#define PROXY_BASE_BASE64_H

#include "proxy/base/buf.h"

/*
 * Strict (padding demanded, and the bits that it leaves over are 0), so that printing what was decoded
 * gives the same text.  The number of octets in out; -1: not base64, or more than room.
 * base64_room(in.n) is always enough.  out may be in.p.
 */
long   base64_decode(struct strv in, char *out, size_t room);
/* What one character stands for, 0 to 63; -1: none.  For who must be less strict than that. */
int    base64_digit(char c);
/* v, with padding, in base64_text_room(v.n) octets; their number. */
size_t base64_write(struct strv v, char *out);
void   base64_print(struct buf *out, struct strv v);

static inline size_t
base64_room(size_t n)
{
	return n / 4 * 3 + 3;
}

static inline size_t
base64_text_room(size_t n)
{
	return (n + 2) / 3 * 4;
}

#endif
