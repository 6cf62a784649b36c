/*
 * t_flood -- what the log has of clients of whom many connections are refused at their start: the table, and sessions that
 * a limit refuses.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/judge_own.h"
#include "proxy/smtp/flood.h"
#include "proxy/smtp/smtp.h"
#include "tests/unit/t.h"

static uint64_t clock_ms;
static unsigned lines, sessions; /* of all; of those the lines of sessions */
static char said[8][200]; /* the last lines of other kinds; said[0] is the first since begin() */
static unsigned n_said;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static void
fake_log(struct world *w, struct strv line)
{
	struct strv rest = line, id = strv_word(&rest);

	(void)w;
	lines++;
	if (!strv_eq(id, SV("worker"))) {
		sessions += strv_eq(strv_word(&rest), SV("session"));
		return;
	}
	if (n_said < 8)
		snprintf(said[n_said++], sizeof(said[0]), "%.*s", (int)line.n, line.p);
}

static void
fake_random(struct world *w, void *p, size_t n)
{
	(void)w;
	memset(p, 7, n);
}

static struct world  world = { .now = fake_now, .log = fake_log, .random = fake_random };
static struct loop  *loop;
static struct flood *f;

static void
begin(void)
{
	clock_ms = 1000;
	lines = sessions = n_said = 0;
	loop = loop_new(&world);
	f = flood_new(loop, 3);
}

static void
end(void)
{
	flood_free(f);
	T_CHECK(loop_next_timer(loop) == UINT64_MAX);
	loop_free(loop);
}

static void
go_on(uint64_t ms)
{
	clock_ms += ms;
	while (loop_round(loop, false))
		;
}

static struct addr
client(unsigned i)
{
	return (struct addr){ .family = ADDR_IP4, .b = { 203, 0, 113, (uint8_t)i } };
}

/* How many of so many that are refused are told one by one. */
static unsigned
told(unsigned who, unsigned n, struct strv by)
{
	struct addr a = client(who);
	unsigned    t = 0;

	for (unsigned i = 0; i < n; i++)
		t += flood_tells(f, who, &a, by);
	return t;
}

static const struct { /* 900 connections of one client, and what comes of it */
	const char *what;
	unsigned    n, told;
	uint64_t    ms; /* until the time is over; then the line has ... */
	const char *line;
} rows[] = {
	{ "one", 1, 1, 5000, NULL },
	{ "as many as are told", 5, 5, 5000, NULL },
	{ "one more", 6, 5, 5000,
	    "worker refused-more client=203.0.113.1 sessions=1 by=rule worker=3" },
	{ "a flood", 900, 5, 5000,
	    "worker refused-more client=203.0.113.1 sessions=895 by=rule worker=3" },
};

static void
the_first_few_and_how_many_more(void)
{
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t_row = rows[i].what;
		begin();
		T_EQ_NUM(told(1, rows[i].n, SV("rule")), rows[i].told);
		T_EQ_NUM(flood_is(f, 1), rows[i].told == 5);
		T_CHECK(!flood_is(f, 2));
		go_on(rows[i].ms - 1);
		T_EQ_NUM(n_said, 0);
		go_on(1);
		T_EQ_NUM(n_said, rows[i].line != NULL);
		if (n_said > 0)
			T_EQ_TEXT(strv_z(said[0]), rows[i].line);
		/* and from the beginning */
		T_CHECK(loop_next_timer(loop) == UINT64_MAX && !flood_is(f, 1));
		T_EQ_NUM(told(1, 6, SV("rule")), 5);
		end();
	}
	t_row = NULL;
}

static void
each_client_has_its_time(void)
{
	begin();
	T_EQ_NUM(told(1, 7, SV("one")), 5);
	go_on(3000);
	T_EQ_NUM(told(2, 8, SV("two")), 5);
	T_EQ_NUM(told(1, 1, SV("the last")), 0);
	go_on(2000);
	T_EQ_NUM(n_said, 1);
	T_EQ_TEXT(strv_z(said[0]),
	    "worker refused-more client=203.0.113.1 sessions=3 by=\"the last\" worker=3");
	T_CHECK(flood_is(f, 2) && !flood_is(f, 1));
	go_on(3000);
	T_EQ_NUM(n_said, 2);
	T_EQ_TEXT(
	    strv_z(said[1]), "worker refused-more client=203.0.113.2 sessions=3 by=two worker=3");
	end();
}

