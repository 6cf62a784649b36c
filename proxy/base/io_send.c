/*
 * io_send.c -- fibers that wait to write: until it is connected, until all is out, for a unit.
 *
 * Not for what may be queued and forgotten (io_write.c).
 * The invariants: after a unit that was cut nothing goes out any more; a function that parked looks
 * at c again only when its own `gone` is still false.
 * SIGPIPE: send has MSG_NOSIGNAL; sendfile has nothing of the kind, so the process ignores it.
 */
#include <assert.h>
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/io_own.h"

enum {
	RECORD = 16 * 1024,       /* the largest TLS record, and what is gathered into one */
	FILE_PIECE = 1024 * 1024, /* sent between two looks at the other fibers */
	PIECES_MAX = 1024         /* IOV_MAX */
};

/* Octets on their way into a record, or from a file: never across a park. */
static char scratch[RECORD];

/* ---- waiting --------------------------------------------------------------------------------- */

/* *gone: c was closed and may not be looked at. */
MAY_YIELD static enum wait_rc
park(struct conn *c, bool yield, uint64_t deadline, bool *gone)
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
conn_connected(struct conn *c, uint64_t deadline)
{
	enum wait_rc rc = WAIT_OK;
	bool         gone = false;

	while (rc == WAIT_OK) {
		if (c->fd < 0 || c->fault)
			return WAIT_CLOSED;
		if (!c->connecting)
			return WAIT_OK;
		rc = park(c, false, deadline, &gone);
	}
	return rc;
}

MAY_YIELD enum wait_rc
conn_drain(struct conn *c, uint64_t deadline)
{
	enum wait_rc rc = WAIT_OK;
	bool         gone = false;

	while (rc == WAIT_OK) {
		conn_flush(c); /* nothing is held back from who waits for it */
		if (c->fd < 0 || c->fault)
			return WAIT_CLOSED;
		if (!c->connecting && c->out.n == 0)
			return WAIT_OK;
		rc = park(c, false, deadline, &gone);
	}
	return rc;
}

/* ---- a unit ---------------------------------------------------------------------------------- */

MAY_YIELD static enum wait_rc
begin_unit(struct conn *c, uint64_t deadline)
{
	enum wait_rc rc = conn_drain(c, deadline);

	if (rc != WAIT_OK)
		return rc;
	if (c->shut)
		return WAIT_CLOSED;
	assert(!c->sending);
	c->sending = true;
	return WAIT_OK;
}

/* Between two pieces: waits for room, or lets others run. */
MAY_YIELD static enum wait_rc
between(struct conn *c, bool yield, uint64_t deadline, bool *gone)
{
	enum wait_rc rc = WAIT_OK;

	if (yield)
		rc = park(c, true, deadline, gone);
	while (rc == WAIT_OK && c->want_write && !c->fault)
		rc = park(c, false, deadline, gone);
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
		io_fault(c);
	else if (!c->fault && !c->want_write && (c->out.n > 0 || c->shut))
		io_flush(c);
	return rc;
}

/* ---- pieces in memory ------------------------------------------------------------------------ */

/* Small pieces become one record. What is gathered again after IO_AGAIN begins as it did. */
static struct strv
gather(const struct iovec *v, unsigned n)
{
	size_t have = 0, take;

	for (unsigned i = 0; i < n && have < RECORD; i++) {
		take = v[i].iov_len < RECORD - have ? v[i].iov_len : RECORD - have;
		if (take > 0)
			memcpy(scratch + have, v[i].iov_base, take);
		have += take;
	}
	return strv(scratch, have);
}

static enum io_rc
push_plain(struct conn *c, struct iovec *v, unsigned n, size_t *sent)
{
	struct msghdr m = { .msg_iov = v, .msg_iovlen = n < PIECES_MAX ? n : PIECES_MAX };
	size_t        want = 0;
	ssize_t       r;

	for (size_t i = 0; i < m.msg_iovlen; i++)
		want += v[i].iov_len;
	do
		r = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	*sent = want;
	return r == (ssize_t)want ? IO_OK : io_short(c, r, sent);
}

