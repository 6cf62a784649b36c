/*
 * proxyhdr -- the PROXY protocol's header, versions 1 and 2, read and written.  Pure.
 * haproxy doc/proxy-protocol.txt.
 */
#ifndef PROXY_SMTP_PROXYHDR_H
#define PROXY_SMTP_PROXYHDR_H

#include "proxy/base/addr.h"

#define PROXYHDR_MAX 4096               /* octets of a v2 header that are taken: 16 + addresses + TLVs */

struct proxyhdr {
	bool            local;          /* LOCAL, UNKNOWN or UNSPEC: use the socket's own endpoints */
	struct endpoint src, dst;
	/* TLVs, views into the input */
	struct strv     alpn, authority, unique_id, netns;
	bool            ssl;            /* the SSL TLV is there and its client bit says TLS */
	bool            ssl_verified;   /* a certificate was shown and verified */
	struct strv     ssl_version, ssl_cn, ssl_cipher;
};

/*
 * 1: complete, *used octets belong to it; 0: more are needed; -1: malformed, *why static.
 * The CRC32C TLV is checked when there.  IPv4-mapped addresses become IPv4.
 */
int proxyhdr_parse(struct strv in, struct proxyhdr *out, size_t *used, const char **why);

/*
 * Writes a header of that version (1 or 2).  `local`: v1 UNKNOWN, v2 LOCAL.  Of an IPv4 and an IPv6 address the
 * one is mapped; a dst that is neither is written as 0.0.0.0 or ::.  v2 has the AUTHORITY and SSL TLVs where
 * authority and ssl are set, and a CRC32C.  At most 107 octets for version 1, PROXYHDR_MAX for 2: longer texts
 * are left out.  False: not local, and src is neither IPv4 nor IPv6; nothing is written.
 */
struct buf;
bool proxyhdr_print(struct buf *out, int version, const struct proxyhdr *h);

#endif
