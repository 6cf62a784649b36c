/*
 * spool -- the text of one message on its way: memory up to a limit, then an unlinked file.
 *
 * Only append, then read any number of times.  Writes to the file are plain write() to the page cache.
 */
#ifndef PROXY_BASE_SPOOL_H
#define PROXY_BASE_SPOOL_H

#include <sys/uio.h>

#include "proxy/base/strv.h"

struct world;
struct spool;
struct spool_pool;      /* chunks of 16 KiB and the count of octets in use, one a worker */

/*
 * memory: octets one message may hold in memory; total: octets of all messages, memory and files, 0: no
 * limit.  Memory counts in whole chunks, since that is what a stranger's first octet costs.
 */
struct spool_pool *spool_pool_new(struct world *w, const char *dir, uint64_t memory, uint64_t total);
void spool_pool_free(struct spool_pool *p);
uint64_t spool_pool_used(const struct spool_pool *p);

enum spool_rc { SPOOL_OK, SPOOL_FULL, SPOOL_FAULT };    /* FULL: the total is reached or no space; FAULT: I/O */

struct spool *spool_new(struct spool_pool *p);
struct spool *spool_like(const struct spool *s);        /* an empty one of the same pool */
void spool_free(struct spool *s);               /* NULL is allowed */
/* After anything but SPOOL_OK the spool is spoilt: every later call says the same (until spool_clear). */
enum spool_rc spool_add(struct spool *s, struct strv v);
uint64_t spool_size(const struct spool *s);
bool spool_in_memory(const struct spool *s);    /* nothing was written to a file */
/* Would the text with n more octets not be in memory? */
bool spool_would_spill(const struct spool *s, size_t n);
/* The file, everything in it, or -1 (in memory). For sendfile(). */
int spool_fd(const struct spool *s);
/* In memory: the pieces as iovecs, at most max; how many. Valid until spool_add, spool_clear or spool_free. */
unsigned spool_pieces(const struct spool *s, struct iovec *out, unsigned max);
unsigned spool_n_pieces(const struct spool *s);
/*
 * Text from offset `at` on: in memory a view of one piece (scratch not used), in a file at most n octets
 * read into scratch (n > 0). Empty view at the end; p == NULL: a read fault.
 */
struct strv spool_read(const struct spool *s, uint64_t at, char *scratch, size_t n);
void spool_clear(struct spool *s);              /* forget the text, keep the spool */

#endif
