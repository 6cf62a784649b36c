/*
 * pool -- which connection a session gets, and what becomes of it afterwards.  Knows no command.
 *
 * Invariant: while a session waits for a place, no usable connection idles and no place is free; so the
 * order of the queue is the order of service.
 */
#include "proxy/smtp/pool.h"

#include "proxy/base/log.h"
#include "proxy/smtp/session.h"

#define PROBE_MS     1000
#define PROBE_MAX_MS 10000
#define SWEEP_MS     1000

struct pool_waiter { /* in the transaction's arena, listed only while its fiber waits */
	struct fiber       *fiber;
	struct session     *session;
	struct upstream    *up;    /* handed over, or */
	bool                place; /* a place: connect yourself */
	struct pool_waiter *prev, *next;
};

struct pool {
	struct smtp            *smtp;
	const struct pool_conf *conf;
	struct pool_server     *sv;
	struct pool_waiter     *first, *last; /* sessions waiting for a place, in order */
	struct timer            probe, sweep;
	uint64_t                probe_ms;
	bool                    probing, stopped, warming;
};

const struct hop *
pool_hop(const struct pool *p)
{
	return p->conf->kind == HOP_MAILDIR ? &hop_maildir : &hop_smtp;
}

const struct pool_conf *
pool_conf(const struct pool *p)
{
	return p->conf;
}

bool
pool_up(const struct pool *p)
{
	return p->sv->known && !p->sv->down;
}

bool
pool_ehlo(const struct pool *p, struct ehlo *out)
{
	*out = p->sv->ehlo;
	return p->sv->known;
}

bool
pool_crowded(const struct pool *p)
{
	return p->first != NULL;
}

static bool
keeps_ready(const struct pool *p)
{
	return p->sv->conf->identity == IDENTITY_XCLIENT;
}

/* --- who wants to know that the server is up -------------------------------------------------- */

void
pool_watch(struct smtp *m, struct pool_watch *w)
{
	w->prev = NULL;
	w->next = m->watch;
	if (m->watch != NULL)
		m->watch->prev = w;
	m->watch = w;
	w->on = true;
	for (unsigned i = 0; i < m->n_pool; i++) {
		struct pool *p = m->pool[i];

		if (p->probe.pos != 0 && p->probe.at > loop_now(m->loop) + PROBE_MS)
			timer_start(m->loop, &p->probe, loop_now(m->loop) + PROBE_MS);
	}
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
log_server(struct pool *p, const char *what, struct strv why)
{
	struct log_line l;

	log_begin(&l, p->smtp->world, SV("worker"), what);
	log_strv(&l, "server", p->sv->conf->name);
	if (why.n > 0)
		log_strv(&l, "why", why);
	log_end(&l);
}

static void
is_up(struct pool *p, const struct upstream *up)
{
	if (p->sv->down || !p->sv->known)
		log_server(p, "upstream-up", SV(""));
	p->sv->ehlo = p->sv->named ? ehlo_intersect(&up->ehlo, &p->sv->as_client) : up->ehlo;
	p->sv->known = true;
	p->sv->down = false;
	p->probe_ms = PROBE_MS;
	while (p->smtp->watch != NULL) {
		struct pool_watch *w = p->smtp->watch;

		pool_unwatch(p->smtp, w);
		w->fn(w->arg);
	}
}

/* A server may say more to us than to a stranger (smtpd_sasl_exceptions_networks and the like). */
void
pool_learn(struct upstream *up)
{
	up->sv->as_client = up->ehlo;
	up->sv->named = true;
	up->sv->ehlo = ehlo_intersect(&up->sv->ehlo, &up->ehlo);
}

static void
is_down(struct pool *p, struct strv why)
{
	if (!p->sv->down)
		log_server(p, "upstream-down", why);
	p->sv->down = true;
	if (!p->stopped && p->probe.pos == 0 && !p->probing)
		timer_start(p->smtp->loop, &p->probe, loop_now(p->smtp->loop) + p->probe_ms);
}

/* --- lists ------------------------------------------------------------------------------------ */

static void
all_add(struct pool_server *sv, struct upstream *up)
{
	up->all_next = sv->all;
	if (sv->all != NULL)
		sv->all->all_prev = up;
	sv->all = up;
}

static void
all_remove(struct pool_server *sv, struct upstream *up)
{
	if (up->all_prev != NULL)
		up->all_prev->all_next = up->all_next;
	else
		sv->all = up->all_next;
	if (up->all_next != NULL)
		up->all_next->all_prev = up->all_prev;
}

static bool
is_idle(const struct pool_server *sv, const struct upstream *up)
{
	return up->prev != NULL || sv->idle == up;
}

static void
idle_push(struct pool *p, struct upstream *up)
{
	struct pool_server *sv = p->sv;

	up->prev = NULL;
	up->next = sv->idle;
	if (sv->idle != NULL)
		sv->idle->prev = up;
	else
		sv->idle_last = up;
	sv->idle = up;
	sv->n_idle++;
	up->idle_since = loop_now(p->smtp->loop);
	if (p->sweep.pos == 0)
		timer_start(p->smtp->loop, &p->sweep, up->idle_since + SWEEP_MS);
}

static void
idle_remove(struct pool_server *sv, struct upstream *up)
{
	if (up->prev != NULL)
		up->prev->next = up->next;
	else
		sv->idle = up->next;
	if (up->next != NULL)
		up->next->prev = up->prev;
	else
		sv->idle_last = up->prev;
	up->prev = up->next = NULL;
	sv->n_idle--;
}

/* --- places ----------------------------------------------------------------------------------- */

static void
waiter_remove(struct pool *sv, struct pool_waiter *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		sv->first = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		sv->last = w->prev;
}

/* The longest waiting session gets a connection (up) or, NULL, the place that has come free. */
static bool
serve_waiter(struct pool_server *sv, struct upstream *up)
{
	struct pool_waiter *w = sv->pool->first;

	if (w == NULL)
		return false;
	waiter_remove(sv->pool, w);
	/* It has an owner from here on: should it die before that one runs, nobody frees it under its hands. */
	if (up != NULL)
		up->owner = w->session;
	w->up = up;
	w->place = up == NULL;
	fiber_wake(w->fiber);
	return true;
}

static void
place_free(struct pool_server *sv)
{
	if (!serve_waiter(sv, NULL))
		sv->n_open--;
}

static struct pool *
pool_of(struct upstream *up)
{
	return up->sv->pool;
}

/* Gone, but its place is still ours. */
static void
discard(struct upstream *up)
{
	struct smtp *m = up->smtp;

	if (is_idle(up->sv, up))
		idle_remove(up->sv, up);
	all_remove(up->sv, up);
	upstream_free(up);
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_OPEN, -1);
}

