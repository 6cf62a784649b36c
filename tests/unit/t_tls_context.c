/*
 * t_tls_context -- what a listener presents: files that are good and bad, certificates by name (SNI), and
 * the certificates of clients.
 */
#include "tests/unit/tls_pair.h"

/* ---- files ---------------------------------------------------------------------------------- */

static const struct bad {
	const char *name, *cert, *key, *id, *why;
} bad[] = {
	{ "no certificate", "", ours.key, "i", "the certificate file holds no certificate" },
	{ "a key for a certificate", ours.key, ours.key, "i",
	    "the certificate file holds no certificate" },
	{ "no key", ours.cert, "", "i", "the key file holds no key" },
	{ "a certificate for a key", ours.cert, ours.cert, "i", "the key file holds no key" },
	{ "a locked key", ours.cert, ours.locked, "i", "the key file holds no key" },
	{ "another's key", ours.cert, other.key, "i", "the key does not match the certificate" },
	{ "a key of another kind", ours.cert, rsa.key, "i",
	    "the key does not match the certificate" },
	{ "a long id", ours.cert, ours.key, "0123456789012345678901234567890123",
	    "the session id context" },
};

static void
bad_files_are_explained(void)
{
	struct arena *a = arena_new(1024, 0);

	T_TABLE(struct bad, b, bad)
	{
		struct strv why = { NULL, 0 };

		t_row = b->name;
		T_CHECK(one_certificate(a, strv_z(b->cert), strv_z(b->key), 0x0303, strv_z(b->id),
			    &why) == NULL);
		T_CHECKF(strv_starts(why, strv_z(b->why)), "why is %.*s", (int)why.n, why.p);
		T_EQ_NUM(ERR_peek_error(), 0);
	}
	arena_free(a);
}

static void
cut_certificate_is_not_taken(void)
{
	struct arena *a = arena_new(1024, 0);
	struct strv   cert = strv_z(ours.cert), why;
	size_t        n = cert.n;

	for (n = 0; n + 2 < cert.n; n += 13)
		T_CHECK(one_certificate(a, strv_first(cert, n), strv_z(ours.key), 0x0303, SV("i"),
			    &why) == NULL);
	arena_free(a);
}

static void
broken_chain_is_not_taken(void)
{
	struct arena *a = arena_new(1024, 0);
	struct strv   first = strv_z(ours.cert), second = strv_z(other.cert), why;
	struct strv   text = arena_concat(a, first, strv_first(second, second.n / 2));

	T_CHECK(one_certificate(a, text, strv_z(ours.key), 0x0303, SV("i"), &why) == NULL);
	arena_free(a);
}

static void
chain_is_sent_and_expiry_known(void)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         text = arena_concat(a, strv_z(ours.cert), strv_z(other.cert)), why;
	struct tls_context *x = one_certificate(a, text, strv_z(ours.key), 0x0303, SV("i"), &why);

	T_CHECK(x != NULL);
	T_EQ_NUM(tls_context_expires(x), 2180318706); /* 2039-02-03 04:05:06 */
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_EQ_NUM(sk_X509_num(SSL_get_peer_cert_chain(client.ssl)), 2);
	teardown();
	tls_context_free(x);
	tls_context_free(NULL);
	arena_free(a);
}

/* Nobody is refused for it: what is shown is the operator's affair, and he is told when it ends. */
static void
expired_certificate_is_shown(void)
{
	struct arena       *a = arena_new(1024, 0);
	struct pem          old = { 0 };
	struct tls_context *x;
	struct strv         why;

	make_cert(&old, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "mx.example", .until = "20200303040506Z" });
	x = one_certificate(a, strv_z(old.cert), strv_z(old.key), 0x0303, SV("i"), &why);
	T_CHECK(x != NULL);
	T_EQ_NUM(tls_context_expires(x), 1583208306); /* 2020-03-03 04:05:06 */
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake() && server.up);
	teardown();
	tls_context_free(x);
	free_pem(&old);
	arena_free(a);
}

/* ---- names ----------------------------------------------------------------------------------- */

enum { SITES = 7 };
static struct pem sites[SITES];

