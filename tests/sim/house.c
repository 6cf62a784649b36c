/*
 * house -- see house.h: configuration to a running struct smtp, and its end, nothing left over.
 *
 * It plays nobody.  Invariant: after house_close nothing of the proxy is alive in the world.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/counters.h"
#include "proxy/base/io.h"
#include "proxy/judge.h"
#include "proxy/smtp/flood.h"
#include "proxy/smtp/pool_own.h"
#include "proxy/smtp/session.h"
#include "tests/sim/certs.h"
#include "tests/sim/dns_sim.h"
#include "tests/sim/house.h"

#define HOUSE_PLACES 8 /* columns of the counters: generations that may live side by side */
#define END_WITHIN   (4 * 3600000u) /* of the clock, for what is left when clients are gone */

/* ---- how it sends ---- */

const char *const house_mode_name[HOUSE_MODES] = { "plain", "batch" };

/* NULL: the kernel grants an io_uring. */
static const char *
why_no_batch(void)
{
	struct sim *s = sim_new(1);
	const char *why = NULL;
	bool        can = io_batch_start(s->loop, &why);

	sim_free(s);
	if (can)
		return NULL;
	return why == NULL ? "it is not in this build" : why;
}

bool
house_modes(struct house_modes *m, const char *name)
{
	const char *why;

	*m = (struct house_modes){ 0 };
	for (unsigned i = 0; i < HOUSE_MODES; i++)
		m->on[i] = name == NULL || strcmp(name, house_mode_name[i]) == 0;
	if (!m->on[HOUSE_PLAIN] && !m->on[HOUSE_BATCH])
		printf("the modes are %s and %s\n", house_mode_name[0], house_mode_name[1]);
	why = m->on[HOUSE_BATCH] ? why_no_batch() : NULL;
	if (why != NULL) {
		printf("note: not played with io_uring: %s\n", why);
		m->on[HOUSE_BATCH] = false;
		m->lacking = 1;
	}
	return m->on[HOUSE_PLAIN] || m->on[HOUSE_BATCH];
}

void
house_mode(struct sim *s, enum house_mode mode)
{
	const char *why = "";

	if (mode == HOUSE_PLAIN || io_batch_start(s->loop, &why))
		return;
	fprintf(stderr, "io_uring was there a moment ago: %s\n", why);
	abort();
}

/* ---- from a configuration to what runs ---- */

/* Does a line of text begin with that word, or with `no' and that word (it asks for no default)? */
static bool
states(struct strv text, struct strv word)
{
	while (text.p != NULL) {
		struct strv line = strv_cut(&text, '\n'), first = strv_word(&line);

		if (strv_eq(first, word) ||
		    (strv_eq(first, SV("no")) && strv_eq(strv_word(&line), word)))
			return true;
	}
	return false;
}

static void
add_given(struct buf *b, struct strv text)
{
	while (text.p != NULL) {
		struct strv line = strv_cut(&text, '\n'), rest = line;

		if (!strv_eq(strv_word(&rest), SV("no")))
			buf_printf(b, "%.*s\n", (int)line.n, line.p == NULL ? "" : line.p);
	}
}

static void
write_config(struct sim *s, struct strv given)
{
	static const struct {
		const char *word, *text;
	} defaults[] = {
		{ "hostname", "hostname mx.test" },
		{ "listen", "listen 127.0.0.1:25" },
		{ "upstream", "upstream " HOUSE_UPSTREAM },
		{ "networks", "networks trusted { 127.0.0.0/8, 10.0.0.0/8 }" },
		{ "domains", "domains ours { ours.example, .ours.example }" },
		{ "relay", "relay {\n allow from trusted\n allow to ours\n}" },
	};
	struct buf b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!states(given, strv_z(defaults[i].word)))
			buf_printf(&b, "%s\n", defaults[i].text);
	add_given(&b, given);
	sim_write_file(s, "postern.conf", buf_view(&b));
	buf_fini(&b);
}

static void
tell(struct strv line, void *arg)
{
	sim_note(arg, "check", "%.*s", (int)line.n, line.p);
}

static void
generation_free(struct house_generation *g)
{
	if (g->settings != NULL)
		settings_free(g->settings);
	arena_free(g->a);
	mem_free(g);
}

