/*
 * release -- `postern release': what is in the quarantine, and sending it on.
 */
#ifndef PROXY_RELEASE_H
#define PROXY_RELEASE_H

#include "proxy/settings.h"

/*
 * release_list -- a line for each message that is there, oldest first: ID, time, size, check, sender, recipients
 *
 * Gives their number; -1: *why says why the folder cannot be read (in a).
 */
int release_list(const struct settings *s, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg,
    struct strv *why);
/*
 * release_send -- sends those n on, past checks and filters, not past the relay gate; who was taken is removed
 *
 *   w   the machine's world, its log swallowed; a loop and the resolver are started here
 *
 * What became of each is told line by line, and in the log of s (release_log.c).  The number of those not sent.
 */
unsigned release_send(const struct settings *s, struct world *w, struct arena *a, const char *const *id, unsigned n,
    void (*emit)(struct strv line, void *arg), void *arg);

#endif
