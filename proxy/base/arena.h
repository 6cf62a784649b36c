/*
 * arena -- memory that lives as long as a session or a transaction and goes at once.
 *
 * arena_* never returns NULL: where the system has no memory left the process ends (abort), as the
 * last line of defence behind the quota.  The quota is soft: past it the arena is *spent*, still
 * gives memory, and the dispatcher ends the session (421/452) after the command or chunk in hand.
 * Not shared between threads.  Nothing here parks.
 */
#ifndef PROXY_BASE_ARENA_H
#define PROXY_BASE_ARENA_H

#include "proxy/base/strv.h"

struct arena;

/*
 * arena_new -- an empty arena
 *
 *   first   octets of the first chunk, header included, 256..1048576; later chunks double up to 64 KiB
 *   quota   octets after which arena_spent() is true; 0: no quota
 *
 * The caller owns it: arena_free().
 */
struct arena *arena_new(size_t first, size_t quota);
/* Runs what was deferred, last first, then gives back all memory. NULL is allowed. */
void arena_free(struct arena *a);
/* The same but keeps the first chunk: the arena is as new. */
void arena_reset(struct arena *a);

void  *arena_alloc(struct arena *a, size_t n);                  /* aligned for any type, zeroed; n may be 0 */
void  *arena_bytes(struct arena *a, size_t n);                  /* unaligned, not zeroed */
void  *arena_array(struct arena *a, size_t n, size_t size);     /* zeroed; n*size is checked */
/*
 * Makes an array of *max elements in the arena hold at least `want`: may move it (the old copy stays
 * behind as waste); grows by doubling. Returns the array; *max is the new capacity.
 */
void  *arena_grow(struct arena *a, void *v, unsigned *max, unsigned want, size_t size);
struct strv arena_dup(struct arena *a, struct strv v);          /* a copy with a NUL behind it (not counted) */
char  *arena_z(struct arena *a, struct strv v);                 /* the same as a C string */
struct strv arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct strv arena_concat(struct arena *a, struct strv x, struct strv y);
struct strv arena_lower(struct arena *a, struct strv v);        /* a copy, its ASCII letters in lower case */

/* fn(arg) runs when the arena is freed or reset, in reverse order. fn may not park or allocate here. */
void arena_defer(struct arena *a, void (*fn)(void *), void *arg);
/* Forgets the latest deferral of exactly fn and arg, without running it. False: there was none. */
bool arena_undefer(struct arena *a, void (*fn)(void *), void *arg);

bool   arena_spent(const struct arena *a);
size_t arena_used(const struct arena *a);

/* For the few owners outside arenas (pools, caches, queues): never NULL, zeroed. Freed by mem_free. */
void *mem_alloc(size_t n);
void *mem_array(size_t n, size_t size);
void *mem_resize(void *p, size_t n);                            /* new octets are not zeroed */
void  mem_free(void *p);

#endif
