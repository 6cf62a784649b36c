/*
 * xclient_in -- XCLIENT said to us by a trusted peer: who the client really is.  postfix.org/XCLIENT_README.
 */
#ifndef PROXY_SMTP_XCLIENT_IN_H
#define PROXY_SMTP_XCLIENT_IN_H

#include "proxy/mail/client.h"
#include "proxy/smtp/session.h"

struct xclient_in {                     /* one command's attributes; texts decoded, in the arena given */
	uint32_t    said;               /* enum xclient_attr */
	uint32_t    unavailable;        /* of them: [UNAVAILABLE] or [TEMPUNAVAIL] */
	struct addr addr, destaddr;
	uint16_t    port, destport;
	bool        esmtp;
	struct strv helo, login, name, reverse_name;
};

/* "NAME=value ...": xtext decoded, no controls.  False: *why is static text for the 501. Pure. */
bool xclient_in_parse(struct arena *a, struct strv rest, struct xclient_in *out, const char **why);
/* What this client may say; 0: nothing, XCLIENT is not offered. */
uint32_t xclient_in_allowed(const struct session *s);
/* XCLIENT: everything learnt so far is forgotten, the greeting comes again (220). */
MAY_YIELD void xclient_run(struct session *s, struct strv rest);

#endif
