/*
 * keeper -- see keeper.h.
 *
 * A batch is the hosts of one generation, with the folder and the memory that are theirs.  It outlives the settings,
 * for old workers go on with it.  The end of a host's channel is its order to end: so it ends with the master as well.
 * The invariant: a host that is wanted has its socket, or its back-off is so long that clients are better refused.
 */
#include "proxy/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/keeper_cpu.h"
#include "proxy/keeper_folder.h"
#include "proxy/keeper_said.h"
#include "proxy/spawn.h"

#define READY_MS    3000 /* a plugin that takes longer to load meets its first clients later */
#define BACKOFF_MS  100
#define BACKOFF_MAX 30000
#define PATIENT_MS  1000  /* of back-off that clients wait through in the queue of the socket */
#define GROWN_MS    60000 /* who lived so long begins with a clean record */
#define GROWN_TIMES 10    /* so does who lived so many times its back-off */
#define END_MS      5000  /* between the order to end and SIGKILL */
#define RETRY_MS    1000  /* without a process or a descriptor */
#define FOLDER_MAX  80    /* octets of TMPDIR: a socket's path has 107 */

struct host {
	struct strv        name;
	const char        *path;  /* of its socket */
	const char *const *words; /* its command line */
	const char        *program, *user;
	pid_t              pid;                /* 0: none runs */
	int                channel, listening; /* -1: none */
	bool               ready;
	uint64_t           started, start_at, backoff, kill_at; /* start_at, kill_at 0: not due */
	uint64_t           look_at;
	struct cpu_watch  *cpu;
	struct said        said;
};

struct batch {
	struct batch *next;
	struct arena *a;
	unsigned      generation;
	const char   *folder;
	int           held; /* see keeper_folder.h; -1: not */
	struct host  *host;
	unsigned      n;
	bool          ending;
};

struct keeper {
	struct world *w;
	struct batch *first;
	unsigned      hosts; /* of all batches */
};

/* ---- saying ---------------------------------------------------------------------------------- */

static void
say(struct keeper *k, const struct host *h, const char *what, const char *key, const char *value)
{
	struct log_line l;

	log_begin(&l, k->w, SV("master"), what);
	log_strv(&l, "name", h->name);
	if (h->pid != 0)
		log_number(&l, "pid", (uint64_t)h->pid);
	log_z(&l, key, value);
	log_end(&l);
}

