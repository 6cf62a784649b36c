/*
 * milterd -- the program postern-milter: the policy and the filters of a configuration for another mail server.
 *
 * Libmilter has the main thread and makes those of its sessions; one thread of ours (milterd_loop) runs the loop and
 * with it all that is Postern.  The order of the start is that of what it takes: configuration, log, socket,
 * privileges, threads.
 */
#include "proxy/hosts/milterd_own.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/std.h"
#include "proxy/drop.h"
#include "proxy/hosts/callbacks.h"
#include "proxy/hosts/conn.h"
#include "proxy/judge.h"
#include "proxy/options.h"

#define DEFAULT_FILE SYSCONFDIR "/postern/postern.conf"
#define END_SLACK_MS 15000 /* behind decide-within: what a judge may take beyond it */
#define SESSION_S    7210  /* libmilter: longest silence of the mail server */
#define QUEUE        128   /* of the listening socket */
#define MODE         0660  /* of a unix socket */

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

/* ---- saying ---------------------------------------------------------------------------------- */

int
milterd_fail(const char *what, const char *why)
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
	mode_t      before = umask(0777 & ~MODE);
	const char *why = conn_fault(g->socket);
	bool        good = why == NULL && smfi_setconn((char *)g->socket) == MI_SUCCESS &&
	    smfi_setbacklog(QUEUE) == MI_SUCCESS && smfi_opensocket(true) == MI_SUCCESS;

	if (good)
		why = give_socket(g);
	else if (why == NULL)
		why = "cannot listen there";
	umask(before);
	if (why != NULL)
		milterd_fail(g->socket, why);
	return why == NULL;
}

static bool
write_pid(const char *path)
{
	FILE *f = path == NULL ? NULL : fopen(path, "we");

	if (path == NULL)
		return true;
	if (f == NULL || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f) != 0) {
		milterd_fail(path, strerror(errno));
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

static int
serve(struct milterd *m)
{
	struct callbacks_conf c;
	const char           *why = NULL;
	int                   rc;

	describe(m, &c);
	callbacks_register(&c);
	(void)smfi_settimeout(SESSION_S);
	/* First of all: a logger that outlives us must not hold the socket. */
	m->log.fd = milterd_open_log(m, &why);
	if (m->log.fd < 0)
		return milterd_fail("cannot log", why);
	world_real_log_fd(m->w, m->log.fd);
	if (!open_socket(&m->given) || !write_pid(m->given.pid))
		return EXIT_MISTAKES;
	if (!drop_privileges(m->s->user, &why))
		return milterd_fail("cannot start", why);
	if (!milterd_start_loop(m))
		return EXIT_MISTAKES;
	/* Now they are there. */
	describe(m, &c);
	callbacks_register(&c);
	rc = smfi_main() == MI_SUCCESS ? EXIT_GOOD : EXIT_MISTAKES;
	milterd_stop_loop(m);
	if (m->given.pid != NULL)
		(void)unlink(m->given.pid);
	if (unix_path(m->given.socket) != NULL)
		(void)unlink(unix_path(m->given.socket));
	milterd_end_log(m);
	/* Threads of libmilter still wait for mail servers: nothing is taken apart under them. */
	_exit(rc);
}

static int
print(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) == 0 ?
	    EXIT_GOOD :
	    milterd_fail("standard output could not be written", strerror(errno));
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
	static struct milterd m = { .given = { .file = DEFAULT_FILE },
		.log = { .fd = -1, .pipe = { -1, -1 } } };
	struct strv           why;

	if (!std_open())
		return milterd_fail("there is no /dev/null", NULL);
	ignore_signals();
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
