/*
 * world_sim -- the struct world of the tests: a clock moved by hand, randomness from a seed,
 * sockets that are socketpairs, files in memory, a log that is kept.
 *
 * It knows no SMTP.  Invariant: the clock moves only when neither the loop nor an actor has
 * anything to do, so what happens at one moment of the clock is complete before the next begins.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/io.h"
#include "tests/sim/dns_sim.h"
#include "tests/sim/world_sim.h"

#define WALL_START 1767225600000000u /* 2026-01-01 00:00:00 UTC */
#define ROUNDS_MAX 2000000u          /* of loop and actors at one moment of the clock */
#define ACTORS_MAX 4096
#define STORY_MAX  (512u << 20)

struct sim_temp {
	char            *path;
	int              fd;
	struct sim_temp *next;
};

/* ---- randomness: splitmix64, one stream for the proxy and one for the actors ---- */

static uint64_t
splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint64_t
sim_random(struct sim *s)
{
	return splitmix(&s->random_actors);
}

uint64_t
sim_below(struct sim *s, uint64_t n)
{
	return sim_random(s) % n;
}

bool
sim_chance(struct sim *s, unsigned percent)
{
	return sim_below(s, 100) < percent;
}

/* ---- what the proxy asks of its world ---- */

static struct sim *
sim_of(struct world *w)
{
	return w->ctx;
}

static uint64_t
world_now(struct world *w)
{
	return sim_of(w)->clock;
}

static uint64_t
world_wall(struct world *w)
{
	return WALL_START + sim_of(w)->clock * 1000;
}

static void
world_random(struct world *w, void *p, size_t n)
{
	unsigned char *o = p;

	for (size_t i = 0; i < n; i++)
		o[i] = (unsigned char)splitmix(&sim_of(w)->random_proxy);
}

static bool
same_place(const struct endpoint *a, const struct endpoint *b)
{
	if (a->addr.family == ADDR_UNIX || b->addr.family == ADDR_UNIX)
		return a->addr.family == b->addr.family && strcmp(a->path, b->path) == 0;
	return addr_eq(&a->addr, &b->addr) && a->port == b->port;
}

static int
world_connect(struct world *w, const struct endpoint *to, const char **why)
{
	struct sim *s = sim_of(w);

	for (struct sim_place *p = s->places; p != NULL; p = p->next)
		if (same_place(&p->at, to))
			return p->dial(p->arg, why);
	*why = "connection refused";
	return -1;
}

static int
full_file(void)
{
	return open("/dev/full", O_RDWR | O_CLOEXEC);
}

/* It takes what is written, and cannot be read: EBADF, for pread() and sendfile() alike. */
static int
deaf_file(void)
{
	int  fd = memfd_create("spool", MFD_CLOEXEC), to_write;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	to_write = open(path, O_WRONLY | O_CLOEXEC);
	close(fd);
	return to_write;
}

static int
world_spool(struct world *w, const char *dir)
{
	(void)dir;
	if (sim_of(w)->disk_full)
		return full_file();
	if (sim_of(w)->disk_unreadable)
		return deaf_file();
	return memfd_create("spool", MFD_CLOEXEC);
}

static void
stamp(struct buf *b, uint64_t clock)
{
	uint64_t ms = clock - SIM_START;

	buf_printf(
	    b, "%5llu.%03llu ", (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000));
}

static void
echo(struct sim *s, size_t from)
{
	if (s->echo != NULL)
		fwrite(s->story.p + from, 1, s->story.n - from, s->echo);
}

static void
world_log(struct world *w, struct strv line)
{
	struct sim *s = sim_of(w);
	size_t      from = s->story.n;

	stamp(&s->log, s->clock);
	buf_add(&s->log, line);
	buf_addc(&s->log, '\n');
	stamp(&s->story, s->clock);
	buf_printf(&s->story, "%-8s %.*s\n", "log", (int)line.n, line.p);
	echo(s, from);
}

static enum file_rc
world_read_file(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	struct sim_file *f = sim_find_file(sim_of(w), strv_z(path));

	if (f == NULL || f->dir)
		return FILE_ABSENT;
	if (f->text.n > max)
		return FILE_TOO_BIG;
	*out = arena_dup(a, buf_view(&f->text));
	return FILE_OK;
}

