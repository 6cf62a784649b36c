/*
 * t_filters_dns -- facts that ask the DNS: client names, domains, lists; each outcome of each look-up.
 */
#include "config.h"
#include "filters/registry.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

/* ---- a world: a clock that jumps, a made-up DNS whose answers take their time ---- */

struct later {
	struct timer      timer;
	struct dns_query *q;
};

static struct stand {
	struct arena        *a, *conf;
	struct loop         *loop;
	struct fiber_pool   *pool;
	struct dns_table    *dns;
	struct later         later[64];
	struct client        client;
	void                *shared, *seat; /* of the filter that is asked */
	const struct filter *filter;
	uint64_t             now, delay;
	const char          *slow; /* names that begin so take ten times as long */
	unsigned             asked, taken_back;
	char                 asked_for[64];
	char                 log[2000];
} s;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return s.now;
}

static uint64_t
fake_wall(struct world *w)
{
	(void)w;
	return 0;
}

static void
fake_log(struct world *w, struct strv line)
{
	size_t n = strlen(s.log);

	(void)w;
	if (n + line.n + 2 < sizeof(s.log))
		snprintf(s.log + n, sizeof(s.log) - n, "%.*s\n", (int)line.n, line.p);
}

static void
answer(void *arg)
{
	struct later     *l = arg;
	struct dns_query *q = l->q;
	struct arena     *a = arena_new(1024, 0);
	bool              timeout = false;
	struct strv       packet = dns_table_answer(s.dns, a, q->name, q->type, &timeout);

	if (!timeout) {
		l->q = NULL;
		q->done(q, DNS_OK, packet);
	}
	arena_free(a);
}

static void
fake_dns(struct world *w, struct dns_query *q)
{
	bool slow = s.slow != NULL && strncmp(q->name, s.slow, strlen(s.slow)) == 0;

	(void)w;
	s.asked++;
	for (size_t i = 0; i < T_COUNT(s.later); i++) {
		struct later *l = &s.later[i];

		if (l->q != NULL)
			continue;
		l->q = q;
		l->timer = (struct timer){ .fn = answer, .arg = l };
		if (s.delay == 0)
			answer(l); /* inside the call */
		else
			timer_start(s.loop, &l->timer, s.now + s.delay * (slow ? 10 : 1));
		return;
	}
	T_CHECK(!"too many questions");
}

static void
fake_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	for (size_t i = 0; i < T_COUNT(s.later); i++) {
		if (s.later[i].q != q)
			continue;
		s.later[i].q = NULL;
		timer_stop(s.loop, &s.later[i].timer);
		s.taken_back++;
		return;
	}
	T_CHECK(!"taken back, but not asked");
}

static struct world fake = { .now = fake_now,
	.wall = fake_wall,
	.log = fake_log,
	.dns = fake_dns,
	.dns_cancel = fake_cancel };

static struct strv
next_field(struct strv *v, char c)
{
	struct strv one = strv_trim(strv_cut(v, c));

	return one;
}

/* "a.example A 192.0.2.1; b.example SERVFAIL" */
static void
state_dns(const char *text)
{
	struct strv v = strv_z(text);

	dns_table_clear(s.dns);
	while (v.p != NULL && v.n > 0) {
		struct strv one = next_field(&v, ';'), name = strv_word(&one),
			    type = strv_word(&one);
		const char *why = "";

		if (name.n > 0 && !dns_table_add(s.dns, name, type, strv_trim(one), &why))
			T_CHECKF(false, "%s: %s", text, why);
	}
}

static const struct filter *
owner_of(const char *name)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));

	T_CHECKF(at >= 0, "no fact %s", name);
	return registry_filters[registry_owner((unsigned)at)];
}

/* For facts of one filter. */
static void
setup(const char *fact, const char *client)
{
	memset(&s, 0, sizeof(s));
	s.now = 1000;
	s.delay = 10;
	s.a = arena_new(4096, 0);
	s.conf = arena_new(4096, 0);
	s.loop = loop_new(&fake);
	s.pool = fiber_pool_new(s.loop, 65536, 10, 4);
	s.dns = dns_table_new(s.conf);
	s.filter = owner_of(fact);
	s.shared = s.filter->make != NULL ? s.filter->make(s.conf) : NULL;
	if (client != NULL)
		T_CHECK(addr_parse(strv_z(client), &s.client.addr.addr));
	s.seat = s.filter->open != NULL ? s.filter->open(s.a, s.shared, &s.client) : NULL;
}