static void
say_death(struct keeper *k, const struct host *h, int status, uint64_t again)
{
	struct log_line l;

	log_begin(&l, k->w, SV("master"), "plugin-death");
	log_strv(&l, "name", h->name);
	log_number(&l, "pid", (uint64_t)h->pid);
	spawn_log_end(&l, status);
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

static void
hear_channel(struct keeper *k, struct host *h)
{
	char octet;

	if (read(h->channel, &octet, 1) != 1) {
		/* It dies; waitpid tells how. */
		close_fd(&h->channel);
		return;
	}
	if (!h->ready)
		say(k, h, "plugin-ready", NULL, NULL);
	h->ready = true;
}

/* ---- the folder ------------------------------------------------------------------------------ */

/*
 * It belongs to the user of the plugins, who may put into it, or in its place, a symbolic link to what is
 * not theirs: whatever we do there as root is done with that user's rights.
 */
static void
as_user(const char *user)
{
	struct passwd *pw = user != NULL && geteuid() == 0 ? getpwnam(user) : NULL;

	if (pw == NULL)
		return;
	setfsgid(pw->pw_gid);
	setfsuid(pw->pw_uid);
}

static void
as_ourselves(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}

/* A folder that the processes of b's `user' alone can enter.  False: *why in said. */
static bool
folder_new(struct batch *b, const char *user, uint64_t wall, struct arena *said, const char **why)
{
	const char *base = getenv("TMPDIR");
	char       *path;

	if (base == NULL || base[0] != '/')
		base = "/tmp";
	if (strlen(base) > FOLDER_MAX) {
		*why = "the path in TMPDIR is longer than a socket may have";
		return false;
	}
	path = arena_z(b->a, arena_printf(b->a, "%s/" FOLDER_NAME "XXXXXX", base));
	as_user(user);
	folder_sweep(base, wall);
	b->folder = mkdtemp(path);
	b->held = b->folder == NULL ? -1 : folder_hold(path);
	*why = arena_printf(said, "no folder can be made in %s: %s", base, strerror(errno)).p;
	if (b->folder != NULL && b->held < 0)
		(void)rmdir(path);
	as_ourselves();
	return b->held >= 0;
}

/* ---- a host's start -------------------------------------------------------------------------- */

/* The mode is that of its birth: a name could be another file's before a chmod. */
static bool
bind_as(int fd, const struct host *h, const struct sockaddr *to, unsigned n)
{
	mode_t mask = umask(0177);
	bool   good;

	as_user(h->user);
	(void)unlink(h->path);
	good = bind(fd, to, n) == 0;
	as_ourselves();
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
	h->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
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
	as_user(h->user);
	(void)unlink(h->path);
	as_ourselves();
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

static void
start(struct keeper *k, struct host *h)
{
	uint64_t now = k->w->now(k->w);

	h->start_at = 0;
	h->ready = false;
	if (listen_at(h))
		start_process(h);
	if (h->pid == 0) {
		say(k, h, "plugin-start", "failed", strerror(errno));
		h->start_at = now + RETRY_MS;
		return;
	}
	h->started = now;
	h->look_at = now + CPU_EVERY_MS;
	memset(h->cpu, 0, sizeof(*h->cpu));
	say(k, h, "plugin-start", NULL, NULL);
}

/* ---- a host's death -------------------------------------------------------------------------- */

/* A crash now and then costs a tenth of the time at most, one at every start soon nearly nothing. */
uint64_t
keeper_backoff(uint64_t last, uint64_t lived)
{
	if (last == 0 || lived >= GROWN_MS || lived >= last * GROWN_TIMES)
		return BACKOFF_MS;
	return last * 2 > BACKOFF_MAX ? BACKOFF_MAX : last * 2;
}

static void
forget_process(struct keeper *k, struct host *h)
{
	spawn_sweep(h->pid);
	said_end(&h->said, k->w, h->name);
	close_fd(&h->channel);
	h->pid = 0;
	h->ready = false;
	h->kill_at = 0;
}

static void
bury(struct keeper *k, const struct batch *b, struct host *h, int status)
{
	uint64_t now = k->w->now(k->w);

	said_end(&h->said, k->w, h->name);
	if (b->ending) {
		say(k, h, "plugin-end", NULL, NULL);
		forget_process(k, h);
		return;
	}
	h->backoff = keeper_backoff(h->backoff, now - h->started);
	say_death(k, h, status, h->backoff);
	forget_process(k, h);
	h->start_at = now + h->backoff;
	if (h->backoff > PATIENT_MS)
		not_listen(h);
}

static void
free_ended(struct keeper *k)
{
	struct batch **at = &k->first, *b;

	while ((b = *at) != NULL) {
		bool alive = !b->ending;

		for (unsigned i = 0; i < b->n; i++)
			alive = alive || b->host[i].pid != 0;
		if (alive) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		k->hosts -= b->n;
		as_user(b->host[0].user);
		(void)rmdir(b->folder);
		as_ourselves();
		close_fd(&b->held);
		for (unsigned i = 0; i < b->n; i++)
			mem_free(b->host[i].cpu);
		arena_free(b->a);
	}
}

bool
keeper_ended(struct keeper *k, pid_t pid, int status)
{
	for (struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->n; i++)
			if (b->host[i].pid == pid) {
				bury(k, b, &b->host[i], status);
				free_ended(k);
				return true;
			}
	return false;
}

/* ---- batches --------------------------------------------------------------------------------- */

static void
end_batch(struct keeper *k, struct batch *b)
{
	if (b->ending)
		return;
	b->ending = true;
	for (unsigned i = 0; i < b->n; i++) {
		struct host *h = &b->host[i];

		not_listen(h);
		close_fd(&h->channel);
		h->start_at = 0;
		h->kill_at = k->w->now(k->w) + END_MS;
	}
}

void
keeper_retire(struct keeper *k, unsigned before)
{
	for (struct batch *b = k->first; b != NULL; b = b->next)
		if (b->generation < before)
			end_batch(k, b);
	free_ended(k);
}

void
keeper_drop(struct keeper *k, unsigned generation)
{
	for (struct batch *b = k->first; b != NULL; b = b->next)
		if (b->generation == generation)
			end_batch(k, b);
	free_ended(k);
}

static unsigned
count_isolated(const struct settings *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->milters.n; i++)
		n += s->milters.v[i].home == HOME_ISOLATED;
	return n;
}

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

static void
host_init(
    struct host *h, struct batch *b, struct milter_conf *m, const char *program, const char *user)
{
	struct milter_conf copy = conf_copy(b->a, m);

	h->name = copy.name;
	h->program = program;
	h->user = user;
	h->path = arena_z(b->a, arena_printf(b->a, "%s/%u", b->folder, m->number));
	h->words = spawn_words(b->a, program, &copy, h->path);
	h->channel = h->listening = -1;
	said_init(&h->said, -1);
	h->cpu = mem_alloc(sizeof(*h->cpu));
	m->at = (struct endpoint){ .addr = { .family = ADDR_UNIX }, .path = h->path };
}

static struct batch *
batch_new(struct keeper *k, struct settings *s, unsigned generation, unsigned n, struct arena *said,
    const char **why)
{
	struct arena *a = arena_new(4096, 0);
	struct batch *b = arena_alloc(a, sizeof(*b));
	const char   *program = spawn_program(a);
	const char   *user = s->user == NULL ? NULL : arena_z(a, strv_z(s->user));

	b->a = a;
	b->generation = generation;
	b->host = arena_array(a, n, sizeof(*b->host));
	*why = "there is no postern-plugind, neither beside postern nor where it is installed";
	if (program == NULL || !folder_new(b, user, k->w->wall(k->w), said, why)) {
		arena_free(a);
		return NULL;
	}
	for (unsigned i = 0; i < s->milters.n; i++)
		if (s->milters.v[i].home == HOME_ISOLATED)
			host_init(&b->host[b->n++], b, &s->milters.v[i], program, user);
	k->hosts += b->n;
	b->next = k->first;
	k->first = b;
	return b;
}

/* ---- a new generation ------------------------------------------------------------------------ */

static bool
all_ready(const struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (!b->host[i].ready)
			return false;
	return true;
}

/* The first that has ended, with its status; NULL: none has. */
static struct host *
look_for_dead(struct batch *b, int *status)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->host[i].pid > 0 && waitpid(b->host[i].pid, status, WNOHANG) > 0)
			return &b->host[i];
	return NULL;
}

