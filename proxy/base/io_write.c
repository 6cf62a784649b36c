/*
 * io_write.c -- what goes out without waiting: at once what the kernel takes, then from a queue.
 *
 * Not for who waits until something is out (io_send.c), nor for the news of room (io.c).
 * The invariants are those of io_own.h; and our side is ended only when the queue is empty.
 */
#include <errno.h>
#include <sys/socket.h>

#include "proxy/base/io_own.h"
#include "proxy/base/tls.h"

/* Where that cannot be seen to which an IO_AGAIN waits for, it is a fault, too. */
static enum io_rc
stopped(struct conn *c, enum io_rc rc)
{
	if (rc == IO_AGAIN)
		conn_want_write(c);
	else
		io_fault(c);
	return c->fault ? IO_FAULT : IO_AGAIN;
}

enum io_rc
io_short(struct conn *c, ssize_t r, size_t *sent)
{
	*sent = r > 0 ? (size_t)r : 0;
	return stopped(c, r >= 0 || errno == EAGAIN ? IO_AGAIN : IO_FAULT);
}

enum io_rc
io_push(struct conn *c, struct strv v, size_t *sent)
{
	int        flags = MSG_NOSIGNAL | MSG_DONTWAIT | (c->more ? MSG_MORE : 0);
	ssize_t    r;
	enum io_rc rc;

	if (c->tls != NULL) {
		rc = tls_send(c->tls, v.p, v.n, sent);
		return rc == IO_OK ? rc : stopped(c, rc);
	}
	do
		r = send(c->fd, v.p, v.n, flags);
	while (r < 0 && errno == EINTR);
	*sent = v.n;
	return r == (ssize_t)v.n ? IO_OK : io_short(c, r, sent);
}

/* ---- the queue, and the end behind it -------------------------------------------------------- */

void
io_flush(struct conn *c)
{
	size_t     done = 0, sent;
	enum io_rc rc = IO_OK;

	while (rc == IO_OK && done < c->out.n) {
		rc = io_push(c, strv_from(buf_view(&c->out), done), &sent);
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
	if (!io_must_wait(c) && c->held == 0)
		io_flush(c);
}

static bool
keep(struct conn *c, struct strv v)
{
	if (buf_add(&c->out, v))
		return true;
	io_fault(c);
	return false;
}

bool
conn_queue_v(struct conn *c, struct strv v)
{
	size_t     sent;
	enum io_rc rc = IO_OK;

	if (c->fd < 0 || c->fault || c->shut)
		return false;
	if (io_hold(c, v.n))
		return keep(c, v);
	if (c->fault)
		return false; /* what was held has met it */
	if (c->out.n == 0 && !io_must_wait(c))
		while (v.n > 0 && rc == IO_OK) {
			rc = io_push(c, v, &sent);
			v = strv_from(v, sent);
		}
	return rc != IO_FAULT && (v.n == 0 || keep(c, v));
}

bool
conn_queue_secret(struct conn *c, struct strv v)
{
	bool ok;

	conn_flush(c);
	c->now = true;
	ok = conn_queue_v(c, v);
	c->now = false;
	return ok;
}

bool
conn_queue_bye(struct conn *c, struct strv v)
{
	bool ok;

	conn_flush(c);
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
