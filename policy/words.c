/*
 * words -- the shapes that a WORD may have.  Pure; a shape says nothing of what the word means.
 */
#include "policy/words.h"

#define NUMBER_DIGITS 15 /* what a double holds exactly */

bool
word_is_reserved(struct strv v)
{
	return strv_eq(v, SV("when")) || strv_eq(v, SV("and")) || strv_eq(v, SV("or")) ||
	    strv_eq(v, SV("not"));
}

bool
word_is_name(struct strv v)
{
	if (v.n == 0 || !ascii_is_alpha(v.p[0]) || word_is_reserved(v))
		return false;
	for (size_t i = 1; i < v.n; i++) {
		if (!ascii_is_alpha(v.p[i]) && !ascii_is_digit(v.p[i]) && v.p[i] != '-' &&
		    v.p[i] != '_')
			return false;
	}
	return true;
}

bool
word_is_fact(struct strv v)
{
	if (v.n == 0 || v.p[v.n - 1] == '.' || word_is_reserved(v))
		return false;
	while (v.p != NULL) {
		struct strv part = strv_cut(&v, '.');

		/* The reserved words are words of their own, not parts: "x.not" is a FACT. */
		if (!word_is_name(part) && !word_is_reserved(part))
			return false;
	}
	return true;
}

static bool
all_digits(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (!ascii_is_digit(v.p[i]))
			return false;
	}
	return v.n > 0;
}

bool
word_is_prefix(struct strv v)
{
	size_t slash = strv_rchr(v, '/');

	return slash < v.n && word_is_fact(strv_first(v, slash)) &&
	    all_digits(strv_from(v, slash + 1));
}

bool
word_is_code(struct strv v)
{
	return v.n == 3 && all_digits(v);
}

/* RFC 3463 2: no leading zeros. */
bool
word_is_xcode(struct strv v)
{
	unsigned parts = 0;

	if (v.n < 5 || v.n > 9 || v.p[1] != '.')
		return false;
	while (v.p != NULL) {
		struct strv part = strv_cut(&v, '.');

		if (!all_digits(part) || part.n > 3 || (part.n > 1 && part.p[0] == '0'))
			return false;
		parts++;
	}
	return parts == 3;
}

bool
word_is_type(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (!(v.p[i] >= 'A' && v.p[i] <= 'Z') && !ascii_is_digit(v.p[i]))
			return false;
	}
	return v.n > 0 && v.n <= 16;
}

bool
word_number(struct strv v, double *out)
{
	bool   minus = v.n > 0 && v.p[0] == '-', point = false;
	double value = 0, unit = 1;
	size_t digits = 0;

	for (size_t i = minus; i < v.n; i++) {
		if (v.p[i] == '.' && !point && digits > 0 && i + 1 < v.n) {
			point = true;
			continue;
		}
		if (!ascii_is_digit(v.p[i]) || ++digits > NUMBER_DIGITS)
			return false;
		value = value * 10 + (v.p[i] - '0');
		unit *= point ? 10 : 1;
	}
	*out = minus ? -value / unit : value / unit;
	return digits > 0;
}

/* digits and, perhaps, one of the letters in `units`, each with its factor. */
static bool
scaled(struct strv v, const char *units, const uint64_t *factor, uint64_t *out)
{
	uint64_t    n, by = 1;
	const char *unit;

	if (v.n > 1 && !ascii_is_digit(v.p[v.n - 1])) {
		unit = memchr(units, v.p[v.n - 1], strlen(units));
		if (unit == NULL)
			return false;
		by = factor[unit - units];
		v.n--;
	}
	if (!strv_number(v, (uint64_t)INT64_MAX / by, &n))
		return false;
	*out = n * by;
	return true;
}

bool
word_size(struct strv v, uint64_t *out)
{
	static const uint64_t factor[] = { 1u << 10, 1u << 20, 1u << 30 };

	return scaled(v, "KMG", factor, out);
}

bool
word_duration(struct strv v, uint64_t *seconds)
{
	static const uint64_t factor[] = { 1, 60, 3600, 86400 };

	return v.n > 0 && !ascii_is_digit(v.p[v.n - 1]) && scaled(v, "smhd", factor, seconds);
}
