/*
 * crew -- starts workers, gives them places, replaces those that die, sees to it that old ones end.
 *
 * It reads reports of one fixed size and nothing else of what workers know.
 * The invariant: child[i] is the process that counts in column i of the counters; pid 0: nobody does.
 */
#include "proxy/crew.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/base/tls.h"
#include "proxy/control.h"
#include "proxy/spawn.h"
#include "proxy/worker.h"

#define BACKOFF_MS  1000 /* before a worker that died young is replaced; doubles */
#define BACKOFF_MAX 30000
#define YOUNG_MS    10000
#define AFTER_MS    10000 /* between the end of a drain and SIGKILL */
#define ABORT_MS    2000  /* between an order to end now and SIGKILL */
#define RETRY_MS    1000  /* without a column or without memory for a process */
#define NOBODY      (-1)

static void
order(struct crew *c, int child, enum control_kind kind, unsigned place, int pass)
{
	struct child *k = &c->child[child];

	if (k->control < 0)
		return;
	/* A full queue is that of a worker that hangs. One that is dying is no news: waitpid tells. */
	if (!control_send(k->control, &(struct control_msg){ kind, place }, pass))
		kill(k->pid, SIGKILL);
}

/* ---- places and their owners ----------------------------------------------------------------- */

static bool
may_own(const struct crew *c, int child)
{
	const struct child *k = &c->child[child];

	return child != NOBODY && k->pid != 0 && k->ready && !k->draining;
}

/* The ready worker of this generation for a place, or the next neighbour's; NOBODY: none is ready. */
static int
best_owner(const struct crew *c, unsigned place)
{
	int own;

	/* Places beyond the number of workers are left from a time when there were more. */
	own = c->place[place % c->workers].own;
	if (own != NOBODY && may_own(c, own))
		return own;
	/* Whoever has it (an old worker, a neighbour) goes on until its own is there. */
	if (c->place[place].owner != NOBODY && may_own(c, c->place[place].owner))
		return c->place[place].owner;
	for (unsigned i = 1; i < c->workers; i++) {
		own = c->place[(place + i) % c->workers].own;
		if (own != NOBODY && may_own(c, own))
			return own;
	}
	return NOBODY;
}

static bool
owns_any(const struct crew *c, int child)
{
	for (unsigned i = 0; i < c->n_place; i++)
		if (c->place[i].owner == child)
			return true;
	return false;
}

static void
drain_child(struct crew *c, int child)
{
	c->child[child].draining = true;
	c->child[child].kill_at = c->w->now(c->w) + c->settings->drain + AFTER_MS;
	order(c, child, CONTROL_DRAIN, 0, -1);
}

/*
 * Gives each place to whom it belongs.  The new owner is told before the old one, and both poll the
 * same socket for a moment: nobody's connection waits, and none is lost.
 */
