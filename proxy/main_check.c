/*
 * main_check -- `postern check': says what was understood; asks servers and the DNS where that is wanted.
 *
 * Invariant: nothing is started that outlives it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/keycheck.h"
#include "proxy/main_own.h"
#include "proxy/probe.h"
#include "proxy/show.h"

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
	(void)probe_upstreams(s, loop, main_line, stdout);
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
		faults = keycheck_run(s, loop, main_line, stdout);
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
			main_line(plugin[i], stdout);
}

int
main_check(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(STDERR_FILENO);
	struct loaded    l;
	struct settings *s = main_load(a, w, g->file, &l);
	bool             agree;

	if (s == NULL)
		return EXIT_MISTAKES;
	printf("%s: good\n", g->file);
	if (l.passed > 0)
		printf("%u test%s passed\n", l.passed, l.passed == 1 ? "" : "s");
	show_settings(s, a, main_line, stdout);
	show_plugins(s, l.plugin);
	policy_explain(s->policy, a, main_line, stdout);
	main_flush();
	if (g->probe)
		probe(s, w);
	agree = !g->dns || check_keys(s, w);
	warn_folders(s, a);
	settings_free(s);
	return main_printed() && agree ? EXIT_GOOD : EXIT_MISTAKES;
}
