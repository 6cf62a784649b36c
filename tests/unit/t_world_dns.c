/*
 * t_world_dns -- the real resolver (libunbound on our loop) against a server of the test's own on loopback.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

#if HAVE_UNBOUND

enum { MANY = 100, STACK = 65536 };

static struct world        *w;
static struct loop         *loop;
static struct fiber_pool   *fibers;
static struct endpoint      at = { .addr = { .family = ADDR_IP4, .b = { 127, 0, 0, 1 } } };
static struct resolver_conf conf = { &at, 1 };

/* ---- the server: answers of a table, or none; each a while later ---- */

static struct server {
	struct arena     *a;
	struct dns_table *table;
	struct loop_fd    fd;
	uint64_t          delay;
	unsigned          asked;
	bool              tcp_only;
} server;

struct late {
	struct timer            timer;
	struct sockaddr_storage to;
	socklen_t               n;
	struct strv             packet;
};

static void
send_late(void *arg)
{
	struct late *l = arg;

	(void)!sendto(server.fd.fd, l->packet.p, l->packet.n, 0, (struct sockaddr *)&l->to, l->n);
}

/* The question's name in text; it has no odd octets here. */
static size_t
read_question(const uint8_t *p, size_t n, char name[DNS_NAME_MAX], uint16_t *type)
{
	size_t at_octet = 12, o = 0;

	while (at_octet < n && p[at_octet] != 0) {
		if (o > 0)
			name[o++] = '.';
		for (unsigned k = p[at_octet++]; k > 0; k--)
			name[o++] = (char)p[at_octet++];
	}
	name[o] = '\0';
	*type = (uint16_t)(p[at_octet + 1] << 8 | p[at_octet + 2]);
	return at_octet + 5;
}

static void
serve(void *arg, unsigned what)
{
	uint8_t      p[512];
	char         name[DNS_NAME_MAX];
	uint16_t     type;
	bool         timeout;
	struct late *l = arena_alloc(server.a, sizeof(*l));
	ssize_t      n;

	(void)arg, (void)what;
	l->n = sizeof(l->to);
	n = recvfrom(server.fd.fd, p, sizeof(p), MSG_DONTWAIT, (struct sockaddr *)&l->to, &l->n);
	if (n < 17)
		return;
	read_question(p, (size_t)n, name, &type);
	server.asked++;
	l->packet = dns_table_answer(server.table, server.a, name, type, &timeout);
	if (timeout)
		return;
	memcpy((char *)(uintptr_t)l->packet.p, p, 2);
	l->timer = (struct timer){ .fn = send_late, .arg = l };
	if (server.delay == 0)
		send_late(l);
	else
		timer_start(loop, &l->timer, loop_now(loop) + server.delay);
}

static void
state(const char *name, const char *type, const char *value)
{
	const char *why = "";

	T_CHECKF(dns_table_add(server.table, strv_z(name), strv_z(type), strv_z(value), &why),
	    "%s: %s", name, why);
}

/* ---- the setting ---- */

