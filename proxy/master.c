/*
 * master.c -- the signals: reload, stop, open the log again; birth, the one wait, and the end.
 *
 * Not for what a reload changes (master_reload.c) nor for the log (master_log.c); the workers are
 * crew.c's, the processes of plugins keeper.c's.
 * The invariant: all waiting is in one poll().  Nothing else blocks but a reload: it reads a
 * configuration that a checker process has read before, and starts its plugins.
 */
#include "proxy/master.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/tls.h"
#include "proxy/base/world.h"
#include "proxy/drop.h"
#include "proxy/master_own.h"

#define TICKETS_MS (60 * 60 * 1000) /* how often keys of tickets are made to follow the clock */

void
master_leave(void *master)
{
	struct master *m = master;

	close(m->signals);
	crew_close(&m->crew);
	keeper_leave(m->keeper);
	if (m->log.pipe[0] >= 0)
		close(m->log.pipe[0]);
}

/* ---- signals --------------------------------------------------------------------------------- */

static void
stop(struct master *m)
{
	master_say(m, "stopping", "drain", m->stopping ? "cut" : "begun");
	if (m->checker != 0)
		kill(m->checker, SIGKILL);
	if (m->stopping) {
		crew_abort(&m->crew);
		return;
	}
	notify_send("STOPPING=1");
	m->stopping = true;
	sockets_close(&m->sockets);
	crew_drain(&m->crew);
}

static void
reap(struct master *m)
{
	int   status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->checker)
			master_checked(m, status);
		else if (!master_log_ended(m, pid) && !keeper_ended(m->keeper, pid, status))
			crew_ended(&m->crew, pid, status);
}

static void
take_signals(struct master *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(m);
			break;
		case SIGHUP:
			master_reload(m);
			break;
		case SIGUSR1:
			master_log_reopen(m);
			break;
		default:
			stop(m);
			break;
		}
}

/* ---- the wait, and the end ------------------------------------------------------------------- */

/* No handshake comes here that would do it, and each worker that is born has our keys. */
static void
turn_tickets(struct master *m)
{
	uint64_t now = m->w->now(m->w);

	if (m->tickets_at > now)
		return;
	tls_tickets_turn(m->w);
	m->tickets_at = now + TICKETS_MS;
}

static int
ms_to_wait(const struct master *m)
{
	uint64_t now = m->w->now(m->w), at = m->tickets_at;
	uint64_t due[] = { crew_next(&m->crew), keeper_next(m->keeper), master_log_next(m),
		m->check_until == 0 ? UINT64_MAX : m->check_until };

	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++)
		if (due[i] < at)
			at = due[i];
	return at <= now ? 0 : (int)(at - now);
}

static void
wait_once(struct master *m, struct pollfd *p)
{
	unsigned       n = crew_poll(&m->crew, p + 1);
	struct pollfd *plugins = p + 1 + n;
	unsigned       n_plugins = keeper_poll(m->keeper, plugins);

	p[0] = (struct pollfd){ m->signals, POLLIN, 0 };
	if (poll(p, 1 + n + n_plugins, ms_to_wait(m)) > 0) {
		/* Reports first: after a signal, p may speak of those who are no more. */
		crew_reports(&m->crew, p + 1, n);
		keeper_reports(m->keeper, plugins, n_plugins);
		if (p[0].revents != 0)
			take_signals(m);
	}
	crew_due(&m->crew);
	master_say_reloaded(m);
	keeper_due(m->keeper);
	keeper_retire(m->keeper, crew_oldest(&m->crew));
	master_bound_checker(m);
	turn_tickets(m);
	master_log_due(m);
}

static void
master_free(struct master *m)
{
	world_real_stop(m->w);
	master_log_end(m);
	settings_free(m->s);
	arena_free(m->a);
	crew_fini(&m->crew);
	close(m->signals);
	mem_free(m);
}

int
master_run(struct master *m)
{
	struct pollfd *p = mem_array(m->crew.n_child + 1 + KEEPER_FDS, sizeof(*p));

	master_say_settings(m, "ready");
	notify_send("READY=1");
	crew_want(&m->crew);
	while (!m->stopping || crew_alive(&m->crew) || m->checker != 0)
		wait_once(m, p);
	/* What is in the pipe then and later must be read: nothing is put off any more. */
	m->log.logger_at = 0;
	master_log_due(m);
	keeper_free(m->keeper);
	master_say(m, "stopped", NULL, NULL);
	mem_free(p);
	master_free(m);
	return 0;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int
open_signals(void)
{
	static const int ours[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGUSR1 };
	sigset_t         set;

	ignore_signals();
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		sigaddset(&set, ours[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

struct master *
master_new(struct world *w, const char *path, struct arena *a, struct settings *s, const char **why)
{
	struct master *m = mem_alloc(sizeof(*m));

	m->w = w;
	m->path = path;
	m->a = a;
	master_log_init(m);
	raise_limits();
	m->signals = open_signals();
	if (m->signals < 0) {
		*why = "no signal descriptor";
		return NULL;
	}
	m->keeper = keeper_new(w);
	m->crew.sockets = &m->sockets;
	m->crew.leave = master_leave;
	m->crew.arg = m;
	if (!crew_init(&m->crew, w))
		*why = "no memory for the counters";
	else if (master_take_over(m, s, a, why) &&
	    keeper_want(m->keeper, s, m->crew.generation + 1, a, why))
		return m;
	keeper_free(m->keeper);
	return NULL;
}
