/*
 * buf.c -- a growing run of octets with a ceiling.
 *
 * Not for text that lives as long as a session (arena) nor for message text (spool).  The
 * invariant: n <= max, and n < room wherever p is set, so that vsnprintf finds a place for its
 * NUL.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

enum { ROOM_MIN = 256 }; /* a reply to EHLO, a short queue of commands: one allocation */

void
buf_init(struct buf *b, size_t max)
{
	assert(max > 0 && max < SIZE_MAX);
	*b = (struct buf){ .max = max };
}

void
buf_fini(struct buf *b)
{
	mem_free(b->p);
	buf_init(b, b->max);
}

void
buf_clear(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

/* Doubles, so that many small additions cost linear time. n + 1 octets are needed, n <= max. */
static void
grow(struct buf *b, size_t n)
{
	size_t room = b->room > b->max / 2 ? b->max + 1 : b->room * 2;

	if (room < ROOM_MIN)
		room = ROOM_MIN;
	if (room < n + 1)
		room = n + 1;
	b->p = mem_resize(b->p, room);
	b->room = room;
}

bool
buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max - b->n) {
		b->full = true;
		return false;
	}
	if (b->n + n >= b->room)
		grow(b, b->n + n);
	return true;
}

bool
buf_add_growing(struct buf *b, struct strv v)
{
	if (v.n == 0)
		return true;
	if (!buf_reserve(b, v.n))
		return false;
	memcpy(b->p + b->n, v.p, v.n);
	b->n += v.n;
	return true;
}

bool
buf_addc(struct buf *b, char c)
{
	return buf_add(b, strv(&c, 1));
}

bool
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int     n;

	va_start(ap, fmt);
	n = vsnprintf(b->p == NULL ? NULL : b->p + b->n, b->room - b->n, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if ((size_t)n >= b->room - b->n) {
		if (!buf_reserve(b, (size_t)n))
			return false;
		va_start(ap, fmt);
		vsnprintf(b->p + b->n, b->room - b->n, fmt, ap);
		va_end(ap);
	} else if ((size_t)n > b->max - b->n) {
		b->full = true; /* the smallest room may be wider than the ceiling */
		return false;
	}
	b->n += (size_t)n;
	return true;
}

bool
buf_add_number(struct buf *b, uint64_t v)
{
	char digits[STRV_NUMBER];

	return buf_add(b, strv_print_number(v, digits));
}

void
buf_drop(struct buf *b, size_t n)
{
	assert(n <= b->n);
	b->n -= n;
	if (n > 0 && b->n > 0)
		memmove(b->p, b->p + n, b->n);
}