static void
setup(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t          n = sizeof(sa);
	const char        *why;

	w = world_real(-1);
	loop = loop_new(w);
	world_real_start(w, loop);
	fibers = fiber_pool_new(loop, STACK, 2 * MANY, 8);
	server = (struct server){ .a = arena_new(4096, 0) };
	server.table = dns_table_new(server.a);
	server.fd = (struct loop_fd){ .fn = serve, .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK(bind(server.fd.fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	T_CHECK(getsockname(server.fd.fd, (struct sockaddr *)&sa, &n) == 0);
	T_CHECK(loop_watch(loop, &server.fd, LOOP_READ));
	at.port = ntohs(sa.sin_port);
	T_CHECK(world_real_dns(w, &conf, &why));
}

static void
teardown(void)
{
	T_EQ_NUM(fiber_pool_live(fibers), 0);
	fiber_pool_free(fibers);
	world_real_stop(w);
	T_CHECK(w->dns == NULL);
	loop_unwatch(loop, &server.fd);
	close(server.fd.fd);
	T_EQ_NUM(loop_next_timer(loop), UINT64_MAX);
	loop_free(loop);
	arena_free(server.a);
}

struct asker {
	const char       *name;
	uint16_t          type;
	unsigned          ms;
	struct arena     *a;
	struct fiber     *self;
	struct dns_answer answer;
	enum dns_rc       rc;
	uint64_t          took;
	bool              over;
};

static void
ask(void *arg)
{
	struct asker *x = arg;
	uint64_t      from = w->now(w);

	x->self = fiber_self();
	x->rc = dns_ask(x->a, strv_z(x->name), x->type, x->ms, &x->answer);
	x->took = w->now(w) - from;
	x->over = true;
}

static void
start(struct asker *x, const char *name, uint16_t type, unsigned ms)
{
	*x = (struct asker){ .name = name, .type = type, .ms = ms, .a = server.a };
	T_CHECK(fiber_start(fibers, "asker", ask, x) != NULL);
}

static void
run(const struct asker *x, uint64_t ms)
{
	uint64_t until = w->now(w) + ms;

	while (!x->over && w->now(w) < until)
		loop_round(loop, !(loop_next_timer(loop) == UINT64_MAX));
	T_CHECKF(x->over, "%s: not over", x->name);
}

static enum dns_rc
ask_now(const char *name, uint16_t type, struct asker *x)
{
	start(x, name, type, 9000);
	run(x, 15000);
	return x->rc;
}

/* ---- the tests ---- */

static void
each_outcome(void)
{
	struct asker x;

	setup();
	state("a.example", "A", "192.0.2.1");
	state("a.example", "MX", "20 b.example");
	state("a.example", "MX", "10 c.example");
	state("null.example", "MX", "0 .");
	state("alias.example", "CNAME", "a.example");
	state("fails.example", "SERVFAIL", NULL);
	state("2.1.168.192.in-addr.arpa", "PTR", "lan.example");
	T_EQ_NUM(ask_now("A.example.", DNS_A, &x), DNS_OK);
	T_CHECK(x.answer.n == 1 && x.answer.v[0].addr.b[3] == 1);
	T_EQ_NUM(ask_now("alias.example", DNS_A, &x), DNS_OK);
	T_EQ_NUM(x.answer.n, 1);
	T_EQ_NUM(ask_now("a.example", DNS_MX, &x), DNS_OK);
	T_CHECK(x.answer.n == 2 && strv_eq(x.answer.v[0].text, SV("c.example")));
	T_EQ_NUM(ask_now("null.example", DNS_MX, &x), DNS_OK);
	T_CHECK(x.answer.n == 1 && x.answer.v[0].text.n == 0);
	T_EQ_NUM(ask_now("a.example", DNS_AAAA, &x), DNS_NODATA);
	T_EQ_NUM(ask_now("none.example", DNS_A, &x), DNS_NXDOMAIN);
	T_EQ_NUM(ask_now("fails.example", DNS_A, &x), DNS_TEMP);
	T_EQ_NUM(ask_now("fails.example", DNS_A, &x), DNS_TEMP); /* the cached failure */
	T_EQ_NUM(ask_now("not a name", DNS_A, &x), DNS_NXDOMAIN);
	T_EQ_NUM(ask_now("2.1.168.192.in-addr.arpa", DNS_PTR, &x), DNS_OK); /* of the LAN */
	teardown();
}

static void
cached_and_joined(void)
{
	struct asker x, y, z;
	unsigned     before;

	setup();
	server.delay = 50;
	state("a.example", "A", "192.0.2.1");
	T_EQ_NUM(ask_now("b.example", DNS_A, &x), DNS_NXDOMAIN);
	before = server.asked;
	start(&x, "a.example", DNS_A, 0);
	start(&y, "a.example", DNS_A, 0);
	start(&z, "a.example", DNS_A, 0);
	run(&x, 5000);
	run(&y, 5000);
	run(&z, 5000);
	T_EQ_NUM(server.asked, before + 1);
	T_EQ_NUM(ask_now("a.example", DNS_A, &x), DNS_OK);
	T_CHECK(x.took < 40);
	T_EQ_NUM(server.asked, before + 1);
	teardown();
}

static void
nobody_answers(void)
{
	struct asker x;

	setup();
	state("dead.example", "TIMEOUT", NULL);
	start(&x, "dead.example", DNS_A, 300);
	run(&x, 5000);
	T_EQ_NUM(x.rc, DNS_TEMP);
	T_CHECKF(x.took >= 290 && x.took < 1500, "%u ms", (unsigned)x.took);
	teardown(); /* with the question still under way inside the library */
}

static void
cancelled(void)
{
	struct asker x, y;

	setup();
	server.delay = 100;
	state("a.example", "A", "192.0.2.1");
	start(&x, "a.example", DNS_A, 0);
	fiber_cancel(x.self); /* before the loop has asked */
	run(&x, 1000);
	T_EQ_NUM(x.rc, DNS_CANCELLED);
	start(&x, "a.example", DNS_A, 0);
	start(&y, "a.example", DNS_A, 0);
	for (unsigned i = 0; i < 3; i++)
		loop_round(loop, false);
	fiber_cancel(x.self); /* while it is under way, for another one as well */
	run(&x, 1000);
	run(&y, 5000);
	T_EQ_NUM(x.rc, DNS_CANCELLED);
	T_EQ_NUM(y.rc, DNS_OK);
	teardown();
}

static void
side_by_side(void)
{
	static struct asker x[MANY];
	static char         name[MANY][32];
	uint64_t            from, took;

	setup();
	server.delay = 200;
	state("*.example", "A", "192.0.2.1");
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name[i], sizeof(name[i]), "n%u.example", i);
		start(&x[i], name[i], DNS_A, 0);
	}
	from = w->now(w);
	for (unsigned i = 0; i < MANY; i++) {
		run(&x[i], 9000);
		T_EQ_NUM(x[i].rc, DNS_OK);
	}
	took = w->now(w) - from;
	T_CHECKF(took < 1500, "%u questions of 200 ms each took %u ms", MANY, (unsigned)took);
	teardown();
}

/* Neither asked twice nor missed: the library's own patience with a server that it does not know is 376 ms. */
static void
late_answers_are_heard(void)
{
	struct asker x;

	setup();
	server.delay = 600;
	state("*.example", "A", "192.0.2.1");
	T_EQ_NUM(ask_now("a.example", DNS_A, &x), DNS_OK);
	T_CHECKF(x.took < 1200, "%u ms", (unsigned)x.took);
	server.delay = 0;
	for (unsigned i = 0; i < 4; i++)
		T_EQ_NUM(ask_now((const char *[]){ "b.example", "c.example", "d.example",
				     "e.example" }[i],
			     DNS_A, &x),
		    DNS_OK);
	server.delay = 600;
	T_EQ_NUM(ask_now("f.example", DNS_A, &x), DNS_OK);
	T_EQ_NUM(server.asked, 6);
	teardown();
}

static char     told[400];
static unsigned n_told;

static void
hear(struct world *x, struct strv line)
{
	(void)x;
	snprintf(told, sizeof(told), "%.*s", (int)line.n, line.p);
	n_told++;
}

static void
ask_eight(const char *form)
{
	static struct asker x[8];
	static char         name[8][32];

	for (unsigned i = 0; i < 8; i++) {
		snprintf(name[i], sizeof(name[i]), form, i);
		start(&x[i], name[i], DNS_A, 1200);
	}
	for (unsigned i = 0; i < 8; i++)
		run(&x[i], 5000);
}

/* Of a silent server and of a closed port the log hears once, and again when there is an answer, whatever it says. */
static void
silence_is_told(void)
{
	struct asker x;
	void (*log)(struct world *, struct strv);

	for (unsigned closed = 0; closed < 2; closed++) {
		setup();
		log = w->log;
		w->log = hear;
		n_told = 0;
		state("fails.example", "SERVFAIL", NULL);
		for (unsigned i = 0; i < 8; i++)
			state((const char *[]){ "a.d0", "a.d1", "a.d2", "a.d3", "a.d4", "a.d5",
				  "a.d6", "a.d7" }[i],
			    "TIMEOUT", NULL);
		if (closed) {
			loop_unwatch(loop, &server.fd);
			close(server.fd.fd);
		}
		ask_eight("a.d%u");
		T_EQ_NUM(n_told, 1);
		T_CHECKF(
		    strstr(told, "worker resolver-down server=127.0.0.1:") != NULL, "%s", told);
		if (!closed) {
			ask_now("fails.example", DNS_A, &x);
			T_EQ_NUM(n_told, 2);
			T_CHECKF(strstr(told, "worker resolver-up server=127.0.0.1:") != NULL, "%s",
			    told);
		}
		w->log = log;
		teardown();
	}
}

/* Where nothing can be sent questions fail at once, and the cache's failures are no more than that. */
static void
no_way_is_told(void)
{
	static struct endpoint nowhere = {
		.addr = { .family = ADDR_IP4, .b = { 255, 255, 255, 255 } }, .port = 53
	};
	static struct resolver_conf there = { &nowhere, 1 };
	const char                 *why;
	uint64_t                    until;
	void (*log)(struct world *, struct strv);

	setup();
	world_real_stop(w);
	world_real_start(w, loop);
	T_CHECK(world_real_dns(w, &there, &why));
	log = w->log;
	w->log = hear;
	n_told = 0;
	for (unsigned i = 0; i < 3; i++) {
		ask_eight((const char *[]){ "a.e%u", "a.f%u", "a.g%u" }[i]);
		until = w->now(w) + 5000;
		while (w->now(w) < until)
			loop_round(loop, loop_next_timer(loop) != UINT64_MAX);
	}
	T_EQ_NUM(n_told, 1);
	T_CHECKF(
	    strstr(told, "worker resolver-down server=255.255.255.255:53") != NULL, "%s", told);
	w->log = log;
	teardown();
}

/* SERVFAIL to all is an answer to all. */
static void
failures_are_no_silence(void)
{
	void (*log)(struct world *, struct strv);
	uint64_t until;

	setup();
	log = w->log;
	w->log = hear;
	n_told = 0;
	server.delay = 1100;
	state("*.d", "SERVFAIL", NULL);
	ask_eight("a%u.d");
	ask_eight("b%u.d");
	T_EQ_NUM(n_told, 0);
	w->log = log;
	until = w->now(w) + server.delay + 100;
	server.delay = 0;
	while (w->now(w) < until) /* what the server still has to say */
		loop_round(loop, loop_next_timer(loop) != UINT64_MAX);
	teardown();
}

/* A context again after the first has gone, as `explain' and tests have it. */
static void
made_anew(void)
{
	struct asker x;

	for (unsigned i = 0; i < 3; i++) {
		setup();
		state("a.example", "A", "192.0.2.1");
		T_EQ_NUM(ask_now("a.example", DNS_A, &x), DNS_OK);
		teardown();
	}
	setup();
	teardown(); /* and one that nobody asked */
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(each_outcome);
	T_RUN(cached_and_joined);
	T_RUN(nobody_answers);
	T_RUN(cancelled);
	T_RUN(side_by_side);
	T_RUN(late_answers_are_heard);
	T_RUN(silence_is_told);
	T_RUN(no_way_is_told);
	T_RUN(failures_are_no_silence);
	T_RUN(made_anew);
	return t_end();
}

#else

int
main(void)
{
	struct world        *w = world_real(-1);
	struct resolver_conf conf = { 0 };
	const char          *why = "";

	T_CHECK(!world_real_dns(w, &conf, &why) && w->dns == NULL);
	T_EQ_STR(why, "this build has no libunbound");
	return t_end();
}

#endif