static void
own_places(struct crew *c)
{
	if (c->stopping)
		return;
	for (unsigned i = 0; i < c->n_place; i++) {
		int next = best_owner(c, i), last = c->place[i].owner;

		if (next == last)
			continue;
		c->place[i].owner = next;
		if (next != NOBODY)
			order(c, next, CONTROL_ADOPT, i, -1);
		if (last != NOBODY && c->child[last].pid != 0)
			order(c, last, CONTROL_LEAVE, i, -1);
	}
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].generation != c->generation &&
		    !c->child[i].draining && !owns_any(c, (int)i))
			drain_child(c, (int)i);
}

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
be_worker(struct crew *c, int column, int control)
{
	struct worker_start start = {
		.world = c->w,
		.settings = c->settings,
		.sockets = c->sockets,
		.counters = c->counters,
		.column = (unsigned)column,
		.workers = c->workers,
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

/* False: not now. */
static bool
start_worker(struct crew *c, unsigned place)
{
	int           column = free_column(c), pair[2];
	struct child *k;
	pid_t         pid;

	/* All columns are taken: old workers still drain, and go on serving where a new one is lacking. */
	if (column == NOBODY && !c->waits) {
		c->waits = true;
		log_event(c->w, SV("master"), "warning",
		    "why=\"a worker waits until an old one has drained\"");
	}
	if (column == NOBODY || !control_pair(pair))
		return false;
	/* It inherits no key of tickets that has served its time. */
	tls_tickets_turn(c->w);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		be_worker(c, column, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return false;
	}
	k = &c->child[column];
	*k = (struct child){
		.pid = pid, .control = pair[0], .generation = c->generation, .place = place
	};
	k->started = c->w->now(c->w);
	c->place[place].own = column;
	say_birth(c, k);
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
	c->place = mem_resize(c->place, c->sockets->places * sizeof(*c->place));
	for (unsigned i = c->n_place; i < c->sockets->places; i++)
		c->place[i] = (struct place){ NOBODY, NOBODY, 0, 0 };
	c->n_place = c->sockets->places;
	for (unsigned i = 0; i < c->n_place; i++) {
		c->place[i].own = NOBODY;
		c->place[i].backoff = 0;
		c->place[i].start_at = i < c->workers ? now : 0;
	}
	start_workers(c);
	own_places(c);
}

/* ---- workers: death -------------------------------------------------------------------------- */

/* What a dead worker had open is open no more; what it has counted stays counted. */
static void
clear_column(struct crew *c, unsigned column)
{
	counters_clear_place(c->counters, column, COUNTER_SESSIONS_OPEN);
	counters_clear_place(c->counters, column, COUNTER_UPSTREAM_OPEN);
	counters_clients_clear(c->counters, column);
}

static void
say_death(struct crew *c, const struct child *k, int status)
{
	const struct doing *d = counters_doing(c->counters, (unsigned)(k - c->child));
	struct log_line     l;

	log_begin(
	    &l, c->w, SV("master"), k->draining && status == 0 ? "worker-end" : "worker-death");
	log_number(&l, "worker", k->place);
	log_number(&l, "pid", (uint64_t)k->pid);
	spawn_log_end(&l, status);
	if (d->what != NULL) {
		log_z(&l, "plugin", d->who);
		log_z(&l, "callback", d->what);
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

static void
bury(struct crew *c, int child, int status)
{
	struct child *k = &c->child[child];

	say_last_words(c, (unsigned)child);
	say_death(c, k, status);
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
	own_places(c);
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

/* ---- orders to all --------------------------------------------------------------------------- */

void
crew_log(struct crew *c, int fd)
{
	c->log_fd = fd;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0)
			order(c, (int)i, CONTROL_LOG, 0, fd);
}

void
crew_drain(struct crew *c)
{
	c->stopping = true;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && !c->child[i].draining)
			drain_child(c, (int)i);
}

void
crew_abort(struct crew *c)
{
	c->stopping = true;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0) {
			c->child[i].kill_at = c->w->now(c->w) + ABORT_MS;
			order(c, (int)i, CONTROL_ABORT, 0, -1);
		}
}

bool
crew_alive(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0)
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

/* ---- reports and times ----------------------------------------------------------------------- */

static void
take_report(struct crew *c, int child)
{
	struct child      *k = &c->child[child];
	struct control_msg msg;
	int                fd;

	switch (control_recv(k->control, &msg, &fd)) {
	case CONTROL_OK:
		if (fd >= 0)
			close(fd);
		if (msg.kind == CONTROL_READY && !k->ready) {
			k->ready = true;
			own_places(c);
		}
		return;
	case CONTROL_AGAIN:
		return;
	case CONTROL_BAD:
		log_event(c->w, SV("master"), "warning", "worker %u reported nonsense", k->place);
		kill(k->pid, SIGKILL);
		break;
	case CONTROL_EOF:
		break;
	}
	close(k->control);
	k->control = -1;
}

/* poll(2) takes no more entries than the process may have descriptors, be they -1. */
unsigned
crew_poll(const struct crew *c, struct pollfd *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_child; i++) {
		const struct child *k = &c->child[i];

		p[i] = (struct pollfd){ k->pid != 0 ? k->control : NOBODY, POLLIN, 0 };
		if (p[i].fd >= 0)
			n = i + 1;
	}
	return n;
}

void
crew_reports(struct crew *c, const struct pollfd *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].revents != 0)
			take_report(c, (int)i);
}

uint64_t
crew_next(const struct crew *c)
{
	uint64_t at = UINT64_MAX, next;

	for (unsigned i = 0; i < c->n_child; i++) {
		next = c->child[i].kill_at;
		if (c->child[i].pid != 0 && next != 0 && next < at)
			at = next;
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

		if (k->pid == 0 || k->kill_at == 0 || k->kill_at > now)
			continue;
		k->kill_at = now + RETRY_MS;
		kill(k->pid, SIGKILL);
	}
	start_workers(c);
}

void
crew_close(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].control >= 0)
			close(c->child[i].control);
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
