/*
 * client -- what is known of the peer that connected, before any filter looks.
 */
#ifndef PROXY_MAIL_CLIENT_H
#define PROXY_MAIL_CLIENT_H

#include "proxy/base/addr.h"
#include "proxy/base/tls.h"

struct client {                         /* views live in the session's arena */
	struct endpoint  addr, local;   /* after a PROXY header: what it said */
	struct endpoint  peer;          /* who really connected */
	struct strv      listener;      /* its name, or its address as text */
	struct strv      helo;          /* absent until said */
	struct strv      auth_user;     /* absent: not authenticated */
	struct strv      auth_author;   /* identity that the user asked to act as; absent: its own */
	struct strv      auth_mechanism;/* "PLAIN"; "XCLIENT" where a trusted peer said LOGIN */
	bool             early;         /* octets came before our greeting, and were no TLS and no PROXY header */
	bool             esmtp;         /* EHLO, not HELO */
	bool             proxied;       /* a PROXY header or an XCLIENT was taken */
	struct tls_facts tls;
};

#endif
