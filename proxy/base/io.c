/*
 * io.c -- a connection: edges into flags, taking over, closing, and what comes in.
 *
 * Not for framing and not for policy: it moves octets and says what the kernel said.  What goes out
 * is io_write.c's and io_send.c's, how it is made io_dial.c's.
 * The invariants: `readable` is false only when the kernel has promised an edge; conn_wait, which
 * parked, looks at c again only when its own `gone` is still false.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/io_own.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"

enum { FULL_MAX = 16 }; /* full reads between two looks at the other fibers */

/* ---- the event ------------------------------------------------------------------------------- */

static void
wake(struct fiber *f)
{
	if (f != NULL && f != fiber_self())
		fiber_wake(f);
}

void
io_fault(struct conn *c)
{
	c->fault = true;
	c->readable = true;
	wake(c->reader);
	wake(c->writer);
}

/* A connection that was refused is told of as a hang-up: only then there is an error to ask for. */
static void
finish_connect(struct conn *c, bool refused)
{
	int       error = 0;
	socklen_t n = sizeof(error);

	c->connecting = false;
	if (!refused)
		return;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
		c->failed = strerror(error != 0 ? error : errno);
		c->ended = true;
		io_fault(c);
	}
}

/* Whether that is news to the one who writes: an edge comes for nothing, too. */
static bool
writable(struct conn *c, bool faulty)
{
	if (c->connecting)
		finish_connect(c, faulty);
	else if (!c->want_write)
		return false;
	c->want_write = false;
	if (!c->sending && !c->fault)
		io_flush(c);
	return !c->want_write;
}

void
io_tell(struct conn *c, bool reads, bool writes)
{
	if (reads && c->reader != NULL) {
		wake(c->reader);
		reads = false;
	}
	if (writes && c->writer != NULL) {
		wake(c->writer);
		writes = false;
	}
	if ((reads || writes) && c->on_event != NULL)
		c->on_event(c->arg);
}

static void
event(void *arg, unsigned what)
{
	struct conn *c = arg;
	bool faulty = c->fault, reads = (what & (LOOP_READ | LOOP_CLOSED)) != 0, writes = false;

	/*
	 * Before the rest goes out below: what came is no answer to that.  The socket is asked, for what an event of this
	 * round tells of may have been read already.
	 */
	if (reads && c->out.n > 0)
		c->crossed |= conn_waits(c);
	if (what & LOOP_CLOSED)
		c->eof = true;
	if (what & LOOP_FAULT)
		c->hung = true;
	if (reads && c->tls != NULL)
		tls_event(c->tls);
	if (what & LOOP_WRITE) {
		writes = writable(c, (what & LOOP_FAULT) != 0);
		reads |= writes && c->tls != NULL && tls_wants_write(c->tls);
	}
	c->readable |= reads;
	if (c->fault && !faulty)
		reads = writes = true;
	io_tell(c, reads, writes);
}

bool
io_listen(struct conn *c, bool writes)
{
	return loop_watch(
	    c->loop, &c->watch, LOOP_READ | LOOP_CLOSED | LOOP_EDGE | (writes ? LOOP_WRITE : 0u));
}

/* Changing what is watched for reports what is ready by then: no edge is lost between. */
void
conn_want_write(struct conn *c)
{
	c->want_write = true;
	if (c->listens_write)
		return;
	c->listens_write = true;
	if (!io_listen(c, true))
		io_fault(c);
}

/* ---- opening and closing --------------------------------------------------------------------- */

void
io_prepare(struct conn *c, struct loop *l, int fd, bool connecting)
{
	c->fd = fd;
	c->loop = l;
	c->connecting = c->listens_write = connecting;
	c->watch = (struct loop_fd){ .fn = event, .arg = c, .fd = fd };
	buf_init(&c->out, CONN_OUT_MAX);
}

bool
io_start(struct conn *c)
{
	if (io_listen(c, c->connecting))
		return true;
	close(c->fd);
	c->fd = -1;
	return false;
}

bool
conn_init(struct conn *c, struct loop *l, int fd, void (*on_event)(void *), void *arg)
{
	*c = (struct conn){ .on_event = on_event, .arg = arg };
	io_prepare(c, l, fd, false);
	return io_start(c);
}

static void
tell_gone(struct fiber *f, bool **gone)
{
	if (f == NULL)
		return;
	**gone = true;
	*gone = NULL;
	wake(f);
}

