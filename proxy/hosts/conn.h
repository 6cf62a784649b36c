/*
 * conn -- where to listen, as libmilter writes it.
 */
#ifndef PROXY_HOSTS_CONN_H
#define PROXY_HOSTS_CONN_H

/* Why libmilter must not be given this socket though it would take it; NULL: it may.  Static text. */
const char *conn_fault(const char *socket);

#endif
