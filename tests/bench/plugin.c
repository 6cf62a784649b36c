/*
 * plugin -- what a filter costs a message inside the worker, and as a milter of its own.
 *
 *     make bench-plugin        or  obj/tests/bench/plugin [MESSAGES]
 *
 * One source (count-headers.c), two homes, told of the same message of 20 fields by the two ends that a session
 * has for them: milter_plugin_end, and milter_socket_end over a unix socket to the same filter linked with
 * libmilter.  CPU time, user and system: of this process, and for the daemon of both processes.  The best
 * of some rounds, which alternate.  And what the plugin adds to the whole way of a message of 10 KB through
 * the judge: the median of those rounds' differences.
 */
#include "config.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "filters/auth.h"
#include "filters/milter_end.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/judge.h"

#define ROUNDS 15
#define FIELDS 20
#define OCTETS 10240

static unsigned            messages = 10000;
static struct arena       *arena;
static struct milter_conf  inside, daemon_conf;
static struct milter_event field[FIELDS];
static pid_t               pid;
static char                where[64];

/* ---- time ---- */

static double
cpu_of(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) != 0 ? 0 : (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double
cpu_us(bool both)
{
	clockid_t other;
	double    us = cpu_of(CLOCK_PROCESS_CPUTIME_ID);

	if (both && clock_getcpuclockid(pid, &other) == 0)
		us += cpu_of(other);
	return us;
}

static void
fail(const char *what, struct strv why)
{
	fprintf(stderr, "bench: %s: %.*s\n", what, (int)why.n, why.p);
	if (pid > 0)
		kill(pid, SIGTERM);
	_exit(1);
}

/* ---- a message ---- */

/* What a message that came over two servers has: eight of its fields are folded. */
static const struct {
	const char *name, *value;
} fields[FIELDS] = {
	{ "Return-Path", "<jane@example.org>" },
	{ "Delivered-To", "joe@ours.example" },
	{ "Received",
	    "from out.example.org (out.example.org [192.0.2.9])\n\tby mx.ours.example with ESMTPS id 4Q" },
	{ "Received",
	    "from desk.example.org (unknown [10.0.0.5])\n\tby out.example.org with ESMTPSA id 4QxYz67" },
	{ "DKIM-Signature",
	    "v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\n\ts=s1; t=1699264799;\n\tbh=47D" },
	{ "Authentication-Results",
	    "out.example.org;\n\tdkim=pass header.d=example.org;\n\tspf=pass" },
	{ "Date", "Mon, 6 Nov 2023 09:59:58 +0000" },
	{ "From", "Jane Doe <jane@example.org>" },
	{ "To", "Joe Public <joe@ours.example>" },
	{ "Cc", "The Others <others@ours.example>,\n\tStill More <more@ours.example>" },
	{ "Message-ID", "<20231106095958.12345@desk.example.org>" },
	{ "In-Reply-To", "<20231105110000.54321@ours.example>" },
	{ "References",
	    "<20231104100000.11111@ours.example>\n\t<20231105110000.54321@ours.example>" },
	{ "Subject", "Re: the quick brown fox" },
	{ "MIME-Version", "1.0" },
	{ "Content-Type", "text/plain; charset=utf-8;\n\tformat=flowed" },
	{ "Content-Transfer-Encoding", "8bit" },
	{ "User-Agent", "Mail/1.0" },
	{ "X-Mailer", "Mail/1.0" },
	{ "List-Id", "Foxes\n\t<foxes.example.org>" },
};

static void
make_message(void)
{
	for (unsigned i = 0; i < FIELDS; i++)
		field[i] = (struct milter_event){ .cmd = MILTER_CMD_HEADER,
			.text = strv_z(fields[i].name),
			.value = strv_z(fields[i].value) };
}

static void
must(struct milter_end *e, enum milter_rc rc, const struct milter_answer *a)
{
	if (rc != MILTER_OK)
		fail(milter_rc_name(rc), strv_z(e->why));
	if (a != NULL && a->kind != MILTER_ANS_CONTINUE)
		fail("not what was expected", strv_z(milter_answer_name(a->kind)));
}

static void
tell(struct milter_end *e, const struct milter_event *ev, const struct milter_macros *m,
    uint64_t until)
{
	struct milter_answer a;

	must(e, e->kind->tell(e, ev, m, true, until), NULL);
	must(e, e->kind->answer(e, &a, until), &a);
}

/* us of a message, over all of them */
static double
tell_all(const struct milter_conf *c, unsigned n)
{
	static const struct milter_macro macro[] = { { { "i", 1 }, { "4QxYz12345", 10 } } };
	const struct milter_macros       macros = { macro, 1 };
	struct milter_offer offer = { .version = 6, .actions = 0x1ff, .protocol = 0x1fffff },
			    agreed;
	struct milter_event eom = { .cmd = MILTER_CMD_EOM, .text = SV("") };
	struct milter_end  *e;
	struct strv         why;
	uint64_t            until = loop_now(fiber_loop()) + 600000;
	double              began;

	if (c->kind->open(arena, c, &offer, &agreed, until, &e, &why) != MILTER_OK)
		fail("open", why);
	began = cpu_us(c == &daemon_conf);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned f = 0; f < FIELDS; f++)
			tell(e, &field[f], NULL, until);
		tell(e, &eom, &macros, until);
	}
	began = cpu_us(c == &daemon_conf) - began;
	e->kind->close(e, true);
	return began / n;
}

