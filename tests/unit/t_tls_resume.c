/*
 * t_tls_resume -- sessions that our client goes on with, against our server and against OpenSSL's.
 */
#include "tests/unit/tls_sides.h"

/* ---- sessions that go on --------------------------------------------------------------------- */

/* One connection on which both sides talk; whether it was resumed, on which they agree. */
static bool
resumed(struct tls_context *x, struct tls_context *s, const char *name, struct tls_session **resume)
{
	struct arena    *a = arena_new(1024, 0);
	struct tls_facts f, g;

	T_CHECK(connect_sides(x, s, name, resume) && far.up);
	T_CHECK(conn_queue_v(&far.c, SV("220 x\r\n")));
	rounds();
	T_EQ_STRV(strv(near.text, near.n), SV("220 x\r\n"));
	tls_facts_get(&near.c, a, &f);
	tls_facts_get(&far.c, a, &g);
	T_EQ_NUM(f.resumed, g.resumed);
	close_sides();
	arena_free(a);
	return f.resumed;
}

static void
session_goes_on(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
	struct tls_session *resume = NULL;

	T_CHECK(!resumed(x, s, "mx.example", &resume));
	T_CHECK(resume != NULL);
	for (unsigned i = 0; i < 3; i++)
		T_CHECK(resumed(x, s, "mx.example", &resume));
	tls_session_free(resume);
	T_CHECK(!resumed(x, s, "mx.example", NULL));
	tls_session_free(NULL);
	tls_context_free(x);
	tls_context_free(s);
}

/* RFC 8446 C.4: two connections at the same time do not begin with the same ticket. */
static void
ticket_is_used_once(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
	struct tls_session *resume = NULL;

	T_CHECK(!resumed(x, s, "mx.example", &resume));
	open_sides();
	T_CHECK(tls_connect(&near.c, x, SV("mx.example"), &resume));
	T_CHECK(resume == NULL);
	near.c.on_event = NULL;
	close_sides();
	T_CHECK(!resumed(x, s, "mx.example", &resume));
	T_CHECK(resumed(x, s, "mx.example", &resume));
	tls_session_free(resume);
	tls_context_free(x);
	tls_context_free(s);
}

/* A resumed handshake shows no certificate: it must not stand for another name, or another trust. */
static void
session_of_others_is_not_taken(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303),
			   *loose = client_of(NULL, false, 0x0303), *s = server_of(&named, 0x0303);
	struct tls_session *resume = NULL;

	T_CHECK(!resumed(loose, s, "mx.example", &resume));
	T_CHECK(!resumed(x, s, "mx.example", &resume));
	T_CHECK(resumed(x, s, "mx.example", &resume));
	T_CHECK(!connect_sides(x, s, "nx.example", &resume));
	T_EQ_STR(near.reason, "hostname mismatch");
	T_CHECK(resume == NULL);
	close_sides();
	T_CHECK(!resumed(x, s, "a.wild.example", &resume));
	T_CHECK(!resumed(x, s, "b.wild.example", &resume));
	T_CHECK(resumed(x, s, "b.wild.example", &resume));
	tls_session_free(resume);
	tls_context_free(x);
	tls_context_free(loose);
	tls_context_free(s);
}

/* However often it is resumed: after two hours the certificate is seen again. */
static void
session_ends_with_its_first_handshake(void)
{
	const uint64_t      saved = wall_us, hour = (uint64_t)3600 * 1000000;
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
	struct tls_session *resume = NULL;

	T_CHECK(!resumed(x, s, "mx.example", &resume));
	wall_us += hour;
	T_CHECK(resumed(x, s, "mx.example", &resume));
	wall_us += hour - 1000000;
	T_CHECK(resumed(x, s, "mx.example", &resume));
	wall_us += 1000000;
	T_CHECK(!resumed(x, s, "mx.example", &resume));
	T_CHECK(resumed(x, s, "mx.example", &resume));
	tls_session_free(resume);
	tls_context_free(x);
	tls_context_free(s);
	wall_us = saved;
}