static void
teardown(void)
{
	arena_free(s.conf);
	for (size_t i = 0; i < T_COUNT(s.later); i++)
		T_CHECKF(s.later[i].q == NULL, "question %zu is left", i);
	fiber_pool_free(s.pool);
	loop_free(s.loop);
	arena_free(s.a);
}

/* ---- one question ---- */

struct ask {
	struct fact    fact;
	enum filter_rc rc;
	struct fiber  *fiber;
	bool           over;
	uint64_t       took;
};

static void
ask_fiber(void *arg)
{
	struct ask *k = arg;
	uint64_t    began = s.now;
	struct mail mail = { .client = &s.client };

	k->fiber = fiber_self();
	k->rc = s.filter->ask(s.seat, &k->fact, &mail);
	k->took = s.now - began;
	k->over = true;
}

static void
start(struct ask *k, const char *name, const char *arg)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));

	*k = (struct ask){ .fact = { .def = &d[at],
			       .number = (unsigned)at,
			       .arg = strv_z(arg),
			       .a = s.a,
			       .state = FACT_RUNNING } };
	T_CHECK(fiber_start(s.pool, "ask", ask_fiber, k) != NULL);
}

/* Until all of them are over, or nothing more can happen. */
static void
run(struct ask *const *k, size_t n)
{
	for (unsigned rounds = 0; rounds < 100000; rounds++) {
		bool over = true;

		for (size_t i = 0; i < n; i++)
			over = over && k[i]->over;
		if (over)
			return;
		if (loop_round(s.loop, false))
			continue;
		if (loop_next_timer(s.loop) == UINT64_MAX)
			break;
		s.now = loop_next_timer(s.loop);
	}
	T_CHECK(!"it never ends");
}

/* The value; "-" absent, "?" unknown, "!" nonsense, "x" cancelled. */
static const char *
value(struct ask *k)
{
	static const char *const not_known[] = {
		[FILTER_TEMP] = "?", [FILTER_BUG] = "!", [FILTER_CANCELLED] = "x"
	};

	T_CHECK(k->fact.source.n > 0 || k->rc == FILTER_CANCELLED);
	if (k->rc != FILTER_OK)
		return not_known[k->rc];
	T_EQ_NUM(k->fact.state, FACT_KNOWN);
	return fact_absent(&k->fact) ? "-" : arena_z(s.a, fact_print(s.a, &k->fact));
}

static const char *
ask(const char *name, const char *arg)
{
	static struct ask k;

	start(&k, name, arg);
	run((struct ask *const[]){ &k }, 1);
	return value(&k);
}

/* Time passes; what is due comes. */
static void
pass(uint64_t ms)
{
	uint64_t until = s.now + ms;

	for (;;) {
		if (loop_round(s.loop, false))
			continue;
		if (loop_next_timer(s.loop) > until)
			break;
		s.now = loop_next_timer(s.loop);
	}
	s.now = until;
	loop_round(s.loop, false);
}

/* ---- the client's names ---- */

#define P  "9.2.0.192.in-addr.arpa PTR "
#define P6 "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR "

static void
names_the_client(void)
{
	/* clang-format off */
	static const struct {
		const char *client, *dns, *name, *rdns;
	} rows[] = {
		{ "192.0.2.9", "", "-", "-" },
		{ "192.0.2.9", P "mx.example; mx.example A 192.0.2.9", "mx.example", "mx.example" },
		{ "192.0.2.9", P "Mx.Example.; mx.example A 192.0.2.9", "mx.example", "mx.example" },
		{ "192.0.2.9", P "mx.example; mx.example A 192.0.2.8; mx.example A 192.0.2.9", "mx.example", "mx.example" },
		{ "192.0.2.9", P "mx.example; mx.example CNAME m.example; m.example A 192.0.2.9", "mx.example", "mx.example" },
		/* not confirmed: another address, no address, no such name */
		{ "192.0.2.9", P "mx.example; mx.example A 192.0.2.8", "-", "mx.example" },
		{ "192.0.2.9", P "mx.example; mx.example AAAA 2001:db8::9", "-", "mx.example" },
		{ "192.0.2.9", P "mx.example", "-", "mx.example" },
		/* one of several has it: the first of them that has */
		{ "192.0.2.9", P "a.example; " P "b.example; " P "c.example; b.example A 192.0.2.9; c.example A 192.0.2.9",
		    "b.example", "a.example" },
		/* and then the failure of the others does not matter; else it does */
		{ "192.0.2.9", P "a.example; " P "b.example; a.example SERVFAIL; b.example A 192.0.2.9", "b.example", "a.example" },
		{ "192.0.2.9", P "a.example; " P "b.example; a.example TIMEOUT; b.example A 192.0.2.9", "b.example", "a.example" },
		{ "192.0.2.9", P "a.example; " P "b.example; a.example SERVFAIL; b.example A 192.0.2.8", "?", "a.example" },
		{ "192.0.2.9", P "a.example; " P "b.example; b.example SERVFAIL", "?", "a.example" },
		{ "192.0.2.9", "9.2.0.192.in-addr.arpa SERVFAIL", "?", "?" },
		{ "192.0.2.9", "9.2.0.192.in-addr.arpa TIMEOUT", "?", "?" },
		/* what is no host's name is not asked for */
		{ "192.0.2.9", P "192.0.2.9; 192.0.2.9 A 192.0.2.9", "-", "192.0.2.9" },
		{ "192.0.2.9", P "a/b.example; a/b.example A 192.0.2.9", "-", "a/b.example" },
		{ "192.0.2.9", P "a_b.example; a_b.example A 192.0.2.9", "a_b.example", "a_b.example" },
		{ "192.0.2.9", P "localhost; localhost A 192.0.2.9", "localhost", "localhost" },
		/* a delegated reverse zone, RFC 2317 */
		{ "192.0.2.9", "9.2.0.192.in-addr.arpa CNAME 9.0-15.2.0.192.in-addr.arpa; "
		    "9.0-15.2.0.192.in-addr.arpa PTR mx.example; mx.example A 192.0.2.9", "mx.example", "mx.example" },
		{ "2001:db8::9", P6 "mx.example; mx.example AAAA 2001:db8::9", "mx.example", "mx.example" },
		{ "2001:db8::9", P6 "mx.example; mx.example A 192.0.2.9", "-", "mx.example" },
		{ "::ffff:192.0.2.9", P "mx.example; mx.example A 192.0.2.9", "mx.example", "mx.example" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].dns;
		setup("client.name", rows[i].client);
		state_dns(rows[i].dns);
		T_EQ_STR(ask("client.name", NULL), rows[i].name);
		T_EQ_STR(ask("client.rdns", NULL), rows[i].rdns);
		teardown();
	}
}

/* Ten names are looked at; a silent one takes no more than its part of the time. */
static void
bounds_the_names(void)
{
	char       dns[2000];
	size_t     n = 0;
	struct ask k;

	for (int i = 10; i < 22; i++)
		n += (size_t)snprintf(dns + n, sizeof(dns) - n, P "h%d.example; ", i);
	setup("client.name", "192.0.2.9");
	snprintf(dns + n, sizeof(dns) - n, "h19.example A 192.0.2.9");
	state_dns(dns);
	T_EQ_STR(ask("client.name", NULL), "h19.example");
	T_EQ_NUM(s.asked, 1 + 10);
	snprintf(dns + n, sizeof(dns) - n, "h20.example A 192.0.2.9");
	state_dns(dns);
	T_EQ_STR(ask("client.name", NULL), "-");
	T_EQ_NUM(s.asked, 2 * 11);
	teardown();

	setup("client.name", "192.0.2.9");
	state_dns(P "a.example; " P "b.example; a.example TIMEOUT; b.example TIMEOUT");
	start(&k, "client.name", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "?");
	T_CHECKF(k.took >= 9000 && k.took <= 11000, "it took %" PRIu64, k.took);
	teardown();
}

static void
has_no_name_without_an_address(void)
{
	setup("client.name", NULL);
	s.client.addr.addr.family = ADDR_UNIX;
	T_EQ_STR(ask("client.name", NULL), "-");
	T_EQ_STR(ask("client.rdns", NULL), "-");
	T_EQ_NUM(s.asked, 0);
	teardown();
}

static void
tells_what_was_asked(void)
{
	static struct ask k;

	setup("client.name", "192.0.2.9");
	state_dns(P "a.example; " P "b.example; b.example A 192.0.2.9");
	start(&k, "client.name", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_TEXT(k.fact.source,
	    "PTR 9.2.0.192.in-addr.arpa a.example, b.example; A a.example no such name; A b.example 192.0.2.9");
	teardown();
}

/* ---- who speaks early ---- */

static void
waits_for_early_talkers(void)
{
	struct ask k;

	setup("early-talker", "192.0.2.9");
	start(&k, "early-talker", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "no");
	T_EQ_NUM(k.took, 2000);
	/* once a session; what was seen later does not count either: the greeting is out */
	start(&k, "early-talker", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_NUM(k.took, 0);
	teardown();

	setup("early-talker", "192.0.2.9");
	start(&k, "early-talker", NULL);
	pass(700);
	T_CHECK(!k.over);
	s.client.early = true;
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "yes");
	T_EQ_NUM(k.took, 750);
	teardown();

	/* behind HELO there is nothing to wait for */
	setup("early-talker", "192.0.2.9");
	s.client.helo = SV("a");
	start(&k, "early-talker", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "no");
	T_EQ_NUM(k.took, 0);
	teardown();

	setup("early-talker", "192.0.2.9");
	start(&k, "early-talker", NULL);
	pass(100);
	fiber_cancel(k.fiber);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "x");
	teardown();
}

