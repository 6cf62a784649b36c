/*
 * pool_own -- what the files of the pool share; nobody else includes it.
 *
 * pool_choice       which server: pure, over what is written down here
 * pool_connections  a server's connections, the idle ones: taken, given back, lent, closed
 * pool_queue        the sessions that wait for one, or for a place
 * pool_offer        what clients may be offered
 * pool_probe        which servers are up, who asks, and connections made ahead
 * pool_silence      servers that do not answer in time, and what the log says of waiting
 * pool              taking with failover; making and freeing of the whole
 *
 * Invariant: a session waits only while no server that would be its choice has an idle connection or a
 * free place.  Whatever changes that serves the queue: a place or connection that comes free at once; a
 * server that comes up, goes down or turns us away (pool.changed) as soon as the fiber that found it out has
 * got or given what is its own, and before it parks.  So the order of the queue is the order of service.
 */
#ifndef PROXY_SMTP_POOL_OWN_H
#define PROXY_SMTP_POOL_OWN_H

#include "proxy/smtp/session.h"

#define PROBE_MS     1000               /* between the first attempts; it doubles up to PROBE_MAX_MS */
#define PROBE_MAX_MS 10000
#define SWEEP_MS     1000
#define DOWN_AGAIN_MS 60000             /* at the earliest the log has another reason why a server is down */
#define LATE_MS       60000             /* a server that is late is tried after it; it doubles up to LATE_MAX_MS */
#define LATE_MAX_MS   600000
#define SLOW_MS       30000             /* a reply owed so long is worth a line, */
#define SLOW_AGAIN_MS 300000            /* and another one so much later */
#define ASK_MS        10000             /* at the earliest a server that is up is asked again for its own EHLO */
#define ASK_SELDOM_MS 60000             /* where nothing changed for ASK_LONG_MS */
#define ASK_LONG_MS   3600000

struct pool_errand {                    /* one pool_take; on its fiber's stack, listed only while it waits */
	struct pool            *pool;
	struct session         *session;
	const struct pool_wish *wish;
	uint64_t                tried;  /* servers that failed it: bits */
	uint64_t                ticket; /* its place in the order of arrival, kept over failures */
	uint64_t                until;  /* ms: no longer in the queue, and no further server after it */
	struct fiber           *fiber;
	struct pool_server     *sv;     /* where it got something: `up`, or, NULL, a place to connect by itself */
	struct upstream        *up;
	struct pool_errand     *prev, *next;
};

struct pool_queue {                     /* by ticket */
	struct pool_errand *first, *last;
};

struct pool {
	struct smtp            *smtp;
	const struct pool_conf *conf;
	struct pool_server     *sv;
	unsigned                n;
	struct pool_queue       queue[2];       /* [1]: those who want a connection to be bound by AUTH */
	uint64_t                tickets;
	unsigned                start;          /* where the next look at the servers begins */
	struct timer            sweep, settle;
	bool                    auth_required;  /* by a listener of it */
	bool                    changed;        /* a server's state did: those who wait may have another choice */
	bool                    settled;        /* the first attempt at each server is over, or took too long */
	bool                    stopped;
};

/* --- pool_choice.c --- */

static inline bool
pool_alive(const struct pool_server *sv)
{
	return sv->known && !sv->down;
}

void pool_weigh(struct pool *p);        /* weights by their greatest common divisor; once */
/* It has a connection to give, or a place. */
bool pool_has_room(const struct pool_server *sv, bool bound);
/* Connections that somebody uses, or is about to. */
unsigned pool_in_use(const struct pool_server *sv);
/* sv would be a choice of e's; has_one: with a connection in hand, so nothing need be made. */
bool pool_suits(const struct pool_errand *e, const struct pool_server *sv, bool has_one);
/* Some server is left that e may try. */
bool pool_any_left(const struct pool_errand *e);
/* The server with room that e is to have, counted as given; NULL: none now. */
struct pool_server *pool_choose(const struct pool_errand *e);

/* --- pool_connections.c --- */

void pool_add(struct upstream *up);             /* a new one: its place is taken already */
/* For e, from its server (which has room): an idle connection that is still quiet, else NULL and a place. */
struct upstream *pool_claim(struct pool_errand *e);
/* Gone, but its place is still ours. */
void pool_discard(struct upstream *up);
/* A named connection that its session leaves unused makes room: its place is ours. */
bool pool_take_unused(struct pool_server *sv);
/* A server's log should not say that we vanished. */
void pool_close(struct upstream *up);

/* --- pool_queue.c --- */

/* Waits until e->sv (and e->up) is set. UP_OK, UP_BUSY, UP_CANCELLED. */
MAY_YIELD enum up_rc pool_wait(struct pool_errand *e);
/* Serves those that wait, in their order, with what is free, if `changed`. */
void pool_catch_up(struct pool *p);
/* A place that was ours goes back, to the first that waits for one there, if any does. */
void pool_place_free(struct pool_server *sv, bool bound);
/* up, which nobody has, becomes the first one's that it suits.  False: nobody's.  Does not park. */
bool pool_give_to_waiter(struct upstream *up);

/* --- pool_offer.c --- */

/* An EHLO was answered.  of_client: it is about a client that the connection named. */
void pool_heard(struct pool_server *sv, const struct upstream *up, bool of_client);
/* It refused a client: that it refuses all would be seen by a probe, which is made soon. */
void pool_doubt(struct pool_server *sv);
/* It is up, and its own EHLO may be another one by now, or it may refuse all. */
bool pool_needs_asking(const struct pool_server *sv);
void pool_plan_asking(struct pool_server *sv);  /* if it needs that, by the timer of probes */

/* --- pool_probe.c --- */

void pool_is_up(struct pool_server *sv, const struct upstream *up, bool of_client);
/* An attempt failed: it is down, or, while other connections of it work, turns us away. */
void pool_failed(struct pool_server *sv, const struct upstream *up, struct strv why);
void pool_probe_init(struct pool *p);
void pool_probe_stop(struct pool *p);
/* A connection was taken: others are made ready, where the kind of server wants that. */
void pool_warm(struct pool_server *sv);
void pool_sweep_start(struct pool *p);
/* "worker WHAT server= why= worker=". */
void pool_log_server(const struct pool_server *sv, const char *what, struct strv why);

/* --- pool_silence.c --- */

/* Who is asked before and after a wait has left in it: then the session's line says what for. */
static inline bool
pool_client_left(const struct session *s)
{
	return s != NULL && (s->gone || s->io.eof);
}

void pool_silence_init(struct pool *p);
void pool_silence_stop(struct pool *p);
/* Are there sessions that wait for it? */
void pool_silence_sweep(struct pool_server *sv, uint64_t now);
/* It has come back, and may have been started anew: if it is late the next session tries it. */
void pool_silence_trial(struct pool_server *sv);

/* --- pool.c --- */

/*
 * A place is e's already: connects, greets; e->up is set and in the pool's list.  On a fault the place is
 * given back.  s: for whom, NULL: nobody yet.  refusal as in pool_take; a may be NULL with it.
 */
MAY_YIELD enum up_rc pool_make(struct pool_server *sv, struct session *s, bool bound, struct arena *a,
    struct upstream **out, struct pool_refusal *refusal);

#endif
