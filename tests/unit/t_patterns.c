/*
 * t_patterns -- regular expressions: what is found, and that no pattern and no text takes long.
 */
#include "policy/patterns.h"

#include <inttypes.h>
#include <time.h>

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

static struct arena *arena;

static struct pattern *
make(const char *z)
{
	struct strv     why = { NULL, 0 };
	size_t          offset = 0;
	struct pattern *p = pattern_new(arena, strv_z(z), &why, &offset);

	T_CHECKF(p != NULL, "%s: %.*s", z, (int)why.n, why.p);
	return p;
}

static enum pattern_rc
found(const struct pattern *p, struct strv text)
{
	uint64_t steps = 0;

	return pattern_match(p, text, &steps);
}

static enum pattern_rc
found_one(const struct pattern *const *p, unsigned n, struct strv text)
{
	uint64_t steps = 0;

	return patterns_match(p, n, text, &steps);
}

static const struct {
	const char *pattern;
	struct strv text;
	bool        found;
} rows[] = {
	{ "a", { "bab", 3 }, true },
	{ "A", { "bab", 3 }, false },
	{ "(?i)A", { "bab", 3 }, true },
	{ "^a$", { "a", 1 }, true },
	{ "^a$", { "a\n", 2 }, false },
	{ "^a$", { "b\na", 3 }, false },
	{ "^$", { "", 0 }, true },
	{ "^$", { NULL, 0 }, true },
	{ "^.$", { "\xc3\xa4", 2 }, true },
	{ "^..$", { "\xc3\xa4", 2 }, false },
	{ "\xc3\xa4", { "b\xc3\xa4r", 4 }, true },
	{ "a",
	    { "\xff"
	      "a\xfe",
		3 },
	    true },                        /* what is no UTF-8 */
	{ "^.+$", { "a\xff", 2 }, false }, /* matches nothing */
	{ "\\x{fffd}", { "\xff", 1 }, false },
	{ "a\\x00b", { "a\0b", 3 }, true },
	{ "(a)(b)(c)(d)(e)\\5", { "abcdee", 6 }, true },
};

static void
finds(void)
{
	for (unsigned i = 0; i < T_COUNT(rows); i++) {
		const struct pattern *p = make(rows[i].pattern);

		t_row = rows[i].pattern;
		T_EQ_NUM(found(p, rows[i].text), rows[i].found ? PATTERN_YES : PATTERN_NO);
	}
	t_row = NULL;
}

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Each of these would run for years. */
static void
catastrophes(void)
{
	static const char *const bad[] = { "^(a+)+$", "^(a|aa)+$", "(?:a?){60}a{60}b", "(.*)*b\\1",
		"^(?:.*?,){30}P", "(*NO_JIT)^(a+)+$", "(*LIMIT_MATCH=4000000000)^(a+)+$",
		"^((a|b)*)*c" };
	char                     text[4001];
	double                   begin;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '!';
	for (unsigned i = 0; i < T_COUNT(bad); i++) {
		const struct pattern *p = make(bad[i]);
		enum pattern_rc       rc;

		t_row = bad[i];
		begin = seconds();
		rc = found(p, strv(text, sizeof(text)));
		T_CHECK(rc != PATTERN_YES);
		T_CHECKF(seconds() - begin < 0.5, "%.3f s", seconds() - begin);
	}
	t_row = NULL;
	T_EQ_NUM(found(make("^(a+)+$"), strv(text, sizeof(text))), PATTERN_UNKNOWN);
}

static void
recursion(void)
{
	size_t n = PATTERN_SUBJECT_OCTETS;
	char  *deep = arena_bytes(arena, n);

	memset(deep, '(', n / 2);
	memset(deep + n / 2, ')', n / 2);
	/* Neither the stack of the process nor that of a fiber is used for it. */
	T_CHECK(found(make("^(\\((?1)*\\))+$"), strv(deep, n)) != PATTERN_NO);
	T_CHECK(found(make("(*NO_JIT)^(\\((?1)*\\))+$"), strv(deep, n)) != PATTERN_NO);
}

static void
long_texts(void)
{
	char *text = arena_bytes(arena, PATTERN_SUBJECT_OCTETS + 1);

	memset(text, 'a', PATTERN_SUBJECT_OCTETS + 1);
	T_EQ_NUM(found(make("a$"), strv(text, PATTERN_SUBJECT_OCTETS)), PATTERN_YES);
	T_EQ_NUM(found(make("a$"), strv(text, PATTERN_SUBJECT_OCTETS + 1)), PATTERN_UNKNOWN);
}