/* ---- domains and hosts ---- */

static void
finds_domains_and_hosts(void)
{
	/* clang-format off */
	static const struct {
		const char *name, *dns, *domain, *host, *mx;
	} rows[] = {
		{ "a.example", "", "no", "no", "no" },
		{ "a.example", "a.example MX 10 mx.example", "yes", "yes", "yes" },
		{ "a.example", "a.example A 192.0.2.1", "yes", "yes", "no" },
		{ "a.example", "a.example AAAA 2001:db8::1", "yes", "yes", "no" },
		{ "A.Example.", "a.example A 192.0.2.1", "yes", "yes", "no" },
		/* an MX counts, whether its host is there or not; NS alone and TXT do not */
		{ "a.example", "a.example MX 10 mx.example; mx.example SERVFAIL", "yes", "yes", "yes" },
		{ "a.example", "a.example NS ns.example", "no", "no", "no" },
		{ "a.example", "a.example TXT v=spf1", "no", "no", "no" },
		{ "a.example", "b.a.example A 192.0.2.1", "no", "no", "no" },
		/* RFC 7505: alone it is the end, whatever else the name has; beside others it is nothing */
		{ "a.example", "a.example MX 0 .", "no", "no", "no" },
		{ "a.example", "a.example MX 0 .; a.example A 192.0.2.1", "no", "yes", "no" },
		{ "a.example", "a.example MX 0 .; a.example MX 10 mx.example", "yes", "yes", "yes" },
		{ "a.example", "a.example MX 10 .", "no", "no", "no" },
		/* CNAME */
		{ "a.example", "a.example CNAME b.example; b.example MX 10 mx.example", "yes", "yes", "yes" },
		{ "a.example", "a.example CNAME b.example; b.example A 192.0.2.1", "yes", "yes", "no" },
		{ "a.example", "a.example CNAME b.example", "no", "no", "no" },
		{ "a.example", "a.example CNAME a.example", "?", "?", "?" },
		/* no answer is not no */
		{ "a.example", "a.example SERVFAIL", "?", "?", "?" },
		{ "a.example", "a.example TIMEOUT", "?", "?", "?" },
		{ "a.example", "*.example SERVFAIL", "?", "?", "?" },
		/* odd names */
		{ "example", "example MX 10 mx.example", "yes", "yes", "yes" },
		{ "_a.example", "_a.example A 192.0.2.1", "yes", "yes", "no" },
#if HAVE_IDN2
		{ "b\xc3\xbc" "cher.example", "xn--bcher-kva.example A 192.0.2.1", "yes", "yes", "no" },
#endif
		{ "a..example", "", "no", "no", "no" },
		{ ".a.example", "", "no", "no", "no" },
		{ "a example", "", "no", "no", "no" },
		{ "a\\.example", "", "no", "no", "no" },
		{ "", "", "no", "no", "no" },
		{ "192.0.2.1", "192.0.2.1 A 192.0.2.1", "no", "no", "no" },
		{ "[192.0.2.1]", "", "yes", "yes", "yes" },
		{ "[IPv6:2001:db8::1]", "", "yes", "yes", "yes" },
		{ "[192.0.2.256]", "", "no", "no", "no" },
		{ "[", "", "no", "no", "no" },
		{ "[]", "", "no", "no", "no" },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", "", "no", "no", "no" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].dns[0] != '\0' ? rows[i].dns : rows[i].name;
		setup("mx", "192.0.2.9");
		state_dns(rows[i].dns);
		T_EQ_STR(ask("resolves", rows[i].name), rows[i].domain);
		T_EQ_STR(ask("resolves.host", rows[i].name), rows[i].host);
		T_EQ_STR(ask("mx", rows[i].name), rows[i].mx);
		teardown();
	}
}

/* ---- one type fails, another does not ---- */

static uint32_t failing, absent; /* types that get SERVFAIL, and none */

