/*
 * plugincheck -- can the plugins of a configuration be loaded, and what do they say of themselves?
 *
 * Each is loaded in a process of its own by postern-plugind, as the user that it is going to have, with a deadline:
 * one that crashes or hangs there is a mistake of the file as any other.
 */
#ifndef PROXY_PLUGINCHECK_H
#define PROXY_PLUGINCHECK_H

#include "proxy/settings.h"

/*
 * Errors go to d, at the `load' of the block.  One line for each that is good: s->milters.n of them in d->a, absent
 * for milters and for what is not.  The caller has no other child that may end meanwhile.
 */
const struct strv *plugincheck_run(const struct settings *s, struct world *w, struct diags *d);

#endif
