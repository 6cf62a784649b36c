/*
 * main_own -- what main.c and the main_*.c share; nobody else includes it.
 */
#ifndef PROXY_MAIN_OWN_H
#define PROXY_MAIN_OWN_H

#include "proxy/options.h"
#include "proxy/settings.h"

enum { EXIT_GOOD = 0, EXIT_MISTAKES = 1, EXIT_USAGE = 2 };

/* What any command may be given. */
struct given {
	const char         *file, *client, *helo, *mail, *message, *listener, *auth;
	bool                tls, probe, dns;
	struct option_texts rcpt, id;
};

/* --- main.c --- */

/* A line of text to a FILE: what `emit' is for whoever prints. */
void main_line(struct strv line, void *stream);
/* What was printed goes out now. */
void main_flush(void);
/*
 * Whether all of it went through, else it says why: a buffer that could not be written is forgotten by the next fflush,
 * so that one is main_flush.
 */
bool main_printed(void);
/* Is fd a terminal whose user takes colours? */
bool main_colour(int fd);
/* Says what is wrong (what, arg) and what would be right, on standard error: EXIT_USAGE. */
int main_usage(const char *what, const char *arg);

/* --- main_load.c --- */

struct loaded {
	unsigned           passed;      /* tests */
	const struct strv *plugin;      /* plugincheck_run */
};

/*
 * All mistakes and warnings of a configuration, its tests' and plugins' too, on standard error.  NULL: it has mistakes.
 * The settings are the caller's, for settings_free; what *out has is in a.
 */
struct settings *main_load(struct arena *a, struct world *w, const char *file, struct loaded *out);
/* The same, but neither tests nor plugins are tried, and of one that is good nothing is said: warnings are for `check`. */
struct settings *main_read(struct arena *a, struct world *w, const char *file);

/* --- commands with a file of their own: the exit status --- */

int main_check(const struct given *g, struct arena *a);
int main_explain(const struct given *g, struct arena *a);

#endif
