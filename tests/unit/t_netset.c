/*
 * t_netset -- networks sorted, joined and found.  With "speed" as its argument it measures a
 * million.
 */
#include "tests/unit/t.h"

#include <time.h>

#include "proxy/base/netset.h"

static struct netset *
read_set(const char *const *texts)
{
	struct netset    *s = netset_new();
	struct addr_range r;
	const char       *why;

	for (; *texts != NULL; texts++)
		if (T_CHECKF(addr_range_parse(strv_z(*texts), &r, &why), "%s: %s", *texts, why))
			netset_add(s, &r);
	netset_seal(s);
	return s;
}

static bool
has(const struct netset *s, const char *text)
{
	struct addr a;

	return T_CHECKF(addr_parse(strv_z(text), &a), "%s is no address", text) &&
	    netset_has(s, &a);
}

static void
finds_what_is_in_it(void)
{
	/* clang-format off */
	static const char *const texts[] = { "192.0.2.0/24", "198.51.100.7", "203.0.113.4-203.0.113.9",
		"2001:db8::/32", "::1", "2001:db9::5-2001:db9::1:5", NULL };
	static const struct { const char *addr; bool want; } rows[] = {
		{ "192.0.2.0", true }, { "192.0.2.255", true }, { "192.0.1.255", false },
		{ "192.0.3.0", false }, { "198.51.100.7", true }, { "198.51.100.6", false },
		{ "198.51.100.8", false }, { "203.0.113.3", false }, { "203.0.113.4", true },
		{ "203.0.113.9", true }, { "203.0.113.10", false }, { "0.0.0.0", false },
		{ "255.255.255.255", false }, { "::ffff:192.0.2.77", true }, { "2001:db8::", true },
		{ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true }, { "2001:db7:ffff::", false },
		{ "2001:db9::", false }, { "2001:db9::5", true }, { "2001:db9::1:5", true },
		{ "2001:db9::1:6", false }, { "::1", true }, { "::", false }, { "::2", false },
		{ "::c000:200", false },
	};
	/* clang-format on */
	struct netset *s = read_set(texts);

	T_EQ_NUM(netset_count(s), 6);
	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		t_row = r->addr;
		T_EQ_NUM(has(s, r->addr), r->want);
	}
	T_CHECK(!netset_has(s, &(struct addr){ .family = ADDR_NONE }));
	netset_free(s);
}

