/*
 * culprit -- whose callback runs in this thread, for when that is the end of the process: it is noted in a page that
 * outlives it (proxy/base/blame.h), so that nobody else's message is charged for it.
 */
#ifndef PROXY_HOSTS_CULPRIT_H
#define PROXY_HOSTS_CULPRIT_H

#include <libmilter/mfapi.h>

#include "proxy/base/blame.h"

/* The page, by its descriptor, which is closed.  Without one nothing is noted. */
void culprit_page(int fd);
/*
 * From here on, the plugin is loaded: a fatal signal in a callback's thread, and exit() there, notes whose callback it
 * was; then it goes on as it would have.  cpu: SIGNAL, what is noted when the limit of CPU ends the process.
 */
void culprit_start(void (*cpu)(void));

/* A callback of ctx begins in this thread, and ends. */
struct blame_id culprit_enter(SMFICTX *ctx);
void culprit_leave(void);
/* SIGNAL.  That one's callback ends the process. */
void culprit_note(struct blame_id id);

#endif
