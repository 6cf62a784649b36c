/*
 * fuzz -- what the targets share: one target a file, its entry point is libFuzzer's, and in `make check`
 * replay.c feeds it its corpus and what once made it fail.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/strv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A property that must hold for every input. */
#define FUZZ_CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

/* Where to cut is drawn from the input itself, so that a file makes the same cuts every time. */
struct fuzz_cuts {
	uint64_t state;
};

static inline struct fuzz_cuts
fuzz_cuts(struct strv v)
{
	struct fuzz_cuts c = { 0xcbf29ce484222325u };

	for (size_t i = 0; i < v.n; i++)
		c.state = (c.state ^ (uint8_t)v.p[i]) * 0x100000001b3u;
	return c;
}

/* The next piece of *v, 1 to `most` octets in memory of exactly its size; free() it. *v must not be empty. */
static inline char *
fuzz_cut(struct fuzz_cuts *c, struct strv *v, size_t most, struct strv *piece)
{
	size_t n;
	char *copy;

	c->state = c->state * 6364136223846793005u + 1442695040888963407u;
	n = 1 + (c->state >> 33) % most;
	if (n > v->n)
		n = v->n;
	copy = malloc(n);
	if (copy == NULL)
		abort();
	memcpy(copy, v->p, n);
	*piece = strv(copy, n);
	*v = strv_from(*v, n);
	return copy;
}

/* Octets that grow; for what comes out in pieces. */
struct fuzz_text {
	char *p;
	size_t n, room;
};

static inline void
fuzz_put(struct fuzz_text *t, struct strv v)
{
	if (t->n + v.n > t->room) {
		t->room = 2 * (t->n + v.n) + 64;
		t->p = realloc(t->p, t->room);
		if (t->p == NULL)
			abort();
	}
	if (v.n > 0)
		memcpy(t->p + t->n, v.p, v.n);
	t->n += v.n;
}

static inline struct strv
fuzz_view(const struct fuzz_text *t)
{
	return strv(t->p == NULL ? "" : t->p, t->n);
}

#endif
