/*
 * view -- a message seen through the first `upto` edits.
 */
#ifndef PROXY_MAIL_VIEW_H
#define PROXY_MAIL_VIEW_H

#include "proxy/mail/edit.h"
#include "proxy/mail/message.h"

struct view {
	const struct message *msg;
	const struct edits   *edits;
	unsigned              upto;
};

/* One header field as the view has it. */
struct view_field {
	struct strv name;               /* as of every field, not empty */
	struct strv raw;                /* the field as it will be sent, with its CRLF */
	bool        above;              /* it stands above our own Received */
};

/*
 * The visible fields in order, in the arena; *n of them.  Without edits nothing is copied but the table.
 */
struct view_field *view_fields(struct arena *a, const struct view *v, unsigned *n);
/* The same; *steps: what the edits have cost (fieldlist_steps), which tests hold to a bound. */
struct view_field *view_fields_counted(struct arena *a, const struct view *v, unsigned *n, uint64_t *steps);
/* The body as the view has it: the message's spool or the one of the last REPLACE_BODY. */
struct spool *view_body(const struct view *v);

#endif
