/*
 * worker -- the life of a process that serves: what it is made of, the orders that it obeys, its end.
 *
 * It obeys the orders on its control socket alone; signals are the master's.  When that socket ends the
 * master has gone, and the worker finishes what it has.  Plugins of this process are loaded before it is ready.
 *
 * The invariant: it ends only by a drain, whatever began that, and a drain has an end.
 */
#include "proxy/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filters/milter_end.h"
#include "proxy/acceptor.h"
#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/dns_silence.h"
#include "proxy/base/io.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/control.h"
#include "proxy/drop.h"
#include "proxy/folders.h"
#include "proxy/metrics.h"
#include "proxy/smtp/flood.h"

#define ORDERS  64   /* a readiness */
#define LAST_MS 5000 /* between the hard end of a drain and our own */
#define LOG_MS  1000 /* without a descriptor for the log: how often it is asked for */
#define TICKETS_MS \
	(60 * 60 * 1000) /* how often keys of tickets follow the clock without a handshake */

struct worker {
	const struct worker_start *start;
	struct arena              *a;
	struct loop               *loop;
	struct smtp               *smtp;
	struct acceptor           *acceptor;
	struct flood              *flood;
	struct metrics            *metrics; /* NULL: nobody wants any */
	struct loop_fd             orders;
	struct timer               hard, tickets, logless, deaf;
	int                        log_fd;
	bool                       draining, cut;
};

/* ---- ending ---------------------------------------------------------------------------------- */

static void
all_gone(void *arg)
{
	struct worker *w = arg;

	loop_stop(w->loop);
}

static void
say_sessions(struct worker *w, const char *what)
{
	struct log_line l;

	log_begin(&l, w->start->world, SV("worker"), what);
	log_number(&l, "sessions", smtp_sessions(w->smtp));
	log_number(&l, "worker", w->start->place);
	log_end(&l);
}

/* The time of `drain` is over: what is left is cut. If even that hangs, the process simply ends. */
static void
hard_end(void *arg)
{
	struct worker *w = arg;

	if (w->cut) {
		say_sessions(w, "left");
		loop_stop(w->loop);
		return;
	}
	w->cut = true;
	say_sessions(w, "cut");
	timer_start(w->loop, &w->hard, loop_now(w->loop) + LAST_MS);
	smtp_abort(w->smtp);
}

static void
drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	acceptor_stop(w->acceptor);
	if (w->metrics != NULL)
		metrics_stop(w->metrics);
	timer_start(w->loop, &w->hard, loop_now(w->loop) + w->start->settings->drain);
	smtp_drain(w->smtp, all_gone, w);
}

/* ---- orders ---------------------------------------------------------------------------------- */

/* The kernel has dropped what came along: no descriptor was free. The old log may be a file that was moved away. */
static void
log_is_lacking(struct worker *w)
{
	if (w->logless.pos == 0)
		log_event(w->start->world, SV("worker"), "warning",
		    "why=\"no descriptor is free for the log, which was opened again: this one goes on\"");
	timer_start(w->loop, &w->logless, loop_now(w->loop) + LOG_MS);
}

static void
ask_for_log(void *arg)
{
	struct worker *w = arg;

	/* Started before the answer: it is no news that it comes without one. */
	timer_start(w->loop, &w->logless, loop_now(w->loop) + LOG_MS);
	(void)control_send(w->orders.fd, &(struct control_msg){ CONTROL_LOGLESS, 0 }, -1);
}

static void
take_log(struct worker *w, int fd)
{
	if (fd < 0) {
		log_is_lacking(w);
		return;
	}
	timer_stop(w->loop, &w->logless);
	world_real_log_fd(w->start->world, fd);
	if (w->log_fd > STDERR_FILENO)
		close(w->log_fd);
	w->log_fd = fd;
}

static void
obey(struct worker *w, const struct control_msg *m, int fd)
{
	switch (m->kind) {
	case CONTROL_ADOPT:
	case CONTROL_LEAVE:
		acceptor_place(w->acceptor, m->place, m->kind == CONTROL_ADOPT);
		break;
	case CONTROL_ABORT:
		drain(w);
		if (!w->cut)
			hard_end(w);
		break;
	case CONTROL_LOG:
		take_log(w, fd);
		return;
	case CONTROL_DRAIN:
	case CONTROL_NONE:
	case CONTROL_READY:
	case CONTROL_LOGLESS:
	case CONTROL_MAX:
		drain(w);
		break;
	}
	if (fd >= 0)
		close(fd);
}

/*
 * Nobody tells us anything any more: what there is is finished.  A master that is there learns of it by the end of the
 * channel, which is shut, not closed, for the acceptor's spare descriptor is the same socket.
 */
static void
orders_end(struct worker *w, const char *why)
{
	log_event(w->start->world, SV("worker"), "warning", "why=\"it drains: %s\"", why);
	loop_unwatch(w->loop, &w->orders);
	timer_stop(w->loop, &w->deaf);
	timer_stop(w->loop, &w->logless);
	(void)shutdown(w->orders.fd, SHUT_RDWR);
	drain(w);
}

/* No memory for an order, or none to hear of them: it stays there, and the loop must not spin on it. */
static void
orders_wait(struct worker *w)
{
	loop_unwatch(w->loop, &w->orders);
	timer_start(w->loop, &w->deaf, loop_now(w->loop) + CONTROL_PAUSE_MS);
}

static void
orders_again(void *arg)
{
	struct worker *w = arg;

	if (!loop_watch(w->loop, &w->orders, LOOP_READ))
		orders_wait(w);
}