/* What postern.conf says now becomes the generation that takes connections. */
static bool
generate(struct house *h)
{
	struct house_generation *g = mem_alloc(sizeof(*g));
	struct diags             d = { 0 };

	g->a = arena_new(4096, 0);
	d.a = g->a;
	g->settings = settings_load(g->a, &h->sim->world, "postern.conf", &d);
	diag_print(&d, false, tell, h->sim);
	if (d.errors > 0) {
		generation_free(g);
		return false;
	}
	g->conf = settings_split(g->settings, g->a, 1);
	if (g->conf->judge == NULL)
		g->conf->judge = judge_new(g->a,
		    &(struct judge_conf){ g->settings->policy, &g->settings->auth,
			&g->settings->milters, g->settings->decide_within, false });
	g->conf->flood = flood_new(h->sim->loop, 0);
	g->smtp = smtp_new(
	    g->conf, &h->sim->world, h->sim->loop, h->counters, h->generations++ % HOUSE_PLACES);
	g->older = h->now;
	h->now = g;
	return g->smtp != NULL;
}

bool
house_open(struct house *h, struct sim *s, struct strv config)
{
	*h = (struct house){ .sim = s, .counters = counters_new(HOUSE_PLACES) };
	certs_write(s);
	s->world.make_dir(&s->world, "/mail");
	write_config(s, config);
	return generate(h);
}

static void
drained(void *arg)
{
	((struct house_generation *)arg)->drained = true;
}

static void
drain(struct house_generation *g)
{
	if (g != NULL && !g->draining) {
		g->draining = true;
		smtp_drain(g->smtp, drained, g);
	}
}

bool
house_reload(struct house *h, struct strv config)
{
	struct house_generation *old = h->now;

	if (config.p != NULL)
		write_config(h->sim, config);
	if (!generate(h)) {
		sim_note(h->sim, "house", "the configuration stays as it was");
		return false;
	}
	sim_note(h->sim, "house", "has reloaded");
	drain(old);
	return true;
}

int
house_connect(struct house *h, struct strv listener, const struct endpoint *from, int *peer_fd)
{
	const struct settings *s = h->now->settings;
	const struct listener *l = NULL;
	int                    fd[2];

	for (unsigned i = 0; i < s->n_listener && l == NULL; i++)
		if (listener.p == NULL || strv_eq(s->listener[i].name, listener))
			l = &s->listener[i];
	if (l == NULL || h->now->draining || !sim_pair(h->sim, fd))
		return -1;
	*peer_fd = fd[0];
	session_open(h->now->smtp, l, fd[0], from, &l->at);
	return fd[1];
}

static const char *
places_of(const struct pool_server *sv)
{
	unsigned all = 0, bound = 0, lendable = 0, idle = 0;

	for (const struct upstream *up = sv->all; up != NULL; up = up->all_next) {
		all++;
		bound += up->bound;
		lendable += up->lendable;
	}
	for (const struct upstream *up = sv->idle; up != NULL; up = up->next) {
		if (up->named || up->bound)
			return "one idles that was a client's";
		idle++;
	}
	if (sv->n_open < all || sv->n_bound < bound)
		return "there are more connections than places taken";
	if (sv->n_open - sv->n_bound > sv->conf->connections)
		return "more places are taken than there are";
	if (sv->n_lendable != lendable)
		return "another number of connections may be lent than says so";
	return sv->n_idle != idle ? "another number of connections idles than says so" : NULL;
}

/* What pool_own.h says of those that wait. */
static const char *
queue_of(const struct pool *p)
{
	for (unsigned bound = 0; bound < 2; bound++)
		for (const struct pool_errand *e = p->queue[bound].first; e != NULL; e = e->next)
			for (unsigned i = 0; i < p->n; i++)
				if (!p->changed && pool_suits(e, &p->sv[i], false) &&
				    pool_has_room(&p->sv[i], bound))
					return "a session waits beside a free place";
	return NULL;
}

static const char *
pool_wrong(const struct pool *p)
{
	const char *wrong = queue_of(p);

	for (unsigned i = 0; i < p->n && wrong == NULL; i++)
		wrong = places_of(&p->sv[i]);
	return wrong;
}

