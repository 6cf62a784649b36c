/*
 * tls_own -- what the files tls*.c share.  They alone include OpenSSL's headers, so its types stand here
 * by their tags.
 *
 * shown   one certificate, with its key and chain, as a server shows it
 * group   certificates for the same names with keys of different kinds: the handshake chooses among them
 */
#ifndef PROXY_BASE_TLS_OWN_H
#define PROXY_BASE_TLS_OWN_H

#include "proxy/base/tls.h"

struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_st;
struct stack_st_X509;
struct world;
struct x509_st;

enum {
	TLS_ID_MAX = 32,                /* SSL_MAX_SID_CTX_LENGTH */
	TLS_TICKET_LIFE = 2 * 3600      /* s: of a ticket that we give, and of a session that we keep */
};

struct tls_shown {
	struct x509_st       *cert;
	struct evp_pkey_st   *key;
	struct stack_st_X509 *chain;    /* NULL: none */
	bool                  follows;  /* belongs to the group of an earlier one */
	unsigned              also;     /* the next of its group; 0: none, since the first never follows */
};

enum tls_name_kind { TLS_NAME_GIVEN, TLS_NAME_FOUND };  /* by the configuration; in the certificate */

struct tls_name {
	char              *p;           /* lower case, not NUL-terminated; "*.x" stands for one label before .x */
	size_t             n;
	enum tls_name_kind kind;
	unsigned           shown;       /* the first of its group */
};

struct tls_context {
	struct ssl_ctx_st *ssl;
	uint64_t           serial;      /* of no other context in this process */
	uint64_t           expires;
	/* a server's */
	unsigned char      id[TLS_ID_MAX];
	size_t             id_n;
	bool               asks;        /* for a client certificate */
	unsigned char      ca[32];      /* digest of those that it may be of; zero: none is asked for */
	struct tls_shown  *shown;
	unsigned           n_shown;
	struct tls_name   *name;        /* sorted */
	unsigned           n_name, max_name;
	/* a client's */
	bool               verify;
};

struct tls {
	struct ssl_st      *ssl;
	struct conn        *c;
	struct tls_context *x;          /* valid as long as no step of the handshake follows */
	char               *ahead;      /* octets that the owner had read already, [ahead_at, ahead_n) not taken */
	size_t              ahead_at, ahead_n;
	char               *name;       /* what the client asked for, or the server must bear; NULL: nothing */
	size_t              name_n;
	bool                client;
	bool                known;      /* a server: there is a certificate for that name */
	bool                address;    /* a client: the name is one, and was not sent */
	bool                raw;        /* the kernel may have octets */
	bool                raw_end;    /* and it said that there is no more */
	bool                up;         /* the handshake is done */
	bool                broken;
	bool                closed;     /* our close_notify is out */
	bool                pending, wants_write;
	bool                ended;      /* reading gave `end`, for good */
	uint8_t             idle;       /* tls_flood.c: what came that was no data */
	enum io_rc          end;
	/* a client's */
	struct tls_session **resume;    /* NULL: nothing is kept */
	uint64_t            until;      /* s, wall clock: how long that may be used which the server has resumed */
};

/* OpenSSL's reason for what failed last; static, or valid until the next call. */
const char *tls_reason(void);
/* The world's wall clock, seconds since 1970. */
uint64_t tls_wall(const struct tls *t);
/* What tls_accept and tls_connect have in common; sets c->tls.  NULL: no memory, or plaintext waits. */
struct tls *tls_begin(struct conn *c, struct tls_context *x);
/* Sets the name that goes with t. */
void tls_keep_name(struct tls *t, struct strv name);

/* tls_sni.c: which certificate, and what a ticket is bound to. */
void tls_names_add(struct tls_context *x, enum tls_name_kind kind, struct strv name, unsigned shown);
void tls_names_of(struct tls_context *x, unsigned shown);       /* adds those in the certificate */
void tls_names_sort(struct tls_context *x);                     /* after the last one, before the first look */
void tls_names_free(struct tls_context *x);
/* The first of the group to be shown, or -1: that name is not ours. */
int tls_names_find(const struct tls_context *x, struct strv name);
void tls_sni_install(struct tls_context *x);

/* tls_ticket.c */
bool tls_ticket_begin(void);            /* makes the process's secret where there is none.  False: OpenSSL cannot */
void tls_ticket_install(struct tls_context *x);
/* Before a handshake as a server: no tickets where none can be given or taken. */
void tls_ticket_prepare(struct tls *t);

/* tls_flood.c; data: a record with some was read. */
void tls_flood_install(struct ssl_ctx_st *ssl);
void tls_flood_data(struct tls *t);
const char *tls_flood(const struct tls *t);     /* why the peer is not heard any more; NULL: it is */

/* tls_client.c; up, failed: the handshake has ended, so or so. */
void tls_client_install(struct tls_context *x);
void tls_client_up(struct tls *t);
void tls_client_failed(struct tls *t);

#endif
