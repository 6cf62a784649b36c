/*
 * t_scan -- every way of scanning against a reference that is plain to see, in exact pieces of
 * memory, so that a read outside the view is seen by the sanitizers and by valgrind.
 *
 * With "speed" as its argument it measures instead.
 */
#include "tests/unit/t.h"

#include <time.h>

#include "proxy/base/scan.h"

enum { WAYS = SCAN_AVX2 + 1 };

static const char *const way_name[WAYS] = { "plain", "sse2", "avx2" };

/* The header's sentence, word for word. */
static size_t
reference_text(struct strv v, char before, bool dots)
{
	for (size_t i = 0; i < v.n; i++) {
		char prev = i == 0 ? before : v.p[i - 1];

		if (v.p[i] == '\0')
			return i;
		if (v.p[i] == '\n' && prev != '\r')
			return i;
		if (v.p[i] == '\r' && (i + 1 == v.n || v.p[i + 1] != '\n'))
			return i;
		if (dots && v.p[i] == '.' && prev == '\n')
			return i;
	}
	return v.n;
}

static size_t
reference_line(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\r' || v.p[i] == '\n' || v.p[i] == '\0')
			return i;
	return v.n;
}

/* All ways at once; a failure shows the text. */
static void
compare(struct strv v, char before, bool dots)
{
	size_t want = reference_text(v, before, dots), want_line = reference_line(v);
	char   shown[600];

	for (unsigned way = 0; way < WAYS; way++) {
		if (!scan_has(way))
			continue;
		t_row = way_name[way];
		if (!T_EQ_NUM(scan_text_with(way, v, before, dots), want))
			printf("    text \"%s\" (%zu), before %d, dots %d\n",
			    t_show(v, shown, sizeof(shown)), v.n, before, dots);
		if (!T_EQ_NUM(scan_line_with(way, v), want_line))
			printf("    line \"%s\" (%zu)\n", t_show(v, shown, sizeof(shown)), v.n);
	}
	t_row = NULL;
	T_EQ_NUM(scan_text(v, before, dots), want);
	T_EQ_NUM(scan_line(v), want_line);
}

/* In a piece of memory of exactly that many octets. */
static void
compare_exact(const char *text, size_t n, char before, bool dots)
{
	char *p = malloc(n == 0 ? 1 : n);

	memcpy(p, text, n);
	compare(strv(p, n), before, dots);
	free(p);
}

static void
says_what_it_can(void)
{
	T_CHECK(scan_has(SCAN_PLAIN));
	for (unsigned way = 0; way < WAYS; way++)
		if (!scan_has(way))
			T_SKIP(way_name[way]);
}

static void
known_texts(void)
{
	/* clang-format off */
	static const struct { const char *text; size_t n; char before; bool dots; size_t want; } rows[] = {
		{ "", 0, '\n', true, 0 },
		{ "a\r\nb\r\n", 6, '\n', true, 6 },
		{ "a\nb", 3, '\n', true, 1 },
		{ "a\rb", 3, '\n', true, 1 },
		{ "a\r", 2, '\n', true, 1 },
		{ "a\r\r\n", 4, '\n', true, 1 },
		{ "a\0b", 3, '\n', true, 1 },
		{ ".\r\n", 3, '\n', true, 0 },
		{ ".\r\n", 3, '\n', false, 3 },
		{ ".\r\n", 3, 'x', true, 3 },
		{ "\n.", 2, '\r', true, 1 },
		{ "\n.", 2, '\r', false, 2 },
		{ "\n", 1, 'x', false, 0 },
		{ "\n", 1, '\r', false, 1 },
		{ "x", 1, '\r', false, 1 },
		{ "a\r\n.b\r\n", 7, '\n', true, 3 },
		{ "a\r\nb.\r\n", 7, '\n', true, 7 },
		{ "\r\n\r\n", 4, '\n', true, 4 },
		{ "\r\n\n", 3, '\n', true, 2 },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		T_EQ_NUM(scan_text(strv(r->text, r->n), r->before, r->dots), r->want);
		compare_exact(r->text, r->n, r->before, r->dots);
	}
	compare(strv_z(NULL), '\n', true);
}

