/*
 * main_explain -- `postern explain': what it was given becomes a story, which is told on standard output.
 *
 * Invariant: what cannot be a story is wrong usage, said before anything is told.
 */
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/main_own.h"
#include "proxy/story.h"

#define MESSAGE_MAX (64u << 20) /* octets of a message that it reads */

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
	if (story_tell(s, w, x, main_colour(STDOUT_FILENO), main_line, stdout, &why))
		return main_printed() ? EXIT_GOOD : EXIT_MISTAKES;
	fprintf(stderr, "postern: the story has no end: %s\n", why);
	return EXIT_MISTAKES;
}

int
main_explain(const struct given *g, struct arena *a)
{
	struct world    *w = world_real(-1);
	struct story     x = { 0 };
	struct settings *s;
	int              rc;

	if (g->client == NULL)
		return main_usage("explain needs --client", "");
	if (!addr_parse(strv_z(g->client), &x.client))
		return main_usage("--client needs an IP address, not ", g->client);
	if (g->rcpt.n == 0)
		return main_usage("explain needs --rcpt", "");
	s = main_read(a, w, g->file);
	if (s == NULL)
		return EXIT_MISTAKES;
	rc = tell(s, w, g, a, &x);
	settings_free(s);
	return rc;
}
