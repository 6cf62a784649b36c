/*
 * dns.c -- a fiber asks the world's resolver and parks until it knows.
 *
 * An answer is taken apart in the callback, into the asker's arena, so no packet is kept.  A question lives on
 * the asker's stack: whoever stops waiting takes it back first, then nobody calls for it any more.
 */
#include "proxy/base/dns.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

enum { QUESTIONS = 2 }; /* at once, by one call */

struct question {
	struct dns_query  q;
	struct asking    *of;
	bool              done;
	enum dns_rc       rc;
	struct dns_answer answer;
};

struct asking {
	struct arena   *a;
	struct world   *w;
	struct fiber   *fiber;
	char            name[DNS_NAME_MAX];
	unsigned        n;
	struct question v[QUESTIONS];
};

static void
answered(struct dns_query *q, enum dns_rc rc, struct strv packet)
{
	struct question *x = q->arg;

	x->rc = rc == DNS_OK ? dns_unpack(x->of->a, packet, q->name, q->type, &x->answer) : rc;
	x->done = true;
	if (x->of->fiber != fiber_self()) /* else: inside the call that asks */
		fiber_wake(x->of->fiber);
}

static void
start(struct asking *x, uint16_t type)
{
	struct question *v = &x->v[x->n++];

	*v = (struct question){ .q = { .name = x->name, .type = type, .done = answered, .arg = v },
		.of = x,
		.rc = DNS_TEMP };
	if (x->w->dns == NULL)
		v->done = true;
	else
		x->w->dns(x->w, &v->q);
}

static bool
all_done(const struct asking *x)
{
	for (unsigned i = 0; i < x->n; i++)
		if (!x->v[i].done)
			return false;
	return true;
}

/* What is not known at the deadline is DNS_TEMP. */
MAY_YIELD static enum wait_rc
await(struct asking *x, unsigned ms)
{
	uint64_t     until = loop_now(fiber_loop()) + (ms == 0 ? DNS_TIME : ms);
	enum wait_rc rc = WAIT_OK;

	while (rc == WAIT_OK && !all_done(x))
		rc = fiber_park("the resolver", until);
	for (unsigned i = 0; i < x->n; i++)
		if (!x->v[i].done)
			x->w->dns_cancel(x->w, &x->v[i].q);
	return rc;
}

/* DNS_OK: it can be asked. */
static enum dns_rc
prepare(struct asking *x, struct arena *a, struct strv name)
{
	x->a = a;
	x->fiber = fiber_self();
	x->w = loop_world(fiber_loop());
	x->n = 0;
	if (x->fiber->cancelled)
		return DNS_CANCELLED;
	return dns_name(name, x->name) ? DNS_OK : DNS_NXDOMAIN;
}

MAY_YIELD enum dns_rc
dns_ask(struct arena *a, struct strv name, uint16_t type, unsigned ms, struct dns_answer *out)
{
	struct asking x;
	enum dns_rc   rc = prepare(&x, a, name);

	if (rc != DNS_OK)
		return rc;
	start(&x, type);
	if (await(&x, ms) == WAIT_CANCELLED)
		return DNS_CANCELLED;
	if (x.v[0].rc == DNS_OK)
		*out = x.v[0].answer;
	return x.v[0].rc;
}

static void
join(
    struct arena *a, const struct dns_answer *x, const struct dns_answer *y, struct dns_answer *out)
{
	out->n = x->n + y->n;
	out->v = arena_array(a, out->n, sizeof(*out->v));
	memcpy(out->v, x->v, x->n * sizeof(*x->v));
	memcpy(out->v + x->n, y->v, y->n * sizeof(*y->v));
	out->ttl = x->ttl < y->ttl ? x->ttl : y->ttl;
}

/* A resolver that gives NXDOMAIN to one type and NODATA to the other says: there is such a name. */
static enum dns_rc
neither(enum dns_rc x, enum dns_rc y)
{
	static const enum dns_rc order[] = { DNS_TEMP, DNS_BAD, DNS_NODATA };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (x == order[i] || y == order[i])
			return order[i];
	return DNS_NXDOMAIN;
}

MAY_YIELD enum dns_rc
dns_ask_addrs(struct arena *a, struct strv name, unsigned ms, struct dns_answer *out)
{
	struct asking    x;
	enum dns_rc      rc = prepare(&x, a, name);
	struct question *v4 = &x.v[0], *v6 = &x.v[1];

	if (rc != DNS_OK)
		return rc;
	start(&x, DNS_A);
	start(&x, DNS_AAAA);
	if (await(&x, ms) == WAIT_CANCELLED)
		return DNS_CANCELLED;
	if (v4->rc == DNS_OK && v6->rc == DNS_OK)
		join(a, &v4->answer, &v6->answer, out);
	else if (v4->rc == DNS_OK)
		*out = v4->answer;
	else if (v6->rc == DNS_OK)
		*out = v6->answer;
	else
		return neither(v4->rc, v6->rc);
	return DNS_OK;
}