void
conn_close(struct conn *c)
{
	struct fiber *reader = c->reader, *writer = c->writer;

	if (c->fd < 0 || c->loop == NULL)
		return;
	conn_flush(c);
	io_unhold(c);
	io_dial_end(c);
	if (c->tls != NULL)
		tls_free(c->tls);
	c->tls = NULL;
	loop_forget(c->loop, &c->watch);
	close(c->fd);
	c->fd = -1;
	c->readable = c->sending = false;
	buf_fini(&c->out);
	c->reader = c->writer = NULL;
	tell_gone(reader, &c->reader_gone);
	tell_gone(writer, &c->writer_gone);
}

void
conn_abort(struct conn *c)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	if (c->fd < 0 || c->loop == NULL)
		return;
	if (c->tls != NULL)
		tls_break(c->tls);
	(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_close(c);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Nothing more comes in. After a fault the end is no orderly one. */
static enum io_rc
end(struct conn *c, enum io_rc rc)
{
	c->ended = c->readable = true;
	if (rc == IO_EOF)
		c->eof = true;
	else
		c->fault = true;
	return c->fault ? IO_FAULT : IO_EOF;
}

static enum io_rc
recv_plain(struct conn *c, void *p, size_t n, size_t *got)
{
	ssize_t r;

	do
		r = recv(c->fd, p, n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return end(c, IO_EOF);
	if (r < 0 && errno != EAGAIN)
		return end(c, IO_FAULT);
	if (r < 0) {
		c->readable = false;
		return IO_AGAIN;
	}
	*got = (size_t)r;
	c->readable = *got == n || c->eof || c->hung;
	return IO_OK;
}

static enum io_rc
recv_tls(struct conn *c, void *p, size_t n, size_t *got)
{
	enum io_rc rc = tls_recv(c->tls, p, n, got);

	if (rc == IO_EOF || rc == IO_FAULT)
		return end(c, rc);
	c->readable = tls_pending(c->tls);
	if (tls_wants_write(c->tls))
		conn_want_write(c);
	return rc;
}

enum io_rc
conn_recv(struct conn *c, void *p, size_t n, size_t *got)
{
	enum io_rc rc;

	*got = 0;
	if (c->fd < 0)
		return IO_FAULT;
	if (c->ended)
		return c->fault ? IO_FAULT : IO_EOF;
	if (!c->readable)
		return IO_AGAIN;
	rc = c->tls != NULL ? recv_tls(c, p, n, got) : recv_plain(c, p, n, got);
	if (rc == IO_AGAIN && c->fault)
		return end(c, IO_FAULT);
	if (c->fault)
		c->readable = true;
	/* A read of TLS may stop before its octets end: at so many records. */
	c->full = rc == IO_OK && (*got == n || (c->tls != NULL && c->readable)) ? c->full + 1 : 0;
	return rc;
}

MAY_YIELD enum wait_rc
conn_wait(struct conn *c, uint64_t deadline)
{
	bool         gone = false, yield;
	enum wait_rc rc = fiber_self()->cancelled ? WAIT_CANCELLED : WAIT_OK;

	while (rc == WAIT_OK) {
		if (c->fd < 0)
			return WAIT_CLOSED;
		yield = c->readable && c->full >= FULL_MAX;
		if (c->readable && !yield)
			return WAIT_OK;
		assert(c->reader == NULL);
		c->full = 0;
		c->reader = fiber_self();
		c->reader_gone = &gone;
		rc = yield ? fiber_yield() : fiber_park("octets", deadline);
		if (gone)
			return rc == WAIT_CANCELLED ? rc : WAIT_CLOSED;
		c->reader = NULL;
		c->reader_gone = NULL;
	}
	return rc;
}

int
conn_peek(struct conn *c)
{
	struct pollfd pfd = { c->fd, POLLIN | POLLRDHUP, 0 };

	if (c->fd < 0 || c->fault)
		return -1;
	/* not recv(MSG_PEEK): octets that wait would hide what stands behind them */
	if (poll(&pfd, 1, 0) < 0)
		return c->eof ? 0 : 1;
	if (pfd.revents & (POLLERR | POLLHUP | POLLNVAL)) {
		io_fault(c);
		return -1;
	}
	if (pfd.revents & POLLRDHUP)
		c->eof = c->readable = true;
	return c->eof ? 0 : 1;
}

bool
conn_waits(struct conn *c)
{
	char octet;

	return c->fd >= 0 && !c->fault && recv(c->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}
