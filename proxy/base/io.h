/*
 * io -- one connection: a non-blocking descriptor in the loop, with or without TLS.
 *
 * Edge-triggered: an event only notes that octets may wait (`readable`); whoever wants them calls
 * conn_recv, once per readiness.  Not reading is backpressure, and costs no system call.
 * Whose it is: where a fiber waits in conn_wait, an event wakes it; else `on_event` is called, always
 * from the loop, never from within a conn_* call.  It tells of readability, the end, a fault, and,
 * where no fiber waits to write, that the socket took octets again after a short write.  on_event may
 * close and free the connection.
 *
 * Who stops reading while `readable` is still true (a full buffer, backpressure) must call conn_recv
 * again by itself later: no event comes for what has been announced.
 * A reset and octets look alike in an event: conn_recv tells, and conn_peek for who does not read now.
 */
#ifndef PROXY_BASE_IO_H
#define PROXY_BASE_IO_H

#include <sys/uio.h>

#include "proxy/base/buf.h"
#include "proxy/base/fiber.h"
#include "proxy/base/loop.h"

struct tls;
struct io_dial;

enum io_rc { IO_OK, IO_AGAIN, IO_EOF, IO_FAULT };       /* EOF: orderly end; FAULT: reset or TLS fault */

struct conn {
	int           fd;               /* -1: closed */
	struct loop  *loop;
	struct tls   *tls;              /* NULL: plain */
	struct fiber *reader, *writer;  /* fibers parked in conn_wait / conn_send, one each at most */
	void        (*on_event)(void *arg);
	void         *arg;
	struct buf    out;              /* to go out still: left by a short write, queued, or held; ceiling CONN_OUT_MAX */
	const char   *failed;           /* why it could not be made, static text; NULL: it was, or is not yet */
	bool          readable;         /* octets, EOF or a fault may wait in the kernel (or in TLS) */
	bool          eof;              /* the peer has ended its side (RDHUP seen or recv gave 0) */
	bool          fault;            /* reset or TLS fault: nothing more goes out; what came can be read */
	bool          unread;           /* with a fault that is ours: conn_send_file could not read its file */
	bool          hung;             /* an event told of a fault, maybe behind octets: no event tells of it again */
	bool          connecting;       /* not yet known whether connect() worked */
	bool          want_write;       /* a write was short: none is tried until the socket is writable */
	bool          crossed;          /* octets came while some of c->out waited; its reader forgets it */
	/* io*.c's own */
	struct io_dial *dial;           /* connecting, and to be tried again; NULL: no */
	bool          ended;            /* recv gave the end or a fault: nothing more comes in */
	bool          listens_write;    /* it is watched for writing, too; that stays, edges cost nothing */
	bool          sending;          /* conn_send is in the middle: c->out goes behind it */
	bool          shut;             /* conn_shutdown: the end follows when all is out */
	bool          more;             /* what is sent now is held for the end that follows at once */
	bool          now;              /* what is sent now has no place in a batch */
	unsigned      full;             /* reads in a row that filled the buffer */
	unsigned      held;             /* its place in the round's batch + 1; 0: nothing is held */
	bool         *reader_gone, *writer_gone;        /* on the stack of the fiber that waits */
	struct loop_fd watch;
};

#define CONN_OUT_MAX  (512 * 1024)      /* octets queued by conn_queue_v before it refuses */
#define CONN_OUT_HIGH (256 * 1024)      /* above it the owner stops reading what feeds it: on_event tells when all is out */

/*
 * Takes over fd (connected, non-blocking already).  on_event may be NULL.  TCP_NODELAY is the maker's business.
 * False: the loop refused, fd is closed.  c stays where it is until conn_close.
 */
bool conn_init(struct conn *c, struct loop *l, int fd, void (*on_event)(void *), void *arg);
/*
 * Connects through the world and takes over the descriptor, then conn_connected waits (or on_event is
 * called).  Where who listens has a full queue it is tried again and again, and the connection is `connecting'
 * until its owner gives it up.  False: *why is static text.  *to is copied, its path is not.
 */
struct endpoint;
bool conn_dial(struct conn *c, struct loop *l, const struct endpoint *to, void (*on_event)(void *),
    void *arg, const char **why);
/*
 * Octets that the kernel refused are dropped (those that are held go out first); the descriptor is closed; fibers that
 * wait on it wake with WAIT_CLOSED and do not look at c again.  Twice, or on a conn that is all zero, is harmless.
 */
void conn_close(struct conn *c);
/* As conn_close, but with a RST (SO_LINGER 0) so that the peer cannot take the end for an orderly one. */
void conn_abort(struct conn *c);

