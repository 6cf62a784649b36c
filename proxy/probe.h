/*
 * probe -- `check --probe-upstream`: would a server relay mail of strangers to strangers, if Postern let it through?
 */
#ifndef PROXY_PROBE_H
#define PROXY_PROBE_H

#include "proxy/settings.h"

struct loop;

/*
 * Asks all servers side by side, at most PROBE_MS each, and tells what each said, in the order of the file.  MAIL and
 * RCPT are all that is said, then RSET: no message is sent.  How many would relay for a client from outside that they
 * are told of (by XCLIENT or a PROXY header), or, where they are told of nobody, for us.
 */
unsigned probe_upstreams(const struct settings *s, struct loop *loop, void (*emit)(struct strv line, void *arg),
    void *arg);

#define PROBE_MS 30000

#endif
