/*
 * t_settings -- the plain statements: what they say, what they default to, and every mistake with its place.
 */
#include "proxy/base/netset.h"
#include "proxy/base/tls.h"
#include "proxy/judge.h"
#include "proxy/values.h"
#include "tests/unit/settings_world.h"

/* ---- units ----------------------------------------------------------------------------------- */

static void
parses_units(void)
{
	static const struct row {
		const char *text;
		enum unit   unit;
		bool        good;
		uint64_t    want;
	} rows[] = {
		{ "0", UNIT_COUNT, true, 0 },
		{ "1000", UNIT_COUNT, true, 1000 },
		{ "18446744073709551615", UNIT_COUNT, true, UINT64_MAX },
		{ "18446744073709551616", UNIT_COUNT, false, 0 },
		{ "1K", UNIT_COUNT, false, 0 },
		{ "-1", UNIT_COUNT, false, 0 },
		{ "", UNIT_COUNT, false, 0 },
		{ "0", UNIT_SIZE, true, 0 },
		{ "7", UNIT_SIZE, true, 7 },
		{ "2K", UNIT_SIZE, true, 2048 },
		{ "25M", UNIT_SIZE, true, 25u << 20 },
		{ "3G", UNIT_SIZE, true, 3ull << 30 },
		{ "3g", UNIT_SIZE, false, 0 },
		{ "3T", UNIT_SIZE, false, 0 },
		{ "K", UNIT_SIZE, false, 0 },
		{ "1KK", UNIT_SIZE, false, 0 },
		{ "", UNIT_SIZE, false, 0 },
		{ "17179869184G", UNIT_SIZE, false, 0 },
		{ "17179869183G", UNIT_SIZE, true, 17179869183ull << 30 },
		{ "5s", UNIT_TIME, true, 5000 },
		{ "5m", UNIT_TIME, true, 300000 },
		{ "5h", UNIT_TIME, true, 18000000 },
		{ "5d", UNIT_TIME, true, 432000000 },
		{ "5", UNIT_TIME, false, 0 },
		{ "0", UNIT_TIME, false, 0 },
		{ "0s", UNIT_TIME, true, 0 },
		{ "s", UNIT_TIME, false, 0 },
		{ "5ms", UNIT_TIME, false, 0 },
		{ "5M", UNIT_TIME, false, 0 },
		{ "300000000000000d", UNIT_TIME, false, 0 },
	};

	T_TABLE(struct row, r, rows)
	{
		uint64_t    n = 0;
		const char *why = NULL;

		t_row = r->text;
		T_EQ_NUM(unit_parse(strv_z(r->text), r->unit, &n, &why), r->good);
		if (r->good)
			T_CHECK(n == r->want);
		else
			T_CHECK(why != NULL);
	}
}

