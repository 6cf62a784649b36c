/*
 * metrics -- what a worker answers who asks for metrics: HTTP/1.1 (RFC 9112), GET and HEAD of one page.
 *
 * Whoever asks is a stranger: what he sends has a ceiling, each connection a deadline, and there are METRICS_CONNECTIONS
 * at most in a worker; more are closed at once.  Nothing parks.
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "proxy/base/buf.h"

#define METRICS_CONNECTIONS 16
#define METRICS_REQUEST     8192        /* octets of a request up to its empty line */
#define METRICS_MS          5000        /* from accept to close */
#define METRICS_TELL_MS     1000        /* between two looks at the servers */

struct arena;
struct counters;
struct loop;
struct metrics;
struct smtp;
struct smtp_conf;
struct worker_start;                    /* worker.h */

/*
 * In `arena'.  Once it has tried its servers this worker tells of them, every second.  conf: what the worker has of it.
 * All that is given outlives it.
 */
struct metrics *metrics_new(struct arena *arena, const struct worker_start *start, const struct smtp_conf *conf,
    struct smtp *smtp, struct loop *loop);
/* Somebody who asks.  Takes fd over (non-blocking). */
void metrics_open(struct metrics *m, int fd);
/* The worker drains: its servers are another's to tell of.  Who asks is answered still. */
void metrics_stop(struct metrics *m);
/* For good: connections are closed. */
void metrics_end(struct metrics *m);

/* --- metrics_http.c: pure --- */

/*
 * HEAD as GET.  ELSEWHERE: no such page; METHOD: not GET; LONG: no end within METRICS_REQUEST; BAD: not HTTP/1.
 * LARGE is the answer's own.
 */
enum metrics_ask { METRICS_MORE, METRICS_PAGE, METRICS_ELSEWHERE, METRICS_METHOD, METRICS_LONG, METRICS_BAD,
	METRICS_LARGE };
/* What has come so far.  *head: the body is not wanted.  MORE: the request has not ended. */
enum metrics_ask metrics_ask(struct strv in, bool *head);
/* The answer, of the page where that is asked for; out is empty. */
void metrics_answer(struct buf *out, enum metrics_ask ask, bool head, struct strv page);

/* --- metrics_page.c --- */

/* The page, in the text format of Prometheus (version 0.0.4): servers as the workers of that generation tell of them. */
void metrics_page(struct buf *out, const struct counters *c, unsigned generation, const struct smtp_conf *conf);
/* Tells of a worker's servers: gauges in the order in which metrics_page reads them. */
void metrics_tell(struct counters *c, unsigned place, unsigned generation, const struct smtp_conf *conf,
    const struct smtp *smtp);

#endif
