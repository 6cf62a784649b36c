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
	void        **resume;           /* where sessions are kept; NULL: nowhere */
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

/* TLS; what was received in plain text stays in `in`. */
enum wire_cert { WIRE_CERT_NONE, WIRE_CERT_KNOWN, WIRE_CERT_STRANGER };

struct wire_tls {                       /* of a client; all zero: the usual */
	const char    *sni;
	enum wire_cert cert;            /* shown when asked for */
	int            version;         /* 0x0301 ..: only this one */
	void         **resume;          /* a session to begin with; NULL, or of NULL: none */
	void         **keep;            /* where the latest session of this one is left */
};

bool wire_starttls(struct wire *w);                     /* as a client; false: no memory */
bool wire_tls_connect(struct wire *w, const struct wire_tls *o);
bool wire_tls_accept(struct wire *w, void *ctx);        /* as a server, certs_server() */
bool wire_renegotiate(struct wire *w);                  /* false: not in this version */
const char *wire_tls_version(const struct wire *w);     /* "" without */
bool wire_tls_resumed(const struct wire *w);
const char *wire_tls_sni(const struct wire *w);         /* NULL: none */
/* Common name of the peer's certificate; "": none was shown. */
void wire_tls_peer(const struct wire *w, char *cn, size_t room);
void wire_session_free(void *session);

#endif
