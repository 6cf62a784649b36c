/* path_own -- what paths and domains share; nobody else includes it. */
#ifndef PROXY_MAIL_PATH_OWN_H
#define PROXY_MAIL_PATH_OWN_H

#include "proxy/mail/path.h"

enum { DOMAIN_MAX = 255 };              /* octets of a domain: RFC 5321 4.5.3.1.2 */

#endif
