/*
 * t_settings_upstream -- servers, pools, the listeners before them: what is said, and every mistake.
 */
#include "proxy/base/netset.h"
#include "proxy/base/tls.h"
#include "tests/unit/settings_world.h"

#define RELAY  "relay { allow to { ours.example } }\n"
#define LISTEN "listen 127.0.0.1:25\n" RELAY

/* ---- what is said ---------------------------------------------------------------------------- */

static void
has_defaults(void)
{
	struct loaded        l = load(BASE);
	const struct server *sv = l.s->server;

	if (is_good(&l)) {
		T_EQ_NUM(l.d.n, 0);
		T_EQ_NUM(l.s->n_server, 1);
		T_EQ_TEXT(sv->pool, "default");
		T_EQ_NUM(sv->weight, 1);
		T_EQ_NUM(sv->connections, 50);
		T_EQ_NUM(sv->auth_connections, 50);
		T_CHECK(sv->tls == TLS_USE_OFF && sv->context == NULL && !sv->backup);
		T_EQ_NUM(l.s->smtp.n_pool, 1);
		T_EQ_TEXT(l.s->smtp.pool->name, "default");
		T_CHECK(l.s->smtp.pool->server == sv && l.s->smtp.pool->n_server == 1);
		T_CHECK(!l.s->listener->require_auth && !l.s->listener->auth_plain &&
		    l.s->listener->xclient_from == NULL && l.s->listener->pool == 0);
	}
	unload(&l);
}

static void
takes_every_option(void)
{
	struct loaded        l = load(LISTEN
		   "upstream 10.0.0.1:26 xforward tls require timeout 30s connections 7 auth-connections 3 eager "
			  "no-chunking no-streaming weight 1000\n"
			  "upstream 10.0.0.2:26 proxy-protocol backup weight 1 connections 9\n"
			  "upstream \"unix:/run/smtp\" proxy-protocol v1\n");
	const struct server *sv = l.s->server;

	if (is_good(&l)) {
		T_EQ_NUM(l.s->n_server, 3);
		T_CHECK(sv[0].kind == HOP_SMTP && sv[0].identity == IDENTITY_XFORWARD);
		T_CHECK(sv[0].tls == TLS_USE_REQUIRE && sv[0].context != NULL);
		T_EQ_TEXT(sv[0].tls_name, "10.0.0.1");
		T_EQ_TEXT(sv[0].name, "10.0.0.1:26");
		T_EQ_NUM(sv[0].timeout, 30000);
		T_EQ_NUM(sv[0].connections, 7);
		T_EQ_NUM(sv[0].auth_connections, 3);
		T_CHECK(sv[0].eager && sv[0].no_chunking && sv[0].no_streaming && !sv[0].backup);
		T_EQ_NUM(sv[0].weight, 1000);
		T_CHECK(sv[1].identity == IDENTITY_PROXY2 && sv[1].backup);
		T_EQ_NUM(sv[1].auth_connections, 9);
		T_CHECK(sv[2].identity == IDENTITY_PROXY1 && sv[2].at.addr.family == ADDR_UNIX);
		T_EQ_STR(sv[2].at.path, "/run/smtp");
		T_EQ_TEXT(sv[2].name, "unix:/run/smtp");
	}
	unload(&l);
}

static void
takes_lmtp(void)
{
	struct loaded        l = load(LISTEN "upstream lmtp \"unix:/run/dovecot/lmtp\" xclient\n"
						    "upstream lmtp [2001:db8::1]:24 proxy-protocol v2\n");
	const struct server *sv = l.s->server;

	if (is_good(&l)) {
		T_CHECK(sv[0].kind == HOP_LMTP && sv[0].at.addr.family == ADDR_UNIX);
		T_EQ_NUM(sv[0].identity, IDENTITY_XCLIENT);
		T_CHECK(sv[1].kind == HOP_LMTP && sv[1].at.port == 24);
		T_EQ_NUM(sv[1].identity, IDENTITY_PROXY2);
		T_EQ_NUM(l.s->smtp.pool->kind, HOP_LMTP);
	}
	unload(&l);
}

