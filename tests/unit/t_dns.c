/*
 * t_dns -- fibers that ask: at once, later, side by side, cancelled, in vain; the resolver is the test's hand.
 */
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static uint64_t           clock_ms;
static struct loop       *loop;
static struct fiber_pool *pool;

/* ---- the resolver: questions wait here until the test answers them ---- */

static struct dns_query *pending[8];
static unsigned          n_pending, n_asked, n_taken_back;
static enum dns_rc       at_once; /* DNS_CANCELLED: nothing is answered inside the call */

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static struct strv
packet_for(struct arena *a, const struct dns_query *q, enum dns_rc rc, unsigned last)
{
	struct dns_record r = { .addr = { .family = ADDR_IP4, .b = { 192, 0, 2, (uint8_t)last } } };
	struct dns_answer answer = { .v = &r, .n = 1, .ttl = 100 - last };

	if (q->type == DNS_AAAA) {
		r.addr = (struct addr){ .family = ADDR_IP6, .b = { 0x20, 1, 0x0d, 0xb8 } };
		r.addr.b[15] = (uint8_t)last;
	}
	return dns_pack(a, q->name, q->type, rc, &answer);
}

/* DNS_BAD: a packet that is none; DNS_TEMP: no packet. */
static void
answer(struct dns_query *q, enum dns_rc rc)
{
	struct arena *a = arena_new(1024, 0);

	if (rc == DNS_TEMP)
		q->done(q, rc, strv(NULL, 0));
	else if (rc == DNS_BAD)
		q->done(q, DNS_OK, SV("no packet"));
	else
		q->done(q, DNS_OK, packet_for(a, q, rc, q->type == DNS_AAAA ? 6 : 4));
	arena_free(a); /* so who keeps a view of it is seen by a sanitizer */
}

static void
fake_dns(struct world *w, struct dns_query *q)
{
	(void)w;
	n_asked++;
	if (at_once != DNS_CANCELLED)
		answer(q, at_once);
	else
		pending[n_pending++] = q;
}

static void
fake_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	n_taken_back++;
	for (unsigned i = 0; i < n_pending; i++)
		if (pending[i] == q)
			pending[i] = pending[--n_pending];
}

static void
answer_next(enum dns_rc rc)
{
	struct dns_query *q = pending[0];

	T_CHECK(n_pending > 0);
	for (unsigned i = 1; i < n_pending; i++)
		pending[i - 1] = pending[i];
	n_pending--;
	answer(q, rc);
}

/* A lying answer: all is well with it, but that nobody asked that. */
static void
answer_next_of(const char *name)
{
	struct dns_query lie = *pending[0];
	struct arena    *a = arena_new(1024, 0);

	lie.name = name;
	n_pending--;
	lie.done(pending[0], DNS_OK, packet_for(a, &lie, DNS_OK, 4));
	arena_free(a);
}

/* ---- the asker ---- */

static struct world fake = { .now = fake_now, .dns = fake_dns, .dns_cancel = fake_cancel };

static struct asker {
	struct arena     *a;
	const char       *name;
	bool              both;
	unsigned          ms, times;
	uint64_t          deadline;
	struct fiber     *self;
	struct dns_answer answer;
	enum dns_rc       rc;
	bool              over;
} x;

static void
ask(void *arg)
{
	(void)arg;
	x.self = fiber_self();
	x.self->deadline = x.deadline;
	for (unsigned i = 0; i <= x.times; i++)
		x.rc = x.both ? dns_ask_addrs(x.a, strv_z(x.name), x.ms, &x.answer) :
				dns_ask(x.a, strv_z(x.name), DNS_A, x.ms, &x.answer);
	x.over = true;
}

static void
rounds(void)
{
	for (unsigned i = 0; i < 4; i++)
		loop_round(loop, false);
}

static void
setup(enum dns_rc immediately)
{
	clock_ms = 1000;
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 10, 4);
	n_pending = n_asked = n_taken_back = 0;
	at_once = immediately;
	x = (struct asker){ .a = arena_new(1024, 0), .name = "Mail.Example." };
}

