/*
 * pool_queue -- places, idle connections, and the sessions that wait for one.
 *
 * Not for which server it is (pool_choice), nor for connecting (pool).  The invariant is
 * pool_own.h's.
 */
#include <limits.h>

#include "proxy/smtp/pool_own.h"

/* --- lists ------------------------------------------------------------------------------------ */

void
pool_add(struct upstream *up)
{
	struct pool_server *sv = up->sv;
	struct smtp        *m = up->smtp;

	up->all_next = sv->all;
	if (sv->all != NULL)
		sv->all->all_prev = up;
	sv->all = up;
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_OPEN, 1);
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_CONNECTS, 1);
}

static void
all_remove(struct pool_server *sv, struct upstream *up)
{
	if (up->all_prev != NULL)
		up->all_prev->all_next = up->all_next;
	else
		sv->all = up->all_next;
	if (up->all_next != NULL)
		up->all_next->all_prev = up->all_prev;
}

static bool
is_idle(const struct upstream *up)
{
	return up->prev != NULL || up->sv->idle == up;
}

static void
idle_push(struct upstream *up)
{
	struct pool_server *sv = up->sv;

	up->prev = NULL;
	up->next = sv->idle;
	if (sv->idle != NULL)
		sv->idle->prev = up;
	else
		sv->idle_last = up;
	sv->idle = up;
	sv->n_idle++;
	up->idle_since = loop_now(up->smtp->loop);
	pool_sweep_start(sv->pool);
}

static void
idle_remove(struct upstream *up)
{
	struct pool_server *sv = up->sv;

	if (up->prev != NULL)
		up->prev->next = up->next;
	else
		sv->idle = up->next;
	if (up->next != NULL)
		up->next->prev = up->prev;
	else
		sv->idle_last = up->prev;
	up->prev = up->next = NULL;
	sv->n_idle--;
}

static struct pool_queue *
queue_of(struct pool_errand *e)
{
	return &e->pool->queue[e->wish->bound];
}

/*
 * One that comes has the last ticket; one whose server failed, or that lent its connection, has an
 * old one, and its like are few.
 */
static void
queue_add(struct pool_errand *e)
{
	struct pool_queue  *q = queue_of(e);
	struct pool_errand *before = q->last;

	if (before != NULL && before->ticket > e->ticket) {
		struct pool_errand *behind = q->first;

		while (behind->ticket < e->ticket)
			behind = behind->next;
		before = behind->prev;
	}
	e->prev = before;
	e->next = before != NULL ? before->next : q->first;
	if (e->prev != NULL)
		e->prev->next = e;
	else
		q->first = e;
	if (e->next != NULL)
		e->next->prev = e;
	else
		q->last = e;
}

static void
queue_remove(struct pool_errand *e)
{
	struct pool_queue *q = queue_of(e);

	if (e->prev != NULL)
		e->prev->next = e->next;
	else
		q->first = e->next;
	if (e->next != NULL)
		e->next->prev = e->prev;
	else
		q->last = e->prev;
}

bool
pool_crowded(const struct pool *p)
{
	return p->queue[0].first != NULL;
}

bool
pool_auth_crowded(const struct pool *p)
{
	return p->queue[1].first != NULL;
}

/* --- places ----------------------------------------------------------------------------------- */

void
pool_discard(struct upstream *up)
{
	struct smtp *m = up->smtp;

	if (is_idle(up))
		idle_remove(up);
	all_remove(up->sv, up);
	upstream_free(up);
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_OPEN, -1);
}

/*
 * The youngest that is still quiet.  Stale ones go, and their places are free: nobody waits where
 * one idled.
 */
static struct upstream *
idle_pop(struct pool_server *sv)
{
	while (sv->idle != NULL) {
		struct upstream *up = sv->idle;

		if (upstream_quiet(up) == UP_QUIET) {
			idle_remove(up);
			return up;
		}
		pool_discard(up);
		sv->n_open--;
	}
	return NULL;
}

struct upstream *
pool_claim(struct pool_errand *e)
{
	struct pool_server *sv = e->sv;
	struct upstream    *up = NULL;

	if (!e->wish->fresh && !e->wish->bound)
		up = idle_pop(sv);
	if (up != NULL)
		return up;
	if (!e->wish->bound && sv->n_open - sv->n_bound >= sv->conf->connections) {
		/* All its places are taken, some by connections that idle: the oldest gives way. */
		pool_discard(sv->idle_last);
		sv->n_open--;
	}
	sv->n_open++;
	sv->n_bound += e->wish->bound;
	return NULL;
}

/*
 * It has an owner from here on: should it die before that one runs, nobody frees it under its
 * hands.
 */
static void
hand_over(struct pool_errand *e, struct pool_server *sv, struct upstream *up)
{
	queue_remove(e);
	e->sv = sv;
	e->up = up;
	if (up != NULL)
		up->owner = e->session;
	fiber_wake(e->fiber);
}

