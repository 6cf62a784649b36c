/*
 * t_settings_tls -- certificates, CAs and the contexts made of them; how `check` shows what was understood.
 */
#include "proxy/base/tls.h"
#include "proxy/show.h"
#include "tests/unit/settings_world.h"

#define DAY 86400ull

/* ---- contexts -------------------------------------------------------------------------------- */

static void
reads_certificates(void)
{
	struct loaded          l = load(BASE
		     "listen 127.0.0.1:26 no-starttls\n"
			      "tls certificate mx.crt key mx.key\n"
			      "tls certificate \"/etc/postern/mx.crt\" key mx.key server-name *.mail.example.com\n"
			      "tls client-ca ca.pem\ntls minimum 1.3\n");
	const struct settings *s = l.s;

	if (is_good(&l) && T_EQ_NUM(s->n_certificate, 2)) {
		T_EQ_NUM(l.d.n, 0);
		T_EQ_STR(s->certificate[0].path, "/etc/postern/mx.crt");
		T_EQ_TEXT(s->certificate[0].names, "mx.example.com");
		T_CHECK(s->certificate[0].ends == ENDS);
		T_EQ_TEXT(s->certificate[1].names, "*.mail.example.com");
		T_CHECK(s->listener[0].context != NULL && s->listener[1].context == NULL);
		T_CHECK(s->client_ca);
	}
	unload(&l);
}

