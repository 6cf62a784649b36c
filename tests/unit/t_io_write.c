/*
 * t_io_write -- what is queued and sent: short writes, order, ceilings, cuts, files.
 */
#include "tests/unit/io_pair.h"

/* Makes the kernel's buffers small, so that writes are short soon. */
static void
shrink(int n)
{
	T_CHECK(setsockopt(conn.fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n)) == 0);
	T_CHECK(setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n)) == 0);
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

/* ---- writing --------------------------------------------------------------------------------- */

static void
queue_sends_at_once(void)
{
	char    b[32];
	ssize_t n;

	setup();
	T_CHECK(conn_queue_v(&conn, SV("one two")));
	n = read(peer, b, sizeof(b));
	T_EQ_STRV(strv(b, (size_t)n), SV("one two"));
	T_CHECK(conn_queue_v(&conn, (struct strv){ NULL, 0 }));
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
		size_t n = N - at < PIECE ? N - at : PIECE;

		good &= conn_queue_v(&conn, strv(p + at, n));
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
	T_EQ_NUM(write(peer, "abc", 3), 3);
	T_EQ_NUM(conn_recv(&conn, p, 10, &got), IO_OK);
	T_CHECK(got == 3 && conn.readable); /* what came is read, then the fault is told */
	T_EQ_NUM(conn_recv(&conn, p, 10, &got), IO_FAULT);
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

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
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
	return t_end();
}
