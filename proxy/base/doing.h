/*
 * doing -- what a process is in the middle of that may be its end (a plugin's callback), for who survives it, and for
 * who waits for it: it may not return.  And whether its loop turns at all.
 *
 * One struct a worker, in memory that it shares with the master (counters_doing).  A broken worker may leave anything
 * there, so there are copies in it, and no pointers, and it is read by doing_read alone.
 */
#ifndef PROXY_BASE_DOING_H
#define PROXY_BASE_DOING_H

#include <stdint.h>

#include "proxy/base/strv.h"

#define DOING_WHO  36
#define DOING_WHAT 16                           /* "xxfi_negotiate" */

struct doing {                                  /* of a cache line: doing_begin writes it for each callback */
	char              who[DOING_WHO], what[DOING_WHAT];     /* cut where they are longer */
	volatile uint32_t round;                /* of the loop, that is at work; 0: it waits, or there is none yet */
	volatile uint32_t turn;                 /* how often something was begun: the same at two looks, the same thing */
	volatile uint8_t  busy;                 /* not 0: the last one has not ended */
};

struct doing_said {                             /* both NUL-terminated */
	char     who[DOING_WHO], what[DOING_WHAT];
	uint32_t round, turn;
	bool     busy;
};

/* Where this process writes from now on. NULL: nowhere. */
void doing_here(struct doing *d);
/* who stays as it is until the process ends or doing_here comes.  They do not nest. */
void doing_begin(struct strv who, const char *what);
void doing_end(void);
/* The loop has something to do, and has done it: two stores a round. */
void doing_works(void);
void doing_waits(void);
/* What d is in the middle of; false: nothing of the kind (round and turn are set all the same). */
bool doing_read(const struct doing *d, struct doing_said *out);

#endif
