/*
 * t_tls -- handshakes, records, tickets and ends, against OpenSSL as the client in this process; the
 * octets between the two go through our hands, so they can be cut anywhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/base/arena.h"
#include "proxy/base/io.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static uint64_t clock_ms = 1000, wall_us = 1700000000u * (uint64_t)1000000;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static uint64_t
fake_wall(struct world *w)
{
	(void)w;
	return wall_us;
}

static struct world fake = { .now = fake_now, .wall = fake_wall };

/* ---- certificates ---------------------------------------------------------------------------- */

struct pem {
	char      cert[4096], key[4096], locked[4096];
	X509     *x;
	EVP_PKEY *pkey;
};

static struct pem ours, other, rsa;

static void
to_text(BIO *b, char *out, size_t max)
{
	char *p;
	long  n = BIO_get_mem_data(b, &p);

	T_CHECK(n > 0 && (size_t)n < max);
	memcpy(out, p, (size_t)n);
	out[n] = '\0';
	BIO_free(b);
}

static void
make_pem(struct pem *m, EVP_PKEY *pkey, const char *name)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem()),
	    *locked = BIO_new(BIO_s_mem());
	X509_NAME *subject;

	m->pkey = pkey;
	m->x = X509_new();
	ASN1_INTEGER_set(X509_get_serialNumber(m->x), 1);
	X509_gmtime_adj(X509_getm_notBefore(m->x), -3600);
	ASN1_TIME_set_string(X509_getm_notAfter(m->x), "20390203040506Z");
	X509_set_pubkey(m->x, pkey);
	subject = X509_get_subject_name(m->x);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(m->x, subject);
	T_CHECK(X509_sign(m->x, pkey, EVP_sha256()) > 0);
	T_CHECK(PEM_write_bio_X509(cert, m->x) == 1);
	T_CHECK(PEM_write_bio_PrivateKey(key, pkey, NULL, NULL, 0, NULL, NULL) == 1);
	T_CHECK(PEM_write_bio_PrivateKey(locked, pkey, EVP_aes_128_cbc(),
		    (const unsigned char *)"x", 1, NULL, NULL) == 1);
	to_text(cert, m->cert, sizeof(m->cert));
	to_text(key, m->key, sizeof(m->key));
	to_text(locked, m->locked, sizeof(m->locked));
}

static void
free_pem(struct pem *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->pkey);
}

/* A server with one certificate. */
static struct tls_context *
one_certificate(struct arena *a, struct strv chain, struct strv key, int minimum, struct strv id,
    struct strv *why)
{
	struct tls_certificate c = { chain, key, { NULL, 0 } };
	struct tls_server      conf = {
		     .certificate = &c, .n_certificate = 1, .minimum = minimum, .id = id
	};
	unsigned which;

	return tls_context_server(a, &conf, &which, why);
}

static struct tls_context *
context(int minimum, const char *id)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         why = { NULL, 0 };
	struct tls_context *x = one_certificate(
	    a, strv_z(ours.cert), strv_z(ours.key), minimum, strv_z(id), &why);

	T_CHECKF(x != NULL, "%.*s", (int)why.n, why.p);
	arena_free(a);
	return x;
}

/* ---- the two sides --------------------------------------------------------------------------- */

static struct loop       *loop;
static struct fiber_pool *pool;

static struct {
	struct conn c;
	bool        up, reads; /* reads: takes octets itself, when they come */
	enum io_rc  rc;        /* of the last step */
	const char *why;
	char        text[64];
	size_t      n;
} server;

static struct {
	SSL     *ssl;
	BIO     *in, *out; /* memory: in is what the server sent */
	int      fd;
	size_t   piece;        /* octets carried at once in either direction */
	unsigned data_records; /* that the server sent, of type application data */
} client;

static void
server_read(void)
{
	size_t got;

	while (server.c.readable && server.n < sizeof(server.text)) {
		server.rc = conn_recv(
		    &server.c, server.text + server.n, sizeof(server.text) - server.n, &got);
		server.n += got;
		if (server.rc == IO_EOF || server.rc == IO_FAULT)
			return;
	}
}

