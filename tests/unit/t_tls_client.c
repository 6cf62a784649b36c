/*
 * t_tls_client -- our own client against our own server: who is taken for a server, what is said of who is
 * not, and sessions that go on.
 */
#include "tests/unit/tls_pem.h"

static struct pem ca, named, numbered, bare, late, self;

/* ---- the two ends ---------------------------------------------------------------------------- */

struct side {
	struct conn c;
	bool        up;
	enum io_rc  rc; /* of the last step */
	const char *why;
	char        text[64], reason[128];
	size_t      n;
};

static struct side near, far; /* the client; the server */

static void
side_event(void *arg)
{
	struct side *s = arg;
	size_t       got;

	if (!s->up) {
		s->rc = tls_handshake(&s->c, &s->why);
		s->up = s->rc == IO_OK;
		if (s->rc != IO_OK && s->rc != IO_AGAIN) {
			snprintf(s->reason, sizeof(s->reason), "%s", s->why);
			s->c.on_event = NULL;
		}
	}
	while (s->up && s->c.readable && s->n < sizeof(s->text)) {
		s->rc = conn_recv(&s->c, s->text + s->n, sizeof(s->text) - s->n, &got);
		s->n += got;
		if (s->rc == IO_EOF || s->rc == IO_FAULT)
			return;
	}
}

static void
rounds(void)
{
	for (unsigned i = 0; i < 50 && loop_round(loop, false); i++)
		continue;
}

static void
open_sides(void)
{
	int fd[2];

	open_loop();
	memset(&near, 0, sizeof(near));
	memset(&far, 0, sizeof(far));
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	T_CHECK(conn_init(&near.c, loop, fd[0], side_event, &near));
	T_CHECK(conn_init(&far.c, loop, fd[1], side_event, &far));
}

/* Whether the client is content. */
static bool
connect_sides(struct tls_context *client_x, struct tls_context *server_x, const char *name,
    struct tls_session **resume)
{
	open_sides();
	T_CHECK(tls_accept(&far.c, server_x));
	T_CHECK(tls_connect(&near.c, client_x, strv_z(name), resume));
	side_event(&near);
	rounds();
	return near.up;
}

static void
close_sides(void)
{
	conn_close(&near.c);
	conn_close(&far.c);
	rounds();
	close_loop();
}

static struct tls_context *
server_of(const struct pem *m, int minimum)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         why = { NULL, 0 };
	struct tls_context *x = one_certificate(
	    a, strv_z(m->cert), strv_z(m->key), minimum, SV("server"), &why);

	T_CHECKF(x != NULL, "%.*s", (int)why.n, why.p);
	arena_free(a);
	return x;
}

static struct tls_context *
client_of(const struct pem *authority, bool verify, int minimum)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         why = { NULL, 0 };
	struct tls_context *x = tls_context_client(a,
	    &(struct tls_client){ .verify = verify,
		.ca = authority != NULL ? strv_z(authority->cert) : strv(NULL, 0),
		.minimum = minimum },
	    &why);

	T_CHECKF(x != NULL, "%.*s", (int)why.n, why.p);
	arena_free(a);
	return x;
}

/* ---- who is taken ---------------------------------------------------------------------------- */

static const struct peer {
	const char       *what;
	const struct pem *shows;
	const char       *name, *why; /* NULL: content */
} peers[] = {
	{ "the name", &named, "mx.example", NULL },
	{ "in capitals", &named, "MX.EXAMPLE", NULL },
	{ "with a dot", &named, "mx.example.", NULL },
	{ "wildcard", &named, "a.wild.example", NULL },
	{ "wildcard, two labels", &named, "a.b.wild.example", "hostname mismatch" },
	{ "another", &named, "nx.example", "hostname mismatch" },
	{ "common name only", &bare, "bare.example", NULL },
	{ "an address", &numbered, "192.0.2.1", NULL },
	{ "another address", &numbered, "192.0.2.2", "IP address mismatch" },
	{ "address of version 6", &numbered, "2001:DB8::1", NULL },
	{ "name for an address", &named, "192.0.2.1", "IP address mismatch" },
	{ "address as a name", &bare, "192.0.2.9", "IP address mismatch" },
	{ "expired", &late, "mx.example", "certificate has expired" },
	{ "signs itself", &self, "mx.example", "self-signed certificate" },
};

