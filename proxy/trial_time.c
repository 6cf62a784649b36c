/*
 * trial_time -- RFC 3339 5.6, by hand: the C library's parsers take the time zone of the machine.
 */
#include "proxy/trial_time.h"

#include "proxy/values.h"

#define SPAN_MAX (10 * 366 * 86400000ull)

/* n digits at the front of *v; -1: they are not there. */
static int
digits(struct strv *v, unsigned n)
{
	uint64_t x;

	if (v->n < n || !strv_number(strv_first(*v, n), 9999, &x))
		return -1;
	*v = strv_from(*v, n);
	return (int)x;
}

static bool
mark(struct strv *v, char c)
{
	if (v->n == 0 || ascii_lower(v->p[0]) != ascii_lower(c))
		return false;
	*v = strv_from(*v, 1);
	return true;
}

static bool
leap(int y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int
month_days(int y, int m)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[m - 1] + (m == 2 && leap(y));
}

static int64_t
days_since_1970(int y, int m, int d)
{
	int64_t n = d - 1;

	for (int i = 1970; i < y; i++)
		n += leap(i) ? 366 : 365;
	for (int i = 1; i < m; i++)
		n += month_days(y, i);
	return n;
}

/* ".123456": what is finer is dropped. */
static uint64_t
fraction(struct strv *v)
{
	uint64_t us = 0, unit = 100000;

	if (!mark(v, '.'))
		return 0;
	for (; v->n > 0 && ascii_is_digit(v->p[0]); *v = strv_from(*v, 1), unit /= 10)
		us += (uint64_t)(v->p[0] - '0') * unit;
	return us;
}

/* "Z", "+01:00": seconds east of UTC. */
static bool
zone(struct strv v, int *east)
{
	int sign, h, m;

	*east = 0;
	if (mark(&v, 'Z'))
		return v.n == 0;
	if (v.n != 6 || (v.p[0] != '+' && v.p[0] != '-'))
		return false;
	sign = v.p[0] == '-' ? -1 : 1;
	v = strv_from(v, 1);
	h = digits(&v, 2);
	if (!mark(&v, ':'))
		return false;
	m = digits(&v, 2);
	*east = sign * (h * 3600 + m * 60);
	return h >= 0 && h < 24 && m >= 0 && m < 60;
}

bool
trial_time_moment(struct strv v, uint64_t *us)
{
	int      y, m, d, h, min, s, east;
	int64_t  t;
	uint64_t part;

	y = digits(&v, 4);
	if (y < 1970 || !mark(&v, '-') || (m = digits(&v, 2)) < 1 || m > 12 || !mark(&v, '-') ||
	    (d = digits(&v, 2)) < 1 || d > month_days(y, m) || !mark(&v, 'T'))
		return false;
	if ((h = digits(&v, 2)) < 0 || h > 23 || !mark(&v, ':') || (min = digits(&v, 2)) < 0 ||
	    min > 59 || !mark(&v, ':') || (s = digits(&v, 2)) < 0 || s > 60)
		return false;
	part = fraction(&v);
	if (!zone(v, &east))
		return false;
	t = days_since_1970(y, m, d) * 86400 + h * 3600 + min * 60 + s - east;
	if (t < 0)
		return false;
	*us = (uint64_t)t * 1000000 + part;
	return true;
}

bool
trial_time_span(struct strv v, uint64_t *ms, const char **why)
{
	if (!unit_parse(v, UNIT_TIME, ms, why))
		return false;
	*why = "is too long for a test";
	return *ms <= SPAN_MAX;
}
