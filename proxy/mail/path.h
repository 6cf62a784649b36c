/*
 * path -- an envelope address: parse and print.  Pure.  RFC 5321 4.1.2, RFC 6531 3.3.
 */
#ifndef PROXY_MAIL_PATH_H
#define PROXY_MAIL_PATH_H

#include "proxy/base/addr.h"
#include "proxy/base/strv.h"
#include "proxy/base/utf8.h"

struct arena;

enum path_kind {
	PATH_NULL,                      /* <> */
	PATH_POSTMASTER,                /* <postmaster> without a domain, any case */
	PATH_LOCAL,                     /* another local part without a domain */
	PATH_MAILBOX                    /* local@domain or local@[literal] */
};

struct path {
	enum path_kind kind;
	struct strv text;               /* "local@domain" as it is written anew: canonical quoting, no source route */
	struct strv local;              /* decoded: quotes and backslashes undone; what lists and rules see */
	struct strv domain;             /* as given; "[192.0.2.1]" for a literal; absent without one; no trailing dot */
	struct addr literal;            /* family ADDR_NONE: no address literal */
	bool        utf8;               /* holds octets above 127 (well-formed UTF-8) */
	bool        routed;             /* a source route was dropped */
};

enum path_flags {
	PATH_MAY_BE_NULL = 1,           /* MAIL FROM */
	PATH_MAY_BE_BARE = 2,           /* without a domain: RCPT TO:<postmaster> and others */
	PATH_MAY_BE_UTF8 = 4            /* SMTPUTF8 was asked for; else 8-bit is a fault */
};

/* Why a path is refused, with its reply code class: syntax 501 5.1.3 / 5.1.7, non-ASCII 553 5.6.7. */
enum path_rc { PATH_OK, PATH_SYNTAX, PATH_TOO_LONG, PATH_NON_ASCII };

/*
 * path_parse -- the path at the start of *v, from '<' to '>'
 *
 *   v       moves behind the '>' on PATH_OK
 *   a       owns the views in *out
 *
 * Takes what MTAs take: a blank after "FROM:" is the caller's business; angle brackets are demanded.
 * Limits: local part 64, domain 255, path 256 octets (RFC 5321 4.5.3.1.1-3).
 * On a fault *why is static text for the reply.
 */
enum path_rc path_parse(struct arena *a, struct strv *v, unsigned flags, struct path *out, const char **why);
/* An address as configuration and policies write it: without angle brackets; "<>" is the null path. */
enum path_rc path_parse_plain(struct arena *a, struct strv v, struct path *out, const char **why);
/* "<text>" is what goes upstream; this is text itself ("" for <>). */
struct strv path_text(const struct path *p);
/* Does the decoded local part hold one of @ % ! | or begin with '.' or '/'?  (The relay gate asks.) */
bool path_routes(const struct path *p);
/*
 * A domain name's syntax: labels of letters, digits, -, _ (or UTF-8, then of any length), 1..63 octets,
 * 255 in all; at least one dot if `fqdn`.
 */
bool domain_valid(struct strv v, bool fqdn, bool utf8);

#endif
