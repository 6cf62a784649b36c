/*
 * io_pair -- one connection under test and the bare descriptor of its peer, for t_io and t_io_write; and what io_lines needs.
 */
#ifndef TESTS_UNIT_IO_PAIR_H
#define TESTS_UNIT_IO_PAIR_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/io.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static uint64_t clock_ms = 1000;

T_UNUSED static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

T_UNUSED static int dial_fd; /* what the next connect gives, -1: refuses */

T_UNUSED static int
fake_connect(struct world *w, const struct endpoint *to, const char **why)
{
	(void)w, (void)to;
	*why = "nobody is there";
	return dial_fd;
}

T_UNUSED static struct world       fake = { .now = fake_now, .connect = fake_connect };
T_UNUSED static struct loop       *loop;
T_UNUSED static struct fiber_pool *pool;

/* One connection under test, `peer` is the bare descriptor of the other side. */
T_UNUSED static struct conn conn;
T_UNUSED static int         peer;
T_UNUSED static unsigned    events;

T_UNUSED static void
on_event(void *arg)
{
	T_CHECK(arg == &conn);
	T_CHECK(fiber_self() == NULL);
	events++;
}

T_UNUSED static void
setup_fd(int fd, int other)
{
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	events = 0;
	peer = other;
	T_CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(other, F_SETFL, O_NONBLOCK) == 0);
	T_CHECK(conn_init(&conn, loop, fd, on_event, &conn));
}

T_UNUSED static void
setup(void)
{
	int fd[2];

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	setup_fd(fd[0], fd[1]);
}

T_UNUSED static int
listener(struct sockaddr_in *sa)
{
	int       fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t n = sizeof(*sa);

	*sa = (struct sockaddr_in){ .sin_family = AF_INET };
	sa->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK(bind(fd, (struct sockaddr *)sa, sizeof(*sa)) == 0 && listen(fd, 5) == 0);
	T_CHECK(getsockname(fd, (struct sockaddr *)sa, &n) == 0);
	return fd;
}

T_UNUSED static void
setup_tcp(void)
{
	struct sockaddr_in sa;
	int                l = listener(&sa), fd = socket(AF_INET, SOCK_STREAM, 0);

	T_CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	setup_fd(fd, accept(l, NULL, NULL));
	close(l);
}

T_UNUSED static void
rounds(unsigned n)
{
	while (n-- > 0)
		loop_round(loop, false);
}

T_UNUSED static void
teardown(void)
{
	conn_close(&conn);
	if (peer >= 0)
		close(peer);
	rounds(2);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
}

T_UNUSED static void
reset_peer(void)
{
	struct linger now = { 1, 0 };

	T_CHECK(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	close(peer);
	peer = -1;
}

/* Text in which every octet tells its place. */
T_UNUSED static char *
pattern(size_t n)
{
	char *p = mem_alloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff);
	return p;
}

/* A fiber that reads. */
struct reader {
	uint64_t   deadline;
	int        waits, rc[64];
	size_t     n;
	char       text[256];
	enum io_rc io;
	bool       over;
};

T_UNUSED static void
read_all(void *arg)
{
	struct reader *r = arg;
	size_t         got;

	r->io = IO_AGAIN;
	while (
	    r->waits < 64 && (r->rc[r->waits++] = (int)conn_wait(&conn, r->deadline)) == WAIT_OK) {
		r->io = conn_recv(&conn, r->text + r->n, sizeof(r->text) - r->n, &got);
		r->n += got;
		if (r->io != IO_OK && r->io != IO_AGAIN)
			break;
	}
	r->over = true;
}

/* A fiber that writes. */
struct writer {
	struct iovec  v[3];
	unsigned      n;
	uint64_t      deadline;
	int           rc;
	bool          over;
	struct fiber *self;
	int           file;
	uint64_t      at, octets;
};

T_UNUSED static void
send_all(void *arg)
{
	struct writer *w = arg;

	w->self = fiber_self();
	w->rc = (int)conn_send(&conn, w->v, w->n, w->deadline);
	w->over = true;
}

#endif
