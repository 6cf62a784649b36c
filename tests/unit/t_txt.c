/*
 * t_txt -- TXT records as filters get them: each outcome of the look-up, hostile octets, bounds.
 */
#include "tests/unit/fact_stand.h"

static const struct fact *
look_up(const char *name, enum filter_rc want)
{
	static struct ask k;

	start(&k, "txt", name);
	run((struct ask *const[]){ &k }, 1);
	T_EQ_NUM(k.rc, want);
	T_EQ_NUM(k.fact.state == FACT_KNOWN, want == FILTER_OK);
	T_CHECK(k.fact.source.n > 0);
	return &k.fact;
}

static void
tells_outcomes_apart(void)
{
	const struct fact *f;

	setup("txt", NULL);
	state_dns(
	    "a.example TXT v=DMARC1, p=none; b.example A 192.0.2.1; c.example SERVFAIL; d.example TIMEOUT; "
	    "e.example CNAME a.example; sub.g.example A 192.0.2.1; h.example TXT one; h.example TXT two");
	f = look_up("a.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 1);
	T_EQ_TEXT(f->v.texts.v[0], "v=DMARC1, p=none");
	T_EQ_TEXT(f->source, "TXT a.example v=DMARC1, p=none");
	T_CHECK(fact_absent(look_up("b.example", FILTER_OK)));
	look_up("c.example", FILTER_TEMP);
	look_up("d.example", FILTER_TEMP);
	f = look_up("e.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 1);
	T_CHECK(fact_absent(look_up("f.example", FILTER_OK)));
	T_CHECK(fact_absent(look_up("g.example", FILTER_OK)));
	f = look_up("h.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 2);
	T_EQ_TEXT(f->v.texts.v[1], "two");
	teardown();
}

/* What cannot be a name has no records, and is not asked for. */
static void
asks_for_names_alone(void)
{
	setup("txt", NULL);
	T_CHECK(fact_absent(look_up("_dmarc..example", FILTER_OK)));
	T_CHECK(fact_absent(
	    look_up("a.0123456789012345678901234567890123456789012345678901234567890123.example",
		FILTER_OK)));
	T_EQ_NUM(s.asked, 0);
	teardown();
}

static void
keeps_hostile_octets(void)
{
	struct strv        text = SV("v=\0\xff\r\n\x7f;\"");
	const struct fact *f;
	const char        *why = "";

	setup("txt", NULL);
	T_CHECK(dns_table_add(s.dns, SV("a.example"), SV("TXT"), text, &why));
	f = look_up("a.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 1);
	T_EQ_STRV(f->v.texts.v[0], text);
	teardown();
}

static void
has_bounds(void)
{
	static char        long_one[60000];
	char               one[20];
	const char        *why = "";
	const struct fact *f;

	setup("txt", NULL);
	memset(long_one, 'x', sizeof(long_one));
	T_CHECK(dns_table_add(
	    s.dns, SV("long.example"), SV("TXT"), strv(long_one, sizeof(long_one)), &why));
	f = look_up("long.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 1);
	T_EQ_NUM(f->v.texts.v[0].n, sizeof(long_one));
	T_CHECK(f->source.n < 2000);
	for (int i = 0; i < 100; i++) {
		snprintf(one, sizeof(one), "text %d", i);
		T_CHECK(dns_table_add(s.dns, SV("many.example"), SV("TXT"), strv_z(one), &why));
	}
	f = look_up("many.example", FILTER_OK);
	T_EQ_NUM(f->v.texts.n, 32);
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(tells_outcomes_apart);
	T_RUN(asks_for_names_alone);
	T_RUN(keeps_hostile_octets);
	T_RUN(has_bounds);
	return t_end();
}
