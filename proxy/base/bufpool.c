/*
 * bufpool.c -- input buffers, the last given first, since it is the one that the cache still holds.
 *
 * Not for text that stays: a connection gives its buffer back as soon as it holds no octets.
 * The invariant: a free buffer is linked through its own first octets, and poisoned (AddressSanitizer)
 * as long as nobody has taken it.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/asan.h"
#include "proxy/base/bufpool.h"

#if UNDER_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct free_buf {
	struct free_buf *next;
};

struct bufpool {
	struct free_buf *free;
	unsigned         n_free, keep, n_taken;
};

struct bufpool *
bufpool_new(unsigned keep)
{
	struct bufpool *p = mem_alloc(sizeof(*p));

	p->keep = keep;
	return p;
}

static struct free_buf *
pop(struct bufpool *p)
{
	struct free_buf *b = p->free;

	if (b == NULL)
		return NULL;
	ASAN_UNPOISON_MEMORY_REGION(b, BUFPOOL_SIZE);
	p->free = b->next;
	p->n_free--;
	return b;
}

void
bufpool_free(struct bufpool *p)
{
	struct free_buf *b;

	assert(p->n_taken == 0);
	while ((b = pop(p)) != NULL)
		mem_free(b);
	mem_free(p);
}

char *
bufpool_take(struct bufpool *p)
{
	struct free_buf *b = pop(p);

	p->n_taken++;
	return b != NULL ? (char *)b : mem_resize(NULL, BUFPOOL_SIZE);
}

void
bufpool_give(struct bufpool *p, char *b)
{
	struct free_buf *f = (struct free_buf *)(void *)b;

	assert(p->n_taken > 0);
	p->n_taken--;
	if (p->n_free >= p->keep) {
		mem_free(b);
		return;
	}
	f->next = p->free;
	p->free = f;
	p->n_free++;
	ASAN_POISON_MEMORY_REGION(b, BUFPOOL_SIZE);
}
