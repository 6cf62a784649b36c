/*
 * t_civil -- days and dates, held against the C library's calendar and a few that one knows.
 */
#include "tests/unit/t.h"

#include <time.h>

#include "proxy/base/civil.h"

static const struct known {
	int64_t  day;
	unsigned year, month, of_month;
} known[] = {
	{ 0, 1970, 1, 1 },
	{ 58, 1970, 2, 28 },
	{ 59, 1970, 3, 1 },
	{ 11016, 2000, 2, 29 },
	{ 24855, 2038, 1, 19 },
	{ 47540, 2100, 2, 28 },
	{ 47541, 2100, 3, 1 },
	{ 2932896, 9999, 12, 31 },
};

static void
dates_that_one_knows(void)
{
	T_TABLE(struct known, k, known)
	{
		struct civil c = civil_of((uint64_t)k->day);

		T_EQ_NUM(c.year, k->year);
		T_EQ_NUM(c.month, k->month);
		T_EQ_NUM(c.day, k->of_month);
		T_EQ_NUM(civil_day(k->year, k->month, k->of_month), k->day);
	}
	T_CHECK(civil_day(1969, 12, 31) == -1);
	T_CHECK(civil_day(1900, 3, 1) - civil_day(1900, 2, 28) == 1);
}

/* Each day for 65 years, as far as any time_t goes. */
static void
as_the_library_has_them(void)
{
	for (int64_t day = 0; day < 24855; day++) {
		time_t       t = (time_t)(day * 86400);
		struct civil c = civil_of((uint64_t)day);
		struct tm    tm;

		T_CHECK(gmtime_r(&t, &tm) != NULL);
		T_CHECKF((int)c.year == tm.tm_year + 1900 && (int)c.month == tm.tm_mon + 1 &&
			(int)c.day == tm.tm_mday &&
			civil_day((int64_t)c.year, c.month, c.day) == day,
		    "day %lld", (long long)day);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(dates_that_one_knows);
	T_RUN(as_the_library_has_them);
	return t_end();
}
