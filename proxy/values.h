/*
 * values -- walking the values of one plain statement: words, numbers with units, options.
 *
 * Each take_ function takes the next value or says with a diagnostic what was expected there, and then
 * gives false or NULL; the caller simply goes on, so that all mistakes of a statement are shown.
 */
#ifndef PROXY_VALUES_H
#define PROXY_VALUES_H

#include "policy/policy.h"

struct values {
	struct arena            *a;     /* texts of diagnostics */
	struct diags            *d;
	const struct conf_plain *st;
	unsigned                 i;     /* the next value */
};

/* One option of a statement; a table of them ends with an all-zero row. */
struct option {
	const char *word;
	void      (*take)(struct values *, const struct conf_value *at, void *obj); /* NULL: not in this build */
	unsigned    skip;               /* of an option that is not in this build: how many values belong to it */
};

/* An error at v's place, or at the statement's where v is NULL. The hint may be NULL. */
void values_error(struct values *r, const struct conf_value *v, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* "line 5", where something else stands; and of which file, if that is not the one in which `here' is. */
const char *values_line(struct arena *a, struct pos first, struct pos here);

/* The next value without taking it; NULL: the end. */
const struct conf_value *values_peek(const struct values *r);
/* If the next value is the word `word` it is taken. */
bool values_is(struct values *r, const char *word);
/* `what` is named in the diagnostic: "an address". `text`: a WORD or a STRING. */
const struct conf_value *values_take(struct values *r, const char *what);
const struct conf_value *values_take_word(struct values *r, const char *what);
const struct conf_value *values_take_text(struct values *r, const char *what);
/* One of NULL-terminated `words`: its index, or -1. */
int values_take_one_of(struct values *r, const char *const *words, const char *what);

/* What a number counts. */
enum unit { UNIT_COUNT, UNIT_SIZE, UNIT_TIME };         /* 100; 25M, of 1024; 5m, kept in ms */
bool values_take_number(struct values *r, enum unit unit, uint64_t min, uint64_t max, uint64_t *out);
/* The same for a value in hand. */
bool values_number(struct values *r, const struct conf_value *v, enum unit unit, uint64_t min, uint64_t max,
    uint64_t *out);

/* The rest of the statement: options of the table, each at most once. At most 32 rows. */
void values_options(struct values *r, const struct option *table, void *obj);
/* Whatever is left is too much. */
void values_end(struct values *r);

/* Pure: text to number, without bounds. False: *why is static text. */
bool unit_parse(struct strv v, enum unit unit, uint64_t *out, const char **why);
/* "25M", "5m": the shortest text that means n. */
struct strv unit_print(struct arena *a, enum unit unit, uint64_t n);
/* "2027-01-31": the day of a moment, in seconds since 1970, UTC. */
struct strv day_print(struct arena *a, uint64_t seconds);

#endif
