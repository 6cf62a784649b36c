/*
 * io.c -- edges into flags, short writes into a queue, waits of fibers.
 *
 * Not for framing and not for policy: it moves octets and says what the kernel said.
 * The invariants: what was given first goes out first (c->out, then a conn_send that waits, then what
 * conn_queue was given meanwhile); `readable` is false only when the kernel has promised an edge; a
 * function that parked looks at c again only when its own `gone` is still false.
 * SIGPIPE: send has MSG_NOSIGNAL; sendfile has nothing of the kind, so the process ignores the signal.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/io.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/base/world.h"

enum {
	RECORD = 16 * 1024,       /* the largest TLS record, and what is gathered into one */
	FILE_PIECE = 1024 * 1024, /* sent between two looks at the other fibers */
	FULL_MAX = 16,            /* full reads between two looks at the other fibers */
	PIECES_MAX = 1024         /* IOV_MAX */
};

/* Octets on their way into a record, or from a file: never across a park. */
static char scratch[RECORD];

/* ---- the event ------------------------------------------------------------------------------- */

static void
wake(struct fiber *f)
{
	if (f != NULL && f != fiber_self())
		fiber_wake(f);
}

static void
set_fault(struct conn *c)
{
	c->fault = true;
	c->readable = true;
	wake(c->reader);
	wake(c->writer);
}

static void flush(struct conn *c);

/* A connection that was refused is told of as a hang-up: only then there is an error to ask for. */
static void
finish_connect(struct conn *c, bool refused)
{
	int       error = 0;
	socklen_t n = sizeof(error);

	c->connecting = false;
	c->known = true;
	if (!refused)
		return;
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
		c->ended = true;
		set_fault(c);
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
		flush(c);
	return !c->want_write;
}

static void
event(void *arg, unsigned what)
{
	struct conn *c = arg;
	bool faulty = c->fault, reads = (what & (LOOP_READ | LOOP_CLOSED)) != 0, writes = false;

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

static bool
listen_to(struct conn *c, bool writes)
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
	if (!listen_to(c, true))
		set_fault(c);
}

/* ---- opening and closing --------------------------------------------------------------------- */

static bool
init(struct conn *c, struct loop *l, int fd, void (*on_event)(void *), void *arg, bool connecting)
{
	*c = (struct conn){ .fd = fd, .loop = l, .on_event = on_event, .arg = arg };
	c->connecting = c->listens_write = connecting;
	c->watch = (struct loop_fd){ .fn = event, .arg = c, .fd = fd };
	buf_init(&c->out, CONN_OUT_MAX);
	if (listen_to(c, connecting))
		return true;
	close(fd);
	c->fd = -1;
	return false;
}

bool
conn_init(struct conn *c, struct loop *l, int fd, void (*on_event)(void *), void *arg)
{
	return init(c, l, fd, on_event, arg, false);
}

