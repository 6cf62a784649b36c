/*
 * main -- the command line: a table of commands, their options, their exit status.
 *
 * The only file that writes to standard output.  What it prints and returns is a contract with scripts
 * and packagers: postern(8) says the same, tests/cli holds it.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/keycheck.h"
#include "proxy/master.h"
#include "proxy/options.h"
#include "proxy/plugincheck.h"
#include "proxy/probe.h"
#include "proxy/release.h"
#include "proxy/show.h"
#include "proxy/story.h"
#include "proxy/trial.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/usr/local/etc"
#endif
#define DEFAULT_FILE SYSCONFDIR "/postern/postern.conf"
#define MESSAGE_MAX  (64u << 20) /* octets of a message that explain reads */
#define PATIENCE_MS  700         /* tests that take no longer are not counted aloud */

enum { EXIT_GOOD = 0, EXIT_MISTAKES = 1, EXIT_USAGE = 2 };

static const char help[] =
    "postern -- a filtering SMTP proxy\n"
    "\n"
    "  postern run [-c FILE]     serve, in the foreground, log to standard error\n"
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

/* Whether all of it went through: a buffer that could not be written is forgotten by the next fflush. */
static bool
printed(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0;
}

static int
usage(const char *what, const char *arg)
{
	fprintf(stderr, "postern: %s%s\n", what, arg);
	fputs("usage: postern run [-c FILE]\n"
	      "       postern check [--probe-upstream] [--dns] [FILE]\n"
	      "       postern explain --client ADDRESS --rcpt ADDRESS ... [-c FILE]\n"
	      "       postern release [-c FILE] [ID ...]\n"
	      "       postern --help | --version\n",
	    stderr);
	return EXIT_USAGE;
}

/* What any command may be given. */
struct given {
	const char         *file, *client, *helo, *mail, *message, *listener, *auth;
	bool                tls, probe, dns;
	struct option_texts rcpt, id;
};

#define GIVEN(field) offsetof(struct given, field)

/* clang-format off */
static const struct option_def run_options[] = {
	{ "-c",               OPTION_TEXT,  "a file",       GIVEN(file) },
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

/* ---- reading the configuration --------------------------------------------------------------- */

struct patience {
	struct world *w;
	uint64_t      since;
	bool          told;
};

/* On a terminal, and only where it takes long. */
static void
progress(unsigned done, unsigned all, void *arg)
{
	struct patience *p = arg;

	if (!isatty(STDERR_FILENO) || p->w->now(p->w) - p->since < PATIENCE_MS)
		return;
	p->told = p->told || done < all;
	if (p->told && done < all)
		fprintf(stderr, "\rtest %u of %u", done + 1, all);
	else if (p->told)
		fputs("\r\033[K", stderr);
	fflush(stderr);
}

struct loaded {
	unsigned           passed; /* tests */
	const struct strv *plugin; /* plugincheck_run */
};

/* All mistakes and warnings of a configuration, its tests' and plugins' too, on standard error. */
static struct settings *
load(struct arena *a, struct world *w, const char *file, struct loaded *out)
{
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, w, file, &d);
	struct patience  p = { .w = w, .since = w->now(w) };

	out->passed = d.errors == 0 ? trial_run_all(s, w, &d, progress, &p) : 0;
	out->plugin = d.errors == 0 ? plugincheck_run(s, w, &d) : NULL;
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
	if (s->smtp.quarantine != NULL)
		warn_folder(a, "quarantine", s->smtp.quarantine, parent(s->smtp.quarantine));
}

static void
probe(const struct settings *s, struct world *w)
{
	struct loop *loop = loop_new(w);

	if (loop == NULL)
		return;
	(void)probe_upstreams(s, loop, to_stream, stdout);
	loop_free(loop);
}

/* Whether all published keys agree with ours. */
static bool
check_keys(const struct settings *s, struct world *w)
{
	struct loop *loop = loop_new(w);
	const char  *why = "no descriptor is free";
	unsigned     faults = 1;

	if (loop == NULL) {
		fprintf(stderr, "postern: the DNS cannot be asked: %s\n", why);
		return false;
	}
	world_real_start(w, loop);
	if (world_real_dns(w, &s->resolver, &why))
		faults = keycheck_run(s, loop, to_stream, stdout);
	else
		fprintf(stderr, "postern: the DNS cannot be asked: %s\n", why);
	world_real_stop(w);
	loop_free(loop);
	return faults == 0;
}

static void
show_plugins(const struct settings *s, const struct strv *plugin)
{
	for (unsigned i = 0; i < s->milters.n; i++)
		if (plugin[i].p != NULL)
			to_stream(plugin[i], stdout);
}

static int
run_check(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(STDERR_FILENO);
	struct loaded    l;
	struct settings *s = load(a, w, g->file, &l);
	bool             agree;

	if (s == NULL)
		return EXIT_MISTAKES;
	printf("%s: good\n", g->file);
	if (l.passed > 0)
		printf("%u test%s passed\n", l.passed, l.passed == 1 ? "" : "s");
	show_settings(s, a, to_stream, stdout);
	show_plugins(s, l.plugin);
	policy_explain(s->policy, a, to_stream, stdout);
	fflush(stdout);
	if (g->probe)
		probe(s, w);
	agree = !g->dns || check_keys(s, w);
	warn_folders(s, a);
	settings_free(s);
	return printed() && agree ? EXIT_GOOD : EXIT_MISTAKES;
}