const char *
house_places(const struct house *h)
{
	const char *wrong = NULL;

	for (const struct house_generation *g = h->now; g != NULL; g = g->older)
		for (unsigned i = 0; i < g->smtp->n_pool && wrong == NULL; i++)
			wrong = pool_wrong(g->smtp->pool[i]);
	return wrong;
}

static void
feed(struct house_generation *g)
{
	if (g->fed == NULL)
		return;
	fiber_pool_free(g->smtp->fibers);
	g->smtp->fibers = g->fed;
	g->fed = NULL;
}

void
house_starve(struct house *h, bool yes)
{
	struct house_generation *g = h->now;

	if (!yes) {
		feed(g);
	} else if (g->fed == NULL) {
		g->fed = g->smtp->fibers;
		g->smtp->fibers = fiber_pool_new(h->sim->loop, 65536, 0, 0);
	}
}

void
house_drain(struct house *h)
{
	drain(h->now);
}

void
house_abort(struct house *h)
{
	for (struct house_generation *g = h->now; g != NULL; g = g->older)
		smtp_abort(g->smtp);
}

static bool
nobody_left(void *arg)
{
	const struct house *h = arg;

	for (const struct house_generation *g = h->now; g != NULL; g = g->older)
		if (smtp_sessions(g->smtp) > 0)
			return false;
	return true;
}

static bool
all_drained(void *arg)
{
	const struct house *h = arg;

	for (const struct house_generation *g = h->now; g != NULL; g = g->older)
		if (!g->drained)
			return false;
	return true;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

/* Nobody uses a connection any more: those that are left idle. */
static bool
place_lost(const struct smtp *m)
{
	for (unsigned i = 0; i < m->n_pool; i++)
		for (unsigned k = 0; k < m->pool[i]->n; k++) {
			const struct pool_server *sv = &m->pool[i]->sv[k];

			if (sv->n_open != sv->n_idle || sv->n_bound > 0 || sv->n_lendable > 0)
				return true;
		}
	return false;
}

/* Sessions are over and the drain is done: what should be back where it came from? */
static const char *
leftovers(const struct smtp *m)
{
	if (m->sessions != NULL)
		return "a session is listed";
	if (fiber_pool_live(m->fibers) > 0)
		return "a fiber is alive";
	if (spool_pool_used(m->spools) > 0)
		return "spooled octets are left";
	if (place_lost(m))
		return "a place in a pool is not given back";
	return NULL;
}

/* What is left of the whole, when every generation is freed. */
static const char *
remains(struct house *h)
{
	struct sim *s = h->sim;

	if (sim_run(s, never, NULL, s->clock) == SIM_RESTLESS)
		return "the loop never rests";
	if (loop_next_timer(s->loop) != UINT64_MAX)
		return "a timer is left";
	if (sim_dns_waiting(s->dns) > 0)
		return "a question to the DNS is left";
	if (counters_sum(h->counters, COUNTER_SESSIONS_OPEN) != 0)
		return "sessions_open is not 0";
	if (counters_sum(h->counters, COUNTER_UPSTREAM_OPEN) != 0)
		return "upstream_open is not 0";
	return NULL;
}

const char *
house_close(struct house *h)
{
	struct sim *s = h->sim;
	const char *left = NULL;

	feed(h->now);
	/* What does not end cannot be freed. */
	if (sim_run(s, nobody_left, h, s->clock + END_WITHIN) != SIM_FINISHED)
		return "a session does not end";
	house_drain(h);
	if (sim_run(s, all_drained, h, s->clock + END_WITHIN) != SIM_FINISHED)
		return "smtp_drain is never done";
	for (struct house_generation *g = h->now; g != NULL && left == NULL; g = g->older)
		left = leftovers(g->smtp);
	if (left != NULL)
		return left;
	for (struct house_generation *g = h->now; g != NULL; g = g->older) {
		flood_free(g->conf->flood);
		smtp_free(g->smtp);
	}
	/* With the configuration go the questions that filters asked for themselves. */
	while (h->now != NULL) {
		struct house_generation *g = h->now;

		h->now = g->older;
		generation_free(g);
	}
	left = remains(h);
	counters_free(h->counters);
	return left;
}