static const char *
why_dead(struct keeper *k, struct host *h, int status, struct arena *a)
{
	const char *how = WIFSIGNALED(status) ? sigdescr_np(WTERMSIG(status)) : NULL;
	struct strv text;
	char        safe[LOG_LINE];

	said_end(&h->said, k->w, h->name);
	text = log_escape(strv(h->said.last, h->said.n_last), safe, sizeof(safe));
	if (how != NULL)
		text = strv_z(how);
	return arena_printf(a, "plugin %.*s %s: %.*s", (int)h->name.n, h->name.p,
	    how != NULL ? "crashes while it is loaded" : "cannot be loaded", (int)text.n, text.p)
	    .p;
}

/* Here the master waits, but not for long: no worker of this generation is there yet that could miss it. */
static bool
await(struct keeper *k, struct batch *b, struct arena *a, const char **why)
{
	static struct pollfd p[KEEPER_FDS];
	uint64_t             until = k->w->now(k->w) + READY_MS;
	int                  status;

	while (!all_ready(b) && k->w->now(k->w) < until) {
		unsigned     n = keeper_poll(k, p);
		struct host *h;

		if (poll(p, n, 20) > 0)
			keeper_reports(k, p, n);
		h = look_for_dead(b, &status);
		if (h == NULL)
			continue;
		*why = why_dead(k, h, status, a);
		forget_process(k, h);
		return false;
	}
	for (unsigned i = 0; i < b->n; i++)
		if (!b->host[i].ready)
			say(k, &b->host[i], "warning", "why", "the plugin is not ready yet");
	return true;
}

bool
keeper_want(
    struct keeper *k, struct settings *s, unsigned generation, struct arena *a, const char **why)
{
	unsigned      n = count_isolated(s);
	struct batch *b;

