/*
 * dns_sim -- see dns_sim.h.  It is an actor, so its delays are the world's and not the loop's.
 *
 * Invariant: `done' is called once for each question that is not taken back, and never from a fiber but inside
 * the call that asks.
 */
#include <stdlib.h>

#include "proxy/base/dns_table.h"
#include "proxy/base/fiber.h"
#include "tests/sim/dns_sim.h"

#define KEEP_MS    300000u /* answers */
#define FAILURE_MS 5000u   /* SERVFAIL, as libunbound keeps it */
#define GIVE_UP_MS 20000u  /* a server that never answers */

struct delay {
	char          name[DNS_NAME_MAX];
	uint64_t      ms;
	struct delay *next;
};

struct flight { /* a question to the servers, then its answer in the cache */
	char               name[DNS_NAME_MAX];
	uint16_t           type;
	bool               answered, timeout;
	uint64_t           due; /* of the answer; then until when it is kept */
	struct strv        packet;
	struct dns_query **asker; /* NULL: taken back */
	unsigned           n, max;
	struct flight     *next; /* the newest first */
};

struct sim_dns {
	struct actor      actor;
	struct sim       *sim;
	struct arena     *a;
	struct dns_table *table;
	struct delay     *delays;
	uint64_t          delay, keep;
	struct flight    *flights; /* all that were ever asked: the journal */
};

static struct sim_dns *
of(struct world *w)
{
	return ((struct sim *)w->ctx)->dns;
}

/* ---- the side that answers ---- */

static void
hand_out(struct flight *f)
{
	enum dns_rc rc = f->timeout ? DNS_TEMP : DNS_OK;

	for (unsigned i = 0; i < f->n; i++) {
		struct dns_query *q = f->asker[i];

		f->asker[i] = NULL;
		if (q != NULL)
			q->done(q, rc, f->packet);
	}
	f->n = 0;
}

static void
answer(struct sim_dns *d, struct flight *f)
{
	bool failed;

	if (!f->timeout)
		f->packet = dns_table_answer(d->table, d->a, f->name, f->type, &f->timeout);
	else
		f->answered = true; /* it was given its time */
	if (f->timeout && !f->answered) {
		f->due = d->sim->clock + GIVE_UP_MS;
		return;
	}
	f->answered = true;
	failed = f->timeout || (f->packet.p[3] & 15) == 2;
	f->due = d->sim->clock + (failed ? FAILURE_MS : d->keep);
	sim_note(d->sim, "dns", "answers %s %s%s", f->name, dns_type_name(f->type),
	    f->timeout ? ": time over" : "");
	hand_out(f);
}

static bool
act(struct actor *actor, bool settled)
{
	struct sim_dns *d = (struct sim_dns *)actor;
	bool            did = false;

	(void)settled;
	actor->wake = SIM_NEVER;
	for (struct flight *f = d->flights; f != NULL; f = f->next) {
		if (f->answered)
			continue;
		if (f->due <= d->sim->clock) {
			answer(d, f);
			did = true;
		}
		if (!f->answered && f->due < actor->wake)
			actor->wake = f->due;
	}
	return did;
}

/* ---- the side that asks ---- */

static uint64_t
delay_of(const struct sim_dns *d, const char *name)
{
	for (const struct delay *x = d->delays; x != NULL; x = x->next)
		if (strcmp(x->name, name) == 0)
			return x->ms;
	return d->delay;
}

static struct flight *
depart(struct sim_dns *d, const struct dns_query *q)
{
	struct flight *f = arena_alloc(d->a, sizeof(*f));

	snprintf(f->name, sizeof(f->name), "%s", q->name);
	f->type = q->type;
	f->due = d->sim->clock + delay_of(d, q->name);
	f->next = d->flights;
	d->flights = f;
	if (f->due < d->actor.wake)
		d->actor.wake = f->due;
	sim_note(d->sim, "dns", "is asked for %s %s", f->name, dns_type_name(f->type));
	return f;
}

static struct flight *
find(const struct sim_dns *d, const struct dns_query *q)
{
	for (struct flight *f = d->flights; f != NULL; f = f->next)
		if (f->type == q->type && strcmp(f->name, q->name) == 0 &&
		    (!f->answered || f->due > d->sim->clock))
			return f;
	return NULL;
}

static void
world_dns(struct world *w, struct dns_query *q)
{
	struct sim_dns *d = of(w);
	struct flight  *f = find(d, q);

	if (f == NULL)
		f = depart(d, q);
	f->asker = arena_grow(d->a, f->asker, &f->max, f->n + 1, sizeof(struct dns_query *));
	f->asker[f->n++] = q;
	q->own = f;
	if (f->answered)
		hand_out(f);
}

static void
world_dns_cancel(struct world *w, struct dns_query *q)
{
	struct flight *f = q->own;

	(void)w;
	for (unsigned i = 0; i < f->n; i++)
		if (f->asker[i] == q)
			f->asker[i] = NULL;
}

/* ---- for the tests ---- */

static void
nothing_to_free(struct actor *a)
{
	(void)a; /* sim_dns_free does it */
}

struct sim_dns *
sim_dns_new(struct sim *s)
{
	struct sim_dns *d = mem_alloc(sizeof(*d));

	d->actor =
	    (struct actor){ .fd = -1, .act = act, .free = nothing_to_free, .wake = SIM_NEVER };
	d->sim = s;
	d->a = arena_new(4096, 0);
	d->table = dns_table_new(d->a);
	d->keep = KEEP_MS;
	s->world.dns = world_dns;
	s->world.dns_cancel = world_dns_cancel;
	sim_actor(s, &d->actor, "dns");
	return d;
}

void
sim_dns_free(struct sim_dns *d)
{
	arena_free(d->a);
	mem_free(d);
}

bool
sim_dns_add(
    struct sim_dns *d, struct strv name, struct strv type, struct strv value, const char **why)
{
	return dns_table_add(d->table, name, type, value, why);
}

bool
sim_dns_change(
    struct sim_dns *d, struct strv name, struct strv type, struct strv value, const char **why)
{
	dns_table_drop(d->table, name);
	return strv_eq(type, SV("gone")) || dns_table_add(d->table, name, type, value, why);
}

void
sim_dns_delay(struct sim_dns *d, struct strv name, uint64_t ms)
{
	struct delay *x;

	if (name.n == 0) {
		d->delay = ms;
		return;
	}
	x = arena_alloc(d->a, sizeof(*x));
	dns_name(name, x->name);
	x->ms = ms;
	x->next = d->delays;
	d->delays = x;
}

void
sim_dns_keep(struct sim_dns *d, uint64_t ms)
{
	d->keep = ms;
}

unsigned
sim_dns_asked(const struct sim_dns *d, struct strv name, struct strv type)
{
	unsigned n = 0;

	for (const struct flight *f = d->flights; f != NULL; f = f->next)
		n += sim_match(name, strv_z(f->name)) &&
		    sim_match(type, strv_z(dns_type_name(f->type)));
	return n;
}

unsigned
sim_dns_waiting(const struct sim_dns *d)
{
	unsigned n = 0;

	for (const struct flight *f = d->flights; f != NULL; f = f->next)
		for (unsigned i = 0; i < f->n; i++)
			n += f->asker[i] != NULL;
	return n;
}
