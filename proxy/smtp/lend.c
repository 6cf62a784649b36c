/*
 * lend -- see lend.h
 *
 * Invariant: a connection is lendable only while its session is parked between lend_begin and lend_end, with a
 * transaction open in it whose every reply has come and of whose text nothing has been sent.
 */
#include "proxy/smtp/lend.h"

/* A server knows the user of a bound one alone; a text that is streamed is not here to be sent again. */
static bool
may_lend(const struct session *s)
{
	const struct relay *r = &s->relay;

	return r->up != NULL && !s->bound && !r->broken && !r->streaming && r->mail == MAIL_OK &&
	    r->up->n_owed == 0;
}

static void
waits_long(void *arg)
{
	struct session *s = arg;

	if (pool_crowded(s->relay.pool))
		pool_lend(s->relay.up);
	else
		pool_lendable(s->relay.up, true);
}

void
lend_begin(struct lend *l, struct session *s)
{
	struct loop *loop = s->smtp->loop;

	*l = (struct lend){ .timer = { .fn = waits_long, .arg = s }, .s = s };
	if (may_lend(s))
		timer_start(loop, &l->timer, loop_now(loop) + LEND_MS);
}

void
lend_end(struct lend *l)
{
	timer_stop(l->s->smtp->loop, &l->timer);
	if (l->s->relay.up != NULL)
		pool_lendable(l->s->relay.up, false);
}
