/*
 * blame -- a page of memory that tells whose callback has ended a process: it outlives that, and says whom not to blame.
 *
 * The master makes one for each isolated plugin, whose processes (postern-plugind) write it and whose workers read it.
 * A plugin can write there whatever it likes: so everything in it is a number or an id to be compared, and no value of
 * it leads anywhere.  It depends on nothing else of Postern.
 */
#ifndef PROXY_BASE_BLAME_H
#define PROXY_BASE_BLAME_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLAME_ID   23   /* octets of an id at most */
#define BLAME_RING 16   /* ids that are remembered */

struct blame;

struct blame_id {               /* the octets of an id, NUL behind them; all zero: nobody's */
	uint64_t w[3];
};

struct blame_place {            /* one that several threads or processes see; words of two ids may be mixed */
	_Atomic uint64_t w[3];
};

/* Nobody's where it is empty or longer than BLAME_ID. */
struct blame_id blame_id(const char *text, size_t n);
bool blame_nobody(struct blame_id id);
/* SIGNAL: async-signal-safe. */
void blame_put(struct blame_place *at, struct blame_id id);
struct blame_id blame_get(const struct blame_place *at);

/* A new page, and its descriptor for other processes: its size cannot be changed.  NULL: the system gives none. */
struct blame *blame_new(int *fd);
/* The same page in another process; NULL: fd is none. */
struct blame *blame_map(int fd);
/* It is seen here no more; NULL is allowed. */
void blame_free(struct blame *b);

/* Ids that were noted so far, modulo 2^32. */
uint32_t blame_count(const struct blame *b);
/* SIGNAL.  That one's callback ends this process; nobody's is not noted. */
void blame_note(struct blame *b, struct blame_id id);
/* Was it noted since blame_count was that, and is among the last BLAME_RING? */
bool blame_holds(const struct blame *b, uint32_t since, struct blame_id id);

/* A process begins to write there; and how many have. */
void blame_begin(struct blame *b);
uint32_t blame_processes(const struct blame *b);

#endif