/* Each kind of fault alone at each place of each length around the widths of the vectors. */
static void
one_fault_anywhere(void)
{
	/* clang-format off */
	static const struct { const char *text; size_t n; } faults[] = {
		{ "\n", 1 }, { "\r", 1 }, { "\0", 1 }, { "\r\n", 2 }, { "\r\n.", 3 }, { "\r\r\n", 3 },
		{ "\n\r", 2 }, { "\r\n\r\n", 4 }, { "\r\n\n", 3 }, { "\n.", 2 }, { "\x8d\x8a\x80.", 4 },
	};
	static const size_t lengths[] = { 1, 2, 3, 15, 16, 17, 18, 31, 32, 33, 34, 47, 48, 49, 63, 64, 65,
		66, 80, 95, 96, 97, 127, 128, 129, 130, 160, 193 };
	/* clang-format on */
	char text[200];

	T_TABLE(__typeof__(faults[0]), f, faults)
	T_TABLE(size_t, len, lengths)
	for (size_t at = 0; at < *len; at++) {
		size_t n = f->n < *len - at ? f->n : *len - at;

		memset(text, 'a', sizeof(text));
		memcpy(text + at, f->text, n);
		compare_exact(text, *len, at % 2 ? '\n' : '\r', true);
		compare_exact(text, *len, at % 2 ? 'x' : '\n', false);
	}
}

/* Texts of few different octets: whatever can meet at a border does. */
static void
random_texts(void)
{
	static const char few[] = { '\r', '\n', '\r', '\n', '.', '\0', 'a', 'a' };
	uint64_t          seed = 6;
	char              text[700];

	for (unsigned round = 0; round < 40000; round++) {
		size_t   n = t_random(&seed) % (round % 10 == 0 ? sizeof(text) : 140);
		unsigned rare = (unsigned)(t_random(&seed) % 100);

		for (size_t i = 0; i < n; i++)
			text[i] = t_random(&seed) % 100 < rare ? few[t_random(&seed) % 8] : 'x';
		/* make most line ends whole, so that the scan comes further than the first line */
		for (size_t i = 0; rare < 60 && i + 1 < n; i++)
			if (text[i] == '\r' || text[i] == '\n') {
				text[i] = '\r';
				text[++i] = '\n';
			} else if (text[i] == '\0')
				text[i] = 'y';
		compare_exact(text, n, few[t_random(&seed) % 8], t_random(&seed) % 2 == 0);
	}
}

/* Clean text of every length, all octets but the four: read to its end. */
static void
clean_text(void)
{
	char text[400];

	for (size_t n = 0; n < sizeof(text); n++) {
		for (size_t i = 0; i < n; i++) {
			unsigned char c = (unsigned char)(i * 7 + n);

			text[i] = c == '\r' || c == '\n' || c == '\0' ? 'a' : (char)c;
		}
		compare_exact(text, n, 'x', true);
		T_EQ_NUM(scan_text(strv(text, n), 'x', true), n);
		T_EQ_NUM(scan_line(strv(text, n)), n);
	}
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/*
 * 128 KiB of mail with lines of 76 octets, as intake sees it; then a text of NULs, octet by
 * octet.
 */
static int
measure(void)
{
	enum { N = 128 * 1024, ROUNDS = 20000 };
	static char text[N];

	for (size_t i = 0; i < N; i++)
		text[i] = i % 78 == 76 ? '\r' : i % 78 == 77 ? '\n' : 'a';
	text[N - 2] = text[N - 1] = 'a';
	for (unsigned way = 0; way < WAYS; way++) {
		double start = now();
		size_t sum = 0;

		if (!scan_has(way))
			continue;
		for (unsigned i = 0; i < ROUNDS; i++)
			sum += scan_text_with(way, strv(text, N), '\n', true);
		printf("%s: %.1f GB/s\n", way_name[way], (double)sum / (now() - start) / 1e9);
	}
	memset(text, 0, sizeof(text));
	for (unsigned way = 0; way < WAYS; way++) {
		double start = now();

		if (!scan_has(way))
			continue;
		for (size_t at = 0; at < N; at++)
			at += scan_text_with(way, strv(text + at, N - at), 'a', true);
		printf("%s: %.1f ns for an octet at fault\n", way_name[way],
		    (now() - start) / N * 1e9);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "speed") == 0)
		return measure();
	t_begin(argc, argv);
	T_RUN(says_what_it_can);
	T_RUN(known_texts);
	T_RUN(one_fault_anywhere);
	T_RUN(random_texts);
	T_RUN(clean_text);
	return t_end();
}
