/*
 * milterd_log -- where the log of postern-milter goes: a file, that may be moved away, or syslog, through a process of
 * its own (the logger), that may die.
 *
 * Not for how a line reaches syslog (syslog.c).  The first logger is made before there are threads, all others by the
 * loop's.
 * The invariant: the pipe, once made, stays, so that a logger that dies loses nothing but what it had read.
 */
#include "proxy/hosts/milterd_own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/world.h"
#include "proxy/syslog.h"

#define LOGGER_MS 1000 /* from the birth of a logger to that of the next */

/* ---- the process that speaks to syslog ------------------------------------------------------- */

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

/* False: there is none, and errno says why. */
static bool
start_logger(struct milterd *m)
{
	pid_t pid;

	m->log.logger_at = m->w->now(m->w) + LOGGER_MS;
	pid = fork();
	if (pid == 0) {
		if (dup2(m->log.pipe[0], STDIN_FILENO) < 0)
			_exit(1);
		close_all_but_input();
		syslog_serve(STDIN_FILENO, m->s->user);
		_exit(0);
	}
	if (pid > 0)
		m->log.logger = pid;
	return pid > 0;
}

static int
open_pipe(struct milterd *m, const char **why)
{
	if (pipe2(m->log.pipe, O_CLOEXEC) < 0 || !start_logger(m)) {
		*why = strerror(errno);
		return -1;
	}
	return m->log.pipe[1];
}

static void
logger_due(void *arg)
{
	struct milterd *m = arg;

	if (!start_logger(m))
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
		(void)start_logger(m);
	world_real_log_fd(m->w, -1);
	close(m->log.pipe[0]);
	close(m->log.pipe[1]);
	syslog_wait(m->log.logger);
}
