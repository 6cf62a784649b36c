/*
 * postern-plugind -- the process of one isolated plugin: libmilter itself around a shared object.
 *
 * It links nothing else of Postern, so that every smfi_ function of the plugin is libmilter's.  It limits itself, loads
 * the object, says on the channel that it listens, and serves until the channel ends: its other end is the master's.
 * The invariant: a thread of ours watches the channel before a line of the plugin's runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
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
#include "proxy/base/std.h"
#include "proxy/hosts/conn.h"
#include "proxy/hosts/culprit.h"
#include "proxy/hosts/hangs.h"
#include "proxy/hosts/plugind_own.h"

#define MEMORY_MAX (1ul << 30)
#define FILES_MAX  16384 /* one for each session that is open, and the plugin's own */
#define CPU_FIRST  60    /* seconds; the master moves it ahead, see keeper_cpu.c */
#define CPU_LONG   30 /* seconds: who runs away was seen to compute for fifty, see keeper_cpu.c */
#define ARENAS     2  /* each reserves 64 MiB of the address space */

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

/* Of SIGXCPU: a callback that ran only just now has waited for something since, or is new. */
static void
blame_for_cpu(void)
{
	hangs_blame(CPU_LONG);
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

/* ---- serving --------------------------------------------------------------------------------- */

/*
 * The master's socket where this libmilter takes one (Debian's does): clients that come while a process
 * of ours is started anew wait in its queue.  Else one of our own at the same path.
 */
static bool
open_socket(const struct given *g, bool *masters)
{
	char conn[32];

	*masters = true;
	if (g->listening >= 0) {
		snprintf(conn, sizeof(conn), "fd:%d", g->listening);
		if (smfi_setconn(conn) == MI_SUCCESS && smfi_opensocket(false) == MI_SUCCESS)
			return true;
	}
	*masters = false;
	return smfi_setconn((char *)g->socket) == MI_SUCCESS && smfi_opensocket(true) == MI_SUCCESS;
}

static int
serve(const struct given *g)
{
	const char *why = conn_fault(g->socket);
	bool        masters;

	if (why != NULL) {
		fprintf(stderr, "%s: it cannot listen at %s: %s\n", g->file, g->socket, why);
		return EXIT_FAULT;
	}
	if (!open_socket(g, &masters)) {
		fprintf(stderr, "%s: it cannot listen at %s\n", g->file, g->socket);
		return EXIT_FAULT;
	}
	plugind_serves(g, masters);
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
print(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout) == 0)
		return EXIT_GOOD;
	fprintf(
	    stderr, "postern-plugind: standard output could not be written: %s\n", strerror(errno));
	return EXIT_FAULT;
}

static int
help(void)
{
	return print(
	    "postern-plugind -- one plugin as a milter, in a process of its own\n"
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
	    "2 wrong usage.  postern-plugind(8) says more.\n");
}

static int
descriptor(const char *text)
{
	int fd = (int)strtol(text, NULL, 10);

	/* What the plugin runs does not inherit it. */
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

/* c: what getopt gave.  False: there is no such option. */
static bool
take_option(struct given *g, int c)
{
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
	return true;
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
		if (!take_option(g, c))
			return false;
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
	struct given           g = { .name = "plugin", .channel = -1, .listening = -1 };
	const struct smfiDesc *filter;

	if (!std_open())
		return EXIT_FAULT;
	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return help();
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return print("postern-plugind " VERSION "\n");
	if (!take_options(argc, argv, &g))
		return usage();
	if (!g.check)
		hold_signals();
	if (!limit_all(&g) || !plugind_watch(&g)) {
		fputs("postern-plugind: no limits, no thread\n", stderr);
		return EXIT_FAULT;
	}
	filter = plugind_load(&g);
	if (filter == NULL)
		return EXIT_FAULT;
	culprit_start(blame_for_cpu);
	return g.check ? plugind_describe(filter) : serve(&g);
}