/* Servers of one pool stand side by side, pools in the order in which they are first named. */
static void
builds_pools(void)
{
	static const struct row {
		const char *name;
		unsigned    n;
		const char *first;
	} want[] = { { "b", 2, "10.0.0.1:25" }, { "default", 2, "10.0.0.2:25" },
		{ "a-1_x", 1, "10.0.0.2:25" }, { "box", 1, "/var/mail/x" } };
	struct loaded l = load(
	    "listen 127.0.0.1:25\nlisten 127.0.0.1:26 pool b\n"
	    "listen 127.0.0.1:27 pool box\nlisten 127.0.0.1:28 pool a-1_x\n" RELAY
	    "upstream 10.0.0.1:25 pool b\nupstream 10.0.0.2:25\n"
	    "upstream 10.0.0.2:25 pool a-1_x\nupstream 10.0.0.3:25 pool b backup\n"
	    "upstream maildir \"/var/mail/x\" pool box\nupstream 10.0.0.2:26 pool default\n");
	const struct pool_conf *p = l.s->smtp.pool;
	const struct server    *at = l.s->server;

	if (is_good(&l) && T_EQ_NUM(l.s->smtp.n_pool, 4)) {
		T_EQ_NUM(l.d.n, 0);
		for (unsigned i = 0; i < 4; i++) {
			t_row = want[i].name;
			T_EQ_TEXT(p[i].name, want[i].name);
			T_EQ_NUM(p[i].n_server, want[i].n);
			T_EQ_TEXT(p[i].server[0].name, want[i].first);
			T_CHECK(p[i].server == at);
			T_CHECK(p[i].kind == (i == 3 ? HOP_MAILDIR : HOP_SMTP));
			at += p[i].n_server;
		}
		t_row = NULL;
		T_EQ_TEXT(p[0].server[1].name, "10.0.0.3:25");
		T_EQ_NUM(l.s->listener[0].pool, 1);
		T_EQ_NUM(l.s->listener[1].pool, 0);
		T_EQ_NUM(l.s->listener[2].pool, 3);
		T_EQ_NUM(l.s->listener[3].pool, 2);
	}
	unload(&l);
}

static void
splits_every_pool(void)
{
	struct loaded     l = load("listen 127.0.0.1:25 pool b\nlisten 127.0.0.1:26\n" RELAY
				   "upstream 10.0.0.1:25 pool b connections 40 auth-connections 10\n"
				       "upstream 10.0.0.2:25 connections 3 weight 7\n"
				       "upstream 10.0.0.3:25 pool b backup\n");
	struct smtp_conf *c;

	if (is_good(&l)) {
		c = settings_split(l.s, l.a, 4);
		T_EQ_NUM(c->n_pool, 2);
		T_EQ_TEXT(c->pool[0].name, "b");
		T_EQ_NUM(c->pool[0].n_server, 2);
		T_EQ_NUM(c->pool[0].server[0].connections, 10);
		T_EQ_NUM(c->pool[0].server[0].auth_connections, 2);
		T_CHECK(c->pool[0].server[1].backup);
		T_EQ_TEXT(c->pool[1].server[0].name, "10.0.0.2:25");
		T_EQ_NUM(c->pool[1].server[0].connections, 1);
		T_EQ_NUM(c->pool[1].server[0].auth_connections, 1);
		T_EQ_NUM(c->pool[1].server[0].weight, 7);
		T_CHECK(c->pool[0].server != l.s->smtp.pool[0].server);
		T_EQ_NUM(l.s->server[0].connections, 40);
	}
	unload(&l);
}

/* A pool that no listener has may be a route's. */
static void
tells_routes_of_pools(void)
{
	static const struct mistake m = { "route", 26, "no pool is called `userz'" };
	struct loaded               l = load(
			  BASE "upstream 10.0.0.1:25 pool users\n"
					     "map where { a.example users  b.example default }\nroute where\n");

	if (is_good(&l))
		T_EQ_NUM(l.d.n, 0);
	unload(&l);
	makes_one(BASE
	    "upstream 10.0.0.1:25 pool users\nmap where { a.example    userz }\nroute where\n",
	    DIAG_ERROR, 5, &m);
}

