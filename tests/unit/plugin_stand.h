/*
 * plugin_stand -- an in-process plugin, a session of it in a fiber, and the hook that plays its callbacks.  Header-only.
 */
#ifndef TESTS_UNIT_PLUGIN_STAND_H
#define TESTS_UNIT_PLUGIN_STAND_H

#include <limits.h>
#include <unistd.h>

#include "filters/milter_end.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/plugin/hook.h"
#include "tests/unit/t.h"

/* The world: a clock that callbacks move, a log that is kept. */
static uint64_t   clock_ms = 1000;
static struct buf logged = { .max = 65536 };

static uint64_t
stand_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static void
stand_log(struct world *w, struct strv line)
{
	(void)w;
	buf_add(&logged, line);
	buf_addc(&logged, '\n');
}

static struct world  stand_world = { .now = stand_now, .log = stand_log };
static struct arena *arena;

static struct buf story = { .max = 1 << 20 }; /* what was called, with what: "helo(a.example) " */
/* Of the callback of that name: what it does, and returns. NULL: all CONTINUE. */
static int (*play)(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n);

/* Callbacks by name, or that one alone; with its return value, and 0 for the others. */
static const char *scene_of;
static int         scene_returns;

static void
tell_argv(char *const *argv)
{
	for (unsigned i = 0; argv[i] != NULL; i++)
		buf_printf(&story, "%s%s", i > 0 ? " " : "", argv[i]);
}

int
smfi_test(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	buf_printf(&story, "%s(", which);
	if (strncmp(which, "env", 3) == 0 || strcmp(which, "args") == 0)
		tell_argv((char *const *)a);
	else if (strcmp(which, "body") == 0)
		buf_printf(&story, "%.*s", (int)n, (const char *)a);
	else if (strcmp(which, "negotiate") != 0 && a != NULL)
		buf_printf(&story, "%s", (const char *)a);
	if (strcmp(which, "header") == 0)
		buf_printf(&story, ":%s", (const char *)b);
	buf_printf(&story, ") ");
	if (play != NULL)
		return play(which, ctx, a, b, n);
	return scene_of != NULL && strcmp(scene_of, which) == 0 ? scene_returns : SMFIS_CONTINUE;
}

static struct milter_conf conf;
static const char        *no_args[1];

/* A path beside this program's object files. */
static const char *
built(const char *what)
{
	static char path[PATH_MAX + 64];
	ssize_t     n = readlink("/proc/self/exe", path, PATH_MAX - 1);

	path[n < 0 ? 0 : n] = '\0';
	for (unsigned up = 0; up < 3 && strrchr(path, '/') != NULL; up++) /* obj/tests/unit/t_plugin */
		*strrchr(path, '/') = '\0';
	snprintf(path + strlen(path), 64, "/%s.so", what);
	return path;
}

T_UNUSED static void
configure(const char *file, const char *const *args)
{
	unsigned n = 0;

	if (args == NULL)
		args = no_args;
	while (args[n] != NULL)
		n++;
	conf = (struct milter_conf){ .name = SV("p"),
		.home = HOME_INSIDE,
		.file = arena_z(arena, strv_z(built(file))),
		.args = args,
		.n_args = n };
}

static struct milter_end  *end;
static struct milter_offer offer = { .version = 6, .actions = 0x1ff, .protocol = 0x1fffff }, agreed;
static enum milter_rc      open_rc;
static struct strv         why;

T_UNUSED static bool
open_end(void)
{
	end = NULL;
	open_rc = milter_plugin_end.open(arena, &conf, &offer, &agreed, 0, &end, &why);
	return open_rc == MILTER_OK;
}

T_UNUSED static void
close_end(void)
{
	if (end != NULL)
		end->kind->close(end, true);
	end = NULL;
}

/* Tells it and gives the answers: "ADD_HEADER CONTINUE", or "(why)". */
T_UNUSED static const char *
tell_macros(const struct milter_event *ev, const struct milter_macros *m)
{
	static char          said[4096];
	struct milter_answer answer;
	enum milter_rc       rc = end->kind->tell(end, ev, m, true, 0);
	size_t               n = 0;

	said[0] = '\0';
	do {
		if (rc == MILTER_OK)
			rc = end->kind->answer(end, &answer, 0);
		n += (size_t)snprintf(said + n, sizeof(said) - n, "%s%s%s%s", n > 0 ? " " : "",
		    rc == MILTER_OK ? "" : "(", rc == MILTER_OK ? milter_answer_name(answer.kind) : end->why,
		    rc == MILTER_OK ? "" : ")");
	} while (n < sizeof(said) - 100 && rc == MILTER_OK && !milter_answer_final(answer.kind));
	return said;
}

T_UNUSED static const char *
tell(const struct milter_event *ev)
{
	return tell_macros(ev, NULL);
}

T_UNUSED static struct milter_event
event(enum milter_command cmd, const char *text, const char *value)
{
	return (struct milter_event){ .cmd = cmd, .text = strv_z(text), .value = strv_z(value) };
}

/* Of the alphabet of the protocol: C H M R T L N B E U A, each with some text of its own. */
T_UNUSED static const char *
tell_letter(char letter)
{
	struct milter_event e = { .cmd = milter_command_of(letter), .text = SV("<a@a.example>"), .family = 'U' };

	if (letter == 'E')
		e.text = SV("");
	if (letter == 'A') {
		T_EQ_NUM(end->kind->tell(end, &e, NULL, false, 0), MILTER_OK);
		return "";
	}
	return tell(&e);
}

static void
run_one(void *fn)
{
	(*(void (**)(void))fn)();
}

/* All of it in a fiber, as in a worker. */
T_UNUSED static void
in_a_fiber(void (*fn)(void))
{
	struct loop       *l = loop_new(&stand_world);
	struct fiber_pool *pool = fiber_pool_new(l, 262144, 1, 0);

	arena = arena_new(4096, 0);
	play = NULL;
	scene_of = NULL;
	buf_clear(&story);
	buf_clear(&logged);
	fiber_start(pool, "test", run_one, &fn);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	plugin_unload_all();
	arena_free(arena);
	fiber_pool_free(pool);
	loop_free(l);
}

#endif