/* Seven certificates: 0 and 1 of RSA and ECDSA for the same names, 2 to 4 by their own, 5 and 6 by ours. */
static struct tls_context *
sites_context(struct arena *a)
{
	struct tls_certificate c[SITES];
	struct tls_context    *x;
	unsigned               which;
	struct strv            why = { NULL, 0 };

	for (unsigned i = 0; i < SITES; i++)
		c[i] = (struct tls_certificate){ strv_z(sites[i].cert), strv_z(sites[i].key),
			{ NULL, 0 } };
	c[5].server_name = SV("Given.example");
	c[6].server_name = SV("*.given.example");
	x = tls_context_server(a,
	    &(struct tls_server){
		.certificate = c, .n_certificate = SITES, .minimum = 0x0303, .id = SV("i") },
	    &which, &why);
	T_CHECKF(x != NULL, "%u: %.*s", which, (int)why.n, why.p);
	return x;
}

static void
make_sites(void)
{
	static const struct maker how[SITES] = {
		{ .cn = "first", .san = "DNS:mx.example,DNS:mx2.example" },
		{ .cn = "first", .san = "DNS:mx.example,DNS:mx2.example" },
		{ .cn = "x.example",
		    .san = "DNS:*.wild.example,DNS:given.example,DNS:mx2.example" },
		{ .cn = "Only.CN.example" },
		{ .cn = "hidden.example", .san = "DNS:visible.example" },
		{ .cn = "five", .san = "DNS:five.example" },
		{ .cn = "six" },
	};

	for (unsigned i = 0; i < SITES; i++)
		make_cert(&sites[i], i == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), &how[i]);
}

/* Which of the sites the client saw. */
static int
seen(void)
{
	X509 *cert = SSL_get0_peer_certificate(client.ssl);

	for (int i = 0; cert != NULL && i < SITES; i++)
		if (X509_cmp(cert, sites[i].x) == 0)
			return i;
	return -1;
}

static const struct asked {
	const char *name;
	int         site;
	const char *signatures;
} asked[] = {
	{ "mx.example", 1, NULL },
	{ "mx.example", 1, "ECDSA+SHA256" },
	{ "mx.example", 0, "RSA-PSS+SHA256:RSA+SHA256" },
	{ "MX2.Example", 1, NULL }, /* 2 has that name, too, and comes later */
	{ NULL, 1, NULL },
	{ NULL, 0, "RSA-PSS+SHA256:RSA+SHA256" },
	{ "nobody.example", 1, NULL },
	{ "a.wild.example", 2, NULL },
	{ "A.WILD.EXAMPLE", 2, NULL },
	{ "a.b.wild.example", 1, NULL }, /* one label, RFC 6125 6.4.3 */
	{ "wild.example", 1, NULL },
	{ "x.example", 1, NULL }, /* a common name beside alternative names is none */
	{ "only.cn.example", 3, NULL },
	{ "visible.example", 4, NULL },
	{ "hidden.example", 1, NULL },
	{ "given.example", 5, NULL }, /* the configuration comes before what is in 2 */
	{ "a.given.example", 6, NULL },
	{ "five.example", 1, NULL }, /* it has a name given: its own do not count */
	{ "six", 1, NULL },
	{ "a", 1, NULL },
};

