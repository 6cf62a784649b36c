/*
 * pool_probe -- which servers are up: what each attempt says about it, probes of those that are
 * not, who is told, and what is made or closed ahead of need.
 */
#include <stdio.h>

#include "proxy/base/log.h"
#include "proxy/smtp/pool_own.h"

/* --- who wants to know that a server is up ---------------------------------------------------- */

static void
hurry(struct pool_server *sv)
{
	struct loop *l = sv->pool->smtp->loop;

	if (pool_alive(sv) && !sv->refusing)
		return;
	if (sv->probe.pos != 0 && sv->probe.at > loop_now(l) + PROBE_MS)
		timer_start(l, &sv->probe, loop_now(l) + PROBE_MS);
}

void
pool_watch(struct smtp *m, struct pool_watch *w)
{
	w->prev = NULL;
	w->next = m->watch;
	if (m->watch != NULL)
		m->watch->prev = w;
	m->watch = w;
	w->on = true;
	for (unsigned i = 0; i < m->n_pool; i++)
		for (unsigned k = 0; k < m->pool[i]->n; k++)
			hurry(&m->pool[i]->sv[k]);
}

void
pool_unwatch(struct smtp *m, struct pool_watch *w)
{
	if (!w->on)
		return;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		m->watch = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	w->on = false;
}

static void
tell_watchers(struct smtp *m)
{
	while (m->watch != NULL) {
		struct pool_watch *w = m->watch;

		pool_unwatch(m, w);
		w->fn(w->arg);
	}
}

/* Too long for a client to wait: what is known by now must do. */
static void
settle(void *arg)
{
	struct pool *p = arg;

	timer_stop(p->smtp->loop, &p->settle);
	p->settled = true;
	tell_watchers(p->smtp);
}

static void
first_attempt_over(struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (!p->sv[i].known && !p->sv[i].down)
			return;
	if (!p->settled)
		settle(p);
}

/* --- up, down, turned away -------------------------------------------------------------------- */

void
pool_log_server(const struct pool_server *sv, const char *what, struct strv why)
{
	struct log_line l;

	log_begin(&l, sv->pool->smtp->world, SV("worker"), what);
	log_strv(&l, "server", sv->conf->name);
	if (why.n > 0)
		log_strv(&l, "why", why);
	log_number(&l, "worker", sv->pool->smtp->conf->worker);
	log_end(&l);
}

/*
 * A server that has come up gets its full share at once, those that wait first.  It need not be
 * spared: its ceiling bounds what it gets, it has just answered, and if it fails again the first
 * failure marks it down and each session goes on to another server with its place in the queue.
 * What it got before it went down is forgotten; it has no claim to what it missed either, for the
 * others' counts stay within two rounds.
 */
void
pool_is_up(struct pool_server *sv, const struct upstream *up, bool of_client)
{
	struct smtp *m = sv->pool->smtp;
	bool         was_down = !pool_alive(sv), news = was_down || sv->refusing;

	pool_heard(sv, up, of_client);
	sv->known = true;
	sv->down = sv->refusing = false;
	sv->up_at = loop_now(m->loop);
	sv->probe_ms = PROBE_MS;
	timer_stop(m->loop, &sv->probe);
	pool_plan_asking(sv);
	if (news) {
		pool_log_server(sv, "upstream-up", SV(""));
		sv->given = 0;
		if (was_down)
			pool_silence_trial(sv);
		sv->pool->changed = true;
	}
	first_attempt_over(sv->pool);
	tell_watchers(m);
}

/* A server that refuses one connection more, and works on others, is not down. */
static bool
any_works(const struct pool_server *sv, const struct upstream *but)
{
	for (const struct upstream *up = sv->all; up != NULL; up = up->all_next)
		if (up != but && !up->connecting && !up->io.fault && !up->io.eof)
			return true;
	return false;
}

