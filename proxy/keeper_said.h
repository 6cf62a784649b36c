/*
 * keeper_said -- what the process of a plugin writes to its standard output and error: lines of the log, not too many.
 */
#ifndef PROXY_KEEPER_SAID_H
#define PROXY_KEEPER_SAID_H

#include "proxy/base/strv.h"

#define SAID_LINE  400                  /* octets of a line that are kept */
#define SAID_LINES 50                   /* lines that are heard in SAID_MS */
#define SAID_MS    5000

struct world;

struct said {
	int      fd;                    /* the reading end, which does not block; -1: none */
	char     line[SAID_LINE], last[SAID_LINE];      /* the line so far; the one before */
	unsigned n_line, n_last;
	unsigned lines;                 /* since again_at - SAID_MS */
	uint64_t again_at;              /* 0: it has said nothing */
};

void said_init(struct said *s, int fd);
/* The descriptor to poll; -1: there is none, or it says too much and is not listened to for a while. */
int  said_poll(const struct said *s);
void said_take(struct said *s, struct world *w, struct strv name);      /* it is readable */
void said_end(struct said *s, struct world *w, struct strv name);       /* it has ended: its last words */
/* When it is listened to again (0: it is), and that. */
uint64_t said_next(const struct said *s);
void said_due(struct said *s, struct world *w, struct strv name);

#endif