static void
server_is_verified(void)
{
	struct tls_context *x = client_of(&ca, true, 0x0303), *s;
	struct arena       *a = arena_new(1024, 0);
	struct tls_facts    f;

	T_TABLE(struct peer, p, peers)
	{
		t_row = p->what;
		s = server_of(p->shows, 0x0303);
		T_EQ_NUM(connect_sides(x, s, p->name, NULL), p->why == NULL);
		if (p->why == NULL) {
			T_CHECK(far.up);
			tls_facts_get(&near.c, a, &f);
			T_EQ_TEXT(f.version, "TLSv1.3");
			T_CHECK(f.on && f.client_cert.p == NULL && f.client_cn.p == NULL);
		} else {
			T_EQ_NUM(near.rc, IO_FAULT);
			T_EQ_STR(near.reason, p->why);
			T_CHECK(near.c.fault && !conn_queue_v(&near.c, SV("MAIL")));
		}
		close_sides();
		tls_context_free(s);
	}
	tls_context_free(x);
	arena_free(a);
}

/* Opportunistic: whatever it shows, and the same names are asked for. */
static void
nothing_is_verified_unless_told(void)
{
	struct tls_context *x = client_of(NULL, false, 0x0303), *s;

	T_TABLE(struct peer, p, peers)
	{
		t_row = p->what;
		s = server_of(p->shows, 0x0303);
		T_CHECK(connect_sides(x, s, p->name, NULL) && far.up);
		close_sides();
		T_CHECK(connect_sides(x, s, "", NULL) && far.up);
		close_sides();
		tls_context_free(s);
	}
	tls_context_free(x);
}

/* The system's authorities do not know ours. */
static void
system_authorities_are_the_default(void)
{
	struct tls_context *x = client_of(NULL, true, 0x0303), *s = server_of(&named, 0x0303);

	T_CHECK(!connect_sides(x, s, "mx.example", NULL));
	T_EQ_STR(near.reason, "unable to get local issuer certificate");
	close_sides();
	tls_context_free(x);
	tls_context_free(s);
}

/* OpenSSL would take any certificate for the empty name. */
static void
no_name_is_no_verified_connection(void)
{
	static const struct strv names[] = { { NULL, 0 }, { "", 0 }, { ".", 1 },
		{ "mx.example\0.x", 13 } };
	struct tls_context      *x = client_of(&ca, true, 0x0303);

	for (unsigned i = 0; i < T_COUNT(names); i++) {
		open_sides();
		T_CHECK(!tls_connect(&near.c, x, names[i], NULL));
		T_CHECK(near.c.tls == NULL);
		close_sides();
	}
	tls_context_free(x);
}

static void
bad_authorities_are_explained(void)
{
	static const char *const bad[] = { "", "nonsense\n", ours.key };
	struct arena            *a = arena_new(1024, 0);
	struct strv              why;

	for (unsigned i = 0; i < T_COUNT(bad); i++) {
		why = strv(NULL, 0);
		T_CHECK(tls_context_client(a,
			    &(struct tls_client){
				.verify = true, .ca = strv_z(bad[i]), .minimum = 0x0303 },
			    &why) == NULL);
		T_CHECK(strv_starts(why, SV("the file holds no certificate of an authority")));
	}
	arena_free(a);
}

