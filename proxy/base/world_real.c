/*
 * world_real.c -- the world that is the machine: its clock, its random numbers, its sockets and disks.
 *
 * The log is gathered in one buffer and written once a round, by a write that does not block; what
 * finds no room is dropped and counted.  The process ignores SIGPIPE (main sees to it).
 * Nothing here waits but read_file, glob, and commit, which is called on the work thread.
 * The invariant: a file made here is closed on exec and can be read by its owner alone.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/work.h"
#include "proxy/base/world.h"
#include "proxy/base/world_dns.h"

enum {
	LOG_ROOM = 64 * 1024,
	LOG_STAMP = 25,     /* "2024-01-31T23:59:59.999Z " */
	LOG_TELL = 64,      /* "- log dropped=..." */
	LOG_PIECE = 4096,   /* what a pipe takes without blocking once it is writable */
	LOG_LAST_MS = 1000, /* how long the last lines may take at the end */
	RANDOM_BATCH = 4096 - sizeof(unsigned),
	PATH_ROOM = 1024 /* of a spool directory; a fiber's stack is small */
};

struct random_page { /* a page of its own, which the kernel empties in a child */
	unsigned      left;
	unsigned char b[RANDOM_BATCH];
};

enum log_way {
	LOG_WRITE, /* a file, or a descriptor that does not block */
	LOG_SEND,  /* a socket */
	LOG_POLL   /* may block: ask first, then little */
};

struct real {
	struct world        w;
	struct loop        *loop; /* since world_real_start */
	struct work_thread *work;
	struct random_page *random;
	bool                started;
	int                 log_fd, log_own; /* log_own: opened here, or -1 */
	enum log_way        log_way;
	size_t              log_n;
	uint64_t            log_dropped, log_told;
	time_t              stamp_s;
	char                stamp[LOG_STAMP + 1];
	char                log[LOG_ROOM];
};

static struct real *
real(struct world *w)
{
	return w->ctx;
}

/* ---- clock and randomness -------------------------------------------------------------------- */

