/*
 * plugincheck -- see plugincheck.h.
 */
#include "proxy/plugincheck.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/spawn.h"

#define LOAD_MS 10000
#define TEXT    8192 /* octets of what it says */

struct trial {
	struct world *w;
	struct arena *a;
	char         *text; /* TEXT octets */
	size_t        n;
	int           status;
	bool          late;
};

/* ---- one process ----------------------------------------------------------------------------- */

/* Its last words tell why, so the first ones go where there are too many. */
static void
take_text(struct trial *t, int fd)
{
	ssize_t n;

	if (t->n == TEXT) {
		memmove(t->text, t->text + TEXT / 2, TEXT / 2);
		t->n = TEXT / 2;
	}
	n = read(fd, t->text + t->n, TEXT - t->n);
	if (n > 0)
		t->n += (size_t)n;
}

/* Until the process ends: a child of the plugin may hold the pipe for longer. */
static void
wait_for(struct trial *t, pid_t pid, int fd)
{
	uint64_t until = t->w->now(t->w) + LOAD_MS;

	while (waitpid(pid, &t->status, WNOHANG) == 0) {
		struct pollfd p = { fd, POLLIN, 0 };

		if (t->w->now(t->w) >= until) {
			t->late = true;
			kill(pid, SIGKILL);
			(void)waitpid(pid, &t->status, 0);
			break;
		}
		if (poll(&p, 1, 20) > 0 && (p.revents & POLLIN) != 0)
			take_text(t, fd);
		else if (p.revents != 0)
			(void)poll(NULL, 0, 5);
	}
	spawn_sweep(pid);
	/* What does not block: the writing end is closed, or a child's. */
	for (size_t before = TEXT + 1; before != t->n;) {
		struct pollfd p = { fd, POLLIN, 0 };

		before = t->n;
		if (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0)
			take_text(t, fd);
	}
}

static bool
run(struct trial *t, const struct spawn *with)
{
	struct spawn s = *with;
	int          out[2];
	pid_t        pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return false;
	s.out = out[1];
	pid = spawn_start(&s);
	close(out[1]);
	if (pid > 0)
		wait_for(t, pid, out[0]);
	close(out[0]);
	return pid > 0;
}

/* ---- what came of it ------------------------------------------------------------------------- */

/* The last line that begins so, without that; absent: there is none. */
static struct strv
line_of(const struct trial *t, struct strv key)
{
	struct strv rest = strv(t->text, t->n), found = strv(NULL, 0);

	while (rest.n > 0) {
		size_t      end = strv_chr(rest, '\n');
		struct strv line = strv_first(rest, end);

		if (line.n > 0 && strv_starts(line, key))
			found = strv_from(line, key.n);
		rest = strv_from(rest, end < rest.n ? end + 1 : end);
	}
	return found;
}

/* Its process says last what went wrong; the plugin itself may have told why, in the line before. */
static struct strv
own_words(const struct trial *t)
{
	struct strv said = strv(t->text, t->n), line;
	size_t      end;

	for (unsigned lines = 0; said.n > 0; said = strv_first(said, end < said.n ? end : 0)) {
		while (said.n > 0 && said.p[said.n - 1] == '\n')
			said.n--;
		end = strv_rchr(said, '\n');
		line = end < said.n ? strv_from(said, end + 1) : said;
		if (line.n > 0 && lines++ == 1)
			return diag_escape(t->a, strv_first(line, line.n < 200 ? line.n : 200));
	}
	return strv(NULL, 0);
}

static struct strv
why_not(const struct trial *t)
{
	struct strv last = line_of(t, SV("")), own;

	if (t->late)
		return SV("it is not loaded after 10 s");
	if (WIFSIGNALED(t->status))
		return arena_printf(
		    t->a, "it crashes while it is loaded: %s", sigdescr_np(WTERMSIG(t->status)));
	if (last.n > 0) {
		last = diag_escape(t->a, strv_first(last, last.n < 500 ? last.n : 500));
		own = own_words(t);
		return own.n == 0 ? last :
				    arena_printf(t->a, "%.*s; it said: %.*s", (int)last.n, last.p,
					(int)own.n, own.p);
	}
	return arena_printf(
	    t->a, "it ends its process with status %d while it is loaded", WEXITSTATUS(t->status));
}