static void
prints_units(void)
{
	struct arena *a = arena_new(1024, 0);

	T_EQ_TEXT(unit_print(a, UNIT_COUNT, 1024), "1024");
	T_EQ_TEXT(unit_print(a, UNIT_SIZE, 0), "0");
	T_EQ_TEXT(unit_print(a, UNIT_SIZE, 1023), "1023");
	T_EQ_TEXT(unit_print(a, UNIT_SIZE, 25u << 20), "25M");
	T_EQ_TEXT(unit_print(a, UNIT_SIZE, 1ull << 40), "1024G");
	T_EQ_TEXT(unit_print(a, UNIT_TIME, 90000), "90s");
	T_EQ_TEXT(unit_print(a, UNIT_TIME, 600000), "10m");
	T_EQ_TEXT(unit_print(a, UNIT_TIME, 86400000), "1d");
	T_EQ_TEXT(unit_print(a, UNIT_TIME, 1500), "1500ms");
	arena_free(a);
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void
has_defaults(void)
{
	struct loaded    l = load(BASE);
	struct settings *s = l.s;

	if (is_good(&l)) {
		T_CHECK(s->smtp.hostname.n > 0);
		T_EQ_NUM(s->n_listener, 1);
		T_EQ_TEXT(s->listener[0].name, "127.0.0.1:25");
		T_CHECK(!s->listener[0].tls && s->listener[0].context == NULL &&
		    s->listener[0].proxy_from == NULL);
		T_EQ_NUM(s->server[0].kind, HOP_SMTP);
		T_EQ_NUM(s->server[0].at.port, 10025);
		T_EQ_NUM(s->server[0].connections, 50);
		T_EQ_NUM(s->server[0].timeout, 0);
		T_EQ_NUM(s->server[0].identity, IDENTITY_NONE);
		T_CHECK(!s->server[0].eager && !s->server[0].no_chunking);
		T_EQ_NUM(s->workers, 0);
		T_CHECK(s->user == NULL && s->log == LOG_STDERR && s->log_file == NULL);
		T_EQ_NUM(s->drain, 600000);
		T_EQ_NUM(s->resolver.n, 0);
		T_EQ_NUM(s->smtp.limits.message_size, 25u << 20);
		T_EQ_NUM(s->smtp.limits.command_timeout, 300000);
		T_EQ_NUM(s->smtp.lines, LINES_NORMALIZE);
		T_CHECK(!s->smtp.received && s->smtp.lines_for == NULL);
		T_EQ_STR(s->smtp.spool_dir, "");
		T_EQ_NUM(s->smtp.spool_memory, 256 * 1024);
		T_CHECK(s->smtp.judge != NULL && s->n_server == 1);
	}
	unload(&l);
}

static void
takes_what_is_said(void)
{
	struct loaded l = load(
	    "hostname mx.ours.example\n"
	    "networks near { 192.0.2.0/24, 2001:db8::1 }\n"
	    "listen 0.0.0.0:25 proxy-protocol from near name front require-tls\n"
	    "listen [::1]:465 tls; listen 127.0.0.1:26 no-starttls proxy-protocol from { 10.0.0.0/8 }\n"
	    "upstream [2001:db8::2]:10025 xclient tls off timeout 30s connections 7 eager no-chunking no-streaming\n"
	    "tls certificate mx.crt key \"/etc/postern/mx.key\"; tls minimum 1.3\n"
	    "limits { message-size 1M recipients 100 errors 3 command-timeout 90s line 0 min-data-rate 0 auth-delay 0s }\n"
	    "line-endings reject for near\n"
	    "user root\nworkers 3\nspool \"sp\" memory 64K\ndrain 1h\nlog syslog\nreceived on\n"
	    "reject-at stage\nresolver 192.0.2.53 127.0.0.1:5353 \"2001:db8::53\" [::1]:54\n");
	struct settings *s = l.s;
	struct addr      near;

	if (is_good(&l)) {
		T_EQ_TEXT(s->smtp.hostname, "mx.ours.example");
		T_EQ_NUM(s->n_listener, 3);
		T_EQ_TEXT(s->listener[0].name, "front");
		T_CHECK(s->listener[0].require_tls && s->listener[0].context != NULL);
		T_CHECK(addr_parse(SV("192.0.2.9"), &near) &&
		    netset_has(s->listener[0].proxy_from, &near));
		T_CHECK(s->listener[1].tls && s->listener[1].context != NULL);
		T_CHECK(s->listener[1].context != s->listener[0].context);
		T_CHECK(s->listener[2].no_starttls && s->listener[2].context == NULL);
		T_CHECK(addr_parse(SV("10.1.2.3"), &near) &&
		    netset_has(s->listener[2].proxy_from, &near));
		T_EQ_NUM(s->server[0].at.addr.family, ADDR_IP6);
		T_EQ_NUM(s->server[0].identity, IDENTITY_XCLIENT);
		T_EQ_NUM(s->server[0].timeout, 30000);
		T_EQ_NUM(s->server[0].connections, 7);
		T_CHECK(
		    s->server[0].eager && s->server[0].no_chunking && s->server[0].no_streaming);
		T_EQ_NUM(s->smtp.limits.message_size, 1u << 20);
		T_EQ_NUM(s->smtp.limits.recipients, 100);
		T_EQ_NUM(s->smtp.limits.errors, 3);
		T_EQ_NUM(s->smtp.limits.command_timeout, 90000);
		T_EQ_NUM(s->smtp.limits.min_data_rate, 0);
		T_EQ_NUM(s->smtp.limits.auth_delay, 0);
		T_EQ_NUM(s->smtp.limits.transactions, 1000);
		T_CHECK(s->smtp.lines == LINES_REJECT && s->smtp.lines_for != NULL);
		T_EQ_NUM(s->resolver.n, 4);
		T_EQ_NUM(s->resolver.forward[0].port, 53);
		T_EQ_NUM(s->resolver.forward[1].port, 5353);
		T_EQ_NUM(s->resolver.forward[2].addr.family, ADDR_IP6);
		T_EQ_NUM(s->resolver.forward[3].port, 54);
		T_EQ_STR(s->user, "root");
		T_EQ_NUM(s->workers, 3);
		T_EQ_STR(s->smtp.spool_dir, "/etc/postern/sp");
		T_EQ_NUM(s->smtp.spool_memory, 64 * 1024);
		T_EQ_NUM(s->drain, 3600000);
		T_EQ_NUM(s->log, LOG_SYSLOG);
		T_CHECK(s->smtp.received && policy_reject_at_stage(s->policy));
	}
	unload(&l);
}

/* A path is one of the folder of the file that names it, also in a file that is included. */
static void
paths_start_at_their_file(void)
{
	struct loaded l = load(
	    "listen 127.0.0.1:25\nupstream maildir \"mail\"\ninclude \"more/spool.conf\"\n"
	    "relay { allow to { ours.example } }\n");

	if (is_good(&l)) {
		T_EQ_NUM(l.s->server[0].kind, HOP_MAILDIR);
		T_EQ_STR(l.s->server[0].dir, "/etc/postern/mail");
		T_EQ_STR(l.s->smtp.spool_dir, "/etc/postern/more/here");
		T_EQ_NUM(l.s->log, LOG_FILE);
		T_EQ_STR(l.s->log_file, "/var/log/p.log");
	}
	unload(&l);
}

static void
splits_among_workers(void)
{
	struct loaded     l = load(BASE "limits { spool-total 400M }\n");
	struct smtp_conf *c;

	if (is_good(&l)) {
		c = settings_split(l.s, l.a, 4);
		T_EQ_NUM(c->pool[0].server[0].connections, 12);
		T_EQ_NUM(c->limits.spool_total, 100u << 20);
		T_EQ_NUM(c->limits.sessions, l.s->smtp.limits.sessions);
		T_CHECK(c->judge == l.s->smtp.judge);
		c = settings_split(l.s, l.a, 100);
		T_EQ_NUM(c->pool[0].server[0].connections, 1);
		/* each has room for one message of the largest size */
		T_CHECK(c->limits.spool_total > c->limits.message_size);
		T_EQ_NUM(l.s->server[0].connections, 50);
	}
	unload(&l);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

/* Every row: one statement in line 4 behind a good base, exactly one mistake. */
static const struct mistake mistakes[] = {
	{ "hostname", 1, "a name is missing here" },
	{ "hostname \"mx\"", 10, "a name is expected here" },
	{ "hostname a_b", 10, "`a_b' is not the name of a host" },
	{ "hostname a b", 12, "nothing more is expected here" },
	{ "hostname {a}", 10, "a name is expected here" },
	{ "hostname a; hostname b", 13, "a second `hostname'" },
	{ "hostname a when helo is fqdn", 17, "`hostname' takes no `when'" },
	{ "listen", 1, "ADDR:PORT is missing here" },
	{ "listen 25", 8, "`25' is not ADDR:PORT" },
	{ "listen unix:/run/p", 8, "is not ADDR:PORT" },
	{ "listen 127.0.0.1:0", 8, "the port must be" },
	{ "listen 127.0.0.1:70000", 8, "is not ADDR:PORT" },
	{ "listen ::1:25", 8, "is not ADDR:PORT" },
	{ "listen inet:2526@127.0.0.1", 8, "`inet:2526@127.0.0.1' is written as for a milter" },
	{ "listen inet6:2526@::1", 8, "`inet6:2526@::1' is written as for a milter" },
	{ "listen inet:127.0.0.1:2526", 8, "`inet:127.0.0.1:2526' is written as for a milter" },
	{ "listen inet:99999@127.0.0.1", 8, "is not ADDR:PORT: the port must be a number" },
	{ "listen local:/run/p", 8, "`local:/run/p' is not ADDR:PORT" },
	{ "listen 127.0.0.1:25", 8, "there is a `listen' for this address already" },
	{ "listen 127.0.0.1:26 tsl", 21, "`tsl' is not an option of `listen'" },
	{ "listen 127.0.0.1:26, name x", 20, "an option of `listen' is expected here" },
	{ "listen 127.0.0.1:26 tls", 8, "TLS here needs a certificate" },
	{ "listen 127.0.0.1:26 require-tls", 8, "TLS here needs a certificate" },
	{ "listen 127.0.0.1:26 name", 21, "a name is missing here" },
	{ "listen 127.0.0.1:26 name x name y", 28, "`name' stands here twice" },
	{ "listen 127.0.0.1:26 proxy-protocol", 21, "whose PROXY header is believed must be said" },
	{ "listen 127.0.0.1:26 proxy-protocol from", 36, "a list of networks is missing here" },
	{ "listen 127.0.0.1:26 proxy-protocol from \"x\"", 41,
	    "a list of networks is expected here" },
	{ "limits { recipients 99 }", 21, "`99' is too small" },
	{ "limits { recipients 10000000 }", 21, "`10000000' is too large" },
	{ "limits { recipients 10K }", 21, "a number is expected here" },
	{ "limits { message-size 25X }", 23, "a size is expected here" },
	{ "limits { message-size 64 }", 23, "`64' is too small" },
	{ "limits { command-timeout 300 }", 26, "a time is expected here" },
	{ "limits { command-timeout 31d }", 26, "`31d' is too large" },
	{ "limits { auth-delay 31s }", 21, "`31s' is too large" },
	{ "limits { auth-failures 0 }", 24, "`0' is too small" },
	{ "limits { errrors 20 }", 10, "no limit is called `errrors'" },
	{ "limits { errors 20 errors 21 }", 20, "`errors' stands here twice" },
	{ "limits { errors 20 }; limits { errors 21 }", 23, "a second `limits'" },
	{ "limits { spool-total 1M }", 1, "spool-total (1M) is smaller than message-size (25M)" },
	{ "limits { message-size 2G }", 1, "spool-total (1G by default) is smaller than" },
	{ "line-endings", 1, "a treatment of line ends is missing here" },
	{ "line-endings rejct", 14, "`rejct' is not a treatment of line ends" },
	{ "line-endings reject for", 21, "a list of networks is missing here" },
	{ "reject-at mail", 11, "`mail' is not a moment for refusals" },
	{ "user no-such-user-here", 6, "this system has no user `no-such-user-here'" },
	{ "workers 0", 9, "`0' is too small" },
	{ "workers 1000", 9, "`1000' is too large" },
	{ "workers two", 9, "a number is expected here" },
	{ "spool \"\"", 7, "this cannot be a folder" },
	{ "spool memory 4K", 7, "the folder is missing in front of `memory'" },
	{ "spool \"/x\" memory", 12, "a size is missing here" },
	{ "spool \"/x\" memory 1", 19, "`1' is too small" },
	{ "spool \"/x\" disk", 12, "nothing more is expected here" },
	{ "drain 10", 7, "a time is expected here" },
	{ "drain 0s", 7, "`0s' is too small" },
	{ "log", 1, "a place for the log is missing here" },
	{ "log elsewhere", 5, "`elsewhere' is not a place for the log" },
	{ "log file", 5, "a file is missing here" },
	{ "log stderr json", 12, "`json' is not in this build" },
	{ "received maybe", 10, "`maybe' is not on or off" },
	{ "resolver", 1, "an address is missing here" },
	{ "resolver ns.example", 10, "`ns.example' is not the address of a resolver" },
	{ "resolver 192.0.2.53:0", 10, "`192.0.2.53:0' is not the address of a resolver" },
	{ "resolver inet:53@192.0.2.53", 10, "`inet:53@192.0.2.53' is written as for a milter" },
	{ "resolver system 192.0.2.53", 17, "nothing more is expected here" },
	{ "resolver 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.9", 74,
	    "more than 8 resolvers" },
	{ "resolver system; resolver system", 18, "a second `resolver'" },
	{ "hostname { }", 10, "a name is expected here" },
	{ "frobnicate 1", 1, "frobnicate" },
	{ "metrics", 1, "ADDR:PORT is missing here" },
	{ "metrics 0.0.0.0:9100", 9, "without a password they are for this machine alone" },
	{ "metrics [2001:db8::1]:9100", 9, "without a password they are for this machine alone" },
	{ "metrics inet:9100@127.0.0.1", 9, "`inet:9100@127.0.0.1' is written as for a milter" },
	{ "quarantine max 1G", 12, "the folder is missing in front of `max'" },
	{ "metrics 127.0.0.1:9100 private", 24, "nothing more is expected here" },
	{ "metrics 127.0.0.1:9100; metrics 127.0.0.1:9101", 25, "a second `metrics'" },
	{ "metrics 127.0.0.1:25", 9, "there is a `listen' for this address already" },
	{ "metrics 127.0.0.1:9100; listen 127.0.0.1:9100", 32,
	    "there are `metrics' at this address already" },
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

static void
wants_listen_and_upstream(void)
{
	struct loaded l = load("hostname x\n");

	T_CHECK(has_diag(&l.d, 1, 1, "there is no `listen'"));
	T_CHECK(has_diag(&l.d, 1, 1, "there is no `upstream'"));
	T_EQ_NUM(l.d.errors, 2);
	unload(&l);
	l = load("");
	T_EQ_NUM(l.d.errors, 2);
	unload(&l);
	l = load(NULL);
	T_EQ_NUM(l.d.errors, 1);
	unload(&l);
}

/* All of them are shown, not the first. */
static void
shows_every_mistake(void)
{
	struct loaded l = load(
	    "listen x tls y\nupstream z\nworkers q\nlimits { a 1 recipients 1 }\n");

	T_CHECK(has_diag(&l.d, 1, 8, "ADDR:PORT"));
	T_CHECK(has_diag(&l.d, 1, 14, "option"));
	T_CHECK(has_diag(&l.d, 2, 10, "ADDR:PORT"));
	T_CHECK(has_diag(&l.d, 3, 9, "number"));
	T_CHECK(has_diag(&l.d, 4, 10, "no limit"));
	T_CHECK(has_diag(&l.d, 4, 25, "too small"));
	unload(&l);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(parses_units);
	T_RUN(prints_units);
	T_RUN(has_defaults);
	T_RUN(takes_what_is_said);
	T_RUN(paths_start_at_their_file);
	T_RUN(splits_among_workers);
	T_RUN(points_at_mistakes);
	T_RUN(wants_listen_and_upstream);
	T_RUN(shows_every_mistake);
	return t_end();
}
