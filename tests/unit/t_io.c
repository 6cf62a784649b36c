/*
 * t_io -- connections over socketpairs and TCP loopback: edges, short writes, ends, faults, closing.
 */
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

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static int dial_fd; /* what the next connect gives, -1: refuses */

static int
fake_connect(struct world *w, const struct endpoint *to, const char **why)
{
	(void)w, (void)to;
	*why = "nobody is there";
	return dial_fd;
}

static struct world       fake = { .now = fake_now, .connect = fake_connect };
static struct loop       *loop;
static struct fiber_pool *pool;

/* One connection under test, `peer` is the bare descriptor of the other side. */
static struct conn conn;
static int         peer;
static unsigned    events;

static void
on_event(void *arg)
{
	T_CHECK(arg == &conn);
	T_CHECK(fiber_self() == NULL);
	events++;
}

static void
setup_fd(int fd, int other)
{
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	events = 0;
	peer = other;
	T_CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0 && fcntl(other, F_SETFL, O_NONBLOCK) == 0);
	T_CHECK(conn_init(&conn, loop, fd, on_event, &conn));
}

static void
setup(void)
{
	int fd[2];

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	setup_fd(fd[0], fd[1]);
}

static int
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

static void
setup_tcp(void)
{
	struct sockaddr_in sa;
	int                l = listener(&sa), fd = socket(AF_INET, SOCK_STREAM, 0);

	T_CHECK(connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	setup_fd(fd, accept(l, NULL, NULL));
	close(l);
}

static void
rounds(unsigned n)
{
	while (n-- > 0)
		loop_round(loop, false);
}

static void
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

static void
reset_peer(void)
{
	struct linger now = { 1, 0 };

	T_CHECK(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	close(peer);
	peer = -1;
}

/* Makes the kernel's buffers small, so that writes are short soon. */
static void
shrink(int n)
{
	T_CHECK(setsockopt(conn.fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n)) == 0);
	T_CHECK(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n)) == 0);
}

/* Text in which every octet tells its place. */
static char *
pattern(size_t n)
{
	char *p = mem_alloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff);
	return p;
}

/* Reads what the peer got, with rounds between, until `want` octets or the end. TCP may need a moment. */
static size_t
peer_take(char *to, size_t want)
{
	size_t  n = 0;
	ssize_t r;

	for (unsigned idle = 0; n < want && idle < 500;) {
		r = read(peer, to + n, want - n);
		if (r == 0)
			break;
		n += r > 0 ? (size_t)r : 0;
		rounds(1);
		idle = r > 0 ? 0 : idle + 1;
		if (r < 0)
			(void)poll(&(struct pollfd){ peer, POLLIN, 0 }, 1, idle < 5 ? 0 : 10);
	}
	return n;
}

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

struct reader {
	uint64_t   deadline;
	int        waits, rc[64];
	size_t     n;
	char       text[256];
	enum io_rc io;
	bool       over;
};

static void
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

/* ---- writing --------------------------------------------------------------------------------- */

static void
queue_sends_at_once(void)
{
	struct iovec v[4] = { { (void *)"one ", 4 }, { (void *)"", 0 }, { (void *)"two ", 4 },
		{ (void *)"three", 5 } };
	char         b[32];
	ssize_t      n;

	setup();
	T_CHECK(conn_queue(&conn, v, 4));
	n = read(peer, b, sizeof(b));
	T_EQ_STRV(strv(b, (size_t)n), SV("one two three"));
	T_CHECK(conn_queue(&conn, v, 0));
	T_EQ_NUM(conn_unsent(&conn), 0);
	T_EQ_NUM(events, 0);
	teardown();
}

/* What a short write left goes out in order with what is queued behind it, octet for octet. */
static void
short_writes_keep_their_order(void)
{
	enum { N = 400 * 1000, PIECE = 7919 };
	char *p = pattern(N), *q = mem_alloc(N);
	bool  good = true;

	setup();
	shrink(4096);
	for (size_t at = 0; at < N; at += PIECE) {
		size_t       n = N - at < PIECE ? N - at : PIECE;
		struct iovec v[3] = { { p + at, n / 3 }, { p + at + n / 3, 0 },
			{ p + at + n / 3, n - n / 3 } };

		good &= conn_queue(&conn, v, 3);
	}
	T_CHECK(good);
	T_CHECK(conn_unsent(&conn) > 0 && conn.want_write);
	T_EQ_NUM(peer_take(q, N), N);
	T_CHECK(memcmp(p, q, N) == 0);
	T_EQ_NUM(conn_unsent(&conn), 0);
	T_CHECK(!conn.want_write);
	T_EQ_NUM(events, 1); /* told once, when all was gone */
	mem_free(p);
	mem_free(q);
	teardown();
}

