/*
 * milterd -- the program postern-milter: the policy and the filters of a configuration for another mail server.
 *
 * Libmilter has the main thread and makes those of its sessions; one thread of ours runs the loop and with it all that
 * is Postern.  The order of the start is that of what it takes: configuration, socket, log, privileges, threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/drop.h"
#include "proxy/hosts/callbacks.h"
#include "proxy/judge.h"
#include "proxy/options.h"
#include "proxy/syslog.h"

#define DEFAULT_FILE SYSCONFDIR "/postern/postern.conf"
#define FLIGHT_MAX   (64u << 20) /* octets that threads have handed over */
#define END_SLACK_MS 15000       /* behind decide-within: what a judge may take beyond it */
#define SESSION_S    7210        /* libmilter: longest silence of the mail server */
#define QUEUE        128         /* of the listening socket */
#define LAST_MS      300         /* for answers on their way, at the end */
#define MODE         0660        /* of a unix socket */

enum { EXIT_GOOD = 0, EXIT_MISTAKES = 1, EXIT_USAGE = 2 };

static const char help[] =
    "postern-milter -- Postern's policy and filters as a milter\n"
    "\n"
    "  postern-milter -s SOCKET [-c FILE] [-g GROUP] [-p PIDFILE]\n"
    "  postern-milter --check [-c FILE]\n"
    "\n"
    "  -c FILE     the configuration, " DEFAULT_FILE " without it\n"
    "  -s SOCKET   where to listen: unix:/path, inet:PORT@ADDRESS or inet6:PORT@ADDRESS\n"
    "  -g GROUP    whose members may use a unix socket\n"
    "  -p PIDFILE  gets the number of the process\n"
    "  --check     read FILE, say what is wrong or passed over, start nothing\n"
    "  --help, --version\n"
    "\n"
    "It stays in the foreground.  SIGTERM: no more calls, those in hand are answered;\n"
    "SIGUSR1 opens the log file again.\n"
    "Exit status: 0 good, 1 mistakes in FILE or something that cannot be had, 2 wrong usage.\n"
    "postern-milter(8) says more.\n";

struct given {
	const char *file, *socket, *group, *pid;
	bool        check, help, version;
};

#define GIVEN(field) offsetof(struct given, field)

/* clang-format off */
static const struct option_def options[] = {
	{ "-c",        OPTION_TEXT, "a file",   GIVEN(file) },
	{ "-s",        OPTION_TEXT, "a socket", GIVEN(socket) },
	{ "-g",        OPTION_TEXT, "a group",  GIVEN(group) },
	{ "-p",        OPTION_TEXT, "a file",   GIVEN(pid) },
	{ "--check",   OPTION_FLAG, NULL,       GIVEN(check) },
	{ "--help",    OPTION_FLAG, NULL,       GIVEN(help) },
	{ "--version", OPTION_FLAG, NULL,       GIVEN(version) },
	{ NULL, OPTION_FLAG, NULL, 0 }
};
/* clang-format on */

struct milterd {
	struct given     given;
	struct arena    *a;
	struct world    *w;
	struct settings *s;
	struct bridge   *bridge;
	struct visits   *visits;
	struct loop     *loop;
	struct loop_fd   signals; /* SIGUSR1 */
	pthread_t        thread;
	int              log_fd, ready[2]; /* ready: the loop's thread tells how it began */
};

/* ---- saying ---------------------------------------------------------------------------------- */

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "postern-milter: %s%s%s\n", what, why == NULL ? "" : ": ",
	    why == NULL ? "" : why);
	return EXIT_MISTAKES;
}

static void
to_stderr(struct strv line, void *arg)
{
	(void)arg;
	fprintf(stderr, "%.*s\n", (int)line.n, line.p);
}

/* False: it has mistakes, and they are told. */
static bool
read_settings(struct milterd *m)
{
	struct diags d = { .a = m->a };

	m->s = settings_load_milter(m->a, m->w, m->given.file, &d);
	diag_print(&d, false, to_stderr, NULL);
	if (d.errors > 0)
		fprintf(stderr, "%s: %u mistake%s\n", m->given.file, d.errors,
		    d.errors == 1 ? "" : "s");
	return d.errors == 0;
}

/* ---- what is taken of the system --------------------------------------------------------------- */

