/*
 * story -- `postern explain`: one made-up session with the real DNS, told check by check.
 */
#ifndef PROXY_STORY_H
#define PROXY_STORY_H

#include "proxy/settings.h"

struct story {                          /* views outlive the call */
	struct addr        client;
	const struct listener *listener;
	struct strv        helo, mail;  /* absent: as in a test */
	struct strv        auth;        /* absent: nobody */
	bool               tls;
	const struct strv *rcpt;
	unsigned           n_rcpt;      /* at least 1 */
	struct strv        message;     /* absent: a minimal one */
};

/*
 * Tells it line by line, as it happens; colour: ANSI marks.  w: the machine's world, its log swallowed; the resolver
 * is started here.  False: it could not be told (*why, static).
 */
bool story_tell(const struct settings *s, struct world *w, const struct story *x, bool colour,
    void (*emit)(struct strv line, void *arg), void *arg, const char **why);

#endif
