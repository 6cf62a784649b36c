/*
 * counters -- numbers that hold for the whole daemon: a page shared by master and workers, one column
 * a place, so that no two processes write the same word.
 */
#ifndef PROXY_BASE_COUNTERS_H
#define PROXY_BASE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/doing.h"

#define COUNTERS(X) \
	X(SESSIONS_OPEN,     "sessions_open",     "sessions open now") \
	X(SESSIONS,          "sessions_total",    "sessions accepted") \
	X(SESSIONS_REFUSED,  "sessions_refused",  "sessions told 421 at once") \
	X(MESSAGES,          "messages_total",    "messages that a hop took") \
	X(REFUSED,           "refused_total",     "commands and messages refused here") \
	X(DISCARDED,         "discarded_total",   "messages discarded by policy") \
	X(UPSTREAM_REFUSED,  "upstream_refused",  "commands and messages refused upstream") \
	X(OCTETS_IN,         "octets_in",         "octets of message text taken") \
	X(UPSTREAM_OPEN,     "upstream_open",     "upstream connections open now") \
	X(UPSTREAM_CONNECTS, "upstream_connects", "upstream connections made") \
	X(REPLAYS,           "replays",           "transactions replayed on a fresh connection") \
	X(AUTH_OK,           "auth_ok",           "users authenticated") \
	X(AUTH_FAILED,       "auth_failed",       "failures of AUTH") \
	X(FAILOVERS,         "failovers",         "transactions that went to the next server of a pool")

enum counter {
#define X(name, word, text) COUNTER_##name,
	COUNTERS(X)
#undef X
	COUNTER_MAX
};

struct counters;                                        /* the way to memory that is shared */
struct log_room;

/* Before fork. A place that nobody counts in costs address space alone. NULL: no memory. */
struct counters *counters_new(unsigned places);
void counters_free(struct counters *c);
void counters_add(struct counters *c, unsigned place, enum counter k, int64_t by);
uint64_t counters_sum(const struct counters *c, enum counter k);
void counters_clear_place(struct counters *c, unsigned place, enum counter k);  /* a worker died: its gauges go */
const char *counter_word(enum counter k);
const char *counter_text(enum counter k);

/* What the worker of that place is in the middle of: for doing_here, and for the master, to say where it died or hangs. */
struct doing *counters_doing(struct counters *c, unsigned place);
/*
 * Where the worker of that place holds lines of the log, which the master writes when it has died: 64 KiB of address
 * space a place, of memory what was once full of lines (a page for most).
 */
struct log_room *counters_log(struct counters *c, unsigned place);

/*
 * Sessions per client over all workers: a table of fixed size in the same page, keyed by the hash of
 * the client's address; two addresses may share a cell (counted together: it errs on the strict side).
 * enter: false and nothing counted where it stands at `max` already.
 */
bool counters_client_enter(struct counters *c, unsigned place, uint64_t hash, unsigned max);
void counters_client_leave(struct counters *c, unsigned place, uint64_t hash);
/*
 * Failures of AUTH of one client within the hour (the last 50 to 60 minutes), over all workers, in a table of
 * fixed size that knows whose they are: nobody is told another's, and where very many clients fail those who
 * failed least are forgotten.  Above COUNTERS_AUTH_MAX the count may stay where it is.  now: seconds of a
 * clock that all workers share (monotonic).  counters_auth_failed: one more, and how many there are now.  They
 * outlive the worker that counted them: whoever can make one crash does not win a new start by it.
 */
#define COUNTERS_AUTH_MAX 250
unsigned counters_auth_failures(const struct counters *c, uint64_t hash, uint64_t now);
unsigned counters_auth_failed(struct counters *c, unsigned place, uint64_t hash, uint64_t now);
/* A worker died: its sessions per client go. */
void counters_clients_clear(struct counters *c, unsigned place);

#endif
