/*
 * pool_choice -- which server of a pool.  Pure: looks at what is written down, never parks, opens
 * nothing.
 *
 * Servers fall into ranks; of the best rank that is left to an errand the one with the least work
 * for its weight is taken.  Invariant: a dead server is nobody's choice while any other of its
 * pool is alive.
 */
#include "proxy/smtp/pool_own.h"

static unsigned
common_divisor(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

void
pool_weigh(struct pool *p)
{
	unsigned by = 0;

	for (unsigned i = 0; i < p->n; i++)
		by = common_divisor(p->sv[i].conf->weight, by);
	for (unsigned i = 0; i < p->n; i++)
		p->sv[i].weight = by > 0 ? p->sv[i].conf->weight / by : 1;
}

unsigned
pool_in_use(const struct pool_server *sv)
{
	unsigned rest = sv->n_idle + sv->n_making;

	return sv->n_open > rest ? sv->n_open - rest : 0;
}

bool
pool_has_room(const struct pool_server *sv, bool bound)
{
	if (bound)
		return sv->n_bound < sv->conf->auth_connections;
	return sv->n_idle > 0 || sv->n_open - sv->n_bound < sv->conf->connections;
}

/* --- ranks ------------------------------------------------------------------------------------ */

#define RANK_REFUSING 1 /* it turned a new connection away while others of it work */
#define RANK_BACKUP   2
#define RANK_LATE     4 /* it let a command run into its timeout */
#define RANK_AVOIDED  8 /* it has failed this transaction once: no other must be left */
#define RANK_DEAD     16
#define RANK_NONE     32

static bool
any_alive(const struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (pool_alive(&p->sv[i]))
			return true;
	return false;
}

static bool
offers(const struct pool_server *sv, uint32_t mechanisms)
{
	return !sv->known || (sv->ehlo.auth & mechanisms) == mechanisms;
}

/* A trial is for whoever can begin it: where there is no place for one nobody waits for it. */
static bool
is_behind(const struct pool_errand *e, const struct pool_server *sv)
{
	return sv->silence.late && !(sv->silence.trial && pool_has_room(sv, e->wish->bound));
}

/* RANK_NONE: not to be asked.  `alive`: some server of the pool is. */
static unsigned
rank(const struct pool_errand *e, const struct pool_server *sv, bool has_one, bool alive)
{
	uint64_t bit = UINT64_C(1) << sv->index;
	unsigned r = 0;

	if ((e->tried & bit) || !offers(sv, e->wish->auth) || (alive && !pool_alive(sv)))
		return RANK_NONE;
	r += pool_alive(sv) ? 0 : RANK_DEAD;
	r += (e->wish->avoid & bit) ? RANK_AVOIDED : 0;
	r += is_behind(e, sv) ? RANK_LATE : 0;
	r += sv->conf->backup ? RANK_BACKUP : 0;
	r += sv->refusing && !has_one && sv->n_idle == 0 ? RANK_REFUSING : 0;
	return r;
}

static unsigned
best_rank(const struct pool_errand *e, bool alive)
{
	unsigned best = RANK_NONE;

	for (unsigned i = 0; i < e->pool->n; i++) {
		unsigned r = rank(e, &e->pool->sv[i], false, alive);

		if (r < best)
			best = r;
	}
	return best;
}

bool
pool_suits(const struct pool_errand *e, const struct pool_server *sv, bool has_one)
{
	bool     alive = any_alive(e->pool);
	unsigned r = rank(e, sv, has_one, alive);

	return r != RANK_NONE && r <= best_rank(e, alive);
}

bool
pool_any_left(const struct pool_errand *e)
{
	return best_rank(e, any_alive(e->pool)) != RANK_NONE;
}

/* --- weight ----------------------------------------------------------------------------------- */

/*
 * By connections in use alone a server of weight 1 beside one of weight 3 would get nothing from
 * clients that come one after the other.  So what was given lately counts as well: in rounds, each
 * of as many as the weights say, and never more than two of them, so that it cannot outweigh a
 * server that is slow.
 */
static uint64_t
load(const struct pool_server *sv)
{
	return (uint64_t)pool_in_use(sv) + sv->given + 1;
}

static bool
is_lighter(const struct pool_server *a, const struct pool_server *b)
{
	return load(a) * b->weight < load(b) * a->weight;
}

static void
count_given(struct pool *p, struct pool_server *sv)
{
	p->start = (sv->index + 1) % p->n;
	if (sv->given < 2 * sv->weight)
		sv->given++;
	for (unsigned i = 0; i < p->n; i++)
		if (pool_alive(&p->sv[i]) && p->sv[i].conf->backup == sv->conf->backup &&
		    p->sv[i].given < p->sv[i].weight)
			return;
	for (unsigned i = 0; i < p->n; i++)
		p->sv[i].given -= p->sv[i].given < p->sv[i].weight ? p->sv[i].given :
								     p->sv[i].weight;
}

struct pool_server *
pool_choose(const struct pool_errand *e)
{
	struct pool        *p = e->pool;
	bool                alive = any_alive(p);
	unsigned            best = best_rank(e, alive);
	struct pool_server *found = NULL;

	for (unsigned i = 0; i < p->n && best != RANK_NONE; i++) {
		struct pool_server *sv = &p->sv[(p->start + i) % p->n];

		if (rank(e, sv, false, alive) == best && pool_has_room(sv, e->wish->bound) &&
		    (found == NULL || is_lighter(sv, found)))
			found = sv;
	}
	if (found == NULL)
		return NULL;
	count_given(p, found);
	found->silence.trial = false;
	return found;
}

/* --- what it is like, for show ----------------------------------------------------------------- */

struct server_look
pool_look(const struct pool *p, unsigned server)
{
	const struct pool_server *sv = &p->sv[server];

	return (
	    struct server_look){ pool_alive(sv), sv->silence.late, sv->n_open, pool_in_use(sv) };
}

unsigned
pool_waiting(const struct pool *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++)
		for (const struct pool_errand *e = p->queue[i].first; e != NULL; e = e->next)
			n++;
	return n;
}
