/*
 * io_dial.c -- how a connection is made.
 *
 * Not for how long that may take: its owner waits (conn_connected), and gives up.
 * A unix socket whose listener has a full queue (connect(2): EAGAIN) tells nobody of the next free place there, so it
 * is tried again by the clock.  The invariant: while c->dial is there c->fd is a socket that is not watched and
 * connected to nobody, which stands for the one to come (so c->fd is a descriptor for whoever has c, as ever).
 */
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/io_own.h"
#include "proxy/base/world.h"

enum {
	AGAIN_MS = 10,     /* until it is tried again; twice as long each time, */
	AGAIN_MAX_MS = 200 /* up to this */
};

struct io_dial {
	struct conn    *c;
	struct endpoint to;
	struct timer    timer;
	unsigned        ms; /* of the wait that is under way */
};

void
io_dial_end(struct conn *c)
{
	if (c->dial == NULL)
		return;
	timer_stop(c->loop, &c->dial->timer);
	mem_free(c->dial);
	c->dial = NULL;
}

static void
dial_wait(struct conn *c, unsigned ms)
{
	c->dial->ms = ms < AGAIN_MAX_MS ? ms : AGAIN_MAX_MS;
	timer_start(c->loop, &c->dial->timer, loop_now(c->loop) + c->dial->ms);
}

static void
dial_again(void *arg)
{
	struct io_dial *d = arg;
	struct conn    *c = d->c;
	struct world   *w = loop_world(c->loop);
	const char     *why = "the event loop has no room for it";
	int             fd = w->connect(w, &d->to, &why);

	if (fd == WORLD_AGAIN) {
		dial_wait(c, 2 * d->ms);
		return;
	}
	io_dial_end(c);
	if (fd >= 0) {
		close(c->fd);
		c->fd = c->watch.fd = fd;
	}
	/* That it is made is told by its event. */
	if (fd >= 0 && io_listen(c, true))
		return;
	c->failed = why;
	c->connecting = false;
	c->ended = true;
	io_fault(c);
	io_tell(c, true, true);
}

static bool
dial_later(struct conn *c, struct loop *l, const struct endpoint *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	io_prepare(c, l, fd, true);
	c->dial = mem_alloc(sizeof(*c->dial));
	c->dial->c = c;
	c->dial->to = *to;
	c->dial->timer = (struct timer){ .fn = dial_again, .arg = c->dial };
	dial_wait(c, AGAIN_MS);
	return true;
}

bool
conn_dial(struct conn *c, struct loop *l, const struct endpoint *to, void (*on_event)(void *),
    void *arg, const char **why)
{
	struct world *w = loop_world(l);
	int           fd = w->connect(w, to, why);

	*c = (struct conn){ .fd = -1, .on_event = on_event, .arg = arg };
	if (fd == WORLD_AGAIN)
		return dial_later(c, l, to);
	if (fd < 0)
		return false;
	io_prepare(c, l, fd, true);
	if (io_start(c))
		return true;
	*why = "the event loop has no room for it";
	return false;
}