/* As io_push. v[0] is not empty. */
static enum io_rc
push(struct conn *c, struct iovec *v, unsigned n, size_t *sent)
{
	if (n > 1 && c->tls == NULL)
		return push_plain(c, v, n, sent);
	if (n > 1 && v->iov_len < RECORD)
		return io_push(c, gather(v, n), sent);
	return io_push(c, strv(v->iov_base, v->iov_len), sent);
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

/* A small unit goes with the rest of the round's. */
static bool
hold(struct conn *c, const struct iovec *v, unsigned n)
{
	size_t all = 0;

	for (unsigned i = 0; i < n; i++)
		all += v[i].iov_len;
	if (c->fd < 0 || c->fault || c->shut || !io_hold(c, all))
		return false;
	for (unsigned i = 0; i < n; i++)
		(void)buf_add(&c->out, strv(v[i].iov_base, v[i].iov_len));
	return true;
}

MAY_YIELD enum wait_rc
conn_send(struct conn *c, struct iovec *v, unsigned n, uint64_t deadline)
{
	bool         begun = false, gone = false;
	enum wait_rc rc;
	enum io_rc   io;
	size_t       sent;

	if (hold(c, v, n))
		return WAIT_OK;
	rc = begin_unit(c, deadline);
	if (rc != WAIT_OK)
		return rc;
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

/* ---- pieces of a file ------------------------------------------------------------------------ */

/* It cannot be read, or is shorter than was said. */
static enum io_rc
file_fails(struct conn *c)
{
	c->unread = true;
	io_fault(c);
	return IO_FAULT;
}

static enum io_rc
copy(struct conn *c, int fd, uint64_t at, size_t n, size_t *sent)
{
	ssize_t r;

	*sent = 0;
	do
		r = pread(fd, scratch, n < sizeof(scratch) ? n : sizeof(scratch), (off_t)at);
	while (r < 0 && errno == EINTR);
	return r > 0 ? io_push(c, strv(scratch, (size_t)r), sent) : file_fails(c);
}

/*
 * As io_push. That sendfile took less does not say that there is no room: the next call tells.  Nor does an error say
 * whose it is, the file's or the peer's, or neither's (EINVAL): reading and sending one by one do.
 */
static enum io_rc
push_file(struct conn *c, int fd, uint64_t at, size_t n, size_t *sent)
{
	off_t   off = (off_t)at;
	ssize_t r;

	if (c->tls != NULL)
		return copy(c, fd, at, n, sent);
	do
		r = sendfile(c->fd, fd, &off, n);
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno != EAGAIN)
		return copy(c, fd, at, n, sent);
	if (r < 0)
		return io_short(c, r, sent);
	*sent = (size_t)r;
	return r > 0 ? IO_OK : file_fails(c);
}

MAY_YIELD enum wait_rc
conn_send_file(struct conn *c, int fd, uint64_t at, uint64_t n, uint64_t deadline)
{
	bool         begun = false, gone = false;
	enum wait_rc rc = begin_unit(c, deadline);
	enum io_rc   io;
	size_t       sent, since = 0;

	if (rc != WAIT_OK)
		return rc;
	while (n > 0 && rc == WAIT_OK) {
		io = push_file(c, fd, at, n < FILE_PIECE ? (size_t)n : FILE_PIECE, &sent);
		begun |= sent > 0 || c->tls != NULL;
		at += sent;
		n -= sent;
		since += sent;
		if (io == IO_FAULT)
			rc = WAIT_CLOSED;
		else if (n > 0)
			rc = between(c, since >= FILE_PIECE, deadline, &gone);
		since %= FILE_PIECE;
	}
	return finish_unit(c, rc, begun, gone);
}