void
pool_drop(struct upstream *up)
{
	struct pool_server *sv = up->sv;

	discard(up);
	place_free(sv);
}

/* A server's log should not say that we vanished. */
static void
close_politely(struct upstream *up)
{
	if (!up->tainted && !up->io.fault && !up->io.eof && up->n_owed == 0)
		conn_queue_v(&up->io, SV("QUIT\r\n"));
	pool_drop(up);
}

static bool
may_keep(const struct pool *p, const struct upstream *up)
{
	/* RSET, MAIL and RCPT go out together: a server without PIPELINING gets no open transaction back. */
	bool clean = !up->dirty || (up->ehlo.caps & EHLO_PIPELINING);

	return clean && !p->stopped && !up->tainted && !up->named && up->n_owed == 0 &&
	    up->in == NULL && !up->io.fault && !up->io.eof && up->errors < POOL_ERRORS;
}

void
pool_give(struct upstream *up)
{
	struct pool *p = pool_of(up);

	up->owner = NULL;
	buf_clear(&up->cmds);
	if (!may_keep(p, up)) {
		close_politely(up);
		return;
	}
	if (!serve_waiter(up->sv, up))
		idle_push(p, up);
}

/* A named connection that its session leaves unused makes room for one that waits. */
static bool
take_unused(struct pool_server *sv)
{
	for (struct upstream *up = sv->all; up != NULL; up = up->all_next)
		if (up->owner != NULL && up->named && up->idle_since != 0) {
			up->owner->relay.up = NULL;
			up->owner = NULL;
			conn_queue_v(&up->io, SV("QUIT\r\n"));
			discard(up);
			return true;
		}
	return false;
}

/* --- taking ----------------------------------------------------------------------------------- */

static enum up_rc
wait_for_place(struct pool *p, struct session *s, struct arena *a, struct upstream **out)
{
	struct pool_waiter *w = arena_alloc(a, sizeof *w);
	uint64_t            deadline = loop_now(p->smtp->loop) + POOL_WAIT_MS;
	enum wait_rc        rc = WAIT_OK;

	w->fiber = fiber_self();
	w->session = s;
	w->prev = p->last;
	if (p->last != NULL)
		p->last->next = w;
	else
		p->first = w;
	p->last = w;
	while (rc == WAIT_OK && w->up == NULL && !w->place)
		rc = fiber_park("a place in the pool", deadline);
	*out = w->up;
	if (w->up != NULL || w->place)
		return UP_OK;
	waiter_remove(p, w);
	return rc == WAIT_TIMEOUT ? UP_BUSY : UP_CANCELLED;
}

