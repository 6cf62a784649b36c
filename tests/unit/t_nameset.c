/*
 * t_nameset -- names, domains and addresses in a set.  With "speed" it measures a million.
 */
#include "tests/unit/t.h"

#include <sys/resource.h>
#include <time.h>

#include "proxy/base/nameset.h"

static const struct hash_key key = { 1, 2 };

static struct nameset *
make(const char *const *names)
{
	struct nameset *s = nameset_new(&key);

	for (; *names != NULL; names++)
		nameset_add(s, strv_z(*names));
	return s;
}

static void
folds_and_keeps_order(void)
{
	/* clang-format off */
	static const char *const names[] = { "B.Example", "a.example", "b.example", "<>", "A.EXAMPLE", "",
		NULL };
	/* clang-format on */
	static const char *const want[] = { "b.example", "a.example", "<>", "" };
	struct nameset          *s = make(names);

	T_EQ_NUM(nameset_count(s), 4);
	for (size_t i = 0; i < T_COUNT(want); i++)
		T_EQ_TEXT(nameset_at(s, i), want[i]);
	T_CHECK(nameset_has(s, SV("b.EXAMPLE")));
	T_CHECK(nameset_has(s, SV("")));
	T_CHECK(!nameset_has(s, SV("b.exampl")));
	T_CHECK(!nameset_has(s, strv("b.example\0", 10)));
	nameset_free(s);
	nameset_free(NULL);
}

static void
empty_has_nothing(void)
{
	struct nameset *s = nameset_new(&key);

	T_CHECK(!nameset_has(s, SV("")) && !nameset_has(s, SV("a")));
	T_CHECK(!nameset_has_domain(s, SV("a.example")));
	T_CHECK(!nameset_has_address(s, SV(""), SV("")));
	T_EQ_NUM(nameset_count(s), 0);
	nameset_free(s);
}

static void
finds_domains(void)
{
	/* clang-format off */
	static const char *const names[] = { "a.example", ".b.example", "c.example", ".c.example", ".net",
		"dot.", NULL };
	static const struct { const char *domain; bool want; } rows[] = {
		{ "a.example", true }, { "A.Example", true }, { "x.a.example", false },
		{ "b.example", false }, { "x.b.example", true }, { "x.y.B.example", true },
		{ "xb.example", false }, { "c.example", true }, { "x.c.example", true },
		{ "example", false }, { "net", false }, { "x.net", true }, { "x.y.z.net", true },
		{ "", false }, { ".", false }, { "..", false },
		{ ".b.example", false },                /* what a stranger calls itself is no pattern */
		{ ".x.b.example", false }, { "a.example.", false }, { "x..b.example", true },
	};
	/* clang-format on */
	struct nameset *s = make(names);

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		t_row = r->domain;
		T_EQ_NUM(nameset_has_domain(s, strv_z(r->domain)), r->want);
	}
	T_CHECK(!nameset_has_domain(s, strv_z(NULL)));
	nameset_free(s);
}

/* The search ends however many labels a stranger writes. */
static void
labels_have_a_bound(void)
{
	static const char *const names[] = { ".example", NULL };
	struct nameset          *s = make(names);
	static char              dots[100000];

	memset(dots, '.', sizeof(dots));
	dots[0] = 'a';
	T_CHECK(!nameset_has_domain(s, strv(dots, sizeof(dots))));
	nameset_free(s);
}

static void
finds_addresses(void)
{
	/* clang-format off */
	static const char *const names[] = { "user@a.example", "@b.example", "tag+x@a.example", "<>",
		"postmaster", NULL };
	static const struct { const char *local, *domain; bool want; } rows[] = {
		{ "user", "a.example", true }, { "USER", "A.example", true }, { "user+ext", "a.example", true },
		{ "user+", "a.example", true }, { "user+a+b", "a.example", true }, { "use", "a.example", false },
		{ "users", "a.example", false }, { "anyone", "b.example", true }, { "", "b.example", true },
		{ "anyone", "x.b.example", false }, { "tag+x", "a.example", true }, { "tag", "a.example", false },
		{ "tag+y", "a.example", false }, { "+x", "a.example", false }, { "", "", true },
		{ "postmaster", "", true }, { "Postmaster", "", true }, { "user", "", false },
		{ "<>", "a.example", false },
	};
	/* clang-format on */
	struct nameset *s = make(names);

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		t_row = r->local;
		T_EQ_NUM(nameset_has_address(s, strv_z(r->local), strv_z(r->domain)), r->want);
	}
	nameset_free(s);
}

