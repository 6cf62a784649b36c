/*
 * t_acceptor -- a kernel that refuses to poll a listening socket: it is asked again, the other sockets serve meanwhile,
 * and the log has a line; and what the log says of clients that are turned away.  The clock, epoll_ctl() and accept4()
 * are ours, all else is the machine's; clients hear 421 at once, since all descriptors are for others.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/acceptor.h"
#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/worker.h"
#include "tests/unit/t.h"

#define LISTENERS 3

static unsigned refuse; /* bits: which of the next ADDs are refused */
static unsigned adds, lines;
static uint64_t clock_ms = 1000;
static int      shortage; /* of the next accept4(), once; 0: none */
static int      lasting;  /* of all that follow; 0: none */
static unsigned accepts;
static unsigned away; /* lines about clients that are turned away, and the last of them */
static char     away_line[200];

int
epoll_ctl(int ep, int op, int fd, struct epoll_event *ev)
{
	if (op == EPOLL_CTL_ADD && refuse >> adds++ & 1) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_epoll_ctl, ep, op, fd, ev);
}

int
accept4(int fd, struct sockaddr *sa, socklen_t *n, int flags)
{
	accepts++;
	if (lasting != 0) {
		errno = lasting;
		return -1;
	}
	if (shortage != 0) {
		errno = shortage;
		shortage = 0;
		return -1;
	}
	return (int)syscall(SYS_accept4, fd, sa, n, flags);
}

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static void
fake_log(struct world *w, struct strv line)
{
	(void)w;
	if (strv_starts(line, SV("worker turned-away "))) {
		away++;
		snprintf(away_line, sizeof(away_line), "%.*s", (int)line.n, line.p);
		return;
	}
	lines++;
	T_CHECK(strv_starts(line, SV("worker listen-failed listen=127.0.0.1:")));
	T_CHECK(strv_ends(line, SV("why=\"No space left on device\"")));
}

static struct {
	struct world        world;
	struct settings     settings;
	struct smtp_conf    conf;
	struct listener     listener[LISTENERS];
	struct endpoint     at[LISTENERS];
	int                 fd[LISTENERS];
	struct sockets      sockets;
	struct worker_start start;
	struct loop        *loop;
	struct arena       *arena;
	struct acceptor    *a;
	struct rlimit       limit;
} t;

