/*
 * doing -- what a process is in the middle of that may be its end (a plugin's callback), for who survives it.
 *
 * One struct a worker, in memory that it shares with the master (counters_doing).  `what' points into the program, which
 * master and workers have in common.
 */
#ifndef PROXY_BASE_DOING_H
#define PROXY_BASE_DOING_H

#include "proxy/base/strv.h"

#define DOING_WHO 40

struct doing {
	char                 who[DOING_WHO];    /* cut, NUL-terminated */
	const char *volatile what;              /* static text of this program; NULL: nothing of the kind */
};

/* Where this process writes from now on. NULL: nowhere. */
void doing_here(struct doing *d);
/* who stays as it is until the process ends or doing_here comes; what is static.  They do not nest. */
void doing_begin(struct strv who, const char *what);
void doing_end(void);

#endif