/* Each try is cheap, but there is one for each octet: 60,000 blanks took the interpreter most of a minute. */
static void
many_tries(void)
{
	char *text = arena_bytes(arena, PATTERN_SUBJECT_OCTETS);

	memset(text, ' ', PATTERN_SUBJECT_OCTETS);
	text[PATTERN_SUBJECT_OCTETS - 1] = 'x';
	T_EQ_NUM(
	    found(make("(*NO_JIT)\\s+$"), strv(text, PATTERN_SUBJECT_OCTETS)), PATTERN_UNKNOWN);
	T_EQ_NUM(found(make("(*NO_JIT)\\s+$"), strv(text + PATTERN_SUBJECT_OCTETS - 1000, 1000)),
	    PATTERN_NO);
}

static void
several(void)
{
	char                  text[100];
	const struct pattern *tired = make("^(a+)+$"), *yes = make("!"), *no = make("b");
	const struct pattern *v[8] = { no, no, yes };
	struct strv           s = strv(text, sizeof(text));

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '!';
	T_EQ_NUM(found_one(v, 0, s), PATTERN_NO);
	T_EQ_NUM(found_one(v, 2, s), PATTERN_NO);
	T_EQ_NUM(found_one(v, 3, s), PATTERN_YES);
	v[0] = tired;
	T_EQ_NUM(found_one(v, 2, s), PATTERN_UNKNOWN);
	T_EQ_NUM(found_one(v, 3, s), PATTERN_YES);
	for (unsigned i = 0; i < PATTERNS_TIRED; i++)
		v[i] = tired;
	v[PATTERNS_TIRED] = yes;
	T_EQ_NUM(found_one(v, PATTERNS_TIRED + 1, s), PATTERN_UNKNOWN);
}

/* What one may cost is counted, and where many have cost too much none is tried any more: steps, not time. */
static void
counts_steps(void)
{
	/* clang-format off */
	static const struct {
		const char *pattern;
		size_t      octets; /* of a, a, a ... ! */
		uint64_t    least, most;
	} counts[] = {
		{ "x", 100, 1, 3000 },
		{ "x", 4000, 1, 400000 },
		{ "aaa!$", 100, 1, 40000 },
		{ "^(a+)+$", 100, 1000000, 20000000 },
		{ "^(a+)+$", 4000, 1000000, 20000000 },
		{ "(*NO_JIT)^(a+)+$", 4000, 1000000, 20000000 },
	};
	/* clang-format on */
	char                  text[4000];
	const struct pattern *bad = make("^(a+)+$"), *good = make("!$");
	struct strv           all = strv(text, sizeof(text));
	uint64_t              steps = 0, before;
	unsigned              n = 0;

	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '!';
	for (unsigned i = 0; i < T_COUNT(counts); i++) {
		t_row = counts[i].pattern;
		steps = 0;
		(void)pattern_match(make(counts[i].pattern),
		    strv(text + sizeof(text) - counts[i].octets, counts[i].octets), &steps);
		T_CHECKF(steps >= counts[i].least && steps <= counts[i].most,
		    "%" PRIu64 " steps of %zu octets", steps, counts[i].octets);
	}
	t_row = NULL;
	/* a header of a hundred such fields: after a few of them it is over, for good */
	for (steps = 0; n < 100 && steps < PATTERNS_STEPS; n++) {
		T_EQ_NUM(pattern_match(good, all, &steps), PATTERN_YES);
		T_EQ_NUM(pattern_match(bad, all, &steps), PATTERN_UNKNOWN);
	}
	T_CHECKF(n < 20, "%u fields", n);
	T_CHECKF(steps < PATTERNS_STEPS + 20000000, "%" PRIu64 " steps", steps);
	before = steps;
	T_EQ_NUM(pattern_match(good, strv("!", 1), &steps), PATTERN_UNKNOWN);
	T_EQ_NUM(patterns_match(&good, 1, all, &steps), PATTERN_UNKNOWN);
	T_CHECK(steps - before < 1000000);
}

static void
wrong(void)
{
	static const struct {
		const char *z;
		size_t      offset;
	} bad[] = { { "(", 1 }, { "a**", 2 }, { "a)", 1 }, { "[b-a]", 3 } };

	for (unsigned i = 0; i < T_COUNT(bad); i++) {
		struct strv why = { NULL, 0 };
		size_t      offset = 99;

		t_row = bad[i].z;
		T_CHECK(pattern_new(arena, strv_z(bad[i].z), &why, &offset) == NULL);
		T_CHECK(why.n > 0);
		T_EQ_NUM(offset, bad[i].offset);
	}
	t_row = NULL;
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	if (patterns_here()) {
		T_RUN(finds);
		T_RUN(catastrophes);
		T_RUN(recursion);
		T_RUN(long_texts);
		T_RUN(many_tries);
		T_RUN(several);
		T_RUN(counts_steps);
		T_RUN(wrong);
	} else {
		t_skipped++;
	}
	arena_free(arena);
	return t_end();
}
