/*
 * master -- the signals: reload, stop, open the log again; and what only it owns: sockets and the log.
 *
 * The workers are crew.c's, the processes of plugins keeper.c's.  All waiting is in one poll(); nothing here
 * blocks but reading the configuration, which a checker process has read before, and starting its plugins.
 * The invariant: what holds (settings, sockets, log, generation) changes as a whole or not at all.
 */
#include "proxy/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/tls.h"
#include "proxy/crew.h"
#include "proxy/keeper.h"
#include "proxy/plugincheck.h"
#include "proxy/sockets.h"
#include "proxy/syslog.h"
#include "proxy/trial.h"
#include "proxy/worker.h"

#define CHECK_MS   60000            /* how long a configuration may take to read */
#define TICKETS_MS (60 * 60 * 1000) /* how often keys of tickets are made to follow the clock */

struct master {
	struct world    *w;
	const char      *path;
	struct arena    *a; /* of the configuration that holds */
	struct settings *s;
	struct sockets   sockets;
	struct crew      crew;
	struct keeper   *keeper;
	pid_t            checker, logger; /* 0: none */
	uint64_t         check_until, tickets_at;
	bool             check_again; /* a SIGHUP came while the checker ran */
	bool             stopping;
	int              signals;     /* signalfd */
	int              log_fd;      /* where the log goes */
	int              log_pipe[2]; /* towards the logger; -1: no syslog */
};

/* ---- saying ---------------------------------------------------------------------------------- */

static void
begin_line(struct master *m, struct log_line *l, const char *what)
{
	log_begin(l, m->w, SV("master"), what);
}

static void
say(struct master *m, const char *what, const char *key, const char *value)
{
	struct log_line l;

	begin_line(m, &l, what);
	log_z(&l, key, value);
	log_end(&l);
}

static void
say_ready(struct master *m, const char *what)
{
	struct log_line l;
	struct rlimit   files;
	char            text[ENDPOINT_TEXT];

	begin_line(m, &l, what);
	log_z(&l, "version", VERSION);
	log_number(&l, "workers", m->crew.workers);
	for (unsigned i = 0; i < m->s->n_listener; i++)
		log_strv(&l, "listen", endpoint_print(&m->s->listener[i].at, text));
	for (unsigned i = 0; i < m->s->n_server; i++)
		log_strv(&l, "upstream", m->s->server[i].name);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		log_number(&l, "descriptors", files.rlim_cur);
	log_end(&l);
}

/* A worker without a connection could serve nobody: so each has one, and together they have more. */
static void
warn_of_ceilings(struct master *m)
{
	for (unsigned i = 0; i < m->s->n_server; i++) {
		const struct server *sv = &m->s->server[i];

		if (sv->kind == HOP_MAILDIR || sv->connections >= m->crew.workers)
			continue;
		log_event(m->w, SV("master"), "warning",
		    "why=\"%u workers have a connection each to %.*s, where `connections' is %u\"",
		    m->crew.workers, (int)sv->name.n, sv->name.p, sv->connections);
	}
}

/* What is allowed but hardly meant. */
static void
say_warnings(struct master *m)
{
	warn_of_ceilings(m);
	if (policy_relays_nothing(m->s->policy))
		say(m, "warning", "why", "there is no relay block: every recipient is refused");
	if (geteuid() == 0 && m->s->user == NULL)
		say(m, "warning", "why", "the workers run as root: say `user NAME'");
	if (geteuid() != 0 && m->s->user != NULL)
		say(m, "warning", "why", "only root can become another user: `user' is ignored");
}

/* ---- the log's other end --------------------------------------------------------------------- */

/* A child keeps nothing of the master's but what it is given. */
static void
leave(void *arg)
{
	struct master *m = arg;

	close(m->signals);
	crew_close(&m->crew);
	keeper_leave(m->keeper);
	if (m->log_pipe[0] >= 0)
		close(m->log_pipe[0]);
}

static void
start_logger(struct master *m)
{
	const char *why;
	int         lines;
	pid_t       pid = fork();

	if (pid > 0)
		m->logger = pid;
	if (pid != 0)
		return;
	lines = fcntl(m->log_pipe[0], F_DUPFD_CLOEXEC, 0);
	/* It must not hold the end that it waits for. */
	world_real_log_fd(m->w, -1);
	worker_signals();
	leave(m);
	sockets_close(&m->sockets);
	close(m->log_pipe[1]);
	/* It lives long and turns nothing: from the key of today come those of all days to come. */
	tls_tickets_forget();
	if (worker_drop(m->s->user, &why))
		syslog_pump(lines);
	_exit(0);
}