static void
queue_has_a_ceiling(void)
{
	char    *p = pattern(100000);
	unsigned n = 0;
	size_t   got;

	setup();
	while (n < 1000 && conn_queue_v(&conn, strv(p, 100000)))
		n++;
	T_CHECKF(n >= 5 && n < 20, "%u x 100000 octets", n);
	T_CHECK(conn.fault && conn_unsent(&conn) <= CONN_OUT_MAX);
	T_CHECK(!conn_queue_v(&conn, SV("x")));
	T_EQ_NUM(conn_recv(&conn, p, 1, &got), IO_FAULT); /* nothing came, nothing will */
	mem_free(p);
	teardown();
}

static void
shutdown_follows_what_was_queued(void)
{
	enum { N = 200 * 1000 };
	char  *p = pattern(N), *q = mem_alloc(N), b[8];
	size_t got;

	setup();
	shrink(4096);
	T_CHECK(conn_queue_v(&conn, strv(p, N)));
	conn_shutdown(&conn);
	conn_shutdown(&conn);
	T_CHECK(!conn_queue_v(&conn, SV("x")) && !conn.fault);
	T_EQ_NUM(peer_take(q, N), N);
	T_CHECK(memcmp(p, q, N) == 0);
	T_EQ_NUM(read(peer, b, sizeof(b)), 0);
	T_EQ_NUM(write(peer, "still", 5), 5);
	rounds(1);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("still"));
	mem_free(p);
	mem_free(q);
	teardown();
}

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

static void
send_all(void *arg)
{
	struct writer *w = arg;

	w->self = fiber_self();
	w->rc = (int)conn_send(&conn, w->v, w->n, w->deadline);
	w->over = true;
}

static void
send_by_reference_in_order(void)
{
	enum { N = 300 * 1000 };
	char         *p = pattern(N), *q = mem_alloc(N + 12);
	struct writer w = { .v = { { p, 100000 }, { p + 100000, 0 }, { p + 100000, 200000 } },
		.n = 3 };

	setup();
	shrink(4096);
	fiber_start(pool, "w", send_all, &w);
	T_CHECK(!w.over && conn.writer != NULL);
	T_CHECK(conn_queue_v(&conn, SV("behind it"))); /* while the unit is under way */
	T_EQ_NUM(peer_take(q, N + 9), N + 9);
	T_CHECK(w.over && w.rc == WAIT_OK);
	T_CHECK(memcmp(p, q, N) == 0);
	T_EQ_STRV(strv(q + N, 9), SV("behind it"));
	mem_free(p);
	mem_free(q);
	teardown();
}

static void
shutdown_follows_what_is_being_sent(void)
{
	enum { N = 300 * 1000 };
	char         *p = pattern(N), *q = mem_alloc(N + 1);
	struct writer w = { .v = { { p, N } }, .n = 1 }, late = { .v = { { p, 1 } }, .n = 1 };

	setup();
	shrink(4096);
	fiber_start(pool, "w", send_all, &w);
	conn_shutdown(&conn);
	T_CHECK(!w.over);
	T_EQ_NUM(peer_take(q, N + 1), N);
	T_CHECK(w.over && w.rc == WAIT_OK && memcmp(p, q, N) == 0);
	T_EQ_NUM(read(peer, q, 1), 0);
	fiber_start(pool, "w", send_all, &late);
	T_CHECK(late.over && late.rc == WAIT_CLOSED);
	mem_free(p);
	mem_free(q);
	teardown();
}

static void
send_waits_for_what_was_queued(void)
{
	enum { N = 200 * 1000 };
	char         *p = pattern(N), *q = mem_alloc(N + 3);
	struct writer w = { .v = { { (void *)"end", 3 } }, .n = 1 };

	setup();
	shrink(4096);
	T_CHECK(conn_queue_v(&conn, strv(p, N)));
	fiber_start(pool, "w", send_all, &w);
	T_CHECK(!w.over);
	T_EQ_NUM(peer_take(q, N + 3), N + 3);
	T_CHECK(w.over && w.rc == WAIT_OK && memcmp(p, q, N) == 0);
	T_EQ_STRV(strv(q + N, 3), SV("end"));
	mem_free(p);
	mem_free(q);
	teardown();
}

