/*
 * smtp -- what the sessions of one loop share: made, drained, freed.
 */
#include "proxy/base/netset.h"
#include "proxy/smtp/session.h"

#define FIBER_STACK (64 * 1024)
#define FIBERS_MAX  20000 /* two mappings each: below vm.max_map_count */
#define FIBERS_KEEP 256
#define BUFS_KEEP   32

struct smtp *
smtp_new(const struct smtp_conf *conf, struct world *w, struct loop *l, struct counters *c,
    unsigned place)
{
	struct smtp *m = mem_alloc(sizeof *m);

	m->conf = conf;
	m->world = w;
	m->loop = l;
	m->counters = c;
	m->place = place;
	m->key = conf->key;
	m->fibers = fiber_pool_new(l, FIBER_STACK, FIBERS_MAX, FIBERS_KEEP);
	m->bufs = bufpool_new(BUFS_KEEP);
	m->spools = spool_pool_new(
	    w, conf->spool_dir, conf->spool_memory, conf->limits.spool_total);
	m->n_pool = conf->n_pool;
	m->pool = mem_array(m->n_pool, sizeof *m->pool);
	for (unsigned i = 0; i < m->n_pool; i++)
		m->pool[i] = pool_new(m, &conf->pool[i]);
	return m;
}

/* RFC 8601 5: of peers within our own trust boundary what they say in our name is true. */
struct strv
smtp_authserv(const struct smtp_conf *conf, const struct addr *client)
{
	if (conf->authserv_trust != NULL && netset_has(conf->authserv_trust, client))
		return (struct strv){ NULL, 0 };
	return conf->authserv;
}

/* The last session is gone: the pool's fibers end in the wake queue, then the caller hears of it. */
void
smtp_is_drained(struct smtp *m)
{
	for (unsigned i = 0; i < m->n_pool; i++)
		pool_stop(m->pool[i]);
	if (m->drained != NULL)
		loop_defer(m->loop, m->drained, m->drained_arg);
}

void
smtp_drain(struct smtp *m, void (*done)(void *arg), void *arg)
{
	m->draining = true;
	m->drained = done;
	m->drained_arg = arg;
	for (struct session *s = m->sessions; s != NULL; s = s->next)
		session_drain(s);
	if (m->n_sessions == 0)
		smtp_is_drained(m);
}

void
smtp_abort(struct smtp *m)
{
	for (struct session *s = m->sessions; s != NULL; s = s->next)
		session_abort(s);
}

unsigned
smtp_sessions(const struct smtp *m)
{
	return m->n_sessions;
}

struct server_look
smtp_look_server(const struct smtp *m, unsigned pool, unsigned server)
{
	return pool_look(m->pool[pool], server);
}

unsigned
smtp_look_waiting(const struct smtp *m, unsigned pool)
{
	return pool_waiting(m->pool[pool]);
}

bool
smtp_look_settled(const struct smtp *m)
{
	for (unsigned i = 0; i < m->n_pool; i++)
		if (!pool_settled(m->pool[i]))
			return false;
	return true;
}

void
smtp_free(struct smtp *m)
{
	for (unsigned i = 0; i < m->n_pool; i++)
		pool_free(m->pool[i]);
	mem_free(m->pool);
	while (m->n_spare > 0)
		arena_free(m->spare[--m->n_spare]);
	slots_spare_fini(&m->spare_slots);
	spool_pool_free(m->spools);
	bufpool_free(m->bufs);
	fiber_pool_free(m->fibers);
	mem_free(m);
}
