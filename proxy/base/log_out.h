/*
 * log_out -- where lines of the log go, and when: stamped, gathered in a room, written without ever waiting.
 *
 * Without a loop a line is written at once.  With one, at the end of the round in which it was said, if the
 * last write is LOG_PACE_MS ago; else when it is, or once half of the room is full: a quiet process writes
 * promptly, and a busy one, where each round has its line, a hundred times a second.
 *
 * Nothing is reported: a line that cannot be written is dropped and counted, and `- log dropped=N' goes in
 * front of the next that can.  To be called by one thread, and from no signal handler.
 */
#ifndef PROXY_BASE_LOG_OUT_H
#define PROXY_BASE_LOG_OUT_H

#include <time.h>

#include "proxy/base/log_room.h"
#include "proxy/base/loop.h"

#define LOG_PACE_MS  10                         /* how late a line may be written that the loop has said */
#define LOG_STUCK_MS 100                        /* until the next attempt where nothing would go */

struct world;

enum log_way {
	LOG_WRITE,                              /* a file: all at once */
	LOG_PIECES,                             /* a pipe or a terminal, opened so that it does not block */
	LOG_SEND,                               /* a socket */
	LOG_POLL                                /* what may block: asked first */
};

struct log_out {
	struct world    *w;                     /* its now and wall */
	struct loop     *loop;                  /* NULL: there is none */
	struct log_room *room;
	struct timer     due;
	uint64_t         next;                  /* no write before that, unless the room is half full */
	uint64_t         dropped, told;         /* lines, since the start; of them those that were told of */
	uint64_t         told_for_sure;         /* told before any of the lines that tell of it were held */
	unsigned         tells;                 /* how many of these the room may hold */
	int              fd, own;               /* own: opened here, or -1 */
	enum log_way     way;
	bool             stuck;                 /* the last write found no room on the other side */
	time_t           stamp_s;
	char             stamp[LOG_STAMP + 1];
};

/* To nowhere, at once.  w and room (empty) stay the caller's and outlive it. */
void log_out_init(struct log_out *o, struct world *w, struct log_room *room);
/* Lines go to fd from now on, -1: nowhere.  It stays the caller's.  What is held goes to the old one, as far as it can. */
void log_out_fd(struct log_out *o, int fd);
/* After fork: what the parent has not written stays the parent's.  The loop lives until log_out_stop. */
void log_out_start(struct log_out *o, struct loop *loop);
/* What comes from now on is held there, empty or not; right behind log_out_start. */
void log_out_room(struct log_out *o, struct log_room *room);
void log_out_line(struct log_out *o, struct strv line);         /* escaped, without a newline */
/* What a process that has ended left in its room: written now, as it was stamped; the room is empty then. */
void log_out_rest(struct log_out *o, struct log_room *room);
/* Writes what is held, for a second at most, and from then on at once. */
void log_out_stop(struct log_out *o);

#endif
