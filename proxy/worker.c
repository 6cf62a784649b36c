/*
 * worker -- accepts clients at the places that the master gives it and hands them to smtp.
 *
 * It obeys the orders on its control socket alone; signals are the master's.  When that socket ends the
 * master has gone, and the worker finishes what it has.  No more is done for a connection here than
 * one accept4(): whether a session may begin is smtp's to say.  Plugins of this process are loaded before it is ready.
 *
 * The invariant: no place is polled while draining or pausing.
 */
#include "proxy/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filters/milter_end.h"
#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/control.h"

#define ACCEPTS  64   /* a readiness: then the sessions have their turn */
#define ORDERS   64   /* a readiness */
#define RESERVE  96   /* descriptors of log, spool files, questions to the DNS and the like */
#define PAUSE_MS 100  /* without descriptors or memory: how long nothing is accepted */
#define LAST_MS  5000 /* between the hard end of a drain and our own */
#define TICKETS_MS \
	(60 * 60 * 1000) /* how often keys of tickets follow the clock without a handshake */

struct watch { /* one listening socket */
	struct worker         *w;
	const struct listener *l;
	struct loop_fd         in;
	int                    fd;
	unsigned               burst; /* how many are accepted at the next readiness */
	uint64_t               at;    /* when the last one was */
	bool                   adopted;
};

struct worker {
	const struct worker_start *start;
	struct arena              *a;
	struct loop               *loop;
	struct smtp               *smtp;
	struct watch  *watch; /* places of a listener side by side, as in struct sockets */
	unsigned       n_watch;
	struct loop_fd orders;
	struct timer   pause, hard, tickets;
	int  fd_max; /* a client's descriptor is below it: the rest is for servers and files */
	int  spare;  /* a descriptor to give up, so that a client can hear 421 */
	int  log_fd;
	bool draining, cut;
};

/* ---- accepting ------------------------------------------------------------------------------- */

static void
watch_off(struct watch *x)
{
	loop_unwatch(x->w->loop, &x->in);
}

static void
watch_on(struct watch *x)
{
	if (!x->in.on && x->fd >= 0 && !x->w->draining && x->w->pause.pos == 0)
		(void)loop_watch(x->w->loop, &x->in, LOOP_READ);
}

/* Without this a full table would make the loop spin: the listening socket stays ready. */
static void
pause_accepting(struct worker *w)
{
	for (unsigned i = 0; i < w->n_watch; i++)
		watch_off(&w->watch[i]);
	timer_start(w->loop, &w->pause, loop_now(w->loop) + PAUSE_MS);
}

static void
pause_over(void *arg)
{
	struct worker *w = arg;

	/* Once lost it would be missed at every later shortage, too. */
	if (w->spare < 0)
		w->spare = fcntl(w->start->control, F_DUPFD_CLOEXEC, 0);
	for (unsigned i = 0; i < w->n_watch; i++)
		if (w->watch[i].adopted)
			watch_on(&w->watch[i]);
}

/* The connections that mail needs towards servers, and some files, must be had when clients have taken theirs. */
static int
descriptors_for_clients(const struct smtp_conf *conf)
{
	struct rlimit r;
	rlim_t        reserve = RESERVE;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur > INT_MAX)
		return INT_MAX;
	for (unsigned i = 0; i < conf->n_pool; i++)
		for (unsigned k = 0; k < conf->pool[i].n_server; k++)
			reserve += conf->pool[i].server[k].connections +
			    conf->pool[i].server[k].auth_connections;
	return (int)(r.rlim_cur - (reserve < r.rlim_cur / 4 ? reserve : r.rlim_cur / 4));
}