static void
joins(void)
{
	/* clang-format off */
	static const struct { const char *const texts[6]; size_t want; } rows[] = {
		{ { NULL }, 0 },
		{ { "192.0.2.1", "192.0.2.1", NULL }, 1 },
		{ { "192.0.2.0/25", "192.0.2.128/25", NULL }, 1 },              /* touch */
		{ { "192.0.2.1", "192.0.2.3", NULL }, 2 },
		{ { "192.0.2.1", "192.0.2.3", "192.0.2.2", NULL }, 1 },
		{ { "192.0.2.0/24", "192.0.2.7", "192.0.2.9", NULL }, 1 },      /* inside */
		{ { "0.0.0.0/0", "255.255.255.255", "192.0.2.0/24", NULL }, 1 },
		{ { "255.255.255.255", "0.0.0.0", NULL }, 2 },                  /* the ends do not touch */
		{ { "2001:db8::/64", "2001:db8:0:1::/64", NULL }, 1 },          /* a carry between the halves */
		{ { "2001:db8::/64", "2001:db8:0:2::/64", NULL }, 2 },
		{ { "::/0", "ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL }, 1 },
		{ { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::", NULL }, 2 },
		{ { "::/0", "0.0.0.0/0", NULL }, 2 },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct netset *s = read_set(r->texts);

		t_row = r->texts[0];
		T_EQ_NUM(netset_count(s), r->want);
		for (const char *const *t = r->texts; *t != NULL; t++)
			if (strpbrk(*t, "/-") == NULL)
				T_CHECK(has(s, *t));
		netset_free(s);
	}
}

static void
empty_has_nothing(void)
{
	struct netset *s = netset_new();

	netset_seal(s);
	T_CHECK(!has(s, "0.0.0.0") && !has(s, "::") && !has(s, "192.0.2.1"));
	netset_free(s);
	netset_free(NULL);
}

/*
 * A small world of 4096 addresses, marked in an array as well; near either end of each half of
 * IPv6.
 */
static void
agrees_with_an_array(void)
{
	/* clang-format off */
	static const char *const bases[] = { "10.0.0.0", "0.0.0.0", "255.255.240.0", "2001:db8::",
		"2001:db8:0:0:ffff:ffff:ffff:f800", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:f000" };
	/* clang-format on */
	uint64_t seed = 8;

	T_TABLE(char *const, base, bases)
	for (unsigned round = 0; round < 30; round++) {
		struct netset *s = netset_new();
		static bool    mark[4096];
		struct addr    zero;
		unsigned       n = (unsigned)(t_random(&seed) % 60), bad = 0;

		memset(mark, 0, sizeof(mark));
		T_CHECK(addr_parse(strv_z(*base), &zero));
		t_row = *base;
		for (unsigned k = 0; k < n; k++) {
			unsigned          from = (unsigned)(t_random(&seed) % 4096);
			unsigned          to = from + (unsigned)(t_random(&seed) % 70);
			struct addr_range r = { zero, zero };
			struct addr      *end[2] = { &r.lo, &r.hi };

			to = to > 4095 ? 4095 : to;
			memset(mark + from, 1, to - from + 1);
			for (unsigned e = 0; e < 2; e++) {
				unsigned carry = e == 0 ? from : to;
				int      i = zero.family == ADDR_IP4 ? 3 : 15;

				for (; carry > 0 && i >= 0; i--) {
					carry += end[e]->b[i];
					end[e]->b[i] = (uint8_t)carry;
					carry >>= 8;
				}
			}
			netset_add(s, &r);
		}
		netset_seal(s);
		for (unsigned i = 0; i < 4096; i++) {
			struct addr a = zero;
			unsigned    carry = i;

			for (int k = zero.family == ADDR_IP4 ? 3 : 15; carry > 0 && k >= 0; k--) {
				carry += a.b[k];
				a.b[k] = (uint8_t)carry;
				carry >>= 8;
			}
			bad += netset_has(s, &a) != mark[i];
		}
		T_EQ_NUM(bad, 0);
		netset_free(s);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct addr
random_addr(uint64_t *seed, uint8_t family)
{
	struct addr a = { .family = family };
	uint64_t    r = t_random(seed);

	memcpy(a.b, &r, family == ADDR_IP4 ? 4 : 8);
	return a;
}

static int
measure(uint8_t family)
{
	enum { N = 1000000, ASK = 2000000 };
	struct netset *s = netset_new();
	uint64_t       seed = 9;
	unsigned       found = 0;
	double         start = now(), sealed;

	for (unsigned i = 0; i < N; i++) {
		struct addr a = random_addr(&seed, family);

		netset_add(s, &(struct addr_range){ a, a });
	}
	netset_seal(s);
	sealed = now();
	for (unsigned i = 0; i < ASK; i++) {
		struct addr a = random_addr(&seed, family);

		found += netset_has(s, &a);
	}
	printf("IPv%d: %zu ranges built in %.2f s, %.0f ns a question, %u found\n",
	    family == ADDR_IP4 ? 4 : 6, netset_count(s), sealed - start,
	    (now() - sealed) / ASK * 1e9, found);
	netset_free(s);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "speed") == 0)
		return measure(ADDR_IP4) | measure(ADDR_IP6);
	t_begin(argc, argv);
	T_RUN(finds_what_is_in_it);
	T_RUN(joins);
	T_RUN(empty_has_nothing);
	T_RUN(agrees_with_an_array);
	return t_end();
}
