/*
 * t_tls_client -- our own client against our own server: who is taken for a server, what is said of who is
 * not, and the handshake in a fiber.
 */
#include "tests/unit/tls_sides.h"

static struct pem numbered, late, self;

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
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
	struct job          j = { .x = x };
	static char         fill[4096];
	size_t              filled = 0;
	ssize_t             n;

	open_sides();
	near.c.on_event = far.c.on_event = NULL;
	while ((n = send(near.c.fd, fill, sizeof(fill), MSG_DONTWAIT)) > 0)
		filled += (size_t)n;
	near.c.readable = true; /* as after an edge for nothing */
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
	struct tls_context *x = client_of(&ca, true, 0x0303), *s = server_of(&named, 0x0303);
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
	make_servers();
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	make_cert(&numbered, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "n", .san = "IP:192.0.2.1,IP:2001:db8::1", .issuer = &ca });
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
	T_RUN(fiber_waits_for_room);
	T_RUN(bulk_goes_out);
	return t_end();
}