/* Where the configuration wants the log: a descriptor, or -1 with *why. */
static int
log_open(struct master *m, const struct settings *s, const char **why)
{
	int fd;

	*why = NULL;
	switch (s->log) {
	case LOG_STDERR:
		return STDERR_FILENO;
	case LOG_FILE:
		fd = open(s->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
		if (fd < 0)
			*why = strerror(errno);
		return fd;
	case LOG_SYSLOG:
		break;
	}
	/* The pipe stays for good, so that a logger that dies loses nothing. */
	if (m->log_pipe[0] < 0 && pipe2(m->log_pipe, O_CLOEXEC) < 0) {
		m->log_pipe[0] = m->log_pipe[1] = -1;
		*why = strerror(errno);
	}
	return m->log_pipe[1];
}

static void
log_to(struct master *m, int fd)
{
	int old = m->log_fd;

	m->log_fd = fd;
	world_real_log_fd(m->w, fd);
	if (old != fd && old > STDERR_FILENO && old != m->log_pipe[1])
		close(old);
	if (fd == m->log_pipe[1] && fd >= 0 && m->logger == 0)
		start_logger(m);
}

static void
reopen_log(struct master *m)
{
	const char *why;
	int         fd;

	if (m->s->log != LOG_FILE)
		return;
	fd = log_open(m, m->s, &why);
	if (fd < 0) {
		say(m, "log", "failed", why);
		return;
	}
	log_to(m, fd);
	crew_log(&m->crew, fd);
}

/* ---- reload ---------------------------------------------------------------------------------- */

static void
to_log(struct strv line, void *arg)
{
	struct master *m = arg;
	char           safe[LOG_LINE];

	line = log_escape(line, safe, sizeof(safe));
	log_event(m->w, SV("master"), "reload", "%.*s", (int)line.n, line.p);
}

static unsigned
say_diags(struct master *m, const struct diags *d)
{
	diag_print(d, false, to_log, m);
	return d->errors;
}

/* In the child: the exit status says whether the configuration is good; what is wrong goes to the log. */
static void
be_checker(struct master *m)
{
	struct arena    *a = arena_new(4096, 0);
	struct diags     d = { .a = a };
	struct settings *s;

	worker_signals();
	prctl(PR_SET_NAME, "postern-check", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	leave(m);
	sockets_close(&m->sockets);
	s = settings_load(a, m->w, m->path, &d);
	if (d.errors == 0)
		(void)trial_run_all(s, m->w, &d, NULL, NULL);
	if (d.errors == 0)
		(void)plugincheck_run(s, m->w, &d);
	_exit(say_diags(m, &d) == 0 ? 0 : 1);
}

static void
start_checker(struct master *m)
{
	pid_t pid;

	if (m->stopping)
		return;
	if (m->checker != 0) {
		m->check_again = true;
		return;
	}
	say(m, "reload", "file", m->path);
	pid = fork();
	if (pid == 0)
		be_checker(m);
	if (pid < 0) {
		say(m, "reload", "failed", strerror(errno));
		return;
	}
	m->checker = pid;
	m->check_until = m->w->now(m->w) + CHECK_MS;
}

static unsigned
wanted_workers(const struct settings *s)
{
	cpu_set_t cores;
	unsigned  n = s->workers;

	if (n == 0 && sched_getaffinity(0, sizeof(cores), &cores) == 0)
		n = (unsigned)CPU_COUNT(&cores);
	return n == 0 ? 1 : n > CREW_MAX ? CREW_MAX : n;
}

/* Takes over what new settings want of the system. All or nothing; false: *why, in a. */
static bool
take_over(struct master *m, struct settings *s, unsigned workers, struct arena *a, const char **why)
{
	const struct listener *failed;
	const char            *log_why;
	struct strv            text;
	char                   at[ENDPOINT_TEXT];
	int                    fd = log_open(m, s, &log_why);

	if (fd < 0) {
		text = arena_printf(a, "cannot log to %s: %s",
		    s->log == LOG_FILE ? s->log_file : "syslog", log_why);
		*why = text.p;
		return false;
	}
	if (!sockets_open(&m->sockets, s->listener, s->n_listener, workers, a, &failed, &text)) {
		struct strv where = endpoint_print(&failed->at, at);

		*why = arena_printf(
		    a, "cannot listen at %.*s: %.*s", (int)where.n, where.p, (int)text.n, text.p)
			   .p;
		if (s->log == LOG_FILE)
			close(fd);
		return false;
	}
	m->s = s;
	m->crew.settings = s;
	m->crew.workers = workers;
	log_to(m, fd);
	m->crew.log_fd = fd;
	return true;
}

/* The same, with the processes of its plugins, which nobody must lack who is forked for it. */
static bool
get_ready(struct master *m, struct settings *s, unsigned workers, struct arena *a, const char **why)
{
	unsigned next = m->crew.generation + 1;

	if (!keeper_want(m->keeper, s, next, a, why))
		return false;
	if (take_over(m, s, workers, a, why))
		return true;
	keeper_drop(m->keeper, next);
	return false;
}

/* The checker has found the file good. It may have changed since: a mistake leaves everything as it was. */
static void
reload(struct master *m)
{
	struct arena    *a = arena_new(4096, 0), *old_a = m->a;
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, m->w, m->path, &d), *old = m->s;
	unsigned         workers = wanted_workers(s);
	const char      *why = "the file has mistakes";

	if (d.errors > 0)
		(void)say_diags(m, &d);
	if (d.errors > 0 || !get_ready(m, s, workers, a, &why)) {
		say(m, "reload", "failed", why);
		settings_free(s);
		arena_free(a);
		return;
	}
	m->a = a;
	/* Old and new workers count clients in the same table. */
	s->smtp.key = old->smtp.key;
	settings_free(old);
	arena_free(old_a);
	say_ready(m, "reloaded");
	say_warnings(m);
	crew_want(&m->crew);
}

static void
notify_reloading(struct master *m)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)m->w->now(m->w) * 1000);
	notify_send(text);
}

