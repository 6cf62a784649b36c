/*
 * buf -- a growing run of octets with a ceiling that its owner gives when it is made.
 *
 * All zero but `max` is an empty buffer.  Adding past the ceiling adds nothing and sets `full`, so a
 * caller may add many times and look once.
 */
#ifndef PROXY_BASE_BUF_H
#define PROXY_BASE_BUF_H

#include "proxy/base/strv.h"

struct buf {
	char  *p;
	size_t n;       /* octets in it */
	size_t room;    /* octets allocated */
	size_t max;     /* the ceiling, > 0 */
	bool   full;    /* something did not fit; stays until buf_clear */
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);                   /* frees; b is empty and usable again, the ceiling stays */
void buf_clear(struct buf *b);                  /* keeps the memory */
bool buf_addc(struct buf *b, char c);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_add_number(struct buf *b, uint64_t v); /* decimal; faster than buf_printf */
/* Room for n more octets to be written at b->p + b->n (then b->n grows by hand); false: over the ceiling. */
bool buf_reserve(struct buf *b, size_t n);
bool buf_add_growing(struct buf *b, struct strv v);     /* buf_add where there is no room yet */
void buf_drop(struct buf *b, size_t n);         /* removes n octets at the front; n <= b->n */
static inline bool
buf_add(struct buf *b, struct strv v)           /* false: did not fit, nothing added */
{
	if (v.n == 0 || v.n >= b->room - b->n || v.n > b->max - b->n)
		return buf_add_growing(b, v);
	memcpy(b->p + b->n, v.p, v.n);
	b->n += v.n;
	return true;
}
static inline struct strv
buf_view(const struct buf *b)                   /* valid until the next change of b */
{
	return strv(b->p == NULL ? "" : b->p, b->n);
}

#endif
