/*
 * spool.c -- the text of a message: chunks of memory, then all of it in an unlinked file.
 *
 * Not for editing and not for durability: nothing here is promised to anybody.  The invariants:
 * the text is in chunks (fd < 0) or whole in the file (fd >= 0), never in both; every chunk
 * but the last is full; pool->used is the sum of what each spool `holds`.  In its steady state
 * a spool costs no malloc: chunks and spools go back to the pool's lists.
 */
#include <assert.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/spool.h"
#include "proxy/base/world.h"

enum {
	CHUNK = 16 * 1024,
	KEEP_CHUNKS = 256, /* free ones a worker keeps: 4 MiB */
	KEEP_SPOOLS = 256,
	IOVECS = 64, /* a writev: 1 MiB */
};

union chunk {
	union chunk *next; /* while it is free */
	char         p[CHUNK];
};

struct spool_pool {
	struct world *world;
	const char   *dir;
	uint64_t      memory, total, used;
	union chunk  *chunks; /* free */
	struct spool *spools; /* free */
	unsigned      n_chunks, n_spools, live;
};

struct spool {
	struct spool_pool *pool;
	struct spool      *next; /* while it is free */
	union chunk      **chunk;
	unsigned           n, max; /* chunks in use, room for pointers */
	int                fd;
	enum spool_rc      rc;
	uint64_t           size;
	uint64_t           holds; /* octets counted in pool->used */
};

/* ---- the pool ---- */

struct spool_pool *
spool_pool_new(struct world *w, const char *dir, uint64_t memory, uint64_t total)
{
	struct spool_pool *p = mem_alloc(sizeof(*p));

	p->world = w;
	p->dir = dir;
	p->memory = memory;
	p->total = total;
	return p;
}

void
spool_pool_free(struct spool_pool *p)
{
	union chunk  *c;
	struct spool *s;

	if (p == NULL)
		return;
	assert(p->live == 0);
	while ((c = p->chunks) != NULL) {
		p->chunks = c->next;
		mem_free(c);
	}
	while ((s = p->spools) != NULL) {
		p->spools = s->next;
		mem_free(s->chunk);
		mem_free(s);
	}
	mem_free(p);
}

uint64_t
spool_pool_used(const struct spool_pool *p)
{
	return p->used;
}

static union chunk *
take_chunk(struct spool_pool *p)
{
	union chunk *c = p->chunks;

	if (c == NULL)
		return mem_resize(NULL, sizeof(*c));
	p->chunks = c->next;
	p->n_chunks--;
	return c;
}

static void
give_chunk(struct spool_pool *p, union chunk *c)
{
	if (p->n_chunks >= KEEP_CHUNKS) {
		mem_free(c);
		return;
	}
	c->next = p->chunks;
	p->chunks = c;
	p->n_chunks++;
}

/* Changes what s counts for; false: the total is reached, nothing changed. */
static bool
hold(struct spool *s, uint64_t octets)
{
	struct spool_pool *p = s->pool;
	uint64_t           others = p->used - s->holds;

	if (octets > s->holds && p->total > 0 && (others > p->total || octets > p->total - others))
		return false;
	p->used = others + octets;
	s->holds = octets;
	return true;
}

/* ---- a spool ---- */

struct spool *
spool_new(struct spool_pool *p)
{
	struct spool *s = p->spools;

	if (s != NULL) {
		p->spools = s->next;
		p->n_spools--;
	} else
		s = mem_alloc(sizeof(*s));
	s->pool = p;
	s->next = NULL;
	s->fd = -1;
	p->live++;
	return s;
}

static void
give_chunks(struct spool *s)
{
	while (s->n > 0)
		give_chunk(s->pool, s->chunk[--s->n]);
}

