/*
 * t_io -- connections over socketpairs and TCP loopback: edges, ends, faults, connecting, closing.
 */
#include "tests/unit/io_pair.h"

/* ---- reading --------------------------------------------------------------------------------- */

static void
read_once_per_readiness(void)
{
	char   b[16];
	size_t got;

	setup();
	rounds(2);
	T_EQ_NUM(events, 0);
	T_CHECK(!conn.readable);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_AGAIN);
	T_EQ_NUM(write(peer, "hello", 5), 5);
	rounds(1);
	T_EQ_NUM(events, 1);
	T_CHECK(conn.readable);
	rounds(2);
	T_EQ_NUM(events, 1); /* an edge comes once */
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("hello"));
	T_CHECK(!conn.readable);
	T_EQ_NUM(write(peer, "more", 4), 4);
	rounds(1);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("more"));
	teardown();
}

static void
full_read_stays_readable(void)
{
	char   b[4];
	size_t got;

	setup();
	T_EQ_NUM(write(peer, "12345678", 8), 8);
	rounds(1);
	T_EQ_NUM(conn_recv(&conn, b, 4, &got), IO_OK);
	T_CHECK(got == 4 && conn.readable);
	T_EQ_NUM(conn_recv(&conn, b, 4, &got), IO_OK);
	T_CHECK(got == 4 && conn.readable);
	T_EQ_NUM(conn_recv(&conn, b, 4, &got), IO_AGAIN);
	T_CHECK(!conn.readable);
	teardown();
}

static void
octets_before_the_end_are_read_first(void)
{
	char   b[16];
	size_t got;

	setup();
	T_EQ_NUM(write(peer, "last words", 10), 10);
	T_CHECK(shutdown(peer, SHUT_WR) == 0);
	rounds(1);
	T_CHECK(conn.eof && conn.readable && !conn.fault);
	T_EQ_NUM(events, 1);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("last words"));
	T_CHECK(conn.readable); /* no event will come for the end */
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_EOF);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_EOF);
	T_CHECK(!conn.fault);
	teardown();
}

/* A half-closed client is still answered. */
static void
half_closed_peer_can_be_answered(void)
{
	char b[16];

	setup();
	T_CHECK(shutdown(peer, SHUT_WR) == 0);
	rounds(1);
	T_EQ_NUM(conn_peek(&conn), 0);
	T_CHECK(conn_queue_v(&conn, SV("answer")));
	T_EQ_NUM(read(peer, b, sizeof(b)), 6);
	teardown();
}

static void
end_that_comes_after_a_short_read_is_an_event(void)
{
	char   b[16];
	size_t got;

	setup_tcp();
	T_EQ_NUM(write(peer, "x", 1), 1);
	rounds(1);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_CHECK(!conn.readable && events == 1);
	T_CHECK(shutdown(peer, SHUT_WR) == 0);
	rounds(1);
	T_CHECK(conn.eof && conn.readable && events == 2);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_EOF);
	teardown();
}

static void
reset_is_a_fault_not_an_end(void)
{
	char   b[16];
	size_t got;

	setup_tcp();
	reset_peer();
	rounds(1);
	T_EQ_NUM(events, 1);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_FAULT);
	T_CHECK(conn.fault);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_FAULT);
	T_CHECK(!conn_queue_v(&conn, SV("x")));
	teardown();
}

static const struct peek_case {
	const char *name;
	bool        octets, half, reset;
	int         want;
} peeks[] = {
	{ "there", false, false, false, 1 },
	{ "there, octets wait", true, false, false, 1 },
	{ "half-closed", false, true, false, 0 },
	{ "half-closed behind octets", true, true, false, 0 },
	{ "reset", false, false, true, -1 },
	{ "reset behind octets", true, false, true, -1 },
};

static void
peek_sees_behind_octets_that_wait(void)
{
	char   b[4];
	size_t got;

	T_TABLE(struct peek_case, c, peeks)
	{
		t_row = c->name;
		setup_tcp();
		if (c->octets)
			T_EQ_NUM(write(peer, "abc", 3), 3);
		if (c->half)
			T_CHECK(shutdown(peer, SHUT_WR) == 0);
		if (c->reset)
			reset_peer();
		T_EQ_NUM(conn_peek(&conn), c->want);
		T_CHECK(conn.fault == c->reset && conn.eof == c->half);
		rounds(1);
		if (c->octets && !c->reset) {
			T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
			T_EQ_STRV(strv(b, got), SV("abc"));
		}
		teardown();
	}
}

