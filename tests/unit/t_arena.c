/*
 * t_arena -- memory of a session: zeroed, aligned, counted, undone in order.
 */
#include "tests/unit/t.h"

#include <stdalign.h>
#include <stddef.h>

#include "proxy/base/arena.h"

static void
gives_zeroed_aligned_memory(void)
{
	struct arena *a = arena_new(256, 0);
	uint64_t      seed = 1;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 500; i++) {
			size_t n = t_random(&seed) % (i % 50 == 0 ? 100000 : 200);
			char  *p = arena_alloc(a, n);
			size_t zeros = 0;

			T_CHECK((uintptr_t)p % alignof(max_align_t) == 0);
			while (zeros < n && p[zeros] == 0)
				zeros++;
			T_EQ_NUM(zeros, n);
			memset(p, 0xa5, n);
			memset(arena_bytes(a, n % 13), 0x5a, n % 13);
		}
		arena_reset(a);
		T_EQ_NUM(arena_used(a), 0);
	}
	arena_free(a);
	arena_free(NULL);
}

/* Pieces of all sizes do not overlap: each keeps what was written to it. */
static void
pieces_stay_apart(void)
{
	enum { N = 2000 };
	static struct {
		unsigned char *p;
		size_t         n;
	} piece[N];
	struct arena *a = arena_new(512, 0);
	uint64_t      seed = 2;
	size_t        sum = 0, good = 0, want = 0;

	for (unsigned i = 0; i < N; i++) {
		piece[i].n = t_random(&seed) % 8 == 0 ? t_random(&seed) % 70000 :
							t_random(&seed) % 60;
		piece[i].p = i % 2 == 0 ? arena_alloc(a, piece[i].n) : arena_bytes(a, piece[i].n);
		memset(piece[i].p, (int)(i & 0xff), piece[i].n);
		sum += piece[i].n;
	}
	T_EQ_NUM(arena_used(a), sum);
	for (unsigned i = 0; i < N; i++)
		for (size_t k = 0; k < piece[i].n; k++) {
			want++;
			good += piece[i].p[k] == (i & 0xff);
		}
	T_EQ_NUM(good, want);
	arena_free(a);
}

/* What 20,000 silent sessions cost: the first chunk has to hold a session without a second one. */
static void
first_chunk_is_enough(void)
{
	struct arena *a = arena_new(512, 0);
	char         *p;

	p = arena_alloc(a, 384);
	T_CHECK(p >= (char *)a && p + 384 <= (char *)a + 512);
	arena_reset(a);
	T_CHECK(arena_alloc(a, 384) == p);
	arena_free(a);
}

static void
quota_is_soft(void)
{
	struct arena *a = arena_new(1024, 1000);

	arena_bytes(a, 1000);
	T_CHECK(!arena_spent(a));
	arena_bytes(a, 1);
	T_CHECK(arena_spent(a));
	T_CHECK(arena_bytes(a, 100000) != NULL);
	arena_reset(a);
	T_CHECK(!arena_spent(a));
	arena_free(a);
	a = arena_new(1024, 0);
	arena_bytes(a, 10000000);
	T_CHECK(!arena_spent(a));
	arena_free(a);
}

static void
grows_arrays(void)
{
	struct arena *a = arena_new(256, 0);
	unsigned      max = 0, old;
	int          *v = NULL;

	for (int i = 0; i < 1000; i++) {
		old = max;
		v = arena_grow(a, v, &max, (unsigned)i + 1, sizeof(*v));
		T_CHECK(max > (unsigned)i);
		T_CHECK(old == max || max >= 2 * old);
		T_EQ_NUM(v[max - 1], 0);
		v[i] = i;
		if (i % 100 == 0)
			arena_bytes(a, 3);
	}
	for (int i = 0; i < 1000; i++)
		T_EQ_NUM(v[i], i);
	T_CHECK(arena_grow(a, v, &max, 10, sizeof(*v)) == v);
	max = 0;
	v = arena_grow(a, NULL, &max, 100, sizeof(*v));
	T_EQ_NUM(max, 100);
	arena_free(a);
}

/* Where an array grows without moving, its new elements are zero as well. */
static void
grows_into_zeros(void)
{
	struct arena *a = arena_new(65536, 0);
	unsigned      max = 0, zeros = 0;
	char         *v;

	memset(arena_bytes(a, 60000), 0xa5, 60000);
	arena_reset(a);
	v = arena_grow(a, NULL, &max, 10, 1);
	memset(v, 1, max);
	v = arena_grow(a, v, &max, 5000, 1);
	while (zeros < max - 10 && v[10 + zeros] == 0)
		zeros++;
	T_EQ_NUM(zeros, max - 10);
	T_EQ_NUM(v[9], 1);
	arena_free(a);
}

