/*
 * milterd_log -- where the log of postern-milter goes: a file, that may be moved away, or syslog, through a process of
 * its own (the logger), that may die.
 *
 * Not for how a line reaches syslog (syslog.c).  Loggers are made by another process (their keeper), which is there
 * before there are threads and never has any: in a fork beside libmilter's, that call syslog(3) themselves, the locks of
 * syslog and of the time zone may be held by a thread that is not there, and the logger would wait for ever.
 * The invariant: the pipe, once made, stays, so that a logger that dies loses nothing but what it had read.
 */
#include "proxy/hosts/milterd_own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/world.h"
#include "proxy/drop.h"
#include "proxy/syslog.h"

#define LOGGER_MS 1000 /* from the birth of a logger, or keeper, to that of the next */

/* ---- the processes that speak to syslog, and keep who does ----------------------------------- */

/* Neither the end of the pipe that it waits for, nor the socket, nor any mail server's may stay open in it. */
static void
close_all_but_input(void)
{
	struct rlimit files = { .rlim_cur = 1024 };

#ifdef SYS_close_range
	if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
		return;
#endif
	(void)getrlimit(RLIMIT_NOFILE, &files);
	for (int fd = STDERR_FILENO + 1; (rlim_t)fd < files.rlim_cur; fd++)
		close(fd);
}

/* In the keeper: one logger, from its birth to its end. It must not outlive us: two of them would cut lines. */
static void
have_logger(const struct milterd *m)
{
	pid_t keeper = getpid(), pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (getppid() == keeper)
			syslog_serve(STDIN_FILENO, m->s->user);
		_exit(0);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

/* Waits that long, or until nobody can say anything any more: what the pipe has then (POLLIN), POLLHUP. */
static short
rest(uint64_t ms)
{
	struct pollfd p = { .fd = STDIN_FILENO };

	if (poll(&p, 1, (int)ms) <= 0)
		return 0;
	p.events = POLLIN;
	(void)poll(&p, 1, 0);
	return p.revents;
}

/* Behind the end of the pipe what is left is worth one more logger: were there others, one that fails had no end. */
static void
keep_loggers(const struct milterd *m)
{
	uint64_t    next;
	const char *why;
	short       is = 0;

	prctl(PR_SET_NAME, "postern-loggers", 0, 0, 0);
	drop_signals();
	if (!drop_privileges(m->s->user, &why))
		return;
	while (is == 0) {
		next = m->w->now(m->w) + LOGGER_MS;
		have_logger(m);
		is = rest(next > m->w->now(m->w) ? next - m->w->now(m->w) : 0);
	}
	if ((is & POLLIN) != 0)
		have_logger(m);
}

/*
 * False: there is none, and errno says why.  Another one, if ever the keeper itself was killed, is made beside threads,
 * for nobody is left who has none: a logger that may wait for ever is better than none.
 */
static bool
start_keeper(struct milterd *m)
{
	pid_t pid;

	m->log.logger_at = m->w->now(m->w) + LOGGER_MS;
	pid = fork();
	if (pid == 0) {
		if (dup2(m->log.pipe[0], STDIN_FILENO) < 0)
			_exit(1);
		close_all_but_input();
		keep_loggers(m);
		_exit(0);
	}
	if (pid > 0)
		m->log.logger = pid;
	return pid > 0;
}

static int
open_pipe(struct milterd *m, const char **why)
{
	if (pipe2(m->log.pipe, O_CLOEXEC) < 0 || !start_keeper(m)) {
		*why = strerror(errno);
		return -1;
	}
	return m->log.pipe[1];
}

static void
logger_due(void *arg)
{
	struct milterd *m = arg;

	if (!start_keeper(m))
		timer_start(m->loop, &m->log.again, m->log.logger_at);
}

void
milterd_watch_logger(struct milterd *m)
{
	if (m->log.logger == 0 || waitpid(m->log.logger, NULL, WNOHANG) == 0)
		return;
	m->log.logger = 0;
	m->log.again = (struct timer){ .fn = logger_due, .arg = m };
	timer_start(m->loop, &m->log.again, m->log.logger_at);
}

/* ---- where it goes --------------------------------------------------------------------------- */

int
milterd_open_log(struct milterd *m, const char **why)
{
	int fd;

	if (m->s->log == LOG_STDERR)
		return STDERR_FILENO;
	if (m->s->log == LOG_SYSLOG)
		return open_pipe(m, why);
	fd = open(m->s->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		*why = strerror(errno);
	return fd;
}

void
milterd_log_again(struct milterd *m)
{
	const char *why = NULL;
	int         fd;

	if (m->s->log != LOG_FILE)
		return;
	fd = milterd_open_log(m, &why);
	if (fd < 0) {
		log_event(m->w, SV("milter"), "log", "failed: %s", why);
		return;
	}
	world_real_log_fd(m->w, fd);
	close(m->log.fd);
	m->log.fd = fd;
}

void
milterd_end_log(struct milterd *m)
{
	if (m->log.pipe[1] < 0)
		return;
	/* What is in the pipe must be read: nothing is put off any more. */
	if (m->log.logger == 0 || waitpid(m->log.logger, NULL, WNOHANG) != 0)
		(void)start_keeper(m);
	world_real_log_fd(m->w, -1);
	close(m->log.pipe[0]);
	close(m->log.pipe[1]);
	syslog_wait(m->log.logger);
}