/* ---- the whole way: a judge with that plugin, and one without ---- */

static struct strv   text; /* of the message: 20 fields, 10 KB */
static struct judge *judges[2];

static void
make_text(void)
{
	static const char words[] =
	    "the quick brown fox jumps over the lazy dog, and back again; it is late\r\n";
	struct buf b = { .max = 65536 };

	for (unsigned i = 0; i < FIELDS; i++) {
		buf_printf(&b, "%s: ", fields[i].name);
		for (const char *p = fields[i].value; *p != '\0'; p++)
			buf_printf(&b, "%s%c", *p == '\n' ? "\r" : "", *p);
		buf_printf(&b, "\r\n");
	}
	buf_printf(&b, "\r\n");
	while (b.n < OCTETS)
		buf_printf(&b, "%s", words);
	text = arena_dup(arena, buf_view(&b));
	buf_fini(&b);
}

static void
make_judges(void)
{
	static const struct auth_conf auth;
	static struct milters_conf    one, none;

	one = (struct milters_conf){ .v = &inside, .n = 1, .hostname = SV("mx.example") };
	judges[0] = judge_new(arena, &(struct judge_conf){ .auth = &auth, .milters = &none });
	judges[1] = judge_new(arena, &(struct judge_conf){ .auth = &auth, .milters = &one });
}

static void
judge_one(struct hearing *h, struct arena *a)
{
	struct transaction *tx = judge_begin(h, a);
	struct verdict      v;
	struct strv         rest;
	const char         *why;

	path_parse_plain(a, SV("jane@example.org"), &tx->env.from, &why);
	judge_stage(h, STAGE_MAIL, &v);
	path_parse_plain(a, SV("joe@ours.example"), &envelope_add(a, &tx->env)->to, &why);
	judge_stage(h, STAGE_DATA, &v);
	message_begin(&tx->msg, a, NULL, 65536);
	message_feed(&tx->msg, text, &rest);
	judge_headers(h);
	judge_body(h, rest);
	message_end(&tx->msg, &rest);
	tx->msg.complete = true;
	judge_message(h, &v);
	if (tx->advice != NULL && (tx->advice[0].failed || tx->advice[0].say.kind != VERDICT_NONE))
		fail("the judge", SV("the plugin failed, or refuses"));
	judge_end(h);
	arena_reset(a);
}

