/*
 * match -- values of facts against what rules hold them against; look-ups in maps.  Pure.
 */
#ifndef POLICY_MATCH_H
#define POLICY_MATCH_H

#include "policy/rules.h"
#include "proxy/base/idn.h"

/* Kleene's three values: `and' is the least, `or' the greatest, `not' the mirror. */
enum truth { TRUTH_NO, TRUTH_UNKNOWN, TRUTH_YES };

/* All but MATCH_MAP, which takes a second fact, and MATCH_PATTERN; the fact is known and not absent. */
bool match_value(const struct match *m, const struct fact *f);
bool match_text(const struct match *m, struct strv v);
/* MATCH_PATTERN; unknown where a limit was reached. */
enum truth match_pattern(const struct match *m, const struct fact *f, uint64_t *steps);       /* as patterns.h counts */
enum truth match_pattern_text(const struct match *m, struct strv v, uint64_t *steps);
bool match_number(const struct match *m, double number);
bool match_path_in(const struct path *path, const struct nameset *domains, const struct nameset *addresses);

/* The domain as lists hold it: an address literal in its one canonical form, U-labels as A-labels; the path's or in buf. */
struct strv match_domain(const struct path *path, char buf[IDN_OCTETS]);
struct strv match_text_domain(struct strv v, char buf[IDN_OCTETS]);     /* v or in buf; what is no domain as it is */

/* --- match_map.c ----------------------------------------------------------------------------------- */

/*
 * match_map -- what the map has for the value of a known fact; nothing where the fact is absent
 *
 * An address, and a text with "@", is looked up as user+ext@d, user@d, @d, d, .parent (the nearest first);
 * a text without as it is, then as .parent; <> as <>; a mail address without a domain is nowhere.
 */
struct map_values match_map(const struct list *map, const struct fact *f);

/* The values of a map in place of a list: is the value, or one of those of the fact, in it? */
bool match_fact_in(const struct fact *f, struct map_values v);
bool match_values_in(struct map_values v, struct map_values in);
bool match_path_item(const struct path *path, struct strv item);        /* d, .d, user@d, @d, <> */

#endif
