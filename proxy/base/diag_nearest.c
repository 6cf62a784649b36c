/*
 * diag_nearest -- what may have been meant: the word that is nearest to one that nobody knows.
 *
 * A hint that is wrong is worse than none, so only what lies near is found.  Among equals it is the
 * first of the words.
 */
#include "proxy/base/diag.h"

#include "proxy/base/arena.h"

#define NEAR_MAX 64 /* octets of a word worth a suggestion */

/*
 * Optimal string alignment distance: Damerau's, where no part is edited twice. Both at most
 * NEAR_MAX.
 */
static unsigned
distance(struct strv a, struct strv b)
{
	unsigned char row[3][NEAR_MAX + 1];

	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (unsigned char)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned char *now = row[i % 3], *above = row[(i + 2) % 3], *two = row[(i + 1) % 3];

		now[0] = (unsigned char)i;
		for (size_t j = 1; j <= b.n; j++) {
			char     x = ascii_lower(a.p[i - 1]), y = ascii_lower(b.p[j - 1]);
			unsigned best = above[j - 1] + (x != y);

			if (above[j] + 1u < best)
				best = above[j] + 1u;
			if (now[j - 1] + 1u < best)
				best = now[j - 1] + 1u;
			if (i > 1 && j > 1 && x == ascii_lower(b.p[j - 2]) &&
			    y == ascii_lower(a.p[i - 2]) && two[j - 2] + 1u < best)
				best = two[j - 2] + 1u;
			now[j] = (unsigned char)best;
		}
	}
	return row[a.n % 3][b.n];
}

/* How far a suggestion may lie: a third of the shorter word, and never all of it. */
static bool
near(struct strv a, struct strv b, unsigned *best)
{
	size_t   shorter = a.n < b.n ? a.n : b.n;
	unsigned far, limit = shorter < 3 ? 1 : (unsigned)(shorter + 1) / 3;

	if (shorter == 0 || a.n > NEAR_MAX || b.n > NEAR_MAX)
		return false;
	far = distance(a, b);
	if (far > limit || far >= shorter || far >= *best)
		return false;
	*best = far;
	return true;
}

const char *
diag_nearest(struct strv v, const char *const *words)
{
	const char *found = NULL;
	unsigned    best = NEAR_MAX;

	for (; *words != NULL; words++) {
		if (near(v, strv_z(*words), &best))
			found = *words;
	}
	return found;
}

struct strv
diag_nearest_v(struct strv v, const struct strv *words, unsigned n)
{
	struct strv found = { NULL, 0 };
	unsigned    best = NEAR_MAX;

	for (unsigned i = 0; i < n; i++) {
		if (near(v, words[i], &best))
			found = words[i];
	}
	return found;
}

struct strv
diag_did_you_mean(struct arena *a, struct strv x)
{
	if (x.p == NULL)
		return x;
	return arena_printf(a, "did you mean %s?", diag_quote(a, x));
}
