/*
 * t_buf -- the growing buffer and its ceiling.
 */
#include "tests/unit/t.h"

#include "proxy/base/buf.h"

static void
adds(void)
{
	struct buf b;

	buf_init(&b, 1000);
	T_EQ_TEXT(buf_view(&b), "");
	T_CHECK(buf_add(&b, SV("abc")));
	T_CHECK(buf_addc(&b, '\0'));
	T_CHECK(buf_add_number(&b, 0));
	T_CHECK(buf_add_number(&b, UINT64_MAX));
	T_CHECK(buf_printf(&b, "<%d>", -5));
	T_CHECK(buf_add(&b, strv_z(NULL)));
	T_EQ_STRV(buf_view(&b), strv("abc\000018446744073709551615<-5>", 29));
	buf_clear(&b);
	T_EQ_NUM(b.n, 0);
	T_CHECK(b.room > 0);
	buf_fini(&b);
	T_CHECK(b.p == NULL && b.max == 1000);
	T_CHECK(buf_add(&b, SV("again")));
	T_EQ_TEXT(buf_view(&b), "again");
	buf_fini(&b);
}

/* All zero but the ceiling is an empty buffer. */
static void
needs_no_init(void)
{
	struct buf b = { .max = 5 };

	T_CHECK(buf_add(&b, SV("12345")));
	T_CHECK(!buf_addc(&b, '6'));
	T_EQ_TEXT(buf_view(&b), "12345");
	buf_fini(&b);
}

/*
 * For every ceiling and every length: it fits to the octet, and what does not fit changes
 * nothing.
 */
static void
ceiling_is_exact(void)
{
	for (size_t max = 1; max < 600; max += 7)
		for (size_t n = max - 1; n <= max + 2; n++) {
			struct buf b;
			bool       fits = n <= max;

			buf_init(&b, max);
			T_EQ_NUM(n == 0 || buf_printf(&b, "%*s", (int)n, ""), fits);
			T_EQ_NUM(b.n, fits ? n : 0);
			T_EQ_NUM(b.full, !fits);
			buf_clear(&b);
			T_CHECK(!b.full);
			for (size_t i = 0; i < n; i++)
				T_EQ_NUM(buf_addc(&b, 'x'), i < max);
			T_EQ_NUM(b.n, fits ? n : max);
			T_CHECK(b.room <= max + 1 || b.room <= 256);
			buf_fini(&b);
		}
}

static void
full_stays(void)
{
	struct buf b;

	buf_init(&b, 4);
	T_CHECK(!buf_add(&b, SV("12345")));
	T_CHECK(buf_add(&b, SV("1234")));
	T_CHECK(b.full);
	T_CHECK(!buf_printf(&b, "%s", "5"));
	T_CHECK(!buf_add_number(&b, 1));
	T_CHECK(!buf_reserve(&b, 1));
	T_CHECK(!buf_reserve(&b, SIZE_MAX));
	T_CHECK(buf_printf(&b, "%s", ""));
	T_EQ_TEXT(buf_view(&b), "1234");
	buf_fini(&b);
}

static void
reserves_and_drops(void)
{
	struct buf b;

	buf_init(&b, 1u << 20);
	T_CHECK(buf_reserve(&b, 70000));
	T_CHECK(b.room - b.n >= 70000);
	memset(b.p, 'a', 70000);
	b.p[69999] = 'z';
	b.n += 70000;
	buf_drop(&b, 0);
	T_EQ_NUM(b.n, 70000);
	buf_drop(&b, 69998);
	T_EQ_TEXT(buf_view(&b), "az");
	buf_drop(&b, 2);
	T_EQ_TEXT(buf_view(&b), "");
	buf_fini(&b);
	buf_drop(&b, 0);
	T_EQ_TEXT(buf_view(&b), "");
}

static void
prints_over_many_sizes(void)
{
	struct buf b;
	size_t     want = 0;

	buf_init(&b, 1u << 20);
	for (int n = 1; n < 600; n++) {
		T_CHECK(buf_printf(&b, "%*d", n, 7));
		want += (size_t)n;
		T_EQ_NUM(b.n, want);
		T_CHECK(b.p[b.n - 1] == '7');
	}
	buf_fini(&b);
}

/* The last octet of what is printed may fall on the last octet of the room. */
static void
prints_at_every_fill(void)
{
	for (size_t n = 0; n < 300; n++) {
		struct buf b;

		buf_init(&b, 1000);
		for (size_t i = 0; i < n; i++)
			buf_addc(&b, 'a');
		T_CHECK(buf_printf(&b, "%s", "yz"));
		T_EQ_NUM(b.n, n + 2);
		T_CHECK(b.p[n] == 'y' && b.p[n + 1] == 'z');
		buf_fini(&b);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(adds);
	T_RUN(needs_no_init);
	T_RUN(ceiling_is_exact);
	T_RUN(full_stays);
	T_RUN(reserves_and_drops);
	T_RUN(prints_over_many_sizes);
	T_RUN(prints_at_every_fill);
	return t_end();
}