static void
keep_refusal(struct arena *a, struct reply *to, const struct reply *from)
{
	*to = *from;
	to->text = arena_dup(a, from->text);
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

static const char *
failure(const struct upstream *up, enum up_rc rc)
{
	return rc == UP_CLOSED && up->ehlo.caps == 0 ? "refused or closed the connection" :
						       up_rc_text(rc);
}

/* A place is ours already: connects, greets. On a fault the place is given back. */
static enum up_rc
make(struct pool *p, struct arena *a, struct upstream **out, struct reply *refusal)
{
	struct smtp     *m = p->smtp;
	struct reply     r = { 0 };
	const char      *why = "cannot connect";
	struct upstream *up = upstream_new(m, p->sv, &why);
	enum up_rc       rc;

	if (up == NULL) {
		place_free(p->sv);
		is_down(p, strv_z(why));
		return UP_CLOSED;
	}
	all_add(p->sv, up);
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_OPEN, 1);
	counters_add(m->counters, m->place, COUNTER_UPSTREAM_CONNECTS, 1);
	rc = upstream_greet(up, m->conf->hostname, NULL, &r);
	if (rc == UP_OK) {
		is_up(p, up);
		*out = up;
		return UP_OK;
	}
	if (rc == UP_REFUSED && a != NULL)
		keep_refusal(a, refusal, &r);
	if (rc != UP_CANCELLED && !any_works(p->sv, up))
		is_down(p, rc == UP_REFUSED ? r.text : strv_z(failure(up, rc)));
	up->tainted = true;
	pool_drop(up);
	return rc;
}

/* The youngest one that is still quiet. */
static struct upstream *
idle_pop(struct pool *p)
{
	while (p->sv->idle != NULL) {
		struct upstream *up = p->sv->idle;

		idle_remove(p->sv, up);
		if (upstream_quiet(up) == UP_QUIET)
			return up;
		pool_drop(up);
	}
	return NULL;
}

static void warm(void *arg);

static void
adopt(struct pool *p, struct session *s, struct upstream *up, bool reused)
{
	up->owner = s;
	up->reused = reused;
	up->heard = false;
	up->idle_since = 0;
	if (p->sweep.pos == 0 && !p->stopped)
		timer_start(p->smtp->loop, &p->sweep, loop_now(p->smtp->loop) + SWEEP_MS);
	if (keeps_ready(p) && !p->warming && !p->stopped) {
		p->warming = true;
		loop_defer(p->smtp->loop, warm, p);
	}
}

enum up_rc
pool_take(struct pool *p, struct session *s, const struct pool_wish *wish, struct arena *a,
    struct upstream **out, struct reply *refusal)
{
	bool             fresh = wish->fresh || wish->bound;
	struct upstream *up = fresh ? NULL : idle_pop(p);
	bool             reused = up != NULL;
	enum up_rc       rc = UP_OK;

	if (up == NULL) {
		if (p->first == NULL && p->sv->n_open < p->sv->conf->connections)
			p->sv->n_open++;
		else if (!take_unused(p->sv))
			rc = wait_for_place(p, s, a, &up);
		reused = up != NULL;
		if (rc == UP_OK && up != NULL && (fresh || upstream_quiet(up) != UP_QUIET)) {
			/* Stale, or perhaps as stale as the last one: its place is as good. */
			discard(up);
			up = NULL;
			reused = false;
		}
		if (rc == UP_OK && up == NULL)
			rc = make(p, a, &up, refusal);
	}
	if (rc != UP_OK)
		return rc;
	adopt(p, s, up, reused);
	*out = up;
	return UP_OK;
}

/* --- connections made ahead ------------------------------------------------------------------- */

/* One fiber, one connection, put among the idle. */
static void
make_idle(void *arg)
{
	struct pool     *p = arg;
	struct upstream *up = NULL;
	enum up_rc       rc = make(p, NULL, &up, NULL);

	p->sv->n_making--;
	if (rc == UP_OK)
		pool_give(up);
}

