/*
 * io_lines -- many connections in one loop, with a batch or without, and their peers: for t_io_batch*.
 */
#ifndef TESTS_UNIT_IO_LINES_H
#define TESTS_UNIT_IO_LINES_H

#include <netinet/tcp.h>
#include <signal.h>

#include "tests/unit/io_pair.h"

#define LINES 300 /* more than a batch has places */
#define TEXT  (1024 * 1024)

/* One connection of many, and its peer. */
struct line {
	struct conn c;
	int         peer;
	unsigned    told;            /* how often on_event was called */
	void (*then)(struct line *); /* and what it does */
	struct line *other;
	size_t       given; /* octets of the text that were sent */
	char        *got;   /* what the peer has read */
	size_t       n;
	bool         ended, reset;
};

T_UNUSED static bool        ring;    /* the kernel grants one */
T_UNUSED static bool        batched; /* this time */
T_UNUSED static char       *text;
T_UNUSED static struct line lines[LINES];
T_UNUSED static unsigned    n_jobs, in_round, in_event;

T_UNUSED static void
line_event(void *arg)
{
	struct line *l = arg;

	T_CHECK(in_round > 0 && in_event == 0 && fiber_self() == NULL);
	l->told++;
	in_event++;
	if (l->then != NULL)
		l->then(l);
	in_event--;
}

T_UNUSED static void
pass(unsigned n)
{
	in_round++;
	rounds(n);
	in_round--;
}

T_UNUSED static void
begin(void)
{
	const char *why = "";

	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	n_jobs = 0;
	if (batched)
		T_CHECK(io_batch_start(loop, &why));
}

T_UNUSED static void
end(void)
{
	pass(2);
	io_batch_stop(loop);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
}

T_UNUSED static void
make_pair(bool tcp, int fd[2])
{
	struct sockaddr_in sa;
	int                l, one = 1;

	if (!tcp) {
		T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
		return;
	}
	l = listener(&sa);
	fd[0] = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(connect(fd[0], (struct sockaddr *)&sa, sizeof(sa)) == 0);
	T_CHECK(setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
	fd[1] = accept(l, NULL, NULL);
	close(l);
}

T_UNUSED static void
line_open(struct line *l, bool tcp)
{
	int fd[2] = { -1, -1 };

	make_pair(tcp, fd);
	T_CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fd[1], F_SETFL, O_NONBLOCK) == 0);
	*l = (struct line){ .peer = fd[1] };
	T_CHECK(conn_init(&l->c, loop, fd[0], line_event, l));
}

T_UNUSED static void
line_close(struct line *l)
{
	conn_close(&l->c);
	if (l->peer >= 0)
		close(l->peer);
	l->peer = -1;
	mem_free(l->got);
	l->got = NULL;
}

T_UNUSED static void
open_lines(unsigned n, bool tcp)
{
	begin();
	for (unsigned i = 0; i < n; i++)
		line_open(&lines[i], tcp);
}

T_UNUSED static void
close_lines(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		line_close(&lines[i]);
	end();
}

/* TCP waits long where it has room for less than a segment. */
T_UNUSED static void
small_buffers(struct line *l, bool tcp)
{
	int n = tcp ? 65536 : 4096;

	T_CHECK(setsockopt(l->c.fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n)) == 0);
	T_CHECK(setsockopt(l->peer, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n)) == 0);
}

T_UNUSED static struct strv
next(struct line *l, size_t n)
{
	struct strv v = strv(text + l->given, n);

	l->given += n;
	return v;
}

T_UNUSED static bool
queue(struct line *l, size_t n)
{
	return conn_queue_v(&l->c, next(l, n));
}

#endif
