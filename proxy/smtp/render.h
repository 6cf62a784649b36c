/*
 * render -- a message with its edits as canonical text, piece by piece, for whoever writes it out.
 */
#ifndef PROXY_SMTP_RENDER_H
#define PROXY_SMTP_RENDER_H

#include <sys/uio.h>

#include "proxy/mail/view.h"

struct render {
	struct strv  head;              /* mbox lines as fields, header fields and the gap, in the arena */
	struct spool *body;
	uint64_t     at;                /* body octets given out */
	uint64_t     size;              /* all octets: head and body */
};

/* Prepares; extra (may be empty) are fields of ours in front, each with CRLF, below those that stand above our Received. */
void render_begin(struct render *r, struct arena *a, const struct view *v, struct strv extra);

#endif
