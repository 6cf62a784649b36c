/*
 * postern-plugind -- the process of one isolated plugin: libmilter itself around a shared object.
 *
 * It links nothing else of Postern, so that every smfi_ function of the plugin is libmilter's.  It limits itself, loads
 * the object, says on the channel that it listens, and serves until the channel ends: its other end is the master's.
 * The invariant: a thread of ours watches the channel before a line of the plugin's runs.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "config.h"
#include "proxy/base/asan.h"
#include "proxy/hosts/culprit.h"
#include "proxy/hosts/hangs.h"

#define MEMORY_MAX  (1ul << 30)
#define FILES_MAX   16384 /* one for each session that is open, and the plugin's own */
#define CPU_FIRST   60    /* seconds; the master moves it ahead, see keeper_cpu.c */
#define CPU_LONG    30 /* seconds: who runs away was seen to compute for fifty, see keeper_cpu.c */
#define THREAD_SIZE (1ul << 20)
#define ARENAS      2 /* each reserves 64 MiB of the address space */
#define EXIT_WITHIN 2 /* seconds that destructors of the plugin have */
#define LOOK_MS     1000

enum { EXIT_GOOD = 0, EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_HANGS = 3 };

struct given {
	const char *name, *socket;
	int         channel, listening; /* -1: none */
	bool        check;
	const char *file;
	char      **args; /* plugin_args(): the name, what the configuration says, NULL */
};

static struct smfiDesc registered; /* what the plugin has told libmilter of itself */
static bool            is_registered;

/* ---- the end --------------------------------------------------------------------------------- */

/* The folder that the master has made for this socket: nobody else is left to take it away. */
static void
clean_folder(const char *socket_path)
{
	const char    *slash = strrchr(socket_path, '/');
	char           folder[256];
	struct dirent *e;
	DIR           *d;

	if (slash == NULL || (size_t)(slash - socket_path) >= sizeof(folder))
		return;
	memcpy(folder, socket_path, (size_t)(slash - socket_path));
	folder[slash - socket_path] = '\0';
	d = opendir(folder);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(folder);
}

/* Nothing here may wait for a lock that a callback holds: no stdio, no malloc, no destructor. */
static void
end_if_it_hangs(void)
{
	struct hangs h = hangs_look();
	char         text[128];
	int          n;

	if (!hangs_too_many(&h))
		return;
	n = snprintf(text, sizeof(text),
	    "postern-plugind: %u of %u callbacks hang, for more than %u s: this process ends\n",
	    h.old, h.running, hangs_seconds());
	(void)!write(STDERR_FILENO, text, (size_t)n);
	hangs_blame(hangs_seconds());
	_exit(EXIT_HANGS);
}

/* Of SIGXCPU: a callback that ran only just now has waited for something since, or is new. */
static void
blame_for_cpu(void)
{
	hangs_blame(CPU_LONG);
}

/* 0: the other end of the channel is closed; -1: ours is. */
static ssize_t
hear_channel(int channel)
{
	char    octet;
	ssize_t n = read(channel, &octet, 1);

	return n < 0 && errno == EINTR ? 1 : n;
}

/* What the plugin has forked outlives it, unless somebody stays behind to end it: a master that is no more cannot. */
static void
sweep_behind_us(void)
{
	pid_t us = getpid();

	if (getpgrp() != us || fork() != 0)
		return;
	while (getppid() == us)
		(void)poll(NULL, 0, 10);
	(void)kill(0, SIGKILL);
	_exit(EXIT_FAULT);
}

/* The channel ends when the master has closed it or is no more, however it died. */
static void *
watch(void *arg)
{
	const struct given *g = arg;
	struct pollfd       p = { .fd = g->channel, .events = POLLIN };
	int                 n;
	ssize_t             heard = 1;

	while (heard > 0) {
		n = poll(&p, 1, LOOK_MS);
		if (n == 0)
			end_if_it_hangs();
		if (n > 0)
			heard = hear_channel(g->channel);
	}
	/* A plugin that closes all that is open may end itself, but not the others in that folder. */
	if (heard == 0)
		clean_folder(g->socket + strlen("unix:"));
	sweep_behind_us();
	alarm(EXIT_WITHIN);
	exit(EXIT_GOOD);
}

