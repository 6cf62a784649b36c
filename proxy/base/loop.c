/*
 * loop -- descriptors by libevent, timers in our own heap, the wake queue, the hooks of a round.
 *
 * libevent only waits: it never looks at the clock for us, since time belongs to the world and a test
 * moves it by hand.  The one libevent timer here bounds the sleep of a round; it may ring early or for
 * nothing, and then the round simply goes on to the next.
 * The invariant: heap[i]->pos == i + 1 for every timer that runs, and no child is due before its parent.
 */
#include <assert.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "proxy/base/arena.h"
#include "proxy/base/fiber.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

#define HOOKS_MAX 8
/* How often in one round the wake queue is run to where it ended when that run began. */
#define GENERATIONS 4

struct call {
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	struct world      *world;
	struct event_base *base;
	uint64_t           now;
	struct timer     **heap;
	unsigned           n_heap, max_heap;
	struct call       *queue; /* a ring; max_queue is a power of two */
	unsigned           first, n_queue, max_queue;
	struct event       alarm;    /* ends a sleep */
	uint64_t           alarm_at; /* 0: not set */
	struct call        hooks[HOOKS_MAX];
	unsigned           n_hooks;
	bool               stopped, did;
};

/* ---- timers ---------------------------------------------------------------------------------- */

static void
put(struct loop *l, unsigned i, struct timer *t)
{
	l->heap[i] = t;
	t->pos = i + 1;
}

