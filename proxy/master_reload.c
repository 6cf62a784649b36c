/*
 * master_reload.c -- what holds is changed for what the file says now: check, load, take over.
 *
 * Not for who serves by it: the workers of the new generation are crew.c's.
 * The invariants: a mistake leaves everything as it was; behind the last RELOADING=1 systemd hears
 * READY=1 once, however that one ended, and none before.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/drop.h"
#include "proxy/master_own.h"
#include "proxy/plugincheck.h"
#include "proxy/trial.h"

#define CHECK_MS 60000 /* how long a configuration may take to read */

/* ---- how it went ------------------------------------------------------------------------------ */

static void
tell_loaded(struct master *m, bool good)
{
	counters_master_set(m->crew.counters, MASTER_LOAD_GOOD, good);
	if (!good)
		return;
	counters_master_set(m->crew.counters, MASTER_LOADED, m->w->wall(m->w) / 1000000);
	counters_master_set(m->crew.counters, MASTER_WORKERS, m->crew.workers);
}

static void
say_failed(struct master *m, const char *why)
{
	tell_loaded(m, false);
	master_say(m, "reload", "failed", why);
}

/* ---- the checker ----------------------------------------------------------------------------- */

static void
to_log(struct strv line, void *arg)
{
	struct master *m = arg;
	char           safe[LOG_LINE];

	line = log_escape(line, safe, sizeof(safe));
	log_event(m->w, SV("master"), "reload", "%.*s", (int)line.n, line.p);
}

static unsigned
say_diags(struct master *m, const struct diags *d)
{
	diag_print(d, false, to_log, m);
	return d->errors;
}

/* In the child: the exit status says whether the file is good; what is wrong goes to the log. */
static void
be_checker(struct master *m)
{
	struct arena    *a = arena_new(4096, 0);
	struct diags     d = { .a = a };
	struct settings *s;

	drop_signals();
	prctl(PR_SET_NAME, "postern-check", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	master_leave(m);
	sockets_close(&m->sockets);
	s = settings_load(a, m->w, m->path, &d);
	if (d.errors == 0)
		(void)trial_run_all(s, m->w, &d, NULL, NULL);
	if (d.errors == 0)
		(void)plugincheck_run(s, m->w, &d);
	_exit(say_diags(m, &d) == 0 ? 0 : 1);
}

static void
start_checker(struct master *m)
{
	pid_t pid;

	master_say(m, "reload", "file", m->path);
	pid = fork();
	if (pid == 0)
		be_checker(m);
	if (pid < 0) {
		say_failed(m, strerror(errno));
		notify_send("READY=1");
		return;
	}
	m->checker = pid;
	m->check_until = m->w->now(m->w) + CHECK_MS;
}

static void
notify_reloading(struct master *m)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)m->w->now(m->w) * 1000);
	notify_send(text);
}

void
master_reload(struct master *m)
{
	if (m->stopping)
		return;
	notify_reloading(m);
	if (m->checker != 0)
		m->check_again = true;
	else
		start_checker(m);
}

void
master_bound_checker(struct master *m)
{
	if (m->check_until == 0 || m->check_until > m->w->now(m->w))
		return;
	say_failed(m, "the checker takes too long and is ended");
	m->check_until = 0;
	kill(m->checker, SIGKILL);
}

/* ---- taking over ----------------------------------------------------------------------------- */

static unsigned
wanted_workers(const struct settings *s)
{
	cpu_set_t cores;
	unsigned  n = s->workers;

	if (n == 0 && sched_getaffinity(0, sizeof(cores), &cores) == 0)
		n = (unsigned)CPU_COUNT(&cores);
	return n == 0 ? 1 : n > CREW_MAX ? CREW_MAX : n;
}

/* Where workers listen: for clients, and last for those who want metrics. */
static struct endpoint *
addresses(const struct settings *s, struct arena *a, unsigned *n)
{
	struct endpoint *at = arena_array(a, s->n_listener + 1, sizeof(*at));

	for (*n = 0; *n < s->n_listener; ++*n)
		at[*n] = s->listener[*n].at;
	if (s->metrics != NULL)
		at[(*n)++] = *s->metrics;
	return at;
}

bool
master_take_over(struct master *m, struct settings *s, struct arena *a, const char **why)
{
	const char      *log_why;
	struct strv      text;
	char             print[ENDPOINT_TEXT];
	unsigned         workers = wanted_workers(s), n, failed;
	struct endpoint *at = addresses(s, a, &n);
	int              fd = master_log_open(m, s, &log_why);

	if (fd < 0) {
		text = arena_printf(a, "cannot log to %s: %s",
		    s->log == LOG_FILE ? s->log_file : "syslog", log_why);
		*why = text.p;
		return false;
	}
	if (!sockets_open(&m->sockets, at, n, workers, a, &failed, &text)) {
		struct strv where = endpoint_print(&at[failed], print);

		*why = arena_printf(
		    a, "cannot listen at %.*s: %.*s", (int)where.n, where.p, (int)text.n, text.p)
			   .p;
		master_log_drop(s, fd);
		return false;
	}
	m->s = s;
	m->crew.settings = s;
	m->crew.workers = workers;
	master_log_to(m, fd);
	m->crew.log_fd = fd;
	tell_loaded(m, true);
	return true;
}

/* The same, with the processes of its plugins, which nobody must lack who is forked for it. */
static bool
get_ready(struct master *m, struct settings *s, struct arena *a, const char **why)
{
	unsigned next = m->crew.generation + 1;

	if (!keeper_want(m->keeper, s, next, a, why))
		return false;
	if (master_take_over(m, s, a, why))
		return true;
	keeper_drop(m->keeper, next);
	return false;
}

/* The checker has found the file good, but it may have changed since. */
static void
reload(struct master *m)
{
	struct arena    *a = arena_new(4096, 0), *old_a = m->a;
	struct diags     d = { .a = a };
	struct settings *s = settings_load(a, m->w, m->path, &d), *old = m->s;
	const char      *why = "the file has mistakes";

	if (d.errors > 0)
		(void)say_diags(m, &d);
	if (d.errors > 0 || !get_ready(m, s, a, &why)) {
		say_failed(m, why);
		settings_free(s);
		arena_free(a);
		return;
	}
	m->a = a;
	/* Old and new workers count clients in the same table. */
	s->smtp.key = old->smtp.key;
	settings_free(old);
	arena_free(old_a);
	m->unsaid = true;
	crew_want(&m->crew);
	master_say_reloaded(m);
	if (m->unsaid)
		master_say(m, "reload", "waits", "a worker cannot be made; the old ones serve on");
}

void
master_say_reloaded(struct master *m)
{
	if (!m->unsaid || crew_lacks(&m->crew))
		return;
	m->unsaid = false;
	master_say_settings(m, "reloaded");
}

void
master_checked(struct master *m, int status)
{
	bool again = m->check_again;

	m->checker = 0;
	m->check_until = 0;
	m->check_again = false;
	if (m->stopping)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		reload(m);
	else
		say_failed(m,
		    WIFEXITED(status) ?
			"the old configuration stays" :
			"the checker did not end well; the old configuration stays");
	if (again)
		start_checker(m);
	else
		notify_send("READY=1");
}
