/*
 * pool_connections -- the connections of a server, those that idle among them: taken, given back, lent and
 * closed.
 *
 * Not for who waits for one (pool_queue), nor for connecting (pool).  Invariant: whenever a fiber parks,
 * each connection in a server's `all` is being made, has an owner, or idles.
 */
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
	pool_sweep_start(sv->pool);
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

/* --- taken ------------------------------------------------------------------------------------ */

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

/* --- given back ------------------------------------------------------------------------------- */

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

void
pool_give(struct upstream *up)
{
	up->owner = NULL;
	buf_clear(&up->cmds);
	if (!may_keep(up))
		pool_close(up);
	else if (!pool_give_to_waiter(up))
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
