/*
 * t_tls_flood -- records that bring no data: how many we take from a client, from a server and
 * inside a handshake, and how long one read may take.
 */
#include "proxy/base/tls_own.h"
#include "tests/unit/tls_pair.h"
#include "tests/unit/tls_sides.h"

enum { MANY = 1000, BATCH = 20 };

static const char too_many[] = "the peer sends too many records without data";

/* ---- a client's ------------------------------------------------------------------------------ */

static void
client_renews(int type)
{
	T_EQ_NUM(SSL_key_update(client.ssl, type), 1);
	T_EQ_NUM(SSL_do_handshake(client.ssl), 1);
}

/* The server's room for them is small: what it has read is thrown away. */
static void
client_sends_data(unsigned records)
{
	for (unsigned i = 0; i < records; i++)
		T_EQ_NUM(SSL_write(client.ssl, "x", 1), 1);
	carry();
	server.n = 0;
	if (server.up && server.c.readable && !server.c.fault)
		server_event(NULL);
	server.n = 0;
}

static const struct flood {
	const char *what;
	int         type;
	unsigned    data; /* records of data between BATCH of the other kind */
} floods[] = {
	{ "key updates", SSL_KEY_UPDATE_NOT_REQUESTED, 0 },
	{ "that ask for ours", SSL_KEY_UPDATE_REQUESTED, 0 },
	{ "with an octet now and then", SSL_KEY_UPDATE_NOT_REQUESTED, 1 },
	{ "with some octets", SSL_KEY_UPDATE_NOT_REQUESTED, 20 },
};

static void
client_that_only_renews_is_cut(void)
{
	struct tls_context *x = context(0x0303, "one");
	unsigned            sent;

	T_TABLE(struct flood, f, floods)
	{
		t_row = f->what;
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(shake() && server.up);
		for (sent = 0; sent < MANY && !server.c.fault; sent += BATCH) {
			for (unsigned i = 0; i < BATCH; i++)
				client_renews(f->type);
			client_sends_data(f->data);
		}
		T_CHECKF(sent >= 2 * BATCH && sent <= 4 * BATCH, "%u were taken", sent);
		T_EQ_NUM(server.rc, IO_FAULT);
		T_EQ_STR(tls_fault(&server.c), too_many);
		T_CHECK(!conn_queue_v(&server.c, SV("x")));
		teardown();
	}
	tls_context_free(x);
}

/* All in the library's buffer before we read: the data behind it are not come to. */
static void
flood_in_one_piece_ends_inside_it(void)
{
	struct tls_context *x = context(0x0303, "one");

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake() && server.up);
	for (unsigned i = 0; i < 300; i++)
		client_renews(SSL_KEY_UPDATE_NOT_REQUESTED);
	client_send("QUIT\r\n");
	T_EQ_NUM(server.rc, IO_FAULT);
	T_EQ_NUM(server.n, 0);
	teardown();
	tls_context_free(x);
}

static const struct habit {
	const char *what;
	int         type;
	unsigned    data, times;
} habits[] = {
	{ "every thousand records", SSL_KEY_UPDATE_NOT_REQUESTED, 1000, 60 },
	{ "and we are to do so, too", SSL_KEY_UPDATE_REQUESTED, 1000, 60 },
	{ "every ten", SSL_KEY_UPDATE_NOT_REQUESTED, 10, 300 },
};

static void
client_that_renews_now_and_then_is_served(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[8];

	T_TABLE(struct habit, h, habits)
	{
		t_row = h->what;
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(shake() && server.up);
		for (unsigned i = 0; i < h->times; i++) {
			client_renews(h->type);
			for (unsigned n = 0; n < h->data; n += 10)
				client_sends_data(10);
			T_CHECK(conn_queue_v(&server.c, SV("ok\r\n")));
			carry();
			T_EQ_STRV(client_read(b, sizeof(b)), SV("ok\r\n"));
		}
		T_CHECK(server.up && !server.c.fault && tls_fault(&server.c) == NULL);
		client_send("QUIT\r\n");
		T_EQ_STRV(strv(server.text, server.n), SV("QUIT\r\n"));
		teardown();
	}
	tls_context_free(x);
}

/* ---- a server's ------------------------------------------------------------------------------ */