static void
takes_listeners(void)
{
	struct loaded l = load(
	    "listen 127.0.0.1:587 require-auth pool users\n"
	    "listen 127.0.0.1:26 auth-without-tls require-auth\n"
	    "listen 127.0.0.1:27 xclient from { 10.0.0.0/8 } xclient-login require-auth\n"
	    "listen 127.0.0.1:28 xclient from near\n"
	    "listen 127.0.0.1:29 require-auth no-starttls xclient from near xclient-login\n"
	    "networks near { 192.0.2.1 }\n"
	    "tls certificate mx.crt key mx.key\n"
	    "upstream 127.0.0.1:25\nupstream \"unix:/run/s\" pool users\n"
	    "upstream 10.0.0.1:25 tls verify pool users\n"
	    "upstream 10.0.0.2:25 tls require pool users\n" RELAY);
	const struct listener *n = l.s->listener;
	struct addr            addr;

	if (is_good(&l)) {
		T_EQ_NUM(l.d.n, 0);
		T_CHECK(n[0].require_auth && !n[0].auth_plain && n[0].pool == 1);
		T_CHECK(n[1].require_auth && n[1].auth_plain && n[1].pool == 0);
		T_CHECK(n[2].xclient_login && n[2].xclient_from != NULL);
		T_CHECK(addr_parse(SV("10.9.8.7"), &addr) && netset_has(n[2].xclient_from, &addr));
		T_CHECK(!n[3].xclient_login && n[3].xclient_from != NULL);
		T_CHECK(!netset_has(n[3].xclient_from, &addr));
	}
	unload(&l);
}

/* ---- mistakes -------------------------------------------------------------------------------- */

/* The only upstream, in line 1. */
static const struct mistake upstreams[] = {
	{ "upstream", 1, "ADDR:PORT is missing here" },
	{ "upstream 127.0.0.1", 10, "is not ADDR:PORT" },
	{ "upstream mx.example.com:25", 10, "is not ADDR:PORT" },
	{ "upstream \"unix:run/x\"", 10, "must begin with `/'" },
	{ "upstream 127.0.0.1:0", 10, "the port must be" },
	{ "upstream lmtp", 10, "ADDR:PORT is missing here" },
	{ "upstream lmtp maildir", 15, "is not ADDR:PORT" },
	{ "upstream 127.0.0.1:26 tls", 23, "a kind of `tls' is missing here" },
	{ "upstream 127.0.0.1:26 tls on", 27, "`on' is not a kind of `tls'" },
	{ "upstream 127.0.0.1:26 connections 0", 35, "`0' is too small" },
	{ "upstream 127.0.0.1:26 connections 100001", 35, "`100001' is too large" },
	{ "upstream 127.0.0.1:26 auth-connections 0", 40, "`0' is too small" },
	{ "upstream 127.0.0.1:26 timeout 30", 31, "a time is expected here" },
	{ "upstream 127.0.0.1:26 weight 0", 30, "`0' is too small" },
	{ "upstream 127.0.0.1:26 weight 1001", 30, "`1001' is too large" },
	{ "upstream 127.0.0.1:26 weight", 23, "a number is missing here" },
	{ "upstream 127.0.0.1:26 pool", 23, "the name of a pool is missing here" },
	{ "upstream 127.0.0.1:26 pool 1x", 28, "`1x' is not the name of a pool" },
	{ "upstream 127.0.0.1:26 pool a.b", 28, "`a.b' is not the name of a pool" },
	{ "upstream 127.0.0.1:26 pool \"a\"", 28, "the name of a pool is expected here" },
	{ "upstream local:/x", 10, "`local:/x' is written as for a milter" },
	{ "upstream \"inet:26@127.0.0.1\"", 10, "`inet:26@127.0.0.1' is written as for a milter" },
	{ "upstream lmtp inet:127.0.0.1:26", 15, "`inet:127.0.0.1:26' is written as for a milter" },
	{ "upstream 127.0.0.1:26 eager eager", 29, "`eager' stands here twice" },
	{ "upstream 127.0.0.1:26 bakcup", 23, "`bakcup' is not an option of `upstream'" },
	{ "upstream 127.0.0.1:26 backup", 23, "there is nothing in pool `default' that it could" },
	{ "upstream 127.0.0.1:26 xclient xforward", 31,
	    "xclient, xforward and proxy-protocol exclude each other" },
	{ "upstream 127.0.0.1:26 proxy-protocol v1 xclient", 41,
	    "xclient, xforward and proxy-protocol exclude each other" },
	{ "upstream 127.0.0.1:26 proxy-protocol v3", 38, "`v3' is not an option of `upstream'" },
	{ "upstream 127.0.0.1:26 server-name mx.example.com", 23,
	    "server-name is said to TLS, which is not used here" },
	{ "upstream 127.0.0.1:26 tls verify server-name a_b", 46,
	    "`a_b' is not the name of a host" },
	{ "upstream 127.0.0.1:26 ca \"ca.pem\"", 26, "ca is for TLS, which is not used here" },
	{ "upstream 127.0.0.1:26 tls verify ca", 34, "a file is missing here" },
	{ "upstream 127.0.0.1:26 tls verify ca no.pem", 37,
	    "cannot read the CA /etc/postern/no.pem: no such file" },
	{ "upstream \"unix:/run/x\" tls verify", 24, "server-name is missing" },
	{ "upstream maildir", 10, "a folder is missing here" },
	{ "upstream maildir \"/m\" eager", 23, "`eager' is not an option of `upstream'" },
	{ "upstream maildir \"/m\" pool x pool y", 30, "`pool' stands here twice" },
	{ "upstream maildir \"/m\" when helo is fqdn", 28, "`upstream' takes no `when'" },
};

