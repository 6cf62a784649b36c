/*
 * t_keeper -- back-off, command line, output, CPU and restart of the processes of plugins.
 */
#include "tests/unit/t.h"

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/world.h"
#include "proxy/keeper.h"
#include "proxy/keeper_cpu.h"
#include "proxy/keeper_host.h"
#include "proxy/keeper_said.h"
#include "proxy/spawn.h"

static void
backoffs(void)
{
	static const struct {
		uint64_t last, lived, want;
	} row[] = {
		{ 0, 0, 100 }, /* the first death */
		{ 0, 86400000, 100 }, { 100, 0, 200 }, { 100, 999, 200 },
		{ 100, 1000, 100 }, /* it lived ten times as long */
		{ 200, 1999, 400 }, { 200, 2000, 100 }, { 12800, 0, 25600 },
		{ 25600, 0, 30000 }, /* the ceiling */
		{ 30000, 0, 30000 }, { 30000, 59999, 30000 },
		{ 30000, 60000, 100 }, /* a minute is enough for all */
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_EQ_NUM(host_backoff(row[i].last, row[i].lived), row[i].want);
}

/* A process that is full, and the wait of the next one. */
static void
waits_for_a_successor(void)
{
	static const struct {
		uint64_t last, lived, want;
	} row[] = {
		{ 0, 0, 10000 },
		{ 0, 86400000, 10000 },
		{ 10000, 0, 20000 },
		{ 10000, 59999, 20000 },
		{ 10000, 60000, 10000 }, /* it stayed long without it */
		{ 320000, 0, 600000 },   /* the ceiling */
		{ 600000, 0, 600000 },
		{ 600000, 60000, 10000 },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_EQ_NUM(full_wait(row[i].last, row[i].lived), row[i].want);
}

static void
words_are(const char *const *v, const char *want)
{
	char   text[512];
	size_t n = 0;

	text[0] = '\0';
	for (; *v != NULL; v++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "[%s]", *v);
	T_EQ_STR(text, want);
}

static void
command_lines(void)
{
	static const char *const args[] = { "--check", "", "two words", NULL };
	struct arena            *a = arena_new(1024, 0);
	struct milter_conf       m = {
		      .name = SV("count"), .file = "-x.so", .args = args, .n_args = 3, .timeout = 60000
	};

	words_are(spawn_words(a, "p", &m, "/d/0"),
	    "[p][--name][count][--socket][unix:/d/0][--channel][3][--listening][4][--timeout][60000][--blame][5][--][-x.so][--check][][two words]");
	m.n_args = 0;
	words_are(spawn_words(a, "p", &m, NULL), "[p][--name][count][--check][--][-x.so]");
	arena_free(a);
}

/* ---- CPU ------------------------------------------------------------------------------------- */

static void
cpu_of_a_thread(void)
{
	struct cpu_thread t = { .tid = 1, .ticks = 500, .waits = 7 };
	uint64_t          ticks = 500;

	for (int i = 1; i < CPU_ROUNDS; i++)
		T_CHECK(!cpu_round(&t, ticks += 1000, 7, 100));
	T_CHECK(cpu_round(&t, ticks += 1000, 7, 100));
	/* One wait, or hardly any work, and it is another one's turn. */
	T_CHECK(!cpu_round(&t, ticks += 1000, 8, 100));
	for (int i = 1; i < CPU_ROUNDS; i++)
		T_CHECK(!cpu_round(&t, ticks += 100, 8, 100));
	T_CHECK(!cpu_round(&t, ticks += 99, 8, 100));
	for (int i = 1; i < CPU_ROUNDS; i++)
		T_CHECK(!cpu_round(&t, ticks += 100, 8, 100));
	T_CHECK(cpu_round(&t, ticks + 100, 8, 100));
}

/* Of a process that is not there nothing is known, and nothing happens. */
static void
cpu_of_nobody(void)
{
	static struct cpu_watch c;

	T_CHECK(!cpu_look(&c, 0x3fffffff));
	T_CHECK(!cpu_look(&c, getpid()));
	T_CHECK(c.n > 0);
	T_EQ_NUM(c.v[0].tid, getpid());
}

/* ---- output ---------------------------------------------------------------------------------- */

static char     logged[65536];
static size_t   n_logged;
static uint64_t now = 1000;

static void
take_log(struct world *w, struct strv line)
{
	(void)w;
	n_logged += (size_t)snprintf(
	    logged + n_logged, sizeof(logged) - n_logged, "%.*s\n", (int)line.n, line.p);
}

static uint64_t
clock_of(struct world *w)
{
	(void)w;
	return now;
}

static unsigned
lines(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_logged; i++)
		n += logged[i] == '\n';
	return n;
}

static void
output(void)
{
	struct world w = { .log = take_log, .now = clock_of };
	struct said  s;
	int          p[2];
	char         text[SAID_LINE * 2];

	T_CHECK(pipe(p) == 0);
	said_init(&s, p[0]);
	T_CHECK(write(p[1], "one\n\ntw", 7) == 7);
	said_take(&s, &w, SV("x"));
	T_EQ_STR(logged, "master plugin-says name=x text=one\n");
	/* A line is cut, an escape is none any more. */
	memset(text, 'a', sizeof(text));
	text[0] = '\033';
	text[sizeof(text) - 1] = '\n';
	T_CHECK(
	    write(p[1], "o\n", 2) == 2 && write(p[1], text, sizeof(text)) == (ssize_t)sizeof(text));
	said_take(&s, &w, SV("x"));
	T_EQ_NUM(lines(), 3);
	T_CHECK(strstr(logged, "text=two\n") != NULL && strstr(logged, "\"\\x1baaa") != NULL);
	T_CHECK(strchr(logged, '\033') == NULL);
	T_EQ_NUM(s.n_last, SAID_LINE);
	/* Too much is not listened to, until its time is over. */
	for (int i = 0; i < 2 * SAID_LINES; i++)
		T_CHECK(write(p[1], "more\n", 5) == 5);
	said_take(&s, &w, SV("x"));
	T_EQ_NUM(lines(), SAID_LINES);
	T_EQ_NUM(said_poll(&s), -1);
	T_EQ_NUM(said_next(&s), 1000 + SAID_MS);
	now += SAID_MS;
	said_due(&s, &w, SV("x"));
	T_EQ_NUM(said_poll(&s), p[0]);
	T_CHECK(strstr(logged, "it says too much") != NULL);
	/* The end: what has no newline is a line, too. */
	T_CHECK(write(p[1], "last words", 10) == 10);
	close(p[1]);
	said_end(&s, &w, SV("x"));
	T_CHECK(strstr(logged, "text=\"last words\"\n") != NULL);
	T_EQ_NUM(said_poll(&s), -1);
	T_EQ_NUM(s.n_last, 10);
}

/* ---- a process that dies --------------------------------------------------------------------- */

static uint64_t ahead; /* of the machine's clock */

static uint64_t
real_clock(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + ahead;
}

/* What the keeper starts is what lies beside this program. */
static void
put_program(char *path, size_t room, const char *script)
{
	char    self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	FILE   *f;

	while (n > 0 && self[n - 1] != '/')
		n--;
	T_CHECK(n > 0);
	snprintf(path, room, "%.*spostern-plugind", (int)n, self);
	f = fopen(path, "w");
	T_CHECK(f != NULL && fputs(script, f) >= 0 && fclose(f) == 0 && chmod(path, 0755) == 0);
}

static void
is_started_again(void)
{
	static struct milter_conf m = { .name = SV("x"), .home = HOME_ISOLATED, .file = "x.so" };
	static struct settings    s = { .milters = { .v = &m, .n = 1 } };
	struct world              w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena             *a = arena_new(1024, 0);
	struct keeper            *k = keeper_new(&w);
	char                      path[512], sock[512] = "";
	const char               *why = NULL;
	int                       status;

	/* It serves for a moment. */
	put_program(path, sizeof(path), "#!/bin/sh\nprintf R >&3\nsleep 0.1\nexit 3\n");
	T_CHECK(keeper_want(k, &s, 1, a, &why));
	T_CHECK(why == NULL || strstr(why, "plugind") == NULL);
	T_CHECK(m.at.path != NULL && access(m.at.path, F_OK) == 0);
	/* It does not live long enough for a clean record: each wait is twice the one before. */
	for (uint64_t wait = 100; wait <= 400; wait *= 2) {
		pid_t    pid = waitpid(-1, &status, 0);
		uint64_t before = real_clock(&w);

		T_CHECK(pid > 0 && keeper_ended(k, pid, status));
		T_CHECK(!keeper_ended(k, pid, status));
		T_CHECK(keeper_next(k) >= before + wait && keeper_next(k) <= real_clock(&w) + wait);
		T_EQ_NUM(access(m.at.path, F_OK), 0); /* clients wait there */
		keeper_due(k);
		T_EQ_NUM(waitpid(-1, &status, WNOHANG), -1); /* it is not time yet */
		while (real_clock(&w) < keeper_next(k))
			(void)poll(NULL, 0, 10);
		keeper_due(k);
	}
	/* The address goes with the keeper. */
	T_CHECK(snprintf(sock, sizeof(sock), "%s", m.at.path) > 0 && access(sock, F_OK) == 0);
	keeper_free(k);
	T_CHECK(access(sock, F_OK) != 0);
	unlink(path);
	arena_free(a);
}

/* ---- a process whose memory comes to an end -------------------------------------------------- */

static struct milter_conf full = { .name = SV("x"), .home = HOME_ISOLATED, .file = "x.so" };

/* Rounds of the master's loop, until that is in the log. */
static bool
comes(struct keeper *k, const char *line)
{
	static struct pollfd p[KEEPER_FDS];
	int                  status;
	pid_t                pid;

	for (int i = 0; i < 500 && strstr(logged, line) == NULL; i++) {
		unsigned n = keeper_poll(k, p);

		if (poll(p, n, 10) > 0)
			keeper_reports(k, p, n);
		pid = waitpid(-1, &status, WNOHANG);
		T_CHECK(pid <= 0 || keeper_ended(k, pid, status));
		keeper_due(k);
	}
	return strstr(logged, line) != NULL;
}

/* Half a second of them. */
static void
goes_on(struct keeper *k)
{
	static struct pollfd p[KEEPER_FDS];

	for (int i = 0; i < 50; i++) {
		unsigned n = keeper_poll(k, p);

		if (poll(p, n, 10) > 0)
			keeper_reports(k, p, n);
		keeper_due(k);
	}
}

static unsigned
times(const char *what)
{
	unsigned n = 0;

	for (const char *at = logged; (at = strstr(at, what)) != NULL; at++)
		n++;
	return n;
}

/*
 * script: of the first process, behind the word that it is full, but when it was there for 10 s; those that follow serve
 * until they are to end.
 */
static struct keeper *
full_one(struct world *w, struct arena *a, const char *script, char *path, size_t room)
{
	const uint64_t         until = real_clock(w) + 10000;
	static struct settings s = { .milters = { .v = &full, .n = 1 } };
	struct keeper         *k = keeper_new(w);
	const char            *why = NULL;
	char                   text[512], first[520];

	snprintf(text, sizeof(text),
	    "#!/bin/sh\nulimit -v 4194304\nif [ -e $0.1 ]; then sleep 0.1; . $0.1; printf R >&3; read -r x <&3; exit 0; fi\n"
	    ": >$0.1\nprintf R >&3\nsleep 0.1\nprintf MM >&3\n%s\n",
	    script);
	put_program(path, room, text);
	snprintf(first, sizeof(first), "%s.1", path);
	(void)unlink(first);
	memset(logged, 0, sizeof(logged));
	n_logged = 0;
	T_CHECK(keeper_want(k, &s, 1, a, &why));
	T_CHECK(comes(k, "of memory"));
	T_CHECK(keeper_next(k) >= until || times("plugin-death") > 0);
	T_EQ_NUM(times("plugin-start"), 1);
	ahead += 10000;
	return k;
}

/* The socket's path lives no longer than the keeper. */
static void
ends(struct keeper *k, const char *path)
{
	char first[520], at[512];

	snprintf(at, sizeof(at), "%s", full.at.path);
	keeper_free(k);
	T_CHECK(access(at, F_OK) != 0);
	(void)unlink(path);
	snprintf(first, sizeof(first), "%s.1", path);
	(void)unlink(first);
}

/* It is told to take no more sessions when the other one serves, and ends by itself: no death, no wait, no gap. */
static void
has_a_successor(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(
	    &w, a, "x=$(head -c1 <&3); echo \"heard $x\"; sleep 0.2; exit 0", path, sizeof(path));

	T_CHECK(comes(k, "text=\"heard H\""));
	T_EQ_NUM(times("plugin-ready"), 2);
	T_EQ_NUM(times("plugin-end"), 0);
	T_CHECK(comes(k, "plugin-end"));
	T_CHECK(strstr(logged, "MiB of memory, of 4096 at most") != NULL);
	T_EQ_NUM(times(" warning "), 1);
	T_EQ_NUM(times("plugin-start"), 2);
	T_EQ_NUM(times("plugin-death"), 0);
	T_EQ_NUM(access(full.at.path, F_OK), 0);
	ends(k, path);
	arena_free(a);
}

/* One that dies meanwhile is followed by none: there is one. */
static void
dies_with_a_successor(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(&w, a, "x=$(head -c1 <&3); exit 4", path, sizeof(path));

	T_CHECK(comes(k, "plugin-death"));
	T_CHECK(strstr(logged, "exit=4") != NULL && strstr(logged, "again-ms") == NULL);
	T_EQ_NUM(keeper_next(k) > real_clock(&w) + 5000, 1);
	T_EQ_NUM(times("plugin-start"), 2);
	ends(k, path);
	arena_free(a);
}

/* Its successor is full before it has ended: that end is the last that the master hears of. */
static void
both_are_full(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(&w, a,
	    "echo 'printf M >&3' >$0.1; x=$(head -c1 <&3); sleep 0.5; exit 0", path, sizeof(path));

	T_CHECK(comes(k, "too low"));
	ahead += 20000;
	keeper_due(k);
	T_CHECK(keeper_next(k) > real_clock(&w)); /* two are enough */
	T_CHECK(comes(k, "plugin-end"));
	T_EQ_NUM(times(" warning "), 2);
	T_EQ_NUM(times("plugin-start"), 3);
	ends(k, path);
	arena_free(a);
}

/* What it needs is above its limit: each one is full at once, and lives for longer; it is told once. */
static void
is_always_full(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(&w, a,
	    "echo 'printf MR >&3; x=$(head -c1 <&3); exit 0' >$0.1; x=$(head -c1 <&3); exit 0",
	    path, sizeof(path));
	uint64_t       until;

	T_CHECK(comes(k, "soon after each start: its limit is too low for it"));
	for (uint64_t wait = 20000; wait <= 80000; wait *= 2) {
		T_CHECK(comes(k, "plugin-end"));
		until = real_clock(&w) + wait - 2000;
		n_logged = 0;
		memset(logged, 0, sizeof(logged));
		goes_on(k);
		T_EQ_NUM(times("plugin-start"), 0);
		T_EQ_NUM(times(" warning "), 0);
		while (real_clock(&w) < until) {
			T_CHECK(keeper_next(k) > real_clock(&w));
			T_CHECK(keeper_next(k) <= real_clock(&w) + CPU_EVERY_MS);
			ahead += 2000;
			keeper_due(k);
			T_EQ_NUM(times("plugin-start"), 0);
		}
		T_CHECK(keeper_next(k) <= until + 2000);
		ahead += 2000;
	}
	ends(k, path);
	arena_free(a);
}

/* Its successors die: clients are still its own, until it ends, too. */
static void
has_none_that_lives(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512], end[520];
	struct keeper *k = full_one(&w, a,
	    "echo 'exit 3' >$0.1; until [ -e $0.2 ]; do sleep 0.05; done; exit 0", path,
	    sizeof(path));

	T_CHECK(comes(k, "again-ms=1600"));
	T_EQ_NUM(access(full.at.path, F_OK), 0);
	snprintf(end, sizeof(end), "%s.2", path);
	fclose(fopen(end, "w"));
	T_CHECK(comes(k, "plugin-end"));
	T_CHECK(access(full.at.path, F_OK) != 0);
	ends(k, path);
	(void)unlink(end);
	arena_free(a);
}

