/*
 * master_log.c -- what the master says, and where the log of all goes.
 *
 * Not for how a line is written (base/log.c), nor for how one reaches syslog (syslog.c, in a
 * process of its own, the logger).
 * The invariant: m->log.fd is open and is what the world writes to; the pipe, once made, stays, so
 * that a logger that dies loses nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/log.h"
#include "proxy/base/tls.h"
#include "proxy/master_own.h"
#include "proxy/syslog.h"

#define LOGGER_MS 1000 /* from the birth of a logger to that of the next */

/* ---- saying ---------------------------------------------------------------------------------- */

static void
begin_line(struct master *m, struct log_line *l, const char *what)
{
	log_begin(l, m->w, SV("master"), what);
}

void
master_say(struct master *m, const char *what, const char *key, const char *value)
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
	if (m->s->metrics != NULL)
		log_strv(&l, "metrics", endpoint_print(m->s->metrics, text));
	for (unsigned i = 0; i < m->s->n_server; i++)
		log_strv(&l, "upstream", m->s->server[i].name);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0)
		log_number(&l, "descriptors", files.rlim_cur);
	log_end(&l);
}

/* A worker without a connection could serve nobody: each has one, together they have more. */
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
		master_say(
		    m, "warning", "why", "there is no relay block: every recipient is refused");
	if (geteuid() == 0 && m->s->user == NULL)
		master_say(m, "warning", "why", "the workers run as root: say `user NAME'");
	if (geteuid() != 0 && m->s->user != NULL)
		master_say(
		    m, "warning", "why", "only root can become another user: `user' is ignored");
}

void
master_say_settings(struct master *m, const char *what)
{
	say_ready(m, what);
	say_warnings(m);
}

/* ---- where it goes --------------------------------------------------------------------------- */

int
master_log_open(struct master *m, const struct settings *s, const char **why)
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
	if (m->log.pipe[0] < 0 && pipe2(m->log.pipe, O_CLOEXEC) < 0) {
		m->log.pipe[0] = m->log.pipe[1] = -1;
		*why = strerror(errno);
	}
	return m->log.pipe[1];
}

void
master_log_drop(const struct settings *s, int fd)
{
	if (s->log == LOG_FILE)
		close(fd);
}

void
master_log_to(struct master *m, int fd)
{
	int old = m->log.fd;

	m->log.fd = fd;
	world_real_log_fd(m->w, fd);
	if (old != fd && old > STDERR_FILENO && old != m->log.pipe[1])
		close(old);
}

void
master_log_reopen(struct master *m)
{
	const char *why;
	int         fd;

	if (m->s->log != LOG_FILE)
		return;
	fd = master_log_open(m, m->s, &why);
	if (fd < 0) {
		master_say(m, "log", "failed", why);
		return;
	}
	master_log_to(m, fd);
	crew_log(&m->crew, fd);
}

/* ---- the process that speaks to syslog ------------------------------------------------------- */

static void
start_logger(struct master *m)
{
	int   lines;
	pid_t pid;

	m->log.logger_at = m->w->now(m->w) + LOGGER_MS;
	pid = fork();
	if (pid > 0)
		m->log.logger = pid;
	if (pid != 0)
		return;
	lines = fcntl(m->log.pipe[0], F_DUPFD_CLOEXEC, 0);
	/* It must not hold the end that it waits for. */
	world_real_log_fd(m->w, -1);
	master_leave(m);
	sockets_close(&m->sockets);
	close(m->log.pipe[1]);
	/* It lives long and turns nothing: from the key of today come those of all days to come. */
	tls_tickets_forget();
	syslog_serve(lines, m->s->user);
	_exit(0);
}

void
master_log_end(struct master *m)
{
	if (m->log.logger == 0)
		return;
	close(m->log.pipe[1]);
	m->log.pipe[1] = -1;
	syslog_wait(m->log.logger);
}

bool
master_log_ended(struct master *m, pid_t pid)
{
	if (pid != m->log.logger)
		return false;
	m->log.logger = 0;
	return true;
}

uint64_t
master_log_next(const struct master *m)
{
	return m->s->log == LOG_SYSLOG && m->log.logger == 0 ? m->log.logger_at : UINT64_MAX;
}

void
master_log_due(struct master *m)
{
	if (master_log_next(m) <= m->w->now(m->w))
		start_logger(m);
}

void
master_log_init(struct master *m)
{
	m->log = (struct master_log){ .fd = STDERR_FILENO, .pipe = { -1, -1 } };
}