static void
points_at_mistakes(void)
{
	T_TABLE(struct mistake, m, upstreams)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), "%s\nlisten 127.0.0.1:25\n" RELAY, m->text);
		makes_one(text, DIAG_ERROR, 1, m);
	}
}

/* One more behind `upstream 127.0.0.1:10025', in line 4. */
static const struct mistake pools[] = {
	{ "upstream 127.0.0.1:10025", 10, "`default' has this server in line 2 already" },
	{ "upstream lmtp 127.0.0.1:24", 15,
	    "`default' has an SMTP server in line 2, so an LMTP server cannot be in it" },
	{ "upstream maildir \"/m\"", 18,
	    "a Maildir stands alone in its pool, and `default' has an SMTP server in line 2 already" },
	{ "upstream maildir \"/m\" pool x; upstream 10.0.0.1:25 pool x; listen 127.0.0.1:26 pool x",
	    40, "and `x' has a Maildir in line 4 already" },
	{ "upstream \"unix:/s\"; upstream \"unix:/s\"", 30, "this server in line 4 already" },
	{ "include \"more/up.conf\"; upstream 127.0.0.1:26 pool x; listen 127.0.0.1:26 pool x", 34,
	    "`x' has this server in line 1 of /etc/postern/more/up.conf already" },
	{ "upstream 127.0.0.1:1 pool x backup; upstream 127.0.0.1:2 pool x backup; "
	  "listen 127.0.0.1:26 pool x",
	    29, "there is nothing in pool `x' that it could be a backup of" },
	{ "upstream maildir \"/m\" pool x; listen 127.0.0.1:26 pool x; quarantine \"/m\"", 70,
	    "mail is delivered to this folder: what is kept would be, too" },
	{ "upstream maildir \"/m/\" pool x; listen 127.0.0.1:26 pool x; quarantine \"/m\"", 71,
	    "mail is delivered to this folder: what is kept would be, too" },
	{ "upstream maildir \"/usr/bin\" pool x; listen 127.0.0.1:26 pool x; quarantine \"/usr/../usr/bin\"",
	    76, "mail is delivered to this folder: what is kept would be, too" },
	{ "listen 127.0.0.1:26 pool", 21, "the name of a pool is missing here" },
	{ "listen 127.0.0.1:26 pool 9", 26, "`9' is not the name of a pool" },
	{ "listen 127.0.0.1:26 pool defualt", 26, "no upstream is in a pool `defualt'" },
	{ "listen 127.0.0.1:26 pool users", 26, "no upstream is in a pool `users'" },
	{ "listen 127.0.0.1:26 xclient", 21, "whose XCLIENT is believed must be said" },
	{ "listen 127.0.0.1:26 xclient from", 29, "a list of networks is missing here" },
	{ "listen 127.0.0.1:26 xclient from nets", 34, "nets" },
	{ "listen 127.0.0.1:26 xclient-login", 21, "xclient-login belongs to `xclient from'" },
	{ "listen 127.0.0.1:26 require-auth", 21,
	    "AUTH would never be offered here: there is no TLS at this listener" },
	{ "listen 127.0.0.1:26 require-auth no-starttls; tls certificate mx.crt key mx.key", 21,
	    "AUTH would never be offered here: there is no TLS at this listener" },
	{ "listen 127.0.0.1:26 tls auth-without-tls; tls certificate mx.crt key mx.key", 25,
	    "where TLS is demanded, auth-without-tls means nothing" },
	{ "listen 127.0.0.1:26 require-auth auth-without-tls pool x; upstream 10.0.0.1:25 pool x",
	    21, "passwords do not go in plain text to 10.0.0.1:25, which is another machine" },
	{ "listen 127.0.0.1:26 require-auth auth-without-tls pool x; upstream 10.0.0.1:25 tls may pool x",
	    21, "passwords do not go in plain text to 10.0.0.1:25" },
	{ "listen 127.0.0.1:26 require-auth auth-without-tls pool x; upstream maildir \"/m\" pool x",
	    21, "AUTH would never be offered here: a Maildir knows no users" },
};

