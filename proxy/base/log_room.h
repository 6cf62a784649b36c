/*
 * log_room -- lines of the log that have not been written yet, in memory that may outlive who wrote them there.
 *
 * One process writes; nothing here is for threads or for signal handlers.  Where the room lies in memory that the
 * process shares with its parent, the parent reads, once waitpid has told it of the end, what there was still to be
 * said.  At each instant between two instructions of the writer a reader finds every line that was added and has not
 * been told: one perhaps that was told already, never half a one.
 */
#ifndef PROXY_BASE_LOG_ROOM_H
#define PROXY_BASE_LOG_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/log.h"
#include "proxy/base/strv.h"

#define LOG_STAMP     25                        /* "2024-01-31T23:59:59.999Z " */
#define LOG_ROOM      (64 * 1024)               /* the struct as a whole; pages that were never filled cost nothing */
#define LOG_ROOM_TEXT (LOG_ROOM - 16)
#define LOG_ROOM_LINE (LOG_STAMP + LOG_LINE)    /* longest line that a reader believes, its stamp included */
#define LOG_CUT       "...\n"                   /* behind a line that broke off where it went */

struct log_room {                               /* all zero is empty */
	_Atomic uint64_t held;                  /* where in text: first octet << 32 | the one behind the last */
	/* Octets, not bools: who survives the writer may find any value in them. */
	_Atomic uint8_t  writing;               /* not 0: a write runs, nobody knows how far it went */
	_Atomic uint8_t  torn;                  /* not 0: what was written ends inside a line whose rest was given up */
	char             text[LOG_ROOM_TEXT];
};

/* ---- for who writes -------------------------------------------------------------------------- */

void log_room_clear(struct log_room *r);
struct strv log_room_held(struct log_room *r);  /* what waits, whole lines but for a first one that is half told */
/* Is there room for n octets more?  It is made where that takes no line from a reader, even for an instant. */
bool log_room_fits(struct log_room *r, size_t n);
/* One line, a newline behind it; stamp may be empty.  Only where log_room_fits says so of all three. */
void log_room_add(struct log_room *r, struct strv stamp, struct strv line);
/* Around each write of what is held: before it, and then how much of it went. */
void log_room_writing(struct log_room *r);
void log_room_written(struct log_room *r, size_t n);
/* What is held is given up: how many lines, one that is half told included. */
uint64_t log_room_lose(struct log_room *r);
/* Before anything else is written where the rest of a line was given up, LOG_CUT is; then it is mended. */
bool log_room_is_torn(struct log_room *r);
void log_room_tear(struct log_room *r);                 /* it may have been: another's, who writes there, too */
void log_room_mended(struct log_room *r);
/* What is held goes somewhere else from now on: a line that is half told is told there as a whole. */
void log_room_move(struct log_room *r);

/* ---- for who survives the writer ------------------------------------------------------------- */

/*
 * The last words, line by line.  The writer may have scribbled over all of it: nothing is read outside of the room,
 * what comes out is printable ASCII, and no longer than LOG_ROOM_LINE and the mark of a line that is cut.
 */
struct log_rest {
	struct log_room *r;
	uint32_t         at, end;
	bool             mark;                  /* LOG_CUT first: where they went there may be half a line */
	bool             unknown;               /* how much there is could not be told: nothing comes out */
	uint64_t         damaged;               /* octets left out so far */
	char             line[LOG_ROOM_LINE + sizeof(LOG_CUT)];
};

void log_rest_begin(struct log_rest *rest, struct log_room *r);
/* The next line, without a newline; it stays until the next call.  False: that was all. */
bool log_rest_next(struct log_rest *rest, struct strv *line);

#endif
