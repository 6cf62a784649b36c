/*
 * lookup -- what the filters that ask the DNS have in common: how an answer is told, and what it means for a fact.
 */
#ifndef FILTERS_LOOKUP_H
#define FILTERS_LOOKUP_H

#include "proxy/base/dns.h"
#include "proxy/mail/filter.h"

/* OK: what was asked is known, also that there is no such thing. */
enum filter_rc lookup_rc(enum dns_rc rc);

/*
 * Adds "TYPE NAME ANSWER" to what f->source says already: "MX example.org mx.example.org", "A example.org no such
 * name".  n: records of the answer that are there, at most a few are told.
 */
void lookup_told(struct fact *f, uint16_t type, struct strv name, enum dns_rc rc, const struct dns_answer *answer);
/* The same of some words. */
void lookup_say(struct fact *f, struct strv words);

#endif