/* Longer than any address may be: not found whole, and nothing is written past the end. */
static void
long_addresses(void)
{
	static const char *const names[] = { "@b.example", NULL };
	struct nameset          *s = make(names);
	static char              text[2000];

	memset(text, 'a', sizeof(text));
	for (size_t n = 580; n < 620; n++) {
		T_CHECK(nameset_has_address(s, strv(text, n), SV("b.example")));
		T_CHECK(!nameset_has_address(s, strv(text, n), SV("c.example")));
		T_CHECK(!nameset_has_address(s, SV("b"), strv(text, n)));
		T_CHECK(!nameset_has_address(s, strv(text, n), strv(text, n)));
	}
	nameset_free(s);
}

static struct strv
name(unsigned i, char buf[64])
{
	return strv(buf, (size_t)snprintf(buf, 64, "host-%u.Sub%u.example", i, i % 97));
}

static void
holds_many(void)
{
	enum { N = 50000 };
	struct nameset *s = nameset_new(&key);
	char            buf[64];
	unsigned        found = 0, wrong = 0;

	for (unsigned i = 0; i < N; i++) {
		nameset_add(s, name(i, buf));
		nameset_add(s, name(i / 2, buf));
	}
	T_EQ_NUM(nameset_count(s), N);
	for (unsigned i = 0; i < N; i++)
		found += nameset_has(s, name(i, buf));
	for (unsigned i = N; i < 2 * N; i++)
		wrong += nameset_has(s, name(i, buf));
	T_EQ_NUM(found, N);
	T_EQ_NUM(wrong, 0);
	T_EQ_TEXT(nameset_at(s, N - 1), "host-49999.sub44.example");
	nameset_free(s);
}

struct hashed {
	uint64_t bits; /* those a cell and its place in a table of 16 are made of */
	unsigned i;
};

static int
by_bits(const void *x, const void *y)
{
	const struct hashed *a = x, *b = y;

	return (a->bits > b->bits) - (a->bits < b->bits);
}

/* Two names whose hashes agree as far as a cell knows them: the text decides. */
static void
hash_is_not_trusted(void)
{
	enum { N = 100000 };
	static struct hashed v[N];
	char                 one[64], two[64];
	unsigned             pairs = 0;

	for (unsigned i = 0; i < N; i++) {
		uint64_t hash = hash_sip_fold(&key, name(i, one));

		v[i] = (struct hashed){ hash >> 40 << 4 | (hash & 15), i };
	}
	qsort(v, N, sizeof(v[0]), by_bits);
	for (unsigned i = 1; i < N; i++) {
		struct nameset *s;

		if (v[i - 1].bits != v[i].bits)
			continue;
		pairs++;
		s = nameset_new(&key);
		nameset_add(s, name(v[i - 1].i, one));
		T_CHECK(!nameset_has(s, name(v[i].i, two)));
		nameset_add(s, name(v[i].i, two));
		T_EQ_NUM(nameset_count(s), 2);
		T_CHECK(nameset_has(s, strv_z(one)) && nameset_has(s, strv_z(two)));
		nameset_free(s);
	}
	T_CHECK(pairs > 0);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static size_t
some_name(uint64_t *seed, unsigned from, char buf[64])
{
	return name(from + (unsigned)(t_random(seed) % 1000000), buf).n;
}

static int
measure(void)
{
	enum { N = 1000000, ASK = 2000000 };
	struct nameset *s = nameset_new(&key);
	static char     names[4096][64];
	static size_t   n[4096];
	uint64_t        seed = 10;
	char            buf[64];
	unsigned        found = 0;
	double          start = now(), built;
	struct rusage   usage;

	for (unsigned i = 0; i < N; i++)
		nameset_add(s, name(i, buf));
	built = now();
	getrusage(RUSAGE_SELF, &usage);
	printf("%zu names built in %.2f s, %ld MB at most\n", nameset_count(s), built - start,
	    usage.ru_maxrss / 1024);
	for (unsigned half = 0; half < 2; half++) {
		double spent = 0;

		for (unsigned i = 0; i < ASK; i++) {
			if (i % 4096 == 0)
				for (unsigned k = 0; k < 4096; k++)
					n[k] = some_name(&seed, half * N, names[k]);
			if (i % 4096 == 0)
				start = now();
			found += nameset_has(s, strv(names[i % 4096], n[i % 4096]));
			if (i % 4096 == 4095)
				spent += now() - start;
		}
		printf("%.0f ns a question (%u found)\n", spent / ASK * 1e9, found);
	}
	nameset_free(s);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "speed") == 0)
		return measure();
	t_begin(argc, argv);
	T_RUN(folds_and_keeps_order);
	T_RUN(empty_has_nothing);
	T_RUN(finds_domains);
	T_RUN(labels_have_a_bound);
	T_RUN(finds_addresses);
	T_RUN(long_addresses);
	T_RUN(holds_many);
	T_RUN(hash_is_not_trusted);
	return t_end();
}