static void
certificate_is_chosen_by_name(void)
{
	static const int    both[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x = sites_context(a);
	struct tls_facts    f;

	for (unsigned v = 0; v < 2; v++)
		T_TABLE(struct asked, k, asked)
		{
			t_row = k->name;
			wants.name = k->name;
			wants.signatures = k->signatures;
			setup(x, both[v], 65536);
			T_CHECK(shake() && server.up);
			T_EQ_NUM(seen(), k->site);
			tls_facts_get(&server.c, a, &f);
			T_EQ_TEXT(f.sni, k->name);
			T_CHECK(!f.resumed);
			teardown();
		}
	wants.name = "mx.example";
	wants.signatures = NULL;
	tls_context_free(x);
	arena_free(a);
}

/* RFC 6066 3: the server says whether it used the name; and a resumed session shows the name as well. */
static void
name_is_known_in_a_resumed_session(void)
{
	static const int    both[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x = sites_context(a);
	struct tls_facts    f;

	for (unsigned i = 0; i < 4; i++) {
		SSL_SESSION *s;

		wants.name = i < 2 ? "Given.Example" : "nobody.example";
		t_row = wants.name;
		s = ticket_of(x, both[i % 2]);
		setup(x, both[i % 2], 65536);
		T_CHECK(SSL_set_session(client.ssl, s) == 1);
		T_CHECK(shake() && server.up && SSL_session_reused(client.ssl));
		tls_facts_get(&server.c, a, &f);
		T_CHECK(f.resumed);
		T_EQ_TEXT(f.sni, wants.name);
		(void)SSL_shutdown(client.ssl);
		teardown();
		SSL_SESSION_free(s);
	}
	wants.name = "mx.example";
	tls_context_free(x);
	arena_free(a);
}

/* The hello with `name` as its name, in the clear, of 80 octets or so; *n is its length. */
static const unsigned char *
hello(const char *name, size_t name_n, bool twice, size_t *n)
{
	static unsigned char       b[512];
	static const unsigned char head[] = { 3, 3 };
	unsigned char             *p = b + 9, *ext;

	memcpy(p, head, 2);
	memset(p + 2, 7, 32);
	p += 34;
	memcpy(p, "\0\0\4\xc0\x2b\xc0\x2c\1\0", 9);
	p += 9;
	ext = p;
	p += 2;
	memcpy(p, "\0\x0d\0\4\0\2\4\3\0\x0a\0\4\0\2\0\x17", 16); /* signatures, groups */
	p += 16;
	for (int i = 0; i <= (twice ? 1 : 0); i++) {
		memcpy(p, "\0\0\0", 3);
		p[3] = (unsigned char)(name_n + 5), p[4] = 0, p[5] = (unsigned char)(name_n + 3);
		p[6] = 0, p[7] = 0, p[8] = (unsigned char)name_n;
		memcpy(p + 9, name, name_n);
		p += 9 + name_n;
	}
	ext[0] = (unsigned char)((p - ext - 2) >> 8);
	ext[1] = (unsigned char)(p - ext - 2);
	memcpy(b, "\x16\x03\x01", 3);
	b[3] = (unsigned char)((p - b - 5) >> 8), b[4] = (unsigned char)(p - b - 5);
	b[5] = 1, b[6] = 0;
	b[7] = (unsigned char)((p - b - 9) >> 8), b[8] = (unsigned char)(p - b - 9);
	*n = (size_t)(p - b);
	return b;
}

/* Lengths that lie, a NUL, two names. */
static void
malformed_names_are_refused(void)
{
	struct tls_context  *x = context(0x0303, "one");
	const unsigned char *p;
	unsigned char        b[512];
	size_t               n;

	p = hello("mx.example", 10, false, &n);
	setup(x, TLS1_2_VERSION, 65536);
	T_EQ_NUM(write(client.fd, p, n), n);
	loop_round(loop, false);
	T_CHECKF(server.rc == IO_AGAIN, "%s", server.why); /* as it is, it is good */
	teardown();
	for (size_t at = n - 17; at < n - 10; at++) /* the lengths and the type */
		for (unsigned v = 0; v < 255; v += 5) {
			memcpy(b, p, n);
			b[at] ^= (unsigned char)(v + 1);
			setup(x, TLS1_2_VERSION, 65536);
			T_EQ_NUM(write(client.fd, b, n), n);
			loop_round(loop, false);
			T_CHECK(!server.up);
			teardown();
		}
	p = hello("mx\0example", 10, false, &n);
	setup(x, TLS1_2_VERSION, 65536);
	T_EQ_NUM(write(client.fd, p, n), n);
	loop_round(loop, false);
	T_EQ_NUM(server.rc, IO_FAULT);
	teardown();
	p = hello("mx.example", 10, true, &n);
	setup(x, TLS1_2_VERSION, 65536);
	T_EQ_NUM(write(client.fd, p, n), n);
	loop_round(loop, false);
	T_EQ_NUM(server.rc, IO_FAULT);
	teardown();
	tls_context_free(x);
}

/* The first to end is the one that matters; and it is said whose file is bad. */
static void
several_certificates_and_one_bad(void)
{
	struct arena          *a = arena_new(1024, 0);
	struct pem             soon = { 0 };
	struct tls_certificate c[3] = { { strv_z(ours.cert), strv_z(ours.key), { NULL, 0 } } };
	struct tls_server      conf = {
		     .certificate = c, .n_certificate = 3, .minimum = 0x0303, .id = SV("i")
	};
	struct tls_context *x;
	struct strv         why;
	unsigned            which;

	make_cert(
	    &soon, EVP_EC_gen("P-256"), &(struct maker){ .cn = "s", .until = "20300303040506Z" });
	c[1] = (struct tls_certificate){ strv_z(soon.cert), strv_z(soon.key), { NULL, 0 } };
	c[2] = (struct tls_certificate){ strv_z(other.cert), strv_z(other.key), SV("o.example") };
	x = tls_context_server(a, &conf, &which, &why);
	T_CHECK(x != NULL && tls_context_expires(x) == 1898741106); /* 2030-03-03 04:05:06 */
	tls_context_free(x);
	c[1].key = strv_z(ours.key);
	T_CHECK(tls_context_server(a, &conf, &which, &why) == NULL);
	T_EQ_NUM(which, 1);
	T_CHECK(strv_starts(why, SV("the key does not match the certificate")));
	c[1].key = strv_z(soon.key);
	conf.client_ca = strv_z(ours.key);
	T_CHECK(tls_context_server(a, &conf, &which, &why) == NULL);
	T_EQ_NUM(which, 3);
	T_CHECK(strv_starts(why, SV("the file holds no certificate of an authority")));
	conf.client_ca = SV("");
	T_CHECK(tls_context_server(a, &conf, &which, &why) == NULL);
	T_EQ_NUM(which, 3);
	free_pem(&soon);
	arena_free(a);
}

/* ---- certificates of clients ----------------------------------------------------------------- */

static struct pem ca, ca2, good, late, stranger, for_servers, odd;

static struct tls_context *
asking_context(struct arena *a, const struct pem *authority)
{
	struct tls_certificate c = { strv_z(ours.cert), strv_z(ours.key), { NULL, 0 } };
	struct tls_context    *x;
	unsigned               which;
	struct strv            why = { NULL, 0 };

	x = tls_context_server(a,
	    &(struct tls_server){ .certificate = &c,
		.n_certificate = 1,
		.minimum = 0x0303,
		.id = SV("i"),
		.client_ca = strv_z(authority->cert) },
	    &which, &why);
	T_CHECKF(x != NULL, "%.*s", (int)why.n, why.p);
	return x;
}

static void
make_clients(void)
{
	make_cert(&ca, EVP_EC_gen("P-256"), &(struct maker){ .cn = "CA", .ca = true });
	make_cert(&ca2, EVP_EC_gen("P-256"), &(struct maker){ .cn = "CA two", .ca = true });
	make_cert(&good, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "client.example", .issuer = &ca, .until = "20250203040506Z" });
	make_cert(&late, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "late.example", .issuer = &ca, .until = "20200303040506Z" });
	make_cert(&stranger, EVP_EC_gen("P-256"), &(struct maker){ .cn = "stranger.example" });
	make_cert(&for_servers, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "server.example", .issuer = &ca, .usage = "serverAuth" });
	make_cert(&odd, EVP_EC_gen("P-256"), &(struct maker){ .cn = "a\r\nb, c", .issuer = &ca });
}