static void
server_event(void *arg)
{
	(void)arg;
	if (!server.up) {
		server.rc = tls_handshake(&server.c, &server.why);
		server.up = server.rc == IO_OK;
	}
	if (server.up && server.reads)
		server_read();
}

static void
setup(struct tls_context *x, int version, size_t piece)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int      fd[2];

	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	memset(&server, 0, sizeof(server));
	server.reads = true;
	T_CHECK(conn_init(&server.c, loop, fd[0], server_event, NULL));
	T_CHECK(tls_accept(&server.c, x));
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	client.ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	client.in = BIO_new(BIO_s_mem());
	client.out = BIO_new(BIO_s_mem());
	SSL_set_bio(client.ssl, client.in, client.out);
	SSL_set_tlsext_host_name(client.ssl, "mx.example");
	SSL_set_connect_state(client.ssl);
	client.fd = fd[1];
	client.piece = piece;
	client.data_records = 0;
}

static void
teardown(void)
{
	conn_close(&server.c);
	close(client.fd);
	SSL_free(client.ssl);
	loop_round(loop, false);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
}

/* Counts whole records of application data in what the server wrote; its writes are whole records. */
static void
count_records(const unsigned char *p, size_t n)
{
	for (size_t at = 0; at + 5 <= n; at += 5 + (size_t)(p[at + 3] << 8 | p[at + 4]))
		client.data_records += p[at] == 23;
}

/* Carries octets both ways until nothing moves. */
static void
carry(void)
{
	static char b[65536];
	bool        moved = true;
	ssize_t     n;

	while (moved) {
		moved = false;
		if ((n = BIO_read(client.out, b, (int)client.piece)) > 0) {
			T_CHECK(write(client.fd, b, (size_t)n) == n);
			moved = true;
		}
		moved |= loop_round(loop, false);
		if ((n = read(client.fd, b, client.piece)) > 0) {
			count_records((unsigned char *)b, (size_t)n);
			BIO_write(client.in, b, (int)n);
			moved = true;
		}
	}
}

/* Whether the client's side came up. */
static bool
shake(void)
{
	for (unsigned i = 0; i < 20 && !SSL_is_init_finished(client.ssl); i++) {
		ERR_clear_error();
		(void)SSL_do_handshake(client.ssl);
		carry();
	}
	ERR_clear_error();
	return SSL_is_init_finished(client.ssl);
}

static void
client_send(const char *text)
{
	T_EQ_NUM(SSL_write(client.ssl, text, (int)strlen(text)), strlen(text));
	carry();
}

static struct strv
client_read(char *b, size_t n)
{
	size_t got = 0, one;

	ERR_clear_error();
	while (got < n && SSL_read_ex(client.ssl, b + got, n - got, &one) == 1)
		got += one;
	ERR_clear_error();
	return strv(b, got);
}

static const struct version {
	const char *name;
	int         version;
	size_t      piece;
} versions[] = {
	{ "TLSv1.2", TLS1_2_VERSION, 65536 },
	{ "TLSv1.3", TLS1_3_VERSION, 65536 },
	{ "TLSv1.2", TLS1_2_VERSION, 1 },
	{ "TLSv1.3", TLS1_3_VERSION, 1 },
	{ "TLSv1.2", TLS1_2_VERSION, 7 },
	{ "TLSv1.3", TLS1_3_VERSION, 7 },
};

/* ---- handshakes ------------------------------------------------------------------------------ */

static void
check_facts(const char *version)
{
	struct arena    *a = arena_new(1024, 0);
	struct tls_facts f;

	tls_facts_get(&server.c, a, &f);
	T_CHECK(f.on && f.bits >= 128 && f.client_cert.p == NULL);
	T_EQ_TEXT(f.version, version);
	T_EQ_TEXT(f.cipher, SSL_get_cipher_name(client.ssl));
	T_EQ_TEXT(f.sni, "mx.example");
	arena_free(a);
}

