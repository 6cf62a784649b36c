/*
 * counters -- numbers that hold for the whole daemon: a page shared by master and workers, one column
 * a place, so that no two processes write the same word.
 */
#ifndef PROXY_BASE_COUNTERS_H
#define PROXY_BASE_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/doing.h"

/*
 * X(name, family, labels, help), as Prometheus has these words: a family that ends in _total only grows, of a family of
 * seconds the values are milliseconds until they are shown (metrics_page.c), and the others go up and down.  Those of one
 * family stand together, and its first one has its help.
 */
#define COUNTERS(X) \
	X(SESSIONS_OPEN,     "sessions_open", "", "sessions open now") \
	X(SESSIONS,          "sessions_total", "", "sessions that began") \
	X(REFUSED_ROOM,      "sessions_refused_total", "why=\"room\"", "clients told 421 in place of a greeting") \
	X(REFUSED_CLIENT,    "sessions_refused_total", "why=\"client\"", "") \
	X(REFUSED_SERVERS,   "sessions_refused_total", "why=\"servers\"", "") \
	X(ACCEPTED,          "messages_total", "outcome=\"accepted\"", "messages, by what became of them") \
	X(QUARANTINED,       "messages_total", "outcome=\"quarantined\"", "") \
	X(DISCARDED,         "messages_total", "outcome=\"discarded\"", "") \
	X(DEFERRED,          "messages_total", "outcome=\"deferred\"", "") \
	X(REFUSED,           "messages_total", "outcome=\"refused\"", "") \
	X(UNKNOWN,           "messages_total", "outcome=\"unknown\"", "") \
	X(OCTETS_IN,         "message_bytes_total", "", "octets of message text that came") \
	X(MS_100,            "message_seconds_bucket", "le=\"0.1\"", "from DATA or the first BDAT to the answer") \
	X(MS_1000,           "message_seconds_bucket", "le=\"1\"", "") \
	X(MS_10000,          "message_seconds_bucket", "le=\"10\"", "") \
	X(MS_60000,          "message_seconds_bucket", "le=\"60\"", "") \
	X(MS_MORE,           "message_seconds_bucket", "le=\"+Inf\"", "") \
	X(MS_SUM,            "message_seconds_sum", "", "") \
	X(OURS_4XX,          "refusals_total", "by=\"postern\",class=\"4xx\"", "commands refused, by whom and how") \
	X(OURS_5XX,          "refusals_total", "by=\"postern\",class=\"5xx\"", "") \
	X(UPSTREAM_4XX,      "refusals_total", "by=\"upstream\",class=\"4xx\"", "") \
	X(UPSTREAM_5XX,      "refusals_total", "by=\"upstream\",class=\"5xx\"", "") \
	X(AUTH_OK,           "auth_total", "result=\"accepted\"", "exchanges of AUTH that came to an answer") \
	X(AUTH_FAILED,       "auth_total", "result=\"failed\"", "") \
	X(UPSTREAM_OPEN,     "upstream_connections_open", "", "connections to mail servers open now") \
	X(UPSTREAM_CONNECTS, "upstream_connections_total", "", "connections to mail servers that were begun") \
	X(FAILOVERS,         "upstream_failovers_total", "", "transactions that went to the next server of a pool") \
	X(REPLAYS,           "upstream_replays_total", "", "transactions said again on a fresh connection")

enum counter {
#define X(name, family, labels, help) COUNTER_##name,
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
/* What one place has counted: a broken worker may leave any number. */
uint64_t counters_at(const struct counters *c, unsigned place, enum counter k);
void counters_clear_place(struct counters *c, unsigned place, enum counter k);  /* a worker died: its gauges go */

/*
 * Gauges, by number: what one of several that are alike (servers) is like in one worker, which it tells now and then.
 * They are of one generation, since another configuration has other servers.
 */
#define COUNTERS_GAUGES 1024
void counters_gauge(struct counters *c, unsigned place, unsigned generation, unsigned gauge, uint64_t value);
/* The sum over the places that tell gauges of that generation, of which there are *places; 0 where there are none. */
uint64_t counters_gauge_sum(const struct counters *c, unsigned generation, unsigned gauge, unsigned *places);
void counters_gauges_clear(struct counters *c, unsigned place);                 /* a worker died, or drains */

/* What the master alone tells: seconds since 1970, or a number. */
enum counter_master { MASTER_STARTED, MASTER_LOADED, MASTER_LOAD_GOOD, MASTER_WORKERS, MASTER_DEATHS, MASTER_MAX };
void counters_master_set(struct counters *c, enum counter_master k, uint64_t value);
uint64_t counters_master(const struct counters *c, enum counter_master k);

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
