/*
 * tls_pair -- a server's connection under test, and OpenSSL as its client in this process; the octets
 * between the two go through our hands, so they can be cut anywhere.
 */
#ifndef TESTS_UNIT_TLS_PAIR_H
#define TESTS_UNIT_TLS_PAIR_H

#include "tests/unit/tls_pem.h"

T_UNUSED static struct {
	struct conn c;
	bool        up, reads; /* reads: takes octets itself, when they come */
	enum io_rc  rc;        /* of the last step */
	const char *why;
	char        text[64];
	size_t      n;
} server;

T_UNUSED static struct {
	SSL     *ssl;
	BIO     *in, *out; /* memory: in is what the server sent */
	int      fd;
	size_t   piece;        /* octets carried at once in either direction */
	unsigned data_records; /* that the server sent, of type application data */
} client;

/* What the next client does besides. */
T_UNUSED static struct {
	const char       *name;  /* SNI; NULL: none */
	const struct pem *shows; /* a certificate; NULL: none */
	const char       *signatures; /* that it takes; NULL: as OpenSSL */
} wants = { .name = "mx.example" };

T_UNUSED static void
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

T_UNUSED static void
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

T_UNUSED static void
setup(struct tls_context *x, int version, size_t piece)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	int      fd[2];

	open_loop();
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	memset(&server, 0, sizeof(server));
	server.reads = true;
	T_CHECK(conn_init(&server.c, loop, fd[0], server_event, NULL));
	T_CHECK(tls_accept(&server.c, x));
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	client.ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (wants.shows != NULL)
		T_CHECK(SSL_use_certificate(client.ssl, wants.shows->x) == 1 &&
		    SSL_use_PrivateKey(client.ssl, wants.shows->pkey) == 1);
	if (wants.signatures != NULL)
		T_CHECK(SSL_set1_sigalgs_list(client.ssl, wants.signatures) == 1);
	client.in = BIO_new(BIO_s_mem());
	client.out = BIO_new(BIO_s_mem());
	SSL_set_bio(client.ssl, client.in, client.out);
	if (wants.name != NULL)
		SSL_set_tlsext_host_name(client.ssl, wants.name);
	SSL_set_connect_state(client.ssl);
	client.fd = fd[1];
	client.piece = piece;
	client.data_records = 0;
}

T_UNUSED static void
teardown(void)
{
	conn_close(&server.c);
	close(client.fd);
	SSL_free(client.ssl);
	close_loop();
}

/* Counts whole records of application data in what the server wrote; its writes are whole records. */
T_UNUSED static void
count_records(const unsigned char *p, size_t n)
{
	for (size_t at = 0; at + 5 <= n; at += 5 + (size_t)(p[at + 3] << 8 | p[at + 4]))
		client.data_records += p[at] == 23;
}

/* Carries octets both ways until nothing moves. */
T_UNUSED static void
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
T_UNUSED static bool
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

T_UNUSED static void
client_send(const char *text)
{
	T_EQ_NUM(SSL_write(client.ssl, text, (int)strlen(text)), strlen(text));
	carry();
}

T_UNUSED static struct strv
client_read(char *b, size_t n)
{
	size_t got = 0, one;

	ERR_clear_error();
	while (got < n && SSL_read_ex(client.ssl, b + got, n - got, &one) == 1)
		got += one;
	ERR_clear_error();
	return strv(b, got);
}

/* ---- tickets --------------------------------------------------------------------------------- */

/* A session with a ticket, got by a full handshake; the caller frees it. */
T_UNUSED static SSL_SESSION *
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

T_UNUSED static bool
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

#endif
