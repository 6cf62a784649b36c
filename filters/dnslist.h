/*
 * dnslist -- lists in the DNS as such: which are alive.  One state a worker; dnsbl.c asks them for facts.
 *
 * RFC 5782 5: each list has an entry that must be there and one that may not.  They are looked up once an
 * hour, beside the first question that comes; a list that fails is set aside until it passes, and the log says so.
 * Who hears "listed" meanwhile waits for them, no longer than for the list.
 */
#ifndef FILTERS_DNSLIST_H
#define FILTERS_DNSLIST_H

#include "proxy/base/dns.h"

struct dnslist;
struct dnslists;

enum dnslist_kind { DNSLIST_IP4, DNSLIST_IP6, DNSLIST_NAMES };

/* What an answer of a list means. */
enum dnslist_says {
	DNSLIST_NOT,                    /* not listed */
	DNSLIST_LISTED,
	DNSLIST_REFUSES,                /* 127.255.255.0/24: it does not speak to us */
	DNSLIST_BROKEN,                 /* not of 127.0.0.0/8: whoever answers is no list */
	DNSLIST_UNKNOWN                 /* no answer */
};

enum dnslist_says dnslist_means(enum dns_rc rc, const struct dns_answer *answer);

struct dnslists *dnslists_make(struct arena *conf);     /* all of it lives there; lookups are taken back as it goes */
/*
 * dnslist_find -- the list of that name and kind, its test points under way if they are due
 *
 * NULL: there are too many lists, or it is no name; then nothing is known of it.  Called in a fiber.
 */
struct dnslist *dnslist_find(struct dnslists *all, enum dnslist_kind kind, struct strv zone);
/* Why it is set aside; NULL: it is not. */
const char *dnslist_dead(const struct dnslist *l);
/* An answer came that says so by itself: BROKEN sets it aside, REFUSES is told. */
void dnslist_heard(struct dnslist *l, enum dnslist_says says);
/*
 * dnslist_await -- waits for test points that are under way, at most until then (ms)
 *
 * WAIT_OK also where there is nothing to wait for; WAIT_TIMEOUT; WAIT_CANCELLED.
 */
MAY_YIELD enum wait_rc dnslist_await(struct dnslist *l, uint64_t until);

#endif