/* Each is at its limit soon: clients wait for the next one, and are never refused. */
static void
leaks_fast(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(
	    &w, a, "echo 'printf R >&3; sleep 0.05; exit 4' >$0.1; exit 4", path, sizeof(path));

	T_CHECK(comes(k, "again-ms=800"));
	T_CHECK(comes(k, "again-ms=1000"));
	T_EQ_NUM(access(full.at.path, F_OK), 0);
	ends(k, path);
	arena_free(a);
}

/* The configuration goes while both are there. */
static void
both_end(void)
{
	struct world   w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena  *a = arena_new(1024, 0);
	char           path[512];
	struct keeper *k = full_one(
	    &w, a, "x=$(head -c1 <&3); echo heard; read -r x <&3; exit 0", path, sizeof(path));

	T_CHECK(comes(k, "text=heard"));
	ends(k, path);
	T_EQ_NUM(times("plugin-end"), 2);
	arena_free(a);
}

/* One in its back-off has nobody to be killed: the master would be woken for it for as long as another one lingers. */
static void
nobody_is_not_killed(void)
{
	struct milter_conf m = { .name = SV("x"), .home = HOME_ISOLATED, .file = "x.so" };
	struct world       w = { .log = take_log, .now = real_clock, .wall = real_clock };
	struct arena      *a = arena_new(1024, 0);
	struct host        h = { .start_at = 0 };

	host_init(&h, a, &m, "/nowhere", "p", NULL);
	h.start_at = real_clock(&w) + 100;
	host_end(&h, &w);
	T_EQ_NUM(host_next(&h), UINT64_MAX);
	host_fini(&h);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(backoffs);
	T_RUN(waits_for_a_successor);
	T_RUN(command_lines);
	T_RUN(cpu_of_a_thread);
	T_RUN(cpu_of_nobody);
	T_RUN(output);
	T_RUN(is_started_again);
	T_RUN(has_a_successor);
	T_RUN(dies_with_a_successor);
	T_RUN(both_end);
	T_RUN(both_are_full);
	T_RUN(is_always_full);
	T_RUN(has_none_that_lives);
	T_RUN(leaks_fast);
	T_RUN(nobody_is_not_killed);
	return t_end();
}
