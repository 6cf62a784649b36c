/*
 * t_dns_table -- a made-up DNS: what it takes, and what it answers to what was not stated.
 */
#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "tests/unit/t.h"

static struct arena     *a;
static struct dns_table *t;

static void
add(const char *name, const char *type, const char *value)
{
	const char *why = "";

	T_CHECKF(dns_table_add(t, strv_z(name), strv_z(type), strv_z(value), &why), "%s %s: %s",
	    name, type, why);
}

/* In one line: how it ended, then each record. */
static const char *
ask(const char *name, uint16_t type)
{
	struct dns_answer answer;
	bool              timeout;
	struct strv       packet = dns_table_answer(t, a, name, type, &timeout), line;
	enum dns_rc       rc;
	char              text[ADDR_TEXT];

	if (timeout)
		return packet.n == 0 ? "timeout" : "timeout, and a packet";
	rc = dns_unpack(a, packet, name, type, &answer);
	line = strv_z(dns_rc_name(rc));
	for (unsigned i = 0; rc == DNS_OK && i < answer.n; i++) {
		const struct dns_record *r = &answer.v[i];

		if (type == DNS_MX)
			line = arena_printf(a, "%.*s %u", (int)line.n, line.p, r->preference);
		if (r->text.p != NULL)
			line = arena_printf(
			    a, "%.*s %.*s", (int)line.n, line.p, (int)r->text.n, r->text.p);
		else {
			addr_print(&r->addr, text);
			line = arena_printf(a, "%.*s %s", (int)line.n, line.p, text);
		}
	}
	return arena_z(a, line);
}

static void
setup(void)
{
	a = arena_new(4096, 0);
	t = dns_table_new(a);
}

static void
records_of_each_type(void)
{
	setup();
	add("Example.NET.", "A", "192.0.2.1");
	add("example.net", "a", "192.0.2.2");
	add("example.net", "AAAA", "2001:db8::1");
	add("example.net", "MX", "20 b.example.net");
	add("example.net", "MX", "10   A.example.net.");
	add("example.net", "TXT", "v=spf1 -all");
	add("example.net", "NS", "ns.example.net");
	add("1.2.0.192.in-addr.arpa", "PTR", "example.net");
	add("null.example", "MX", "0 .");
	T_EQ_STR(ask("example.net", DNS_A), "ok 192.0.2.1 192.0.2.2");
	T_EQ_STR(ask("example.net", DNS_AAAA), "ok 2001:db8::1");
	T_EQ_STR(ask("example.net", DNS_MX), "ok 10 a.example.net 20 b.example.net");
	T_EQ_STR(ask("example.net", DNS_TXT), "ok v=spf1 -all");
	T_EQ_STR(ask("example.net", DNS_NS), "ok ns.example.net");
	T_EQ_STR(ask("1.2.0.192.in-addr.arpa", DNS_PTR), "ok example.net");
	T_EQ_STR(ask("null.example", DNS_MX), "ok 0 ");
	T_EQ_STR(ask("null.example", DNS_A), "no such record");
	T_EQ_STR(ask("other.example", DNS_A), "no such name");
	arena_free(a);
}

static void
names_above_exist(void)
{
	setup();
	add("a.b.example.net", "A", "192.0.2.1");
	T_EQ_STR(ask("b.example.net", DNS_A), "no such record");
	T_EQ_STR(ask("net", DNS_MX), "no such record");
	T_EQ_STR(ask("xb.example.net", DNS_A), "no such name");
	T_EQ_STR(ask("x.a.b.example.net", DNS_A), "no such name");
	arena_free(a);
}

static void
wildcards(void)
{
	setup();
	add("*.example.net", "A", "192.0.2.1");
	add("www.example.net", "TXT", "here");
	add("*.deep.example.net", "CNAME", "www.example.net");
	T_EQ_STR(ask("a.example.net", DNS_A), "ok 192.0.2.1");
	T_EQ_STR(ask("a.b.example.net", DNS_A), "ok 192.0.2.1");
	T_EQ_STR(ask("a.example.net", DNS_MX), "no such record");
	T_EQ_STR(ask("www.example.net", DNS_A), "no such record"); /* what exists has no wildcard */
	T_EQ_STR(ask("x.www.example.net", DNS_A), "no such name");
	T_EQ_STR(ask("x.deep.example.net", DNS_TXT), "ok here");
	T_EQ_STR(ask("example.net", DNS_A), "no such record");
	arena_free(a);
}

