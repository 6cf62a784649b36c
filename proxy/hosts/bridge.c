/*
 * bridge -- see the header.
 *
 * One mutex over the queue and over who waits for what.  The invariant: a call has one owner, its caller or the loop,
 * and the mutex is held where that changes.  Who waits does so on a condition of its own stack, which the loop reaches
 * through the call alone; who leaves takes it away first.
 */
#include "proxy/hosts/bridge.h"

#include <assert.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

#define BURST 256 /* calls a round of the loop */

struct bridge_wait { /* on the stack of who waits */
	pthread_cond_t cond;
	bool           done;
};

struct bridge {
	pthread_mutex_t     lock;
	pthread_condattr_t  clock;        /* of conditions: monotonic */
	pthread_cond_t      room;         /* octets have gone */
	struct bridge_call *first, *last; /* that the loop has not taken yet */
	size_t              octets, max;  /* in flight */
	unsigned            waiting;
	bool                closed, stopped;
	int                 wake;
	struct loop        *loop;
	struct loop_fd      in;
};

/* ---- time ------------------------------------------------------------------------------------ */

/* The world's clock is the loop's; this one says the same to threads. */
static struct timespec
now_and(uint64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += (time_t)(ms / 1000);
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void
rouse(struct bridge *b)
{
	static const uint64_t one = 1;

	/* A full counter is as awake as can be. */
	(void)!write(b->wake, &one, sizeof(one));
}

static struct bridge_call *
take(struct bridge *b)
{
	struct bridge_call *c;

	pthread_mutex_lock(&b->lock);
	c = b->first;
	if (c != NULL)
		b->first = c->next;
	if (b->first == NULL)
		b->last = NULL;
	pthread_mutex_unlock(&b->lock);
	return c;
}

static void
woken(void *arg, unsigned what)
{
	struct bridge      *b = arg;
	struct bridge_call *c;
	uint64_t            n;
	unsigned            taken = 0;
	bool                stopped;

	(void)what;
	(void)!read(b->wake, &n, sizeof(n));
	while (taken < BURST && (c = take(b)) != NULL) {
		taken++;
		c->run(c);
	}
	if (taken == BURST)
		rouse(b);
	pthread_mutex_lock(&b->lock);
	stopped = b->stopped;
	pthread_mutex_unlock(&b->lock);
	if (stopped)
		loop_stop(b->loop);
}

bool
bridge_done(struct bridge *b, struct bridge_call *c)
{
	bool waited;

	pthread_mutex_lock(&b->lock);
	waited = c->wait != NULL;
	b->octets -= c->octets;
	pthread_cond_broadcast(&b->room);
	if (waited) {
		c->wait->done = true;
		pthread_cond_signal(&c->wait->cond);
		c->wait = NULL;
		b->waiting--;
	}
	pthread_mutex_unlock(&b->lock);
	if (!waited)
		c->drop(c);
	return waited;
}

bool
bridge_start(struct bridge *b, struct loop *l)
{
	b->loop = l;
	b->in = (struct loop_fd){ .fn = woken, .arg = b, .fd = b->wake };
	return loop_watch(l, &b->in, LOOP_READ);
}

/* ---- the threads' side ----------------------------------------------------------------------- */

struct bridge *
bridge_new(size_t octets)
{
	struct bridge *b = mem_alloc(sizeof(*b));

	b->max = octets;
	b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->wake < 0) {
		mem_free(b);
		return NULL;
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&b->clock);
	pthread_condattr_setclock(&b->clock, CLOCK_MONOTONIC);
	pthread_cond_init(&b->room, &b->clock);
	return b;
}

/* The lock is held. Alone a call of any size goes through. False: it is closed, or the time is over. */
static bool
wait_for_room(struct bridge *b, const struct bridge_call *c, const struct timespec *until)
{
	while (!b->closed && b->octets > 0 && b->octets + c->octets > b->max)
		if (pthread_cond_timedwait(&b->room, &b->lock, until) != 0)
			return false;
	return !b->closed;
}

static void
queue(struct bridge *b, struct bridge_call *c)
{
	c->next = NULL;
	b->octets += c->octets;
	if (b->last != NULL)
		b->last->next = c;
	else
		b->first = c;
	b->last = c;
	rouse(b);
}

/*
 * The lock is held, but for while still() runs: that one writes to its peer.  An answer that came meanwhile counts more
 * than a peer that has gone.
 */
static enum bridge_rc
wait_for_answer(struct bridge *b, struct bridge_wait *w, const struct bridge_patience *p,
    const struct timespec *until)
{
	struct timespec next = now_and(p->every), *stop;
	bool            there = true;

	while (!w->done) {
		stop = p->every > 0 && is_before(&next, until) ? &next : (struct timespec *)until;
		if (pthread_cond_timedwait(&w->cond, &b->lock, stop) == 0 || w->done)
			continue;
		if (stop != &next)
			return BRIDGE_LATE;
		pthread_mutex_unlock(&b->lock);
		there = p->still(p->arg);
		pthread_mutex_lock(&b->lock);
		if (!there && !w->done)
			return BRIDGE_LEFT;
		next = now_and(p->every);
	}
	return BRIDGE_DONE;
}

enum bridge_rc
bridge_ask(struct bridge *b, struct bridge_call *c, const struct bridge_patience *p)
{
	struct bridge_wait w = { .done = false };
	struct timespec    until = now_and(p->ms);
	enum bridge_rc     rc = BRIDGE_CLOSED;

	pthread_cond_init(&w.cond, &b->clock);
	pthread_mutex_lock(&b->lock);
	if (wait_for_room(b, c, &until)) {
		c->wait = &w;
		b->waiting++;
		queue(b, c);
		rc = wait_for_answer(b, &w, p, &until);
		if (rc != BRIDGE_DONE) {
			c->wait = NULL;
			b->waiting--;
		}
	}
	pthread_mutex_unlock(&b->lock);
	pthread_cond_destroy(&w.cond);
	return rc;
}

bool
bridge_tell(struct bridge *b, struct bridge_call *c)
{
	bool good;

	pthread_mutex_lock(&b->lock);
	good = !b->closed;
	c->wait = NULL;
	if (good)
		queue(b, c);
	pthread_mutex_unlock(&b->lock);
	return good;
}

void
bridge_close(struct bridge *b)
{
	pthread_mutex_lock(&b->lock);
	b->closed = true;
	pthread_cond_broadcast(&b->room);
	pthread_mutex_unlock(&b->lock);
}

unsigned
bridge_waiting(struct bridge *b)
{
	unsigned n;

	pthread_mutex_lock(&b->lock);
	n = b->waiting;
	pthread_mutex_unlock(&b->lock);
	return n;
}

void
bridge_stop(struct bridge *b)
{
	pthread_mutex_lock(&b->lock);
	b->stopped = true;
	pthread_mutex_unlock(&b->lock);
	rouse(b);
}

void
bridge_free(struct bridge *b)
{
	assert(b->first == NULL && b->waiting == 0);
	if (b->loop != NULL)
		loop_unwatch(b->loop, &b->in);
	close(b->wake);
	pthread_cond_destroy(&b->room);
	pthread_condattr_destroy(&b->clock);
	pthread_mutex_destroy(&b->lock);
	mem_free(b);
}
