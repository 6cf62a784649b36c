/*
 * hangs -- callbacks of a plugin that do not come back: counted, so that a process which serves nobody any more ends.
 */
#ifndef PROXY_HOSTS_HANGS_H
#define PROXY_HOSTS_HANGS_H

#include <stdbool.h>

#include <libmilter/mfapi.h>

#define HANGS_MOST  8   /* callbacks that hang are too many */
#define HANGS_FIRST 2   /* so are these, where as few others run */

struct hangs {
	unsigned running;       /* callbacks at work, those that hang among them */
	unsigned old;           /* that have run for longer than the limit */
};

/* How long a callback may take, in ms, before it hangs.  0, as it is at first: for ever, and nothing is counted. */
void hangs_limit(unsigned long ms);
unsigned hangs_seconds(void);           /* the limit, as it is counted */

/* Each callback of d, the only description of this process, is counted from here on. */
void hangs_count(struct smfiDesc *d);
/* The filter says that it is still at work: its time begins anew. */
void hangs_progress(const SMFICTX *ctx);

/* To be called once a second, by one thread: the clock of all this, so a process that is stopped does not hang. */
struct hangs hangs_look(void);
bool hangs_too_many(const struct hangs *h);
/* SIGNAL.  Those that have run for longer than that are to blame for the end of this process (culprit.h). */
void hangs_blame(unsigned seconds);

#endif
