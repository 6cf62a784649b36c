/*
 * netset.c -- a set of networks as sorted, joined ranges; found by binary search.
 *
 * Not for looking up which network it was.  The invariant after netset_seal: ranges of one family
 * neither overlap nor touch, and their first ends rise.
 */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/arena.h"
#include "proxy/base/netset.h"

/* IPv6 as two numbers; IPv4 has its own array, 8 octets a range. */
struct wide {
	uint64_t hi, lo;
};
struct range4 {
	uint32_t lo, hi;
};
struct range6 {
	struct wide lo, hi;
};

struct netset {
	struct range4 *v4;
	struct range6 *v6;
	size_t         n4, n6, max4, max6;
	bool           sealed;
};

static uint64_t
big_endian(const uint8_t *b, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++)
		sum = sum << 8 | b[i];
	return sum;
}

static uint32_t
narrow(const struct addr *a)
{
	return (uint32_t)big_endian(a->b, 4);
}

static struct wide
wide(const struct addr *a)
{
	return (struct wide){ big_endian(a->b, 8), big_endian(a->b + 8, 8) };
}

/* Without a branch: in a search none could be foretold. */
static bool
below(struct wide a, struct wide b)
{
	return (a.hi < b.hi) | ((a.hi == b.hi) & (a.lo < b.lo));
}

struct netset *
netset_new(void)
{
	return mem_alloc(sizeof(struct netset));
}

void
netset_free(struct netset *s)
{
	if (s == NULL)
		return;
	mem_free(s->v4);
	mem_free(s->v6);
	mem_free(s);
}

static void *
room_for_one(void *v, size_t n, size_t *max, size_t size)
{
	if (n < *max)
		return v;
	*max = *max == 0 ? 16 : *max * 2;
	return mem_resize(v, *max * size);
}

void
netset_add(struct netset *s, const struct addr_range *r)
{
	assert(!s->sealed);
	if (r->lo.family == ADDR_IP4) {
		s->v4 = room_for_one(s->v4, s->n4, &s->max4, sizeof(*s->v4));
		s->v4[s->n4++] = (struct range4){ narrow(&r->lo), narrow(&r->hi) };
	} else if (r->lo.family == ADDR_IP6) {
		s->v6 = room_for_one(s->v6, s->n6, &s->max6, sizeof(*s->v6));
		s->v6[s->n6++] = (struct range6){ wide(&r->lo), wide(&r->hi) };
	}
}

static int
by_first4(const void *x, const void *y)
{
	const struct range4 *a = x, *b = y;

	return (a->lo > b->lo) - (a->lo < b->lo);
}

static int
by_first6(const void *x, const void *y)
{
	const struct range6 *a = x, *b = y;

	return below(b->lo, a->lo) - below(a->lo, b->lo);
}

static size_t
join4(struct range4 *v, size_t n)
{
	size_t last = 0;

	for (size_t i = 1; i < n; i++)
		/* Touching counts: the one after 255.255.255.255 is nobody's. */
		if (v[last].hi == UINT32_MAX || v[i].lo <= v[last].hi + 1)
			v[last].hi = v[i].hi > v[last].hi ? v[i].hi : v[last].hi;
		else
			v[++last] = v[i];
	return n == 0 ? 0 : last + 1;
}

static struct wide
successor(struct wide a)
{
	return (struct wide){ a.hi + (a.lo == UINT64_MAX), a.lo + 1 };
}

static size_t
join6(struct range6 *v, size_t n)
{
	size_t last = 0;

	for (size_t i = 1; i < n; i++) {
		struct wide next = successor(v[last].hi);

		if ((next.hi == 0 && next.lo == 0) || !below(next, v[i].lo))
			v[last].hi = below(v[last].hi, v[i].hi) ? v[i].hi : v[last].hi;
		else
			v[++last] = v[i];
	}
	return n == 0 ? 0 : last + 1;
}

void
netset_seal(struct netset *s)
{
	assert(!s->sealed);
	s->sealed = true;
	if (s->n4 > 0) {
		qsort(s->v4, s->n4, sizeof(*s->v4), by_first4);
		s->n4 = join4(s->v4, s->n4);
		s->v4 = mem_resize(s->v4, s->n4 * sizeof(*s->v4));
	}
	if (s->n6 > 0) {
		qsort(s->v6, s->n6, sizeof(*s->v6), by_first6);
		s->n6 = join6(s->v6, s->n6);
		s->v6 = mem_resize(s->v6, s->n6 * sizeof(*s->v6));
	}
}

/*
 * The last range that begins at or below a is the only one that may hold it.  Where no branch
 * lets the machine run ahead, it is told of both places that the next step may look at.
 */
static bool
has4(const struct netset *s, uint32_t a)
{
	const struct range4 *v = s->v4;
	size_t               n = s->n4;

	if (n == 0)
		return false;
	while (n > 1) {
		size_t half = n / 2;

		__builtin_prefetch(v + half / 2);
		__builtin_prefetch(v + half + half / 2);
		v += v[half].lo <= a ? half : 0;
		n -= half;
	}
	return v->lo <= a && a <= v->hi;
}

static bool
has6(const struct netset *s, struct wide a)
{
	const struct range6 *v = s->v6;
	size_t               n = s->n6;

	if (n == 0)
		return false;
	while (n > 1) {
		size_t half = n / 2;

		__builtin_prefetch(v + half / 2);
		__builtin_prefetch(v + half + half / 2);
		v += below(a, v[half].lo) ? 0 : half;
		n -= half;
	}
	return !below(a, v->lo) && !below(v->hi, a);
}

bool
netset_has(const struct netset *s, const struct addr *a)
{
	assert(s->sealed);
	return a->family == ADDR_IP4 ? has4(s, narrow(a)) :
	    a->family == ADDR_IP6    ? has6(s, wide(a)) :
				       false;
}

size_t
netset_count(const struct netset *s)
{
	return s->n4 + s->n6;
}

static void
store(uint8_t *b, unsigned n, uint64_t v)
{
	while (n-- > 0) {
		b[n] = (uint8_t)v;
		v >>= 8;
	}
}

static struct addr
address6(struct wide v)
{
	struct addr a = { .family = ADDR_IP6 };

	store(a.b, 8, v.hi);
	store(a.b + 8, 8, v.lo);
	return a;
}

struct addr_range
netset_at(const struct netset *s, size_t i)
{
	struct addr_range r = { .lo = { .family = ADDR_IP4 }, .hi = { .family = ADDR_IP4 } };

	assert(i < netset_count(s));
	if (i >= s->n4)
		return (struct addr_range){ address6(s->v6[i - s->n4].lo),
			address6(s->v6[i - s->n4].hi) };
	store(r.lo.b, 4, s->v4[i].lo);
	store(r.hi.b, 4, s->v4[i].hi);
	return r;
}