/* One context for each way of speaking to a server. */
static void
shares_contexts(void)
{
	struct loaded l = load(
	    "listen 127.0.0.1:25\nrelay { allow to { ours.example } }\n"
	    "upstream 10.0.0.1:25 tls require; upstream 10.0.0.2:25 tls may\n"
	    "upstream 10.0.0.3:25 tls verify; upstream 10.0.0.4:25 tls verify ca ca.pem\n"
	    "upstream 10.0.0.5:25 tls verify ca \"/etc/postern/ca.pem\" server-name mx.b.example\n"
	    "upstream 10.0.0.6:25 tls off; upstream 10.0.0.7:25 tls verify\n"
	    "upstream [2001:db8::1]:25 tls verify\n"
	    "upstream 10.0.0.8:25 tls require ca ca.pem\n");
	const struct server *sv = l.s->server;

	if (is_good(&l) && T_EQ_NUM(l.s->n_server, 9)) {
		T_EQ_NUM(l.s->n_client, 3);
		T_CHECK(sv[0].context != NULL && sv[0].context == sv[1].context);
		T_CHECK(sv[2].context != NULL && sv[2].context != sv[0].context);
		T_CHECK(sv[2].context == sv[6].context && sv[2].context == sv[7].context);
		T_CHECK(sv[3].context != NULL && sv[3].context == sv[4].context);
		T_CHECK(sv[3].context != sv[2].context && sv[5].context == NULL);
		T_EQ_TEXT(sv[3].tls_name, "10.0.0.4");
		T_EQ_TEXT(sv[4].tls_name, "mx.b.example");
		T_EQ_TEXT(sv[7].tls_name, "2001:db8::1");
		T_CHECK(sv[5].tls_name.p == NULL && sv[8].context == sv[0].context);
	}
	unload(&l);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

static const struct mistake mistakes[] = {
	{ "tls", 1, "`certificate', `minimum' or `client-ca' is expected here" },
	{ "tls minimum 1.1", 13, "`1.1' is not a version of TLS" },
	{ "tls minimum 1.2 1.3", 17, "nothing more is expected here" },
	{ "tls minimum 1.2; tls minimum 1.3", 18, "`tls minimum' stands here twice" },
	{ "tls certificate", 5, "a file is missing here" },
	{ "tls certificate mx.crt", 1, "the key is missing" },
	{ "tls certificate mx.crt key", 24, "a file is missing here" },
	{ "tls certificate mx.crt key mx.key server-name", 35, "a name is missing here" },
	{ "tls certificate mx.crt key mx.key server-name a_b", 47, "is not the name of a host" },
	{ "tls certificate mx.crt key mx.key server-name *.", 47, "is not the name of a host" },
	{ "tls certificate mx.crt key mx.key server-name *x.example", 47,
	    "is not the name of a host" },
	{ "tls certificate mx.crt key mx.key server-name 192.0.2.1", 47,
	    "`192.0.2.1' is an address: no client asks for one" },
	{ "tls certificate mx.crt key mx.key server-name 192.0.2.1:25", 47, "is not the name" },
	{ "tls certificate none.crt key mx.key", 17,
	    "cannot read the certificate /etc/postern/none.crt: no such file" },
	{ "tls certificate mx.crt key none.key", 28,
	    "cannot read the key /etc/postern/none.key: no such file" },
	{ "tls certificate mx.crt key mx.key; tls certificate mx.crt key none.key", 63,
	    "cannot read the key /etc/postern/none.key: no such file" },
	{ "tls certificate mx.key key mx.key", 17, "/etc/postern/mx.key: " },
	{ "tls certificate mx.crt key mx.crt", 17, "/etc/postern/mx.crt: " },
	{ "tls certificate mx.crt key mx.key; tls certificate empty.pem key mx.key", 52,
	    "/etc/postern/empty.pem: " },
	{ "tls client-ca", 5, "a file is missing here" },
	{ "tls client-ca ca.pem", 15,
	    "clients are asked for a certificate only where we have one" },
	{ "tls certificate mx.crt key mx.key; tls client-ca none.pem", 50,
	    "cannot read the CA /etc/postern/none.pem: no such file" },
	{ "tls certificate mx.crt key mx.key; tls client-ca mx.key", 50, "/etc/postern/mx.key: " },
	{ "tls certificate mx.crt key mx.key; tls client-ca ca.pem; tls client-ca ca.pem", 58,
	    "`tls client-ca' stands here twice" },
	{ "upstream 10.0.0.1:25 tls verify ca empty.pem", 36, "/etc/postern/empty.pem: " },
};

static void
points_at_mistakes(void)
{
	T_TABLE(struct mistake, m, mistakes)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

/* ---- the end of a certificate ---------------------------------------------------------------- */

static void
warns_of_the_end(void)
{
	static const struct row {
		const char *what;
		int64_t     left; /* s */
		const char *said; /* NULL: nothing */
	} rows[] = {
		{ "15 days", 15 * 86400, NULL },
		{ "14 days", 14 * 86400, NULL },
		{ "less than 14", 14 * 86400 - 1, "expires in 13 days, on 2126-10-28" },
		{ "a day", 2 * 86400 - 1, "expires in 1 day, on 2126-10-28" },
		{ "an hour", 3600, "expires within a day, on 2126-10-28" },
		{ "now", 0, "mx.crt has expired: it ended on 2126-10-28" },
		{ "a year ago", -365 * 86400, "mx.crt has expired: it ended on 2126-10-28" },
	};
	uint64_t before = wall_us;

	T_TABLE(struct row, r, rows)
	{
		struct loaded l;

		t_row = r->what;
		wall_us = (uint64_t)((int64_t)ENDS - r->left) * 1000000;
		l = load(BASE "tls certificate mx.crt key mx.key\n");
		T_EQ_NUM(l.d.errors, 0);
		T_EQ_NUM(count_level(&l.d, DIAG_WARNING), r->said != NULL);
		if (r->said != NULL)
			T_CHECK(has_level(&l.d, DIAG_WARNING, 4, 17, r->said));
		unload(&l);
	}
	wall_us = before;
}

/* ---- one that nobody sees -------------------------------------------------------------------- */

static void
warns_of_the_unseen(void)
{
	static const char one[] = BASE "listen 127.0.0.1:26\ntls certificate mx.crt key mx.key";
	static const struct row {
		const char *next;
		unsigned    line, column; /* 0: nothing is said */
	} rows[] = {
		{ "\ntls certificate mx.crt key mx.key", 6, 17 },
		{ "\ntls certificate mx.crt key mx.key server-name other.example", 0, 0 },
		{ " server-name a.example\ntls certificate mx.crt key mx.key", 0, 0 },
		/* What is given comes before what is found. */
		{ " server-name a.example\ntls certificate mx.crt key mx.key server-name *.example.com\n"
		  "tls certificate mx.crt key mx.key",
		    7, 17 },
	};

	T_TABLE(struct row, r, rows)
	{
		struct loaded l;
		char          text[400];

		t_row = r->next;
		snprintf(text, sizeof(text), "%s%s\n", one, r->next);
		l = load(text);
		T_EQ_NUM(l.d.errors, 0);
		T_EQ_NUM(count_level(&l.d, DIAG_WARNING), r->column != 0);
		if (r->column != 0)
			T_CHECK(has_level(
			    &l.d, DIAG_WARNING, r->line, r->column, "mx.crt is never shown"));
		unload(&l);
	}
}

/* ---- what `check` shows ---------------------------------------------------------------------- */

static struct strv shown;

static void
collect(struct strv line, void *arg)
{
	shown = arena_printf(arg, "%.*s%.*s\n", (int)shown.n, shown.p, (int)line.n, line.p);
}

static void
shows_what_was_understood(void)
{
	static const char want[] =
	    "hostname     mx.test\n"
	    "listen       127.0.0.1:587 name submission, STARTTLS required, AUTH required, to pool users\n"
	    "listen       [::]:25, STARTTLS, PROXY header of some peers, XCLIENT of some peers, to pool default\n"
	    "listen       127.0.0.1:465, TLS from the first octet, XCLIENT with LOGIN of some peers, to pool box\n"
	    "listen       127.0.0.1:26, AUTH without TLS, to pool users\n"
	    "certificate  /etc/postern/mx.crt for mx.example.com, ends on 2126-10-28\n"
	    "certificate  /etc/postern/mx.crt for mail.test, ends on 2126-10-28\n"
	    "             clients are asked for a certificate\n"
	    "pool         default\n"
	    "    10.0.0.1:25 weight 3, told by XCLIENT who the client is, without TLS, at most 50 connections\n"
	    "    10.0.0.2:25 weight 1, backup, with a PROXY header (v2), TLS required and verified for mx.b.test by /etc/postern/ca.pem, at most 50 connections\n"
	    "    unix:/run/s weight 1, at most 50 connections\n"
	    "pool         users\n"
	    "    127.0.0.1:26, TLS where offered, at most 20 connections and 100 with AUTH, eager, no chunking, no streaming\n"
	    "pool         box\n"
	    "    LMTP unix:/run/lmtp, told by XFORWARD who the client is, at most 50 connections\n"
	    "workers      2, drain 10m\n"
	    "log          standard error\n"
	    "limit        errors 7\n";
	struct loaded l = load(
	    "hostname mx.test\n"
	    "listen 127.0.0.1:587 name submission require-tls require-auth pool users\n"
	    "listen [::]:25 proxy-protocol from { 10.0.0.9 } xclient from { 10.0.0.8 }\n"
	    "listen 127.0.0.1:465 tls xclient from { 10.0.0.8 } xclient-login pool box\n"
	    "listen 127.0.0.1:26 no-starttls auth-without-tls pool users\n"
	    "tls certificate mx.crt key mx.key\n"
	    "tls certificate mx.crt key mx.key server-name mail.test\n"
	    "tls client-ca ca.pem\n"
	    "upstream 10.0.0.1:25 xclient weight 3\n"
	    "upstream 10.0.0.2:25 backup proxy-protocol tls verify server-name mx.b.test ca ca.pem\n"
	    "upstream \"unix:/run/s\"\n"
	    "upstream 127.0.0.1:26 pool users tls may connections 20 auth-connections 100 eager no-chunking no-streaming\n"
	    "upstream lmtp \"unix:/run/lmtp\" pool box xforward\n"
	    "workers 2\nlimits { errors 7 }\nrelay { allow to { ours.example } }\n");

	shown = SV("");
	if (is_good(&l)) {
		show_settings(l.s, l.a, collect, l.a);
		if (!T_CHECK(strv_eq(shown, strv_z(want))))
			printf("%.*s", (int)shown.n, shown.p);
	}
	unload(&l);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(reads_certificates);
	T_RUN(shares_contexts);
	T_RUN(points_at_mistakes);
	T_RUN(warns_of_the_end);
	T_RUN(warns_of_the_unseen);
	T_RUN(shows_what_was_understood);
	return t_end();
}
