/*
 * t_tls -- handshakes, records and ends, against OpenSSL as the client.
 */
#include "tests/unit/tls_pair.h"

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

/* RFC 6066 3: a name of a host.  Anything may come, and what is no such name is none. */
static void
only_a_name_is_a_server_name(void)
{
	static const struct {
		const char *name, *fact;
	} rows[] = {
		{ "mx-1.Example", "mx-1.Example" },
		{ "_mta.example", "_mta.example" },
		{ "a.b\r\nX-Evil: 1", NULL },
		{ "mx.example\n", NULL },
		{ "\001\177", NULL },
		{ "mx example", NULL },
		{ "m\xc3\xbcx.example", NULL },
		{ "\"mx\"", NULL },
		{ "2001:db8::1", NULL },
	};
	struct arena       *a = arena_new(1024, 0);
	struct tls_context *x = context(0x0303, "one");
	struct tls_facts    f;

	for (unsigned i = 0; i < T_COUNT(rows); i++) {
		t_row = wants.name = rows[i].name;
		setup(x, TLS1_3_VERSION, 65536);
		T_CHECK(shake() && server.up);
		tls_facts_get(&server.c, a, &f);
		T_EQ_TEXT(f.sni, rows[i].fact);
		T_CHECK(f.on);
		teardown();
	}
	wants.name = "mx.example";
	tls_context_free(x);
	arena_free(a);
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

struct pieces {
	struct iovec v[3];
	enum wait_rc rc;
};

static void
send_pieces(void *arg)
{
	struct pieces *p = arg;

	p->rc = conn_send(&server.c, p->v, 3, 0);
}

static void
small_pieces_become_one_record(void)
{
	struct tls_context *x = context(0x0303, "one");
	struct pieces       sent = { { { (void *)"250-one\r\n", 9 }, { (void *)"", 0 },
					 { (void *)"250 two\r\n", 9 } },
		      WAIT_CLOSED };
	char                b[64];
	unsigned            before;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	before = client.data_records;
	fiber_start(pool, "pieces", send_pieces, &sent);
	T_EQ_NUM(sent.rc, WAIT_OK);
	carry();
	T_EQ_NUM(client.data_records - before, 1);
	T_EQ_STRV(client_read(b, sizeof(b)), SV("250-one\r\n250 two\r\n"));
	teardown();
	tls_context_free(x);
}

/* Large and small pieces that the socket takes at once: each record ends where the next begins. */
static void
large_pieces_go_out_whole(void)
{
	enum { N = 50000 };
	struct tls_context *x = context(0x0303, "one");
	static char         p[N], q[N + 6];
	struct pieces       sent = { { { p, 20000 }, { p + 20000, 30000 }, { (void *)"end", 3 } },
		      WAIT_CLOSED };

	for (unsigned i = 0; i < N; i++)
		p[i] = (char)(i * 31 + i / 256);
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	fiber_start(pool, "pieces", send_pieces, &sent);
	T_EQ_NUM(sent.rc, WAIT_OK);
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

static bool
queue_bulk(void)
{
	return conn_queue_v(&server.c, strv(bulk, 100)) &&
	    conn_queue_v(&server.c, strv(bulk + 100, BULK - 100));
}

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
		j->rc = queue_bulk() ? conn_drain(&server.c, 0) : WAIT_CLOSED;
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
	for (unsigned i = 0; i < 5; i++) {
		ERR_clear_error();
		T_EQ_NUM(SSL_do_handshake(client.ssl), -1);
		if (ERR_peek_error() != 0)
			break;
		carry();
	}
	/* OpenSSL's client gives up by then; a client that does not is served */
	T_EQ_NUM(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	ERR_clear_error();
	T_CHECK(!server.c.fault && conn_queue_v(&server.c, SV("250 ok\r\n")));
	teardown();
	tls_context_free(x);
}

/* As in t_io: what the peer said last, and its reset, in one event. */
static void
reset_behind_octets_is_told_of(void)
{
	struct tls_context *x = context(0x0303, "one");
	char                b[256];
	int                 n;

	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(shake());
	T_CHECK(
	    conn_queue_v(&server.c, SV("354 go ahead\r\n"))); /* unread, it makes the end a reset */
	T_EQ_NUM(SSL_write(client.ssl, "QUIT\r\n", 6), 6);
	n = BIO_read(client.out, b, sizeof(b));
	T_CHECK(n > 0 && write(client.fd, b, (size_t)n) == n && close(client.fd) == 0);
	client.fd = -1;
	loop_round(loop, false);
	T_EQ_STRV(strv(server.text, server.n), SV("QUIT\r\n"));
	T_EQ_NUM(server.rc, IO_FAULT);
	teardown();
	tls_context_free(x);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_pem(&other, EVP_EC_gen("P-256"), "other.example");
	T_RUN(handshake_and_talk_cut_anywhere);
	T_RUN(only_a_name_is_a_server_name);
	T_RUN(no_facts_without_tls);
	T_RUN(octets_behind_the_handshake_are_there);
	T_RUN(hello_that_came_early_is_found);
	T_RUN(no_handshake_while_plain_text_waits);
	T_RUN(garbage_is_no_handshake);
	T_RUN(end_in_the_handshake);
	T_RUN(handshake_waits_for_room);
	T_RUN(minimum_version_holds);
	T_RUN(small_pieces_become_one_record);
	T_RUN(large_pieces_go_out_whole);
	T_RUN(bulk_goes_out_octet_for_octet);
	T_RUN(rest_of_a_record_needs_no_event);
	T_RUN(keys_may_be_changed);
	T_RUN(close_says_so);
	T_RUN(shutdown_leaves_the_other_way_open);
	T_RUN(both_kinds_of_end_are_an_end);
	T_RUN(forged_record_is_a_fault);
	T_RUN(renegotiation_is_refused);
	T_RUN(reset_behind_octets_is_told_of);
	free_pem(&ours);
	free_pem(&other);
	return t_end();
}
