/*
 * flood -- see flood.h: a small table, and one timer for all that is in it.
 *
 * Invariants: the clients stand in the order in which their times are over, so the first one's end is the timer's; the
 * timer runs while there is one.
 */
#include "proxy/smtp/flood.h"

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"

#define BY 64 /* octets of it that are kept: a rule's name, a limit */

struct refused { /* one client */
	uint64_t    client, until;
	struct addr addr; /* of the last one */
	unsigned    told;
	unsigned    more; /* that were only counted */
	uint8_t     n_by;
	char        by[BY]; /* of the last one */
};

struct flood {
	struct loop   *loop;
	struct timer   timer;
	unsigned       worker;
	unsigned       n;
	struct refused v[FLOOD_CLIENTS];
};

static void
say(const struct flood *f, const struct refused *r)
{
	struct log_line l;
	char            text[ADDR_TEXT];

	if (r->more == 0)
		return;
	log_begin(&l, loop_world(f->loop), SV("worker"), "refused-more");
	log_strv(&l, "client", addr_print(&r->addr, text));
	log_number(&l, "sessions", r->more);
	log_strv(&l, "by", strv(r->by, r->n_by));
	log_number(&l, "worker", f->worker);
	log_end(&l);
}

/* The first n are told of and go. */
static void
forget(struct flood *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		say(f, &f->v[i]);
	f->n -= n;
	memmove(f->v, f->v + n, f->n * sizeof(*f->v));
	if (f->n > 0)
		timer_start(f->loop, &f->timer, f->v[0].until);
	else
		timer_stop(f->loop, &f->timer);
}

static void
due(void *arg)
{
	struct flood *f = arg;
	uint64_t      now = loop_now(f->loop);
	unsigned      n = 0;

	while (n < f->n && f->v[n].until <= now)
		n++;
	forget(f, n);
}

struct flood *
flood_new(struct loop *l, unsigned worker)
{
	struct flood *f = mem_alloc(sizeof(*f));

	f->loop = l;
	f->worker = worker;
	f->timer = (struct timer){ .fn = due, .arg = f };
	return f;
}

void
flood_free(struct flood *f)
{
	if (f == NULL)
		return;
	forget(f, f->n);
	mem_free(f);
}

/* NULL: it is not there. */
static const struct refused *
find(const struct flood *f, uint64_t client)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i].client == client)
			return &f->v[i];
	return NULL;
}

/* NULL: there is no room. */
static struct refused *
add(struct flood *f, uint64_t client)
{
	struct refused *r = &f->v[f->n];

	if (f->n == FLOOD_CLIENTS)
		return NULL;
	*r = (struct refused){ .client = client, .until = loop_now(f->loop) + FLOOD_MS };
	if (f->n++ == 0)
		timer_start(f->loop, &f->timer, r->until);
	return r;
}

bool
flood_is(const struct flood *f, uint64_t client)
{
	const struct refused *r = f != NULL ? find(f, client) : NULL;

	return r != NULL && r->told == FLOOD_TOLD;
}

bool
flood_tells(struct flood *f, uint64_t client, const struct addr *addr, struct strv by)
{
	const struct refused *known = f != NULL ? find(f, client) : NULL;
	struct refused       *r;

	if (f == NULL)
		return true;
	r = known != NULL ? &f->v[known - f->v] : add(f, client);
	if (r == NULL)
		return true;
	if (r->told < FLOOD_TOLD) {
		r->told++;
		return true;
	}
	r->more++;
	r->addr = *addr;
	r->n_by = (uint8_t)(by.n < BY ? by.n : BY);
	memcpy(r->by, by.p != NULL ? by.p : "", r->n_by);
	return false;
}
