/*
 * strv.c -- compare, search and take apart views of text.
 *
 * Not for anything that allocates.  No function reads outside the view it was given, and none
 * stops at a NUL: it is an octet like any other.
 */
#include "proxy/base/strv.h"

bool
strv_ieq_same(struct strv a, struct strv b)
{
	size_t i = 0;

	for (; a.n - i >= 8; i += 8)
		if (ascii_lower8(strv_load8(a.p + i)) != ascii_lower8(strv_load8(b.p + i)))
			return false;
	if (a.n - i >= 4)
		return ascii_lower8(strv_load4to8(strv_from(a, i))) ==
		    ascii_lower8(strv_load4to8(strv_from(b, i)));
	for (; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int
strv_cmp(struct strv a, struct strv b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int    d = n == 0 ? 0 : memcmp(a.p, b.p, n);

	return d != 0 ? d : (a.n > b.n) - (a.n < b.n);
}

bool
strv_starts(struct strv v, struct strv prefix)
{
	return v.n >= prefix.n && strv_eq(strv_first(v, prefix.n), prefix);
}

bool
strv_istarts(struct strv v, struct strv prefix)
{
	return v.n >= prefix.n && strv_ieq(strv_first(v, prefix.n), prefix);
}

bool
strv_ends(struct strv v, struct strv suffix)
{
	return v.n >= suffix.n && strv_eq(strv_from(v, v.n - suffix.n), suffix);
}

bool
strv_iends(struct strv v, struct strv suffix)
{
	return v.n >= suffix.n && strv_ieq(strv_from(v, v.n - suffix.n), suffix);
}

size_t
strv_chr(struct strv v, char c)
{
	const char *at = v.n == 0 ? NULL : memchr(v.p, c, v.n);

	return at == NULL ? v.n : (size_t)(at - v.p);
}

size_t
strv_rchr(struct strv v, char c)
{
	const char *at = v.n == 0 ? NULL : memrchr(v.p, c, v.n);

	return at == NULL ? v.n : (size_t)(at - v.p);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct strv
strv_trim(struct strv v)
{
	while (v.n > 0 && is_blank(v.p[0]))
		v = strv_from(v, 1);
	while (v.n > 0 && is_blank(v.p[v.n - 1]))
		v.n--;
	return v;
}

static bool
is_fold(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

struct strv
strv_trim_folds(struct strv v)
{
	while (v.n > 0 && is_fold(v.p[0]))
		v = strv_from(v, 1);
	while (v.n > 0 && is_fold(v.p[v.n - 1]))
		v.n--;
	return v;
}

struct strv
strv_cut(struct strv *v, char c)
{
	size_t      n = strv_chr(*v, c);
	struct strv head = strv_first(*v, n);

	*v = n == v->n ? (struct strv){ NULL, 0 } : strv_from(*v, n + 1);
	return head;
}

struct strv
strv_word(struct strv *v)
{
	size_t      from = 0, to;
	struct strv word;

	while (from < v->n && is_blank(v->p[from]))
		from++;
	for (to = from; to < v->n && !is_blank(v->p[to]);)
		to++;
	if (v->p == NULL)
		return *v;
	word = strv(v->p + from, to - from);
	*v = strv_from(*v, to);
	return word;
}

bool
strv_number(struct strv v, uint64_t max, uint64_t *out)
{
	uint64_t sum = 0;

	if (v.n == 0)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		uint64_t digit = (uint64_t)(v.p[i] - '0');

		if (!ascii_is_digit(v.p[i]) || digit > max || sum > (max - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*out = sum;
	return true;
}

struct strv
strv_print_number(uint64_t v, char buf[STRV_NUMBER])
{
	size_t at = STRV_NUMBER;

	do {
		buf[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	return strv(buf + at, STRV_NUMBER - at);
}

bool
strv_is_ascii(struct strv v)
{
	size_t i = 0;

	/* Eight at once; the last eight may be looked at twice. */
	if (v.n > 8 && (strv_load8(v.p + v.n - 8) & 0x8080808080808080u) != 0)
		return false;
	for (; v.n - i >= 8; i += 8) {
		if ((strv_load8(v.p + i) & 0x8080808080808080u) != 0)
			return false;
	}
	for (; v.n <= 8 && i < v.n; i++) {
		if ((unsigned char)v.p[i] > 127)
			return false;
	}
	return true;
}