/* How many were served. */
static unsigned
serve_queue(struct pool_queue *q, unsigned max)
{
	unsigned            n = 0;
	struct pool_errand *next;

	for (struct pool_errand *e = q->first; e != NULL && n < max; e = next) {
		next = e->next;
		e->sv = pool_choose(e);
		if (e->sv == NULL)
			continue;
		hand_over(e, e->sv, pool_claim(e));
		n++;
	}
	return n;
}

void
pool_serve(struct pool *p, unsigned max)
{
	unsigned n = serve_queue(&p->queue[0], max);

	(void)serve_queue(&p->queue[1], max - n);
}

static bool
other_alive(const struct pool_server *sv)
{
	for (unsigned i = 0; i < sv->pool->n; i++)
		if (&sv->pool->sv[i] != sv && pool_alive(&sv->pool->sv[i]))
			return true;
	return false;
}

void
pool_place_free(struct pool_server *sv, bool bound)
{
	sv->n_open--;
	sv->n_bound -= bound;
	/*
	 * Nobody wants the place of a dead server while another lives; a crowd need not be asked.
	 */
	if (pool_alive(sv) || !other_alive(sv))
		(void)serve_queue(&sv->pool->queue[bound], 1);
}

void
pool_drop(struct upstream *up)
{
	struct pool_server *sv = up->sv;
	bool                bound = up->bound;

	pool_discard(up);
	pool_place_free(sv, bound);
}

void
pool_close(struct upstream *up)
{
	if (!up->tainted && !up->io.fault && !up->io.eof && up->n_owed == 0)
		conn_queue_bye(&up->io, SV("QUIT\r\n"));
	pool_drop(up);
}

static bool
may_keep(const struct upstream *up)
{
	/*
	 * RSET, MAIL and RCPT go out together: a server without PIPELINING gets no open
	 * transaction back.
	 */
	bool clean = !up->dirty || (up->ehlo.caps & EHLO_PIPELINING);

	return clean && !up->sv->pool->stopped && !up->tainted && !up->named && !up->bound &&
	    up->n_owed == 0 && up->in == NULL && !up->io.fault && !up->io.eof &&
	    up->errors < POOL_ERRORS;
}

/* Those who want a fresh one have use for its place alone. */
static bool
give_to_waiter(struct upstream *up)
{
	struct pool_errand *e = up->sv->pool->queue[0].first;

	while (e != NULL && !pool_suits(e, up->sv, true))
		e = e->next;
	if (e == NULL)
		return false;
	hand_over(e, up->sv, up);
	return true;
}

void
pool_give(struct upstream *up)
{
	up->owner = NULL;
	buf_clear(&up->cmds);
	if (!may_keep(up))
		pool_close(up);
	else if (!give_to_waiter(up))
		idle_push(up);
}

void
pool_lendable(struct upstream *up, bool yes)
{
	if (up->lendable == yes)
		return;
	up->lendable = yes;
	up->sv->n_lendable += yes ? 1 : -1U;
}

void
pool_lend(struct upstream *up)
{
	struct session *s = up->owner;

	pool_lendable(up, false);
	s->relay.up = NULL;
	s->relay.lent = true;
	s->relay.ticket = up->ticket;
	up->tainted = up->tainted || upstream_quiet(up) != UP_QUIET;
	pool_give(up);
}

bool
pool_take_unused(struct pool_server *sv)
{
	for (struct upstream *up = sv->all; up != NULL; up = up->all_next)
		if (up->owner != NULL && up->named && !up->bound && up->idle_since != 0) {
			up->owner->relay.up = NULL;
			up->owner = NULL;
			conn_queue_bye(&up->io, SV("QUIT\r\n"));
			pool_discard(up);
			return true;
		}
	return false;
}

/* --- waiting ---------------------------------------------------------------------------------- */

/* Who came first gets it, and e is one place nearer.  False: nothing may be lent that e could use. */
static bool
borrow(const struct pool_errand *e)
{
	struct pool *p = e->pool;

	for (unsigned i = 0; i < p->n && !e->wish->bound; i++) {
		struct pool_server *sv = &p->sv[i];
		struct upstream    *up = sv->all;

		if (sv->n_lendable == 0 || !pool_suits(e, sv, true))
			continue;
		while (!up->lendable)
			up = up->all_next;
		pool_lend(up);
		return true;
	}
	return false;
}

/* A server that was nobody's choice may be one now, and have no place but those that may be lent. */
void
pool_catch_up(struct pool *p)
{
	struct pool_errand *e;

	if (!p->changed)
		return;
	p->changed = false;
	pool_serve(p, UINT_MAX);
	for (e = p->queue[0].first; e != NULL;)
		e = borrow(e) ? p->queue[0].first : e->next;
}

enum up_rc
pool_wait(struct pool_errand *e)
{
	enum wait_rc rc = WAIT_OK;

	e->fiber = fiber_self();
	e->sv = NULL;
	e->up = NULL;
	queue_add(e);
	pool_catch_up(e->pool);
	if (e->sv == NULL)
		(void)borrow(e);
	while (rc == WAIT_OK && e->sv == NULL)
		rc = fiber_park("a place in the pool", e->until);
	if (e->sv != NULL)
		return UP_OK;
	queue_remove(e);
	return rc == WAIT_TIMEOUT ? UP_BUSY : UP_CANCELLED;
}
