/*
 * loop -- descriptors by epoll, timers (timer_heap.c), the wake queue, the hooks of a round.
 *
 * epoll and not an event library: a connection's share of this is 32 octets and, as it is closed, no system
 * call.  The kernel's clock only bounds a sleep: time belongs to the world, and a test moves it by hand.
 * The invariant: of ready[at..n) none speaks of a descriptor that is not watched any more.
 */
#include <assert.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/doing.h"
#include "proxy/base/fiber.h"
#include "proxy/base/loop.h"
#include "proxy/base/timer_heap.h"
#include "proxy/base/world.h"

#define HOOKS_MAX 8
/* How often in one round the wake queue is run to where it ended when that run began. */
#define GENERATIONS 4
#define READY_MAX   128 /* told of in one round */

struct call {
	void (*fn)(void *arg);
	void *arg;
};

/* A plugin in process has forked: its child holds all that is open, so that a close ends nothing. */
static bool has_forked;

struct ring {
	struct call *v; /* max is a power of two */
	unsigned     first, n, max;
};

struct loop {
	struct world      *world;
	int                ep;
	uint64_t           now;
	struct timer_heap  timers;
	struct ring        queue, heavy;
	unsigned           n_heavy; /* pieces of heavy work in this round */
	struct epoll_event ready[READY_MAX];
	int                at, n_ready; /* the next to be told of */
	unsigned           n_watched;
	struct call        sender;
	struct call        hooks[HOOKS_MAX];
	unsigned           n_hooks;
	bool               stopped, did;
};

/* ---- timers ---------------------------------------------------------------------------------- */

void
timer_start(struct loop *l, struct timer *t, uint64_t at)
{
	assert(t->fn != NULL && at != 0);
	t->at = at;
	timer_heap_put(&l->timers, t);
}

void
timer_stop(struct loop *l, struct timer *t)
{
	if (t->pos != 0)
		timer_heap_take(&l->timers, t);
}

uint64_t
loop_next_timer(const struct loop *l)
{
	return l->timers.n == 0 ? UINT64_MAX : l->timers.v[0]->at;
}

/* A timer that a callback starts in the past is run in the next round: so this ends. */
static void
timers_run(struct loop *l)
{
	unsigned      left = l->timers.n;
	struct timer *t;

	while (left-- > 0 && loop_next_timer(l) <= l->now) {
		t = l->timers.v[0];
		timer_stop(l, t);
		l->did = true;
		t->fn(t->arg);
	}
}

/* ---- the wake queue -------------------------------------------------------------------------- */

static void
ring_grow(struct ring *r)
{
	unsigned     max = r->max == 0 ? 64 : 2 * r->max;
	struct call *v = mem_array(max, sizeof(*v));

	for (unsigned i = 0; i < r->n; i++)
		v[i] = r->v[(r->first + i) & (r->max - 1)];
	mem_free(r->v);
	r->v = v;
	r->first = 0;
	r->max = max;
}

static void
ring_add(struct ring *r, void (*fn)(void *arg), void *arg)
{
	if (r->n == r->max)
		ring_grow(r);
	r->v[(r->first + r->n++) & (r->max - 1)] = (struct call){ fn, arg };
}

static void
ring_call(struct loop *l, struct ring *r)
{
	struct call call = r->v[r->first];

	r->first = (r->first + 1) & (r->max - 1);
	r->n--;
	l->did = true;
	call.fn(call.arg);
}

void
loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
	ring_add(&l->queue, fn, arg);
}

static void
resume(void *fiber)
{
	fiber_resume(fiber);
}

void
loop_queue_fiber(struct loop *l, struct fiber *f)
{
	loop_defer(l, resume, f);
}

static void
queue_run(struct loop *l)
{
	for (unsigned i = 0; i < GENERATIONS && l->queue.n > 0; i++)
		for (unsigned left = l->queue.n; left > 0; left--)
			ring_call(l, &l->queue);
}

bool
loop_heavy(struct loop *l, struct fiber *f)
{
	if (l->n_heavy < LOOP_HEAVY && l->heavy.n == 0) {
		l->n_heavy++;
		loop_send(l);
		return true;
	}
	ring_add(&l->heavy, resume, f);
	return false;
}

/*
 * Where many wait for one answer (the key of a domain whose messages come together) each would compute in turn, and
 * what the first of them has to send and to hear would wait for the last.  So a round, in which all that is ready is
 * served, stands between a few and the next few; one by one they would find the caches cold, which is a seventh of
 * what a verified message costs.
 */
static void
heavy_run(struct loop *l)
{
	if (l->heavy.n > 0)
		loop_send(l);
	for (; l->n_heavy < LOOP_HEAVY && l->heavy.n > 0; l->n_heavy++)
		ring_call(l, &l->heavy);
	l->n_heavy = 0;
	l->did |= l->heavy.n > 0; /* those have the next round, which is not idle */
}

/* ---- descriptors ----------------------------------------------------------------------------- */