/* ---- fibers that read ------------------------------------------------------------------------ */

static void
waiting_fiber_gets_octets_and_end(void)
{
	struct reader r = { 0 };

	setup();
	fiber_start(pool, "r", read_all, &r);
	for (unsigned i = 0; i < 5; i++) {
		T_EQ_NUM(write(peer, "ab", 2), 2);
		rounds(1);
	}
	T_EQ_STRV(strv(r.text, r.n), SV("ababababab"));
	T_EQ_NUM(events, 0); /* the fiber was woken instead */
	T_CHECK(shutdown(peer, SHUT_WR) == 0);
	rounds(1);
	T_CHECK(r.over && r.io == IO_EOF);
	teardown();
}

static void
waiting_fiber_times_out(void)
{
	struct reader r = { .deadline = clock_ms + 50 };

	setup();
	fiber_start(pool, "r", read_all, &r);
	clock_ms += 49;
	rounds(1);
	T_CHECK(!r.over);
	clock_ms += 1;
	rounds(1);
	T_CHECK(r.over && r.rc[0] == WAIT_TIMEOUT);
	T_CHECK(conn.reader == NULL);
	teardown();
}

static void
close_wakes_the_one_who_waits(void)
{
	struct reader r = { 0 };
	struct conn  *c = &conn;

	setup();
	fiber_start(pool, "r", read_all, &r);
	T_CHECK(conn.reader != NULL);
	conn_close(c);
	memset(c, 0xa5, sizeof(*c)); /* its owner may free it now */
	rounds(1);
	T_CHECK(r.over && r.waits == 1 && r.rc[0] == WAIT_CLOSED);
	c->fd = -1;
	teardown();
}

static void
read_for_ever(void *arg)
{
	unsigned *reads = arg;
	char      b[16];
	size_t    got;

	while (*reads < 100000 && conn_wait(&conn, 0) == WAIT_OK &&
	    conn_recv(&conn, b, 1, &got) == IO_OK)
		++*reads;
}

/* A peer that sends faster than we read does not keep the loop. */
static void
reader_lets_others_run(void)
{
	unsigned reads = 0;
	char    *p = pattern(10000);

	setup();
	T_EQ_NUM(write(peer, p, 10000), 10000);
	rounds(1);
	fiber_start(pool, "r", read_for_ever, &reads);
	T_CHECKF(reads > 0 && reads < 100, "%u reads before others could run", reads);
	rounds(2000);
	T_EQ_NUM(reads, 10000);
	close(peer);
	peer = -1;
	rounds(1);
	mem_free(p);
	teardown();
}

/* Octets, and the reset behind them, in one event: there is no second one to wait for. */
static void
reset_behind_octets_ends_a_wait(void)
{
	struct reader r = { 0 };

	setup_tcp();
	fiber_start(pool, "r", read_all, &r);
	T_EQ_NUM(write(peer, "421-", 4), 4);
	reset_peer();
	rounds(2);
	T_EQ_STRV(strv(r.text, r.n), SV("421-"));
	T_CHECK(r.over && r.io == IO_FAULT);
	teardown();
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void
connect_then_note(void *arg)
{
	struct writer *w = arg;

	w->self = fiber_self();
	w->rc = (int)conn_connected(&conn, w->deadline);
	w->over = true;
}

static void
dial(int fd)
{
	const char *why = NULL;

	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	events = 0;
	peer = -1;
	dial_fd = fd;
	T_CHECK(conn_dial(&conn, loop, &(struct endpoint){ 0 }, on_event, &conn, &why));
}

static int
connecting_socket(const struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	T_CHECK(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EINPROGRESS);
	return fd;
}

static void
connection_is_made(void)
{
	struct sockaddr_in sa;
	int                l = listener(&sa);
	struct writer      w = { 0 };
	char               b[16];

	dial(connecting_socket(&sa));
	T_CHECK(conn.connecting);
	T_CHECK(conn_queue_v(&conn, SV("early")));
	T_EQ_NUM(conn_unsent(&conn), 5);
	fiber_start(pool, "c", connect_then_note, &w);
	T_CHECK(!w.over);
	rounds(2);
	T_CHECK(w.over && w.rc == WAIT_OK && !conn.connecting && events == 0);
	peer = accept(l, NULL, NULL);
	T_EQ_NUM(read(peer, b, sizeof(b)), 5);
	T_EQ_NUM(conn_unsent(&conn), 0);
	close(l);
	teardown();
}

static void
refused_connection_is_a_fault(void)
{
	struct sockaddr_in sa;
	int                l = listener(&sa);
	struct writer      w = { 0 };
	size_t             got;
	char               b[4];

	close(l);
	dial(connecting_socket(&sa));
	fiber_start(pool, "c", connect_then_note, &w);
	rounds(2);
	T_CHECK(w.over && w.rc == WAIT_CLOSED && conn.fault);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_FAULT);
	teardown();
	dial(connecting_socket(&sa));
	rounds(2);
	T_CHECK(events >= 1 && conn.fault); /* nobody waited: the owner hears of it */
	teardown();
}

