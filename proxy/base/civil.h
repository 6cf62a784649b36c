/*
 * civil -- days and the calendar (Gregorian, UTC), without the system's time_t, which may end in 2038.  Pure.
 */
#ifndef PROXY_BASE_CIVIL_H
#define PROXY_BASE_CIVIL_H

#include <stdint.h>

struct civil {
	uint64_t year;
	unsigned month, day;            /* from 1 */
};

/* The date of a day; 0: the first of January 1970. */
struct civil civil_of(uint64_t day);
/* The day of a date, below 0 before 1970.  year > 0. */
int64_t civil_day(int64_t year, unsigned month, unsigned day);

#endif
