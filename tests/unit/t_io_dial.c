/*
 * t_io_dial -- a unix socket whose listener has a full queue: it is waited for, by a fiber or by the owner.  The
 * sockets and the clock are the machine's.
 */
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "tests/unit/io_pair.h"

#define PATIENCE 20000 /* ms, of a test that fails */

static char               path[64];
static struct endpoint    at = { .addr = { .family = ADDR_UNIX }, .path = path };
static struct sockaddr_un sa = { .sun_family = AF_UNIX };
static struct world      *machine;
static int                queue, filler; /* who listens; who fills the queue */

static void
fill_queue(void)
{
	const char *why;

	snprintf(path, sizeof(path), "/tmp/t_io_dial.%ld", (long)getpid());
	unlink(path);
	memcpy(sa.sun_path, path, strlen(path) + 1);
	machine = world_real(-1);
	loop = loop_new(machine);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	events = 0;
	peer = -1;
	queue = socket(AF_UNIX, SOCK_STREAM, 0);
	T_CHECK(bind(queue, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(queue, 0) == 0);
	filler = machine->connect(machine, &at, &why);
	T_CHECK(filler >= 0);
	T_EQ_NUM(machine->connect(machine, &at, &why), WORLD_AGAIN);
	T_EQ_STR(why, "its queue of connections is full");
}

static void
end_queue(void)
{
	close(filler);
	if (queue >= 0)
		close(queue);
	unlink(path);
	teardown();
}

static void
wait_connected(void *arg)
{
	struct writer *w = arg;

	w->rc = (int)conn_connected(&conn, w->deadline);
	w->over = true;
}

/* Rounds, up to that many of which the last need not be. */
static void
run_until(const bool *over)
{
	uint64_t end = loop_now(loop) + PATIENCE;

	while (!*over && loop_now(loop) < end)
		loop_round(loop, true);
	T_CHECK(*over);
}

static void
dial(struct writer *w, uint64_t ms)
{
	const char *why = NULL;

	T_CHECK(conn_dial(&conn, loop, &at, on_event, &conn, &why));
	T_CHECK(conn.connecting && !conn.fault && conn_queue_v(&conn, SV("early")));
	*w = (struct writer){ .deadline = loop_now(loop) + ms };
	T_CHECK(fiber_start(pool, "c", wait_connected, w) != NULL);
	T_CHECK(!w->over);
}

/* Nobody accepts until it was tried again some times. */
static void
place_comes_free(void)
{
	struct writer w;
	char          b[16];

	fill_queue();
	dial(&w, PATIENCE);
	for (unsigned i = 0; i < 4; i++)
		loop_round(loop, true);
	T_CHECK(!w.over && conn.connecting && !conn.fault && events == 0);
	close(accept(queue, NULL, NULL));
	run_until(&w.over);
	T_EQ_NUM(w.rc, WAIT_OK);
	peer = accept(queue, NULL, NULL);
	T_EQ_NUM(read(peer, b, sizeof(b)), 5); /* what was queued meanwhile goes out first */
	T_EQ_NUM(write(peer, "x", 1), 1);
	loop_round(loop, true);
	T_CHECK(events > 0 && conn.readable && !conn.fault);
	end_queue();
}

static void
queue_stays_full(void)
{
	struct writer w;

	fill_queue();
	dial(&w, 100);
	run_until(&w.over);
	T_EQ_NUM(w.rc, WAIT_TIMEOUT);
	T_CHECK(conn.connecting && !conn.fault);
	conn_close(&conn);
	T_CHECK(loop_next_timer(loop) == UINT64_MAX); /* it is tried no more */
	end_queue();
}

/* Who listened is gone when it is tried again: refused, as it would have been at first. */
static void
listener_goes(void)
{
	struct writer w;

	fill_queue();
	dial(&w, PATIENCE);
	close(queue);
	queue = -1;
	run_until(&w.over);
	T_EQ_NUM(w.rc, WAIT_CLOSED);
	T_CHECK(conn.fault && !conn.connecting);
	T_EQ_STR(conn.failed, "Connection refused");
	end_queue();
}

/* Over TCP it is an event that says so, and only the socket knows why. */
static void
nobody_listens(void)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct endpoint    port = { 0 };
	struct writer      w = { 0 };
	socklen_t          n = sizeof(in);
	const char        *why = NULL;

	fill_queue();
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer = socket(AF_INET, SOCK_STREAM, 0);
	T_CHECK(bind(peer, (struct sockaddr *)&in, n) == 0);
	T_CHECK(getsockname(peer, (struct sockaddr *)&in, &n) == 0);
	T_CHECK(endpoint_from_sockaddr((struct sockaddr *)&in, n, &port));
	T_CHECK(conn_dial(&conn, loop, &port, on_event, &conn, &why));
	w.deadline = loop_now(loop) + PATIENCE;
	T_CHECK(conn.failed == NULL && fiber_start(pool, "c", wait_connected, &w) != NULL);
	run_until(&w.over);
	T_EQ_NUM(w.rc, WAIT_CLOSED);
	T_EQ_STR(conn.failed, "Connection refused");
	end_queue();
}

static bool called;

static void
close_in_event(void *arg)
{
	called = true;
	conn_close(arg);
}

/* Nobody waits: its owner hears, and may close it there. */
static void
owner_hears_of_it(void)
{
	const char *why = NULL;

	for (unsigned gone = 0; gone < 2; gone++) {
		fill_queue();
		called = false;
		T_CHECK(conn_dial(&conn, loop, &at, close_in_event, &conn, &why));
		if (gone)
			close(queue);
		else
			close(accept(queue, NULL, NULL));
		queue = gone ? -1 : queue;
		run_until(&called);
		end_queue();
	}
}

int
main(void)
{
	T_RUN(place_comes_free);
	T_RUN(queue_stays_full);
	T_RUN(listener_goes);
	T_RUN(nobody_listens);
	T_RUN(owner_hears_of_it);
	return t_end();
}
