/*
 * wire -- an actor's end of a connection: what came and was not yet looked at, what shall go.
 *
 * With `cut` octets leave in pieces, and the rest of the world acts between two of them.
 */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include <sys/types.h>

#include "tests/sim/world_sim.h"

#define WIRE_MAX (64u << 20)

struct wire {
	struct actor *actor;            /* whose descriptor it is */
	int           peer_fd;          /* the proxy's end, for reset only */
	ino_t         peer_ino;
	struct buf    in, out;
	size_t        taken, sent;      /* octets of in looked at, of out gone */
	size_t        cut;              /* octets of one write, 0: all */
	size_t        hold;             /* octets that wait in `in` before reading stops, 0: any */
	bool          eof, lost;        /* lost: reset, or a TLS fault */
	bool          shut, shut_next;  /* our side is ended; shall be when all is sent */
	void         *ssl;              /* SSL, when TLS is up or coming */
	bool          shaking;
};

void wire_init(struct wire *w, struct actor *a, int peer_fd);
void wire_fini(struct wire *w);                         /* closes the descriptor */
/* Receives and sends what can be; true: something happened. */
bool wire_pump(struct wire *w);
bool wire_idle(const struct wire *w);                   /* nothing unsent */
void wire_add(struct wire *w, struct strv v);
struct strv wire_unread(const struct wire *w);
void wire_take(struct wire *w, size_t n);
/* The next line without its CRLF (or LF), as long as it is whole; valid until the next pump. */
bool wire_line(struct wire *w, struct strv *line);
void wire_close(struct wire *w);                        /* orderly; unsent octets are dropped */
void wire_halfclose(struct wire *w);                    /* once all is sent */
void wire_reset(struct wire *w);                        /* the proxy sees ECONNRESET */

/* TLS as a client; what was received in plain text stays in `in`. False: no memory. */
bool wire_starttls(struct wire *w);
const char *wire_tls_version(const struct wire *w);     /* "" without */
/* A certificate for mx.test and its key, PEM, made once; static. */
void wire_certificate(struct strv *certificate, struct strv *key);

#endif