/* RFC 6066 3: a name is sent, an address is not. */
static void
name_is_sent_and_address_is_not(void)
{
	static const char *const names[][2] = { { "mx.example", "mx.example" },
		{ "mx.example.", "mx.example" }, { "192.0.2.1", NULL }, { "2001:db8::1", NULL } };
	struct tls_context      *x = client_of(NULL, false, 0x0303), *s = server_of(&named, 0x0303);
	struct arena            *a = arena_new(1024, 0);
	struct tls_facts         f;

	for (unsigned i = 0; i < T_COUNT(names); i++) {
		T_CHECK(connect_sides(x, s, names[i][0], NULL));
		tls_facts_get(&far.c, a, &f);
		T_EQ_TEXT(f.sni, names[i][1]);
		tls_facts_get(&near.c, a, &f);
		T_EQ_TEXT(f.sni, names[i][1]);
		close_sides();
	}
	tls_context_free(x);
	tls_context_free(s);
	arena_free(a);
}

/* A server that speaks no TLS, or leaves. */
static void
no_server_of_tls(void)
{
	struct tls_context *x = client_of(NULL, false, 0x0303);
	struct tls_session *resume = NULL;

	open_sides();
	far.c.on_event = NULL;
	T_CHECK(tls_connect(&near.c, x, SV("mx.example"), &resume));
	side_event(&near);
	T_EQ_NUM(near.rc, IO_AGAIN);
	T_CHECK(conn_queue_v(&far.c, SV("220 plain.example ESMTP\r\n")));
	rounds();
	T_EQ_NUM(near.rc, IO_FAULT);
	T_EQ_STR(near.reason, "wrong version number");
	close_sides();
	open_sides();
	far.c.on_event = NULL;
	T_CHECK(tls_connect(&near.c, x, SV("mx.example"), &resume));
	side_event(&near);
	conn_shutdown(&far.c);
	rounds();
	T_EQ_NUM(near.rc, IO_EOF);
	T_EQ_STR(near.reason, "the peer closed the connection");
	close_sides();
	T_CHECK(resume == NULL);
	tls_context_free(x);
}

static void
no_handshake_while_plain_text_waits(void)
{
	struct tls_context *x = client_of(NULL, false, 0x0303);

	open_sides();
	far.c.on_event = NULL;
	while (conn_unsent(&near.c) == 0 && conn_queue_v(&near.c, SV("STARTTLS\r\n")))
		continue;
	T_CHECK(!tls_connect(&near.c, x, SV("mx.example"), NULL));
	T_CHECK(near.c.tls == NULL);
	near.c.on_event = NULL;
	close_sides();
	tls_context_free(x);
}

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
		tls_session_free(resume);
		resume = NULL;
		SSL_CTX_free(old.ctx);
	}
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

/* ---- in a fiber ------------------------------------------------------------------------------ */

struct job {
	struct tls_context *x;
	struct iovec       *v;
	enum io_rc          rc;
	enum wait_rc        wait;
	unsigned            waits;
	bool                over, was_full;
};

/* As a hop does it: steps, and between them a wait for octets. */
static void
shake_in_fiber(void *arg)
{
	struct job *j = arg;
	const char *why;

	T_CHECK(tls_connect(&near.c, j->x, SV("mx.example"), NULL));
	while ((j->rc = tls_handshake(&near.c, &why)) == IO_AGAIN && j->waits++ < 1000) {
		j->was_full |= near.c.want_write;
		if (conn_wait(&near.c, 0) != WAIT_OK)
			break;
	}
	if (j->rc == IO_OK && j->v != NULL)
		j->wait = conn_send(&near.c, j->v, 1, 0);
	j->over = true;
}