	if (n == 0)
		return true;
	*why = "too many plugins of older generations are still in use";
	if (k->hosts + n > KEEPER_HOSTS)
		return false;
	b = batch_new(k, s, generation, n, a, why);
	if (b == NULL) {
		*why = arena_printf(a, "isolated plugins: %s", *why).p;
		return false;
	}
	for (unsigned i = 0; i < b->n; i++)
		start(k, &b->host[i]);
	if (await(k, b, a, why))
		return true;
	keeper_drop(k, generation);
	return false;
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* None of -1: poll(2) takes no more entries than the process may have descriptors. */
static unsigned
poll_for(struct pollfd *p, unsigned n, int fd)
{
	if (fd < 0)
		return n;
	p[n] = (struct pollfd){ fd, POLLIN, 0 };
	return n + 1;
}

unsigned
keeper_poll(const struct keeper *k, struct pollfd *p)
{
	unsigned n = 0;

	for (const struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->n; i++) {
			const struct host *h = &b->host[i];

			n = poll_for(p, n, h->channel);
			n = poll_for(p, n, said_poll(&h->said));
		}
	return n;
}

/* Whether it is the next that was polled, and has something to say; then at is one further. */
static bool
was_polled(const struct pollfd *p, unsigned n, unsigned *at, int fd)
{
	if (fd < 0 || *at >= n || p[*at].fd != fd)
		return false;
	return p[(*at)++].revents != 0;
}

void
keeper_reports(struct keeper *k, const struct pollfd *p, unsigned n)
{
	unsigned at = 0;

	for (struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->n; i++) {
			struct host *h = &b->host[i];

			if (was_polled(p, n, &at, h->channel))
				hear_channel(k, h);
			if (was_polled(p, n, &at, said_poll(&h->said)))
				said_take(&h->said, k->w, h->name);
		}
}

static uint64_t
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

uint64_t
keeper_next(const struct keeper *k)
{
	uint64_t at = UINT64_MAX, next;

	for (const struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->n; i++) {
			next = host_next(&b->host[i]);
			if (next < at)
				at = next;
		}
	return at;
}

static void
look(struct keeper *k, struct host *h, uint64_t now)
{
	h->look_at = now + CPU_EVERY_MS;
	if (cpu_look(h->cpu, h->pid))
		say(k, h, "warning", "why",
		    "a thread of the plugin has computed for a minute and waited for nothing");
}

static void
host_due(struct keeper *k, struct host *h, uint64_t now)
{
	if (h->pid != 0 && h->kill_at != 0 && h->kill_at <= now) {
		h->kill_at = now + RETRY_MS;
		kill(h->pid, SIGKILL);
	}
	if (h->pid != 0 && h->kill_at == 0 && h->look_at <= now)
		look(k, h, now);
	if (h->pid == 0 && h->start_at != 0 && h->start_at <= now)
		start(k, h);
	said_due(&h->said, k->w, h->name);
}

void
keeper_due(struct keeper *k)
{
	uint64_t now = k->w->now(k->w);

	for (struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->n; i++)
			host_due(k, &b->host[i], now);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

void
keeper_leave(struct keeper *k)
{
	if (k == NULL)
		return;
	for (struct batch *b = k->first; b != NULL; b = b->next) {
		close_fd(&b->held);
		for (unsigned i = 0; i < b->n; i++) {
			close_fd(&b->host[i].channel);
			close_fd(&b->host[i].said.fd);
			close_fd(&b->host[i].listening);
		}
	}
}

struct keeper *
keeper_new(struct world *w)
{
	struct keeper *k = mem_alloc(sizeof(*k));

	k->w = w;
	return k;
}

void
keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	keeper_retire(k, UINT_MAX);
	/* END_MS bounds it: who has not ended then is killed. */
	while (k->first != NULL) {
		for (struct batch *b = k->first; b != NULL; b = b->next)
			for (unsigned i = 0; i < b->n; i++)
				if (b->host[i].pid != 0 &&
				    waitpid(b->host[i].pid, NULL, WNOHANG) != 0)
					bury(k, b, &b->host[i], 0);
		free_ended(k);
		if (k->first != NULL)
			(void)poll(NULL, 0, 5);
		keeper_due(k);
	}
	mem_free(k);
}
