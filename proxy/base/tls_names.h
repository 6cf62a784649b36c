/*
 * tls_names -- the names for which a server's context has a certificate, for people to read.
 */
#ifndef PROXY_BASE_TLS_NAMES_H
#define PROXY_BASE_TLS_NAMES_H

#include "proxy/base/tls.h"

/* "*.b.example, a.example", at most `most` of them and then "..."; absent: there are none.  In arena a. */
struct strv tls_names_print(struct arena *a, const struct tls_context *x, unsigned most);
/* Is the certificate k of a server's context ever shown?  Not if others are for all of its names, or it has none. */
bool tls_names_show(const struct tls_context *x, unsigned k);

#endif
