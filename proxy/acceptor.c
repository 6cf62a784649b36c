/*
 * acceptor -- the listening sockets of a worker: which of them are polled, and how clients are taken.
 *
 * No more is done for a connection here than one accept4(): whether a session may begin is smtp's to say.
 * A shortage of descriptors or memory, or a fault that lasts, never makes the loop spin: one client is told, or all wait
 * a little.
 *
 * The invariants: a place is polled only while it is adopted, and not once stopped; while pausing none is polled anew;
 * one that is adopted and not polled has the pause's end to come.
 */
#include "proxy/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/metrics.h"
#include "proxy/worker.h"

#define ACCEPTS  64   /* a readiness: then the sessions have their turn */
#define RESERVE  96   /* descriptors of log, spool files, questions to the DNS and the like */
#define PAUSE_MS 100  /* without descriptors or memory: how long nothing is accepted */
#define AWAY_MS  5000 /* between two lines about clients that are turned away */

struct watch { /* one listening socket */
	struct acceptor       *acceptor;
	const struct endpoint *listens;
	const struct listener *l; /* NULL: metrics are asked for here */
	struct loop_fd         in;
	int                    fd;
	unsigned               burst;  /* how many are accepted at the next readiness */
	unsigned               faults; /* of clients, in a row */
	uint64_t               at;     /* when the last one was */
	bool                   adopted;
};

struct acceptor {
	const struct worker_start *start;
	struct loop               *loop;
	struct smtp               *smtp;
	struct metrics            *metrics;
	struct watch *watch; /* places of a listener side by side, as in struct sockets */
	unsigned      n_watch;
	struct timer  pause, away;
	unsigned      n_away; /* turned away, and not told of in the log so far */
	const char   *why;    /* the last of them was; static */
	int  fd_max; /* a client's descriptor is below it: the rest is for servers and files */
	int  spare;  /* a descriptor to give up, so that a client can hear 421 */
	bool told;   /* that the kernel does not let us poll: once, until it does */
	bool stopped;
};

/* ---- polling --------------------------------------------------------------------------------- */

static void
watch_off(struct watch *x)
{
	loop_unwatch(x->acceptor->loop, &x->in);
}

/* False: the kernel refuses. */
static bool
watch_on(struct watch *x)
{
	if (x->in.on || x->fd < 0 || x->acceptor->stopped || x->acceptor->pause.pos != 0)
		return true;
	return loop_watch(x->acceptor->loop, &x->in, LOOP_READ);
}

/* Clients of such a listener wait in its queue, and those of the others do not. */
static void
watch_fails(struct watch *x, int error)
{
	struct acceptor *a = x->acceptor;
	char             at[ENDPOINT_TEXT];
	struct log_line  l;

	if (a->told)
		return;
	a->told = true;
	log_begin(&l, a->start->world, SV("worker"), "listen-failed");
	log_strv(&l, "listen", endpoint_print(x->listens, at));
	log_z(&l, "why", strerror(error));
	log_end(&l);
}

/* All that should be polled; one that the kernel refuses (no memory, max_user_watches) is tried again in a moment. */
static void
watch_all(struct acceptor *a)
{
	bool all = true;

	for (unsigned i = 0; i < a->n_watch; i++) {
		if (!a->watch[i].adopted || watch_on(&a->watch[i]))
			continue;
		watch_fails(&a->watch[i], errno);
		all = false;
	}
	a->told = a->told && !all;
	if (!all)
		timer_start(a->loop, &a->pause, loop_now(a->loop) + PAUSE_MS);
}

/* Without this a full table would make the loop spin: the listening socket stays ready. */
static void
pause_all(struct acceptor *a)
{
	for (unsigned i = 0; i < a->n_watch; i++)
		watch_off(&a->watch[i]);
	timer_start(a->loop, &a->pause, loop_now(a->loop) + PAUSE_MS);
}

static void
pause_over(void *arg)
{
	struct acceptor *a = arg;

	/* Once lost it would be missed at every later shortage, too. */
	if (a->spare < 0)
		a->spare = fcntl(a->start->control, F_DUPFD_CLOEXEC, 0);
	watch_all(a);
}