static bool
is_good(const struct trial *t)
{
	return !t->late && WIFEXITED(t->status) && WEXITSTATUS(t->status) == 0 &&
	    line_of(t, SV("callbacks:")).p != NULL;
}

static struct strv
told(const struct trial *t, const struct milter_conf *m)
{
	struct strv name = diag_escape(t->a, line_of(t, SV("name: ")));
	struct strv hears = line_of(t, SV("callbacks:")), may = line_of(t, SV("actions:"));

	return arena_printf(t->a, "plugin %.*s is \"%.*s\": hears%.*s; may change:%.*s",
	    (int)m->name.n, m->name.p, (int)name.n, name.p, (int)hears.n, hears.p,
	    may.n > 0 ? (int)may.n : 8, may.n > 0 ? may.p : " nothing");
}

/* ---- all of them ----------------------------------------------------------------------------- */

static struct strv
try(const struct settings *s, unsigned i, const char *program, struct world *w, struct diags *d)
{
	const struct milter_conf   *m = &s->milters.v[i];
	const struct policy_milter *p = policy_milter(s->policy, i);
	struct trial                t = { .w = w, .a = d->a };
	struct spawn                with = {
			       .program = program, .user = s->user, .channel = -1, .listening = -1, .blame = -1
	};
	struct strv why = SV("no process can be had");

	t.text = arena_bytes(d->a, TEXT);
	with.words = spawn_words(d->a, program, m, NULL);
	if (run(&t, &with)) {
		if (is_good(&t))
			return told(&t, m);
		why = why_not(&t);
	}
	diag_add(d, DIAG_ERROR, p->load_pos, strv(NULL, 0), "plugin %.*s cannot be loaded: %.*s",
	    (int)m->name.n, m->name.p, (int)why.n, why.p);
	return strv(NULL, 0);
}

/* Whose object that is already, under another name: a link, or another way to it. -1: nobody's. */
static int
other_of(const struct settings *s, unsigned i)
{
	const struct milter_conf *v = s->milters.v;
	struct stat               one, st;

	if (v[i].home != HOME_INSIDE || stat(v[i].file, &one) < 0)
		return -1;
	for (unsigned k = 0; k < i; k++)
		if (v[k].home == HOME_INSIDE && stat(v[k].file, &st) == 0 &&
		    st.st_dev == one.st_dev && st.st_ino == one.st_ino)
			return (int)k;
	return -1;
}

/* The processes of this check have one object each; a worker has them all, and would load the first alone. */
static void
look_alone(const struct settings *s, unsigned i, struct diags *d)
{
	int other = other_of(s, i);

	if (other < 0)
		return;
	diag_add(d, DIAG_ERROR, policy_milter(s->policy, i)->load_pos,
	    SV("give it a copy of its own, or make one of them `isolated'"),
	    "plugin %.*s has this object already, as %s", (int)s->milters.v[other].name.n,
	    s->milters.v[other].name.p, diag_quote(d->a, strv_z(s->milters.v[other].file)));
}

const struct strv *
plugincheck_run(const struct settings *s, struct world *w, struct diags *d)
{
	struct strv *v = arena_array(d->a, s->milters.n, sizeof(*v));
	const char  *program = spawn_program(d->a);

	for (unsigned i = 0; i < s->milters.n; i++) {
		const struct milter_conf *m = &s->milters.v[i];

		if (m->file == NULL)
			continue;
		look_alone(s, i, d);
		if (program != NULL)
			v[i] = try(s, i, program, w, d);
		else
			diag_add(d, m->home == HOME_ISOLATED ? DIAG_ERROR : DIAG_WARNING,
			    policy_milter(s->policy, i)->load_pos, strv(NULL, 0),
			    "there is no postern-plugind, which would load it");
	}
	return v;
}