static void
handshake_and_talk_cut_anywhere(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[64];

	T_TABLE(struct version, v, versions)
	{
		t_row = v->name;
		setup(x, v->version, v->piece);
		T_CHECK(shake() && server.up);
		T_EQ_NUM(server.rc, IO_AGAIN);
		check_facts(v->name);
		client_send("EHLO a.example\r\n");
		T_EQ_STRV(strv(server.text, server.n), SV("EHLO a.example\r\n"));
		T_CHECK(!server.c.readable);
		T_CHECK(conn_queue_v(&server.c, SV("250 hello\r\n")));
		carry();
		T_EQ_STRV(client_read(b, sizeof(b)), SV("250 hello\r\n"));
		teardown();
	}
	tls_context_free(x);
}

static void
no_facts_without_tls(void)
{
	struct tls_facts f = { .on = true };
	struct conn      c = { .fd = -1 };

	tls_facts_get(&c, NULL, &f);
	T_CHECK(!f.on && f.version.p == NULL);
}

/* The client's first octets come in the segment that ends its handshake: no event will tell of them. */
static void
octets_behind_the_handshake_are_there(void)
{
	struct tls_context *x = context(0x0303, "one");
	static char         b[65536];
	ssize_t             n;

	setup(x, TLS1_3_VERSION, sizeof(b));
	server.reads = false;
	(void)SSL_do_handshake(client.ssl);
	carry();
	T_EQ_NUM(SSL_do_handshake(client.ssl), 1);
	T_EQ_NUM(SSL_write(client.ssl, "EHLO x\r\n", 8), 8);
	n = BIO_read(client.out, b, sizeof(b));
	T_CHECK(n > 0 && write(client.fd, b, (size_t)n) == n);
	loop_round(loop, false);
	T_CHECK(server.up && server.c.readable);
	server_read();
	T_EQ_STRV(strv(server.text, server.n), SV("EHLO x\r\n"));
	T_CHECK(!server.c.readable);
	teardown();
	tls_context_free(x);
}

/* STARTTLS: the hello may have come before the handshake began, and its event is past. */
static void
hello_that_came_early_is_found(void)
{
	struct tls_context *x = context(0x0303, "one");
	struct tls         *t;
	static char         b[65536];
	ssize_t             n;

	setup(x, TLS1_3_VERSION, sizeof(b));
	t = server.c.tls;
	server.c.tls = NULL;
	tls_free(t);
	server.c.on_event = NULL;
	(void)SSL_do_handshake(client.ssl);
	n = BIO_read(client.out, b, sizeof(b));
	T_CHECK(n > 0 && write(client.fd, b, (size_t)n) == n);
	loop_round(loop, false);
	T_CHECK(server.c.readable);
	T_CHECK(tls_accept(&server.c, x));
	server.c.on_event = server_event;
	T_EQ_NUM(tls_handshake(&server.c, &server.why), IO_AGAIN);
	T_CHECK(shake() && server.up);
	teardown();
	tls_context_free(x);
}

/* A peer that does not read its 220 must not get it inside TLS. */
static void
no_handshake_while_plain_text_waits(void)
{
	struct tls_context *x = context(0x0303, "one");
	struct tls         *t;

	setup(x, TLS1_3_VERSION, 65536);
	t = server.c.tls;
	server.c.tls = NULL;
	tls_free(t);
	while (conn_unsent(&server.c) == 0 && conn_queue_v(&server.c, SV("220 go ahead\r\n")))
		continue;
	T_CHECK(conn_unsent(&server.c) > 0);
	T_CHECK(!tls_accept(&server.c, x));
	T_CHECK(server.c.tls == NULL);
	server.up = true;
	teardown();
	tls_context_free(x);
}