/* us of a message, in sessions of 100 */
static double
judge_all(unsigned which, unsigned n)
{
	struct client  client = { .helo = SV("out.example.org"), .esmtp = true };
	struct arena  *session = arena_new(65536, 0), *tx = arena_new(65536, 0);
	struct verdict v;
	double         began = cpu_us(false);

	for (unsigned i = 0; i < n; i += 100) {
		struct hearing *h = judge_open(judges[which], session, &client);

		judge_stage(h, STAGE_CONNECT, &v);
		judge_stage(h, STAGE_HELO, &v);
		for (unsigned k = 0; k < 100; k++)
			judge_one(h, tx);
		judge_close(h);
		arena_reset(session);
	}
	began = cpu_us(false) - began;
	arena_free(tx);
	arena_free(session);
	return began / n;
}

/* ---- the measure ---- */

static int
by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
measure(void *arg)
{
	double best[2] = { 1e9, 1e9 }, added[ROUNDS], without = 1e9, us, with;

	(void)arg;
	for (unsigned i = 0; i < ROUNDS; i++) {
		us = tell_all(&inside, messages);
		best[0] = us < best[0] ? us : best[0];
		us = tell_all(&daemon_conf, messages / 10);
		best[1] = us < best[1] ? us : best[1];
		us = judge_all(0, messages);
		with = judge_all(1, messages);
		without = us < without ? us : without;
		added[i] = with - us;
	}
	qsort(added, ROUNDS, sizeof(added[0]), by_value);
	printf("in the worker       %7.2f us a message of %d fields\n", best[0], FIELDS);
	printf("a milter of its own %7.2f us, both processes\n", best[1]);
	printf("                    %7.3f of it in the worker\n", best[0] / best[1]);
	printf(
	    "judged, whole       %7.2f us a message of %zu octets without the plugin; with it %.2f more "
	    "(%.2f to %.2f)\n",
	    without, text.n, added[ROUNDS / 2], added[0], added[ROUNDS - 1]);
	loop_stop(fiber_loop());
}

/* ---- the two homes ---- */

static const char *
built(const char *end)
{
	static char path[PATH_MAX];
	ssize_t     n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	char       *slash;

	path[n < 0 ? 0 : n] = '\0';
	slash = strrchr(path, '/');
	snprintf(slash == NULL ? path : slash, 32, "/count-headers%s", end);
	return arena_z(arena, strv_z(path));
}

static void
start_daemon(void)
{
	char        at[80];
	const char *file = built("");

	snprintf(where, sizeof(where), "/tmp/bench-plugin.%ld", (long)getpid());
	snprintf(at, sizeof(at), "unix:%s", where);
	pid = fork();
	if (pid == 0) {
		execl(file, file, "-s", at, (char *)NULL);
		_exit(127);
	}
	for (unsigned tries = 0; tries < 200 && access(where, F_OK) != 0; tries++)
		usleep(10000);
}

int
main(int argc, char **argv)
{
	static const char *no_args[1];
	struct world      *w;
	struct loop       *l;
	struct fiber_pool *pool;

	if (argc > 1)
		messages = (unsigned)strtoul(argv[1], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	arena = arena_new(65536, 0);
	make_message();
	start_daemon();
	inside = (struct milter_conf){ .name = SV("inside"),
		.home = HOME_INSIDE,
		.file = built(".so"),
		.args = no_args,
		.kind = &milter_plugin_end };
	daemon_conf = (struct milter_conf){ .name = SV("daemon"),
		.home = HOME_DAEMON,
		.at = { .addr = { .family = ADDR_UNIX }, .path = where },
		.timeout = 60000,
		.timeout_short = 60000,
		.kind = &milter_socket_end };
	make_text();
	make_judges();
	w = world_real(-1);
	l = loop_new(w);
	world_real_start(w, l);
	pool = fiber_pool_new(l, 65536, 4, 1);
	fiber_start(pool, "bench", measure, NULL);
	loop_run(l);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	unlink(where);
	plugin_unload_all();
	return 0;
}
