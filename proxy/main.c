/*
 * main -- the command line: a table of commands, their options, their exit status.
 *
 * Commands that are little more than a call stand here, the others in main_*.c; nobody else writes to
 * standard output.  What they print and return is a contract with scripts and packagers: postern(8)
 * says the same, tests/cli holds it.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/std.h"
#include "proxy/main_own.h"
#include "proxy/master.h"
#include "proxy/release.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif
#define DEFAULT_FILE SYSCONFDIR "/postern/postern.conf"

static const char help[] =
    "postern -- a filtering SMTP proxy\n"
    "\n"
    "  postern run [[-c] FILE]   serve, in the foreground, log to standard error\n"
    "  postern check [FILE]      read FILE as run would, prove it and play its tests, start nothing,\n"
    "                            say what was understood; with --probe-upstream also ask each\n"
    "                            server whether it would relay for strangers, with --dns whether\n"
    "                            the published keys are those that `sign' and `seal' have\n"
    "  postern explain --client ADDRESS --rcpt ADDRESS ...\n"
    "                            tell what would become of one session, check by check; also\n"
    "                            [--helo NAME] [--mail ADDRESS] [--message FILE] [--listener NAME]\n"
    "                            [--auth USER] [--tls] [-c FILE]; the DNS that is asked is real\n"
    "  postern release [-c FILE] [ID ...]\n"
    "                            list the quarantine, or send these messages of it on\n"
    "  postern --help            this text\n"
    "  postern --version         the version and the libraries\n"
    "\n"
    "Without FILE it is " DEFAULT_FILE ".\n"
    "To a running postern: SIGHUP reloads, SIGTERM stops when what is in hand is finished,\n"
    "a second SIGTERM stops at once, SIGUSR1 opens the log file again.\n"
    "Exit status: 0 good, 1 mistakes in FILE, a socket that cannot be opened, a message that\n"
    "could not be released, 2 wrong usage.\n"
    "postern(8) and postern.conf(5) say more.\n";

bool
main_colour(int fd)
{
	const char *no = getenv("NO_COLOR");

	return isatty(fd) && (no == NULL || no[0] == '\0');
}

static int unwritten; /* why standard output could not be written, when that was seen first */

static void
look_written(bool good)
{
	if (!good && unwritten == 0)
		unwritten = errno;
}

void
main_line(struct strv line, void *arg)
{
	look_written(fprintf(arg, "%.*s\n", (int)line.n, line.p) >= 0 || arg != stdout);
}

void
main_flush(void)
{
	look_written(fflush(stdout) == 0);
}

bool
main_printed(void)
{
	main_flush();
	if (unwritten == 0 && ferror(stdout) == 0)
		return true;
	fprintf(stderr, "postern: standard output could not be written: %s\n",
	    strerror(unwritten == 0 ? EIO : unwritten));
	return false;
}

int
main_usage(const char *what, const char *arg)
{
	fprintf(stderr, "postern: %s%s\n", what, arg);
	fputs("usage: postern run [[-c] FILE]\n"
	      "       postern check [--probe-upstream] [--dns] [FILE]\n"
	      "       postern explain --client ADDRESS --rcpt ADDRESS ... [-c FILE]\n"
	      "       postern release [-c FILE] [ID ...]\n"
	      "       postern --help | --version\n",
	    stderr);
	return EXIT_USAGE;
}

#define GIVEN(field) offsetof(struct given, field)

/* clang-format off */
static const struct option_def run_options[] = {
	{ "-c",               OPTION_TEXT,  "a file",       GIVEN(file) },
	{ "",                 OPTION_TEXT,  "file",         GIVEN(file) },
	{ NULL, OPTION_FLAG, NULL, 0 }
};
static const struct option_def check_options[] = {
	{ "-c",               OPTION_TEXT,  "a file",       GIVEN(file) },
	{ "--probe-upstream", OPTION_FLAG,  NULL,           GIVEN(probe) },
	{ "--dns",            OPTION_FLAG,  NULL,           GIVEN(dns) },
	{ "",                 OPTION_TEXT,  "file",         GIVEN(file) },
	{ NULL, OPTION_FLAG, NULL, 0 }
};
static const struct option_def release_options[] = {
	{ "-c",               OPTION_TEXT,  "a file",       GIVEN(file) },
	{ "",                 OPTION_TEXTS, "ID",           GIVEN(id) },
	{ NULL, OPTION_FLAG, NULL, 0 }
};
static const struct option_def explain_options[] = {
	{ "-c",               OPTION_TEXT,  "a file",       GIVEN(file) },
	{ "--client",         OPTION_TEXT,  "an address",   GIVEN(client) },
	{ "--listener",       OPTION_TEXT,  "a name",       GIVEN(listener) },
	{ "--helo",           OPTION_TEXT,  "a name",       GIVEN(helo) },
	{ "--auth",           OPTION_TEXT,  "a user",       GIVEN(auth) },
	{ "--tls",            OPTION_FLAG,  NULL,           GIVEN(tls) },
	{ "--mail",           OPTION_TEXT,  "an address",   GIVEN(mail) },
	{ "--rcpt",           OPTION_TEXTS, "an address",   GIVEN(rcpt) },
	{ "--message",        OPTION_TEXT,  "a file",       GIVEN(message) },
	{ NULL, OPTION_FLAG, NULL, 0 }
};
static const struct option_def no_options[] = {
	{ NULL, OPTION_FLAG, NULL, 0 }
};
/* clang-format on */

