/*
 * crew -- the processes of the workers: starts them, replaces those that die, ends those that outstay their time.
 *
 * The invariant: child[i] is the process that counts in column i of the counters; pid 0: nobody does.
 */
#include "proxy/crew_own.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/base/tls.h"
#include "proxy/spawn.h"
#include "proxy/worker.h"

#define BACKOFF_MS  1000 /* before a worker that died young is replaced; doubles */
#define BACKOFF_MAX 30000
#define YOUNG_MS    10000
#define RETRY_MS    1000  /* without a column or without memory for a process */
#define COMPLAIN_MS 60000 /* how often that is told */

#define SESSIONS_MAX 1000000 /* of one worker: more is nonsense that it left behind */

/* ---- workers: birth -------------------------------------------------------------------------- */

static int
free_column(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid == 0)
			return (int)i;
	return NOBODY;
}

/* In the child: everything of it is the worker's. */
static void
be_worker(struct crew *c, unsigned place, int column, int control)
{
	struct worker_start start = {
		.world = c->w,
		.settings = c->settings,
		.sockets = c->sockets,
		.counters = c->counters,
		.column = (unsigned)column,
		.workers = c->workers,
		.generation = c->generation,
		.place = place,
		.control = control,
		.log_fd = c->log_fd,
	};

	c->leave(c->arg);
	_exit(worker_run(&start));
}

static void
say_birth(struct crew *c, const struct child *k)
{
	struct log_line l;

	log_begin(&l, c->w, SV("master"), "worker-start");
	log_number(&l, "worker", k->place);
	log_number(&l, "pid", (uint64_t)k->pid);
	log_end(&l);
}

/* It is tried each second: that would be too many lines. */
static void
say_failure(struct crew *c, unsigned place)
{
	uint64_t        now = c->w->now(c->w);
	struct log_line l;

	c->place[place].failed = errno;
	if (now < c->complain_at)
		return;
	c->complain_at = now + COMPLAIN_MS;
	log_begin(&l, c->w, SV("master"), "worker-start");
	log_number(&l, "worker", place);
	log_z(&l, "failed", strerror(c->place[place].failed));
	log_number(&l, "again-ms", RETRY_MS);
	log_end(&l);
}

static void
enter(struct crew *c, int column, unsigned place, pid_t pid, int control)
{
	struct child *k = &c->child[column];

	*k = (struct child){
		.pid = pid, .control = control, .generation = c->generation, .place = place
	};
	k->started = c->w->now(c->w);
	k->drain = c->settings->drain;
	k->plugins = crew_plugins(c->settings);
	c->place[place].own = column;
	c->place[place].failed = 0;
	if (!crew_lacks(c))
		c->complain_at = 0;
	say_birth(c, k);
}

/* False: not now. */
static bool
start_worker(struct crew *c, unsigned place)
{
	int   column = free_column(c), pair[2];
	pid_t pid;

	/* All columns are taken: old workers still drain, and go on serving where a new one is lacking. */
	if (column == NOBODY && !c->waits) {
		c->waits = true;
		log_event(c->w, SV("master"), "warning",
		    "why=\"a worker waits until an old one has drained\"");
	}
	if (column == NOBODY)
		return false;
	if (!control_pair(pair)) {
		say_failure(c, place);
		return false;
	}
	/* It inherits no key of tickets that has served its time. */
	tls_tickets_turn(c->w);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		be_worker(c, place, column, pair[1]);
	}
	if (pid < 0)
		say_failure(c, place);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	enter(c, column, place, pid, pair[0]);
	return true;
}

static void
start_workers(struct crew *c)
{
	uint64_t now = c->w->now(c->w);

	for (unsigned i = 0; i < c->workers && !c->stopping; i++) {
		struct place *p = &c->place[i];

		if (p->start_at == 0 || p->start_at > now)
			continue;
		p->start_at = start_worker(c, i) ? 0 : now + RETRY_MS;
	}
}

void
crew_want(struct crew *c)
{
	uint64_t now = c->w->now(c->w);

	c->generation++;
	c->waits = false;
	c->complain_at = 0;
	c->place = mem_resize(c->place, c->sockets->places * sizeof(*c->place));
	for (unsigned i = c->n_place; i < c->sockets->places; i++)
		c->place[i] = (struct place){ NOBODY, NOBODY, 0, 0, 0 };
	c->n_place = c->sockets->places;
	for (unsigned i = 0; i < c->n_place; i++) {
		c->place[i].own = NOBODY;
		c->place[i].backoff = 0;
		c->place[i].failed = 0;
		c->place[i].start_at = i < c->workers ? now : 0;
	}
	start_workers(c);
	crew_own_places(c);
}

/* ---- workers: death -------------------------------------------------------------------------- */

/* What a dead worker had open is open no more; what it has counted stays counted. */
static void
clear_column(struct crew *c, unsigned column)
{
	counters_clear_place(c->counters, column, COUNTER_UPSTREAM_OPEN);
	counters_clients_clear(c->counters, column);
	counters_gauges_clear(c->counters, column);
	counters_doing(c->counters, column)->busy = false;
}

/* How many the dead worker had: they are open no more.  It wrote that itself: it is good for a number in the log alone. */
static uint64_t
take_sessions(struct crew *c, unsigned column)
{
	uint64_t had = counters_at(c->counters, column, COUNTER_SESSIONS_OPEN);

	counters_clear_place(c->counters, column, COUNTER_SESSIONS_OPEN);
	return had;
}