bool
loop_watch(struct loop *l, struct loop_fd *f, unsigned wants)
{
	struct epoll_event ev = { .data.ptr = f };

	assert(f->fn != NULL);
	ev.events = (wants & LOOP_READ ? EPOLLIN : 0u) | (wants & LOOP_WRITE ? EPOLLOUT : 0u) |
	    (wants & LOOP_CLOSED ? EPOLLRDHUP : 0u) | (wants & LOOP_EDGE ? EPOLLET : 0u);
	if (epoll_ctl(l->ep, f->on ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, f->fd, &ev) != 0)
		return false;
	l->n_watched += !f->on;
	f->on = true;
	f->wants = (uint8_t)wants;
	return true;
}

static void
forget(struct loop *l, struct loop_fd *f)
{
	if (!f->on)
		return;
	f->on = false;
	l->n_watched--;
	for (int i = l->at; i < l->n_ready; i++)
		if (l->ready[i].data.ptr == f)
			l->ready[i].data.ptr = NULL;
}

void
loop_unwatch(struct loop *l, struct loop_fd *f)
{
	if (f->on)
		(void)epoll_ctl(l->ep, EPOLL_CTL_DEL, f->fd, NULL);
	forget(l, f);
}

void
loop_forget(struct loop *l, struct loop_fd *f)
{
	if (has_forked)
		loop_unwatch(l, f);
	else
		forget(l, f);
}

/* EPOLLERR and EPOLLHUP are told unasked: whoever reads or writes then hears what it is. */
static unsigned
happened(uint32_t events)
{
	if ((events & EPOLLERR) || (events & (EPOLLHUP | EPOLLRDHUP)) == EPOLLHUP)
		return LOOP_READ | LOOP_WRITE | LOOP_FAULT;
	return (events & EPOLLIN ? LOOP_READ : 0u) | (events & EPOLLOUT ? LOOP_WRITE : 0u) |
	    (events & EPOLLRDHUP ? LOOP_CLOSED : 0u);
}

static void
fds_run(struct loop *l, int ms)
{
	int n;

	doing_waits();
	n = epoll_wait(l->ep, l->ready, READY_MAX, ms);
	doing_works();
	l->now = l->world->now(l->world);
	l->n_ready = n;
	for (l->at = 0; l->at < l->n_ready;) {
		const struct epoll_event *ev = &l->ready[l->at++];
		struct loop_fd           *f = ev->data.ptr;
		unsigned                  what = happened(ev->events);

		if (f == NULL || (what & f->wants) == 0)
			continue;
		l->did = true;
		f->fn(f->arg, what & (f->wants | LOOP_FAULT));
	}
	l->at = l->n_ready = 0;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

void
loop_at_round_end(struct loop *l, void (*hook)(void *arg), void *arg)
{
	assert(l->n_hooks < HOOKS_MAX);
	l->hooks[l->n_hooks++] = (struct call){ hook, arg };
}

static void
hooks_run(struct loop *l)
{
	for (unsigned i = 0; i < l->n_hooks; i++)
		l->hooks[i].fn(l->hooks[i].arg);
}

void
loop_set_sender(struct loop *l, void (*send)(void *arg), void *arg)
{
	l->sender = (struct call){ send, arg };
}

void *
loop_sender(const struct loop *l)
{
	return l->sender.arg;
}

void
loop_send(struct loop *l)
{
	if (l->sender.fn != NULL)
		l->sender.fn(l->sender.arg);
}

/* How long a round may sleep, for epoll_wait(). */
static int
sleep_ms(const struct loop *l)
{
	uint64_t next = loop_next_timer(l), now;

	if (next == UINT64_MAX)
		return -1;
	now = l->world->now(l->world);
	if (next <= now)
		return 0;
	return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

/* -1: nothing is there that could ever be ready or due. */
static int
round_once(struct loop *l, bool block)
{
	bool sleeps = block && l->queue.n == 0 && l->heavy.n == 0;

	assert(fiber_self() == NULL);
	if (sleeps && l->n_watched == 0 && l->timers.n == 0)
		return -1;
	l->did = false;
	fds_run(l, sleeps ? sleep_ms(l) : 0);
	timers_run(l);
	queue_run(l);
	heavy_run(l);
	loop_send(l);
	hooks_run(l);
	return l->did;
}

bool
loop_round(struct loop *l, bool block)
{
	return round_once(l, block) > 0;
}

void
loop_run(struct loop *l)
{
	l->stopped = false;
	while (!l->stopped && round_once(l, true) >= 0)
		continue;
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
}

/* ---- making and freeing ---------------------------------------------------------------------- */

static void
note_fork(void)
{
	has_forked = true;
}

struct loop *
loop_new(struct world *w)
{
	static bool  told;
	int          ep = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l;

	if (ep < 0)
		return NULL;
	if (!told)
		told = pthread_atfork(note_fork, NULL, NULL) == 0;
	l = mem_alloc(sizeof(*l));
	l->world = w;
	l->ep = ep;
	l->now = w->now(w);
	return l;
}

void
loop_free(struct loop *l)
{
	close(l->ep);
	mem_free(l->timers.v);
	mem_free(l->queue.v);
	mem_free(l->heavy.v);
	mem_free(l);
}

struct world *
loop_world(struct loop *l)
{
	return l->world;
}

uint64_t
loop_now(const struct loop *l)
{
	return l->now;
}