static uint64_t
real_now(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

/* The kernel's last tick: 15 ns in place of 74 where the clock is a virtual machine's. */
static uint64_t
real_about_now(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static uint64_t
real_wall(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void
random_get(unsigned char *p, size_t n)
{
	ssize_t r;

	while (n > 0) {
		r = getrandom(p, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		assert(r > 0);
		p += r;
		n -= (size_t)r;
	}
}

/* What was handed out is wiped: ids must not tell keys. */
static void
real_random(struct world *w, void *p, size_t n)
{
	struct random_page *r = real(w)->random;
	unsigned char      *from;

	if (n > RANDOM_BATCH / 4) {
		random_get(p, n);
		return;
	}
	if (r->left < n) {
		random_get(r->b, sizeof(r->b));
		r->left = sizeof(r->b);
	}
	from = r->b + sizeof(r->b) - r->left;
	memcpy(p, from, n);
	explicit_bzero(from, n);
	r->left -= (unsigned)n;
}

static struct random_page *
random_page(void)
{
	struct random_page *r = mmap(
	    NULL, sizeof(*r), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert(r != MAP_FAILED);
	/* where the kernel cannot, world_real_start does it for a worker */
	(void)madvise(r, sizeof(*r), MADV_WIPEONFORK);
	return r;
}

/* ---- the log --------------------------------------------------------------------------------- */

static ssize_t
log_write_some(struct real *r, size_t n)
{
	struct pollfd pfd = { r->log_fd, POLLOUT, 0 };

	if (r->log_way == LOG_SEND)
		return send(r->log_fd, r->log, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r->log_way == LOG_POLL) {
		if (poll(&pfd, 1, 0) != 1) {
			errno = EAGAIN;
			return -1;
		}
		if (n > LOG_PIECE)
			n = LOG_PIECE;
	}
	return write(r->log_fd, r->log, n);
}

static void
log_lose(struct real *r)
{
	for (size_t i = 0; i < r->log_n; i++)
		r->log_dropped += r->log[i] == '\n';
	r->log_n = 0;
}

/* One write; what it leaves waits for the next round. */
static void
log_flush(void *arg)
{
	struct real *r = arg;
	ssize_t      n;

	if (r->log_n == 0)
		return;
	n = log_write_some(r, r->log_n);
	if (n >= 0) {
		r->log_n -= (size_t)n;
		memmove(r->log, r->log + n, r->log_n);
	} else if (errno != EAGAIN && errno != EINTR)
		log_lose(r);
}

/* RFC 3339, UTC. The part down to seconds is made once a second. */
static void
log_stamp(struct real *r)
{
	uint64_t  us = r->w.wall(&r->w);
	time_t    s = (time_t)(us / 1000000);
	unsigned  ms = (unsigned)(us / 1000 % 1000);
	struct tm tm;

	if (s != r->stamp_s) {
		gmtime_r(&s, &tm);
		strftime(r->stamp, sizeof(r->stamp), "%Y-%m-%dT%H:%M:%S.000Z ", &tm);
		r->stamp_s = s;
	}
	r->stamp[20] = (char)('0' + ms / 100);
	r->stamp[21] = (char)('0' + ms / 10 % 10);
	r->stamp[22] = (char)('0' + ms % 10);
}

static bool
log_has_room(struct real *r, size_t n)
{
	if (n > LOG_ROOM - r->log_n)
		log_flush(r);
	return n <= LOG_ROOM - r->log_n;
}

static void
log_append(struct real *r, struct strv line)
{
	char *to = r->log + r->log_n;

	log_stamp(r);
	memcpy(to, r->stamp, LOG_STAMP);
	memcpy(to + LOG_STAMP, line.p, line.n);
	to[LOG_STAMP + line.n] = '\n';
	r->log_n += LOG_STAMP + line.n + 1;
}

/* When lines go in again, the first says how many did not. */
static void
log_tell(struct real *r)
{
	char text[LOG_TELL];
	int  n = snprintf(text, sizeof(text), "- log dropped=%llu",
	     (unsigned long long)(r->log_dropped - r->log_told));

	log_append(r, strv(text, (size_t)n));
	r->log_told = r->log_dropped;
}

static void
real_log(struct world *w, struct strv line)
{
	struct real *r = real(w);
	bool         tell = r->log_dropped != r->log_told;

	if (r->log_fd < 0)
		return;
	if (!log_has_room(r, LOG_STAMP + line.n + 1 + (tell ? LOG_STAMP + LOG_TELL : 0))) {
		r->log_dropped++;
		return;
	}
	if (tell)
		log_tell(r);
	log_append(r, line);
	if (!r->started)
		log_flush(r);
}

/*
 * O_NONBLOCK belongs to the open file, which others may share (a terminal, the pipe of a whole
 * pipeline): so a pipe or terminal is opened once more, for us alone.
 */
static void
log_set_fd(struct real *r, int fd)
{
	char        path[32];
	struct stat st;

	if (r->log_own >= 0)
		close(r->log_own);
	r->log_fd = fd;
	r->log_own = -1;
	r->log_way = LOG_WRITE;
	if (fd < 0 || fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		r->log_way = LOG_SEND;
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r->log_own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (r->log_own >= 0)
		r->log_fd = r->log_own;
	else
		r->log_way = LOG_POLL;
}

static void
log_finish(struct real *r)
{
	struct pollfd pfd = { r->log_fd, POLLOUT, 0 };
	uint64_t      end = real_now(&r->w) + LOG_LAST_MS, now;

	while (r->log_n > 0 && (now = real_now(&r->w)) < end && poll(&pfd, 1, (int)(end - now)) > 0)
		log_flush(r);
}

/* ---- network --------------------------------------------------------------------------------- */

static int
real_connect(struct world *w, const struct endpoint *to, const char **why)
{
	struct sockaddr_storage sa;
	socklen_t               n = endpoint_to_sockaddr(to, &sa);
	int                     fd, rc, one = 1;

	(void)w;
	if (n == 0) {
		*why = "not an address to connect to";
		return -1;
	}
	fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*why = strerror(errno);
		return -1;
	}
	if (sa.ss_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	do
		rc = connect(fd, (const struct sockaddr *)&sa, n);
	while (rc < 0 && errno == EINTR);
	if (rc == 0 || errno == EINPROGRESS)
		return fd;
	*why = strerror(errno);
	close(fd);
	return -1;
}

/* ---- files ----------------------------------------------------------------------------------- */

const char *
file_rc_name(enum file_rc rc)
{
	static const char *const names[] = {
		[FILE_OK] = "ok",
		[FILE_ABSENT] = "no such file or directory",
		[FILE_DENIED] = "permission denied",
		[FILE_FULL] = "no space left",
		[FILE_TOO_BIG] = "too big",
		[FILE_FAULT] = "input/output fault",
	};

	return names[rc];
}

static enum file_rc
file_rc(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return FILE_ABSENT;
	case EACCES:
	case EPERM:
	case EROFS:
		return FILE_DENIED;
	case ENOSPC:
	case EDQUOT:
		return FILE_FULL;
	case EFBIG:
		return FILE_TOO_BIG;
	default:
		return FILE_FAULT;
	}
}

static int
spool_unlinked(const char *dir)
{
	char path[PATH_ROOM];
	int  n = snprintf(path, sizeof(path), "%s/postern.XXXXXX", dir), fd;

	if (n < 0 || (size_t)n >= sizeof(path) || (fd = mkostemp(path, O_CLOEXEC)) < 0)
		return -1;
	(void)unlink(path);
	return fd;
}

static int
real_spool(struct world *w, const char *dir)
{
	int fd;

	(void)w;
	if (dir == NULL || dir[0] == '\0')
		dir = access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
	fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : spool_unlinked(dir);
}

/* Reads to the end whatever it is, a pipe as well: fstat's size is only where to begin. */
static enum file_rc
read_all(struct arena *a, int fd, size_t room, size_t max, struct strv *out)
{
	char   *p = arena_bytes(a, room + 1), *bigger;
	size_t  n = 0;
	ssize_t r;

	while ((r = read(fd, p + n, room + 1 - n)) != 0) {
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return file_rc(errno);
		if ((n += (size_t)r) <= room)
			continue;
		if (n > max)
			return FILE_TOO_BIG;
		room = room > max / 2 ? max : 2 * room;
		bigger = arena_bytes(a, room + 1);
		memcpy(bigger, p, n);
		p = bigger;
	}
	*out = strv(p, n);
	return FILE_OK;
}

static enum file_rc
real_read_file(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	int          fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	enum file_rc rc = FILE_FAULT;
	struct stat  st;
	size_t       room = 4096;

	(void)w;
	if (fd < 0)
		return file_rc(errno);
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode)) {
		if (st.st_size > (off_t)room)
			room = (size_t)st.st_size;
		if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max)
			rc = FILE_TOO_BIG;
		else
			rc = read_all(a, fd, room < max ? room : max, max, out);
	}
	close(fd);
	return rc;
}

static enum file_rc
real_file_mode(struct world *w, const char *path, unsigned *mode)
{
	struct stat st;

	(void)w;
	if (stat(path, &st) < 0)
		return file_rc(errno);
	*mode = st.st_mode & 0777;
	return FILE_OK;
}

static enum file_rc
real_glob(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	glob_t g = { 0 };
	int    rc = glob(pattern, GLOB_ERR, NULL, &g);

	(void)w;
	*out = NULL;
	*n = 0;
	if (rc == 0) {
		*n = (unsigned)g.gl_pathc;
		*out = arena_array(a, *n, sizeof(**out));
		for (unsigned i = 0; i < *n; i++)
			(*out)[i] = arena_dup(a, strv_z(g.gl_pathv[i]));
	}
	globfree(&g);
	return rc == 0 ? FILE_OK : rc == GLOB_NOMATCH ? FILE_ABSENT : FILE_FAULT;
}

static int
real_create(struct world *w, const char *path, enum file_rc *rc)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)w;
	*rc = fd < 0 ? file_rc(errno) : FILE_OK;
	return fd;
}