static enum file_rc
world_file_mode(struct world *w, const char *path, unsigned *mode)
{
	*mode = 0600;
	return sim_find_file(sim_of(w), strv_z(path)) == NULL ? FILE_ABSENT : FILE_OK;
}

static int
by_text(const void *a, const void *b)
{
	return strv_cmp(*(const struct strv *)a, *(const struct strv *)b);
}

static enum file_rc
world_glob(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	unsigned max = 0;

	*out = NULL;
	*n = 0;
	for (struct sim_file *f = sim_of(w)->files; f != NULL; f = f->next) {
		if (f->dir || fnmatch(pattern, f->path, FNM_PATHNAME) != 0)
			continue;
		*out = arena_grow(a, *out, &max, *n + 1, sizeof(**out));
		(*out)[(*n)++] = arena_dup(a, strv_z(f->path));
	}
	if (*n == 0)
		return FILE_ABSENT;
	qsort(*out, *n, sizeof(**out), by_text);
	return FILE_OK;
}

static bool
has_parent(struct sim *s, const char *path)
{
	size_t           n = strv_rchr(strv_z(path), '/');
	struct sim_file *f;

	if (n == 0 || path[n] == '\0')
		return true;
	f = sim_find_file(s, strv(path, n));
	return f != NULL && f->dir;
}

static int
world_create(struct world *w, const char *path, enum file_rc *rc)
{
	struct sim      *s = sim_of(w);
	struct sim_temp *t;

	*rc = FILE_DENIED;
	if (sim_find_file(s, strv_z(path)) != NULL)
		return -1;
	*rc = FILE_ABSENT;
	if (!has_parent(s, path))
		return -1;
	t = mem_alloc(sizeof(*t));
	t->path = strdup(path);
	t->fd = s->disk_full ? full_file() : memfd_create("file", MFD_CLOEXEC);
	t->next = s->temps;
	s->temps = t;
	*rc = FILE_OK;
	return t->fd;
}

/* Forgets a file being written; its descriptor is the proxy's to close. */
static bool
forget_temp(struct sim *s, const char *path)
{
	for (struct sim_temp **p = &s->temps; *p != NULL; p = &(*p)->next) {
		struct sim_temp *t = *p;

		if (strcmp(t->path, path) != 0)
			continue;
		*p = t->next;
		free(t->path);
		mem_free(t);
		return true;
	}
	return false;
}

static struct sim_file *
new_file(struct sim *s, const char *path)
{
	struct sim_file *f = mem_alloc(sizeof(*f));

	f->path = strdup(path);
	buf_init(&f->text, 64u << 20);
	f->next = s->files;
	s->files = f;
	return f;
}

static enum file_rc
world_make_dir(struct world *w, const char *path)
{
	struct sim      *s = sim_of(w);
	struct sim_file *f = sim_find_file(s, strv_z(path));

	if (f != NULL)
		return f->dir ? FILE_OK : FILE_DENIED;
	if (s->disk_full)
		return FILE_FULL;
	f = new_file(s, path);
	f->dir = true;
	return FILE_OK;
}

static enum file_rc
world_commit(struct world *w, int fd, const char *from, const char *to)
{
	struct sim      *s = sim_of(w);
	struct sim_file *f;
	char             part[2048];
	ssize_t          n;
	off_t            at = 0;

	if (s->disk_full)
		return FILE_FULL;
	if (!forget_temp(s, from) || !has_parent(s, to) || sim_find_file(s, strv_z(to)) != NULL)
		return FILE_FAULT;
	f = new_file(s, to);
	f->made = true;
	while ((n = pread(fd, part, sizeof(part), at)) > 0) {
		buf_add(&f->text, strv(part, (size_t)n));
		at += n;
	}
	return FILE_OK;
}

static void
world_unlink(struct world *w, const char *path)
{
	struct sim *s = sim_of(w);

	if (forget_temp(s, path))
		return;
	for (struct sim_file **p = &s->files; *p != NULL; p = &(*p)->next) {
		struct sim_file *f = *p;

		if (strcmp(f->path, path) != 0)
			continue;
		*p = f->next;
		free(f->path);
		buf_fini(&f->text);
		mem_free(f);
		return;
	}
}

