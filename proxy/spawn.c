/*
 * spawn -- fork and exec of postern-plugind, the only program that Postern ever runs.
 *
 * The new process is the user of `user' before it is another program, and a strange shared object is loaded only
 * there: nothing of the master's (keys, listening sockets, its environment) is in its reach.
 */
#include "proxy/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/asan.h"
#include "proxy/base/log.h"
#include "proxy/drop.h"

#define PROGRAM   "postern-plugind"
#define FAILED    127
#define LEFT_OPEN 256
#define ASIDE     10 /* descriptors wait above this one until all have their place */

/* ---- the command line ------------------------------------------------------------------------ */

const char *
spawn_program(struct arena *a)
{
	char        self[512];
	ssize_t     n = readlink("/proc/self/exe", self, sizeof(self));
	struct strv path = strv(self, n > 0 && (size_t)n < sizeof(self) ? (size_t)n : 0);
	const char *found;

	while (path.n > 0 && path.p[path.n - 1] != '/')
		path.n--;
	found = arena_printf(a, "%.*s%s", (int)path.n, path.p, PROGRAM).p;
	if (path.n > 0 && access(found, X_OK) == 0)
		return found;
	found = LIBEXECDIR "/" PROGRAM;
	return access(found, X_OK) == 0 ? found : NULL;
}

const char *const *
spawn_words(struct arena *a, const char *program, const struct milter_conf *m, const char *socket)
{
	const char **v = arena_array(a, m->n_args + 16, sizeof(*v));
	unsigned     n = 0;

	v[n++] = program;
	v[n++] = "--name";
	v[n++] = arena_z(a, m->name);
	if (socket == NULL) {
		v[n++] = "--check";
	} else {
		v[n++] = "--socket";
		v[n++] = arena_printf(a, "unix:%s", socket).p;
		v[n++] = "--channel";
		v[n++] = arena_printf(a, "%d", SPAWN_CHANNEL).p;
		v[n++] = "--listening";
		v[n++] = arena_printf(a, "%d", SPAWN_LISTENING).p;
		v[n++] = "--timeout";
		v[n++] = arena_printf(a, "%" PRIu64, m->timeout).p;
		v[n++] = "--blame";
		v[n++] = arena_printf(a, "%d", SPAWN_BLAME).p;
	}
	/* A file or an argument that begins with a dash is none of its options. */
	v[n++] = "--";
	v[n++] = m->file;
	for (unsigned i = 0; i < m->n_args; i++)
		v[n++] = m->args[i];
	return v;
}

/* ---- the new process ------------------------------------------------------------------------- */

static void
fail(const char *what, const char *why)
{
	dprintf(STDERR_FILENO, "%s: %s\n", what, why);
	_exit(FAILED);
}

/* A number that no other descriptor of ours must have; -1 stays.  Without its channel it would not end with us. */
static int
aside(int fd)
{
	int other = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, ASIDE);

	if (other < 0 && fd >= 0)
		_exit(FAILED);
	return other;
}

/* Where there is none, what has its number is no more inherited than the others. */
static void
place(int fd, int at)
{
	if (fd < 0)
		(void)fcntl(at, F_SETFD, FD_CLOEXEC);
	else if (dup2(fd, at) < 0)
		_exit(FAILED);
}

static void
take_descriptors(const struct spawn *s)
{
	int null = aside(open("/dev/null", O_RDWR | O_CLOEXEC));
	int out = aside(s->out), channel = aside(s->channel), listening = aside(s->listening);
	int blame = aside(s->blame);

	place(null, STDIN_FILENO);
	place(out, STDOUT_FILENO);
	place(out, STDERR_FILENO);
	place(channel, SPAWN_CHANNEL);
	place(listening, SPAWN_LISTENING);
	place(blame, SPAWN_BLAME);
	/* Ours are closed by exec; this is for those that who started us has left open. */
	for (int fd = SPAWN_BLAME + 1; fd < LEFT_OPEN; fd++)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void
default_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* What a terminal sends to all of us is the master's to obey. */
	setsid();
}

/* No word of ours that could mean something to a loader or to a plugin goes along. */
static char *const *
environment(struct arena *a)
{
	static const char *const kept[] = { "TZ", "LANG", "LC_ALL", "TMPDIR" };
	char                   **v = arena_array(a, 8, sizeof(*v));
	unsigned                 n = 0;

	v[n++] = arena_z(a, SV("PATH=/usr/local/bin:/usr/bin:/bin"));
#if UNDER_ASAN
	/* What a plugin still holds at its end is no fault of ours, and its crash is a signal. */
	v[n++] = arena_z(a, SV("ASAN_OPTIONS=detect_leaks=0:handle_segv=0"));
#endif
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const char *value = getenv(kept[i]);

		if (value != NULL)
			v[n++] = arena_z(a, arena_printf(a, "%s=%s", kept[i], value));
	}
	return v;
}

pid_t
spawn_start(const struct spawn *s)
{
	pid_t         master = getpid(), pid = fork();
	struct arena *a;
	const char   *why;

	if (pid != 0)
		return pid;
	a = arena_new(4096, 0);
	take_descriptors(s);
	default_signals();
	if (!drop_privileges(s->user, &why))
		fail("postern", why);
	/* Behind the change of user, which forgets it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != master)
		_exit(FAILED);
	execve(s->program, (char *const *)(uintptr_t)s->words, environment(a));
	fail(s->program, strerror(errno));
	return -1;
}

void
spawn_log_end(struct log_line *l, int status)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
	char        text[32];

	if (!WIFSIGNALED(status)) {
		log_number(l, "exit", (uint64_t)WEXITSTATUS(status));
		return;
	}
	snprintf(text, sizeof(text), "SIG%s", name == NULL ? "?" : name);
	log_z(l, "signal", text);
}

/* Its number stays theirs for as long as one of them is there (setsid above). */
void
spawn_sweep(pid_t pid)
{
	if (pid > 1)
		(void)kill(-pid, SIGKILL);
}