static void
dns_by_type(struct world *w, struct dns_query *q)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_record r = { .addr = { ADDR_IP4, { 192, 0, 2, 1 } }, .text = SV("mx.example") };
	struct dns_answer one = { &r, 1, 60 };
	enum dns_rc       rc = DNS_OK;

	(void)w;
	if (q->type == DNS_AAAA)
		r.addr = (struct addr){ ADDR_IP6, { 0x20, 1, 0x0d, 0xb8 } };
	if (failing & 1u << q->type)
		rc = DNS_TEMP;
	else if (absent & 1u << q->type)
		rc = DNS_NODATA;
	q->done(q, DNS_OK, dns_pack(a, q->name, q->type, rc, rc == DNS_OK ? &one : NULL));
	arena_free(a);
}

#define T_A    (1u << DNS_A)
#define T_AAAA (1u << DNS_AAAA)
#define T_MX   (1u << DNS_MX)

static void
one_look_up_settles_what_another_does_not(void)
{
	static const struct {
		const char *row;
		uint32_t    fails, absent;
		const char *domain, *host, *mx;
	} rows[] = {
		{ "A is there, AAAA fails", T_AAAA, T_MX, "yes", "yes", "no" },
		{ "AAAA is there, A fails", T_A, T_MX, "yes", "yes", "no" },
		{ "MX is there, addresses fail", T_A | T_AAAA, 0, "yes", "yes", "yes" },
		{ "nothing is there, A fails", T_A, T_MX | T_AAAA, "?", "?", "no" },
		{ "nothing is there, AAAA fails", T_AAAA, T_MX | T_A, "?", "?", "no" },
		{ "MX fails, A is there: there may be a null MX", T_MX, T_AAAA, "?", "yes", "?" },
		{ "MX fails, nothing is there", T_MX, T_A | T_AAAA, "?", "?", "?" },
		{ "nothing is there", 0, T_A | T_AAAA | T_MX, "no", "no", "no" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].row;
		setup("mx", "192.0.2.9");
		fake.dns = dns_by_type;
		failing = rows[i].fails;
		absent = rows[i].absent;
		T_EQ_STR(ask("resolves", "a.example"), rows[i].domain);
		T_EQ_STR(ask("resolves.host", "a.example"), rows[i].host);
		T_EQ_STR(ask("mx", "a.example"), rows[i].mx);
		fake.dns = fake_dns;
		teardown();
	}
}

/* No resolver at all; nonsense from one; a session that ends while it is asked. */
static void
resolver_that_is_none(void)
{
	struct ask k;

	setup("mx", "192.0.2.9");
	fake.dns = NULL;
	T_EQ_STR(ask("mx", "a.example"), "?");
	T_EQ_STR(ask("resolves", "a.example"), "?");
	teardown();
	setup("dnsbl", "192.0.2.9");
	T_EQ_STR(ask("dnsbl", "zen.example"), "?");
	T_EQ_STR(ask("dnsbl.text", NULL), "-");
	teardown();
	fake.dns = fake_dns;

	setup("mx", "192.0.2.9");
	state_dns("a.example TIMEOUT");
	start(&k, "resolves", "a.example");
	pass(100);
	fiber_cancel(k.fiber);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "x");
	teardown();
}

/* ---- lists ---- */

#define ZEN "2.0.0.127.zen.example A 127.0.0.2; "
#define ZEN6 \
	"2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.zen.example A 127.0.0.2; "
#define Q  "9.2.0.192.zen.example "
#define Q6 "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example "