static void
garbage_is_no_handshake(void)
{
	struct tls_context *x = context(0x0303, "one");
	const char         *why = NULL;
	size_t              got;
	char                c;

	setup(x, TLS1_3_VERSION, 65536);
	T_EQ_NUM(write(client.fd, "EHLO plain.example\r\n", 20), 20);
	loop_round(loop, false);
	T_EQ_NUM(server.rc, IO_FAULT);
	T_CHECK(!server.up && server.c.fault && strlen(server.why) > 0);
	T_EQ_NUM(tls_handshake(&server.c, &why), IO_FAULT);
	T_CHECK(!conn_queue_v(&server.c, SV("421 in plain text\r\n")));
	T_EQ_NUM(conn_recv(&server.c, &c, 1, &got), IO_FAULT);
	teardown();
	tls_context_free(x);
}

static void
end_in_the_handshake(void)
{
	struct tls_context *x = context(0x0303, "one");

	setup(x, TLS1_3_VERSION, 65536);
	T_EQ_NUM(write(client.fd, "\x16\x03\x01", 3), 3);
	T_CHECK(shutdown(client.fd, SHUT_WR) == 0);
	loop_round(loop, false);
	T_EQ_NUM(server.rc, IO_EOF);
	T_EQ_STR(server.why, "the peer closed the connection");
	teardown();
	tls_context_free(x);
}

static bool waited;

static void
server_event_that_looks(void *arg)
{
	server_event(arg);
	waited |= !server.up && server.c.want_write;
}

