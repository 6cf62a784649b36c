/*
 * keeper -- see keeper.h.
 *
 * A batch is the hosts of one generation, with the folder and the memory that are theirs.  It outlives the settings,
 * for old workers go on with it.  The invariant: what settings of a generation name (sockets, pages) is there until
 * its last worker has ended.
 */
#include "proxy/keeper.h"

#include <limits.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/keeper_folder.h"
#include "proxy/keeper_host.h"
#include "proxy/spawn.h"

#define READY_MS 3000 /* a plugin that takes longer to load meets its first clients later */

struct batch {
	struct batch *next;
	struct arena *a;
	unsigned      generation;
	const char   *folder;
	int           held; /* see keeper_folder.h; -1: not */
	struct host  *host;
	unsigned      n, places; /* of host: behind each its predecessor, while that has sessions */
	bool          ending;
};

struct keeper {
	struct world *w;
	struct batch *first;
	unsigned      hosts; /* of all batches */
};

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static void
free_ended(struct keeper *k)
{
	struct batch **at = &k->first, *b;

	while ((b = *at) != NULL) {
		bool alive = !b->ending;

		for (unsigned i = 0; i < b->places; i++)
			alive = alive || b->host[i].pid != 0;
		if (alive) {
			at = &b->next;
			continue;
		}
		*at = b->next;
		k->hosts -= b->n;
		folder_as(b->host[0].user);
		(void)rmdir(b->folder);
		folder_as_ourselves();
		close_fd(&b->held);
		for (unsigned i = 0; i < b->places; i++)
			host_fini(&b->host[i]);
		arena_free(b->a);
	}
}

/* Where its predecessor still takes sessions, the socket stays however often a successor dies. */
static void
place_ended(struct keeper *k, struct batch *b, unsigned i, int status)
{
	struct host *h = &b->host[i % b->n], *old = &b->host[b->n + i % b->n];

	host_ended(&b->host[i], k->w, status, i < b->n && old->pid != 0 && !old->held);
	if (i >= b->n)
		host_alone(h, k->w);
}

bool
keeper_ended(struct keeper *k, pid_t pid, int status)
{
	for (struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->places; i++)
			if (b->host[i].pid == pid) {
				place_ended(k, b, i, status);
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
	for (unsigned i = 0; i < b->places; i++)
		if (i < b->n || b->host[i].pid != 0)
			host_end(&b->host[i], k->w);
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
	b->places = 2 * n;
	b->host = arena_array(a, b->places, sizeof(*b->host));
	*why = "there is no postern-plugind, neither beside postern nor where it is installed";
	if (program == NULL ||
	    (b->held = folder_make(a, user, k->w->wall(k->w), &b->folder, said, why)) < 0) {
		arena_free(a);
		return NULL;
	}
	for (unsigned i = 0; i < s->milters.n; i++)
		if (s->milters.v[i].home == HOME_ISOLATED)
			host_init(&b->host[b->n++], a, &s->milters.v[i], b->folder, program, user);
	for (unsigned i = b->n; i < b->places; i++)
		host_none(&b->host[i]);
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
		host_forget(h, k->w);
		return false;
	}
	for (unsigned i = 0; i < b->n; i++)
		if (!b->host[i].ready)
			host_say(
			    &b->host[i], k->w, "warning", "why", "the plugin is not ready yet");
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
		host_start(&b->host[i], k->w);
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
		for (unsigned i = 0; i < b->places; i++) {
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

/* A third process waits until the first has ended: so it is looked at behind each end, too, not behind words alone. */
static void
replace_full(struct keeper *k, struct batch *b)
{
	for (unsigned i = 0; i < b->n && !b->ending; i++) {
		struct host *h = &b->host[i], *old = &b->host[b->n + i];

		if (full_next(h, old) <= k->w->now(k->w))
			host_succeed(h, old, k->w);
		if (h->ready && old->pid != 0 && !old->held)
			host_hold(old);
	}
}

void
keeper_reports(struct keeper *k, const struct pollfd *p, unsigned n)
{
	unsigned at = 0;

	for (struct batch *b = k->first; b != NULL; b = b->next)
		for (unsigned i = 0; i < b->places; i++) {
			struct host *h = &b->host[i];

			if (was_polled(p, n, &at, h->channel))
				host_hear(h, k->w);
			if (was_polled(p, n, &at, said_poll(&h->said)))
				said_take(&h->said, k->w, h->name);
		}
}

uint64_t
keeper_next(const struct keeper *k)
{
	uint64_t at = UINT64_MAX, next;

	for (const struct batch *b = k->first; b != NULL; b = b->next) {
		for (unsigned i = 0; i < b->places; i++) {
			next = host_next(&b->host[i]);
			at = next < at ? next : at;
		}
		for (unsigned i = 0; i < b->n && !b->ending; i++) {
			next = full_next(&b->host[i], &b->host[b->n + i]);
			at = next < at ? next : at;
		}
	}
	return at;
}

void
keeper_due(struct keeper *k)
{
	for (struct batch *b = k->first; b != NULL; b = b->next) {
		for (unsigned i = 0; i < b->places; i++)
			host_due(&b->host[i], k->w);
		replace_full(k, b);
	}
}

/* ---- making and freeing ---------------------------------------------------------------------- */

void
keeper_leave(struct keeper *k)
{
	if (k == NULL)
		return;
	for (struct batch *b = k->first; b != NULL; b = b->next) {
		close_fd(&b->held);
		for (unsigned i = 0; i < b->places; i++)
			host_leave(&b->host[i]);
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
			for (unsigned i = 0; i < b->places; i++)
				if (b->host[i].pid != 0 &&
				    waitpid(b->host[i].pid, NULL, WNOHANG) != 0)
					host_ended(&b->host[i], k->w, 0, false);
		free_ended(k);
		if (k->first != NULL)
			(void)poll(NULL, 0, 5);
		keeper_due(k);
	}
	mem_free(k);
}