static void
asks_lists_of_addresses(void)
{
	/* clang-format off */
	static const struct {
		const char *client, *dns, *value, *log;
	} rows[] = {
		{ "192.0.2.9", ZEN, "-", "" },
		{ "192.0.2.9", ZEN Q "A 127.0.0.4", "127.0.0.4", "" },
		{ "192.0.2.9", ZEN Q "A 127.0.0.4; " Q "A 127.0.0.11", "127.0.0.4, 127.0.0.11", "" },
		{ "192.0.2.9", ZEN Q "TXT here", "-", "" },
		{ "192.0.2.9", ZEN Q "SERVFAIL", "?", "" },
		{ "192.0.2.9", ZEN Q "TIMEOUT", "?", "" },
		{ "2001:db8::9", ZEN6 Q6 "A 127.0.0.4", "127.0.0.4", "" },
		{ "2001:db8::9", ZEN6, "-", "" },
		/* codes that say: I do not speak to you */
		{ "192.0.2.9", ZEN Q "A 127.255.255.254", "?",
		    "worker list-refuses list=zen.example of=ip4 why=\"it answers 127.255.255.*\"\n" },
		{ "192.0.2.9", ZEN Q "A 127.0.0.2; " Q "A 127.255.255.252", "?",
		    "worker list-refuses list=zen.example of=ip4 why=\"it answers 127.255.255.*\"\n" },
		{ "192.0.2.9", "*.zen.example A 127.255.255.254", "?",
		    "worker list-refuses list=zen.example of=ip4 why=\"it answers 127.255.255.*\"\n" },
		/* the list of all the world, of nobody, and a parking page */
		{ "192.0.2.9", "*.zen.example A 127.0.0.2", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"its test point that may not be listed is\"\n" },
		{ "192.0.2.9", Q "A 127.0.0.2", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"its test point that must be listed is not\"\n" },
		{ "192.0.2.9", "*.zen.example A 192.0.2.200", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"it answers outside of 127.0.0.0/8\"\n" },
		{ "192.0.2.9", ZEN Q "A 192.0.2.200", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"it answers outside of 127.0.0.0/8\"\n" },
		{ "192.0.2.9", ZEN Q "A 127.0.0.2; " Q "A 128.0.0.1", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"it answers outside of 127.0.0.0/8\"\n" },
		/* test points that nobody answers prove nothing */
		{ "192.0.2.9", "2.0.0.127.zen.example SERVFAIL; " Q "A 127.0.0.2", "127.0.0.2", "" },
		{ "192.0.2.9", ZEN "1.0.0.127.zen.example SERVFAIL; " Q "A 127.0.0.2", "127.0.0.2", "" },
		{ "192.0.2.9", "2.0.0.127.zen.example SERVFAIL; 1.0.0.127.zen.example A 127.0.0.2; " Q "A 127.0.0.2", "-",
		    "worker list-set-aside list=zen.example of=ip4 why=\"its test point that may not be listed is\"\n" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].dns;
		for (unsigned delay = 0; delay < 20; delay += 10) {
			setup("dnsbl", rows[i].client);
			s.delay = delay;
			state_dns(rows[i].dns);
			T_EQ_STR(ask("dnsbl", "zen.example"), rows[i].value);
			pass(1000);
			T_EQ_STR(s.log, rows[i].log);
			T_EQ_STR(ask("dnswl", "Zen.Example."), rows[i].value);
			pass(1000);
			T_EQ_STR(s.log, rows[i].log); /* told once */
			teardown();
		}
	}
}

static void
asks_lists_of_names(void)
{
	/* clang-format off */
	static const struct {
		const char *arg, *dns, *value;
	} rows[] = {
		{ "dbl.example bad.example", "bad.example.dbl.example A 127.0.1.2", "127.0.1.2" },
		{ "dbl.example Bad.Example.", "bad.example.dbl.example A 127.0.1.2", "127.0.1.2" },
		{ "dbl.example good.example", "bad.example.dbl.example A 127.0.1.2", "-" },
		{ "dbl.example bad.example", "bad.example.dbl.example SERVFAIL", "?" },
#if HAVE_IDN2
		{ "dbl.example b\xc3\xbc" "cher.example", "xn--bcher-kva.example.dbl.example A 127.0.1.2", "127.0.1.2" },
#endif
		{ "dbl.example [192.0.2.1]", "*.dbl.example A 127.0.1.2", "-" },
		{ "dbl.example 192.0.2.1", "*.dbl.example A 127.0.1.2", "-" },
		{ "dbl.example ", "*.dbl.example A 127.0.1.2", "-" },
		{ "dbl.example a b", "", "-" },
		{ "dbl.example a..b", "", "-" },
		{ "dbl.example bad.example", "*.dbl.example A 127.0.1.2", "-" },
	};
	/* clang-format on */
	char dns[500];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].arg;
		setup("rhsbl", "192.0.2.9");
		snprintf(dns, sizeof(dns), "test.dbl.example A 127.0.1.2; %s", rows[i].dns);
		state_dns(dns);
		T_EQ_STR(ask("rhsbl", rows[i].arg), rows[i].value);
		teardown();
	}
	setup("rhsbl", "192.0.2.9");
	state_dns("bad.example.dbl.example A 127.0.1.2");
	T_EQ_STR(ask("rhsbl", "dbl.example bad.example"), "-");
	T_EQ_STR(s.log,
	    "worker list-set-aside list=dbl.example of=names "
	    "why=\"its test point that must be listed is not\"\n");
	teardown();
}

