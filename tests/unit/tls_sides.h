/*
 * tls_sides -- our own client and our own server, both in this process, on one socket pair.
 */
#ifndef TESTS_UNIT_TLS_SIDES_H
#define TESTS_UNIT_TLS_SIDES_H

#include "tests/unit/tls_pem.h"

/* An authority, and two servers of it: mx.example and *.wild.example; bare.example without other names. */
T_UNUSED static struct pem ca, named, bare;

T_UNUSED static void
make_servers(void)
{
	make_cert(&ca, EVP_EC_gen("P-256"), &(struct maker){ .cn = "CA", .ca = true });
	make_cert(&named, EVP_EC_gen("P-256"),
	    &(struct maker){ .cn = "named", .san = "DNS:mx.example,DNS:*.wild.example", .issuer = &ca });
	make_cert(&bare, EVP_EC_gen("P-256"), &(struct maker){ .cn = "bare.example", .issuer = &ca });
}

struct side {
	struct conn c;
	bool        up;
	enum io_rc  rc; /* of the last step */
	const char *why;
	char        text[64], reason[128];
	size_t      n;
};

T_UNUSED static struct side near, far; /* the client; the server */

T_UNUSED static void
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

T_UNUSED static void
rounds(void)
{
	for (unsigned i = 0; i < 50 && loop_round(loop, false); i++)
		continue;
}

T_UNUSED static void
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
T_UNUSED static bool
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

T_UNUSED static void
close_sides(void)
{
	conn_close(&near.c);
	conn_close(&far.c);
	rounds();
	close_loop();
}

T_UNUSED static struct tls_context *
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

T_UNUSED static struct tls_context *
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

#endif