static void
a_full_table_tells_all(void)
{
	begin();
	for (unsigned i = 1; i <= FLOOD_CLIENTS; i++)
		T_EQ_NUM(told(i, 6, SV("x")), 5);
	T_EQ_NUM(told(FLOOD_CLIENTS + 1, 50, SV("x")), 50);
	T_CHECK(!flood_is(f, FLOOD_CLIENTS + 1));
	T_EQ_NUM(told(1, 1, SV("x")), 0);
	go_on(5000);
	T_EQ_NUM(lines, FLOOD_CLIENTS);
	T_EQ_NUM(told(FLOOD_CLIENTS + 1, 50, SV("x")), 5);
	end();
	T_EQ_NUM(lines, FLOOD_CLIENTS + 1);
}

static void
the_end_tells_what_is_counted(void)
{
	static char long_name[100];

	begin();
	memset(long_name, 'a', sizeof(long_name) - 1);
	told(1, 9, (struct strv){ NULL, 0 });
	told(2, 5, SV("x"));
	told(3, 6, strv_z(long_name));
	end();
	T_EQ_NUM(n_said, 2);
	T_EQ_TEXT(
	    strv_z(said[0]), "worker refused-more client=203.0.113.1 sessions=4 by=\"\" worker=3");
	T_CHECK(strstr(said[1], "client=203.0.113.3 sessions=1 by=aaaa") != NULL);
	T_CHECK(strstr(said[1], "aaa worker=3") != NULL && strlen(said[1]) < 140);
	T_CHECK(flood_tells(NULL, 1, &(struct addr){ 0 }, SV("x")) && !flood_is(NULL, 1));
	flood_free(NULL);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static struct addr
host(unsigned net, unsigned last)
{
	return (struct addr){ .family = ADDR_IP6,
		.b = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, (uint8_t)net, [15] = (uint8_t)last } };
}

/* Connects; was it told 421, and hung up on? */
static bool
is_refused(struct smtp *m, unsigned net, unsigned last)
{
	static const struct listener l = { .name = { "here", 4 } };
	struct endpoint              peer = { .addr = host(net, last), .port = 9 };
	char                         text[100];
	int                          fd[2];
	ssize_t                      n;

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	session_open(m, &l, fd[0], &peer, &peer);
	go_on(0);
	n = read(fd[1], text, sizeof(text));
	T_CHECK(n > 4 && memcmp(text, "421 ", 4) == 0);
	T_EQ_NUM(read(fd[1], text, sizeof(text)), 0);
	close(fd[1]);
	go_on(0);
	return n > 4;
}

/* 30 connections, of 30 addresses of one network, in the same lines as of one address. */
static void
sessions_that_a_limit_refuses(bool is_told)
{
	static const struct judge     judge;
	static const struct server    sv = { .kind = HOP_MAILDIR, .dir = "/none", .weight = 1 };
	static const struct pool_conf pool = { .kind = HOP_MAILDIR, .server = &sv, .n_server = 1 };
	struct counters              *c = counters_new(1);
	struct smtp_conf              conf = { .judge = &judge, .pool = &pool, .n_pool = 1 };
	struct smtp                  *m;

	begin();
	conf.flood = is_told ? NULL : f;
	conf.limits.sessions = 1000;
	m = smtp_new(&conf, &world, loop, c, 0);
	for (unsigned i = 0; i < 30; i++)
		T_CHECK(is_refused(m, 1, i));
	T_EQ_NUM(sessions, is_told ? 30 : 5);
	T_CHECK(is_refused(m, 2, 1));
	T_EQ_NUM(sessions, is_told ? 31 : 6);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 31);
	T_EQ_NUM(counters_sum(c, COUNTER_REFUSED_CLIENT), 31);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS_OPEN), 0);
	go_on(5000);
	T_EQ_NUM(n_said, !is_told);
	if (!is_told)
		T_EQ_TEXT(strv_z(said[0]),
		    "worker refused-more client=2001:db8:0:1::1d sessions=25 "
		    "by=\"too many sessions of this client\" worker=3");
	smtp_free(m);
	end();
	counters_free(c);
}

static void
sessions_of_a_network(void)
{
	sessions_that_a_limit_refuses(false);
}

static void
without_a_table_each_has_its_line(void)
{
	sessions_that_a_limit_refuses(true);
}

int
main(void)
{
	T_RUN(the_first_few_and_how_many_more);
	T_RUN(each_client_has_its_time);
	T_RUN(a_full_table_tells_all);
	T_RUN(the_end_tells_what_is_counted);
	T_RUN(sessions_of_a_network);
	T_RUN(without_a_table_each_has_its_line);
	return t_end();
}