/* Once an hour; in between one question each, and of one that is set aside none. */
static void
tests_lists_once_an_hour(void)
{
	setup("dnsbl", "192.0.2.9");
	state_dns(ZEN Q "A 127.0.0.2");
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	T_EQ_NUM(s.asked, 3);
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	T_EQ_NUM(s.asked, 4);
	pass(3599 * 1000);
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	T_EQ_NUM(s.asked, 5);
	/* it is given up, and nobody believes it once more */
	state_dns("*.zen.example A 127.0.0.2");
	s.slow = "1.0.0.127";
	pass(2000);
	T_EQ_STR(ask("dnsbl", "zen.example"), "-");
	T_EQ_NUM(s.asked, 8);
	T_EQ_STR(ask("dnsbl", "zen.example"), "-");
	T_EQ_NUM(s.asked, 8);
	T_CHECK(strstr(s.log, "list-set-aside") != NULL);
	/* and comes back */
	state_dns(ZEN Q "A 127.0.0.2");
	pass(3600 * 1000);
	T_EQ_STR(ask("dnsbl", "zen.example"), "-");
	T_EQ_NUM(s.asked, 10);
	pass(1000);
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	T_CHECK(strstr(s.log, "worker list-back list=zen.example of=ip4\n") != NULL);
	teardown();
}

/* Who is told "listed" by a list that is being tested waits for the test, no longer than for the list. */
static void
waits_for_the_test(void)
{
	struct ask k, other;

	setup("dnsbl", "192.0.2.9");
	s.slow = "1.0.0.127";
	state_dns("*.zen.example A 127.0.0.2");
	start(&k, "dnsbl", "zen.example");
	start(&other, "dnsbl", "zen.example");
	run((struct ask *const[]){ &k, &other }, 2);
	T_EQ_STR(value(&k), "-");
	T_EQ_STR(value(&other), "-");
	T_EQ_NUM(k.took, 100);
	T_EQ_NUM(other.took, 100);
	T_EQ_NUM(s.asked, 4);
	teardown();

	setup("dnsbl", "192.0.2.9");
	state_dns("1.0.0.127.zen.example TIMEOUT; " ZEN Q "A 127.0.0.2");
	start(&k, "dnsbl", "zen.example");
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "127.0.0.2");
	T_EQ_NUM(k.took, DNS_TIME);
	/* one that hears "not listed" has nothing to wait for */
	dns_table_drop(s.dns, SV("9.2.0.192.zen.example"));
	start(&k, "dnsbl", "zen.example");
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "-");
	T_EQ_NUM(k.took, 10);
	/* it is not waited for again before it is asked anew, in five minutes */
	pass(20000);
	s.asked = 0;
	state_dns("1.0.0.127.zen.example TIMEOUT; " ZEN Q "A 127.0.0.2");
	start(&k, "dnsbl", "zen.example");
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "127.0.0.2");
	T_EQ_NUM(k.took, 10);
	T_EQ_NUM(s.asked, 1);
	pass(300000);
	start(&k, "dnsbl", "zen.example");
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "127.0.0.2");
	T_EQ_NUM(k.took, DNS_TIME);
	T_EQ_NUM(s.asked, 4);
	teardown();

	setup("dnsbl", "192.0.2.9");
	state_dns("1.0.0.127.zen.example TIMEOUT; " ZEN Q "A 127.0.0.2");
	start(&k, "dnsbl", "zen.example");
	pass(1000);
	fiber_cancel(k.fiber);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "x");
	teardown();
}

/* More lists than are tested are asked all the same. */
static void
bounds_the_lists(void)
{
	char zone[40];

	setup("dnsbl", "192.0.2.9");
	state_dns("*.example A 127.0.0.2");
	for (unsigned i = 0; i < 80; i++) {
		snprintf(zone, sizeof(zone), "l%u.example", i);
		t_row = zone;
		T_EQ_STR(ask("dnsbl", zone), i < 64 ? "-" : "127.0.0.2");
	}
	T_EQ_NUM(s.asked, 3 * 64 + 16);
	t_row = "odd zones";
	state_dns("*.example A 192.0.2.1");
	T_EQ_STR(ask("dnsbl", "l79.example"), "!");
	T_EQ_STR(ask("dnsbl", ""), "!");
	T_EQ_STR(ask("dnsbl", "a..b"), "-");
	teardown();
}

/* ---- texts ---- */