/* ---- taking clients -------------------------------------------------------------------------- */

/* The first at once, and those behind it together: a crowd shall not fill the log. */
static void
log_away(struct acceptor *a)
{
	struct log_line l;

	log_begin(&l, a->start->world, SV("worker"), "turned-away");
	log_number(&l, "clients", a->n_away);
	log_z(&l, "why", a->why);
	log_end(&l);
	a->n_away = 0;
	timer_start(a->loop, &a->away, loop_now(a->loop) + AWAY_MS);
}

static void
away_due(void *arg)
{
	struct acceptor *a = arg;

	if (a->n_away > 0)
		log_away(a);
}

/* RFC 5321 3.8: before the greeting 421 may stand in its place. With TLS there are no words yet. */
static void
say_full(struct watch *x, int fd, const char *why)
{
	static const char said[] = "421 4.3.2 Too many connections, try again later\r\n";
	struct acceptor  *a = x->acceptor;

	if (x->l == NULL) {
		close(fd);
		return;
	}
	if (!x->l->tls)
		(void)!send(fd, said, sizeof(said) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	counters_add(a->start->counters, a->start->column, COUNTER_REFUSED_ROOM, 1);
	a->n_away++;
	a->why = why;
	if (a->away.pos == 0)
		log_away(a);
}

/* No descriptor is left: one client is told so with the spare one, rather than left in the queue. */
static void
turn_away(struct watch *x, const char *why)
{
	struct acceptor *a = x->acceptor;
	int              fd;

	if (a->spare < 0) {
		pause_all(a);
		return;
	}
	close(a->spare);
	fd = accept4(x->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		say_full(x, fd, why);
	a->spare = fcntl(a->start->control, F_DUPFD_CLOEXEC, 0);
	/* The spare place may have gone to somebody else meanwhile. */
	if (a->spare < 0 || fd < 0)
		pause_all(a);
}

/* What accept4() says of a client that has gone again, or of the network (accept(2)): the next may be well. */
static bool
is_client_fault(int error)
{
	return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM ||
	    error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
	    error == EHOSTUNREACH || error == EOPNOTSUPP || error == ENETUNREACH ||
	    error == ETIMEDOUT;
}

/* The address that the client spoke to: known from the listener, unless that is for any address. */
static struct endpoint
local_of(const struct watch *x, int fd)
{
	static const struct addr any;
	struct sockaddr_storage  ss;
	socklen_t                len = sizeof(ss);
	struct endpoint          local = *x->listens;

	if (memcmp(local.addr.b, any.b, sizeof(any.b)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		(void)endpoint_from_sockaddr((struct sockaddr *)&ss, len, &local);
	return local;
}

/* False: enough for now. */
static bool
accept_one(struct watch *x)
{
	struct acceptor        *a = x->acceptor;
	struct sockaddr_storage ss;
	socklen_t               len = sizeof(ss);
	struct endpoint         peer, local;
	int fd = accept4(x->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0 || errno == EAGAIN)
		x->faults = 0;
	/* They are few, and wanted most where clients are many. */
	if (fd >= 0 && x->l == NULL) {
		metrics_open(a->metrics, fd);
		return x->in.on;
	}
	if (fd >= a->fd_max) {
		say_full(x, fd, "the descriptors that are left are for servers and files");
		return true;
	}
	if (fd >= 0) {
		if (!endpoint_from_sockaddr((struct sockaddr *)&ss, len, &peer)) {
			close(fd);
			return true;
		}
		local = local_of(x, fd);
		session_open(a->smtp, x->l, fd, &peer, &local);
		return x->in.on;
	}
	if (errno == EAGAIN)
		return false;
	/* So many in a row are nobody's but the machine's (EPERM of its policy), and may last. */
	if (is_client_fault(errno) && ++x->faults < ACCEPTS)
		return true;
	if (errno == EMFILE)
		turn_away(x, "no descriptor is free in this worker");
	else if (errno == ENFILE)
		turn_away(x, "no descriptor is free on this machine");
	else
		pause_all(a);
	return false;
}

/*
 * One client a readiness costs one accept4() and no more; when they come in crowds (again within a
 * millisecond, and all that was asked for was there) several are taken at once, up to ACCEPTS.
 */
static void
listener_ready(void *arg, unsigned what)
{
	struct watch *x = arg;
	uint64_t      now;
	unsigned      n = 0;

	(void)what;
	now = loop_now(x->acceptor->loop);
	while (n < x->burst && accept_one(x))
		n++;
	if (n < x->burst)
		x->burst = n > 1 ? n : 1;
	else if (now - x->at <= 1 && x->burst < ACCEPTS)
		x->burst *= 2;
	x->at = now;
}

/* ---- what the worker asks -------------------------------------------------------------------- */

/*
 * The connections that mail needs towards servers, and some files, must be had when clients have taken theirs, and those
 * who ask for metrics (so many), whom nothing turns away.
 */
static int
descriptors_for_clients(const struct smtp_conf *conf, rlim_t metrics)
{
	struct rlimit r;
	rlim_t        reserve = RESERVE;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > INT_MAX)
		return INT_MAX;
	for (unsigned i = 0; i < conf->n_pool; i++)
		for (unsigned k = 0; k < conf->pool[i].n_server; k++)
			reserve += conf->pool[i].server[k].connections +
			    conf->pool[i].server[k].auth_connections;
	reserve = reserve < r.rlim_cur / 4 ? reserve : r.rlim_cur / 4;
	return (int)(r.rlim_cur - reserve - (metrics < r.rlim_cur / 4 ? metrics : r.rlim_cur / 4));
}

static void
watches_make(struct acceptor *a, struct arena *arena)
{
	const struct sockets *s = a->start->sockets;

	a->n_watch = s->n * s->places;
	a->watch = arena_array(arena, a->n_watch, sizeof(*a->watch));
	for (unsigned i = 0; i < a->n_watch; i++) {
		struct watch *x = &a->watch[i];

		x->acceptor = a;
		x->listens = &s->at[i / s->places];
		if (i / s->places < a->start->settings->n_listener)
			x->l = &a->start->settings->listener[i / s->places];
		x->fd = s->fd[i];
		x->burst = 1;
		x->in = (struct loop_fd){ .fn = listener_ready, .arg = x, .fd = x->fd };
	}
}

struct acceptor *
acceptor_new(struct arena *arena, const struct worker_start *start, const struct smtp_conf *conf,
    struct smtp *smtp, struct metrics *metrics, struct loop *loop)
{
	struct acceptor *a = arena_alloc(arena, sizeof(*a));

	a->start = start;
	a->loop = loop;
	a->smtp = smtp;
	a->metrics = metrics;
	a->pause = (struct timer){ .fn = pause_over, .arg = a };
	a->away = (struct timer){ .fn = away_due, .arg = a };
	a->fd_max = descriptors_for_clients(conf, metrics == NULL ? 0 : METRICS_CONNECTIONS);
	watches_make(a, arena);
	a->spare = fcntl(start->control, F_DUPFD_CLOEXEC, 0);
	return a;
}

void
acceptor_place(struct acceptor *a, unsigned place, bool yes)
{
	for (unsigned i = 0; i < a->n_watch; i++) {
		struct watch *x = &a->watch[i];

		if (i % a->start->sockets->places != place)
			continue;
		x->adopted = yes;
		/* What is new at an address that was kept does not listen yet (sockets.c); again changes nothing. */
		if (yes && x->fd >= 0)
			sockets_listen(x->fd);
		if (!yes)
			watch_off(x);
	}
	if (yes)
		watch_all(a);
}

void
acceptor_stop(struct acceptor *a)
{
	if (a->stopped)
		return;
	a->stopped = true;
	away_due(a);
	timer_stop(a->loop, &a->away);
	timer_stop(a->loop, &a->pause);
	for (unsigned i = 0; i < a->n_watch; i++) {
		watch_off(&a->watch[i]);
		close(a->watch[i].fd);
		a->watch[i].fd = -1;
	}
}