static void
orders_ready(void *arg, unsigned what)
{
	struct worker     *w = arg;
	struct control_msg m;
	int                passed;

	(void)what;
	for (unsigned i = 0; i < ORDERS; i++)
		switch (control_recv(w->orders.fd, &m, &passed)) {
		case CONTROL_OK:
			obey(w, &m, passed);
			break;
		case CONTROL_AGAIN:
			return;
		case CONTROL_SHORT:
			orders_wait(w);
			return;
		case CONTROL_EOF:
			orders_end(w, "the master has gone");
			return;
		case CONTROL_BAD:
			orders_end(w, "what came from the master is no order");
			return;
		case CONTROL_FAULT:
			orders_end(w, strerror(errno));
			return;
		}
}

/* ---- keys of tickets ------------------------------------------------------------------------- */

static void
tickets_due(void *arg)
{
	struct worker *w = arg;

	tls_tickets_turn(w->start->world);
	timer_start(w->loop, &w->tickets, loop_now(w->loop) + TICKETS_MS);
}

/* ---- the process ----------------------------------------------------------------------------- */

static void
say_plugin(struct worker *w, const struct milter_conf *m, struct strv failed, uint64_t ms)
{
	struct log_line l;

	log_begin(
	    &l, w->start->world, SV("worker"), failed.p == NULL ? "plugin-ready" : "plugin-start");
	log_strv(&l, "name", m->name);
	log_number(&l, "pid", (uint64_t)getpid());
	log_number(&l, "ms", ms);
	log_strv(&l, "failed", failed);
	log_end(&l);
}

/* Here nobody waits, while one that reads large files would let all sessions of this worker wait for the first. */
static void
load_plugins(struct worker *w)
{
	const struct milters_conf *c = &w->start->settings->milters;
	struct world              *world = w->start->world;

	for (unsigned i = 0; i < c->n; i++) {
		uint64_t    begun = world->now(world);
		struct strv why = { NULL, 0 };

		if (c->v[i].home != HOME_INSIDE)
			continue;
		if (plugin_load(w->a, &c->v[i], &why) != NULL)
			why.p = NULL;
		say_plugin(w, &c->v[i], why, world->now(world) - begun);
	}
}

/* False: *why says what this worker lacks. */
static bool
begin(struct worker *w, const char **why)
{
	const struct worker_start *start = w->start;
	struct smtp_conf          *conf;

	if (!drop_privileges(start->settings->user, why))
		return false;
	w->loop = loop_new(start->world);
	if (w->loop == NULL) {
		*why = "no event loop";
		return false;
	}
	world_real_start(start->world, w->loop);
	world_real_log_room(start->world, counters_log(start->counters, start->column));
	if (!world_real_dns(start->world, &start->settings->resolver, why))
		log_event(start->world, SV("worker"), "dns", "there is no resolver: %s", *why);
	dns_silence_worker(start->place);
	if (!io_batch_start(w->loop, why) && *why != NULL)
		log_event(start->world, SV("worker"), "io-uring", "replies are sent one by one: %s",
		    *why);
	w->hard = (struct timer){ .fn = hard_end, .arg = w };
	w->tickets = (struct timer){ .fn = tickets_due, .arg = w };
	w->logless = (struct timer){ .fn = ask_for_log, .arg = w };
	w->deaf = (struct timer){ .fn = orders_again, .arg = w };
	tickets_due(w);
	conf = settings_split(start->settings, w->a, start->workers);
	conf->worker = start->place;
	conf->flood = w->flood = flood_new(w->loop, start->place);
	w->smtp = smtp_new(conf, start->world, w->loop, start->counters, start->column);
	if (w->smtp == NULL) {
		*why = "no memory for the pools";
		return false;
	}
	doing_here(counters_doing(start->counters, start->column));
	load_plugins(w);
	w->orders = (struct loop_fd){ .fn = orders_ready, .arg = w, .fd = start->control };
	if (!loop_watch(w->loop, &w->orders, LOOP_READ)) {
		*why = "the event loop takes no descriptor";
		return false;
	}
	if (start->settings->metrics != NULL)
		w->metrics = metrics_new(w->a, start, conf, w->smtp, w->loop);
	w->acceptor = acceptor_new(w->a, start, conf, w->smtp, w->metrics, w->loop);
	if (start->place == 0)
		folders_try(start->settings, start->world, w->loop);
	return true;
}

static void
end(struct worker *w)
{
	loop_unwatch(w->loop, &w->orders);
	timer_stop(w->loop, &w->hard);
	timer_stop(w->loop, &w->tickets);
	timer_stop(w->loop, &w->logless);
	timer_stop(w->loop, &w->deaf);
	flood_free(w->flood);
	if (w->metrics != NULL)
		metrics_end(w->metrics);
	/* With a session still alive its memory is not ours to take apart: the process ends, that is enough. */
	if (smtp_sessions(w->smtp) > 0) {
		world_real_stop(w->start->world);
		return;
	}
	smtp_free(w->smtp);
	io_batch_stop(w->loop);
	world_real_stop(w->start->world);
	loop_free(w->loop);
	arena_free(w->a);
}

int
worker_run(const struct worker_start *start)
{
	struct worker *w = mem_alloc(sizeof(*w));
	const char    *why = NULL;

	prctl(PR_SET_NAME, "postern-worker", 0, 0, 0);
	drop_signals();
	w->start = start;
	w->log_fd = start->log_fd;
	w->a = arena_new(4096, 0);
	if (!begin(w, &why)) {
		log_event(start->world, SV("worker"), "failed", "%s", why);
		return 1;
	}
	if (!control_send(start->control, &(struct control_msg){ CONTROL_READY, 0 }, -1))
		return 1;
	loop_run(w->loop);
	end(w);
	mem_free(w);
	return 0;
}