static void
tells_the_text_of_who_answered(void)
{
	static const char dns[] = ZEN Q
	    "A 127.0.0.2; " Q
	    "TXT listed: see zen; 2.0.0.127.b.example A 127.0.0.2; 9.2.0.192.b.example A 127.0.0.3; "
	    "9.2.0.192.b.example TXT a\x01"
	    "b\xff; 2.0.0.127.c.example A 127.0.0.2; test.d.example A 127.0.0.2; "
	    "x.example.d.example A 127.0.0.2; x.example.d.example SERVFAIL";
	struct ask k, of;

	setup("dnsbl", "192.0.2.9");
	state_dns(dns);
	T_EQ_STR(ask("dnsbl.text", NULL), "-");
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	start(&k, "dnsbl.text", NULL);
	start(&of, "dnsbl.text.of", "b.example zen.example");
	run((struct ask *const[]){ &k, &of }, 2);
	T_EQ_STR(value(&k), "listed: see zen");
	T_EQ_STR(value(&of), "listed: see zen");
	T_EQ_TEXT(k.fact.source, "TXT 9.2.0.192.zen.example listed: see zen");
	/* not listed, so nothing changes */
	T_EQ_STR(ask("dnsbl", "c.example"), "-");
	T_EQ_NUM(k.fact.state, FACT_KNOWN);
	/* another one answers: who asked before is told anew */
	T_EQ_STR(ask("dnsbl", "b.example"), "127.0.0.3");
	T_EQ_NUM(k.fact.state, FACT_UNASKED);
	T_EQ_NUM(of.fact.state, FACT_UNASKED);
	T_EQ_STR(ask("dnsbl.text", NULL), "a b?");
	T_EQ_STR(ask("dnsbl.text.of", "zen.example b.example"), "listed: see zen");
	T_EQ_STR(ask("dnsbl.text.of", "b.example zen.example"), "a b?");
	T_EQ_STR(ask("dnsbl.text.of", "c.example"), "-");
	T_EQ_STR(ask("dnsbl.text.of", ""), "-");
	teardown();
}

static void
text_is_cut_and_may_be_missing(void)
{
	char dns[1000] = ZEN Q "A 127.0.0.2; " Q "TXT ";

	memset(dns + strlen(dns), 'x', 300);
	setup("dnsbl", "192.0.2.9");
	state_dns(dns);
	ask("dnsbl", "zen.example");
	T_EQ_NUM(strlen(ask("dnsbl.text", NULL)), 200);
	teardown();

	setup("dnsbl", "192.0.2.9");
	state_dns(ZEN Q "A 127.0.0.2");
	ask("dnsbl", "zen.example");
	T_EQ_STR(ask("dnsbl.text", NULL), "-");
	/* it is unknown where its servers have gone in between */
	state_dns("9.2.0.192.zen.example SERVFAIL");
	T_EQ_STR(ask("dnsbl.text", NULL), "?");
	teardown();
}

/* The latest few are remembered. */
static void
bounds_the_texts(void)
{
	char zone[40], text[40];

	setup("dnsbl", "192.0.2.9");
	for (unsigned i = 0; i < 20; i++) {
		char dns[300];

		snprintf(zone, sizeof(zone), "l%u.example", i);
		snprintf(text, sizeof(text), "text %u", i);
		snprintf(dns, sizeof(dns),
		    "2.0.0.127.%s A 127.0.0.2; 9.2.0.192.%s A 127.0.0.2; 9.2.0.192.%s TXT %s; "
		    "9.2.0.192.l%u.example TXT before",
		    zone, zone, zone, text, i == 0 ? 19 : i - 1);
		state_dns(dns);
		T_EQ_STR(ask("dnsbl", zone), "127.0.0.2");
		T_EQ_STR(ask("dnsbl.text", NULL), text);
		if (i > 0) {
			snprintf(zone, sizeof(zone), "l%u.example", i - 1);
			T_EQ_STR(ask("dnsbl.text.of", zone), "before");
		}
	}
	T_EQ_STR(ask("dnsbl.text.of", "l0.example"), "-");
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(names_the_client);
	T_RUN(bounds_the_names);
	T_RUN(has_no_name_without_an_address);
	T_RUN(tells_what_was_asked);
	T_RUN(waits_for_early_talkers);
	T_RUN(finds_domains_and_hosts);
	T_RUN(one_look_up_settles_what_another_does_not);
	T_RUN(resolver_that_is_none);
	T_RUN(asks_lists_of_addresses);
	T_RUN(asks_lists_of_names);
	T_RUN(tests_lists_once_an_hour);
	T_RUN(waits_for_the_test);
	T_RUN(bounds_the_lists);
	T_RUN(tells_the_text_of_who_answered);
	T_RUN(text_is_cut_and_may_be_missing);
	T_RUN(bounds_the_texts);
	return t_end();
}
