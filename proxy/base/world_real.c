/*
 * world_real.c -- the world that is the machine: its clock, its random numbers, its sockets.
 *
 * Its files are those of world_files, its log is log_out's.  Nothing here waits.  The process ignores SIGPIPE
 * (main sees to it).  The invariant: a descriptor made here is closed on exec.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log_out.h"
#include "proxy/base/loop.h"
#include "proxy/base/work.h"
#include "proxy/base/world.h"
#include "proxy/base/world_dns.h"
#include "proxy/base/world_files.h"

enum { RANDOM_BATCH = 4096 - sizeof(unsigned) };

struct random_page { /* a page of its own, which the kernel empties in a child */
	unsigned      left;
	unsigned char b[RANDOM_BATCH];
};

struct real {
	struct world        w;
	struct loop        *loop; /* since world_real_start */
	struct work_thread *work;
	struct random_page *random;
	bool                started;
	struct log_out      log;
	struct log_room     room; /* of the log, unless it has another */
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

static void
real_log(struct world *w, struct strv line)
{
	log_out_line(&real(w)->log, line);
}

static void
real_log_rest(struct world *w, struct log_room *room)
{
	log_out_rest(&real(w)->log, room);
}

/* ---- network --------------------------------------------------------------------------------- */

static int
real_connect(struct world *w, const struct endpoint *to, const char **why)
{
	struct sockaddr_storage sa;
	socklen_t               n = endpoint_to_sockaddr(to, &sa);
	int                     fd, rc, one = 1;
	bool                    full;

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
	/* unix(7) knows no queue of those who would be in the queue. */
	full = errno == EAGAIN && sa.ss_family == AF_UNIX;
	*why = full ? "its queue of connections is full" : strerror(errno);
	close(fd);
	return full ? WORLD_AGAIN : -1;
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
			.connect = real_connect, .log = real_log, .log_rest = real_log_rest, .work = real_work,
			.ctx = &r,
		},
	};

	if (r.random == NULL) {
		r.random = random_page();
		log_out_init(&r.log, &r.w, &r.room);
		world_files_into(&r.w);
	}
	log_out_fd(&r.log, log_fd);
	return &r.w;
}

/* What the parent left, its lines and its thread, stays the parent's. */
void
world_real_start(struct world *w, struct loop *loop)
{
	struct real *r = real(w);

	r->random->left = 0;
	r->started = true;
	r->loop = loop;
	r->work = NULL;
	log_out_start(&r->log, loop);
}

void
world_real_log_room(struct world *w, struct log_room *room)
{
	log_out_room(&real(w)->log, room);
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
	log_out_stop(&r->log);
}

uint64_t
world_real_log_dropped(struct world *w)
{
	return real(w)->log.dropped;
}

void
world_real_log_fd(struct world *w, int fd)
{
	log_out_fd(&real(w)->log, fd);
}
