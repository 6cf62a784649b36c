/*
 * route -- from listener and recipient to a pool.  Which server of it is the pool's affair.
 */
#include "proxy/smtp/route.h"

void
route_session(struct session *s)
{
	s->relay.pool = s->smtp->pool[s->listener->pool];
	s->relay.hop = pool_hop(s->relay.pool);
}

bool
route_up(const struct session *s)
{
	return pool_up(s->smtp->pool[s->listener->pool]);
}

struct ehlo
route_ehlo(const struct session *s)
{
	struct ehlo e = { 0 };

	(void)pool_ehlo(s->smtp->pool[s->listener->pool], &e);
	return e;
}
