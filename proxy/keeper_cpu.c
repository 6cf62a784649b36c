/*
 * keeper_cpu -- see keeper_cpu.h.
 *
 * What a process has used in all tells nothing: a plugin on a busy machine may well have several cores.  But a
 * thread of libmilter that serves waits for its peer at each command, and one that hangs in a loop waits for nothing.
 */
#include "proxy/keeper_cpu.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MARGIN 60 /* seconds a core: between two looks no process comes near */

bool
cpu_round(struct cpu_thread *t, uint64_t ticks, uint64_t waits, uint64_t hz)
{
	bool computing = ticks - t->ticks >= hz * CPU_EVERY_MS / 10000 && waits == t->waits;

	t->rounds = computing ? t->rounds + 1 : 0;
	t->ticks = ticks;
	t->waits = waits;
	return t->rounds >= CPU_ROUNDS;
}

/* ---- /proc ----------------------------------------------------------------------------------- */

static bool
read_text(char *text, size_t max, const char *path)
{
	int     fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, text, max - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* utime and stime, the 14th and 15th word; the second, in brackets, may hold anything. */
static bool
read_ticks(const char *path, uint64_t *out)
{
	char        text[1024];
	const char *at;
	char       *end;

	if (!read_text(text, sizeof(text), path) || (at = strrchr(text, ')')) == NULL)
		return false;
	for (int i = 0; i < 12 && at != NULL; i++)
		at = strchr(at + 1, ' ');
	if (at == NULL)
		return false;
	*out = strtoull(at, &end, 10);
	*out += strtoull(end, NULL, 10);
	return true;
}

static bool
read_waits(const char *path, uint64_t *out)
{
	static const char key[] = "\nvoluntary_ctxt_switches:";
	static char       text[4096];
	const char       *at;

	if (!read_text(text, sizeof(text), path) || (at = strstr(text, key)) == NULL)
		return false;
	*out = strtoull(at + sizeof(key) - 1, NULL, 10);
	return true;
}

/* ---- looking --------------------------------------------------------------------------------- */

static struct cpu_thread *
thread_of(struct cpu_watch *c, pid_t tid)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->v[i].tid == tid)
			return &c->v[i];
	if (c->n == CPU_THREADS)
		return NULL;
	c->v[c->n] = (struct cpu_thread){ .tid = tid };
	return &c->v[c->n++];
}

static bool
look_at(struct cpu_thread *t, pid_t pid, uint64_t hz)
{
	uint64_t ticks, waits;
	char     path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)t->tid);
	if (!read_ticks(path, &ticks))
		return false;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)t->tid);
	return read_waits(path, &waits) && cpu_round(t, ticks, waits, hz);
}

/* Threads that are no more make room. */
static void
forget_old(struct cpu_watch *c, const bool *seen)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->n; i++)
		if (seen[i])
			c->v[kept++] = c->v[i];
	c->n = kept;
}

static bool
look_at_all(struct cpu_watch *c, pid_t pid, uint64_t hz)
{
	bool           seen[CPU_THREADS] = { false }, found = false;
	char           path[64];
	struct dirent *e;
	DIR           *d;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	d = opendir(path);
	if (d == NULL)
		return false;
	while ((e = readdir(d)) != NULL) {
		pid_t              tid = (pid_t)strtol(e->d_name, NULL, 10);
		struct cpu_thread *t = tid > 0 ? thread_of(c, tid) : NULL;

		if (t == NULL)
			continue;
		seen[t - c->v] = true;
		found = look_at(t, pid, hz) || found;
	}
	closedir(d);
	forget_old(c, seen);
	return found;
}

static void
move_limit(pid_t pid, rlim_t to)
{
	struct rlimit r;

	if (prlimit(pid, RLIMIT_CPU, NULL, &r) < 0)
		return;
	r.rlim_cur = to < r.rlim_max ? to : r.rlim_max;
	(void)prlimit(pid, RLIMIT_CPU, &r, NULL);
}

bool
cpu_look(struct cpu_watch *c, pid_t pid)
{
	long     hz = sysconf(_SC_CLK_TCK), cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t used;
	char     path[64];
	bool     away;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (hz <= 0 || !read_ticks(path, &used)) {
		/* Nobody can tell what it has used: then no limit is right. */
		move_limit(pid, RLIM_INFINITY);
		return false;
	}
	away = look_at_all(c, pid, (uint64_t)hz);
	used /= (uint64_t)hz;
	move_limit(pid, away ? used : used + MARGIN * (rlim_t)(cores > 0 ? cores : 1));
	return away;
}
