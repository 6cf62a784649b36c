/*
 * dns_silence -- does the resolver answer at all?  The log hears when it does not, and when it does again.
 *
 * One a process, as the resolver is.  What counts is that something comes, whatever it says: a SERVFAIL is an answer.
 * A question that the cache answers, or that is given up in no time, says nothing of the resolver.
 */
#ifndef PROXY_BASE_DNS_SILENCE_H
#define PROXY_BASE_DNS_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

struct resolver_conf;
struct world;

/* Nothing has been asked so far. conf and w live as long as the others here are called. */
void dns_silence_begin(struct world *w, const struct resolver_conf *conf);
/* The process is that worker, which the lines say from now on. */
void dns_silence_worker(unsigned worker);
/* Octets have come from whoever is asked. */
void dns_silence_heard(void);
/* A question for that name, asked then (ms, w->now), has failed; else it was given up. */
void dns_silence_over(const char *name, uint64_t asked, bool failed);

#endif