bool
conn_dial(struct conn *c, struct loop *l, const struct endpoint *to, void (*on_event)(void *),
    void *arg, const char **why)
{
	struct world *w = loop_world(l);
	int           fd = w->connect(w, to, why);

	*c = (struct conn){ .fd = -1 };
	if (fd < 0)
		return false;
	if (init(c, l, fd, on_event, arg, true))
		return true;
	*why = "the event loop has no room for it";
	return false;
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
	c->readable = *got == n || c->eof;
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
	c->full = rc == IO_OK && *got == n ? c->full + 1 : 0;
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
		set_fault(c);
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

/* ---- writing, without waiting ---------------------------------------------------------------- */

static enum io_rc
push_plain(struct conn *c, const struct iovec *v, unsigned n, size_t *sent)
{
	struct msghdr m = { .msg_iov = (struct iovec *)v };
	size_t        want = 0;
	ssize_t       r;
	int           flags = MSG_NOSIGNAL | MSG_DONTWAIT | (c->more ? MSG_MORE : 0);

	m.msg_iovlen = n < PIECES_MAX ? n : PIECES_MAX;
	for (size_t i = 0; i < m.msg_iovlen; i++)
		want += v[i].iov_len;
	do
		r = n == 1 ? send(c->fd, v->iov_base, v->iov_len, flags) :
			     sendmsg(c->fd, &m, flags);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN ? IO_AGAIN : IO_FAULT;
	*sent = (size_t)r;
	return *sent == want ? IO_OK : IO_AGAIN;
}

/* Small pieces become one record. What is gathered again after IO_AGAIN begins with the same octets. */
static enum io_rc
push_tls(struct conn *c, const struct iovec *v, unsigned n, size_t *sent)
{
	size_t have = 0, take;

	if (n == 1 || v->iov_len >= RECORD)
		return tls_send(c->tls, v->iov_base, v->iov_len, sent);
	for (unsigned i = 0; i < n && have < RECORD; i++) {
		take = v[i].iov_len < RECORD - have ? v[i].iov_len : RECORD - have;
		if (take > 0)
			memcpy(scratch + have, v[i].iov_base, take);
		have += take;
	}
	return tls_send(c->tls, scratch, have, sent);
}

/* IO_OK: go on; IO_AGAIN: not before the socket is writable. *sent is valid with both. v[0] is not empty. */
static enum io_rc
push(struct conn *c, const struct iovec *v, unsigned n, size_t *sent)
{
	enum io_rc rc;

	*sent = 0;
	rc = c->tls != NULL ? push_tls(c, v, n, sent) : push_plain(c, v, n, sent);
	if (rc == IO_AGAIN)
		conn_want_write(c);
	else if (rc != IO_OK)
		set_fault(c);
	return c->fault ? IO_FAULT : rc;
}

static void
flush(struct conn *c)
{
	size_t     done = 0, sent;
	enum io_rc rc = IO_OK;

	while (rc == IO_OK && done < c->out.n) {
		rc = push(c, &(struct iovec){ c->out.p + done, c->out.n - done }, 1, &sent);
		done += sent;
	}
	if (done < c->out.n) {
		buf_drop(&c->out, done);
		return;
	}
	buf_fini(&c->out);
	if (!c->shut)
		return;
	if (c->tls != NULL)
		tls_close(c->tls);
	(void)shutdown(c->fd, SHUT_WR);
}

void
conn_shutdown(struct conn *c)
{
	if (c->fd < 0 || c->fault || c->shut)
		return;
	c->shut = true;
	if (!c->connecting && !c->want_write && !c->sending)
		flush(c);
}

/* What is left of an array of pieces: `off` octets of the first are gone. */
struct rest {
	const struct iovec *v;
	unsigned            n;
	size_t              off;
};

static void
rest_drop(struct rest *r, size_t sent)
{
	r->off += sent;
	while (r->n > 0 && r->off >= r->v->iov_len) {
		r->off -= r->v->iov_len;
		r->v++;
		r->n--;
	}
}

static enum io_rc
rest_push(struct conn *c, struct rest *r)
{
	struct iovec part;
	size_t       sent;
	enum io_rc   rc;

	if (r->off == 0)
		rc = push(c, r->v, r->n, &sent);
	else {
		part.iov_base = (char *)r->v->iov_base + r->off;
		part.iov_len = r->v->iov_len - r->off;
		rc = push(c, &part, 1, &sent);
	}
	rest_drop(r, sent);
	return rc;
}

static bool
rest_keep(struct conn *c, const struct rest *r)
{
	size_t n = 0, off = r->off;

	for (unsigned i = 0; i < r->n; i++)
		n += r->v[i].iov_len;
	if (n - off > CONN_OUT_MAX - c->out.n) {
		set_fault(c);
		return false;
	}
	for (unsigned i = 0; i < r->n; i++, off = 0)
		(void)buf_add(&c->out, strv((char *)r->v[i].iov_base + off, r->v[i].iov_len - off));
	return true;
}

bool
conn_queue(struct conn *c, const struct iovec *v, unsigned n)
{
	struct rest rest = { v, n, 0 };
	enum io_rc  rc = IO_OK;

	if (c->fd < 0 || c->fault || c->shut)
		return false;
	rest_drop(&rest, 0);
	if (c->out.n == 0 && !c->connecting && !c->want_write && !c->sending)
		while (rest.n > 0 && rc == IO_OK)
			rc = rest_push(c, &rest);
	return rc != IO_FAULT && rest_keep(c, &rest);
}

bool
conn_queue_v(struct conn *c, struct strv v)
{
	return conn_queue(c, &(struct iovec){ (char *)v.p, v.n }, 1);
}

bool
conn_queue_bye(struct conn *c, struct strv v)
{
	bool ok;

	c->more = true;
	ok = conn_queue_v(c, v);
	c->more = false;
	return ok;
}

bool
conn_queue_last(struct conn *c, struct strv v)
{
	bool ok = conn_queue_bye(c, v);

	conn_shutdown(c);
	return ok;
}

/* ---- writing, in a fiber --------------------------------------------------------------------- */

/* *gone: c was closed and may not be looked at. */
MAY_YIELD static enum wait_rc
park_writer(struct conn *c, bool yield, uint64_t deadline, bool *gone)
{
	enum wait_rc rc;

	assert(c->writer == NULL);
	c->writer = fiber_self();
	c->writer_gone = gone;
	rc = yield ? fiber_yield() : fiber_park("room to write", deadline);
	if (*gone)
		return rc == WAIT_CANCELLED ? rc : WAIT_CLOSED;
	c->writer = NULL;
	c->writer_gone = NULL;
	return rc;
}

MAY_YIELD enum wait_rc
conn_drain(struct conn *c, uint64_t deadline)
{
	enum wait_rc rc = WAIT_OK;
	bool         gone = false;

	while (rc == WAIT_OK) {
		if (c->fd < 0 || c->fault)
			return WAIT_CLOSED;
		if (!c->connecting && c->out.n == 0)
			return WAIT_OK;
		rc = park_writer(c, false, deadline, &gone);
	}
	return rc;
}

MAY_YIELD enum wait_rc
conn_connected(struct conn *c, uint64_t deadline)
{
	enum wait_rc rc = WAIT_OK;
	bool         gone = false;

	if (c->fd >= 0 && !c->known && !c->connecting) {
		c->connecting = true;
		conn_want_write(c);
	}
	while (rc == WAIT_OK) {
		if (c->fd < 0 || c->fault)
			return WAIT_CLOSED;
		if (c->known)
			return WAIT_OK;
		rc = park_writer(c, false, deadline, &gone);
	}
	return rc;
}

/* Between two pieces of a unit: waits for room, or lets others run. */
MAY_YIELD static enum wait_rc
between(struct conn *c, bool yield, uint64_t deadline, bool *gone)
{
	enum wait_rc rc = WAIT_OK;

	if (yield)
		rc = park_writer(c, true, deadline, gone);
	while (rc == WAIT_OK && c->want_write && !c->fault)
		rc = park_writer(c, false, deadline, gone);
	return rc == WAIT_OK && c->fault ? WAIT_CLOSED : rc;
}

/* A unit that was cut must not be followed by anything: the peer would take that for its rest. */
static enum wait_rc
finish_unit(struct conn *c, enum wait_rc rc, bool begun, bool gone)
{
	if (gone)
		return rc;
	c->sending = false;
	if (rc != WAIT_OK && begun)
		set_fault(c);
	else if (!c->fault && !c->want_write)
		flush(c);
	return rc;
}

static void
skip(struct iovec **v, unsigned *n, size_t sent)
{
	for (; *n > 0 && sent >= (*v)->iov_len; (*v)++, (*n)--)
		sent -= (*v)->iov_len;
	if (*n == 0)
		return;
	(*v)->iov_base = (char *)(*v)->iov_base + sent;
	(*v)->iov_len -= sent;
}

MAY_YIELD enum wait_rc
conn_send(struct conn *c, struct iovec *v, unsigned n, uint64_t deadline)
{
	bool         begun = false, gone = false;
	enum wait_rc rc = conn_drain(c, deadline);
	enum io_rc   io;
	size_t       sent;

	if (rc != WAIT_OK || c->shut)
		return rc != WAIT_OK ? rc : WAIT_CLOSED;
	assert(!c->sending);
	c->sending = true;
	skip(&v, &n, 0);
	while (n > 0 && rc == WAIT_OK) {
		io = push(c, v, n, &sent);
		skip(&v, &n, sent);
		begun |= sent > 0 || c->tls != NULL;
		if (io == IO_FAULT)
			rc = WAIT_CLOSED;
		else if (n > 0)
			rc = between(c, false, deadline, &gone);
	}
	return finish_unit(c, rc, begun, gone);
}

static enum io_rc
push_file(struct conn *c, int fd, uint64_t at, size_t n, size_t *sent)
{
	off_t   off = (off_t)at;
	ssize_t r;

	*sent = 0;
	if (c->tls == NULL) {
		do
			r = sendfile(c->fd, fd, &off, n);
		while (r < 0 && errno == EINTR);
		if (r > 0) {
			*sent = (size_t)r;
			return IO_OK;
		}
		if (r < 0 && errno == EAGAIN) {
			conn_want_write(c);
			return IO_AGAIN;
		}
		if (r == 0 || (errno != EINVAL && errno != ENOSYS)) {
			set_fault(c);
			return IO_FAULT;
		}
	}
	do
		r = pread(fd, scratch, n < sizeof(scratch) ? n : sizeof(scratch), (off_t)at);
	while (r < 0 && errno == EINTR);
	if (r > 0)
		return push(c, &(struct iovec){ scratch, (size_t)r }, 1, sent);
	set_fault(c);
	return IO_FAULT;
}

MAY_YIELD enum wait_rc
conn_send_file(struct conn *c, int fd, uint64_t at, uint64_t n, uint64_t deadline)
{
	bool         begun = false, gone = false;
	enum wait_rc rc = conn_drain(c, deadline);
	size_t       sent, since = 0;

	if (rc != WAIT_OK || c->shut)
		return rc != WAIT_OK ? rc : WAIT_CLOSED;
	assert(!c->sending);
	c->sending = true;
	while (n > 0 && rc == WAIT_OK) {
		if (push_file(c, fd, at, n < FILE_PIECE ? (size_t)n : FILE_PIECE, &sent) ==
		    IO_FAULT)
			rc = WAIT_CLOSED;
		begun |= sent > 0 || c->tls != NULL;
		at += sent;
		n -= sent;
		since += sent;
		if (n > 0 && rc == WAIT_OK)
			rc = between(c, since >= FILE_PIECE, deadline, &gone);
		since = since >= FILE_PIECE ? 0 : since;
	}
	return finish_unit(c, rc, begun, gone);
}
