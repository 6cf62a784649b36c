/*
 * bufpool -- the input buffers that connections borrow while they hold octets.  One pool a loop.
 */
#ifndef PROXY_BASE_BUFPOOL_H
#define PROXY_BASE_BUFPOOL_H

#include <stddef.h>

#define BUFPOOL_SIZE (128 * 1024)

struct bufpool;

struct bufpool *bufpool_new(unsigned keep);     /* keep: free buffers; what is more goes to the system */
void bufpool_free(struct bufpool *p);           /* all were given back */
char *bufpool_take(struct bufpool *p);          /* BUFPOOL_SIZE octets, not zeroed; the last given */
void bufpool_give(struct bufpool *p, char *b);

#endif
