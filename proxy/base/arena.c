/*
 * arena.c -- bump allocation in chunks, and the list of what to undo when they go.
 *
 * Not for what outlives a session: pools, caches and queues use mem_* at the end of this file.
 * The invariant: struct arena stands at the head of the first chunk, so an arena whose first chunk
 * suffices costs one malloc in its life and none per arena_reset.  Memory is zeroed as it is handed
 * out, never by the chunk.  Under AddressSanitizer what is not handed out is poisoned, and a gap
 * stays behind each piece.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/arena.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
enum { GAP = 16, BYTE_ALIGN = 8 }; /* shadow memory knows runs of eight octets */
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { GAP = 0, BYTE_ALIGN = 1 };
#endif

enum { CHUNK_MAX = 64 * 1024, ALIGN = alignof(max_align_t) };

struct chunk {
	alignas(max_align_t) struct chunk *next;
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *arg;
};

struct arena {
	char            *at, *end; /* what is free in the chunk in hand */
	struct chunk    *chunks;   /* all but the first, the latest first */
	struct deferred *deferred; /* the latest first */
	struct deferred *spare;    /* undeferred, to be used again: a session lives long */
	size_t           used, quota;
	unsigned         first, grown; /* octets of the first and of the latest grown chunk */
};

static _Noreturn void
out_of_memory(void)
{
	static const char text[] = "out of memory\n";
	ssize_t           ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	abort();
}

static void
rewind_to_first(struct arena *a)
{
	a->at = (char *)(a + 1);
	a->end = (char *)a + a->first;
	/* An arena that needs a little more than was thought pays for half as much again, not for thrice. */
	a->grown = a->first / 4;
	a->used = 0;
	a->chunks = NULL;
	a->deferred = a->spare = NULL;
	ASAN_POISON_MEMORY_REGION(a->at, (size_t)(a->end - a->at));
}

struct arena *
arena_new(size_t first, size_t quota)
{
	struct arena *a;

	assert(first >= 256 && first <= 1048576);
	a = malloc(first);
	if (a == NULL)
		out_of_memory();
	a->first = (unsigned)first;
	a->quota = quota;
	rewind_to_first(a);
	return a;
}

/* Each leaves the list before it runs, so that it may undefer another. */
static void
run_deferred(struct arena *a)
{
	struct deferred *d;

	while ((d = a->deferred) != NULL) {
		a->deferred = d->next;
		d->fn(d->arg);
	}
}

static void
free_chunks(struct arena *a)
{
	struct chunk *c;

	while ((c = a->chunks) != NULL) {
		a->chunks = c->next;
		free(c);
	}
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	run_deferred(a);
	free_chunks(a);
	free(a);
}

void
arena_reset(struct arena *a)
{
	run_deferred(a);
	free_chunks(a);
	rewind_to_first(a);
}

static struct chunk *
add_chunk(struct arena *a, size_t octets)
{
	struct chunk *c;

	if (octets > SIZE_MAX - sizeof(*c) || (c = malloc(sizeof(*c) + octets)) == NULL)
		out_of_memory();
	c->next = a->chunks;
	a->chunks = c;
	return c;
}

/*
 * The chunk in hand has no room for n octets.  What would fill half of the next chunk gets one of
 * its own, and the chunk in hand stays in hand.
 */
