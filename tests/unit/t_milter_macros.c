/* Macros: which go where, with and without SETSYMLIST, and what they hold. */
#include "config.h"

#include "tests/unit/milter_play.h"

#define LETTER "From: <a@b.example>\r\nMessage-ID:\r\n <1@b.example>\r\n\r\nbody\r\n"
#define J      "j=mx.ours.example"
#define V      "v=Postern " VERSION

static void
open_one(void)
{
	setup(1);
	made[0].shows_macros = true;
	s.name = s.rdns = SV("client.example");
}

static void
secured(void)
{
	s.client.tls = (struct tls_facts){ .on = true,
		.version = SV("TLSv1.3"),
		.cipher = SV("TLS_AES_256_GCM_SHA384"),
		.bits = 256,
		.client_cert = SV("CN=client.example"),
		.client_issuer = SV("CN=ca.example"),
		.sni = SV("mx.ours.example") };
	s.client.auth_mechanism = SV("PLAIN");
	s.client.auth_user = SV("ann");
}

static void
each_place_has_its_own(void)
{
	open_one();
	secured();
	at(STAGE_CONNECT);
	T_TOLD(0,
	    "{" J " _=client.example [192.0.2.1] {daemon_name}=public {daemon_addr}=198.51.100.1 "
	    "{if_name}=mx.ours.example {if_addr}=198.51.100.1 " V "}"
	    "CONNECT client.example 4 4711 192.0.2.1|");
	helo("mx.example");
	T_TOLD(0,
	    "{{tls_version}=TLSv1.3 {cipher}=TLS_AES_256_GCM_SHA384 {cipher_bits}=256 "
	    "{cert_subject}=CN=client.example {cert_issuer}=CN=ca.example}HELO mx.example|");
	mail("<a@b.example> AUTH=bob");
	T_TOLD(0,
	    "{i=T1 {auth_type}=PLAIN {auth_authen}=ann {auth_author}=bob {mail_mailer}=smtp "
	    "{mail_host}=b.example {mail_addr}=a@b.example}MAIL <a@b.example> AUTH=bob|");
	rcpt("<c@d.example>");
	T_TOLD(0,
	    "{i=T1 {rcpt_mailer}=smtp {rcpt_host}=d.example {rcpt_addr}=c@d.example}RCPT <c@d.example>|");
	at(STAGE_DATA);
	T_TOLD(0, "{i=T1}DATA|");
	text(LETTER);
	T_TOLD(0,
	    "HEADER From:<a@b.example>|HEADER Message-ID:\n <1@b.example>|{i=T1}EOH|BODY body\r\n|"
	    "{i=T1 {msg_id}=<1@b.example>}EOM|");
	teardown();
}

static void
what_is_not_known_is_not_sent(void)
{
	open_one();
	s.name = strv(NULL, 0);
	at(STAGE_CONNECT);
	T_CHECK(strstr(told(0), "_=[192.0.2.1] ") != NULL);
	helo("mx.example");
	T_TOLD(0, "HELO mx.example|");
	mail("<>");
	T_TOLD(0, "{i=T1 {mail_mailer}=smtp {mail_addr}=}MAIL <>|");
	teardown();
}

static void
a_filter_may_choose(void)
{
	static const struct {
		const char *name, *list, *want;
	} rows[] = {
		{ "none", "", "CONNECT" },
		{ "one", "j", "{" J "}CONNECT" },
		{ "braces or not", "{client_addr} client_port",
		    "{{client_addr}=192.0.2.1 {client_port}=4711}CONNECT" },
		{ "twice", "j j  j", "{" J "}CONNECT" },
		{ "unknown ones", "q {nonsense} {} } { j", "{" J "}CONNECT" },
		{ "names", "{client_name} {client_ptr} {client_resolve}",
		    "{{client_name}=client.example {client_ptr}=client.example {client_resolve}=OK}CONNECT" },
		{ "ports", "{daemon_port} {client_port}",
		    "{{daemon_port}=25 {client_port}=4711}CONNECT" },
		{ "of another place", "i {mail_addr} {rcpt_addr} {msg_id} s {auth_type}",
		    "CONNECT" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		open_one();
		made[0].theirs.macros[MILTER_AT_CONNECT] = strv_z(rows[i].list);
		at(STAGE_CONNECT);
		T_EQ_STRV(strv_first(strv_z(told(0)), strlen(rows[i].want)), strv_z(rows[i].want));
		/* Another place has its own list. */
		helo("mx.example");
		mail("<a@b.example>");
		T_CHECK(strstr(told(0), "{i=T1 {mail_mailer}=smtp") != NULL);
		teardown();
	}
	t_row = NULL;
}

static void
a_name_that_lies_is_told_as_such(void)
{
	static const struct {
		const char *name, *rdns;
		bool        unknown;
		const char *want;
	} rows[] = { { "c.example", "c.example", false, "OK" }, { NULL, NULL, false, "FAIL" },
		{ NULL, "lie.example", false, "FORGED" }, { NULL, NULL, true, "TEMP" } };

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		char want[100];

		open_one();
		s.name = strv_z(rows[i].name);
		s.rdns = strv_z(rows[i].rdns);
		s.name_unknown = rows[i].unknown;
		made[0].theirs.macros[MILTER_AT_CONNECT] = SV("{client_resolve}");
		at(STAGE_CONNECT);
		(void)snprintf(want, sizeof(want), "{{client_resolve}=%s}CONNECT", rows[i].want);
		T_CHECK(strstr(told(0), want) != NULL);
		teardown();
	}
}