/* After half a unit nothing may follow: the peer would take it for the other half. */
static void
send_cut_short_is_a_fault(void)
{
	enum { N = 3 * 1000 * 1000 };
	char *p = pattern(N);

	for (unsigned cancel = 0; cancel < 2; cancel++) {
		struct writer w = { .v = { { p, N } }, .n = 1, .deadline = clock_ms + 100 };

		t_row = cancel ? "cancelled" : "timed out";
		setup_tcp();
		shrink(65536);
		fiber_start(pool, "w", send_all, &w);
		T_CHECK(!w.over);
		if (cancel)
			fiber_cancel(w.self);
		else
			clock_ms += 100;
		rounds(1);
		T_CHECK(w.over && w.rc == (int)(cancel ? WAIT_CANCELLED : WAIT_TIMEOUT));
		T_CHECK(conn.fault && conn.writer == NULL);
		T_CHECK(!conn_queue_v(&conn, SV("QUIT\r\n")));
		teardown();
	}
	mem_free(p);
}

static void
close_wakes_the_one_who_sends(void)
{
	enum { N = 3 * 1000 * 1000 };
	char         *p = pattern(N);
	struct writer w = { .v = { { p, N } }, .n = 1 };
	struct reader r = { 0 };

	setup_tcp();
	shrink(65536);
	fiber_start(pool, "w", send_all, &w);
	fiber_start(pool, "r", read_all, &r);
	T_CHECK(!w.over && !r.over);
	conn_close(&conn);
	memset(&conn, 0xa5, sizeof(conn));
	rounds(1);
	T_CHECK(w.over && w.rc == WAIT_CLOSED);
	T_CHECK(r.over && r.rc[0] == WAIT_CLOSED);
	conn.fd = -1;
	mem_free(p);
	teardown();
}

static void
use_closed(void *arg)
{
	struct reader *r = arg;
	struct iovec   v = { r->text, 1 };
	size_t         got;

	T_EQ_NUM(conn_wait(&conn, 0), WAIT_CLOSED);
	T_EQ_NUM(conn_send(&conn, &v, 1, 0), WAIT_CLOSED);
	T_EQ_NUM(conn_drain(&conn, 0), WAIT_CLOSED);
	T_EQ_NUM(conn_connected(&conn, 0), WAIT_CLOSED);
	T_EQ_NUM(conn_recv(&conn, r->text, 1, &got), IO_FAULT);
	T_EQ_NUM(conn_peek(&conn), -1);
	T_CHECK(!conn_queue_v(&conn, SV("x")));
	conn_shutdown(&conn);
	conn_abort(&conn);
	r->over = true;
}

static void
nothing_waits_on_a_closed_connection(void)
{
	struct reader r = { 0 };

	setup();
	conn_close(&conn);
	fiber_start(pool, "r", use_closed, &r);
	T_CHECK(r.over);
	teardown();
}

static void
reset_ends_a_send(void)
{
	enum { N = 3 * 1000 * 1000 };
	char         *p = pattern(N);
	struct writer w = { .v = { { p, N } }, .n = 1 };

	setup_tcp();
	shrink(65536);
	fiber_start(pool, "w", send_all, &w);
	T_CHECK(!w.over);
	reset_peer();
	rounds(3);
	T_CHECK(w.over && w.rc == WAIT_CLOSED && conn.fault);
	T_CHECK(events > 0);
	mem_free(p);
	teardown();
}

/* The upstream says why it hangs up; that is read although writing failed. */
static void
last_words_are_read_after_a_failed_send(void)
{
	char   b[64];
	size_t got;

	setup_tcp();
	T_EQ_NUM(write(peer, "421 bye\r\n", 9), 9);
	close(peer);
	peer = -1;
	rounds(1);
	T_CHECK(conn_queue_v(&conn, SV("MAIL FROM:<>\r\n"))); /* the answer to this is a reset */
	T_CHECK(!conn_queue_v(&conn, SV("RCPT TO:<a@b>\r\n")));
	T_CHECK(conn.fault);
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("421 bye\r\n"));
	T_CHECK(conn.readable); /* for the fault behind it */
	T_EQ_NUM(conn_recv(&conn, b, sizeof(b), &got), IO_FAULT);
	teardown();
}

static void
drain_then_note(void *arg)
{
	struct writer *w = arg;

	w->self = fiber_self();
	w->rc = (int)conn_drain(&conn, w->deadline);
	w->over = true;
}

