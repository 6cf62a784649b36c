/*
 * civil -- by Howard Hinnant's algorithms: a year begins in March here, so that the leap day is its last, and the years
 * are counted in eras of 400, all of them of the same length.
 */
#include "proxy/base/civil.h"

#define ERA_DAYS 146097
#define TO_1970  719468 /* days from the first of March of the year 0 */

struct civil
civil_of(uint64_t day)
{
	uint64_t z = day + TO_1970, era = z / ERA_DAYS, of_era = z % ERA_DAYS;
	uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned march = (unsigned)((5 * of_year + 2) / 153); /* months since */
	unsigned month = march < 10 ? march + 3 : march - 9;

	return (struct civil){ year + era * 400 + (month <= 2), month,
		(unsigned)(of_year - (153 * march + 2) / 5 + 1) };
}

int64_t
civil_day(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2), march = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * march + 2) / 5 + day - 1 - TO_1970;
}