/* A pipe whose other end is a process of its own: syslog may block. */
static int
start_logger(const char *user, const char **why)
{
	const char *refused;
	int         p[2];
	pid_t       pid;

	if (pipe2(p, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		*why = strerror(errno);
		return -1;
	}
	if (pid == 0) {
		close(p[1]);
		prctl(PR_SET_NAME, "postern-log", 0, 0, 0);
		drop_signals();
		if (drop_privileges(user, &refused))
			syslog_pump(p[0]);
		_exit(0);
	}
	close(p[0]);
	return p[1];
}

static int
open_log(const struct settings *s, const char **why)
{
	int fd;

	if (s->log == LOG_STDERR)
		return STDERR_FILENO;
	if (s->log == LOG_SYSLOG)
		return start_logger(s->user, why);
	fd = open(s->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		*why = strerror(errno);
	return fd;
}

/* The path of a unix socket, or NULL. */
static const char *
unix_path(const char *socket)
{
	if (strncmp(socket, "unix:", 5) == 0)
		return socket + 5;
	if (strncmp(socket, "local:", 6) == 0)
		return socket + 6;
	return strchr(socket, ':') == NULL ? socket : NULL;
}

/* The mail server's user must be able to connect, and nobody else. */
static const char *
give_socket(const struct given *g)
{
	const char   *path = unix_path(g->socket);
	struct group *group;

	if (g->group == NULL)
		return NULL;
	if (path == NULL)
		return "-g is for unix sockets";
	group = getgrnam(g->group);
	if (group == NULL)
		return "there is no such group";
	return chown(path, (uid_t)-1, group->gr_gid) < 0 || chmod(path, MODE) < 0 ?
	    strerror(errno) :
	    NULL;
}

static bool
open_socket(const struct given *g)
{
	mode_t before = umask(0777 & ~MODE);
	bool   good = smfi_setconn((char *)g->socket) == MI_SUCCESS &&
	    smfi_setbacklog(QUEUE) == MI_SUCCESS && smfi_opensocket(true) == MI_SUCCESS;
	const char *why = good ? give_socket(g) : "cannot listen there";

	umask(before);
	if (why != NULL)
		fail(g->socket, why);
	return why == NULL;
}

static bool
write_pid(const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "we");

	if (path == NULL)
		return true;
	if (f == NULL || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f) != 0) {
		fail(path, strerror(errno));
		return false;
	}
	return true;
}

/* ---- the loop's thread ------------------------------------------------------------------------- */

static void
log_again(struct milterd *m)
{
	const char *why = NULL;
	int         fd;

	if (m->s->log != LOG_FILE)
		return;
	fd = open_log(m->s, &why);
	if (fd < 0) {
		log_event(m->w, SV("milter"), "log", "failed: %s", why);
		return;
	}
	world_real_log_fd(m->w, fd);
	close(m->log_fd);
	m->log_fd = fd;
}

static void
signalled(void *arg, unsigned what)
{
	struct milterd         *m = arg;
	struct signalfd_siginfo s;

	(void)what;
	while (read(m->signals.fd, &s, sizeof(s)) == (ssize_t)sizeof(s))
		log_again(m);
}

/* NULL, or what is missing. */
static const char *
begin_loop(struct milterd *m)
{
	const char *why;
	sigset_t    set;

	m->loop = loop_new(m->w);
	if (m->loop == NULL)
		return "no event loop";
	world_real_start(m->w, m->loop);
	if (!world_real_dns(m->w, &m->s->resolver, &why))
		log_event(m->w, SV("milter"), "dns", "there is no resolver: %s", why);
	m->visits = visits_new(m->bridge, m->w, m->loop, m->s);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	m->signals = (struct loop_fd){
		.fn = signalled, .arg = m, .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
	};
	if (!bridge_start(m->bridge, m->loop) || !loop_watch(m->loop, &m->signals, LOOP_READ))
		return "the event loop takes no descriptor";
	return NULL;
}

static void
say_ready(struct milterd *m)
{
	struct log_line *l = arena_alloc(m->a, sizeof(*l));

	log_begin(l, m->w, SV("milter"), "ready");
	log_z(l, "version", VERSION);
	log_z(l, "socket", m->given.socket);
	log_strv(l, "passed-over", m->s->passed_over);
	log_end(l);
}

static void *
run_loop(void *arg)
{
	struct milterd *m = arg;
	const char     *why = begin_loop(m);

	if (why == NULL) {
		say_ready(m);
		(void)loop_round(m->loop, false); /* writes it */
	}
	(void)!write(m->ready[1], &why, sizeof(why));
	if (why != NULL)
		return NULL;
	loop_run(m->loop);
	log_event(m->w, SV("milter"), "end", "sessions=%u", visits_open(m->visits));
	world_real_stop(m->w);
	return NULL;
}

