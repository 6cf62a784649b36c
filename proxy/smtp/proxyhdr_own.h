/*
 * proxyhdr_own -- the numbers of version 2 of the PROXY protocol, as proxyhdr.c reads and proxyhdr_print.c writes
 * them; nobody else includes it.
 */
#ifndef PROXY_SMTP_PROXYHDR_OWN_H
#define PROXY_SMTP_PROXYHDR_OWN_H

#include "proxy/smtp/proxyhdr.h"

#define V2_SIGNATURE SV("\r\n\r\n\0\r\nQUIT\n")
#define V2_HEAD      16                 /* octets: signature, version and command, family, length */

enum { CMD_LOCAL = 0x20, CMD_PROXY = 0x21 };
enum { FAM_UNSPEC = 0x00, FAM_TCP4 = 0x11, FAM_TCP6 = 0x21, FAM_UNIX = 0x31 };
enum {
	TLV_ALPN = 0x01,
	TLV_AUTHORITY = 0x02,
	TLV_CRC32C = 0x03,
	TLV_UNIQUE_ID = 0x05,
	TLV_SSL = 0x20,
	TLV_NETNS = 0x30
};
enum { SSL_VERSION = 0x21, SSL_CN = 0x22, SSL_CIPHER = 0x23 };
enum { SSL_BIT_TLS = 1, SSL_BIT_CERT_CONN = 2, SSL_BIT_CERT_SESSION = 4 };

#endif
