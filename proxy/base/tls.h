/*
 * tls -- OpenSSL, and nothing outside tls.c knows it.
 *
 * Contexts are made before fork and shared by the workers.  Reading and writing goes through conn_recv
 * and conn_send (io.h).  TLS 1.2 and 1.3; no renegotiation, no compression; one session ticket, sealed
 * with keys that change every four hours and are the same in all workers.
 */
#ifndef PROXY_BASE_TLS_H
#define PROXY_BASE_TLS_H

#include "proxy/base/io.h"

struct tls;
struct tls_context;
struct arena;

struct tls_facts {                      /* views into the arena given to tls_facts_get; all absent: no TLS */
	bool        on;
	struct strv version;            /* "TLSv1.3" */
	struct strv cipher;             /* "TLS_AES_256_GCM_SHA384" */
	unsigned    bits;
	struct strv sni;
	struct strv client_cert;        /* subject of a verified client certificate */
};

/*
 * tls_context_server -- what a listener presents
 *
 *   certificate, key   the texts of PEM files (chain in certificate), read by the caller
 *   minimum            0x0303 (1.2) or 0x0304 (1.3)
 *   id                 session id context, e.g. the listener's address: tickets are bound to it, <= 32 octets
 *
 * NULL: *why says what is wrong, in arena a (key does not match, no certificate in the file, ...).
 */
struct tls_context *tls_context_server(struct arena *a, struct strv certificate, struct strv key,
    int minimum, struct strv id, struct strv *why);
void tls_context_free(struct tls_context *c);
/* Seconds since 1970 when the certificate ends. */
uint64_t tls_context_expires(const struct tls_context *c);

/*
 * Begins a server handshake on c (c->tls is set).  No octet may have been read beyond the plaintext.
 * Then call tls_handshake now and at each event.  False: no memory, or plaintext waits in c->out (so
 * call conn_drain first).
 */
bool tls_accept(struct conn *c, struct tls_context *ctx);
/* Octets of the handshake that were read already, such as those behind a PROXY header. Copied; once, before tls_handshake. */
void tls_ahead(struct conn *c, struct strv octets);
/*
 * One step of the handshake, never waits: IO_OK done (and c->readable is true, since octets may have
 * come behind it: call conn_recv); IO_AGAIN more octets are needed (the event will come); IO_EOF,
 * IO_FAULT: over, *why is static or OpenSSL's text, valid until the next call.
 */
enum io_rc tls_handshake(struct conn *c, const char **why);
void tls_facts_get(const struct conn *c, struct arena *a, struct tls_facts *out);
/* Sends close_notify if that does not wait; frees. Called by conn_close. */
void tls_free(struct tls *t);

/*
 * For io.c: as recv and send with the same rc; send takes one run of octets, n > 0, and after IO_AGAIN it
 * wants the same octets at the front again.
 */
enum io_rc tls_recv(struct tls *t, void *p, size_t n, size_t *got);
enum io_rc tls_send(struct tls *t, const void *p, size_t n, size_t *sent);
bool tls_pending(const struct tls *t);          /* tls_recv may give something without a new event */
bool tls_wants_write(const struct tls *t);      /* reading waits until there is room to write */
void tls_event(struct tls *t);                  /* the kernel has octets, or the end */
void tls_close(struct tls *t);                  /* sends close_notify; nothing can be sent behind it */
void tls_break(struct tls *t);                  /* no close_notify, since the connection is to be reset */

#endif