/* ---- explain --------------------------------------------------------------------------------- */

static const struct listener *
find_listener(const struct settings *s, struct arena *a, const char *name)
{
	struct strv *names = arena_array(a, s->n_listener, sizeof(*names)), near;

	for (unsigned i = 0; i < s->n_listener; i++) {
		names[i] = s->listener[i].name;
		if (name == NULL || strv_eq(names[i], strv_z(name)))
			return &s->listener[i];
	}
	near = diag_did_you_mean(a, diag_nearest_v(strv_z(name), names, s->n_listener));
	fprintf(stderr, "postern: no listener is called %s%s%.*s\n", name, near.n > 0 ? "; " : "",
	    (int)near.n, near.n > 0 ? near.p : "");
	return NULL;
}

static bool
read_message(struct world *w, struct arena *a, const char *path, struct strv *out)
{
	enum file_rc rc;

	if (path == NULL)
		return true;
	rc = w->read_file(w, a, path, MESSAGE_MAX, out);
	if (rc != FILE_OK)
		fprintf(stderr, "postern: %s: %s\n", path, file_rc_name(rc));
	return rc == FILE_OK;
}

static int
tell(const struct settings *s, struct world *w, const struct given *g, struct arena *a,
    struct story *x)
{
	struct strv *rcpt = arena_array(a, g->rcpt.n, sizeof(*rcpt));
	const char  *why;

	for (unsigned i = 0; i < g->rcpt.n; i++)
		rcpt[i] = strv_z(g->rcpt.v[i]);
	x->rcpt = rcpt;
	x->n_rcpt = g->rcpt.n;
	x->helo = strv_z(g->helo);
	x->mail = strv_z(g->mail);
	x->auth = strv_z(g->auth);
	x->tls = g->tls;
	x->listener = find_listener(s, a, g->listener);
	if (x->listener == NULL || !read_message(w, a, g->message, &x->message))
		return EXIT_USAGE;
	if (story_tell(s, w, x, wants_colour(STDOUT_FILENO), to_stream, stdout, &why))
		return printed() ? EXIT_GOOD : EXIT_MISTAKES;
	fprintf(stderr, "postern: the story has no end: %s\n", why);
	return EXIT_MISTAKES;
}

/* Warnings are for `check`. */
static struct settings *
load_file(struct arena *a, struct world *w, const char *file)
{
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, w, file, &d);

	if (d.errors == 0)
		return s;
	diag_print(&d, wants_colour(STDERR_FILENO), to_stream, stderr);
	settings_free(s);
	return NULL;
}

static int
run_explain(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(-1);
	struct story     x = { 0 };
	struct settings *s;
	int              rc;

	if (g->client == NULL)
		return usage("explain needs --client", "");
	if (!addr_parse(strv_z(g->client), &x.client))
		return usage("--client needs an IP address, not ", g->client);
	if (g->rcpt.n == 0)
		return usage("explain needs --rcpt", "");
	s = load_file(a, w, g->file);
	if (s == NULL)
		return EXIT_MISTAKES;
	rc = tell(s, w, g, a, &x);
	settings_free(s);
	return rc;
}

/* ---- release --------------------------------------------------------------------------------- */

static int
release(const struct settings *s, struct world *w, const struct given *g, struct arena *a)
{
	struct strv why;
	int         rc = EXIT_GOOD;

	if (s->smtp.quarantine == NULL) {
		fprintf(stderr, "postern: %s has no `quarantine \"DIR\"'\n", g->file);
		return EXIT_MISTAKES;
	}
	if (g->id.n > 0) {
		if (release_send(s, w, a, g->id.v, g->id.n, to_stream, stdout) > 0)
			rc = EXIT_MISTAKES;
	} else if (release_list(s, a, to_stream, stdout, &why) < 0) {
		fprintf(stderr, "postern: %.*s\n", (int)why.n, why.p);
		rc = EXIT_MISTAKES;
	}
	return printed() ? rc : EXIT_MISTAKES;
}

static int
run_release(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(-1);
	struct settings *s = load_file(a, w, g->file);
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
	struct settings *s = load(a, w, g->file, &l);
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
	return printed() ? EXIT_GOOD : EXIT_MISTAKES;
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
	return printed() ? EXIT_GOOD : EXIT_MISTAKES;
}

static const struct command {
	const char              *word;
	const struct option_def *options;
	int (*run)(const struct given *, struct arena *); /* the exit status */
} commands[] = {
	{ "run", run_options, run_run },
	{ "check", check_options, run_check },
	{ "explain", explain_options, run_explain },
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
		rc = usage(arena_z(a, why), "");
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
	rc = usage("unknown command: ", arena_z(a, text));
	arena_free(a);
	return rc;
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return usage("say what to do", "");
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].word) == 0)
			return wants_help(argc, argv) ?
			    run_help(NULL, NULL) :
			    run_command(&commands[i], argc - 1, argv + 1);
	return unknown_command(argv[1]);
}
