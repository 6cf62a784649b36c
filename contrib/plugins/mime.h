/*
 * mime -- finds the names of files in a message, while the message comes in.
 *
 * It reads multiparts in multiparts, messages in messages (RFC 2045, 2046), and names in each way in
 * which they are written: plain, in encoded words (RFC 2047), with a character set and in pieces
 * (RFC 2231), in Content-Disposition and in Content-Type.  Memory and depth are bounded.  Nothing here
 * knows of milters: a test feeds it from a file as well.
 *
 * A sender of bad files writes what one program reads in one way and another in another.  So where
 * that could happen (a field twice, a multipart without a boundary, an encoded message) mime does not
 * guess but gives up: mime_fault says why, and who asks should treat such a message as dangerous.
 */
#ifndef MIME_H
#define MIME_H

#include <stddef.h>

struct mime;

/* found(arg, name) is called for each name: octets of its character set, without controls, NUL-terminated. */
struct mime *mime_new(void (*found)(void *arg, const char *name), void *arg); /* NULL: no memory */
void mime_free(struct mime *m);                                              /* NULL is allowed */

/* The message, in order: each field of its header, the end of the header, the body in pieces, the end. */
void mime_header(struct mime *m, const char *name, const char *value);
void mime_end_of_header(struct mime *m);
void mime_body(struct mime *m, const unsigned char *p, size_t n);
void mime_end(struct mime *m);

/* Why it cannot be read; NULL: it can, so far. */
const char *mime_fault(const struct mime *m);

#endif