static void
world_work(struct world *w, void (*fn)(void *), void (*done)(void *), void *arg)
{
	fn(arg);
	loop_defer(sim_of(w)->loop, done, arg);
}

/* ---- making and ending it ---- */

struct sim *
sim_new(uint64_t seed)
{
	struct sim *s = mem_alloc(sizeof(*s));

	s->world = (struct world){ .now = world_now,
		.wall = world_wall,
		.random = world_random,
		.connect = world_connect,
		.spool = world_spool,
		.log = world_log,
		.read_file = world_read_file,
		.glob = world_glob,
		.create = world_create,
		.make_dir = world_make_dir,
		.commit = world_commit,
		.unlink = world_unlink,
		.work = world_work,
		.file_mode = world_file_mode,
		.ctx = s };
	s->clock = SIM_START;
	s->random_proxy = seed * 2 + 1;
	s->random_actors = seed * 2 + 2;
	splitmix(&s->random_proxy);
	splitmix(&s->random_actors);
	buf_init(&s->log, STORY_MAX);
	buf_init(&s->story, STORY_MAX);
	s->loop = loop_new(&s->world);
	s->dns = sim_dns_new(s);
	return s;
}

static void
bury(struct sim *s, bool all)
{
	for (struct actor **p = &s->actors; *p != NULL;) {
		struct actor *a = *p;

		if (!a->over && !all) {
			p = &a->next;
			continue;
		}
		*p = a->next;
		if (a->fd >= 0)
			close(a->fd);
		a->fd = -1;
		a->free(a);
	}
}

void
sim_free(struct sim *s)
{
	bury(s, true);
	sim_dns_free(s->dns);
	while (s->temps != NULL)
		forget_temp(s, s->temps->path);
	while (s->files != NULL)
		world_unlink(&s->world, s->files->path);
	while (s->places != NULL) {
		struct sim_place *p = s->places;

		s->places = p->next;
		mem_free(p);
	}
	io_batch_stop(s->loop);
	loop_free(s->loop);
	buf_fini(&s->log);
	buf_fini(&s->story);
	mem_free(s);
}

void
sim_actor(struct sim *s, struct actor *a, const char *name)
{
	struct actor **p = &s->actors;

	snprintf(a->name, sizeof(a->name), "%s", name);
	a->sim = s;
	a->again = true;
	while (*p != NULL)
		p = &(*p)->next;
	*p = a;
}

void
sim_place(struct sim *s, const struct endpoint *at, int (*dial)(void *, const char **), void *arg)
{
	struct sim_place *p = mem_alloc(sizeof(*p));

	*p = (struct sim_place){ .at = *at, .dial = dial, .arg = arg, .next = s->places };
	s->places = p;
}

bool
sim_pair(struct sim *s, int fd[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) < 0)
		return false;
	for (int i = 0; i < 2 && s->sndbuf > 0; i++)
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &s->sndbuf, sizeof(s->sndbuf));
	return true;
}

void
sim_write_file(struct sim *s, const char *path, struct strv text)
{
	world_unlink(&s->world, path);
	buf_add(&new_file(s, path)->text, text);
}

struct sim_file *
sim_find_file(struct sim *s, struct strv path)
{
	for (struct sim_file *f = s->files; f != NULL; f = f->next)
		if (strv_eq(strv_z(f->path), path))
			return f;
	return NULL;
}

/* ---- the story ---- */

void
sim_note(struct sim *s, const char *who, const char *fmt, ...)
{
	size_t  from = s->story.n;
	char    line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	stamp(&s->story, s->clock);
	buf_printf(&s->story, "%-8s %s\n", who, line);
	echo(s, from);
}