#undef GIVEN

/* ---- release --------------------------------------------------------------------------------- */

static int
release(const struct settings *s, struct world *w, const struct given *g, struct arena *a)
{
	struct strv why = { NULL, 0 };
	int         rc = EXIT_GOOD;

	if (s->smtp.quarantine == NULL) {
		fprintf(stderr, "postern: %s has no `quarantine \"DIR\"'\n", g->file);
		return EXIT_MISTAKES;
	}
	if (g->id.n > 0) {
		if (release_send(s, w, a, g->id.v, g->id.n, main_line, stdout) > 0)
			rc = EXIT_MISTAKES;
	} else if (release_list(s, a, main_line, stdout, &why) < 0) {
		fprintf(stderr, "postern: %.*s\n", (int)why.n, why.p);
		rc = EXIT_MISTAKES;
	}
	return main_printed() ? rc : EXIT_MISTAKES;
}

static int
run_release(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(-1);
	struct settings *s = main_read(a, w, g->file);
	int              rc;

	if (s == NULL)
		return EXIT_MISTAKES;
	rc = release(s, w, g, a);
	settings_free(s);
	return rc;
}

/* ---- run ------------------------------------------------------------------------------------- */

static int
run_run(const struct given *g, struct arena *unused)
{
	struct world    *w = world_real(STDERR_FILENO);
	struct arena    *a = arena_new(4096, 0); /* the master's */
	struct loaded    l;
	struct settings *s = main_load(a, w, g->file, &l);
	struct master   *m;
	const char      *why;

	(void)unused;
	if (s == NULL) {
		arena_free(a);
		return EXIT_MISTAKES;
	}
	m = master_new(w, g->file, a, s, &why);
	if (m == NULL) {
		fprintf(stderr, "postern: %s\n", why);
		return EXIT_MISTAKES;
	}
	return master_run(m);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int
run_help(const struct given *g, struct arena *a)
{
	(void)g;
	(void)a;
	fputs(help, stdout);
	return main_printed() ? EXIT_GOOD : EXIT_MISTAKES;
}

static const char libraries[] = ""
#if HAVE_OPENSSL
				" OpenSSL"
#endif
#if HAVE_IDN2
				" libidn2"
#endif
#if HAVE_PCRE2
				" PCRE2"
#endif
#if HAVE_UNBOUND
				" libunbound"
#endif
#if HAVE_URING
				" liburing"
#endif
#if HAVE_OPENDKIM
				" libopendkim"
#endif
#if HAVE_SPF2
				" libspf2"
#endif
    ;

static int
run_version(const struct given *g, struct arena *a)
{
	(void)g;
	(void)a;
	printf("postern %s\nlibraries:%s\n", VERSION, libraries);
	return main_printed() ? EXIT_GOOD : EXIT_MISTAKES;
}

static const struct command {
	const char              *word;
	const struct option_def *options;
	int (*run)(const struct given *, struct arena *); /* the exit status */
} commands[] = {
	{ "run", run_options, run_run },
	{ "check", check_options, main_check },
	{ "explain", explain_options, main_explain },
	{ "release", release_options, run_release },
	{ "--help", no_options, run_help },
	{ "-h", no_options, run_help },
	{ "help", no_options, run_help },
	{ "--version", no_options, run_version },
	{ "-V", no_options, run_version },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int
run_command(const struct command *c, int argc, char **argv)
{
	struct given  g = { .file = DEFAULT_FILE };
	struct arena *a = arena_new(4096, 0);
	struct strv   why;
	int           rc;

	if (options_take(a, argc, argv, c->options, &g, &why))
		rc = c->run(&g, a);
	else
		rc = main_usage(arena_z(a, why), "");
	arena_free(a);
	return rc;
}

/* "postern check --help" asks for what "postern --help" tells. */
static bool
wants_help(int argc, char **argv)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

static int
unknown_command(const char *word)
{
	const char   *words[N_COMMANDS + 1] = { NULL };
	const char   *near;
	struct arena *a = arena_new(512, 0);
	struct strv   text;
	int           rc;

	for (size_t i = 0; i < N_COMMANDS; i++)
		words[i] = commands[i].word;
	near = diag_nearest(strv_z(word), words);
	text = near == NULL ? strv_z(word) : arena_printf(a, "%s; did you mean `%s'?", word, near);
	rc = main_usage("unknown command: ", arena_z(a, text));
	arena_free(a);
	return rc;
}

int
main(int argc, char **argv)
{
	if (!std_open())
		return main_usage("there is no /dev/null", "");
	if (argc < 2)
		return main_usage("say what to do", "");
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].word) == 0)
			return wants_help(argc, argv) ?
			    run_help(NULL, NULL) :
			    run_command(&commands[i], argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