static void
checker_ended(struct master *m, int status)
{
	m->checker = 0;
	m->check_until = 0;
	if (!m->stopping) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			reload(m);
		else
			say(m, "reload", "failed",
			    WIFEXITED(status) ?
				"the old configuration stays" :
				"the checker did not end well; the old configuration stays");
		notify_send("READY=1");
	}
	if (m->check_again) {
		m->check_again = false;
		start_checker(m);
	}
}

/* ---- stopping -------------------------------------------------------------------------------- */

static void
stop(struct master *m)
{
	say(m, "stopping", "drain", m->stopping ? "cut" : "begun");
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

/* ---- the loop -------------------------------------------------------------------------------- */

static void
reap(struct master *m)
{
	int   status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == m->checker)
			checker_ended(m, status);
		else if (pid == m->logger)
			m->logger = 0;
		else if (!keeper_ended(m->keeper, pid, status))
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
			notify_reloading(m);
			start_checker(m);
			break;
		case SIGUSR1:
			reopen_log(m);
			break;
		default:
			stop(m);
			break;
		}
}

/* The checker has its time. */
static void
bound_checker(struct master *m)
{
	if (m->check_until == 0 || m->check_until > m->w->now(m->w))
		return;
	say(m, "reload", "failed", "the checker takes too long and is ended");
	m->check_until = 0;
	kill(m->checker, SIGKILL);
}

/* No handshake comes here that would do it, and each worker that is born has the keys that we have. */
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
	uint64_t at = crew_next(&m->crew), plugins = keeper_next(m->keeper), now = m->w->now(m->w);

	if (plugins < at)
		at = plugins;
	if (m->check_until != 0 && m->check_until < at)
		at = m->check_until;
	if (m->tickets_at < at)
		at = m->tickets_at;
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
	keeper_due(m->keeper);
	keeper_retire(m->keeper, crew_oldest(&m->crew));
	bound_checker(m);
	turn_tickets(m);
	if (m->logger == 0 && m->s->log == LOG_SYSLOG)
		start_logger(m);
}

static void
master_free(struct master *m)
{
	world_real_stop(m->w);
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

	say_ready(m, "ready");
	say_warnings(m);
	notify_send("READY=1");
	crew_want(&m->crew);
	while (!m->stopping || crew_alive(&m->crew) || m->checker != 0)
		wait_once(m, p);
	keeper_free(m->keeper);
	say(m, "stopped", NULL, NULL);
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

	signal(SIGPIPE, SIG_IGN);
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
	m->log_fd = STDERR_FILENO;
	m->log_pipe[0] = m->log_pipe[1] = -1;
	raise_limits();
	m->signals = open_signals();
	if (m->signals < 0) {
		*why = "no signal descriptor";
		return NULL;
	}
	m->keeper = keeper_new(w);
	if (!take_over(m, s, wanted_workers(s), a, why))
		return NULL;
	if (!keeper_want(m->keeper, s, m->crew.generation + 1, a, why)) {
		keeper_free(m->keeper);
		return NULL;
	}
	if (!crew_init(&m->crew, w)) {
		*why = "no memory for the counters";
		return NULL;
	}
	m->crew.sockets = &m->sockets;
	m->crew.leave = leave;
	m->crew.arg = m;
	return m;
}