static bool
start_watching(struct given *g)
{
	pthread_t thread;

	if (g->channel < 0)
		return true;
	if (pthread_create(&thread, NULL, watch, g) != 0)
		return false;
	/*
	 * SIGKILL from here on would come before the thread has cleaned up.  A process that was stopped
	 * must run to see the end of the channel.
	 */
	prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0);
	return true;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void
limit(int what, rlim_t most, bool for_good)
{
	struct rlimit r;

	if (getrlimit(what, &r) < 0)
		return;
	if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)
		r.rlim_cur = most;
	else
		r.rlim_cur = r.rlim_max;
	if (for_good)
		r.rlim_max = r.rlim_cur;
	(void)setrlimit(what, &r);
}

/* RLIMIT_AS counts what is reserved, too: threads and malloc get less of that than they would take. */
static void
save_address_space(void)
{
	pthread_attr_t a;

	(void)mallopt(M_ARENA_MAX, ARENAS);
	if (pthread_attr_init(&a) != 0)
		return;
	if (pthread_attr_setstacksize(&a, THREAD_SIZE) == 0)
		(void)pthread_setattr_default_np(&a);
	pthread_attr_destroy(&a);
}

static bool
limit_all(const struct given *g)
{
	save_address_space();
	limit(RLIMIT_CORE, 0, true);
	limit(RLIMIT_NOFILE, FILES_MAX, true);
	if (!UNDER_ASAN)
		limit(RLIMIT_AS, MEMORY_MAX, true);
	/* The soft one alone, which the master can move. */
	if (g->check || g->channel >= 0)
		limit(RLIMIT_CPU, CPU_FIRST, false);
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

/* ---- loading --------------------------------------------------------------------------------- */

static bool
fault(const struct given *g, const char *what, const char *more)
{
	fprintf(stderr, "%s: %s%s\n", g->file, what, more == NULL ? "" : more);
	return false;
}

/* The same name in front of libmilter's: what it passes on is what --check tells of. */
int
smfi_register(struct smfiDesc desc)
{
	int (*theirs)(struct smfiDesc);

	*(void **)&theirs = dlsym(RTLD_NEXT, "smfi_register");
	registered = desc;
	hangs_count(&desc);
	is_registered = theirs != NULL && theirs(desc) == MI_SUCCESS;
	return is_registered ? MI_SUCCESS : MI_FAILURE;
}

int
smfi_progress(SMFICTX *ctx)
{
	int (*theirs)(SMFICTX *);

	*(void **)&theirs = dlsym(RTLD_NEXT, "smfi_progress");
	hangs_progress(ctx);
	return theirs == NULL ? MI_FAILURE : theirs(ctx);
}

/* One that brings a libmilter along would serve with that, which knows nothing of our socket. */
static bool
is_ours(void *object)
{
	void *theirs = dlsym(object, "smfi_addheader");

	return theirs == NULL || theirs == dlsym(RTLD_DEFAULT, "smfi_addheader");
}

static bool
take_args(const struct given *g, void *object)
{
	int (*plugin_args)(int, char **);
	int argc = 0;

	*(void **)&plugin_args = dlsym(object, "plugin_args");
	while (g->args[argc] != NULL)
		argc++;
	if (plugin_args == NULL)
		return argc == 1 || fault(g, "it takes no args: it has no plugin_args()", NULL);
	return plugin_args(argc, g->args) == 0 || fault(g, "plugin_args() refuses its args", NULL);
}

static bool
take_filter(const struct given *g, void *object)
{
	struct smfiDesc *desc = dlsym(object, "smfilter");
	int (*plugin_init)(void);

	*(void **)&plugin_init = dlsym(object, "plugin_init");
	if (desc == NULL && plugin_init == NULL)
		return fault(g,
		    "it is no plugin: it exports neither `struct smfiDesc smfilter' nor `int "
		    "plugin_init(void)'",
		    NULL);
	if (desc != NULL && plugin_init != NULL)
		return fault(
		    g, "it exports both `smfilter' and `plugin_init': which one holds?", NULL);
	if (desc != NULL)
		return smfi_register(*desc) == MI_SUCCESS ||
		    fault(g, "it was made for another libmilter", NULL);
	if (plugin_init() != 0)
		return fault(g, "plugin_init() says that it failed", NULL);
	return is_registered ||
	    fault(g, "plugin_init() did not register a filter (smfi_register)", NULL);
}

static bool
load(const struct given *g)
{
	static char here[PATH_MAX];
	void       *object;

	/* A name without a slash is looked for among the libraries of the system. */
	snprintf(here, sizeof(here), "%s%s", strchr(g->file, '/') == NULL ? "./" : "", g->file);
	object = dlopen(here, RTLD_NOW | RTLD_LOCAL);
	if (object == NULL)
		return fault(g, "it cannot be loaded: ", dlerror());
	if (!is_ours(object))
		return fault(
		    g, "it has a libmilter of its own inside: link it without libmilter.a", NULL);
	return take_args(g, object) && take_filter(g, object);
}

/* ---- --check --------------------------------------------------------------------------------- */

static void
say_callbacks(const struct smfiDesc *d)
{
	const struct {
		const char *name;
		bool        there;
	} row[] = {
		{ "negotiate", d->xxfi_negotiate != NULL },
		{ "connect", d->xxfi_connect != NULL },
		{ "helo", d->xxfi_helo != NULL },
		{ "envfrom", d->xxfi_envfrom != NULL },
		{ "envrcpt", d->xxfi_envrcpt != NULL },
		{ "data", d->xxfi_data != NULL },
		{ "header", d->xxfi_header != NULL },
		{ "eoh", d->xxfi_eoh != NULL },
		{ "body", d->xxfi_body != NULL },
		{ "eom", d->xxfi_eom != NULL },
		{ "abort", d->xxfi_abort != NULL },
		{ "close", d->xxfi_close != NULL },
		{ "unknown", d->xxfi_unknown != NULL },
	};

	fputs("callbacks:", stdout);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (row[i].there)
			printf(" %s", row[i].name);
	putchar('\n');
}

static void
say_actions(unsigned long flags)
{
	static const struct {
		const char   *name;
		unsigned long flag;
	} row[] = {
		{ "addheader", SMFIF_ADDHDRS },
		{ "chgheader", SMFIF_CHGHDRS },
		{ "replacebody", SMFIF_CHGBODY },
		{ "addrcpt", SMFIF_ADDRCPT },
		{ "addrcpt_par", SMFIF_ADDRCPT_PAR },
		{ "delrcpt", SMFIF_DELRCPT },
		{ "chgfrom", SMFIF_CHGFROM },
		{ "quarantine", SMFIF_QUARANTINE },
		{ "setsymlist", SMFIF_SETSYMLIST },
	};

	fputs("actions:", stdout);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if ((flags & row[i].flag) != 0)
			printf(" %s", row[i].name);
	putchar('\n');
}

static int
describe(void)
{
	printf("name: %s\n", registered.xxfi_name == NULL ? "" : registered.xxfi_name);
	say_callbacks(&registered);
	say_actions(registered.xxfi_flags);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAULT;
}

/* ---- serving --------------------------------------------------------------------------------- */

/*
 * The master's socket where this libmilter takes one (Debian's does): clients that come while a process
 * of ours is started anew wait in its queue.  Else one of our own at the same path.
 */
static bool
open_socket(const struct given *g)
{
	char conn[32];

	if (g->listening >= 0) {
		snprintf(conn, sizeof(conn), "fd:%d", g->listening);
		if (smfi_setconn(conn) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS)
			return true;
	}
	return smfi_setconn((char *)g->socket) == MI_SUCCESS && smfi_opensocket(true) == MI_SUCCESS;
}

static int
serve(const struct given *g)
{
	if (!open_socket(g)) {
		fprintf(stderr, "%s: it cannot listen at %s\n", g->file, g->socket);
		return EXIT_FAULT;
	}
	if (g->channel >= 0 && write(g->channel, "R", 1) != 1)
		return EXIT_FAULT;
	return smfi_main() == MI_SUCCESS ? EXIT_GOOD : EXIT_FAULT;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static int
usage(void)
{
	fputs("usage: postern-plugind [-n name] -p socket file [arg ...]\n"
	      "       postern-plugind --check [-n name] file [arg ...]\n"
	      "       postern-plugind --help | --version\n",
	    stderr);
	return EXIT_USAGE;
}

static int
help(void)
{
	fputs("postern-plugind -- one plugin as a milter, in a process of its own\n"
	      "\n"
	      "  postern-plugind [-n NAME] -p SOCKET FILE [ARG ...]\n"
	      "  postern-plugind --check [-n NAME] FILE [ARG ...]\n"
	      "\n"
	      "  FILE ARG ...         the shared object, and what its plugin_args() gets\n"
	      "  -n, --name NAME      its name, argv[0] of plugin_args(); plugin if not said\n"
	      "  -p, --socket SOCKET  where to listen: unix:/path or inet:PORT@ADDRESS\n"
	      "  -c, --check          load it, tell what it hears and may change, and end\n"
	      "  --help, --version\n"
	      "\n"
	      "Postern starts it for each `plugin NAME { load \"FILE\" isolated }'.\n"
	      "Exit status: 0 it was told to end, or is good, 1 it cannot be loaded or served,\n"
	      "2 wrong usage.  postern-plugind(8) says more.\n",
	    stdout);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAULT;
}

static int
descriptor(const char *text)
{
	int fd = (int)strtol(text, NULL, 10);

	/* What the plugin runs does not inherit it. */
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

static bool
take_options(int argc, char **argv, struct given *g)
{
	static const struct option options[] = {
		{ "check", no_argument, NULL, 'c' },
		{ "name", required_argument, NULL, 'n' },
		{ "socket", required_argument, NULL, 'p' },
		{ "channel", required_argument, NULL, 'k' },
		{ "listening", required_argument, NULL, 'l' },
		{ "blame", required_argument, NULL, 'b' },
		{ "timeout", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "+cn:p:", options, NULL)) != -1)
		switch (c) {
		case 'c':
			g->check = true;
			break;
		case 'n':
			g->name = optarg;
			break;
		case 'p':
			g->socket = optarg;
			break;
		case 'k':
			g->channel = descriptor(optarg);
			break;
		case 'l':
			g->listening = descriptor(optarg);
			break;
		case 'b':
			culprit_page(descriptor(optarg));
			break;
		case 't':
			hangs_limit(strtoul(optarg, NULL, 10));
			break;
		default:
			return false;
		}
	g->file = argv[optind];
	g->args = argv + optind;
	if (g->file != NULL)
		g->args[0] = (char *)g->name;
	if (g->channel >= 0 && (g->socket == NULL || strncmp(g->socket, "unix:", 5) != 0))
		return false;
	return g->file != NULL && (g->check || g->socket != NULL);
}

/* libmilter's thread waits for these, once there is one; until then they wait. */
static void
hold_signals(void)
{
	static const int held[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t         set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(held) / sizeof(held[0]); i++)
		sigaddset(&set, held[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int
main(int argc, char **argv)
{
	struct given g = { .name = "plugin", .channel = -1, .listening = -1 };

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return puts("postern-plugind " VERSION) < 0 ? EXIT_FAULT : EXIT_GOOD;
	if (!take_options(argc, argv, &g))
		return usage();
	if (!g.check)
		hold_signals();
	if (!limit_all(&g) || !start_watching(&g)) {
		fputs("postern-plugind: no limits, no thread\n", stderr);
		return EXIT_FAULT;
	}
	if (!load(&g))
		return EXIT_FAULT;
	culprit_start(blame_for_cpu);
	return g.check ? describe() : serve(&g);
}