static void
listen_at(unsigned i)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t          n = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	t.fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	T_CHECK(bind(t.fd[i], (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(t.fd[i], 5) == 0);
	T_CHECK(getsockname(t.fd[i], (struct sockaddr *)&sa, &n) == 0);
	T_CHECK(endpoint_from_sockaddr((struct sockaddr *)&sa, n, &t.listener[i].at));
}

static void
begin(unsigned refused)
{
	struct rlimit few;

	memset(&t, 0, sizeof(t));
	t.world = (struct world){ .now = fake_now, .log = fake_log };
	t.arena = arena_new(4096, 0);
	t.loop = loop_new(&t.world);
	for (unsigned i = 0; i < LISTENERS; i++)
		listen_at(i);
	t.settings.listener = t.listener;
	t.settings.n_listener = LISTENERS;
	for (unsigned i = 0; i < LISTENERS; i++)
		t.at[i] = t.listener[i].at;
	t.sockets = (struct sockets){ .at = t.at, .fd = t.fd, .n = LISTENERS, .places = 1 };
	t.start = (struct worker_start){ .world = &t.world,
		.settings = &t.settings,
		.sockets = &t.sockets,
		.counters = counters_new(1),
		.control = t.fd[0] };
	/* The acceptor takes three quarters of so few for clients: those are ours already. */
	T_CHECK(getrlimit(RLIMIT_NOFILE, &t.limit) == 0);
	few = t.limit;
	few.rlim_cur = 4;
	T_CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	t.a = acceptor_new(t.arena, &t.start, &t.conf, NULL, NULL, t.loop);
	T_CHECK(setrlimit(RLIMIT_NOFILE, &t.limit) == 0);
	refuse = refused;
	adds = lines = away = 0;
	acceptor_place(t.a, 0, true);
}

static void
end(void)
{
	acceptor_stop(t.a);
	T_CHECK(loop_next_timer(t.loop) == UINT64_MAX);
	counters_free(t.start.counters);
	loop_free(t.loop);
	arena_free(t.arena);
}

/* Does a client of that listener hear something, without the clock's moving? */
static bool
serves(unsigned i)
{
	struct sockaddr_storage ss;
	socklen_t               n = endpoint_to_sockaddr(&t.listener[i].at, &ss);
	int                     fd = socket(AF_INET, SOCK_STREAM, 0);
	char                    b[4];
	bool                    heard;

	T_CHECK(connect(fd, (struct sockaddr *)&ss, n) == 0);
	while (loop_round(t.loop, false))
		continue;
	heard = recv(fd, b, sizeof(b), MSG_DONTWAIT) == 4 && memcmp(b, "421 ", 4) == 0;
	close(fd);
	return heard;
}

static void
later(void)
{
	clock_ms += 100;
	while (loop_round(t.loop, false))
		continue;
}

static void
one_is_refused_once(void)
{
	for (unsigned i = 0; i < LISTENERS; i++) {
		begin(1u << i);
		for (unsigned k = 0; k < LISTENERS; k++)
			T_CHECK(serves(k) == (k != i));
		T_EQ_NUM(lines, 1);
		later();
		for (unsigned k = 0; k < LISTENERS; k++)
			T_CHECK(serves(k));
		T_CHECK(adds == LISTENERS + 1 && lines == 1);
		end();
	}
}

/* For as long as it lasts: one line, and another the next time. */
static void
one_is_refused_for_long(void)
{
	begin(0x3c); /* the third, and at four ends of the pause */
	for (unsigned i = 0; i < 4; i++) {
		T_CHECK(serves(0) && serves(1) && !serves(2));
		T_EQ_NUM(lines, 1);
		later();
	}
	T_CHECK(serves(0) && serves(1) && serves(2) && lines == 1);
	acceptor_place(t.a, 0, false);
	T_CHECK(!serves(0) && !serves(2));
	refuse = 1;
	adds = 0;
	acceptor_place(t.a, 0, true);
	T_CHECK(!serves(0) && serves(1) && lines == 2);
	later();
	T_CHECK(serves(0));
	end();
}

/* Who has given the place up meanwhile does not get it back. */
static void
pause_ends_for_nobody(void)
{
	begin(7);
	T_CHECK(!serves(0) && !serves(1) && !serves(2) && lines == 1);
	acceptor_place(t.a, 0, false);
	later();
	T_CHECK(adds == LISTENERS && !serves(0));
	end();
	begin(7);
	end(); /* stopped in the pause */
}

static void
wait_ms(unsigned ms)
{
	clock_ms += ms;
	while (loop_round(t.loop, false))
		continue;
}

#define KEPT "why=\"the descriptors that are left are for servers and files\""

/* The first is told at once, a crowd behind it in one line every five seconds, and nobody in none. */
static void
crowd_is_told_in_few_lines(void)
{
	begin(0);
	T_CHECK(serves(0) && away == 1);
	T_EQ_STR(away_line, "worker turned-away clients=1 " KEPT);
	for (unsigned i = 0; i < 20; i++)
		T_CHECK(serves(i % LISTENERS));
	wait_ms(4999);
	T_EQ_NUM(away, 1);
	wait_ms(1);
	T_EQ_NUM(away, 2);
	T_EQ_STR(away_line, "worker turned-away clients=20 " KEPT);
	T_CHECK(serves(0) && serves(1) && away == 2);
	wait_ms(5000);
	T_EQ_NUM(away, 3);
	T_EQ_STR(away_line, "worker turned-away clients=2 " KEPT);
	wait_ms(5000);
	T_CHECK(away == 3 && loop_next_timer(t.loop) == UINT64_MAX);
	T_CHECK(serves(2) && away == 4);
	T_EQ_STR(away_line, "worker turned-away clients=1 " KEPT);
	end();
	T_EQ_NUM(away, 4);
}

/* A worker that takes no more clients has told of all. */
static void
end_leaves_nobody_untold(void)
{
	begin(0);
	T_CHECK(serves(0) && serves(0) && serves(1) && away == 1);
	end();
	T_EQ_NUM(away, 2);
	T_EQ_STR(away_line, "worker turned-away clients=2 " KEPT);
}

/* With the spare descriptor, and whose shortage that is. */
static void
shortage_is_told(void)
{
	static const struct {
		int         error;
		const char *line;
	} table[] = {
		{ EMFILE,
		    "worker turned-away clients=1 why=\"no descriptor is free in this worker\"" },
		{ ENFILE,
		    "worker turned-away clients=1 why=\"no descriptor is free on this machine\"" },
	};

	for (size_t i = 0; i < T_COUNT(table); i++) {
		begin(0);
		/* The spare one is not to be had among so few; who waits for it has not been turned away. */
		shortage = table[i].error;
		T_CHECK(!serves(0) && away == 0);
		later();
		T_EQ_NUM(away, 1);
		wait_ms(5000);
		shortage = table[i].error;
		T_CHECK(serves(0) && away == 2);
		T_EQ_STR(away_line, table[i].line);
		end();
	}
}

/* A fault that was the client's is nobody's when it never ends: the loop must not spin on it. */
static void
lasting_faults_make_a_pause(void)
{
	static const int table[] = { EPERM, EPROTO, EINTR, ENOMEM, ENOBUFS, EACCES, EINVAL };

	for (size_t i = 0; i < T_COUNT(table); i++) {
		struct sockaddr_storage ss;
		socklen_t               n;
		int                     fd = socket(AF_INET, SOCK_STREAM, 0);

		begin(0);
		n = endpoint_to_sockaddr(&t.listener[0].at, &ss);
		T_CHECK(connect(fd, (struct sockaddr *)&ss, n) == 0);
		lasting = table[i];
		accepts = 0;
		for (unsigned k = 0; k < 10000 && loop_round(t.loop, false); k++)
			continue;
		T_CHECKF(
		    accepts <= 64, "%s: %u calls without a pause", strerror(table[i]), accepts);
		lasting = 0;
		T_CHECK(!serves(0));
		later();
		T_CHECK(serves(0));
		close(fd);
		end();
	}
}

int
main(void)
{
	T_RUN(one_is_refused_once);
	T_RUN(one_is_refused_for_long);
	T_RUN(pause_ends_for_nobody);
	T_RUN(crowd_is_told_in_few_lines);
	T_RUN(end_leaves_nobody_untold);
	T_RUN(shortage_is_told);
	T_RUN(lasting_faults_make_a_pause);
	return t_end();
}