/* A server that does not know the ticket any more: a full handshake. */
static void
refused_ticket_is_no_fault(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
	struct tls_session *resume = NULL;

	T_CHECK(!resumed(x, s, "mx.example", &resume));
	tls_context_free(s);
	tls_tickets_forget();
	s = server_of(&named, 0x0303);
	T_CHECK(!resumed(x, s, "mx.example", &resume));
	T_CHECK(resumed(x, s, "mx.example", &resume));
	tls_session_free(resume);
	tls_context_free(x);
	tls_context_free(s);
}

/* The pool closes and cuts connections; what they brought stays good. */
static void
session_outlives_any_end(void)
{
	static const char *const ends[] = { "close", "abort", "the server's reset", "shutdown" };
	struct tls_context      *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);

	for (unsigned i = 0; i < T_COUNT(ends); i++) {
		struct tls_session *resume = NULL;

		t_row = ends[i];
		T_CHECK(connect_sides(x, s, "mx.example", &resume));
		if (i == 0)
			conn_close(&near.c);
		else if (i == 1)
			conn_abort(&near.c);
		else if (i == 2)
			conn_abort(&far.c);
		else
			conn_shutdown(&near.c);
		rounds();
		close_sides();
		T_CHECK(resume != NULL);
		T_CHECK(resumed(x, s, "mx.example", &resume));
		tls_session_free(resume);
	}
	tls_context_free(x);
	tls_context_free(s);
}

/* ---- a server of OpenSSL, since ours has no setting for TLS 1.2 at most ------------------------------------------------ */

static struct {
	SSL_CTX *ctx;
	SSL     *ssl;
	BIO     *in, *out;
	int      fd;
} old;

static void
old_setup(struct tls_context *x, const char *name, struct tls_session **resume)
{
	int fd[2];

	open_loop();
	memset(&near, 0, sizeof(near));
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	T_CHECK(conn_init(&near.c, loop, fd[0], side_event, &near));
	T_CHECK(tls_connect(&near.c, x, strv_z(name), resume));
	old.fd = fd[1];
	old.ssl = SSL_new(old.ctx);
	old.in = BIO_new(BIO_s_mem());
	old.out = BIO_new(BIO_s_mem());
	SSL_set_bio(old.ssl, old.in, old.out);
	SSL_set_accept_state(old.ssl);
	side_event(&near);
}

/* Carries octets, and lets the server take its steps, until nothing moves. */
static void
old_carry(size_t piece)
{
	static char b[65536];
	bool        moved = true;
	ssize_t     n;

	while (moved) {
		moved = loop_round(loop, false);
		if ((n = read(old.fd, b, piece)) > 0) {
			BIO_write(old.in, b, (int)n);
			moved = true;
		}
		ERR_clear_error();
		if (!SSL_is_init_finished(old.ssl))
			(void)SSL_do_handshake(old.ssl);
		ERR_clear_error();
		if ((n = BIO_read(old.out, b, (int)piece)) > 0) {
			T_CHECK(write(old.fd, b, (size_t)n) == n);
			moved = true;
		}
	}
}

static void
old_teardown(void)
{
	conn_close(&near.c);
	close(old.fd);
	SSL_set_shutdown(
	    old.ssl, SSL_SENT_SHUTDOWN); /* or OpenSSL takes the session for a bad one */
	SSL_free(old.ssl);
	close_loop();
}

static void
old_begin(int version)
{
	old.ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_max_proto_version(old.ctx, version);
	T_CHECK(SSL_CTX_use_certificate(old.ctx, named.x) == 1 &&
	    SSL_CTX_use_PrivateKey(old.ctx, named.pkey) == 1);
	SSL_CTX_set_session_id_context(old.ctx, (const unsigned char *)"old", 3);
}