static const struct presented {
	const char       *what;
	const struct pem *pem;
	const char       *subject, *cn;
} presented[] = {
	{ "none", NULL, NULL, NULL },
	{ "good", &good, "CN=client.example,O=Tests", "client.example" },
	{ "expired", &late, NULL, NULL },
	{ "of no authority", &stranger, NULL, NULL },
	{ "for servers", &for_servers, NULL, NULL },
	{ "with a line end", &odd, "CN=a\\0D\\0Ab\\, c,O=Tests", NULL },
};

/* All are served; the fact is there only for the one that is good, in a resumed session as well. */
static void
client_certificates_are_facts(void)
{
	static const int    both[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x = asking_context(a, &ca);
	struct tls_facts    f;

	for (unsigned v = 0; v < 2; v++)
		T_TABLE(struct presented, k, presented)
		{
			SSL_SESSION *s;

			t_row = k->what;
			wants.shows = k->pem;
			s = ticket_of(x, both[v]);
			for (unsigned resumed = 0; resumed < 2; resumed++) {
				setup(x, both[v], 65536);
				if (resumed)
					T_CHECK(SSL_set_session(client.ssl, s) == 1);
				T_CHECK(shake() && server.up);
				tls_facts_get(&server.c, a, &f);
				T_EQ_NUM(f.resumed, resumed);
				T_EQ_TEXT(f.client_cert, k->subject);
				T_EQ_TEXT(
				    f.client_issuer, k->subject != NULL ? "CN=CA,O=Tests" : NULL);
				T_EQ_TEXT(f.client_cn, k->cn);
				client_send("NOOP\r\n");
				T_EQ_STRV(strv(server.text, server.n), SV("NOOP\r\n"));
				(void)SSL_shutdown(client.ssl);
				teardown();
			}
			SSL_SESSION_free(s);
		}
	wants.shows = NULL;
	tls_context_free(x);
	arena_free(a);
}

/* What a ticket says of a certificate holds no longer than the certificate, and its authority. */
static void
resumed_certificate_may_have_ended(void)
{
	const uint64_t      saved = wall_us;
	const uint64_t      end = 1738555506 * (uint64_t)1000000; /* 2025-02-03 04:05:06 */
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x, *x2;
	struct tls_facts    f;
	SSL_SESSION        *s;

	tls_tickets_forget();
	x = asking_context(a, &ca);
	x2 = asking_context(a, &ca2);
	wants.shows = &good;
	wall_us = end - 60 * (uint64_t)1000000;
	s = ticket_of(x, TLS1_3_VERSION);
	for (unsigned i = 0; i < 2; i++) {
		wall_us = i == 0 ? end - 1000000 : end + 1000000;
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(SSL_set_session(client.ssl, s) == 1 && shake() && server.up);
		tls_facts_get(&server.c, a, &f);
		T_CHECK(f.resumed && (f.client_cert.p != NULL) == (i == 0));
		T_CHECK((f.client_cn.p != NULL) == (i == 0));
		(void)SSL_shutdown(client.ssl);
		teardown();
	}
	wall_us = end - 1000000;
	T_CHECK(is_taken(x, TLS1_3_VERSION, s));
	T_CHECK(!is_taken(x2, TLS1_3_VERSION, s));
	SSL_SESSION_free(s);
	tls_context_free(x);
	tls_context_free(x2);
	tls_tickets_forget();
	wants.shows = NULL;
	wall_us = saved;
	arena_free(a);
}

/* RFC 8446 4.2.4: the client is told of whom it may show one; who is not to be asked is not. */
static void
authorities_are_named(void)
{
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x = asking_context(a, &ca), *silent = context(0x0303, "i");
	struct tls_facts    f;
	const STACK_OF(X509_NAME) * names;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	names = SSL_get0_peer_CA_list(client.ssl);
	T_EQ_NUM(sk_X509_NAME_num(names), 1);
	T_CHECK(X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(ca.x)) == 0);
	teardown();
	wants.shows = &good;
	setup(silent, TLS1_3_VERSION, 65536);
	T_CHECK(shake() && server.up);
	tls_facts_get(&server.c, a, &f);
	T_CHECK(f.client_cert.p == NULL && f.client_cn.p == NULL);
	teardown();
	wants.shows = NULL;
	tls_context_free(x);
	tls_context_free(silent);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_pem(&other, EVP_EC_gen("P-256"), "other.example");
	make_pem(&rsa, EVP_RSA_gen(2048), "rsa.example");
	make_sites();
	make_clients();
	T_RUN(bad_files_are_explained);
	T_RUN(cut_certificate_is_not_taken);
	T_RUN(broken_chain_is_not_taken);
	T_RUN(chain_is_sent_and_expiry_known);
	T_RUN(expired_certificate_is_shown);
	T_RUN(certificate_is_chosen_by_name);
	T_RUN(name_is_known_in_a_resumed_session);
	T_RUN(malformed_names_are_refused);
	T_RUN(several_certificates_and_one_bad);
	T_RUN(client_certificates_are_facts);
	T_RUN(resumed_certificate_may_have_ended);
	T_RUN(authorities_are_named);
	return t_end();
}
