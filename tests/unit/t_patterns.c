/*
 * t_patterns -- regular expressions: what is found, and that no pattern and no text takes long.
 */
#include "policy/patterns.h"

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
		T_EQ_NUM(pattern_match(p, rows[i].text), rows[i].found ? PATTERN_YES : PATTERN_NO);
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
		rc = pattern_match(p, strv(text, sizeof(text)));
		T_CHECK(rc != PATTERN_YES);
		T_CHECKF(seconds() - begin < 0.5, "%.3f s", seconds() - begin);
	}
	t_row = NULL;
	T_EQ_NUM(pattern_match(make("^(a+)+$"), strv(text, sizeof(text))), PATTERN_UNKNOWN);
}

static void
recursion(void)
{
	size_t n = PATTERN_SUBJECT_OCTETS;
	char  *deep = arena_bytes(arena, n);

	memset(deep, '(', n / 2);
	memset(deep + n / 2, ')', n / 2);
	/* Neither the stack of the process nor that of a fiber is used for it. */
	T_CHECK(pattern_match(make("^(\\((?1)*\\))+$"), strv(deep, n)) != PATTERN_NO);
	T_CHECK(pattern_match(make("(*NO_JIT)^(\\((?1)*\\))+$"), strv(deep, n)) != PATTERN_NO);
}

static void
long_texts(void)
{
	char *text = arena_bytes(arena, PATTERN_SUBJECT_OCTETS + 1);

	memset(text, 'a', PATTERN_SUBJECT_OCTETS + 1);
	T_EQ_NUM(pattern_match(make("a$"), strv(text, PATTERN_SUBJECT_OCTETS)), PATTERN_YES);
	T_EQ_NUM(
	    pattern_match(make("a$"), strv(text, PATTERN_SUBJECT_OCTETS + 1)), PATTERN_UNKNOWN);
}

/* Each try is cheap, but there is one for each octet: 60,000 blanks took the interpreter most of a minute. */
static void
many_tries(void)
{
	char *text = arena_bytes(arena, PATTERN_SUBJECT_OCTETS);

	memset(text, ' ', PATTERN_SUBJECT_OCTETS);
	text[PATTERN_SUBJECT_OCTETS - 1] = 'x';
	T_EQ_NUM(pattern_match(make("(*NO_JIT)\\s+$"), strv(text, PATTERN_SUBJECT_OCTETS)),
	    PATTERN_UNKNOWN);
	T_EQ_NUM(
	    pattern_match(make("(*NO_JIT)\\s+$"), strv(text + PATTERN_SUBJECT_OCTETS - 1000, 1000)),
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
	T_EQ_NUM(patterns_match(v, 0, s), PATTERN_NO);
	T_EQ_NUM(patterns_match(v, 2, s), PATTERN_NO);
	T_EQ_NUM(patterns_match(v, 3, s), PATTERN_YES);
	v[0] = tired;
	T_EQ_NUM(patterns_match(v, 2, s), PATTERN_UNKNOWN);
	T_EQ_NUM(patterns_match(v, 3, s), PATTERN_YES);
	for (unsigned i = 0; i < PATTERNS_TIRED; i++)
		v[i] = tired;
	v[PATTERNS_TIRED] = yes;
	T_EQ_NUM(patterns_match(v, PATTERNS_TIRED + 1, s), PATTERN_UNKNOWN);
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
		T_RUN(wrong);
	} else {
		t_skipped++;
	}
	arena_free(arena);
	return t_end();
}