static void
say_death(struct crew *c, const struct child *k, int status)
{
	unsigned            column = (unsigned)(k - c->child);
	const struct doing *d = counters_doing(c->counters, column);
	uint64_t            sessions = take_sessions(c, column);
	bool                ended = k->draining && status == 0;
	struct doing_said   was;
	struct log_line     l;

	log_begin(&l, c->w, SV("master"), ended ? "worker-end" : "worker-death");
	log_number(&l, "worker", k->place);
	log_number(&l, "pid", (uint64_t)k->pid);
	spawn_log_end(&l, status);
	if (!ended && sessions <= SESSIONS_MAX)
		log_number(&l, "sessions", sessions);
	if (doing_read(d, &was)) {
		log_z(&l, "plugin", was.who);
		log_z(&l, "callback", was.what);
	}
	log_end(&l);
}

/* A worker that ended by itself has said all. */
static void
say_last_words(struct crew *c, unsigned column)
{
	if (c->w->log_rest != NULL)
		c->w->log_rest(c->w, counters_log(c->counters, column));
}

/* When its successor begins: at once, or later each time for one that keeps dying young. */
static void
plan_successor(struct crew *c, const struct child *k)
{
	struct place *p = &c->place[k->place];
	uint64_t      now = c->w->now(c->w);

	p->own = NOBODY;
	if (now - k->started >= YOUNG_MS)
		p->backoff = 0;
	else if (p->backoff == 0)
		p->backoff = BACKOFF_MS;
	else
		p->backoff = p->backoff * 2 > BACKOFF_MAX ? BACKOFF_MAX : p->backoff * 2;
	p->start_at = now + p->backoff;
}

/* A worker whose channel has ended and that is alive drains: its place is another's now, not when it has ended. */
static void
give_up(struct crew *c, int child)
{
	struct child *k = &c->child[child];

	k->lost_at = 0;
	if (k->draining || c->stopping)
		return;
	log_event(c->w, SV("master"), "warning",
	    "why=\"worker %u has closed its channel: it drains, another begins\" pid=%ld", k->place,
	    (long)k->pid);
	crew_drains(c, k);
	if (c->place[k->place].own == child)
		plan_successor(c, k);
	start_workers(c);
	crew_own_places(c);
}

static void
bury(struct crew *c, int child, int status)
{
	struct child *k = &c->child[child];

	say_last_words(c, (unsigned)child);
	say_death(c, k, status);
	if (!k->draining || status != 0)
		counters_master_set(
		    c->counters, MASTER_DEATHS, counters_master(c->counters, MASTER_DEATHS) + 1);
	if (k->control >= 0)
		close(k->control);
	clear_column(c, (unsigned)child);
	for (unsigned i = 0; i < c->n_place; i++)
		if (c->place[i].owner == child)
			c->place[i].owner = NOBODY;
	if (c->place[k->place].own == child)
		plan_successor(c, k);
	*k = (struct child){ 0 };
	start_workers(c);
	crew_own_places(c);
}

bool
crew_ended(struct crew *c, pid_t pid, int status)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid == pid) {
			bury(c, (int)i, status);
			return true;
		}
	return false;
}

/* ---- who is there ---------------------------------------------------------------------------- */

bool
crew_alive(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0)
			return true;
	return false;
}

bool
crew_lacks(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_place; i++)
		if (c->place[i].failed != 0)
			return true;
	return false;
}

unsigned
crew_oldest(const struct crew *c)
{
	unsigned oldest = c->generation;

	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].generation < oldest)
			oldest = c->child[i].generation;
	return oldest;
}

/* ---- times ----------------------------------------------------------------------------------- */

uint64_t
crew_next(const struct crew *c)
{
	uint64_t at = crew_stuck_next(c), now = c->w->now(c->w), next;

	for (unsigned i = 0; i < c->n_child; i++) {
		const struct child *k = &c->child[i];

		if (k->pid != 0 && k->kill_at != 0 && k->kill_at < at)
			at = k->kill_at;
		if (k->pid != 0 && k->lost_at != 0 && k->lost_at < at)
			at = k->lost_at;
		if (k->pid != 0 && k->deaf_until > now && k->deaf_until < at)
			at = k->deaf_until;
	}
	for (unsigned i = 0; i < c->n_place && !c->stopping; i++) {
		next = c->place[i].start_at;
		if (next != 0 && next < at)
			at = next;
	}
	return at;
}

void
crew_due(struct crew *c)
{
	uint64_t now = c->w->now(c->w);

	for (unsigned i = 0; i < c->n_child; i++) {
		struct child *k = &c->child[i];

		if (k->pid != 0 && k->lost_at != 0 && k->lost_at <= now)
			give_up(c, (int)i);
		if (k->pid == 0 || k->kill_at == 0 || k->kill_at > now)
			continue;
		k->kill_at = now + RETRY_MS;
		kill(k->pid, SIGKILL);
	}
	crew_stuck_due(c);
	start_workers(c);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

bool
crew_init(struct crew *c, struct world *w)
{
	c->w = w;
	/* Two generations and half of a third: a column is free again when an old worker has drained. */
	c->n_child = CREW_MAX * 5 / 2;
	c->counters = counters_new(c->n_child);
	if (c->counters == NULL)
		return false;
	counters_master_set(c->counters, MASTER_STARTED, w->wall(w) / 1000000);
	c->child = mem_array(c->n_child, sizeof(*c->child));
	return true;
}

void
crew_fini(struct crew *c)
{
	counters_free(c->counters);
	mem_free(c->child);
	mem_free(c->place);
}
