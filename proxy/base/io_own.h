/*
 * io_own -- what the files of a connection share; nobody else includes it.
 *
 * io         what the loop tells, taking over and closing, reading
 * io_dial    how one is made
 * io_write   what goes out at once or is queued, and the end behind it
 * io_send    fibers that wait: until it is connected, until all is out, for a unit that goes out by reference
 * io_batch   what one round sends goes out together
 *
 * Invariant: what was given first goes out first: c->out, then the unit that is under way (c->sending), then what
 * was queued meanwhile, then the end (c->shut).  Between a short write and the event that there is room
 * (c->want_write) nothing is tried.
 */
#ifndef PROXY_BASE_IO_OWN_H
#define PROXY_BASE_IO_OWN_H

#include "proxy/base/io.h"

/* --- io.c --- */

/* Nothing more goes out, what came can be read; fibers that wait are woken. */
void io_fault(struct conn *c);
/* Who waits for it hears of it, else the owner, who may free c. */
void io_tell(struct conn *c, bool reads, bool writes);
/* All but on_event and arg is set up; then it is watched.  False: the loop refused, fd is closed. */
void io_prepare(struct conn *c, struct loop *l, int fd, bool connecting);
bool io_start(struct conn *c);
/* What the loop tells of c from now on. */
bool io_listen(struct conn *c, bool writes);

/* --- io_dial.c --- */

/* It is tried no more. Harmless where it is not. */
void io_dial_end(struct conn *c);

/* --- io_write.c --- */

/*
 * Sends of v, which is not empty, what goes at once.  IO_OK: go on with what is left, if anything is; IO_AGAIN:
 * not before the socket is writable, which is seen to; IO_FAULT: that is noted.  *sent is valid with each.
 */
enum io_rc io_push(struct conn *c, struct strv v, size_t *sent);
/* The same of a send() or sendmsg() that gave r and not all; errno is still its own. */
enum io_rc io_short(struct conn *c, ssize_t r, size_t *sent);
/* What is queued goes on, and the end behind it; not in the middle of a unit, nor where there is no room. */
void io_flush(struct conn *c);
/* Nothing can go out now but what is going out already. */
static inline bool
io_must_wait(const struct conn *c)
{
	return c->connecting || c->want_write || c->sending;
}

/* --- io_batch.c --- */

/* Whether n more octets of c->out may wait for the end of the round; if so, c has a place in the batch. */
bool io_hold(struct conn *c, size_t n);
/* The place is given back; the octets stay in c->out. */
void io_unhold(struct conn *c);

#endif
