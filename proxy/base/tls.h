/*
 * tls -- OpenSSL, and nothing outside tls*.c knows it.
 *
 * Contexts are made before fork and shared by the workers.  Reading and writing goes through conn_recv
 * and conn_send (io.h).  TLS 1.2 and 1.3; no renegotiation, no compression; one session ticket, sealed
 * with keys that change every four hours, are the same in all workers and over reloads, and of which the
 * old ones are forgotten.
 */
#ifndef PROXY_BASE_TLS_H
#define PROXY_BASE_TLS_H

#include "proxy/base/io.h"

struct tls;
struct tls_context;
struct tls_session;
struct arena;
struct world;

struct tls_facts {                      /* views into the arena given to tls_facts_get; all absent: no TLS */
	bool        on;
	struct strv version;            /* "TLSv1.3" */
	struct strv cipher;             /* "TLS_AES_256_GCM_SHA384" */
	unsigned    bits;
	struct strv sni;
	struct strv client_cert;        /* subject (RFC 2253) of a verified client certificate */
	struct strv client_issuer;      /* of that certificate, likewise */
	struct strv client_cn;          /* its common name, UTF-8; absent where control characters are in it */
	bool        resumed;            /* by a ticket */
};

struct tls_certificate {
	struct strv chain, key;         /* texts of PEM files, read by the caller */
	struct strv server_name;        /* for whom it is shown; absent: for the names that are in it */
};

struct tls_server {
	const struct tls_certificate *certificate;      /* the first is shown to who asks for none that we have */
	unsigned    n_certificate;
	int         minimum;            /* 0x0303 (1.2) or 0x0304 (1.3) */
	struct strv id;                 /* session id context, <= 32 octets: tickets are bound to it */
	struct strv client_ca;          /* PEM: a certificate of these is asked for; absent: none is */
};

/*
 * tls_context_server -- what a listener presents.  RFC 6066 3: by the name that the client asks for
 *
 * A client without a certificate, or with one that does not verify, is served all the same: it is a fact.
 * NULL: *why says what is wrong, in arena a (key does not match, no certificate in the file, ...), *which
 * whose it is: an index of certificate, or n_certificate for client_ca.
 */
struct tls_context *tls_context_server(struct arena *a, const struct tls_server *conf, unsigned *which, struct strv *why);

struct tls_client {
	bool        verify;             /* the chain and tls_connect's name, or the handshake fails */
	struct strv ca;                 /* PEM; absent: those of the system */
	int         minimum;
};
/* How we speak to servers. NULL: *why, in arena a. */
struct tls_context *tls_context_client(struct arena *a, const struct tls_client *conf, struct strv *why);
void tls_context_free(struct tls_context *c);
/* Seconds since 1970 when the first of its certificates ends; UINT64_MAX for a client's. */
uint64_t tls_context_expires(const struct tls_context *c);

/*
 * The keys of tickets follow the wall clock, in each process by itself, and a handshake as a server moves
 * them.  A process in which none may come for hours calls this now and then (once an hour; the master
 * before it forks, too), so that old keys are not kept in memory.  Cheap.
 */
void tls_tickets_turn(struct world *w);
/* The keys are wiped: a process that serves nobody need not have them. The next context makes a new secret. */
void tls_tickets_forget(void);

/*
 * Begins a server handshake on c (c->tls is set).  No octet may have been read beyond the plaintext.
 * Then call tls_handshake now and at each event.  False: no memory, or plaintext waits in c->out (so
 * call conn_drain first).
 */
bool tls_accept(struct conn *c, struct tls_context *ctx);
/*
 * The same as a client.  name: a host name (sent as SNI) or an address, what a verified certificate must
 * bear; not kept.  resume: where the server's latest session is kept, NULL at first, and taken from;
 * it must outlive the connection; free it with tls_session_free.  NULL: nothing is kept.  A session of
 * another context or another name is not taken.  False also where the name cannot be one, or the context
 * verifies and there is none.
 */
bool tls_connect(struct conn *c, struct tls_context *ctx, struct strv name, struct tls_session **resume);
void tls_session_free(struct tls_session *s);
/* Octets of the handshake that were read already, such as those behind a PROXY header. Copied; once, before tls_handshake. */
void tls_ahead(struct conn *c, struct strv octets);
/*
 * One step of the handshake, never waits: IO_OK done (and c->readable is true, since octets may have
 * come behind it: call conn_recv); IO_AGAIN more octets are needed (the event will come); IO_EOF,
 * IO_FAULT: over, *why is static or OpenSSL's text, valid until the next call.
 */
enum io_rc tls_handshake(struct conn *c, const char **why);
/* Behind IO_FAULT: why the peer was not heard any more, static, where that was ours to say; NULL: OpenSSL's or the kernel's. */
const char *tls_fault(const struct conn *c);
void tls_facts_get(const struct conn *c, struct arena *a, struct tls_facts *out);
/* Sends close_notify if that does not wait; frees. Called by conn_close. */
void tls_free(struct tls *t);

/*
 * For io*.c: as recv and send with the same rc; send takes one run of octets, n > 0, and after IO_AGAIN it
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