static void
renews(SSL *ssl)
{
	T_EQ_NUM(SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
}

static void
gives_a_ticket(SSL *ssl)
{
	T_EQ_NUM(SSL_new_session_ticket(ssl), 1);
}

static void
asks_for_a_handshake(SSL *ssl)
{
	SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
	T_EQ_NUM(SSL_renegotiate(ssl), 1);
}

static const struct server_flood {
	const char *what;
	int         most; /* version */
	void (*once)(SSL *);
} server_floods[] = {
	{ "key updates", TLS1_3_VERSION, renews },
	{ "tickets", TLS1_3_VERSION, gives_a_ticket },
	{ "hello requests", TLS1_2_VERSION, asks_for_a_handshake },
};

/* The server's side does not read: what ours answers may be its own fault. */
static unsigned
flood_near(const struct server_flood *f, unsigned most)
{
	SSL     *ssl = far.c.tls->ssl;
	unsigned sent = 0;

	far.c.on_event = NULL;
	for (; sent < most && !near.c.fault; sent++) {
		ERR_clear_error();
		f->once(ssl);
		T_EQ_NUM(SSL_do_handshake(ssl), 1);
		rounds();
	}
	return sent;
}

static void
server_that_sends_no_data_is_cut(void)
{
	struct tls_context *x, *s = server_of(&named, 0x0303);
	struct tls_session *kept = NULL;
	unsigned            sent;

	T_TABLE(struct server_flood, f, server_floods)
	{
		t_row = f->what;
		x = client_of(&ca, true, 0x0303);
		T_CHECK(SSL_CTX_set_max_proto_version(x->ssl, f->most) == 1);
		T_CHECK(connect_sides(x, s, "mx.example", &kept) && far.up);
		sent = flood_near(f, MANY);
		T_CHECKF(sent >= 15 && sent <= 60, "%u were taken", sent);
		T_EQ_NUM(near.rc, IO_FAULT);
		T_EQ_STR(tls_fault(&near.c), too_many);
		close_sides();
		/* a few are no fault, and with data between them many */
		T_CHECK(connect_sides(x, s, "mx.example", &kept) && far.up);
		for (unsigned i = 0; i < 20; i++) {
			T_EQ_NUM(flood_near(f, 3), 3);
			for (unsigned n = 0; n < 30; n++)
				T_EQ_NUM(SSL_write(far.c.tls->ssl, "x", 1), 1);
			rounds();
			near.n = 0;
			side_event(&near);
			near.n = 0;
		}
		T_CHECK(!near.c.fault && tls_fault(&near.c) == NULL);
		close_sides();
		tls_context_free(x);
	}
	tls_session_free(kept);
	tls_context_free(s);
}

/* ---- handshakes ------------------------------------------------------------------------------ */

/* RFC 5246 7.4.1.1: a client in a handshake ignores a HelloRequest; OpenSSL does so without end. */
static void
hello_requests_inside_a_handshake(void)
{
	static const char   request[] = "\x16\x03\x03\0\x04\0\0\0\0";
	struct tls_context *x = client_of(&ca, true, 0x0303);
	unsigned            sent = 0;

	open_sides();
	far.c.on_event = NULL;
	T_CHECK(tls_connect(&near.c, x, SV("mx.example"), NULL));
	side_event(&near);
	for (; sent < MANY && near.rc == IO_AGAIN; sent++) {
		T_EQ_NUM(write(far.c.fd, request, sizeof(request) - 1), sizeof(request) - 1);
		rounds();
	}
	T_CHECKF(sent >= 15 && sent <= 60, "%u were taken", sent);
	T_EQ_NUM(near.rc, IO_FAULT);
	T_EQ_STR(near.reason, too_many);
	close_sides();
	tls_context_free(x);
}

static const struct crumbs {
	const char *what;
	size_t      octets;  /* in each record */
	unsigned    records; /* fewer than the message has */
	bool        cut;
} crumbs[] = {
	{ "one by one", 1, MANY, true },
	{ "some in small ones", 40, 100, false },
	{ "RFC 8449 4: the smallest limit", 64, MANY, false },
};

static void
hello_in_crumbs(void)
{
	static const char   first[] = "\x16\x03\x01\0\x04\x01\x01\0\0";
	struct tls_context *x = context(0x0303, "one");
	char                record[5 + 64] = { 0x16, 3, 1, 0 };

	T_TABLE(struct crumbs, c, crumbs)
	{
		t_row = c->what;
		record[4] = (char)c->octets;
		setup(x, TLS1_3_VERSION, 65536);
		T_EQ_NUM(write(client.fd, first, sizeof(first) - 1), sizeof(first) - 1);
		for (unsigned i = 0; i < c->records && !server.c.fault; i++) {
			T_EQ_NUM(write(client.fd, record, 5 + c->octets), 5 + c->octets);
			loop_round(loop, false);
		}
		T_EQ_NUM(server.rc, c->cut ? IO_FAULT : IO_AGAIN);
		if (c->cut)
			T_EQ_STR(server.why, too_many);
		teardown();
	}
	tls_context_free(x);
}

/* ---- how long one read may take -------------------------------------------------------------- */

/* Data may come octet by octet, but other sessions get their turn between. */
static void
read_ends_after_many_records(void)
{
	enum { N = 2000 };
	struct tls_context *x = context(0x0303, "one");
	static char         b[4 * N];
	size_t              got, n = 0;
	unsigned            calls = 0;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake() && server.up);
	server.reads = false;
	for (unsigned i = 0; i < N; i++)
		T_EQ_NUM(SSL_write(client.ssl, "x", 1), 1);
	carry();
	while (server.c.readable && calls++ < N) {
		T_EQ_NUM(conn_recv(&server.c, b, sizeof(b), &got), IO_OK);
		T_CHECKF(got <= 512, "%zu at once", got);
		n += got;
	}
	T_EQ_NUM(n, N);
	T_CHECK(calls <= 8);
	T_EQ_NUM(conn_recv(&server.c, b, sizeof(b), &got), IO_AGAIN);
	teardown();
	tls_context_free(x);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_pem(&other, EVP_EC_gen("P-256"), "other.example");
	make_servers();
	T_RUN(client_that_only_renews_is_cut);
	T_RUN(flood_in_one_piece_ends_inside_it);
	T_RUN(client_that_renews_now_and_then_is_served);
	T_RUN(server_that_sends_no_data_is_cut);
	T_RUN(hello_requests_inside_a_handshake);
	T_RUN(hello_in_crumbs);
	T_RUN(read_ends_after_many_records);
	free_pem(&ours);
	free_pem(&other);
	free_pem(&ca);
	free_pem(&named);
	free_pem(&bare);
	return t_end();
}