static bool
start_making(struct pool *p)
{
	p->sv->n_open++;
	p->sv->n_making++;
	if (fiber_start(p->smtp->fibers, "upstream", make_idle, p) != NULL)
		return true;
	p->sv->n_open--;
	p->sv->n_making--;
	return false;
}

static void
warm(void *arg)
{
	struct pool *p = arg;

	p->warming = false;
	while (!p->stopped && !p->sv->down && p->first == NULL &&
	    p->sv->n_idle + p->sv->n_making < POOL_READY &&
	    p->sv->n_open < p->sv->conf->connections)
		if (!start_making(p))
			return;
}

static void
probe_end(struct pool *p, enum up_rc rc)
{
	p->probing = false;
	if (rc == UP_OK || p->stopped)
		return;
	/* Clients that wait for their greeting are told within seconds. */
	if (p->smtp->watch != NULL)
		p->probe_ms = PROBE_MS / 2;
	p->probe_ms = p->probe_ms * 2 < PROBE_MAX_MS ? p->probe_ms * 2 : PROBE_MAX_MS;
	timer_start(p->smtp->loop, &p->probe, loop_now(p->smtp->loop) + p->probe_ms);
}

static void
probe_fiber(void *arg)
{
	struct pool     *p = arg;
	struct upstream *up = NULL;
	enum up_rc       rc = make(p, NULL, &up, NULL);

	if (rc == UP_OK)
		pool_give(up);
	probe_end(p, rc);
}

/* One attempt at a time, while there is a place for it. */
static void
probe(void *arg)
{
	struct pool *p = arg;

	if (p->stopped || p->probing || pool_up(p))
		return;
	p->probing = true;
	if (p->sv->n_open >= p->sv->conf->connections) {
		probe_end(p, UP_BUSY);
		return;
	}
	p->sv->n_open++;
	if (fiber_start(p->smtp->fibers, "probe", probe_fiber, p) == NULL) {
		p->sv->n_open--;
		probe_end(p, UP_BUSY);
	}
}

/* A named connection that its session leaves unused serves nobody. */
static void
sweep_named(struct pool *p, uint64_t now)
{
	struct upstream *up = p->sv->all, *next;

	for (; up != NULL; up = next) {
		next = up->all_next;
		if (up->owner == NULL || up->idle_since == 0 || now - up->idle_since < POOL_IDLE_MS)
			continue;
		up->owner->relay.up = NULL;
		close_politely(up);
	}
}

static void
sweep(void *arg)
{
	struct pool *p = arg;
	uint64_t     now = loop_now(p->smtp->loop);

	while (p->sv->idle_last != NULL && now - p->sv->idle_last->idle_since >= POOL_IDLE_MS) {
		struct upstream *up = p->sv->idle_last;

		close_politely(up);
	}
	sweep_named(p, now);
	if (p->sv->all != NULL && !p->stopped)
		timer_start(p->smtp->loop, &p->sweep, now + SWEEP_MS);
}

struct pool *
pool_new(struct smtp *m, const struct pool_conf *conf)
{
	struct pool *p = mem_alloc(sizeof *p);

	p->smtp = m;
	p->conf = conf;
	p->sv = mem_array(conf->n_server, sizeof *p->sv);
	for (unsigned i = 0; i < conf->n_server; i++) {
		p->sv[i].conf = &conf->server[i];
		p->sv[i].pool = p;
		p->sv[i].index = i;
	}
	p->probe_ms = PROBE_MS;
	p->probe.fn = probe;
	p->probe.arg = p;
	p->sweep.fn = sweep;
	p->sweep.arg = p;
	if (conf->kind == HOP_MAILDIR) {
		p->sv->known = true;
		p->sv->ehlo = (struct ehlo){ .caps = EHLO_PIPELINING | EHLO_ENHANCED |
			    EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_CHUNKING };
	} else {
		timer_start(m->loop, &p->probe, loop_now(m->loop));
	}
	return p;
}

void
pool_stop(struct pool *p)
{
	p->stopped = true;
	timer_stop(p->smtp->loop, &p->probe);
	timer_stop(p->smtp->loop, &p->sweep);
	while (p->sv->idle != NULL)
		close_politely(p->sv->idle);
	/* What is being made ahead ends by itself: its fiber sees the connection closed. */
	for (struct upstream *up = p->sv->all; up != NULL; up = up->all_next)
		if (up->owner == NULL)
			conn_close(&up->io);
}

void
pool_free(struct pool *p)
{
	pool_stop(p);
	mem_free(p->sv);
	mem_free(p);
}
