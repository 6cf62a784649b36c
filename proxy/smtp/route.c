/*
 * route -- from listener and recipient to a pool.  Which server of it is the pool's affair.
 *
 * Invariant: relay.pool, relay.hop and relay.up belong together; a connection never goes to
 * another pool.
 */
#include "proxy/smtp/route.h"

#include "proxy/smtp/sessionlog.h"

static struct pool *
of_listener(const struct session *s)
{
	return s->smtp->pool[s->listener->pool];
}

static bool
needs_all(const struct session *s)
{
	return judge_routes(s->smtp->conf->judge);
}

static bool
needs(const struct session *s, const struct pool *p)
{
	return p == of_listener(s) || needs_all(s);
}

/* What is kept of the pool that is left goes back to it. */
static void
go_to(struct session *s, struct pool *p)
{
	struct relay    *r = &s->relay;
	struct upstream *up = r->up;

	if (r->pool == p)
		return;
	r->up = NULL;
	if (up != NULL)
		pool_give(up);
	r->pool = p;
	r->hop = pool_hop(p);
	r->avoid = 0;
}

void
route_session(struct session *s)
{
	go_to(s, of_listener(s));
}

/* Before the first attempt at each of them is over an offer would soon be more than they keep. */
bool
route_up(const struct session *s)
{
	struct smtp *m = s->smtp;
	bool         up = false;

	for (unsigned i = 0; i < m->n_pool; i++) {
		if (!needs(s, m->pool[i]))
			continue;
		if (!pool_settled(m->pool[i]))
			return false;
		up = up || pool_up(m->pool[i]);
	}
	return up;
}

struct ehlo
route_ehlo(const struct session *s)
{
	struct smtp *m = s->smtp;
	struct ehlo  own = { 0 }, all = { 0 }, e;
	bool         found = false;

	if (s->listener->require_auth)
		pool_require_auth(of_listener(s));
	(void)pool_ehlo(of_listener(s), &own);
	for (unsigned i = 0; i < m->n_pool; i++) {
		if (!needs(s, m->pool[i]) || !pool_ehlo(m->pool[i], &e))
			continue;
		all = found ? ehlo_intersect(&all, &e) : e;
		found = true;
	}
	/*
	 * AUTH goes to the listener's pool alone, and whoever has said it is not routed any more.
	 */
	all.auth = own.auth;
	return all;
}

/* --- recipients ------------------------------------------------------------------------------- */

/* No word: the listener's. That a word names a pool was seen at load. */
static struct pool *
find(const struct session *s, struct strv name)
{
	struct smtp *m = s->smtp;

	for (unsigned i = 0; name.p != NULL && i < m->n_pool; i++)
		if (strv_eq(m->conf->pool[i].name, name))
			return m->pool[i];
	return of_listener(s);
}

/*
 * Postfix's transport is per recipient, but its SASL login is not: who authenticated speaks to one
 * server.
 */
static struct pool *
wanted(const struct session *s, struct strv name)
{
	return s->bound ? s->relay.pool : find(s, name);
}

/* The server refused all that went there: what it knows of this transaction is given up with it. */
static void
start_over(struct session *s, struct pool *p)
{
	if (s->relay.hop->end != NULL)
		s->relay.hop->end(s);
	go_to(s, p);
	relay_begin(s);
}

static bool
same_class(const struct session *s, struct strv class)
{
	return strv_eq(s->relay.class, class);
}

/*
 * RFC 5321 4.5.3.1.10: 452 is what makes a client come again with the recipient, in a transaction
 * of its own.  No reply to one transaction can speak for two servers, or for two rules.
 */
MAY_YIELD static bool
fits(struct session *s, struct pool *p, struct strv class)
{
	if (!s->relay.routed || (p == s->relay.pool && same_class(s, class)))
		return true;
	relay_settle(s);
	if (envelope_taken(&session_tx(s)->env) == 0)
		return true;
	say(s, 452, "4.5.3", SV("send this recipient in a transaction of its own"));
	return false;
}

static void
settle(struct session *s, struct pool *p, struct strv class)
{
	if (s->relay.routed && p != s->relay.pool)
		start_over(s, p);
	go_to(s, p);
	s->relay.class = class;
	s->relay.routed = true;
}

bool
route_rcpt(struct session *s, unsigned i)
{
	struct strv  name = { NULL, 0 }, class = { NULL, 0 };
	bool         unknown = false;
	struct pool *p;

	if (!needs_all(s))
		return true;
	if (judge_route(s->hearing, i, &name, &class, &unknown) != WAIT_OK)
		return false;
	if (unknown) {
		session_log_event(s, "route-unknown", "a map could not be asked");
		say(s, 451, "4.4.3",
		    SV("where this recipient's mail goes is not known now, try again"));
		return false;
	}
	p = wanted(s, name);
	if (!fits(s, p, class))
		return false;
	settle(s, p, class);
	return true;
}
