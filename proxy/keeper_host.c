/*
 * keeper_host -- see keeper_host.h.
 *
 * The end of a host's channel is its order to end: so it ends with the master as well.  The invariant: one that is
 * wanted has its socket, or its back-off is so long that clients are better refused, and no predecessor serves them.
 */
#include "proxy/keeper_host.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/blame.h"
#include "proxy/base/log.h"
#include "proxy/base/world.h"
#include "proxy/keeper_folder.h"
#include "proxy/spawn.h"

#define BACKOFF_MS  100
#define BACKOFF_MAX 30000
#define PATIENT_MS  1000  /* of back-off that clients wait through in the queue of the socket */
#define GROWN_MS    60000 /* who lived so long begins with a clean record */
#define GROWN_TIMES 10    /* so does who lived so many times its back-off */
#define END_MS      5000  /* between the order to end and SIGKILL */
#define RETRY_MS    1000  /* without a process or a descriptor */
#define EXIT_FULL   4     /* of postern-plugind: no memory is left below its limit */

/* ---- saying ---------------------------------------------------------------------------------- */

void
host_say(
    const struct host *h, struct world *w, const char *what, const char *key, const char *value)
{
	struct log_line l;

	log_begin(&l, w, SV("master"), what);
	log_strv(&l, "name", h->name);
	if (h->pid != 0)
		log_number(&l, "pid", (uint64_t)h->pid);
	log_z(&l, key, value);
	log_end(&l);
}

static void
say_death(const struct host *h, struct world *w, int status, uint64_t again)
{
	struct log_line l;

	log_begin(&l, w, SV("master"), "plugin-death");
	log_strv(&l, "name", h->name);
	log_number(&l, "pid", (uint64_t)h->pid);
	spawn_log_end(&l, status);
	if (!h->retired)
		log_number(&l, "again-ms", again);
	log_end(&l);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void
host_hear(struct host *h, struct world *w)
{
	char octet;

	if (read(h->channel, &octet, 1) != 1) {
		/* It dies; waitpid tells how. */
		close_fd(&h->channel);
		return;
	}
	if (octet == 'M' && !h->full) {
		full_hear(h, w);
		return;
	}
	if (!h->ready)
		host_say(h, w, "plugin-ready", NULL, NULL);
	h->ready = true;
}

/* ---- a start --------------------------------------------------------------------------------- */

/* The mode is that of its birth: a name could be another file's before a chmod. */
static bool
bind_as(int fd, const struct host *h, const struct sockaddr *to, unsigned n)
{
	mode_t mask = umask(0177);
	bool   good;

	folder_as(h->user);
	(void)unlink(h->path);
	good = bind(fd, to, n) == 0;
	folder_as_ourselves();
	(void)umask(mask);
	return good;
}

static bool
listen_at(struct host *h)
{
	struct endpoint         at = { .addr = { .family = ADDR_UNIX }, .path = h->path };
	struct sockaddr_storage to;
	unsigned                n = endpoint_to_sockaddr(&at, &to);

	if (h->listening >= 0)
		return true;
	/* Two processes may take from it: who comes second must not wait there. */
	h->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (n > 0 && h->listening >= 0 && bind_as(h->listening, h, (struct sockaddr *)&to, n) &&
	    listen(h->listening, SOMAXCONN) == 0)
		return true;
	close_fd(&h->listening);
	return false;
}

static void
not_listen(struct host *h)
{
	close_fd(&h->listening);
	folder_as(h->user);
	(void)unlink(h->path);
	folder_as_ourselves();
}

static void
start_process(struct host *h)
{
	int          pair[2] = { -1, -1 }, out[2] = { -1, -1 };
	struct spawn s = { .program = h->program, .words = h->words, .user = h->user };

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0 &&
	    pipe2(out, O_CLOEXEC | O_NONBLOCK) == 0) {
		s.channel = pair[1];
		s.out = out[1];
		s.listening = h->listening;
		s.blame = h->blame_fd;
		h->pid = spawn_start(&s);
	}
	close_fd(&pair[1]);
	close_fd(&out[1]);
	if (h->pid > 0) {
		h->channel = pair[0];
		said_init(&h->said, out[0]);
		return;
	}
	h->pid = 0;
	close_fd(&pair[0]);
	close_fd(&out[0]);
}

void
host_start(struct host *h, struct world *w)
{
	uint64_t now = w->now(w);

	h->start_at = 0;
	h->ready = false;
	if (listen_at(h))
		start_process(h);
	if (h->pid == 0) {
		host_say(h, w, "plugin-start", "failed", strerror(errno));
		h->start_at = now + RETRY_MS;
		return;
	}
	h->started = now;
	h->blamed = h->blame == NULL ? 0 : blame_count(h->blame);
	h->look_at = now + CPU_EVERY_MS;
	memset(h->cpu, 0, sizeof(*h->cpu));
	host_say(h, w, "plugin-start", NULL, NULL);
}

/* ---- a death --------------------------------------------------------------------------------- */

/* A crash now and then costs a tenth of the time at most, one at every start soon nearly nothing. */
uint64_t
host_backoff(uint64_t last, uint64_t lived)
{
	if (last == 0 || lived >= GROWN_MS || lived >= last * GROWN_TIMES)
		return BACKOFF_MS;
	return last * 2 > BACKOFF_MAX ? BACKOFF_MAX : last * 2;
}

void
host_forget(struct host *h, struct world *w)
{
	spawn_sweep(h->pid);
	said_end(&h->said, w, h->name);
	close_fd(&h->channel);
	h->pid = 0;
	h->ready = h->full = h->retired = h->held = false;
	h->kill_at = 0;
}

