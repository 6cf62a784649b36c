/*
 * certs -- certificates and keys of the simulated world, made once a process, and contexts with them.
 *
 * Those that are good are so from the year 2000 to 2100, since OpenSSL looks at the machine's clock.
 */
#ifndef TESTS_SIM_CERTS_H
#define TESTS_SIM_CERTS_H

#include "proxy/base/strv.h"

struct sim;

/* Of a mail server: for mail.test and 127.0.0.1, signed by /ca.crt, but for what its name says. */
enum cert_kind { CERT_GOOD, CERT_EXPIRED, CERT_WRONG_NAME, CERT_SELF_SIGNED };

/*
 * Puts into the world, each .crt with its .key:
 *   /tls       mx.test, self-signed                /ca.crt    what signed the following
 *   /two       two.test and *.two.test             /old       mx.test, expired in 2001
 *   /soon      mx.test, ends at 2026-01-02 00:00:00 UTC, a day after the world begins
 *   /client    client.test, of a client            /up        mail.test and 127.0.0.1
 */
void certs_write(struct sim *s);
/* SSL_CTX of a server; tls12: no more than that version. */
void *certs_server(enum cert_kind kind, bool tls12);
/* SSL_CTX of a client. One for all; not to be freed. */
void *certs_client(void);
/* For SSL_use_certificate and SSL_use_PrivateKey: known: /client, else one that /ca.crt did not sign. */
void certs_of_client(bool known, void **x509, void **pkey);
void certs_free(void *ctx);

#endif