static void *
take_from_new_chunk(struct arena *a, size_t n)
{
	size_t size = a->grown >= CHUNK_MAX / 2 ? CHUNK_MAX : (size_t)a->grown * 2;
	char  *p;

	size -= sizeof(struct chunk);
	if (n > size / 2)
		return add_chunk(a, n) + 1;
	p = (char *)(add_chunk(a, size) + 1);
	a->grown = (unsigned)(size + sizeof(struct chunk));
	a->at = p + n + GAP;
	a->end = p + size;
	ASAN_POISON_MEMORY_REGION(p, size);
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

static void *
take(struct arena *a, size_t n, size_t align)
{
	size_t room = (size_t)(a->end - a->at);
	size_t pad = -(uintptr_t)a->at & (align - 1);
	char  *p;

	a->used += n;
	if (room < pad + GAP || room - pad - GAP < n)
		return take_from_new_chunk(a, n);
	p = a->at + pad;
	a->at = p + n + GAP;
	ASAN_UNPOISON_MEMORY_REGION(p, n);
	return p;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	return memset(take(a, n, ALIGN), 0, n);
}

void *
arena_bytes(struct arena *a, size_t n)
{
	return take(a, n, BYTE_ALIGN);
}

static size_t
product(size_t n, size_t size)
{
	size_t octets;

	if (__builtin_mul_overflow(n, size, &octets))
		out_of_memory();
	return octets;
}

void *
arena_array(struct arena *a, size_t n, size_t size)
{
	return arena_alloc(a, product(n, size));
}

/* The latest piece of the chunk in hand grows where it stands, if the chunk has room. */
static bool
grow_in_place(struct arena *a, char *v, size_t old, size_t octets)
{
	if (GAP > 0 || v == NULL || v + old != a->at || (size_t)(a->end - v) < octets)
		return false;
	memset(v + old, 0, octets - old);
	a->used += octets - old;
	a->at = v + octets;
	return true;
}

void *
arena_grow(struct arena *a, void *v, unsigned *max, unsigned want, size_t size)
{
	unsigned room = *max < 4 ? 4 : *max > UINT32_MAX / 2 ? UINT32_MAX : *max * 2;
	size_t   old = *max * size;
	void    *to;

	if (want <= *max)
		return v;
	if (room < want)
		room = want;
	*max = room;
	if (grow_in_place(a, v, old, product(room, size)))
		return v;
	to = arena_array(a, room, size);
	if (old > 0)
		memcpy(to, v, old);
	return to;
}

struct strv
arena_concat(struct arena *a, struct strv x, struct strv y)
{
	char *p;

	if (x.n > SIZE_MAX - 1 - y.n)
		out_of_memory();
	p = arena_bytes(a, x.n + y.n + 1);
	if (x.n > 0)
		memcpy(p, x.p, x.n);
	if (y.n > 0)
		memcpy(p + x.n, y.p, y.n);
	p[x.n + y.n] = '\0';
	return strv(p, x.n + y.n);
}

struct strv
arena_dup(struct arena *a, struct strv v)
{
	return arena_concat(a, v, strv(NULL, 0));
}

struct strv
arena_lower(struct arena *a, struct strv v)
{
	char *p = arena_bytes(a, v.n);

	for (size_t i = 0; i < v.n; i++)
		p[i] = ascii_lower(v.p[i]);
	return strv(p, v.n);
}

char *
arena_z(struct arena *a, struct strv v)
{
	return (char *)arena_dup(a, v).p;
}

struct strv
arena_printf(struct arena *a, const char *fmt, ...)
{
	char    small[256], *p;
	va_list ap;
	int     n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if ((size_t)n < sizeof(small))
		return arena_dup(a, strv(small, (size_t)n));
	p = arena_bytes(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return strv(p, (size_t)n);
}

void
arena_defer(struct arena *a, void (*fn)(void *), void *arg)
{
	struct deferred *d = a->spare;

	if (d != NULL)
		a->spare = d->next;
	else
		d = arena_alloc(a, sizeof(*d));
	*d = (struct deferred){ a->deferred, fn, arg };
	a->deferred = d;
}

bool
arena_undefer(struct arena *a, void (*fn)(void *), void *arg)
{
	for (struct deferred **at = &a->deferred, *d; (d = *at) != NULL; at = &d->next)
		if (d->fn == fn && d->arg == arg) {
			*at = d->next;
			d->next = a->spare;
			a->spare = d;
			return true;
		}
	return false;
}

bool
arena_spent(const struct arena *a)
{
	return a->quota > 0 && a->used > a->quota;
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

void *
mem_array(size_t n, size_t size)
{
	void *p = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
mem_alloc(size_t n)
{
	return mem_array(n, 1);
}

void *
mem_resize(void *p, size_t n)
{
	void *to = realloc(p, n == 0 ? 1 : n);

	if (to == NULL)
		out_of_memory();
	return to;
}

void
mem_free(void *p)
{
	free(p);
}