static void
old_session_goes_on(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303);
	struct tls_session *resume = NULL;

	for (unsigned tickets = 0; tickets < 2; tickets++) {
		t_row = tickets ? "tickets" : "session ids";
		old_begin(TLS1_2_VERSION);
		if (!tickets)
			SSL_CTX_set_options(old.ctx, SSL_OP_NO_TICKET);
		for (unsigned i = 0; i < 4; i++) {
			old_setup(x, "mx.example", &resume);
			old_carry(i == 1 ? 1 : 65536);
			T_CHECK(near.up && SSL_is_init_finished(old.ssl));
			T_EQ_NUM(SSL_session_reused(old.ssl), i > 0);
			T_CHECK(resume != NULL);
			old_teardown();
		}
		/* one that fails takes the session with it: that may have been the reason */
		old_setup(x, "mx.example", &resume);
		T_CHECK(resume != NULL && shutdown(old.fd, SHUT_WR) == 0);
		loop_round(loop, false);
		T_EQ_NUM(near.rc, IO_EOF);
		T_CHECK(resume == NULL);
		old_teardown();
		SSL_CTX_free(old.ctx);
	}
	tls_context_free(x);
}

/* A server that would take the session under another name: it is not offered. */
static void
old_session_is_not_offered_to_others(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303);
	struct tls_session *resume = NULL;
	static const struct step {
		const char *name;
		int         reused;
	} steps[] = { { "a.wild.example", 0 }, { "b.wild.example", 0 }, { "b.wild.example", 1 } };

	for (unsigned v = 0; v < 2; v++) {
		old_begin(v == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
		T_TABLE(struct step, k, steps)
		{
			t_row = v == 0 ? "TLSv1.2" : "TLSv1.3";
			old_setup(x, k->name, &resume);
			old_carry(65536);
			T_CHECK(near.up && SSL_is_init_finished(old.ssl));
			T_EQ_NUM(SSL_session_reused(old.ssl), k->reused);
			old_teardown();
		}
		SSL_CTX_free(old.ctx);
	}
	tls_session_free(resume);
	tls_context_free(x);
}

/* RFC 5246 7.4.1.1: a server that asks for it is told no; OpenSSL gives up by then, we do not. */
static void
server_gets_no_renegotiation(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303);
	static char         raw[4096];
	char                b[16];
	size_t              n;

	old_begin(TLS1_2_VERSION);
	old_setup(x, "mx.example", NULL);
	old_carry(65536);
	T_CHECK(near.up && SSL_is_init_finished(old.ssl));
	T_EQ_NUM(SSL_renegotiate(old.ssl), 1);
	(void)SSL_do_handshake(old.ssl); /* HelloRequest */
	n = (size_t)BIO_read(old.out, raw, sizeof(raw));
	T_CHECK(write(old.fd, raw, n) == (ssize_t)n);
	loop_round(loop, false);
	T_CHECK(!near.c.fault && near.rc == IO_AGAIN);
	T_CHECK((n = (size_t)read(old.fd, raw, sizeof(raw))) < sizeof(raw));
	BIO_write(old.in, raw, (int)n);
	ERR_clear_error();
	T_EQ_NUM(SSL_read_ex(old.ssl, b, sizeof(b), &n), 0);
	T_EQ_NUM(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	T_CHECK(conn_queue_v(&near.c, SV("NOOP\r\n")));
	ERR_clear_error();
	old_teardown();
	SSL_CTX_free(old.ctx);
	tls_context_free(x);
}

/* A server that can do no better than TLS 1.2, where 1.3 is the least. */
static void
minimum_version_holds(void)
{
	struct tls_context *x = client_of(NULL, false, 0x0304);

	old_begin(TLS1_2_VERSION);
	old_setup(x, "mx.example", NULL);
	old_carry(65536);
	T_CHECK(!near.up);
	T_EQ_NUM(near.rc, IO_FAULT);
	T_EQ_STR(near.reason, "tlsv1 alert protocol version");
	old_teardown();
	SSL_CTX_free(old.ctx);
	tls_context_free(x);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_servers();
	T_RUN(session_goes_on);
	T_RUN(ticket_is_used_once);
	T_RUN(session_of_others_is_not_taken);
	T_RUN(session_ends_with_its_first_handshake);
	T_RUN(refused_ticket_is_no_fault);
	T_RUN(session_outlives_any_end);
	T_RUN(old_session_goes_on);
	T_RUN(old_session_is_not_offered_to_others);
	T_RUN(server_gets_no_renegotiation);
	T_RUN(minimum_version_holds);
	return t_end();
}