/* Signals that are the loop's or libmilter's are blocked in every thread from here on. */
static bool
start_loop(struct milterd *m)
{
	const char *why = "no memory";
	sigset_t    set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	m->bridge = bridge_new(FLIGHT_MAX);
	if (m->bridge == NULL || pipe2(m->ready, O_CLOEXEC) < 0 ||
	    pthread_create(&m->thread, NULL, run_loop, m) != 0 ||
	    read(m->ready[0], &why, sizeof(why)) != (ssize_t)sizeof(why) || why != NULL) {
		fail("cannot start", why);
		return false;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static void
describe(const struct milterd *m, struct callbacks_conf *c)
{
	const struct settings *s = m->s;
	uint64_t               within = s->decide_within > 0 ? s->decide_within : DECIDE_WITHIN;

	*c = (struct callbacks_conf){ .bridge = m->bridge,
		.visits = m->visits,
		.wants_data = policy_has(s->policy, STAGE_DATA) ||
		    policy_has_advised(s->policy, STAGE_DATA),
		.wants_body = judge_wants_body(s->smtp.judge) ||
		    policy_has(s->policy, STAGE_MESSAGE) ||
		    policy_has_advised(s->policy, STAGE_MESSAGE),
		.header_max = s->smtp.limits.header_size + 65536,
		.end_ms = within + END_SLACK_MS };
}

/* Calls in hand are answered, as long as `drain' allows, and what was answered reaches the mail server. */
static void
finish(struct milterd *m)
{
	static const struct timespec pause = { 0, 20 * 1000000 };
	uint64_t                     until = m->s->drain;
	sigset_t                     again;

	sigemptyset(&again);
	sigaddset(&again, SIGTERM);
	sigaddset(&again, SIGINT);
	bridge_close(m->bridge);
	for (uint64_t ms = 0; bridge_waiting(m->bridge) > 0 && ms < until; ms += 20)
		if (sigtimedwait(&again, NULL, &pause) > 0)
			break;
	for (unsigned ms = 0; ms < LAST_MS; ms += 20)
		(void)sigtimedwait(&again, NULL, &pause);
	bridge_stop(m->bridge);
	pthread_join(m->thread, NULL);
}

static int
serve(struct milterd *m)
{
	struct callbacks_conf c;
	const char           *why = NULL;
	int                   rc;

	describe(m, &c);
	callbacks_register(&c);
	(void)smfi_settimeout(SESSION_S);
	if (!open_socket(&m->given))
		return EXIT_MISTAKES;
	m->log_fd = open_log(m->s, &why);
	if (m->log_fd < 0)
		return fail("cannot log", why);
	world_real_log_fd(m->w, m->log_fd);
	if (!write_pid(m->given.pid))
		return EXIT_MISTAKES;
	if (!drop_privileges(m->s->user, &why))
		return fail("cannot start", why);
	if (!start_loop(m))
		return EXIT_MISTAKES;
	/* Now they are there. */
	describe(m, &c);
	callbacks_register(&c);
	rc = smfi_main() == MI_SUCCESS ? EXIT_GOOD : EXIT_MISTAKES;
	finish(m);
	if (m->given.pid != NULL)
		(void)unlink(m->given.pid);
	if (unix_path(m->given.socket) != NULL)
		(void)unlink(unix_path(m->given.socket));
	/* Threads of libmilter still wait for mail servers: nothing is taken apart under them. */
	_exit(rc);
}

static int
print(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_MISTAKES;
}

static int
usage(const char *why)
{
	fprintf(stderr, "postern-milter: %s\n", why);
	fputs("usage: postern-milter -s SOCKET [-c FILE] [-g GROUP] [-p PIDFILE]\n"
	      "       postern-milter --check [-c FILE]\n"
	      "       postern-milter --help | --version\n",
	    stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	static struct milterd m = { .given = { .file = DEFAULT_FILE }, .log_fd = -1 };
	struct strv           why;

	signal(SIGPIPE, SIG_IGN);
	m.a = arena_new(65536, 0);
	if (!options_take(m.a, argc, argv, options, &m.given, &why))
		return usage(arena_z(m.a, why));
	if (m.given.help)
		return print(help);
	if (m.given.version)
		return print("postern-milter " VERSION "\n");
	if (m.given.socket == NULL && !m.given.check)
		return usage("where to listen? -s SOCKET");
	m.w = world_real(STDERR_FILENO);
	if (!read_settings(&m))
		return EXIT_MISTAKES;
	return m.given.check ? EXIT_GOOD : serve(&m);
}