static void
dial_that_fails_leaves_nothing(void)
{
	const char *why = NULL;

	loop = loop_new(&fake);
	dial_fd = -1;
	T_CHECK(!conn_dial(&conn, loop, &(struct endpoint){ 0 }, NULL, NULL, &why));
	T_EQ_STR(why, "nobody is there");
	conn_close(&conn);
	conn = (struct conn){ 0 };
	conn_close(&conn); /* all zero: nothing to close */
	T_CHECK(fcntl(0, F_GETFD) >= 0 || errno == EBADF);
	loop_free(loop);
}

/* ---- closing --------------------------------------------------------------------------------- */

static struct conn *owned;
static unsigned     owner_called;

static void
close_and_free(void *arg)
{
	owner_called++;
	conn_close(arg);
	mem_free(arg);
	owned = NULL;
}

static void
owner_may_free_the_connection_in_its_event(void)
{
	int fd[2];

	loop = loop_new(&fake);
	owner_called = 0;
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	owned = mem_alloc(sizeof(*owned));
	T_CHECK(conn_init(owned, loop, fd[0], close_and_free, owned));
	T_EQ_NUM(write(fd[1], "x", 1), 1);
	close(fd[1]);
	rounds(3);
	T_CHECK(owned == NULL && owner_called == 1);
	loop_free(loop);
}

static void
abort_sends_a_reset(void)
{
	char b[4];

	setup_tcp();
	conn_abort(&conn);
	conn_abort(&conn);
	T_CHECK(read(peer, b, sizeof(b)) == -1 && errno == ECONNRESET);
	T_EQ_NUM(conn.fd, -1);
	teardown();
}

static void
init_closes_what_the_loop_refuses(void)
{
	char name[] = "/tmp/t_io.XXXXXX";
	int  fd = mkstemp(name);

	loop = loop_new(&fake);
	T_CHECK(unlink(name) == 0);
	T_CHECK(!conn_init(&conn, loop, fd, NULL, NULL)); /* epoll takes no plain files */
	T_CHECK(conn.fd == -1 && fcntl(fd, F_GETFD) == -1);
	loop_free(loop);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(read_once_per_readiness);
	T_RUN(full_read_stays_readable);
	T_RUN(octets_before_the_end_are_read_first);
	T_RUN(half_closed_peer_can_be_answered);
	T_RUN(end_that_comes_after_a_short_read_is_an_event);
	T_RUN(reset_is_a_fault_not_an_end);
	T_RUN(peek_sees_behind_octets_that_wait);
	T_RUN(waiting_fiber_gets_octets_and_end);
	T_RUN(waiting_fiber_times_out);
	T_RUN(close_wakes_the_one_who_waits);
	T_RUN(reader_lets_others_run);
	T_RUN(reset_behind_octets_ends_a_wait);
	T_RUN(connection_is_made);
	T_RUN(refused_connection_is_a_fault);
	T_RUN(dial_that_fails_leaves_nothing);
	T_RUN(owner_may_free_the_connection_in_its_event);
	T_RUN(abort_sends_a_reset);
	T_RUN(init_closes_what_the_loop_refuses);
	return t_end();
}