void
sim_note_octets(struct sim *s, const char *who, const char *mark, struct strv v)
{
	char   line[400];
	size_t o = 0;

	for (size_t i = 0; i < v.n && o < sizeof(line) - 30; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c >= 0x20 && c < 0x7f && c != '\\')
			line[o++] = (char)c;
		else if (c == '\r' || c == '\n')
			o += (size_t)snprintf(line + o, 3, "\\%c", c == '\r' ? 'r' : 'n');
		else
			o += (size_t)snprintf(line + o, 5, "\\x%02x", c);
	}
	line[o] = '\0';
	if (v.n > 120)
		snprintf(line + (o > 100 ? 100 : o), 40, "... (%zu octets)", v.n);
	sim_note(s, who, "%s %s", mark, line);
}

/* ---- running ---- */

static bool
loop_settle(struct sim *s, unsigned *rounds)
{
	bool did = false;

	while (*rounds < ROUNDS_MAX && loop_round(s->loop, false)) {
		++*rounds;
		did = true;
	}
	return did;
}

/* Which actors have something to do: one poll for all of them. */
static unsigned
actors_ready(struct sim *s, struct actor **ready, unsigned max)
{
	static struct pollfd fds[ACTORS_MAX];
	static struct actor *who[ACTORS_MAX];
	unsigned             n = 0, n_ready = 0;
	int                  rc;

	for (struct actor *a = s->actors; a != NULL; a = a->next) {
		short events = (short)((a->deaf ? 0 : POLLIN) | (a->writing ? POLLOUT : 0));

		if (n == ACTORS_MAX)
			abort();
		fds[n] = (struct pollfd){ .fd = events == 0 ? -1 : a->fd, .events = events };
		who[n++] = a;
	}
	do
		rc = poll(fds, n, 0);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		abort();
	for (unsigned i = 0; i < n && n_ready < max; i++)
		if (fds[i].revents != 0 || who[i]->again || who[i]->wake <= s->clock)
			ready[n_ready++] = who[i];
	return n_ready;
}

static bool
actors_act(struct sim *s)
{
	static struct actor *ready[ACTORS_MAX];
	unsigned             n = actors_ready(s, ready, ACTORS_MAX);
	bool                 did = false, skipped = false;

	for (unsigned i = 0; i < n; i++) {
		struct actor *a = ready[i];

		if (s->shuffle && (i + 1 < n || did) && sim_chance(s, 35)) {
			skipped = true;
			continue;
		}
		if (a->wake <= s->clock)
			a->wake = SIM_NEVER;
		a->again = false;
		did |= a->act(a, false);
	}
	bury(s, false);
	return did || skipped;
}

static bool
actors_settled(struct sim *s)
{
	bool did = false;

	for (struct actor *a = s->actors; a != NULL; a = a->next)
		did |= a->act(a, true);
	bury(s, false);
	return did;
}

static uint64_t
next_moment(struct sim *s)
{
	uint64_t at = loop_next_timer(s->loop);

	for (struct actor *a = s->actors; a != NULL; a = a->next) {
		if (a->again)
			return s->clock;
		if (a->wake < at)
			at = a->wake;
	}
	return at;
}

enum sim_rc
sim_run(struct sim *s, bool (*finished)(void *), void *arg, uint64_t until)
{
	unsigned rounds = 0;
	uint64_t at;

	for (;;) {
		bool did = loop_settle(s, &rounds);

		if (rounds++ >= ROUNDS_MAX)
			return SIM_RESTLESS;
		if (actors_act(s) || did)
			continue;
		if (finished(arg))
			return SIM_FINISHED;
		if (actors_settled(s))
			continue;
		if (finished(arg))
			return SIM_FINISHED;
		at = next_moment(s);
		if (at == SIM_NEVER)
			return SIM_STUCK;
		if (at > until)
			return SIM_LATE;
		if (at > s->clock) {
			s->clock = at;
			rounds = 0;
		}
	}
}

const char *
sim_rc_name(enum sim_rc rc)
{
	static const char *const names[] = { "finished", "not finished in time",
		"nothing will ever happen", "the loop never rests" };

	return names[rc];
}

unsigned
sim_count_fds(void)
{
	DIR     *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

/* ---- patterns ---- */

bool
sim_match(struct strv pattern, struct strv text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			mark = t;
		} else if (p < pattern.n && pattern.p[p] == text.p[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++mark;
		} else
			return false;
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}
