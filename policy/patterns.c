/*
 * patterns -- PCRE2 behind a small face: compiled with ceilings, matched with ceilings.
 *
 * No pattern, whoever wrote it, and no text, whoever sent it, costs more than the limits below: a
 * match that runs into one is unknown, neither yes nor no.  Nothing here parks, so that what a match
 * needs for itself is there once a process.
 */
#include "policy/patterns.h"

#include "config.h"
#include "proxy/base/arena.h"

#if HAVE_PCRE2

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#if HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define STEPS_FIRST   16      /* of the first try of a match, from one place of the text */
#define STEPS_TIMES   16      /* as many has the next one, where those do not do */
#define STEPS_MAX     200000  /* of the last: about a millisecond or two */
#define STEPS_ALL     4000000 /* of all the places of a text where one may begin */
#define RUN_OCTETS    64      /* of a run that cost as much as one step */
#define DEPTH_MAX     10000
#define HEAP_KIB      2048
#define NEST_MAX      100 /* of ( ) */
#define JIT_STACK_MIN ((size_t)32 << 10)
#define JIT_STACK_MAX ((size_t)512 << 10) /* not that of a fiber */
#define WHY_OCTETS    200

struct pattern {
	pcre2_code *code;
	struct strv text;
};

/* What all matches of the process share. */
static struct {
	pcre2_match_context *limits;
	pcre2_match_data    *data;
	pcre2_jit_stack     *stack;
} matching;

static void *
take(size_t n, void *arg)
{
	(void)arg;
	return mem_alloc(n);
}

static void
give(void *p, void *arg)
{
	(void)arg;
	mem_free(p);
}

static void
free_code(void *code)
{
	pcre2_code_free(code);
}

static void
prepare(pcre2_general_context *g)
{
	if (matching.limits != NULL)
		return;
	matching.limits = pcre2_match_context_create(g);
	pcre2_set_depth_limit(matching.limits, DEPTH_MAX);
	pcre2_set_heap_limit(matching.limits, HEAP_KIB);
	/* Of the captures only the whole match is of use, and that only to PCRE2. */
	matching.data = pcre2_match_data_create(1, g);
	matching.stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, g);
	if (matching.stack != NULL)
		pcre2_jit_stack_assign(matching.limits, NULL, matching.stack);
}

static struct strv
reason(struct arena *a, int error)
{
	unsigned char text[WHY_OCTETS];

	if (pcre2_get_error_message(error, text, sizeof(text)) < 0)
		return SV("it is no regular expression");
	return arena_dup(a, strv_z((const char *)text));
}

/*
 * PCRE2_MATCH_INVALID_UTF: texts come from strangers and need no check of their own.  \C would split a
 * character.
 */
static pcre2_code *
compile(pcre2_general_context *g, struct strv v, int *error, size_t *offset)
{
	pcre2_compile_context *c = pcre2_compile_context_create(g);
	pcre2_code            *code;

	pcre2_set_parens_nest_limit(c, NEST_MAX);
	code = pcre2_compile((PCRE2_SPTR)v.p, v.n,
	    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
	    error, offset, c);
	pcre2_compile_context_free(c);
	return code;
}

struct pattern *
pattern_new(struct arena *a, struct strv v, struct strv *why, size_t *offset)
{
	pcre2_general_context *g = pcre2_general_context_create(take, give, NULL);
	struct pattern        *p = arena_alloc(a, sizeof(*p));
	int                    error = 0;

	prepare(g);
	p->code = compile(g, v, &error, offset);
	pcre2_general_context_free(g);
	if (p->code == NULL) {
		*why = reason(a, error);
		return NULL;
	}
	p->text = arena_dup(a, v);
	arena_defer(a, free_code, p->code);
	/* Where the system forbids it, or the pattern does, the interpreter does the same. */
	/* valgrind takes what compiled patterns read a word at a time for uninitialised octets. */
	if (!RUNNING_ON_VALGRIND)
		(void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
	return p;
}

struct strv
pattern_text(const struct pattern *p)
{
	return p->text;
}

/*
 * PCRE2 counts anew wherever in the text it tries: the longer a text is, the less each place may cost.
 */
static uint64_t
most_steps(size_t octets)
{
	size_t most = STEPS_ALL / (octets + 1);

	return most < STEPS_MAX ? most : STEPS_MAX;
}

static int
try(const struct pattern *p, struct strv text, uint64_t limit)
{
	pcre2_set_match_limit(matching.limits, (uint32_t)limit);
	return pcre2_match(p->code, (PCRE2_SPTR)(text.p == NULL ? "" : text.p), text.n, 0, 0,
	    matching.data, matching.limits);
}

/*
 * What a match has cost PCRE2 does not say, only that a limit was not enough.  So limits rise until one is, and what it
 * cost lies below the sum of those that were tried.  The interpreter does not count what `\s+' runs over, which may be
 * half the text from each place of it.
 */
enum pattern_rc
pattern_match(const struct pattern *p, struct strv text, uint64_t *steps)
{
	uint64_t most = most_steps(text.n), limit = STEPS_FIRST;
	int      rc = PCRE2_ERROR_MATCHLIMIT;

	if (text.n > PATTERN_SUBJECT_OCTETS)
		return PATTERN_UNKNOWN;
	*steps += text.n * text.n / RUN_OCTETS;
	for (bool last = false; rc == PCRE2_ERROR_MATCHLIMIT && !last; limit *= STEPS_TIMES) {
		if (*steps >= PATTERNS_STEPS)
			return PATTERN_UNKNOWN;
		last = limit >= most;
		limit = last ? most : limit;
		*steps += limit * (text.n + 1);
		rc = try(p, text, limit);
	}
	return rc >= 0 ? PATTERN_YES : rc == PCRE2_ERROR_NOMATCH ? PATTERN_NO : PATTERN_UNKNOWN;
}

#else

struct pattern *
pattern_new(struct arena *a, struct strv v, struct strv *why, size_t *offset)
{
	(void)a, (void)v;
	*why = SV("this build has no PCRE2");
	*offset = 0;
	return NULL;
}

struct strv
pattern_text(const struct pattern *p)
{
	(void)p;
	return SV("");
}

enum pattern_rc
pattern_match(const struct pattern *p, struct strv text, uint64_t *steps)
{
	(void)p, (void)text, (void)steps;
	return PATTERN_UNKNOWN;
}

#endif

bool
patterns_here(void)
{
	return HAVE_PCRE2;
}

enum pattern_rc
patterns_match(const struct pattern *const *p, unsigned n, struct strv text, uint64_t *steps)
{
	unsigned tired = 0;

	for (unsigned i = 0; i < n && tired < PATTERNS_TIRED; i++) {
		switch (pattern_match(p[i], text, steps)) {
		case PATTERN_YES:
			return PATTERN_YES;
		case PATTERN_UNKNOWN:
			tired++;
			break;
		case PATTERN_NO:
			break;
		}
	}
	return tired > 0 ? PATTERN_UNKNOWN : PATTERN_NO;
}
