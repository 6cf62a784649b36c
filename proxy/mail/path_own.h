/* path_own -- what paths and domains share; nobody else includes it. */
#ifndef PROXY_MAIL_PATH_OWN_H
#define PROXY_MAIL_PATH_OWN_H

#include "proxy/mail/path.h"

enum { DOMAIN_MAX = 255 };              /* octets of a domain: RFC 5321 4.5.3.1.2 */

/* Octets of the well-formed UTF-8 sequence (RFC 3629 4) at the start of v, which is not empty; 0: there is none. */
size_t utf8_one(struct strv v);

#endif