/* No room for the hello: the fiber waits for room, though what it waits in is a wait for octets. */
static void
fiber_waits_for_room(void)
{
	struct tls_context *x = client_of(NULL, false, 0x0303), *s = server_of(&named, 0x0303);
	struct job          j = { .x = x };
	static char         fill[4096];
	size_t              filled = 0;
	ssize_t             n;

	open_sides();
	near.c.on_event = far.c.on_event = NULL;
	while ((n = send(near.c.fd, fill, sizeof(fill), MSG_DONTWAIT)) > 0)
		filled += (size_t)n;
	fiber_start(pool, "hop", shake_in_fiber, &j);
	rounds();
	T_CHECK(!j.over && j.was_full);
	T_CHECK(j.waits < 5);
	while (filled > 0 && (n = read(far.c.fd, fill, sizeof(fill))) > 0)
		filled -= (size_t)n;
	T_CHECK(tls_accept(&far.c, s));
	far.c.on_event = side_event;
	rounds();
	T_CHECK(far.up && j.over && j.rc == IO_OK);
	close_sides();
	tls_context_free(x);
	tls_context_free(s);
}

/* Much more than the socket holds, from a client in a fiber to a server that reads slowly. */
static void
bulk_goes_out(void)
{
	enum { BULK = 300 * 1000 };
	static char         p[BULK], q[BULK];
	struct tls_context *x = client_of(NULL, false, 0x0303), *s = server_of(&named, 0x0303);
	struct iovec        v = { p, BULK };
	struct job          j = { .x = x, .v = &v };
	size_t              n = 0, got;
	int                 room = 4096;

	for (unsigned i = 0; i < BULK; i++)
		p[i] = (char)(i * 31 + i / 256);
	open_sides();
	near.c.on_event = NULL;
	T_CHECK(setsockopt(near.c.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
	T_CHECK(tls_accept(&far.c, s));
	fiber_start(pool, "hop", shake_in_fiber, &j);
	for (unsigned i = 0; i < 100 && !far.up; i++)
		rounds();
	T_CHECK(far.up && !j.over);
	far.c.on_event = NULL;
	memcpy(q, far.text, n = far.n);
	for (unsigned i = 0; i < 5000 && n < BULK; i++) {
		rounds();
		if (conn_recv(&far.c, q + n, BULK - n < 3000 ? BULK - n : 3000, &got) == IO_OK)
			n += got;
	}
	rounds();
	T_EQ_NUM(n, BULK);
	T_CHECK(j.over && j.wait == WAIT_OK && memcmp(p, q, BULK) == 0);
	close_sides();
	tls_context_free(x);
	tls_context_free(s);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_cert(&ca, EVP_EC_gen("P-256"), &(struct maker){ .cn = "CA", .ca = true });
	make_cert(&named, EVP_EC_gen("P-256"),
	    &(struct maker){
		.cn = "named", .san = "DNS:mx.example,DNS:*.wild.example", .issuer = &ca });
	make_cert(&numbered, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "n", .san = "IP:192.0.2.1,IP:2001:db8::1", .issuer = &ca });
	make_cert(
	    &bare, EVP_EC_gen("P-256"), &(struct maker){ .cn = "bare.example", .issuer = &ca });
	make_cert(&late, EVP_EC_gen("P-256"),
	    &(struct maker){
		.cn = "l", .san = "DNS:mx.example", .issuer = &ca, .until = "20200303040506Z" });
	make_cert(&self, EVP_EC_gen("P-256"), &(struct maker){ .cn = "mx.example" });
	T_RUN(server_is_verified);
	T_RUN(nothing_is_verified_unless_told);
	T_RUN(system_authorities_are_the_default);
	T_RUN(no_name_is_no_verified_connection);
	T_RUN(bad_authorities_are_explained);
	T_RUN(name_is_sent_and_address_is_not);
	T_RUN(no_server_of_tls);
	T_RUN(no_handshake_while_plain_text_waits);
	T_RUN(session_goes_on);
	T_RUN(ticket_is_used_once);
	T_RUN(session_of_others_is_not_taken);
	T_RUN(session_ends_with_its_first_handshake);
	T_RUN(refused_ticket_is_no_fault);
	T_RUN(session_outlives_any_end);
	T_RUN(old_session_goes_on);
	T_RUN(server_gets_no_renegotiation);
	T_RUN(minimum_version_holds);
	T_RUN(fiber_waits_for_room);
	T_RUN(bulk_goes_out);
	return t_end();
}