/* RFC 5321 3.8: before the greeting 421 may stand in its place. With TLS there are no words yet. */
static void
say_full(struct watch *x, int fd)
{
	static const char said[] = "421 4.3.2 Too many connections, try again later\r\n";
	struct worker    *w = x->w;

	if (!x->l->tls)
		(void)!send(fd, said, sizeof(said) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	counters_add(w->start->counters, w->start->column, COUNTER_SESSIONS_REFUSED, 1);
}

/* No descriptor is left: one client is told so with the spare one, rather than left in the queue. */
static void
turn_away(struct watch *x)
{
	struct worker *w = x->w;
	int            fd;

	if (w->spare < 0) {
		pause_accepting(w);
		return;
	}
	close(w->spare);
	fd = accept4(x->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		say_full(x, fd);
	w->spare = fcntl(w->start->control, F_DUPFD_CLOEXEC, 0);
	/* The spare place may have gone to somebody else meanwhile. */
	if (w->spare < 0 || fd < 0)
		pause_accepting(w);
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
	struct endpoint          local = x->l->at;

	if (memcmp(local.addr.b, any.b, sizeof(any.b)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
		(void)endpoint_from_sockaddr((struct sockaddr *)&ss, len, &local);
	return local;
}

/* False: enough for now. */
static bool
accept_one(struct watch *x)
{
	struct worker          *w = x->w;
	struct sockaddr_storage ss;
	socklen_t               len = sizeof(ss);
	struct endpoint         peer, local;
	int fd = accept4(x->fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= w->fd_max) {
		say_full(x, fd);
		return true;
	}
	if (fd >= 0) {
		if (!endpoint_from_sockaddr((struct sockaddr *)&ss, len, &peer)) {
			close(fd);
			return true;
		}
		local = local_of(x, fd);
		session_open(w->smtp, x->l, fd, &peer, &local);
		return x->in.on;
	}
	if (errno == EAGAIN)
		return false;
	if (is_client_fault(errno))
		return true;
	if (errno == EMFILE || errno == ENFILE)
		turn_away(x);
	else
		pause_accepting(w);
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
	now = loop_now(x->w->loop);
	while (n < x->burst && accept_one(x))
		n++;
	if (n < x->burst)
		x->burst = n > 1 ? n : 1;
	else if (now - x->at <= 1 && x->burst < ACCEPTS)
		x->burst *= 2;
	x->at = now;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void
all_gone(void *arg)
{
	struct worker *w = arg;

	loop_stop(w->loop);
}

/* The time of `drain` is over: what is left is cut. If even that hangs, the process simply ends. */
static void
hard_end(void *arg)
{
	struct worker *w = arg;

	if (w->cut) {
		loop_stop(w->loop);
		return;
	}
	w->cut = true;
	log_event(w->start->world, SV("worker"), "cut", "sessions=%u", smtp_sessions(w->smtp));
	timer_start(w->loop, &w->hard, loop_now(w->loop) + LAST_MS);
	smtp_abort(w->smtp);
}

/* Listening sockets are closed at once: those that stay have a new owner, the others shall be free. */
static void
drain(struct worker *w)
{
	if (w->draining)
		return;
	w->draining = true;
	timer_stop(w->loop, &w->pause);
	for (unsigned i = 0; i < w->n_watch; i++) {
		watch_off(&w->watch[i]);
		close(w->watch[i].fd);
		w->watch[i].fd = -1;
	}
	timer_start(w->loop, &w->hard, loop_now(w->loop) + w->start->settings->drain);
	smtp_drain(w->smtp, all_gone, w);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void
adopt(struct worker *w, unsigned place, bool yes)
{
	for (unsigned i = 0; i < w->n_watch; i++) {
		struct watch *x = &w->watch[i];

		if (i % w->start->sockets->places != place)
			continue;
		x->adopted = yes;
		if (yes)
			watch_on(x);
		else
			watch_off(x);
	}
}

static void
take_log(struct worker *w, int fd)
{
	if (fd < 0)
		return;
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
		adopt(w, m->place, m->kind == CONTROL_ADOPT);
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
	case CONTROL_MAX:
		drain(w);
		break;
	}
	if (fd >= 0)
		close(fd);
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
		case CONTROL_EOF: /* the master has gone */
		case CONTROL_BAD:
			loop_unwatch(w->loop, &w->orders);
			drain(w);
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

void
worker_signals(void)
{
	/* A terminal sends SIGINT to all of us, `killall` SIGTERM: the master hears it, too, and orders. */
	static const int ignored[] = { SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t         none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		sigaction(ignored[i], &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

bool
worker_drop(const char *user, const char **why)
{
	struct passwd *pw;

	/* What is under this process' keys is nobody else's; and no set-uid program makes more of us. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		*why = "no_new_privs cannot be set";
		return false;
	}
	if (user == NULL || geteuid() != 0)
		return true;
	pw = getpwnam(user);
	if (pw == NULL || initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
	    setuid(pw->pw_uid) < 0) {
		*why = "cannot become the user of `user'";
		return false;
	}
	/* setuid() that leaves a way back would be a trap. */
	if (pw->pw_uid != 0 && setuid(0) == 0) {
		*why = "root would not go away";
		return false;
	}
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return true;
}

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

static void
watches_make(struct worker *w)
{
	const struct sockets *s = w->start->sockets;

	w->n_watch = s->n * s->places;
	w->watch = arena_array(w->a, w->n_watch, sizeof(*w->watch));
	for (unsigned i = 0; i < w->n_watch; i++) {
		struct watch *x = &w->watch[i];

		x->w = w;
		x->l = &w->start->settings->listener[i / s->places];
		x->fd = s->fd[i];
		x->burst = 1;
		x->in = (struct loop_fd){ .fn = listener_ready, .arg = x, .fd = x->fd };
	}
}

/* False: *why says what this worker lacks. */
static bool
begin(struct worker *w, const char **why)
{
	const struct worker_start *start = w->start;
	const struct smtp_conf    *conf;

	if (!worker_drop(start->settings->user, why))
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
	w->pause = (struct timer){ .fn = pause_over, .arg = w };
	w->hard = (struct timer){ .fn = hard_end, .arg = w };
	w->tickets = (struct timer){ .fn = tickets_due, .arg = w };
	tickets_due(w);
	conf = settings_split(start->settings, w->a, start->workers);
	w->smtp = smtp_new(conf, start->world, w->loop, start->counters, start->column);
	if (w->smtp == NULL) {
		*why = "no memory for the pools";
		return false;
	}
	doing_here(counters_doing(start->counters, start->column));
	load_plugins(w);
	w->fd_max = descriptors_for_clients(conf);
	watches_make(w);
	w->orders = (struct loop_fd){ .fn = orders_ready, .arg = w, .fd = start->control };
	if (!loop_watch(w->loop, &w->orders, LOOP_READ)) {
		*why = "the event loop takes no descriptor";
		return false;
	}
	w->spare = fcntl(start->control, F_DUPFD_CLOEXEC, 0);
	return true;
}

static void
end(struct worker *w)
{
	loop_unwatch(w->loop, &w->orders);
	timer_stop(w->loop, &w->hard);
	timer_stop(w->loop, &w->pause);
	timer_stop(w->loop, &w->tickets);
	/* With a session still alive its memory is not ours to take apart: the process ends, that is enough. */
	if (smtp_sessions(w->smtp) > 0) {
		world_real_stop(w->start->world);
		return;
	}
	smtp_free(w->smtp);
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
	worker_signals();
	w->start = start;
	w->log_fd = start->log_fd;
	w->spare = -1;
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
