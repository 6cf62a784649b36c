/*
 * world_dns_events.c -- what libunbound takes for an event library: its descriptors and timers, watched by our loop.
 *
 * The library asks for an event base by a table of calls modelled on libevent's, and this is one over loop_watch and
 * timer_start; what is asked of the DNS, and of whom, is not known here (world_dns.c).  A signal is refused, and what
 * is there for Windows does nothing: a context that lives on somebody's loop wants neither.
 */
#include "proxy/base/world_dns_own.h"

#include "config.h"

#if HAVE_UNBOUND

#include <sys/time.h>

#include <unbound-event.h>

#include "proxy/base/arena.h"
#include "proxy/base/dns_silence.h"
#include "proxy/base/loop.h"

struct event { /* what libunbound takes for an event of its base */
	struct ub_event head;
	struct loop    *loop;
	struct loop_fd  fd;
	struct timer    timer;
	short           bits;
	void (*cb)(int, short, void *);
	void *arg;
};

static struct base {
	struct ub_event_base head; /* first: the library hands it back */
	struct loop         *loop;
} the_base;

static uint64_t
ms_of(const struct timeval *tv)
{
	return (uint64_t)tv->tv_sec * 1000 + ((uint64_t)tv->tv_usec + 999) / 1000;
}

static void
event_stop(struct event *e)
{
	loop_unwatch(e->loop, &e->fd);
	timer_stop(e->loop, &e->timer);
}

/* As libevent has it: what does not persist is over by then. The callback may free the event. */
static void
fd_rang(void *arg, unsigned what)
{
	struct event *e = arg;
	short         bits =
	    (short)((what & LOOP_READ ? UB_EV_READ : 0) | (what & LOOP_WRITE ? UB_EV_WRITE : 0));

	/* "Connection refused" can be read, too, and is no answer of a resolver. */
	if ((what & LOOP_READ) && !(what & LOOP_FAULT))
		dns_silence_heard();
	if ((e->bits & UB_EV_PERSIST) == 0)
		event_stop(e);
	e->cb(e->fd.fd, (short)(bits & e->bits), e->arg);
}

static void
timer_rang(void *arg)
{
	struct event *e = arg;

	if ((e->bits & UB_EV_PERSIST) == 0)
		event_stop(e);
	e->cb(e->fd.fd, UB_EV_TIMEOUT, e->arg);
}

static void
add_bits(struct ub_event *e, short bits)
{
	((struct event *)e)->bits |= bits;
}

static void
del_bits(struct ub_event *e, short bits)
{
	((struct event *)e)->bits &= (short)~bits;
}

static void
set_fd(struct ub_event *e, int fd)
{
	((struct event *)e)->fd.fd = fd;
}

static void
event_free(struct ub_event *ev)
{
	event_stop((struct event *)ev);
	mem_free(ev);
}

static int
event_add(struct ub_event *ev, struct timeval *tv)
{
	struct event *e = (struct event *)ev;
	unsigned      wants = (e->bits & UB_EV_READ ? LOOP_READ : 0u) |
	    (e->bits & UB_EV_WRITE ? LOOP_WRITE : 0u);

	if (e->fd.fd >= 0 && wants != 0 && !loop_watch(e->loop, &e->fd, wants))
		return -1;
	if (tv != NULL && (e->bits & UB_EV_TIMEOUT) != 0)
		timer_start(e->loop, &e->timer, loop_now(e->loop) + ms_of(tv));
	return 0;
}

static int
event_del(struct ub_event *ev)
{
	event_stop((struct event *)ev);
	return 0;
}

static int
add_timer(struct ub_event *ev, struct ub_event_base *base, void (*cb)(int, short, void *),
    void *arg, struct timeval *tv)
{
	struct event *e = (struct event *)ev;

	(void)base;
	event_stop(e);
	e->cb = cb;
	e->arg = arg;
	e->bits = UB_EV_TIMEOUT;
	e->fd.fd = -1;
	return event_add(ev, tv);
}

static int
no_signal(struct ub_event *e, struct timeval *tv)
{
	(void)e, (void)tv;
	return -1;
}

static void
no_winsock(struct ub_event *e)
{
	(void)e;
}

static void
no_winsock_bits(struct ub_event *e, int bits)
{
	(void)e, (void)bits;
}

static struct ub_event *
new_event(struct ub_event_base *base, int fd, short bits, void (*cb)(int, short, void *), void *arg)
{
	static struct ub_event_vmt vmt = { .add_bits = add_bits,
		.del_bits = del_bits,
		.set_fd = set_fd,
		.free = event_free,
		.add = event_add,
		.del = event_del,
		.add_timer = add_timer,
		.del_timer = event_del,
		.add_signal = no_signal,
		.del_signal = event_del,
		.winsock_unregister_wsaevent = no_winsock,
		.winsock_tcp_wouldblock = no_winsock_bits };
	struct event              *e = mem_alloc(sizeof(*e));

	*e = (struct event){ .head = { UB_EVENT_MAGIC, &vmt },
		.loop = ((struct base *)base)->loop,
		.fd = { .fn = fd_rang, .arg = e, .fd = fd },
		.timer = { .fn = timer_rang, .arg = e },
		.bits = bits,
		.cb = cb,
		.arg = arg };
	return &e->head;
}

static struct ub_event *
new_signal(struct ub_event_base *base, int fd, void (*cb)(int, short, void *), void *arg)
{
	(void)base, (void)fd, (void)cb, (void)arg;
	return NULL;
}

static struct ub_event *
new_wsaevent(struct ub_event_base *base, void *wsaevent, void (*cb)(int, short, void *), void *arg)
{
	(void)base, (void)wsaevent, (void)cb, (void)arg;
	return NULL;
}

static void
base_free(struct ub_event_base *base)
{
	(void)base; /* the loop is the worker's */
}

static int
base_run(struct ub_event_base *base)
{
	(void)base;
	return -1;
}

static int
base_exit(struct ub_event_base *base, struct timeval *tv)
{
	(void)base, (void)tv;
	return 0;
}

struct ub_event_base *
world_dns_events(struct loop *l)
{
	static struct ub_event_base_vmt vmt = { .free = base_free,
		.dispatch = base_run,
		.loopexit = base_exit,
		.new_event = new_event,
		.new_signal = new_signal,
		.winsock_register_wsaevent = new_wsaevent };

	the_base = (struct base){ .head = { UB_EVENT_MAGIC, &vmt }, .loop = l };
	return &the_base.head;
}

#endif