/*
 * Our side is ended: behind what is queued, or being sent, the peer sees an orderly end (with TLS a
 * close_notify, too) and may still send.  Nothing more can be queued.  conn_close must still come.
 */
void conn_shutdown(struct conn *c);

/*
 * conn_recv -- take what is there, at most n octets, never waits
 *
 * IO_OK: *got > 0.  IO_AGAIN: nothing now, `readable` is false until the next event.  IO_EOF, IO_FAULT:
 * nothing more comes, said again at every call.  A short recv clears `readable` (edge-triggered: a
 * later arrival sets it again), but for what comes before an end or a reset that was told of.
 */
enum io_rc conn_recv(struct conn *c, void *p, size_t n, size_t *got);
/*
 * Waits until conn_recv has a chance.  WAIT_CLOSED: conn_close was called by somebody.  Now and then it
 * lets others run although `readable` is true, so that no fast peer holds up the loop.
 */
MAY_YIELD enum wait_rc conn_wait(struct conn *c, uint64_t deadline);

/*
 * io_batch_start -- send what one round of the loop sends together
 *
 * What is sent from here on over connections of this loop without TLS, up to 16 KiB each, is held, and goes out at the
 * end of the round (loop_send), all of it in one system call.  A fault of the peer is then heard of there and not by
 * who sends.  False: *why says why not (static text; NULL: not in this build), and all goes out
 * as it comes.
 */
bool io_batch_start(struct loop *l, const char **why);
void io_batch_stop(struct loop *l);             /* sends what is held; harmless without a start */

/*
 * conn_queue_v -- send without waiting: at once what the kernel takes, the rest is copied into c->out and
 * goes when it can, in order.  With a batch it is copied, and sent when the round ends.  Before a connection is
 * made, and behind a conn_send that waits, all is copied.  False: fault, or the rest does not fit below
 * CONN_OUT_MAX (nothing of it is kept, c->fault is set).
 */
bool conn_queue_v(struct conn *c, struct strv v);
/* The same for a secret: it is never held, so c->out has no copy of it but of what the kernel refused. */
bool conn_queue_secret(struct conn *c, struct strv v);
/*
 * conn_queue_last -- conn_queue_v and conn_shutdown in one: nothing can be queued behind it, and where the
 * kernel takes v at once the end travels in the segment of its last octets.  conn_close must still come.
 */
bool conn_queue_last(struct conn *c, struct strv v);
/*
 * The same for a last word that need not arrive (a client's QUIT): conn_close follows at once, and sends v and
 * the end in one segment, unless octets of the peer are unread.
 */
bool conn_queue_bye(struct conn *c, struct strv v);
/*
 * conn_send -- send all, by reference: waits until the kernel has taken the last octet (and c->out is
 * empty before it).  WAIT_OK; WAIT_CLOSED: fault or closed; WAIT_TIMEOUT, WAIT_CANCELLED: part may be
 * sent, and if so c->fault is set, since nothing that makes sense could follow.
 * The iovecs are changed.  The octets must stay where they are until it returns.
 * With a batch a small unit is copied, and on its way when the round ends: then WAIT_OK says so much.
 */
MAY_YIELD enum wait_rc conn_send(struct conn *c, struct iovec *v, unsigned n, uint64_t deadline);
/*
 * The same from a file: octets [at, at+n) of fd, by sendfile() where there is no TLS.  Where they cannot be read
 * c->unread is set, and it is WAIT_CLOSED.
 */
MAY_YIELD enum wait_rc conn_send_file(struct conn *c, int fd, uint64_t at, uint64_t n,
    uint64_t deadline);
/* Waits until the connection is made and c->out is empty. */
MAY_YIELD enum wait_rc conn_drain(struct conn *c, uint64_t deadline);
/* After conn_dial: waits until it is known. WAIT_OK connected; WAIT_CLOSED refused (c->failed says why). */
MAY_YIELD enum wait_rc conn_connected(struct conn *c, uint64_t deadline);
/*
 * Has the peer gone?  Looks without taking octets: 1 it is there, 0 half-closed (it may still read),
 * -1 reset.  Sets eof and fault accordingly.  For the look just before octets that commit.
 */
int conn_peek(struct conn *c);
/* Are there octets that nobody has taken yet?  Asks the socket. */
bool conn_waits(struct conn *c);
/* For tls.c: nothing goes on until the socket is writable. */
void conn_want_write(struct conn *c);
/* What is held for c goes out now. */
void conn_flush(struct conn *c);
/* How many octets wait unsent, those that are only held included. */
static inline size_t
conn_unsent(const struct conn *c)
{
	return c->out.n;
}

#endif
