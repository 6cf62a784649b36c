/*
 * slots -- replies leave in the order of their commands, and are printed in one place.
 *
 * Every command has one slot.  A local answer fills it at once; an upstream's fills the one that was
 * opened for it.  Only filled heads are printed (into `out`), and slots_flush sends what is printed with
 * one write.  Where nothing is owed in front, a reply is printed without a slot at all.
 */
#ifndef PROXY_SMTP_SLOTS_H
#define PROXY_SMTP_SLOTS_H

#include "proxy/base/buf.h"
#include "proxy/mail/reply.h"

struct conn;

#define SLOT_INLINE 240

struct slot {
	struct slot *next;
	struct reply reply;             /* text: in `room` or on the heap */
	bool         filled;
	char        *heap;              /* a text longer than `room`, or NULL */
	char         room[SLOT_INLINE];
};

/* Memory that sessions of one loop give back when they wait, and take for their next burst.  All zero: none yet. */
struct slots_spare {
	struct slot *free;
	unsigned     n_free;
	char        *text;              /* of a struct buf, with its room */
	size_t       room;
};

struct slots {                          /* one session's */
	struct slots_spare *spare;
	struct slot *head, *tail;
	struct buf   out;               /* printed, not yet handed to the connection; memory only while in use */
	bool         utf8;              /* SMTPUTF8 is in force: 8-bit may stay in replies */
	unsigned     printed;           /* replies printed since the session began */
};

void slots_init(struct slots *s, struct slots_spare *spare);
void slots_fini(struct slots *s);
void slots_spare_fini(struct slots_spare *spare);       /* nobody uses it any more */
/* The next command's reply, known at once. Texts are copied where they must wait. */
void slots_say(struct slots *s, const struct reply *r);
/* A slot that somebody fills later, exactly once. */
struct slot *slots_open(struct slots *s);
void slots_fill(struct slots *s, struct slot *slot, const struct reply *r);
/* Room for a reply that was printed by hand (EHLO): nothing may be owed. */
struct buf *slots_print(struct slots *s);
static inline bool
slots_owed(const struct slots *s)
{
	return s->head != NULL;
}
/* Sends what is printed; never waits. False: the connection has failed. */
bool slots_flush(struct slots *s, struct conn *io);
/*
 * The same with the last replies of all: behind them our side of the connection ends, at once where it `stays' open to
 * read, else with the close that follows, whose FIN travels with them (conn_queue_last, conn_queue_bye).
 */
bool slots_flush_last(struct slots *s, struct conn *io, bool stays);

#endif
