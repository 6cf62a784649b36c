/*
 * t_filters_dns -- facts that ask the DNS for names: the client's, domains, hosts; each outcome of each look-up.
 */
#include "tests/unit/fact_stand.h"

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
	T_EQ_STR(ask("dnsbl.text.of", "zen.example"), "?");
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
	return t_end();
}