void
spool_clear(struct spool *s)
{
	give_chunks(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->rc = SPOOL_OK;
	s->size = 0;
	hold(s, 0);
}

struct spool *
spool_like(const struct spool *s)
{
	return spool_new(s->pool);
}

void
spool_free(struct spool *s)
{
	struct spool_pool *p;

	if (s == NULL)
		return;
	p = s->pool;
	spool_clear(s);
	p->live--;
	if (p->n_spools >= KEEP_SPOOLS) {
		mem_free(s->chunk);
		mem_free(s);
		return;
	}
	s->next = p->spools;
	p->spools = s;
	p->n_spools++;
}

static enum spool_rc
write_fault(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? SPOOL_FULL : SPOOL_FAULT;
}

/* All of it, over signals and short writes; the pieces are used up. */
static enum spool_rc
write_all(int fd, struct iovec *v, unsigned n)
{
	while (n > 0) {
		ssize_t done = writev(fd, v, (int)n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return write_fault();
		while (n > 0 && (size_t)done >= v->iov_len) {
			done -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n > 0) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return SPOOL_OK;
}

/* The octets of chunk i. */
static struct strv
piece(const struct spool *s, unsigned i)
{
	uint64_t behind = s->size - (uint64_t)i * CHUNK;

	return strv(s->chunk[i]->p, behind < CHUNK ? (size_t)behind : CHUNK);
}

static enum spool_rc
write_chunks(const struct spool *s, int fd)
{
	struct iovec  v[IOVECS];
	enum spool_rc rc = SPOOL_OK;

	for (unsigned i = 0; i < s->n && rc == SPOOL_OK;) {
		unsigned n = 0;

		for (; n < IOVECS && i < s->n; n++, i++) {
			struct strv text = piece(s, i);

			v[n] = (struct iovec){ (char *)text.p, text.n };
		}
		rc = write_all(fd, v, n);
	}
	return rc;
}

/* From memory to a file of its own. */
static enum spool_rc
spill(struct spool *s)
{
	struct world *w = s->pool->world;
	int           fd = w->spool(w, s->pool->dir);
	enum spool_rc rc;

	if (fd < 0)
		return SPOOL_FAULT;
	rc = write_chunks(s, fd);
	if (rc != SPOOL_OK) {
		close(fd);
		return rc;
	}
	give_chunks(s);
	s->fd = fd;
	return SPOOL_OK;
}

static enum spool_rc
add_to_file(struct spool *s, struct strv v)
{
	struct iovec  text = { (char *)v.p, v.n };
	uint64_t      held = s->holds;
	enum spool_rc rc = SPOOL_OK;

	if (!hold(s, s->size + v.n))
		return SPOOL_FULL;
	if (s->fd < 0)
		rc = spill(s);
	if (rc == SPOOL_OK)
		rc = write_all(s->fd, &text, 1);
	if (rc == SPOOL_OK)
		s->size += v.n;
	else if (s->fd < 0)
		hold(s, held); /* the chunks are still there */
	return rc;
}

static void
add_chunk(struct spool *s)
{
	if (s->n == s->max) {
		s->max = s->max == 0 ? 4 : s->max * 2;
		s->chunk = mem_resize(s->chunk, s->max * sizeof(union chunk *));
	}
	s->chunk[s->n++] = take_chunk(s->pool);
}

static enum spool_rc
add_to_memory(struct spool *s, struct strv v)
{
	uint64_t chunks = (s->size + v.n + CHUNK - 1) / CHUNK;

	if (!hold(s, chunks * CHUNK))
		return SPOOL_FULL;
	while (v.n > 0) {
		size_t at = (size_t)(s->size % CHUNK);
		size_t n = v.n < CHUNK - at ? v.n : CHUNK - at;

		if (at == 0)
			add_chunk(s);
		memcpy(s->chunk[s->n - 1]->p + at, v.p, n);
		s->size += n;
		v = strv_from(v, n);
	}
	return SPOOL_OK;
}

enum spool_rc
spool_add(struct spool *s, struct strv v)
{
	if (s->rc != SPOOL_OK || v.n == 0)
		return s->rc;
	s->rc = spool_would_spill(s, v.n) ? add_to_file(s, v) : add_to_memory(s, v);
	return s->rc;
}

uint64_t
spool_size(const struct spool *s)
{
	return s->size;
}

bool
spool_in_memory(const struct spool *s)
{
	return s->fd < 0;
}

bool
spool_would_spill(const struct spool *s, size_t n)
{
	uint64_t memory = s->pool->memory;

	return s->fd >= 0 || s->size > memory || n > memory - s->size;
}

int
spool_fd(const struct spool *s)
{
	return s->fd;
}

unsigned
spool_n_pieces(const struct spool *s)
{
	return s->n;
}

unsigned
spool_pieces(const struct spool *s, struct iovec *out, unsigned max)
{
	unsigned n = s->n < max ? s->n : max;

	for (unsigned i = 0; i < n; i++) {
		struct strv text = piece(s, i);

		out[i] = (struct iovec){ (char *)text.p, text.n };
	}
	return n;
}

static struct strv
read_file(const struct spool *s, uint64_t at, char *scratch, size_t n)
{
	ssize_t got;

	assert(n > 0);
	if (n > s->size - at)
		n = (size_t)(s->size - at);
	do
		got = pread(s->fd, scratch, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	/* Fewer octets than were written: the file is not ours alone any more. */
	return got <= 0 ? strv(NULL, 0) : strv(scratch, (size_t)got);
}

struct strv
spool_read(const struct spool *s, uint64_t at, char *scratch, size_t n)
{
	if (at >= s->size)
		return SV("");
	if (s->fd >= 0)
		return read_file(s, at, scratch, n);
	return strv_from(piece(s, (unsigned)(at / CHUNK)), (size_t)(at % CHUNK));
}