static void
copies_text(void)
{
	struct arena *a = arena_new(256, 0);
	struct strv   v, big;
	char          src[] = "x\0y";

	v = arena_dup(a, strv(src, 3));
	src[0] = 'z';
	T_EQ_STRV(v, strv("x\0y", 3));
	T_EQ_NUM(v.p[3], 0);
	T_EQ_STR(arena_z(a, SV("abc")), "abc");
	T_EQ_STR(arena_z(a, strv_z(NULL)), "");
	T_EQ_TEXT(arena_concat(a, SV("ab"), SV("cd")), "abcd");
	T_EQ_TEXT(arena_concat(a, strv_z(NULL), SV("cd")), "cd");
	T_EQ_STRV(arena_lower(a, SV("aB-Z9\xc4")), SV("ab-z9\xc4"));
	T_EQ_TEXT(arena_printf(a, "%d-%s", 42, "x"), "42-x");
	T_EQ_TEXT(arena_printf(a, "%s", ""), "");
	for (int n = 250; n < 260; n++) {
		big = arena_printf(a, "%*d", n, 7);
		T_EQ_NUM(big.n, n);
		T_CHECK(big.p[n - 1] == '7' && big.p[n] == '\0' && big.p[0] == ' ');
	}
	arena_free(a);
}

static char     order[64];
static unsigned n_order;

static void
note(void *arg)
{
	order[n_order++] = *(const char *)arg;
	order[n_order] = '\0';
}

static void
note_other(void *arg)
{
	(void)arg;
	order[n_order++] = '!';
	order[n_order] = '\0';
}

static void
runs_deferred_backwards(void)
{
	static char   names[] = "abc";
	struct arena *a = arena_new(256, 0);

	n_order = 0;
	for (unsigned i = 0; i < 3; i++)
		arena_defer(a, note, &names[i]);
	arena_reset(a);
	T_EQ_STR(order, "cba");
	arena_reset(a);
	T_EQ_STR(order, "cba");
	arena_defer(a, note, &names[1]);
	arena_free(a);
	T_EQ_STR(order, "cbab");
}

static void
undefers_the_latest_match(void)
{
	static char   names[] = "abc";
	struct arena *a = arena_new(256, 0);

	n_order = 0;
	arena_defer(a, note, &names[0]);
	arena_defer(a, note, &names[1]);
	arena_defer(a, note, &names[0]);
	arena_defer(a, note_other, &names[0]);
	arena_defer(a, note, &names[2]);
	T_CHECK(arena_undefer(a, note, &names[0]));
	T_CHECK(!arena_undefer(a, note_other, &names[2]));
	arena_free(a);
	T_EQ_STR(order, "c!ba");
}

/* A session that lives long and defers once a transaction does not grow. */
static void
undeferring_costs_no_memory(void)
{
	struct arena *a = arena_new(512, 0);
	size_t        used;
	bool          all = true;

	arena_defer(a, note, order);
	arena_undefer(a, note, order);
	used = arena_used(a);
	for (unsigned i = 0; i < 100000; i++) {
		arena_defer(a, note, order);
		all &= arena_undefer(a, note, order);
	}
	T_CHECK(all);
	T_EQ_NUM(arena_used(a), used);
	arena_free(a);
}

static struct arena *defers_into;

static void
undefer_another(void *arg)
{
	note(arg);
	T_CHECK(arena_undefer(defers_into, note, arg));
}

static void
deferred_may_undefer(void)
{
	static char name[] = "x";

	n_order = 0;
	defers_into = arena_new(256, 0);
	arena_defer(defers_into, note, name);
	arena_defer(defers_into, undefer_another, name);
	arena_free(defers_into);
	T_EQ_STR(order, "x");
}

static void
own_heap(void)
{
	unsigned char *p = mem_array(10, 100);
	size_t         zeros = 0;

	while (zeros < 1000 && p[zeros] == 0)
		zeros++;
	T_EQ_NUM(zeros, 1000);
	p[999] = 7;
	p = mem_resize(p, 100000);
	T_EQ_NUM(p[999], 7);
	mem_free(p);
	p = mem_alloc(0);
	T_CHECK(p != NULL);
	mem_free(p);
	mem_free(NULL);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(gives_zeroed_aligned_memory);
	T_RUN(pieces_stay_apart);
	T_RUN(first_chunk_is_enough);
	T_RUN(quota_is_soft);
	T_RUN(grows_arrays);
	T_RUN(grows_into_zeros);
	T_RUN(copies_text);
	T_RUN(runs_deferred_backwards);
	T_RUN(undefers_the_latest_match);
	T_RUN(undeferring_costs_no_memory);
	T_RUN(deferred_may_undefer);
	T_RUN(own_heap);
	return t_end();
}
