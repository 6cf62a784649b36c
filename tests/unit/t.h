/*
 * t -- the harness of the unit tables: header-only, one program a file.
 *
 *     int
 *     main(void)
 *     {
 *             T_RUN(parses_plain);
 *             return t_end();
 *     }
 *
 * A check that fails says where and goes on; a failed table row names the row (T_TABLE, t_row). The
 * last line of the output is "N passed, N failed, N skipped", counted in checks; exit 1 on a failure.
 */
#ifndef TESTS_UNIT_T_H
#define TESTS_UNIT_T_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/strv.h"

#define T_UNUSED __attribute__((unused))

static unsigned    t_passed, t_failed, t_skipped;
static const char *t_row;       /* what the failing line shall name besides the place, or NULL */

__attribute__((format(printf, 4, 5))) T_UNUSED static bool
t_check(bool good, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	if (good) {
		t_passed++;
		return true;
	}
	t_failed++;
	printf("%s:%d: ", file, line);
	if (t_row != NULL)
		printf("[%s] ", t_row);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	return false;
}

/* Prints v with everything outside printable ASCII as \xNN, so that a failure can be read. */
T_UNUSED static const char *
t_show(struct strv v, char *out, size_t n)
{
	size_t o = 0;

	if (v.p == NULL)
		return "(absent)";
	for (size_t i = 0; i < v.n && o + 8 < n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c >= 0x20 && c < 0x7f)
			out[o++] = (char)c;
		else
			o += (size_t)snprintf(out + o, n - o, "\\x%02x", c);
	}
	out[o] = '\0';
	return out;
}

T_UNUSED static bool
t_eq_strv(struct strv have, struct strv want, const char *what, const char *file, int line)
{
	char a[512], b[512];

	return t_check(strv_eq(have, want), file, line, "%s is \"%s\" (%zu), want \"%s\" (%zu)", what,
	    t_show(have, a, sizeof(a)), have.n, t_show(want, b, sizeof(b)), want.n);
}

T_UNUSED static bool
t_eq_num(intmax_t have, intmax_t want, const char *what, const char *file, int line)
{
	return t_check(have == want, file, line, "%s is %" PRIdMAX ", want %" PRIdMAX, what, have, want);
}

/* Each gives true where the check holds, so that a test may stop early. */
#define T_CHECK(cond)	       t_check((cond), __FILE__, __LINE__, "not so: %s", #cond)
#define T_CHECKF(cond, ...)    t_check((cond), __FILE__, __LINE__, __VA_ARGS__)
#define T_EQ_NUM(have, want)   t_eq_num((intmax_t)(have), (intmax_t)(want), #have, __FILE__, __LINE__)
#define T_EQ_STRV(have, want)  t_eq_strv((have), (want), #have, __FILE__, __LINE__)
#define T_EQ_STR(have, want)   t_eq_strv(strv_z(have), strv_z(want), #have, __FILE__, __LINE__)
/* A view against a C string. */
#define T_EQ_TEXT(have, want)  t_eq_strv((have), strv_z(want), #have, __FILE__, __LINE__)
#define T_SKIP(why)	       ((void)t_skipped++, (void)printf("skipped: %s\n", (why)))

/* Walks an array: `row` points to each of its elements in turn. Set t_row in the body. */
#define T_COUNT(table)	       (sizeof(table) / sizeof((table)[0]))
#define T_TABLE(type, row, table) \
	for (const type *row = (table); (t_row = NULL, row < (table) + T_COUNT(table)); row++)

/* Runs a test function; with a name as the program's first argument only the one of that name runs. */
static const char *t_only;
#define T_RUN(fn) \
	do { \
		if (t_only == NULL || strcmp(t_only, #fn) == 0) { \
			unsigned t_before = t_failed; \
			t_row = NULL; \
			fn(); \
			if (t_failed != t_before) \
				printf("failed: %s\n", #fn); \
		} \
	} while (0)

/* Optional first line of main: takes the name of the one test to run. */
T_UNUSED static void
t_begin(int argc, char **argv)
{
	if (argc > 1)
		t_only = argv[1];
}

T_UNUSED static int
t_end(void)
{
	printf("%u passed, %u failed, %u skipped\n", t_passed, t_failed, t_skipped);
	return t_failed > 0 || t_passed + t_skipped == 0;
}

/* Seeded randomness, the same on every machine: splitmix64. */
T_UNUSED static uint64_t
t_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

#endif