static void
drain_waits_until_all_is_out(void)
{
	enum { N = 200 * 1000 };
	char         *p = pattern(N), *q = mem_alloc(N);
	struct writer w = { 0 }, late = { .deadline = clock_ms + 10 };

	setup();
	shrink(4096);
	T_CHECK(conn_queue_v(&conn, strv(p, N)));
	fiber_start(pool, "d", drain_then_note, &late);
	clock_ms += 10;
	rounds(1);
	T_CHECK(late.over && late.rc == WAIT_TIMEOUT && !conn.fault);
	fiber_start(pool, "d", drain_then_note, &w);
	T_CHECK(!w.over);
	T_EQ_NUM(peer_take(q, N), N);
	T_CHECK(w.over && w.rc == WAIT_OK && events == 0);
	mem_free(p);
	mem_free(q);
	teardown();
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
send_file(void *arg)
{
	struct writer *w = arg;

	w->self = fiber_self();
	w->rc = (int)conn_send_file(&conn, w->file, w->at, w->octets, w->deadline);
	w->over = true;
}

static int
temp_file(const char *p, size_t n)
{
	char name[] = "/tmp/t_io.XXXXXX";
	int  fd = mkstemp(name);

	T_CHECK(fd >= 0 && unlink(name) == 0);
	T_EQ_NUM(write(fd, p, n), n);
	return fd;
}

static void
file_goes_out_octet_for_octet(void)
{
	enum { N = 3 * 1024 * 1024 + 17, FROM = 5, SENT = N - 11 };
	char *p = pattern(N), *q = mem_alloc(N + 3);
	int   file = temp_file(p, N);

	for (unsigned tcp = 0; tcp < 2; tcp++) {
		struct writer w = { .file = file, .at = FROM, .octets = SENT };

		t_row = tcp ? "tcp" : "unix";
		tcp ? setup_tcp() : setup();
		fiber_start(pool, "f", send_file, &w);
		T_CHECK(!w.over);
		T_CHECK(conn_queue_v(&conn, SV("end")));
		T_EQ_NUM(peer_take(q, SENT + 3), SENT + 3);
		T_CHECK(w.over && w.rc == WAIT_OK);
		T_CHECK(memcmp(p + FROM, q, SENT) == 0);
		T_EQ_STRV(strv(q + SENT, 3), SV("end"));
		teardown();
	}
	close(file);
	mem_free(p);
	mem_free(q);
}

static void
file_that_is_too_short_is_a_fault(void)
{
	struct writer w = { .file = temp_file("abc", 3), .octets = 4 };

	setup();
	fiber_start(pool, "f", send_file, &w);
	T_CHECK(w.over && w.rc == WAIT_CLOSED && conn.fault);
	close(w.file);
	teardown();
}

/* A device that sendfile refuses (EINVAL) is read and written. */
static void
file_without_sendfile_is_copied(void)
{
	char         *q = mem_alloc(40000);
	struct writer w = { .file = open("/proc/self/maps", O_RDONLY), .octets = 100 };
	char          want[100];

	setup();
	T_EQ_NUM(pread(w.file, want, sizeof(want), 0), 100);
	fiber_start(pool, "f", send_file, &w);
	T_EQ_NUM(peer_take(q, 100), 100);
	T_CHECK(w.over && w.rc == WAIT_OK && memcmp(q, want, 100) == 0);
	close(w.file);
	mem_free(q);
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

/* The other way to it: a descriptor from elsewhere, conn_init, then conn_connected. */
static void
connection_is_awaited_after_init(void)
{
	int           fd[2];
	struct writer w = { 0 }, again = { 0 };

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	setup_fd(fd[0], fd[1]);
	fiber_start(pool, "c", connect_then_note, &w);
	rounds(2);
	T_CHECK(w.over && w.rc == WAIT_OK);
	fiber_start(pool, "c", connect_then_note, &again);
	T_CHECK(again.over && again.rc == WAIT_OK);
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

static void
reading_tests(void)
{
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
}

static void
writing_tests(void)
{
	T_RUN(queue_sends_at_once);
	T_RUN(short_writes_keep_their_order);
	T_RUN(queue_has_a_ceiling);
	T_RUN(shutdown_follows_what_was_queued);
	T_RUN(shutdown_follows_what_is_being_sent);
	T_RUN(send_by_reference_in_order);
	T_RUN(send_waits_for_what_was_queued);
	T_RUN(send_cut_short_is_a_fault);
	T_RUN(close_wakes_the_one_who_sends);
	T_RUN(nothing_waits_on_a_closed_connection);
	T_RUN(reset_ends_a_send);
	T_RUN(last_words_are_read_after_a_failed_send);
	T_RUN(drain_waits_until_all_is_out);
	T_RUN(file_goes_out_octet_for_octet);
	T_RUN(file_that_is_too_short_is_a_fault);
	T_RUN(file_without_sendfile_is_copied);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	reading_tests();
	writing_tests();
	T_RUN(connection_is_made);
	T_RUN(connection_is_awaited_after_init);
	T_RUN(refused_connection_is_a_fault);
	T_RUN(dial_that_fails_leaves_nothing);
	T_RUN(owner_may_free_the_connection_in_its_event);
	T_RUN(abort_sends_a_reset);
	T_RUN(init_closes_what_the_loop_refuses);
	return t_end();
}
