/*
 * mailboxes -- the address list of a header field: parse.  Pure; RFC 5322 3.4, the obsolete forms of 4.4, RFC 6532.
 */
#ifndef PROXY_MAIL_MAILBOXES_H
#define PROXY_MAIL_MAILBOXES_H

#include "proxy/base/strv.h"

struct arena;

struct mailbox {                        /* in the arena; absent views: none */
	struct strv local;              /* quotes and backslashes undone */
	struct strv domain;             /* ASCII lower case, without a last dot; or "[192.0.2.1]" */
	struct strv text;               /* local@domain, the local part quoted where it must be */
};

struct mailboxes {
	struct mailbox first;
	unsigned       n;               /* addresses in all, those of groups included */
	unsigned       broken;          /* elements that could not be read and were passed over */
	bool           mixed;           /* not all addresses are of the domain of the first */
	bool           doubtful;        /* others may read an address where we read none: an @ where none belongs, or too many */
};

#define MAILBOXES_OCTETS 65536          /* of a field that are looked at */

/*
 * Reads the value of a field (behind the colon, folded or not).  Comments, groups, routes and quotes are
 * understood; of what cannot be read only that element is lost.
 */
void mailboxes_parse(struct arena *a, struct strv value, struct mailboxes *out);

#endif