static bool
is_out_of_room(const struct host *h, int status)
{
	return h->ready && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FULL;
}

/*
 * Then others wait for the next one: whoever sends such messages all the time must not shut them out.  Nor must one
 * that leaks fast: it has served, and the next one will.
 */
static bool
is_worth_waiting(const struct host *h, int status)
{
	if (is_out_of_room(h, status))
		return true;
	return h->blame != NULL && blame_count(h->blame) != h->blamed;
}

void
host_ended(struct host *h, struct world *w, int status, bool covered)
{
	uint64_t now = w->now(w);

	said_end(&h->said, w, h->name);
	if (h->retired && !h->ending && status != 0) {
		say_death(h, w, status, 0);
		host_forget(h, w);
		return;
	}
	if (h->ending || h->retired) {
		host_say(h, w, "plugin-end", NULL, NULL);
		host_forget(h, w);
		return;
	}
	full_ended(h, now, is_out_of_room(h, status));
	h->backoff = host_backoff(h->backoff, now - h->started);
	if (is_worth_waiting(h, status) && h->backoff > PATIENT_MS)
		h->backoff = PATIENT_MS;
	say_death(h, w, status, h->backoff);
	host_forget(h, w);
	h->start_at = now + h->backoff;
	if (h->backoff > PATIENT_MS && !covered)
		not_listen(h);
}

/* ---- a successor ----------------------------------------------------------------------------- */

void
host_succeed(struct host *h, struct host *old, struct world *w)
{
	struct cpu_watch *cpu = old->cpu;

	*old = *h;
	old->retired = true;
	old->listening = old->blame_fd = -1; /* they stay where they are */
	old->blame = NULL;
	h->cpu = cpu;
	h->pid = 0;
	h->channel = -1;
	h->full = false;
	said_init(&h->said, -1);
	host_start(h, w);
}

void
host_hold(struct host *old)
{
	old->held = true;
	(void)send(old->channel, "H", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void
host_alone(struct host *h, struct world *w)
{
	if (h->pid == 0 && h->start_at > w->now(w) + PATIENT_MS)
		not_listen(h);
}

/* ---- what is due ----------------------------------------------------------------------------- */

uint64_t
host_next(const struct host *h)
{
	const uint64_t at[] = { h->start_at, h->kill_at,
		h->pid != 0 && h->kill_at == 0 ? h->look_at : 0, said_next(&h->said) };
	uint64_t       first = UINT64_MAX;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] != 0 && at[i] < first)
			first = at[i];
	return first;
}

static void
look(struct host *h, struct world *w, uint64_t now)
{
	h->look_at = now + CPU_EVERY_MS;
	if (cpu_look(h->cpu, h->pid))
		host_say(h, w, "warning", "why",
		    "a thread of the plugin has computed for a minute and waited for nothing");
}

void
host_due(struct host *h, struct world *w)
{
	uint64_t now = w->now(w);

	if (h->pid != 0 && h->kill_at != 0 && h->kill_at <= now) {
		h->kill_at = now + RETRY_MS;
		kill(h->pid, SIGKILL);
	}
	if (h->pid != 0 && h->kill_at == 0 && h->look_at <= now)
		look(h, w, now);
	if (h->pid == 0 && h->start_at != 0 && h->start_at <= now)
		host_start(h, w);
	said_due(&h->said, w, h->name);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

/* The settings may go before the batch does: everything is copied. */
static struct milter_conf
conf_copy(struct arena *a, const struct milter_conf *m)
{
	struct milter_conf copy = *m;
	const char       **args = arena_array(a, m->n_args + 1, sizeof(*args));

	for (unsigned i = 0; i < m->n_args; i++)
		args[i] = arena_z(a, strv_z(m->args[i]));
	copy.name = arena_dup(a, m->name);
	copy.file = arena_z(a, strv_z(m->file));
	copy.args = args;
	return copy;
}

void
host_none(struct host *h)
{
	h->channel = h->listening = h->blame_fd = -1;
	said_init(&h->said, -1);
	h->cpu = mem_alloc(sizeof(*h->cpu));
}

void
host_init(struct host *h, struct arena *a, struct milter_conf *m, const char *folder,
    const char *program, const char *user)
{
	struct milter_conf copy = conf_copy(a, m);

	h->name = copy.name;
	h->program = program;
	h->user = user;
	h->path = arena_z(a, arena_printf(a, "%s/%u", folder, m->number));
	h->words = spawn_words(a, program, &copy, h->path);
	host_none(h);
	/* Without it a crash costs all that are in the process: no reason not to start. */
	h->blame = blame_new(&h->blame_fd);
	m->at = (struct endpoint){ .addr = { .family = ADDR_UNIX }, .path = h->path };
	m->blame = h->blame;
}

void
host_fini(struct host *h)
{
	blame_free(h->blame);
	close_fd(&h->blame_fd);
	mem_free(h->cpu);
}

void
host_end(struct host *h, struct world *w)
{
	h->ending = true;
	if (!h->retired)
		not_listen(h);
	close_fd(&h->channel);
	h->start_at = 0;
	/* Due for nobody it would stay due, and the master wake for it at once, again and again. */
	h->kill_at = h->pid != 0 ? w->now(w) + END_MS : 0;
}

/* The page stays: workers read it. */
void
host_leave(struct host *h)
{
	close_fd(&h->channel);
	close_fd(&h->said.fd);
	close_fd(&h->listening);
	close_fd(&h->blame_fd);
}