static void
points_at_mistakes_of_pools(void)
{
	T_TABLE(struct mistake, m, pools)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

/* Nothing is wrong but the pool of a listener that names none. */
static void
wants_a_default_pool(void)
{
	static const struct mistake m = {
		"default", 8,
		"the pool of this listener is `default', and no upstream is in it; there is: b, a"
	};

	makes_one(
	    "listen 127.0.0.1:25\nlisten 127.0.0.1:26 pool b\nlisten 127.0.0.1:27 pool a\n" RELAY
	    "upstream 10.0.0.1:25 pool b; upstream 10.0.0.1:25 pool a\n",
	    DIAG_ERROR, 1, &m);
}

static void
bounds_a_pool(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   text = SV(LISTEN);
	struct loaded l;

	for (unsigned i = 0; i <= POOL_SERVERS; i++)
		text = arena_printf(a, "%.*supstream 10.0.0.1:%u\n", (int)text.n, text.p, i + 1);
	l = load(arena_z(a, text));
	T_EQ_NUM(l.d.errors, 1);
	T_CHECK(has_diag(&l.d, 3 + POOL_SERVERS, 10, "a pool has at most 64 servers"));
	unload(&l);
	arena_free(a);
}

/* ---- warnings -------------------------------------------------------------------------------- */

static const struct mistake warnings[] = {
	{ "upstream 10.0.0.1:25 pool x", 10, "no listener and no route uses pool `x'" },
	{ "upstream 10.0.0.1:25 pool x; map m { a.example default }; route m", 10,
	    "no listener and no route uses pool `x'" },
	{ "upstream \"unix:/s\" tls may", 20, "nobody can listen in on a unix socket" },
	{ "upstream \"unix:/s\" tls verify server-name mx.example.com", 20,
	    "nobody can listen in on a unix socket" },
	{ "upstream 10.0.0.1:25 tls require ca ca.pem", 37, "no certificate is verified here" },
	{ "listen 127.0.0.1:26 xclient from { 0.0.0.0/0 }", 34,
	    "the whole Internet is believed here" },
	{ "listen 127.0.0.1:26 proxy-protocol from all; networks all { 0.0.0.0-255.255.255.255 }",
	    41, "the whole Internet is believed here" },
	{ "quarantine \"/q\" max 24M", 12, "max is smaller than message-size" },
	{ "line-endings normalize for { 10.0.0.0/8 }", 28, "so `for' changes nothing here" },
	{ "listen 0.0.0.0:26 auth-without-tls", 19, "passwords cross the network in plain text" },
	{ "listen 127.0.0.1:26 auth-without-tls pool x; upstream 10.0.0.1:25 pool x", 21,
	    "AUTH would never be offered here: passwords do not go in plain text to 10.0.0.1:25" },
};

static void
warns(void)
{
	T_TABLE(struct mistake, m, warnings)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_WARNING, 4, m);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(has_defaults);
	T_RUN(takes_every_option);
	T_RUN(takes_lmtp);
	T_RUN(builds_pools);
	T_RUN(splits_every_pool);
	T_RUN(tells_routes_of_pools);
	T_RUN(takes_listeners);
	T_RUN(points_at_mistakes);
	T_RUN(points_at_mistakes_of_pools);
	T_RUN(wants_a_default_pool);
	T_RUN(bounds_a_pool);
	T_RUN(warns);
	return t_end();
}
