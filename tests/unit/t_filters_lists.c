/*
 * t_filters_lists -- lists in the DNS, of addresses and of names: what they answer, their test points, their texts.
 */
#include "tests/unit/fact_stand.h"

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

#define LISTED(zone, text) \
	"2.0.0.127." zone " A 127.0.0.2; 9.2.0.192." zone " A 127.0.0.2; 9.2.0.192." zone \
	" TXT " text "; "

/* dnsbl.text: of the latest; dnsbl.text.of: of that very list, whether it was asked before or not. */
static void
tells_the_text_of_a_list(void)
{
	struct ask k;

	setup("dnsbl", "192.0.2.9");
	state_dns(LISTED("zen.example", "listed: see zen") LISTED("b.example",
	    "a\x01"
	    "b\xff") "2.0.0.127.c.example A 127.0.0.2");
	T_EQ_STR(ask("dnsbl.text", NULL), "-");
	T_EQ_STR(ask("dnsbl.text.of", "b.example"), "a b?");
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	start(&k, "dnsbl.text", NULL);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_STR(value(&k), "listed: see zen");
	T_EQ_TEXT(k.fact.source, "TXT 9.2.0.192.zen.example listed: see zen");
	/* not listed, so nothing changes */
	T_EQ_STR(ask("dnsbl", "c.example"), "-");
	T_EQ_NUM(k.fact.state, FACT_KNOWN);
	/* another one answers: who asked before is told anew */
	T_EQ_STR(ask("dnsbl", "b.example"), "127.0.0.2");
	T_EQ_NUM(k.fact.state, FACT_UNASKED);
	T_EQ_STR(ask("dnsbl.text", NULL), "a b?");
	T_EQ_STR(ask("dnsbl.text.of", "zen.example"), "listed: see zen");
	T_EQ_STR(ask("dnsbl.text.of", "c.example"), "-");
	T_EQ_STR(ask("dnsbl.text.of", ""), "-");
	teardown();
}

/* Two names of one list have a text each; the latest is forgotten where its transaction ends. */
static void
tells_the_text_of_a_name(void)
{
	setup("rhsbl", "192.0.2.9");
	state_dns("test.d.example A 127.0.0.2; x.example.d.example A 127.0.0.2; "
		  "y.example.d.example A 127.0.0.2; x.example.d.example TXT x; "
		  "y.example.d.example TXT y; " LISTED("zen.example", "zen"));
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	s.filter->begin(s.seat, s.a);
	T_EQ_STR(ask("rhsbl", "d.example x.example"), "127.0.0.2");
	T_EQ_STR(ask("rhsbl", "d.example y.example"), "127.0.0.2");
	T_EQ_STR(ask("rhsbl.text.of", "d.example x.example"), "x");
	T_EQ_STR(ask("rhsbl.text.of", "d.example y.example"), "y");
	T_EQ_STR(ask("rhsbl.text.of", "d.example z.example"), "-");
	T_EQ_STR(ask("rhsbl.text.of", "d.example [192.0.2.1]"), "-");
	T_EQ_STR(ask("rhsbl.text.of", "d.example "), "-");
	T_EQ_STR(ask("dnsbl.text", NULL), "y");
	s.filter->end(s.seat);
	T_EQ_STR(ask("dnsbl.text", NULL), "zen");
	s.filter->begin(s.seat, s.a);
	T_EQ_STR(ask("dnsbl.text", NULL), "zen");
	T_EQ_STR(ask("rhsbl", "d.example x.example"), "127.0.0.2");
	T_EQ_STR(ask("dnsbl.text", NULL), "x");
	T_EQ_STR(ask("dnsbl", "zen.example"), "127.0.0.2");
	T_EQ_STR(ask("dnsbl.text", NULL), "zen");
	s.filter->end(s.seat);
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
	T_EQ_NUM(strlen(ask("dnsbl.text.of", "zen.example")), 200);
	teardown();

	setup("dnsbl", "192.0.2.9");
	state_dns(ZEN Q "A 127.0.0.2");
	ask("dnsbl", "zen.example");
	T_EQ_STR(ask("dnsbl.text", NULL), "-");
	/* it is unknown where its servers have gone in between */
	state_dns("9.2.0.192.zen.example SERVFAIL");
	T_EQ_STR(ask("dnsbl.text", NULL), "?");
	T_EQ_STR(ask("dnsbl.text.of", "zen.example"), "?");
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(asks_lists_of_addresses);
	T_RUN(asks_lists_of_names);
	T_RUN(tests_lists_once_an_hour);
	T_RUN(waits_for_the_test);
	T_RUN(bounds_the_lists);
	T_RUN(tells_the_text_of_a_list);
	T_RUN(tells_the_text_of_a_name);
	T_RUN(text_is_cut_and_may_be_missing);
	return t_end();
}