static enum file_rc
real_make_dir(struct world *w, const char *path)
{
	struct stat st;

	(void)w;
	if (mkdir(path, 0700) == 0)
		return FILE_OK;
	if (errno == EEXIST)
		return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? FILE_OK : FILE_FAULT;
	return file_rc(errno);
}

/* A name that is taken stays as it is. */
static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to) != 0)
		return -1;
	(void)unlink(from);
	return 0;
}

static int
sync_dir_of(const char *path)
{
	size_t n = strlen(path);
	char  *copy = mem_alloc(n + 1);
	int    fd, rc;

	memcpy(copy, path, n);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mem_free(copy);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static enum file_rc
real_commit(struct world *w, int fd, const char *from, const char *to)
{
	int error;

	(void)w;
	if (fsync(fd) != 0 || rename_new(from, to) != 0)
		return file_rc(errno);
	if (sync_dir_of(to) == 0)
		return FILE_OK;
	error = errno;
	(void)unlink(to);
	return file_rc(error);
}

static void
real_unlink(struct world *w, const char *path)
{
	(void)w;
	(void)unlink(path);
}

/* ---- work, and the world itself -------------------------------------------------------------- */

static void
real_work(struct world *w, void (*fn)(void *arg), void (*done)(void *arg), void *arg)
{
	struct real *r = real(w);

	/* Not before it is wanted: in a process of one thread each system call on a descriptor costs less. */
	if (r->work == NULL && r->started)
		r->work = work_start(r->loop);
	if (r->work != NULL) {
		work_submit(r->work, fn, done, arg);
		return;
	}
	fn(arg);
	done(arg);
}

struct world *
world_real(int log_fd)
{
	static struct real r = {
		.w = {
			.now = real_now, .about_now = real_about_now, .wall = real_wall, .random = real_random,
			.connect = real_connect, .spool = real_spool, .log = real_log,
			.read_file = real_read_file, .glob = real_glob,
			.create = real_create, .make_dir = real_make_dir,
			.commit = real_commit, .unlink = real_unlink, .work = real_work,
			.file_mode = real_file_mode,
			.ctx = &r,
		},
		.log_own = -1,
	};

	if (r.random == NULL)
		r.random = random_page();
	log_set_fd(&r, log_fd);
	return &r.w;
}

/* What the parent left, its lines and its thread, stays the parent's. */
void
world_real_start(struct world *w, struct loop *loop)
{
	struct real *r = real(w);

	r->random->left = 0;
	r->log_n = 0;
	r->started = true;
	r->loop = loop;
	r->work = NULL;
	loop_at_round_end(loop, log_flush, r);
}

bool
world_real_dns(struct world *w, const struct resolver_conf *conf, const char **why)
{
	return world_dns_open(w, real(w)->loop, conf, why);
}

void
world_real_stop(struct world *w)
{
	struct real *r = real(w);

	world_dns_close(w);
	if (r->work != NULL)
		work_stop(r->work);
	r->work = NULL;
	r->started = false;
	log_finish(r);
}

uint64_t
world_real_log_dropped(struct world *w)
{
	return real(w)->log_dropped;
}

void
world_real_log_fd(struct world *w, int fd)
{
	log_finish(real(w));
	log_set_fd(real(w), fd);
}
