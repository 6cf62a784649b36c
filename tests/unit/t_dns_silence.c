/*
 * t_dns_silence -- when the log hears that the resolver does not answer, and when it does not.
 */
#include <stdio.h>

#include "proxy/base/arena.h"
#include "proxy/base/dns_silence.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static uint64_t clock_ms;
static char     told[400];
static unsigned n_told;

static uint64_t
now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static void
hear(struct world *w, struct strv line)
{
	(void)w;
	snprintf(told, sizeof(told), "%.*s", (int)line.n, line.p);
	n_told++;
}

static struct endpoint two[2] = {
	{ .addr = { .family = ADDR_IP4, .b = { 192, 0, 2, 1 } }, .port = 53 },
	{ .addr = { .family = ADDR_IP4, .b = { 192, 0, 2, 2 } }, .port = 54 },
};

static void
begin(unsigned servers)
{
	static struct world         w = { .now = now, .log = hear };
	static struct resolver_conf conf = { .forward = two };

	conf.n = servers;
	clock_ms = 5000;
	told[0] = '\0';
	n_told = 0;
	dns_silence_begin(&w, &conf);
}

/* n questions side by side, each of a domain of its own unless all are of one, given up after ms. */
static void
fail(unsigned n, uint64_t ms, const char *form)
{
	uint64_t asked = clock_ms;
	char     name[64];

	clock_ms += ms;
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), form, i);
		dns_silence_over(name, asked, ms < 2000);
	}
}

static void
eight_in_a_row(void)
{
	begin(2);
	fail(7, 1500, "a.d%u.example");
	T_EQ_NUM(n_told, 0);
	fail(1, 1500, "a.d%u.example");
	T_EQ_NUM(n_told, 1);
	T_CHECKF(strstr(told,
		     "worker resolver-down server=192.0.2.1:53,192.0.2.2:54 "
		     "why=\"no answer to the last 8 questions, for 3 seconds\"") != NULL,
	    "%s", told);
	fail(50, 10000, "b.d%u.example");
	T_EQ_NUM(n_told, 1);
	dns_silence_heard();
	T_EQ_NUM(n_told, 2);
	T_CHECKF(
	    strstr(told, "worker resolver-up server=192.0.2.1:53,192.0.2.2:54 ms=13000") != NULL,
	    "%s", told);
	dns_silence_heard();
	T_EQ_NUM(n_told, 2);
}

static void
ten_seconds(void)
{
	begin(0);
	fail(3, 10000, "d%u.example");
	T_EQ_NUM(n_told, 0);
	fail(1, 10000, "e%u.example");
	T_EQ_NUM(n_told, 1);
	T_CHECKF(strstr(told, "server=/etc/resolv.conf ") != NULL, "%s", told);
}

static void
one_domain_is_no_resolver(void)
{
	begin(1);
	for (unsigned i = 0; i < 5; i++)
		fail(4, 10000, "mx%u.dead.example");
	T_EQ_NUM(n_told, 0);
	fail(1, 10000, "dead.example"); /* nothing else was asked for a minute */
	T_EQ_NUM(n_told, 1);
	begin(1);
	for (unsigned i = 0; i < 5; i++)
		fail(4, 10000, "%u.2.0.192.in-addr.arpa");
	T_EQ_NUM(n_told, 0);
	fail(1, 1000, "9.113.0.203.in-addr.arpa");
	T_EQ_NUM(n_told, 1);
}

/* Where little is asked a session can make it so, of two domains with dead servers. */
static void
not_each_time(void)
{
	begin(1);
	for (unsigned i = 0; i < 6; i++) {
		fail(4, 10000, "a.d%u.example");
		T_EQ_NUM(n_told, i > 0 ? 2 : 1);
		dns_silence_heard();
		T_EQ_NUM(n_told, 2);
	}
	fail(4, 10000, "a.d%u.example");
	T_EQ_NUM(n_told, 3);
}

static void
no_way_out(void)
{
	begin(1);
	for (unsigned i = 0; i < 10; i++) {
		fail(1, 0, "a.d%u.example");
		fail(1, 0, "a.d%u.test");
		T_EQ_NUM(n_told, 0);
		clock_ms += 950;
	}
	fail(1, 0, "a.d%u.test");
	T_EQ_NUM(n_told, 1);
	dns_silence_heard();
	T_CHECKF(
	    strstr(told, "worker resolver-up server=192.0.2.1:53 ms=9500") != NULL, "%s", told);
}

static void
what_is_no_evidence(void)
{
	begin(1);
	for (unsigned i = 0; i < 30; i++) {
		clock_ms += 900;
		dns_silence_over("a.example", clock_ms - 900, false); /* askers who went */
		dns_silence_over("b.test", clock_ms - 900, false);
	}
	T_EQ_NUM(n_told, 0);
	for (unsigned i = 0; i < 10; i++) { /* the cache's failures */
		fail(20, 500, "a.d%u.example");
		fail(20, 500, "a.d%u.test");
		clock_ms += 3000;
		fail(1, 10000, "dead.example");
		dns_silence_heard();
	}
	T_EQ_NUM(n_told, 0);
	for (unsigned i = 0; i < 30; i++) {
		fail(3, 5000, "d%u.example");
		dns_silence_heard();
	}
	T_EQ_NUM(n_told, 0);
	/* Something came while they waited. */
	for (unsigned i = 0; i < 10; i++) {
		clock_ms += 100;
		dns_silence_heard();
		clock_ms += 9000;
		for (unsigned k = 0; k < 3; k++)
			dns_silence_over(k == 0 ? "a.example" : "b.test", clock_ms - 9050, false);
	}
	T_EQ_NUM(n_told, 0);
}

static void
which_worker_says_so(void)
{
	begin(2);
	dns_silence_worker(3);
	fail(8, 1500, "a.d%u.example");
	T_CHECKF(strstr(told, " for 2 seconds\" worker=3") != NULL, "%s", told);
	dns_silence_heard();
	T_CHECKF(strstr(told, " ms=1500 worker=3") != NULL, "%s", told);
	begin(2);
	fail(8, 1500, "a.d%u.example");
	T_CHECKF(
	    strstr(told, "resolver-down") != NULL && strstr(told, "worker=") == NULL, "%s", told);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(eight_in_a_row);
	T_RUN(ten_seconds);
	T_RUN(one_domain_is_no_resolver);
	T_RUN(not_each_time);
	T_RUN(no_way_out);
	T_RUN(what_is_no_evidence);
	T_RUN(which_worker_says_so);
	return t_end();
}