static void
start(void)
{
	T_CHECK(fiber_start(pool, "asker", ask, NULL) != NULL);
}

/* Time passes until a timer is due, at the latest `ms` from now. */
static void
pass(uint64_t ms)
{
	clock_ms += ms;
	rounds();
}

static void
teardown(void)
{
	T_CHECK(x.over);
	T_EQ_NUM(n_pending, 0);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	T_EQ_NUM(loop_next_timer(loop), UINT64_MAX);
	fiber_pool_free(pool);
	loop_free(loop);
	arena_free(x.a);
}

/* ---- one question ---- */

static void
known_at_once(void)
{
	static const enum dns_rc all[] = { DNS_OK, DNS_NXDOMAIN, DNS_NODATA, DNS_TEMP, DNS_BAD };

	for (size_t i = 0; i < T_COUNT(all); i++) {
		setup(all[i]);
		t_row = dns_rc_name(all[i]);
		start();
		T_CHECK(x.over); /* it has not parked */
		T_EQ_NUM(x.rc, all[i]);
		T_EQ_NUM(x.answer.n, all[i] == DNS_OK);
		teardown();
	}
}

static void
known_later(void)
{
	setup(DNS_CANCELLED);
	start();
	rounds();
	T_CHECK(!x.over && n_pending == 1);
	T_EQ_STR(pending[0]->name, "mail.example");
	T_EQ_STR(x.self->waits_for, "the resolver");
	answer_next(DNS_OK);
	T_CHECK(!x.over); /* it runs from the loop's queue */
	rounds();
	T_CHECK(x.rc == DNS_OK && x.answer.n == 1 && x.answer.ttl == 96);
	T_EQ_NUM(x.answer.v[0].addr.b[3], 4);
	T_EQ_NUM(n_taken_back, 0);
	teardown();
}

/* The question in a packet is compared with the one that was asked, not believed. */
static void
another_question(void)
{
	static const struct {
		const char *asked, *told;
		enum dns_rc want;
	} rows[] = {
		{ "Mail.Example.", "mail.example", DNS_OK },
		{ "Mail.Example.", "MAIL.example", DNS_OK },
		{ "a\\032b.example", "a\\032b.example", DNS_OK },
		{ "mail.example", "evil.example", DNS_BAD },
		{ "mail.example", "x.mail.example", DNS_BAD },
		{ "mail.example", "example", DNS_BAD },
		{ "mail.example", "", DNS_BAD },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].told;
		setup(DNS_CANCELLED);
		x.name = rows[i].asked;
		start();
		rounds();
		T_EQ_NUM(n_pending, 1);
		answer_next_of(rows[i].told);
		rounds();
		T_CHECK(x.over);
		T_EQ_NUM(x.rc, rows[i].want);
		teardown();
	}
}

static void
woken_for_nothing(void)
{
	setup(DNS_CANCELLED);
	start();
	fiber_wake(x.self);
	rounds();
	T_CHECK(!x.over);
	answer_next(DNS_NODATA);
	rounds();
	T_EQ_NUM(x.rc, DNS_NODATA);
	teardown();
}

static void
no_names(void)
{
	setup(DNS_OK);
	x.name = "no name at all";
	start();
	T_CHECK(x.rc == DNS_NXDOMAIN && n_asked == 0);
	teardown();
}

static void
no_resolver(void)
{
	setup(DNS_OK);
	fake.dns = NULL;
	x.both = true;
	start();
	T_CHECK(x.over && x.rc == DNS_TEMP);
	fake.dns = fake_dns;
	teardown();
}

/* ---- ends ---- */

static void
time_over(void)
{
	static const struct row {
		unsigned    ms;
		uint64_t    deadline, first, then;
		enum dns_rc rc;
	} rows[] = {
		{ 0, 0, DNS_TIME - 1, 1, DNS_TEMP }, { 300, 0, 299, 1, DNS_TEMP },
		{ 300, 1100, 99, 1, DNS_TEMP }, /* the fiber's own is nearer */
	};

	T_TABLE(struct row, row, rows)
	{
		setup(DNS_CANCELLED);
		x.ms = row->ms;
		x.deadline = row->deadline;
		start();
		pass(row->first);
		T_CHECK(!x.over);
		pass(row->then);
		T_CHECK(x.over && x.rc == DNS_TEMP);
		T_EQ_NUM(n_taken_back, 1);
		teardown();
	}
}

