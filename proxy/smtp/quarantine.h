/*
 * quarantine -- the fields at the head of a quarantined message: its envelope and where it came from.  Pure.
 *
 * They are the first lines of the file, in this order, and X-Postern-Octets is the last of them; what follows is
 * the message as it would have been sent.
 */
#ifndef PROXY_SMTP_QUARANTINE_H
#define PROXY_SMTP_QUARANTINE_H

#include "proxy/mail/client.h"
#include "proxy/mail/envelope.h"

#define QUARANTINE_ID    15             /* octets of an id at most */
#define QUARANTINE_HEAD  (1024 * 1024)  /* octets of the fields at most: 1,000 recipients fit several times */
#define QUARANTINE_RCPTS 10000

struct quarantined {                    /* views of whoever made it */
	struct strv id, check;          /* transaction, and whose verdict it was */
	struct strv reason;             /* a milter's; absent: none */
	struct strv time;               /* RFC 3339, UTC */
	struct strv client;             /* ADDR:PORT */
	struct strv listener, helo;
	bool        esmtp;
	struct strv tls, user;          /* version, name; absent: none */
	struct strv sender;             /* "<PATH> PARAMETER=VALUE ...", as behind MAIL FROM: */
	struct strv *rcpt;              /* n_rcpt of them, as behind RCPT TO: */
	unsigned    n_rcpt;
	uint64_t    octets;             /* of the message, with CRLF, without these fields */
};

/* The fields, with CRLF.  Octets that no field may hold become '?'. */
struct strv quarantine_print(struct arena *a, const struct quarantined *q);
/*
 * Reads them from the beginning of `text' (lines end with LF or CRLF); *used: octets of them.  Views into text.
 * False: *why, static.
 */
bool quarantine_parse(struct arena *a, struct strv text, struct quarantined *q, size_t *used, const char **why);
/* An id as we make them: what may stand in a name of a file and in a pattern for them. */
bool quarantine_id_good(struct strv id);

#endif
