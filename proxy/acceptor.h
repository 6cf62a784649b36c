/*
 * acceptor -- takes clients at the listening sockets of a worker, and hands them to smtp.
 */
#ifndef PROXY_ACCEPTOR_H
#define PROXY_ACCEPTOR_H

#include <stdbool.h>

struct acceptor;
struct arena;
struct loop;
struct metrics;
struct smtp;
struct smtp_conf;
struct worker_start;                    /* worker.h */

/*
 * In `arena'; nothing is accepted yet.  conf: what the worker has of it; metrics: who answers where these are asked for,
 * NULL: nobody does.  All that is given outlives it.
 */
struct acceptor *acceptor_new(struct arena *arena, const struct worker_start *start, const struct smtp_conf *conf,
    struct smtp *smtp, struct metrics *metrics, struct loop *loop);
/* That place of every listener is the worker's now, or is so no longer.  Once stopped nothing comes of it. */
void acceptor_place(struct acceptor *a, unsigned place, bool yes);
/*
 * For good, and asked again harmless.  Listening sockets are closed at once: those that stay have a new owner, the
 * others shall be free.
 */
void acceptor_stop(struct acceptor *a);

#endif