static void
say_down(struct pool_server *sv, struct strv why)
{
	if (why.n > 0)
		snprintf(sv->why, sizeof(sv->why), "%.*s", (int)why.n, why.p);
	else
		sv->why[0] = '\0';
	sv->why_at = loop_now(sv->pool->smtp->loop);
	pool_log_server(sv, "upstream-down", why);
}

/* That it is down for another reason by now may be news to who repairs it. */
static void
is_still_down(struct pool_server *sv, struct strv why)
{
	if (!strv_starts(why, strv_z(sv->why)) &&
	    loop_now(sv->pool->smtp->loop) - sv->why_at >= DOWN_AGAIN_MS)
		say_down(sv, why);
}

static void
is_down(struct pool_server *sv, struct strv why)
{
	if (pool_alive(sv))
		sv->up_at = loop_now(sv->pool->smtp->loop);
	say_down(sv, why);
	sv->down = true;
	sv->refusing = false;
}

/* With one server alone there is nobody to prefer to it. */
static bool
turns_away(struct pool_server *sv, struct strv why)
{
	if (sv->refusing || sv->pool->n == 1)
		return false;
	pool_log_server(sv, "upstream-refuses-more", why);
	sv->refusing = true;
	return true;
}

void
pool_failed(struct pool_server *sv, const struct upstream *up, struct strv why)
{
	struct pool *p = sv->pool;
	uint64_t     now = loop_now(p->smtp->loop);
	bool         news = !sv->down;

	/* It was we who closed it. */
	if (p->stopped)
		return;
	if (any_works(sv, up))
		news = turns_away(sv, why);
	else if (news)
		is_down(sv, why);
	else
		is_still_down(sv, why);
	if ((sv->down || sv->refusing) && !sv->probing &&
	    (sv->probe.pos == 0 || sv->probe.at > now + sv->probe_ms))
		timer_start(p->smtp->loop, &sv->probe, now + sv->probe_ms);
	first_attempt_over(p);
	/* A backup may be their choice now, or a server that was no better than this one. */
	p->changed = p->changed || news;
}

/* --- probes ----------------------------------------------------------------------------------- */

static bool
needs_probe(const struct pool_server *sv)
{
	return !sv->pool->stopped && (!pool_alive(sv) || sv->refusing || pool_needs_asking(sv));
}

static bool
has_place(const struct pool_server *sv)
{
	return sv->n_open - sv->n_bound < sv->conf->connections;
}

static void
probe_end(struct pool_server *sv)
{
	struct smtp *m = sv->pool->smtp;

	sv->probing = false;
	if (!needs_probe(sv))
		return;
	if (pool_alive(sv) && !sv->refusing) {
		pool_plan_asking(sv);
		return;
	}
	/* Clients that wait for their greeting are told within seconds. */
	if (m->watch != NULL)
		sv->probe_ms = PROBE_MS / 2;
	sv->probe_ms = sv->probe_ms * 2 < PROBE_MAX_MS ? sv->probe_ms * 2 : PROBE_MAX_MS;
	timer_start(m->loop, &sv->probe, loop_now(m->loop) + sv->probe_ms);
}

static void
probe_fiber(void *arg)
{
	struct pool_server *sv = arg;
	struct upstream    *up = NULL;

	if (pool_make(sv, NULL, false, NULL, &up, NULL) == UP_OK)
		pool_give(up);
	pool_catch_up(sv->pool);
	probe_end(sv);
}

/* One attempt at a time, while there is a place for it. */
static void
probe(void *arg)
{
	struct pool_server *sv = arg;

	if (!needs_probe(sv) || sv->probing)
		return;
	sv->probing = true;
	sv->asked_at = loop_now(sv->pool->smtp->loop);
	if (!has_place(sv)) {
		probe_end(sv);
		return;
	}
	sv->n_open++;
	if (fiber_start(sv->pool->smtp->fibers, "probe", probe_fiber, sv) == NULL) {
		sv->n_open--;
		probe_end(sv);
	}
}

/* --- connections made ahead ------------------------------------------------------------------- */