/* Who is called for is told to isolated plugins alone, whatever they ask for. */
static void
whose_it_is_is_ours_to_say(void)
{
	static const struct {
		const char      *name;
		enum milter_home home;
		uint32_t         protocol;
		const char      *list, *connect, *helo, *mail, *rcpt;
	} rows[] = {
		{ "a daemon", HOME_DAEMON, 0, "{postern_id}", "CONNECT", "HELO", "MAIL", "RCPT" },
		{ "inside", HOME_INSIDE, 0, "postern_id", "CONNECT", "HELO", "MAIL", "RCPT" },
		{ "isolated", HOME_ISOLATED, 0, "", "{{postern_id}=S1}CONNECT", "HELO",
		    "{{postern_id}=T1}MAIL", "RCPT" },
		{ "it asks", HOME_ISOLATED, 0, "{postern_id} {cipher}", "{{postern_id}=S1}CONNECT",
		    "HELO", "{{postern_id}=T1}MAIL", "RCPT" },
		{ "no CONNECT", HOME_ISOLATED, MILTER_NO_CONNECT, "", "", "{{postern_id}=S1}HELO",
		    "{{postern_id}=T1}MAIL", "RCPT" },
		{ "the text alone", HOME_ISOLATED,
		    MILTER_NO_MAIL | MILTER_NO_RCPT | MILTER_NO_DATA | MILTER_NO_EOH, "",
		    "{{postern_id}=S1}CONNECT", "HELO", "", "" },
		/* The first of a name counts. */
		{ "no session", HOME_ISOLATED, MILTER_NO_CONNECT | MILTER_NO_HELO, "", "", "",
		    "{{postern_id}=T1 {postern_id}=S1}MAIL", "RCPT" },
		{ "no MAIL", HOME_ISOLATED, MILTER_NO_MAIL, "", "{{postern_id}=S1}CONNECT", "HELO",
		    "", "{{postern_id}=T1}RCPT" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		open_one();
		s.v[0].home = rows[i].home;
		made[0].theirs.protocol = rows[i].protocol;
		for (unsigned p = 0; p < MILTER_PLACES; p++)
			made[0].theirs.macros[p] = strv_z(rows[i].list);
		s.session_mail.session = "S1";
		at(STAGE_CONNECT);
		T_EQ_STRV(
		    strv_first(strv_z(told(0)), strlen(rows[i].connect)), strv_z(rows[i].connect));
		helo("mx.example");
		T_EQ_STRV(strv_first(strv_z(told(0)), strlen(rows[i].helo)), strv_z(rows[i].helo));
		mail("<a@b.example>");
		T_EQ_STRV(strv_first(strv_z(told(0)), strlen(rows[i].mail)), strv_z(rows[i].mail));
		rcpt("<c@d.example>");
		T_EQ_STRV(strv_first(strv_z(told(0)), strlen(rows[i].rcpt)), strv_z(rows[i].rcpt));
		at(STAGE_DATA);
		(void)told(0);
		text(LETTER);
		T_EQ_NUM(strncmp(told(0), "{{postern_id}=T1}HEADER", 23) == 0,
		    rows[i].mail[0] == '\0' && rows[i].rcpt[0] == '\0');
		teardown();
	}
	t_row = NULL;
}

/* One that does not want to hear of HELO may want to know of TLS all the same. */
static void
macros_of_what_is_not_told_go_with_what_is(void)
{
	open_one();
	secured();
	made[0].theirs.protocol = MILTER_NO_CONNECT | MILTER_NO_HELO | MILTER_NO_RCPT |
	    MILTER_NO_EOH;
	made[0].theirs.macros[MILTER_AT_CONNECT] = SV("j");
	made[0].theirs.macros[MILTER_AT_HELO] = SV("{tls_version}");
	made[0].theirs.macros[MILTER_AT_MAIL] = SV("i");
	made[0].theirs.macros[MILTER_AT_RCPT] = SV("{rcpt_addr}");
	made[0].theirs.macros[MILTER_AT_DATA] = SV("");
	made[0].theirs.macros[MILTER_AT_EOH] = SV("{msg_id}");
	made[0].theirs.macros[MILTER_AT_EOM] = SV("i");
	at(STAGE_CONNECT);
	helo("mx.example");
	T_TOLD(0, "");
	for (unsigned i = 0; i < 2; i++) {
		mail("<a@b.example>");
		rcpt("<c@d.example>");
		at(STAGE_DATA);
		text(LETTER);
		T_TOLD(0,
		    "{" J
		    " {tls_version}=TLSv1.3 i=T1}MAIL <a@b.example>|{{rcpt_addr}=c@d.example}DATA|"
		    "HEADER From:<a@b.example>|HEADER Message-ID:\n <1@b.example>|BODY body\r\n|"
		    "{i=T1 {msg_id}=<1@b.example>}EOM|");
		end();
	}
	teardown();
}

/* libmilter, smfi_getsymval: behind RCPT it is the last one that was told, of this message. */
static void
the_recipient_is_the_last_that_was_told(void)
{
	open_one();
	made[0].theirs.protocol = MILTER_NO_HEADERS | MILTER_NO_BODY | MILTER_NO_EOH;
	for (unsigned p = 0; p < MILTER_PLACES; p++)
		made[0].theirs.macros[p] = SV("{rcpt_addr}");
	at(STAGE_CONNECT);
	helo("mx.example");
	T_CHECK(strstr(told(0), "rcpt_addr") == NULL);
	for (unsigned late = 0; late < 2; late++) {
		s.hears[0] = late ? HEARS_NO : HEARS_YES;
		mail("<a@b.example>");
		rcpt("<c@d.example>");
		rcpt("<e@d.example>");
		(void)add_rcpt("<refused@d.example>");
		s.env.rcpt[2].said.kind = VERDICT_REJECT;
		at(STAGE_RCPT);
		s.hears[0] = HEARS_YES;
		at(STAGE_DATA);
		text(LETTER);
		T_TOLD(0,
		    "MAIL <a@b.example>|{{rcpt_addr}=c@d.example}RCPT <c@d.example>|"
		    "{{rcpt_addr}=e@d.example}RCPT <e@d.example>|{{rcpt_addr}=e@d.example}DATA|"
		    "{{rcpt_addr}=e@d.example}EOM|");
		end();
	}
	teardown();
}

static void
results_are_told_where_they_are_asked_for(void)
{
	open_one();
	s.auth.methods = AUTH_SPF | AUTH_DMARC;
	((struct milter_shared *)s.shared)->methods = s.auth.methods;
	at(STAGE_CONNECT);
	helo("mx.example");
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	at(STAGE_DATA);
	T_CHECK(strstr(told(0), "authres") == NULL);
	spf_results = 2;
	text("A: b\r\n\r\n");
	T_TOLD(0,
	    "HEADER A:b|{i=T1 {authres_spf}=spf=pass smtp.mailfrom=a; spf=none {authres_dmarc}=dmarc=temperror}"
	    "EOH|{i=T1 {authres_spf}=spf=pass smtp.mailfrom=a; spf=none {authres_dmarc}=dmarc=temperror}EOM|");
	spf_results = 0;
	teardown();
}

static void
a_nul_ends_a_value(void)
{
	open_one();
	made[0].theirs.macros[MILTER_AT_MAIL] = SV("{auth_authen}");
	s.client.auth_user = strv("an\0n", 4);
	at(STAGE_CONNECT);
	helo("mx.example");
	(void)told(0);
	mail("<a@b.example>");
	T_TOLD(0, "{{auth_authen}=an}MAIL <a@b.example>|");
	teardown();
}

int
main(void)
{
	T_RUN(each_place_has_its_own);
	T_RUN(what_is_not_known_is_not_sent);
	T_RUN(a_filter_may_choose);
	T_RUN(a_name_that_lies_is_told_as_such);
	T_RUN(whose_it_is_is_ours_to_say);
	T_RUN(macros_of_what_is_not_told_go_with_what_is);
	T_RUN(the_recipient_is_the_last_that_was_told);
	T_RUN(results_are_told_where_they_are_asked_for);
	T_RUN(a_nul_ends_a_value);
	return t_end();
}
