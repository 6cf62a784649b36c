/*
 * release_log -- what `postern release' says to the log: who let go which message, and what was answered.
 *
 * It is no worker: it writes to the end of the master's file, which it never makes, for that would be a file of
 * somebody else; and to syslog by itself, since nobody waits for it.  Its lines stand alone: what pools and session say
 * meanwhile is of a process that nobody watches, and goes nowhere (release.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/log_out.h"
#include "proxy/release_own.h"
#include "proxy/syslog.h"

struct release_log {
	struct world    world; /* of which lines know no more than its log */
	struct log_out  out;
	struct log_room room;
	int             fd;         /* the file, or -1 */
	struct strv     user, sudo; /* who has called us */
};

static void
to_out(struct world *w, struct strv line)
{
	log_out_line(&((struct release_log *)w)->out, line);
}

static void
to_syslog(struct world *w, struct strv line)
{
	(void)w;
	syslog_line(line);
}

/* sudo: said by sudo and the like, and believed of root alone, who could write any line. */
static void
know_user(struct arena *a, struct release_log *log)
{
	const struct passwd *pw = getpwuid(getuid());
	const char          *sudo = getuid() == 0 ? getenv("SUDO_USER") : NULL;

	log->user = pw != NULL ? arena_dup(a, strv_z(pw->pw_name)) :
				 arena_printf(a, "%u", (unsigned)getuid());
	if (sudo != NULL)
		log->sudo = strv_z(sudo);
}

static int
open_file(struct arena *a, const char *path, struct strv *why)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		*why = arena_printf(
		    a, "the log %s: %s: nothing of this stands in it", path, strerror(errno));
	return fd;
}

struct release_log *
release_log_open(struct arena *a, struct world *w, const struct settings *s, struct strv *why)
{
	struct release_log *log = arena_alloc(a, sizeof(*log));

	know_user(a, log);
	log_out_init(&log->out, w, &log->room);
	log->fd = -1;
	log->world.log = to_out;
	switch (s->log) {
	case LOG_STDERR:
		log_out_fd(&log->out, STDERR_FILENO);
		break;
	case LOG_FILE:
		log->fd = open_file(a, s->log_file, why);
		log_out_fd(&log->out, log->fd);
		return log->fd >= 0 ? log : NULL;
	case LOG_SYSLOG:
		log->world.log = to_syslog;
		syslog_begin();
		break;
	}
	return log;
}

/* "<a@b> NOTIFY=NEVER" as the log has paths. */
static struct strv
path_of(struct strv words)
{
	struct strv path = strv_first(words, strv_chr(words, ' '));

	return path.n > 2 ? strv(path.p + 1, path.n - 2) : path;
}

static struct strv
on_one_line(struct arena *a, struct strv text)
{
	struct strv all = SV("");

	/* More is cut by the log. */
	while (text.n > 0 && all.n <= LOG_VALUE) {
		struct strv line = strv_trim_folds(strv_cut(&text, '\n'));

		all = arena_printf(
		    a, "%.*s%s%.*s", (int)all.n, all.p, all.n > 0 ? "; " : "", (int)line.n, line.p);
	}
	return all;
}

void
release_log_line(struct release_log *log, struct arena *a, const struct quarantined *q, bool taken,
    struct strv said, const char *failed)
{
	struct log_line l;

	if (log == NULL)
		return;
	log_begin(&l, &log->world, q->id, taken ? "released" : "release-failed");
	log_strv(&l, "operator", log->user);
	log_strv(&l, "sudo", log->sudo);
	log_strv(&l, "from", path_of(q->sender));
	log_strv(&l, "to", path_of(q->rcpt[0]));
	log_number(&l, "rcpts", q->n_rcpt);
	log_strv(&l, "by", q->check);
	log_number(&l, "size", q->octets);
	log_strv(&l, "said", on_one_line(a, said));
	log_z(&l, "failed", failed);
	log_end(&l);
}

void
release_log_close(struct release_log *log)
{
	if (log == NULL)
		return;
	log_out_fd(&log->out, -1);
	if (log->fd >= 0)
		close(log->fd);
}