/* The server's flight does not fit the socket: the handshake goes on when there is room again. */
static void
handshake_waits_for_room(void)
{
	struct arena       *a = arena_new(4096, 0);
	struct strv         text = strv_z(ours.cert), why;
	struct tls_context *x;
	int                 room = 1;

	for (unsigned i = 0; i < 50; i++)
		text = arena_concat(a, text, strv_z(other.cert));
	x = one_certificate(a, text, strv_z(ours.key), 0x0303, SV("i"), &why);
	T_CHECK(x != NULL);
	waited = false;
	setup(x, TLS1_3_VERSION, 512);
	server.c.on_event = server_event_that_looks;
	T_CHECK(setsockopt(server.c.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
	T_CHECK(shake() && server.up && waited);
	teardown();
	tls_context_free(x);
	arena_free(a);
}

static void
minimum_version_holds(void)
{
	struct tls_context *x = context(0x0304, "one");

	setup(x, TLS1_2_VERSION, 65536);
	T_CHECK(!shake() && !server.up);
	T_EQ_NUM(server.rc, IO_FAULT);
	T_EQ_STR(server.why, "unsupported protocol");
	teardown();
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake() && server.up);
	teardown();
	tls_context_free(x);
}

/* ---- octets ---------------------------------------------------------------------------------- */

static void
small_pieces_become_one_record(void)
{
	struct tls_context *x = context(0x0303, "one");
	struct iovec        v[3] = { { (void *)"250-one\r\n", 9 }, { (void *)"", 0 },
		       { (void *)"250 two\r\n", 9 } };
	char                b[64];
	unsigned            before;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	before = client.data_records;
	T_CHECK(conn_queue(&server.c, v, 3));
	carry();
	T_EQ_NUM(client.data_records - before, 1);
	T_EQ_STRV(client_read(b, sizeof(b)), SV("250-one\r\n250 two\r\n"));
	teardown();
	tls_context_free(x);
}

/* Large and small pieces that the socket takes at once: each record ends where the next begins. */
static void
large_pieces_are_queued_whole(void)
{
	enum { N = 50000 };
	struct tls_context *x = context(0x0303, "one");
	static char         p[N], q[N + 6];
	struct iovec        v[3] = { { p, 20000 }, { p + 20000, 30000 }, { (void *)"end", 3 } };

	for (unsigned i = 0; i < N; i++)
		p[i] = (char)(i * 31 + i / 256);
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_CHECK(conn_queue(&server.c, v, 3));
	T_EQ_NUM(conn_unsent(&server.c), 0);
	carry();
	T_EQ_NUM(client_read(q, sizeof(q)).n, N + 3);
	T_CHECK(memcmp(p, q, N) == 0 && memcmp(q + N, "end", 3) == 0);
	teardown();
	tls_context_free(x);
}

enum { BULK = 300 * 1000 };
static char bulk[BULK], taken[BULK + 16];

struct job {
	int          how, file;
	enum wait_rc rc;
	bool         over;
};

static void
send_bulk(void *arg)
{
	struct job  *j = arg;
	struct iovec v[3] = { { bulk, 100 }, { bulk + 100, 70000 },
		{ bulk + 70100, BULK - 70100 } };

	if (j->how == 0)
		j->rc = conn_send(&server.c, v, 3, 0);
	else if (j->how == 1)
		j->rc = conn_send_file(&server.c, j->file, 0, BULK, 0);
	else
		j->rc = conn_queue(&server.c, v, 3) ? conn_drain(&server.c, 0) : WAIT_CLOSED;
	j->over = true;
}

static int
bulk_file(void)
{
	char name[] = "/tmp/t_tls.XXXXXX";
	int  fd = mkstemp(name);

	for (size_t i = 0; i < BULK; i++)
		bulk[i] = (char)((i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff);
	T_CHECK(fd >= 0 && unlink(name) == 0);
	T_EQ_NUM(write(fd, bulk, BULK), BULK);
	return fd;
}

/* Much more than the socket holds, by all three ways out: what waited goes on where it stopped. */
static void
bulk_goes_out_octet_for_octet(void)
{
	static const char *const ways[] = { "send", "file", "queue" };
	struct tls_context      *x = context(0x0303, "one");
	int                      file = bulk_file(), room = 4096;

	for (int how = 0; how < 3; how++) {
		struct job j = { .how = how, .file = file };
		size_t     n = 0;

		t_row = ways[how];
		setup(x, how == 1 ? TLS1_2_VERSION : TLS1_3_VERSION, 1000);
		T_CHECK(shake());
		T_CHECK(setsockopt(server.c.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
		fiber_start(pool, "bulk", send_bulk, &j);
		T_CHECK(!j.over);
		T_CHECK(conn_queue_v(&server.c, SV("end")));
		for (unsigned i = 0; i < 2000 && n < BULK + 3; i++) {
			carry();
			n += client_read(taken + n, sizeof(taken) - n).n;
		}
		T_EQ_NUM(n, BULK + 3);
		T_CHECK(j.over && j.rc == WAIT_OK && conn_unsent(&server.c) == 0);
		T_CHECK(memcmp(bulk, taken, BULK) == 0 && memcmp(taken + BULK, "end", 3) == 0);
		teardown();
	}
	close(file);
	tls_context_free(x);
}

/* A record larger than the reader's buffer: the rest comes without a new event. */
static void
rest_of_a_record_needs_no_event(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[10];
	size_t              got;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	server.reads = false;
	client_send("0123456789abcdefghijXYZ");
	T_CHECK(server.c.readable);
	T_EQ_NUM(conn_recv(&server.c, b, 10, &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("0123456789"));
	T_CHECK(server.c.readable);
	T_EQ_NUM(conn_recv(&server.c, b, 10, &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("abcdefghij"));
	T_CHECK(server.c.readable);
	T_EQ_NUM(conn_recv(&server.c, b, 10, &got), IO_OK);
	T_EQ_STRV(strv(b, got), SV("XYZ"));
	T_CHECK(!server.c.readable);
	T_EQ_NUM(conn_recv(&server.c, b, 10, &got), IO_AGAIN);
	teardown();
	tls_context_free(x);
}

static void
keys_may_be_changed(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[32];

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_EQ_NUM(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	client_send("NOOP\r\n");
	T_EQ_STRV(strv(server.text, server.n), SV("NOOP\r\n"));
	T_CHECK(conn_queue_v(&server.c, SV("250 ok\r\n")));
	carry();
	T_EQ_STRV(client_read(b, sizeof(b)), SV("250 ok\r\n"));
	T_CHECK(!server.c.fault && !server.c.readable);
	teardown();
	tls_context_free(x);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void
close_says_so(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[8];

	for (unsigned abrupt = 0; abrupt < 2; abrupt++) {
		t_row = abrupt ? "abort" : "close";
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(shake());
		abrupt ? conn_abort(&server.c) : conn_close(&server.c);
		carry();
		(void)client_read(b, sizeof(b));
		T_EQ_NUM(SSL_get_shutdown(client.ssl) & SSL_RECEIVED_SHUTDOWN, abrupt ? 0 : 2);
		teardown();
	}
	tls_context_free(x);
}

static void
shutdown_leaves_the_other_way_open(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[8];

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_CHECK(conn_queue_v(&server.c, SV("421 x\r\n")));
	conn_shutdown(&server.c);
	carry();
	T_EQ_STRV(client_read(b, sizeof(b)), SV("421 x\r\n"));
	T_EQ_NUM(SSL_get_shutdown(client.ssl) & SSL_RECEIVED_SHUTDOWN, 2);
	T_EQ_NUM(read(client.fd, b, 1), 0);
	client_send("QUIT\r\n");
	T_EQ_STRV(strv(server.text, server.n), SV("QUIT\r\n"));
	T_CHECK(!server.c.fault);
	teardown();
	tls_context_free(x);
}

static void
both_kinds_of_end_are_an_end(void)
{
	struct tls_context *x = context(0x0303, "one");

	for (unsigned notify = 0; notify < 2; notify++) {
		t_row = notify ? "close_notify" : "the socket's end";
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(shake());
		T_EQ_NUM(SSL_write(client.ssl, "QUIT\r\n", 6), 6);
		if (notify)
			(void)SSL_shutdown(client.ssl);
		carry();
		if (!notify)
			T_CHECK(shutdown(client.fd, SHUT_WR) == 0);
		carry();
		T_EQ_STRV(strv(server.text, server.n), SV("QUIT\r\n"));
		T_EQ_NUM(server.rc, IO_EOF);
		T_CHECK(server.c.eof && !server.c.fault);
		T_CHECK(conn_queue_v(&server.c, SV("221 bye\r\n")));
		teardown();
	}
	tls_context_free(x);
}

static void
forged_record_is_a_fault(void)
{
	struct tls_context *x = context(0x0303, "one");
	static const char   forged[] = "\x17\x03\x03\x00\x20"
				       "0123456789abcdef0123456789abcdef";

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_EQ_NUM(write(client.fd, forged, sizeof(forged) - 1), sizeof(forged) - 1);
	carry();
	T_EQ_NUM(server.rc, IO_FAULT);
	T_CHECK(server.n == 0 && server.c.fault);
	T_CHECK(!conn_queue_v(&server.c, SV("x")));
	teardown();
	tls_context_free(x);
}

static void
renegotiation_is_refused(void)
{
	struct tls_context *x = context(0x0303, "one");

	setup(x, TLS1_2_VERSION, 65536);
	T_CHECK(shake());
	T_EQ_NUM(SSL_renegotiate(client.ssl), 1);
	(void)SSL_do_handshake(client.ssl);
	carry();
	T_EQ_NUM(SSL_num_renegotiations(client.ssl), 1); /* it asked */
	T_EQ_NUM(SSL_do_handshake(client.ssl), -1);
	T_EQ_NUM(SSL_session_reused(client.ssl), 0);
	T_CHECK(!SSL_is_init_finished(client.ssl));
	teardown();
	tls_context_free(x);
}

/* ---- tickets --------------------------------------------------------------------------------- */

/* A session with a ticket, got by a full handshake; the caller frees it. */
static SSL_SESSION *
ticket_of(struct tls_context *x, int version)
{
	SSL_SESSION *s;
	char         b[8];

	setup(x, version, 65536);
	T_CHECK(shake());
	T_CHECK(!SSL_session_reused(client.ssl));
	T_CHECK(conn_queue_v(&server.c, SV("220 x\r\n")));
	carry();
	(void)client_read(b, sizeof(b)); /* a 1.3 ticket comes before it */
	s = SSL_get1_session(client.ssl);
	T_CHECK(s != NULL && SSL_SESSION_has_ticket(s));
	(void)SSL_shutdown(client.ssl); /* or OpenSSL takes the session for a bad one */
	teardown();
	return s;
}

static bool
is_taken(struct tls_context *x, int version, SSL_SESSION *s)
{
	bool reused;

	setup(x, version, 65536);
	T_CHECK(SSL_set_session(client.ssl, s) == 1);
	T_CHECK(shake() && server.up);
	reused = SSL_session_reused(client.ssl);
	(void)SSL_shutdown(client.ssl);
	teardown();
	return reused;
}

static void
ticket_is_bound_to_its_listener(void)
{
	struct tls_context *one = context(0x0303, "listener one"),
			   *two = context(0x0303, "listener two");

	for (unsigned i = 0; i < 2; i++) {
		SSL_SESSION *s = ticket_of(one, versions[i].version);

		t_row = versions[i].name;
		T_CHECK(is_taken(one, versions[i].version, s));
		T_CHECK(!is_taken(two, versions[i].version, s));
		T_CHECK(is_taken(one, versions[i].version, s));
		SSL_SESSION_free(s);
	}
	tls_context_free(one);
	tls_context_free(two);
}

/* Keys change every four hours, and the last one is still known. */
static void
ticket_key_goes_out_of_use(void)
{
	const uint64_t      hours = (uint64_t)3600 * 1000000, saved = wall_us;
	struct tls_context *x = context(0x0303, "one");

	for (unsigned i = 0; i < 2; i++) {
		SSL_SESSION *s;

		t_row = versions[i].name;
		wall_us = saved / (4 * hours) * (4 * hours) + hours;
		s = ticket_of(x, versions[i].version);
		wall_us += 4 * hours;
		T_CHECK(is_taken(x, versions[i].version, s));
		wall_us += 4 * hours;
		T_CHECK(!is_taken(x, versions[i].version, s));
		wall_us -= 8 * hours; /* a clock set back, too */
		T_CHECK(is_taken(x, versions[i].version, s));
		SSL_SESSION_free(s);
	}
	wall_us = saved;
	tls_context_free(x);
}

/* ---- contexts -------------------------------------------------------------------------------- */

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

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_pem(&other, EVP_EC_gen("P-256"), "other.example");
	make_pem(&rsa, EVP_RSA_gen(2048), "rsa.example");
	T_RUN(handshake_and_talk_cut_anywhere);
	T_RUN(no_facts_without_tls);
	T_RUN(octets_behind_the_handshake_are_there);
	T_RUN(hello_that_came_early_is_found);
	T_RUN(no_handshake_while_plain_text_waits);
	T_RUN(garbage_is_no_handshake);
	T_RUN(end_in_the_handshake);
	T_RUN(handshake_waits_for_room);
	T_RUN(minimum_version_holds);
	T_RUN(small_pieces_become_one_record);
	T_RUN(large_pieces_are_queued_whole);
	T_RUN(bulk_goes_out_octet_for_octet);
	T_RUN(rest_of_a_record_needs_no_event);
	T_RUN(keys_may_be_changed);
	T_RUN(close_says_so);
	T_RUN(shutdown_leaves_the_other_way_open);
	T_RUN(both_kinds_of_end_are_an_end);
	T_RUN(forged_record_is_a_fault);
	T_RUN(renegotiation_is_refused);
	T_RUN(ticket_is_bound_to_its_listener);
	T_RUN(ticket_key_goes_out_of_use);
	T_RUN(bad_files_are_explained);
	T_RUN(cut_certificate_is_not_taken);
	T_RUN(broken_chain_is_not_taken);
	T_RUN(chain_is_sent_and_expiry_known);
	free_pem(&ours);
	free_pem(&other);
	free_pem(&rsa);
	return t_end();
}
