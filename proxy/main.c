/*
 * main -- the command line: a table of commands, their options, their exit status.
 *
 * The only file that writes to standard output.  What it prints and returns is a contract with scripts
 * and packagers: postern(8) says the same, tests/cli holds it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/master.h"
#include "proxy/show.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif
#define DEFAULT_FILE SYSCONFDIR "/postern/postern.conf"

enum { EXIT_GOOD = 0, EXIT_MISTAKES = 1, EXIT_USAGE = 2 };

static const char help[] =
    "postern -- a filtering SMTP proxy\n"
    "\n"
    "  postern run [-c FILE]     serve, in the foreground, log to standard error\n"
    "  postern check [FILE]      read FILE as run would, start nothing, say what was understood\n"
    "  postern --help            this text\n"
    "  postern --version         the version and the libraries\n"
    "\n"
    "Without FILE it is " DEFAULT_FILE ".\n"
    "To a running postern: SIGHUP reloads, SIGTERM stops when what is in hand is finished,\n"
    "a second SIGTERM stops at once, SIGUSR1 opens the log file again.\n"
    "Exit status: 0 good, 1 mistakes in FILE or a socket that cannot be opened, 2 wrong usage.\n"
    "postern(8) and postern.conf(5) say more.\n";

static bool
wants_colour(int fd)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fd) && (no == NULL || no[0] == '\0');
}

static void
to_stream(struct strv line, void *arg)
{
	fprintf(arg, "%.*s\n", (int)line.n, line.p);
}

static int
usage(const char *what, const char *arg)
{
	fprintf(stderr, "postern: %s%s\n", what, arg);
	fputs("usage: postern run [-c FILE]\n"
	      "       postern check [FILE]\n"
	      "       postern --help | --version\n",
	    stderr);
	return EXIT_USAGE;
}

/* FILE or -c FILE, at most one of them; -1: said what is wrong. */
static int
take_file(int argc, char **argv, bool plain, const char **file)
{
	bool given = false;

	*file = DEFAULT_FILE;
	for (int i = 1; i < argc; i++) {
		bool option = strcmp(argv[i], "-c") == 0;

		if (option && i + 1 == argc)
			return usage("-c needs a file", "");
		if (!option && (argv[i][0] == '-' || !plain))
			return usage("unknown argument: ", argv[i]);
		if (given)
			return usage("one file is enough, not also ", argv[option ? i + 1 : i]);
		i += option;
		given = true;
		*file = argv[i];
	}
	return 0;
}

/* All mistakes and warnings of a configuration, on standard error. */
static struct settings *
load(struct arena *a, struct world *w, const char *file)
{
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, w, file, &d);

	diag_print(&d, wants_colour(STDERR_FILENO), to_stream, stderr);
	if (d.errors == 0)
		return s;
	fprintf(stderr, "%s: %u mistake%s\n", file, d.errors, d.errors == 1 ? "" : "s");
	settings_free(s);
	return NULL;
}

/* ---- check ----------------------------------------------------------------------------------- */

/* A folder that is not there is no mistake of the language, and may come later: so only a warning. */
static void
warn_folder(struct arena *a, const char *what, const char *path, size_t n)
{
	const char *dir = arena_z(a, strv(path, n));
	struct stat st;

	if (n > 0 && (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode)))
		fprintf(stderr, "warning: %s: there is no folder %s\n", what, dir);
}

/* Where a file or folder lies: the path without its last name. */
static size_t
parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return 0;
	return slash == path ? 1 : (size_t)(slash - path);
}

static void
warn_folders(const struct settings *s, struct arena *a)
{
	warn_folder(a, "spool", s->smtp.spool_dir, strlen(s->smtp.spool_dir));
	if (s->log == LOG_FILE)
		warn_folder(a, "log", s->log_file, parent(s->log_file));
	for (unsigned i = 0; i < s->n_server; i++)
		if (s->server[i].kind == HOP_MAILDIR)
			warn_folder(
			    a, "upstream maildir", s->server[i].dir, parent(s->server[i].dir));
}

static int
run_check(int argc, char **argv)
{
	struct arena    *a;
	struct settings *s;
	const char      *file;

	if (take_file(argc, argv, true, &file) != 0)
		return EXIT_USAGE;
	a = arena_new(4096, 0);
	s = load(a, world_real(STDERR_FILENO), file);
	if (s == NULL) {
		arena_free(a);
		return EXIT_MISTAKES;
	}
	printf("%s: good\n", file);
	show_settings(s, a, to_stream, stdout);
	policy_explain(s->policy, a, to_stream, stdout);
	fflush(stdout);
	warn_folders(s, a);
	settings_free(s);
	arena_free(a);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_MISTAKES;
}

/* ---- run ------------------------------------------------------------------------------------- */

static int
run_run(int argc, char **argv)
{
	struct world    *w;
	struct arena    *a;
	struct settings *s;
	struct master   *m;
	const char      *file, *why;

	if (take_file(argc, argv, false, &file) != 0)
		return EXIT_USAGE;
	w = world_real(STDERR_FILENO);
	a = arena_new(4096, 0);
	s = load(a, w, file);
	if (s == NULL) {
		arena_free(a);
		return EXIT_MISTAKES;
	}
	m = master_new(w, file, a, s, &why);
	if (m == NULL) {
		fprintf(stderr, "postern: %s\n", why);
		return EXIT_MISTAKES;
	}
	return master_run(m);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int
run_help(int argc, char **argv)
{
	if (argc > 1)
		return usage("unknown argument: ", argv[1]);
	fputs(help, stdout);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_MISTAKES;
}

static int
run_version(int argc, char **argv)
{
	if (argc > 1)
		return usage("unknown argument: ", argv[1]);
	printf("postern %s\nlibraries: OpenSSL\n", VERSION);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_MISTAKES;
}

static const struct command {
	const char *word;
	int (*run)(int argc, char **argv); /* argv[0] is the word; the exit status */
} commands[] = {
	{ "run", run_run },
	{ "check", run_check },
	{ "--help", run_help },
	{ "-h", run_help },
	{ "help", run_help },
	{ "--version", run_version },
	{ "-V", run_version },
};

int
main(int argc, char **argv)
{
	if (argc < 2)
		return usage("say what to do", "");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].word) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return usage("unknown command: ", argv[1]);
}
