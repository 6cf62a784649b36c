/*
 * main_load -- the configuration as commands read it: its mistakes, and those of tests and plugins, on standard error.
 *
 * Invariant: settings that are given back have no mistake.
 */
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/main_own.h"
#include "proxy/plugincheck.h"
#include "proxy/trial.h"

#define PATIENCE_MS 700 /* tests that take no longer are not counted aloud */

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

struct settings *
main_load(struct arena *a, struct world *w, const char *file, struct loaded *out)
{
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, w, file, &d);
	struct patience  p = { .w = w, .since = w->now(w) };

	out->passed = d.errors == 0 ? trial_run_all(s, w, &d, progress, &p) : 0;
	out->plugin = d.errors == 0 ? plugincheck_run(s, w, &d) : NULL;
	diag_print(&d, main_colour(STDERR_FILENO), main_line, stderr);
	if (d.errors == 0)
		return s;
	fprintf(stderr, "%s: %u mistake%s\n", file, d.errors, d.errors == 1 ? "" : "s");
	settings_free(s);
	return NULL;
}

struct settings *
main_read(struct arena *a, struct world *w, const char *file)
{
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, w, file, &d);

	if (d.errors == 0)
		return s;
	diag_print(&d, main_colour(STDERR_FILENO), main_line, stderr);
	settings_free(s);
	return NULL;
}