static void
asked_again_after_time_over(void)
{
	setup(DNS_CANCELLED);
	x.ms = 100;
	x.times = 1;
	start();
	pass(100);
	T_CHECK(!x.over && n_pending == 1 && n_asked == 2);
	answer_next(DNS_OK);
	rounds();
	T_EQ_NUM(x.rc, DNS_OK);
	teardown();
}

static void
cancelled(void)
{
	setup(DNS_CANCELLED);
	x.both = true;
	x.times = 3; /* those behind it do not even ask */
	start();
	fiber_cancel(x.self);
	rounds();
	T_EQ_NUM(x.rc, DNS_CANCELLED);
	T_CHECK(n_asked == 2 && n_taken_back == 2);
	teardown();
}

/* ---- A and AAAA ---- */

static void
side_by_side(void)
{
	static const struct row {
		const char *name;
		enum dns_rc v4, v6, want;
		unsigned    n;
	} rows[] = {
		{ "both", DNS_OK, DNS_OK, DNS_OK, 2 },
		{ "IPv4 alone", DNS_OK, DNS_NODATA, DNS_OK, 1 },
		{ "IPv6 alone", DNS_NODATA, DNS_OK, DNS_OK, 1 },
		{ "IPv4, nothing of IPv6", DNS_OK, DNS_TEMP, DNS_OK, 1 },
		{ "IPv6, nonsense of IPv4", DNS_BAD, DNS_OK, DNS_OK, 1 },
		{ "neither", DNS_NODATA, DNS_NODATA, DNS_NODATA, 0 },
		{ "no such name", DNS_NXDOMAIN, DNS_NXDOMAIN, DNS_NXDOMAIN, 0 },
		{ "one says there is none", DNS_NODATA, DNS_NXDOMAIN, DNS_NODATA, 0 },
		{ "one unknown", DNS_TEMP, DNS_NXDOMAIN, DNS_TEMP, 0 },
		{ "one malformed", DNS_NODATA, DNS_BAD, DNS_BAD, 0 },
		{ "unknown and malformed", DNS_BAD, DNS_TEMP, DNS_TEMP, 0 },
	};

	T_TABLE(struct row, row, rows)
	{
		setup(DNS_CANCELLED);
		t_row = row->name;
		x.both = true;
		start();
		T_EQ_NUM(n_pending, 2); /* both are on their way before either is known */
		T_CHECK(pending[0]->type == DNS_A && pending[1]->type == DNS_AAAA);
		answer_next(row->v4);
		rounds();
		T_CHECK(!x.over);
		answer_next(row->v6);
		rounds();
		T_EQ_NUM(x.rc, row->want);
		T_EQ_NUM(x.answer.n, row->n);
		if (row->n == 2)
			T_CHECK(x.answer.v[0].addr.family == ADDR_IP4 &&
			    x.answer.v[1].addr.family == ADDR_IP6 && x.answer.ttl == 94);
		teardown();
	}
}

static void
one_of_two_in_time(void)
{
	setup(DNS_CANCELLED);
	x.both = true;
	x.ms = 200;
	start();
	answer_next(DNS_OK);
	pass(200);
	T_CHECK(x.over && x.rc == DNS_OK && x.answer.n == 1);
	T_EQ_NUM(n_taken_back, 1);
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(known_at_once);
	T_RUN(known_later);
	T_RUN(another_question);
	T_RUN(woken_for_nothing);
	T_RUN(no_names);
	T_RUN(no_resolver);
	T_RUN(time_over);
	T_RUN(asked_again_after_time_over);
	T_RUN(cancelled);
	T_RUN(side_by_side);
	T_RUN(one_of_two_in_time);
	return t_end();
}
