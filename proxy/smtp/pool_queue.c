/*
 * pool_queue -- the sessions that wait for a connection or for a place, and who of them gets what comes
 * free.
 *
 * Not for which server it is (pool_choice), nor for the connections themselves (pool_connections).  The
 * invariant is pool_own.h's.
 */
#include <limits.h>

#include "proxy/smtp/pool_own.h"
#include "proxy/smtp/sessionlog.h"

/* --- the list --------------------------------------------------------------------------------- */

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

/* --- served ----------------------------------------------------------------------------------- */

/*
 * It has an owner from here on: should it die before that one runs, nobody frees it under its
 * hands.
 */
static void
hand_over(struct pool_errand *e, struct pool_server *sv, struct upstream *up)
{
	queue_remove(e);
	sv->silence.trial = false;
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

/* At most `max` of those that wait, in their order, with what is free. */
static void
serve(struct pool *p, unsigned max)
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

/* The first that wants it: whose choice is another server by now is served with the others, by pool_catch_up. */
static void
serve_place(struct pool_server *sv, bool bound)
{
	for (struct pool_errand *e = sv->pool->queue[bound].first; e != NULL; e = e->next) {
		if (!pool_suits(e, sv, false))
			continue;
		e->sv = pool_choose(e);
		if (e->sv == NULL)
			continue;
		hand_over(e, e->sv, pool_claim(e));
		return;
	}
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
		serve_place(sv, bound);
}

/* Those who want a fresh one have use for its place alone. */
bool
pool_give_to_waiter(struct upstream *up)
{
	struct pool_errand *e = up->sv->pool->queue[0].first;

	while (e != NULL && !pool_suits(e, up->sv, true))
		e = e->next;
	if (e == NULL)
		return false;
	hand_over(e, up->sv, up);
	return true;
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
	serve(p, UINT_MAX);
	for (e = p->queue[0].first; e != NULL;)
		e = borrow(e) ? p->queue[0].first : e->next;
}

enum up_rc
pool_wait(struct pool_errand *e)
{
	enum wait_rc rc = WAIT_OK;
	bool         left = pool_client_left(e->session);

	e->fiber = fiber_self();
	e->sv = NULL;
	e->up = NULL;
	queue_add(e);
	pool_catch_up(e->pool);
	if (e->sv == NULL)
		(void)borrow(e);
	while (rc == WAIT_OK && e->sv == NULL)
		rc = fiber_park("a place in the pool", e->until);
	if (!left && pool_client_left(e->session))
		session_log_waited(e->session, "place");
	if (e->sv != NULL)
		return UP_OK;
	queue_remove(e);
	return rc == WAIT_TIMEOUT ? UP_BUSY : UP_CANCELLED;
}