static void
sift_up(struct loop *l, unsigned i, struct timer *t)
{
	while (i > 0 && t->at < l->heap[(i - 1) / 2]->at) {
		put(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(l, i, t);
}

static void
sift_down(struct loop *l, unsigned i, struct timer *t)
{
	unsigned child;

	while ((child = 2 * i + 1) < l->n_heap) {
		if (child + 1 < l->n_heap && l->heap[child + 1]->at < l->heap[child]->at)
			child++;
		if (t->at <= l->heap[child]->at)
			break;
		put(l, i, l->heap[child]);
		i = child;
	}
	put(l, i, t);
}

/* Finds t its place from i on, whichever way that is. */
static void
sift(struct loop *l, unsigned i, struct timer *t)
{
	if (i > 0 && t->at < l->heap[(i - 1) / 2]->at)
		sift_up(l, i, t);
	else
		sift_down(l, i, t);
}

void
timer_start(struct loop *l, struct timer *t, uint64_t at)
{
	assert(t->fn != NULL && at != 0);
	t->at = at;
	if (t->pos != 0) {
		sift(l, t->pos - 1, t);
		return;
	}
	if (l->n_heap == l->max_heap) {
		l->max_heap = l->max_heap == 0 ? 64 : 2 * l->max_heap;
		l->heap = mem_resize(l->heap, l->max_heap * sizeof(*l->heap));
	}
	sift_up(l, l->n_heap++, t);
}

void
timer_stop(struct loop *l, struct timer *t)
{
	unsigned      i = t->pos - 1;
	struct timer *last;

	if (t->pos == 0)
		return;
	assert(i < l->n_heap && l->heap[i] == t);
	t->pos = 0;
	last = l->heap[--l->n_heap];
	if (last != t)
		sift(l, i, last);
}

uint64_t
loop_next_timer(const struct loop *l)
{
	return l->n_heap == 0 ? UINT64_MAX : l->heap[0]->at;
}

/* A timer that a callback starts in the past is run in the next round: so this ends. */
static void
timers_run(struct loop *l)
{
	unsigned      left = l->n_heap;
	struct timer *t;

	while (left-- > 0 && loop_next_timer(l) <= l->now) {
		t = l->heap[0];
		timer_stop(l, t);
		l->did = true;
		t->fn(t->arg);
	}
}

/* ---- the wake queue -------------------------------------------------------------------------- */

static void
queue_grow(struct loop *l)
{
	unsigned     max = l->max_queue == 0 ? 64 : 2 * l->max_queue;
	struct call *queue = mem_array(max, sizeof(*queue));

	for (unsigned i = 0; i < l->n_queue; i++)
		queue[i] = l->queue[(l->first + i) & (l->max_queue - 1)];
	mem_free(l->queue);
	l->queue = queue;
	l->first = 0;
	l->max_queue = max;
}

void
loop_defer(struct loop *l, void (*fn)(void *arg), void *arg)
{
	if (l->n_queue == l->max_queue)
		queue_grow(l);
	l->queue[(l->first + l->n_queue++) & (l->max_queue - 1)] = (struct call){ fn, arg };
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
	struct call call;

	for (unsigned i = 0; i < GENERATIONS && l->n_queue > 0; i++)
		for (unsigned left = l->n_queue; left > 0; left--) {
			call = l->queue[l->first];
			l->first = (l->first + 1) & (l->max_queue - 1);
			l->n_queue--;
			l->did = true;
			call.fn(call.arg);
		}
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

static void
alarm_rang(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd, (void)what;
	l->alarm_at = 0;
}

/*
 * Sees to it that a sleep ends when the nearest timer is due; false: one is due already.  An alarm
 * set for earlier is left as it is: it costs a round for nothing, and that is rarer than moving it.
 */
static bool
alarm_set(struct loop *l)
{
	uint64_t next = loop_next_timer(l), now, ms;

	if (next == UINT64_MAX || (l->alarm_at != 0 && l->alarm_at <= next))
		return true;
	now = l->world->now(l->world);
	if (next <= now)
		return false;
	ms = next - now;
	if (ms > 24 * 3600 * 1000)
		ms = 24 * 3600 * 1000;
	event_add(&l->alarm, &(struct timeval){ (time_t)(ms / 1000), (long)(ms % 1000 * 1000) });
	l->alarm_at = now + ms;
	return true;
}

/* -1: nothing is there that could ever be ready or due. */
static int
round_once(struct loop *l, bool block)
{
	bool sleeps = block && l->n_queue == 0 && alarm_set(l);
	int  rc;

	assert(fiber_self() == NULL);
	l->did = false;
	rc = event_base_loop(l->base, sleeps ? EVLOOP_ONCE : EVLOOP_NONBLOCK);
	l->now = l->world->now(l->world);
	timers_run(l);
	queue_run(l);
	hooks_run(l);
	return sleeps && rc != 0 && !l->did ? -1 : l->did;
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

void
loop_noted(struct loop *l)
{
	/* The first event after a sleep: what it starts must not count from before that sleep. */
	if (!l->did)
		l->now = l->world->now(l->world);
	l->did = true;
}

/* ---- libevent's complaints ------------------------------------------------------------------- */

static struct world *complaints_to;

/* It would write them to stderr. */
static void
complain(int severity, const char *text)
{
	if (complaints_to != NULL && complaints_to->log != NULL && severity >= EVENT_LOG_WARN)
		log_event(complaints_to, SV("-"), "libevent", "%s", text);
}

/* ---- making and freeing ---------------------------------------------------------------------- */

/*
 * No precise timers: they cost a timerfd.  No change list: event_add shall fail where epoll_ctl does.
 * No cached time: nothing of ours asks libevent what time it is.
 */
static struct event_base *
base_new(void)
{
	struct event_config *cfg = event_config_new();
	struct event_base   *base = NULL;

	if (cfg == NULL)
		return NULL;
	if (event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK) == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_IGNORE_ENV) == 0 &&
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0)
		base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	return base;
}

struct loop *
loop_new(struct world *w)
{
	struct event_base *base;
	struct loop       *l;

	complaints_to = w;
	event_set_log_callback(complain);
	base = base_new();
	if (base == NULL)
		return NULL;
	l = mem_alloc(sizeof(*l));
	l->world = w;
	l->base = base;
	l->now = w->now(w);
	event_assign(&l->alarm, base, -1, 0, alarm_rang, l);
	return l;
}

void
loop_free(struct loop *l)
{
	if (complaints_to == l->world)
		complaints_to = NULL;
	event_del(&l->alarm);
	event_base_free(l->base);
	mem_free(l->heap);
	mem_free(l->queue);
	mem_free(l);
}

struct world *
loop_world(struct loop *l)
{
	return l->world;
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

uint64_t
loop_now(const struct loop *l)
{
	return l->now;
}
