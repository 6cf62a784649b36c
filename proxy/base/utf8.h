/*
 * utf8 -- which octets are a character of well-formed UTF-8, and whether all of a text is.
 */
#ifndef PROXY_BASE_UTF8_H
#define PROXY_BASE_UTF8_H

#include "proxy/base/strv.h"

/* Octets of the well-formed character (RFC 3629 4) at the start of v, 1..4; 0: there is none, or v is empty. */
unsigned utf8_one(struct strv v);
/* Is all of v well-formed UTF-8?  An empty text is. */
bool utf8_valid(struct strv v);

#endif
