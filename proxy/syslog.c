/*
 * syslog -- from a pipe to syslog(3), line by line.
 *
 * It runs in a child, of the master or of postern-milter, and touches nothing else.  A line that is longer than the
 * log makes them is cut, so the buffer has a ceiling whatever comes.  Who keeps nobody waiting needs no child.
 */
#include "proxy/syslog.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "proxy/base/buf.h"
#include "proxy/base/log.h"
#include "proxy/drop.h"

#define END_MS  5000 /* that a logger has for what is left */
#define LOOK_MS 10
#define STAMP   25 /* "2026-01-31T23:59:59.999Z ": world_real puts it before each line */

void
syslog_begin(void)
{
	openlog("postern", LOG_NDELAY, LOG_MAIL);
}

void
syslog_line(struct strv line)
{
	syslog(LOG_INFO, "%.*s", (int)line.n, line.p);
}

static void
say(struct strv line)
{
	syslog_line(line.n > STAMP ? strv_from(line, STAMP) : line);
}

/* Says every whole line, and one that fills the buffer. */
static void
say_lines(struct buf *b)
{
	for (;;) {
		struct strv all = buf_view(b);
		size_t      end = strv_chr(all, '\n');

		if (end == all.n) {
			if (all.n < b->max)
				return;
			say(all);
			buf_clear(b);
			return;
		}
		say(strv_first(all, end));
		buf_drop(b, end + 1);
	}
}

static void
pump(int fd)
{
	struct buf b;
	ssize_t    n;

	buf_init(&b, LOG_LINE + 100);
	syslog_begin();
	for (;;) {
		if (!buf_reserve(&b, b.max - b.n))
			break;
		n = read(fd, b.p + b.n, b.max - b.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		b.n += (size_t)n;
		say_lines(&b);
	}
	if (b.n > 0)
		say(buf_view(&b));
	closelog();
	buf_fini(&b);
}

void
syslog_serve(int fd, const char *user)
{
	const char *why;

	prctl(PR_SET_NAME, "postern-log", 0, 0, 0);
	drop_signals();
	if (drop_privileges(user, &why))
		pump(fd);
}

/* Who watches over us may end it as we go (KillMode=mixed of systemd does), and the last lines are in the pipe. */
void
syslog_wait(pid_t logger)
{
	for (int i = 0; i < END_MS / LOOK_MS && waitpid(logger, NULL, WNOHANG) == 0; i++)
		(void)poll(NULL, 0, LOOK_MS);
}