/* One fiber, one connection, put among the idle. */
static void
make_idle(void *arg)
{
	struct pool_server *sv = arg;
	struct upstream    *up = NULL;
	enum up_rc          rc = pool_make(sv, NULL, false, NULL, &up, NULL);

	sv->n_making--;
	if (rc == UP_OK)
		pool_give(up);
	pool_catch_up(sv->pool);
}

static bool
start_making(struct pool_server *sv)
{
	sv->n_open++;
	sv->n_making++;
	if (fiber_start(sv->pool->smtp->fibers, "upstream", make_idle, sv) != NULL)
		return true;
	sv->n_open--;
	sv->n_making--;
	return false;
}

static void
warm(void *arg)
{
	struct pool_server *sv = arg;
	struct pool        *p = sv->pool;

	sv->warming = false;
	while (!p->stopped && pool_alive(sv) && !sv->refusing && !pool_crowded(p) &&
	    sv->n_idle + sv->n_making < POOL_READY && has_place(sv))
		if (!start_making(sv))
			return;
}

/* A connection behind a PROXY header is somebody's from its first octet: none can be made ahead. */
void
pool_warm(struct pool_server *sv)
{
	/* Who drains has fewer sessions to come than connections. */
	if (sv->conf->identity != IDENTITY_XCLIENT || sv->warming || sv->pool->stopped ||
	    sv->pool->smtp->draining)
		return;
	sv->warming = true;
	loop_defer(sv->pool->smtp->loop, warm, sv);
}

/* --- connections that nobody has used for a while --------------------------------------------- */

/*
 * A named connection that its session leaves unused serves nobody; a bound one is all that its
 * session has.
 */
static void
sweep_named(struct pool_server *sv, uint64_t now)
{
	struct upstream *up = sv->all, *next;

	for (; up != NULL; up = next) {
		next = up->all_next;
		if (up->owner == NULL || !up->named || up->bound || up->idle_since == 0 ||
		    now - up->idle_since < POOL_IDLE_MS)
			continue;
		up->owner->relay.up = NULL;
		pool_close(up);
	}
}

static void
sweep(void *arg)
{
	struct pool *p = arg;
	uint64_t     now = loop_now(p->smtp->loop);
	bool         any = false;

	for (unsigned i = 0; i < p->n; i++) {
		struct pool_server *sv = &p->sv[i];

		while (sv->idle_last != NULL && now - sv->idle_last->idle_since >= POOL_IDLE_MS)
			pool_close(sv->idle_last);
		sweep_named(sv, now);
		pool_silence_sweep(sv, now);
		any = any || sv->all != NULL;
	}
	if (any && !p->stopped)
		timer_start(p->smtp->loop, &p->sweep, now + SWEEP_MS);
}

void
pool_sweep_start(struct pool *p)
{
	if (p->sweep.pos == 0 && !p->stopped)
		timer_start(p->smtp->loop, &p->sweep, loop_now(p->smtp->loop) + SWEEP_MS);
}

/* --- beginning and end ------------------------------------------------------------------------ */

void
pool_probe_init(struct pool *p)
{
	struct loop *l = p->smtp->loop;

	p->sweep.fn = sweep;
	p->settle.fn = settle;
	p->sweep.arg = p->settle.arg = p;
	pool_silence_init(p);
	for (unsigned i = 0; i < p->n; i++) {
		p->sv[i].probe_ms = PROBE_MS;
		p->sv[i].probe.fn = probe;
		p->sv[i].probe.arg = &p->sv[i];
		timer_start(l, &p->sv[i].probe, loop_now(l));
	}
	timer_start(l, &p->settle, loop_now(l) + PROBE_MS);
}

void
pool_probe_stop(struct pool *p)
{
	timer_stop(p->smtp->loop, &p->sweep);
	timer_stop(p->smtp->loop, &p->settle);
	for (unsigned i = 0; i < p->n; i++)
		timer_stop(p->smtp->loop, &p->sv[i].probe);
	pool_silence_stop(p);
}
