/*
 * show_own -- what show.c and show_sender.c share, and nobody else.
 */
#ifndef PROXY_SHOW_OWN_H
#define PROXY_SHOW_OWN_H

#include "proxy/base/buf.h"
#include "proxy/show.h"

struct show {
	const struct settings *s;
	struct arena          *a;
	struct buf             line;    /* the one that is being written */
	void                 (*emit)(struct strv line, void *arg);
	void                  *arg;
};

/* --- show.c --- */

/* The line is told, and the next one begins. */
void show_end_line(struct show *o);
/* Adds text to the line, when. */
void show_add_if(struct show *o, bool when, const char *text);

/* --- show_sender.c --- */

/* Who a sender is, and who we are: whole lines, none where nothing of it is stated. */
void show_sender(struct show *o);

#endif