static void
aliases(void)
{
	char from[16], to[16];

	setup();
	add("www.example.net", "CNAME", "web.example.org");
	add("web.example.org", "A", "192.0.2.1");
	add("gone.example.net", "CNAME", "nowhere.example.org");
	add("bare.example.net", "CNAME", "example.org");
	add("loop.example.net", "CNAME", "loop2.example.net");
	add("loop2.example.net", "CNAME", "loop.example.net");
	add("bad.example.net", "CNAME", "fails.example.net");
	add("fails.example.net", "SERVFAIL", NULL);
	T_EQ_STR(ask("www.example.net", DNS_A), "ok 192.0.2.1");
	T_EQ_STR(ask("www.example.net", DNS_MX), "no such record");
	T_EQ_STR(ask("www.example.net", DNS_CNAME), "ok web.example.org");
	T_EQ_STR(ask("gone.example.net", DNS_A), "no such name");
	T_EQ_STR(ask("bare.example.net", DNS_A), "no such record");
	T_EQ_STR(ask("loop.example.net", DNS_A), "no answer");
	T_EQ_STR(ask("bad.example.net", DNS_A), "no answer");
	for (unsigned i = 0; i < 17; i++) {
		snprintf(from, sizeof(from), "c%u", i);
		snprintf(to, sizeof(to), "c%u", i + 1);
		add(from, "CNAME", to);
	}
	add("c17", "A", "192.0.2.17");
	T_EQ_STR(ask("c1", DNS_A), "ok 192.0.2.17");
	T_EQ_STR(ask("c0", DNS_A), "no answer");
	arena_free(a);
}

static void
failures(void)
{
	setup();
	add("dead.example", "TIMEOUT", NULL);
	add("dead.example", "A", "192.0.2.1");
	add("*.rbl.example", "SERVFAIL", NULL);
	T_EQ_STR(ask("dead.example", DNS_A), "timeout");
	T_EQ_STR(ask("dead.example", DNS_MX), "timeout");
	T_EQ_STR(ask("2.0.0.127.rbl.example", DNS_A), "no answer");
	arena_free(a);
}

static void
dropped_and_cleared(void)
{
	setup();
	add("a.example", "A", "192.0.2.1");
	add("b.example", "A", "192.0.2.2");
	add("a.example", "MX", "1 b.example");
	dns_table_drop(t, SV("A.example."));
	T_EQ_STR(ask("a.example", DNS_A), "no such name");
	T_EQ_STR(ask("b.example", DNS_A), "ok 192.0.2.2");
	add("c.example", "A", "192.0.2.3"); /* behind the last that is left */
	T_EQ_STR(ask("c.example", DNS_A), "ok 192.0.2.3");
	dns_table_clear(t);
	T_EQ_STR(ask("b.example", DNS_A), "no such name");
	arena_free(a);
}

static void
what_is_refused(void)
{
	static const struct {
		const char *name, *type, *value, *why;
	} cases[] = {
		{ "a.example", "SOA", "x",
		    "not A, AAAA, MX, TXT, PTR, NS, CNAME, SERVFAIL or TIMEOUT" },
		{ "a..example", "A", "192.0.2.1", "not a name of the DNS" },
		{ "", "A", "192.0.2.1", "not a name of the DNS" },
		{ "a.example", "A", "2001:db8::1", "not an IPv4 address" },
		{ "a.example", "A", NULL, "not an IPv4 address" },
		{ "a.example", "AAAA", "192.0.2.1", "not an IPv6 address" },
		{ "a.example", "MX", "mx.example",
		    "MX is a preference and a name, such as \"10 mx.example.net\"" },
		{ "a.example", "MX", "65536 mx.example",
		    "MX is a preference and a name, such as \"10 mx.example.net\"" },
		{ "a.example", "MX", "10", "not a name of the DNS" },
		{ "a.example", "MX", "10 a b", "not a name of the DNS" },
		{ "a.example", "CNAME", "a b", "not a name of the DNS" },
	};
	const char *why;

	setup();
	for (size_t i = 0; i < T_COUNT(cases); i++) {
		t_row = cases[i].why;
		why = "";
		T_CHECK(!dns_table_add(
		    t, strv_z(cases[i].name), strv_z(cases[i].type), strv_z(cases[i].value), &why));
		T_EQ_STR(why, cases[i].why);
	}
	T_EQ_STR(ask("a.example", DNS_A), "no such name");
	arena_free(a);
}

/* One table for all who read or print them. */
static void
types_have_names(void)
{
	static const struct {
		const char *name;
		uint16_t    type;
	} types[] = { { "A", 1 }, { "NS", 2 }, { "CNAME", 5 }, { "SOA", 6 }, { "PTR", 12 },
		{ "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 } };
	uint16_t type;

	for (size_t i = 0; i < T_COUNT(types); i++) {
		t_row = types[i].name;
		T_EQ_STR(dns_type_name(types[i].type), types[i].name);
		T_CHECK(dns_type_find(strv_z(types[i].name), &type));
		T_EQ_NUM(type, types[i].type);
	}
	T_CHECK(dns_type_find(SV("aaaa"), &type) && type == DNS_AAAA);
	T_CHECK(!dns_type_find(SV("AA"), &type) && !dns_type_find(SV(""), &type));
	T_EQ_STR(dns_type_name(257), "?");
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(records_of_each_type);
	T_RUN(names_above_exist);
	T_RUN(wildcards);
	T_RUN(aliases);
	T_RUN(failures);
	T_RUN(dropped_and_cleared);
	T_RUN(what_is_refused);
	T_RUN(types_have_names);
	return t_end();
}
