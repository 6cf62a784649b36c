/*
 * fiber.c -- who runs when: fibers that are started, parked, woken, cancelled and joined.
 *
 * A pooled stack is never left for good: the trampoline runs one function after the other, so that a fiber
 * started on a warm stack costs two switches (stack.h).
 * The invariant: only the loop's side enters a fiber and a fiber only ever leaves to the loop's side.
 */
#include <assert.h>
#include <errno.h>

#include "proxy/base/fiber_own.h"
#include "proxy/base/loop.h"
#include "proxy/base/stack.h"

static struct fiber *current;

static struct fiber_own *
own(struct fiber *f)
{
	return f->own;
}

/* ---- switching ------------------------------------------------------------------------------- */

/* What runs on the stack: the functions of all fibers that it will ever carry. */
static void
trampoline(void *arg)
{
	struct fiber_own *o = arg;

	for (;;) {
		o->fn(o->arg);
		for (struct fiber *f = o->f.children; f != NULL; f = f->sibling)
			fiber_cancel(f);
		o->joining = true;
		while (o->f.children != NULL)
			fiber_hold("the end of its children");
		o->state = FIBER_OVER;
		stack_leave(o->stack, true);
	}
}

/* ---- children -------------------------------------------------------------------------------- */

static void
adopt(struct fiber *parent, struct fiber *f)
{
	f->parent = parent;
	f->sibling = parent->children;
	if (f->sibling != NULL)
		own(f->sibling)->elder = f;
	parent->children = f;
	f->cancelled = parent->cancelled;
}

static void
leave_parent(struct fiber *f)
{
	struct fiber *parent = f->parent, *elder = own(f)->elder;

	if (parent == NULL)
		return;
	if (elder != NULL)
		elder->sibling = f->sibling;
	else
		parent->children = f->sibling;
	if (f->sibling != NULL)
		own(f->sibling)->elder = elder;
	f->parent = NULL;
	if (parent->children == NULL && own(parent)->joining)
		fiber_wake(parent);
}

/* ---- running --------------------------------------------------------------------------------- */

void
fiber_resume(struct fiber *f)
{
	struct fiber_own *o = own(f);

	assert(current == NULL && (o->state == FIBER_QUEUED || o->state == FIBER_PARKED));
	o->queued = false;
	o->state = FIBER_RUNNING;
	current = f;
	stack_enter(o->stack, trampoline, o);
	current = NULL;
	if (o->state != FIBER_OVER)
		return;
	timer_stop(o->pool->loop, &o->timer);
	leave_parent(f);
	fiber_give(o);
}

static void due(void *arg);

/* A fiber that has not run yet, of nobody. */
static struct fiber *
prepare(struct fiber_pool *p, const char *name, void (*fn)(void *), void *arg)
{
	struct fiber_own *o = fiber_take(p);

	if (o == NULL)
		return NULL;
	o->f = (struct fiber){ .name = name, .own = o };
	o->state = FIBER_QUEUED;
	o->timer.fn = due;
	o->timer.arg = o;
	o->queued = o->woken = o->joining = false;
	o->elder = NULL;
	o->fn = fn;
	o->arg = arg;
	return &o->f;
}

static void
queue(struct fiber *f)
{
	own(f)->queued = true;
	loop_queue_fiber(own(f)->pool->loop, f);
}

struct fiber *
fiber_start(struct fiber_pool *p, const char *name, void (*fn)(void *), void *arg)
{
	struct fiber *f = prepare(p, name, fn, arg);

	if (f == NULL)
		return NULL;
	if (current != NULL) {
		adopt(current, f);
		queue(f);
	} else
		fiber_resume(f);
	return f;
}

/* What is only done early may not take the last stacks from those who do the work. */
struct fiber *
fiber_spawn(const char *name, void (*fn)(void *), void *arg)
{
	struct fiber_pool *p;
	struct fiber      *f;

	assert(current != NULL);
	p = own(current)->pool;
	if (p->n_live >= p->max - p->max / 4)
		return NULL;
	f = prepare(p, name, fn, arg);
	if (f != NULL)
		queue(f);
	return f;
}

struct fiber *
fiber_self(void)
{
	return current;
}

struct loop *
fiber_loop(void)
{
	assert(current != NULL);
	return current->own->pool->loop;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static uint64_t
nearer(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static void
wake(struct fiber_own *o, enum wait_rc rc)
{
	o->rc = rc;
	if (o->queued)
		return;
	o->queued = true;
	loop_queue_fiber(o->pool->loop, &o->f);
}

/*
 * The timer is lazy: a wait that ends in time leaves it running, the next wait moves it only to ring
 * earlier, and when it rings it looks at what is true by then.
 */
static void
due(void *arg)
{
	struct fiber_own *o = arg;
	struct loop      *l = o->pool->loop;

	if (o->state != FIBER_PARKED || o->queued || o->until == 0)
		return;
	if (o->until <= loop_now(l))
		wake(o, WAIT_TIMEOUT);
	else
		timer_start(l, &o->timer, o->until);
}

static enum wait_rc
park(struct fiber_own *o, const char *what, uint64_t until)
{
	int saved = errno;

	o->until = until;
	if (until != 0 && (o->timer.pos == 0 || o->timer.at > until))
		timer_start(o->pool->loop, &o->timer, until);
	o->f.waits_for = what;
	o->state = FIBER_PARKED;
	stack_leave(o->stack, false);
	o->f.waits_for = NULL;
	errno = saved;
	return o->rc;
}

MAY_YIELD enum wait_rc
fiber_park(const char *what, uint64_t deadline)
{
	struct fiber     *f = current;
	struct fiber_own *o;
	enum wait_rc      rc;

	assert(f != NULL);
	o = own(f);
	if (f->cancelled)
		return WAIT_CANCELLED;
	if (o->woken) {
		o->woken = false;
		return WAIT_OK;
	}
	deadline = nearer(deadline, f->deadline);
	if (deadline != 0 && deadline <= loop_now(o->pool->loop))
		return WAIT_TIMEOUT;
	rc = park(o, what, deadline);
	return f->cancelled ? WAIT_CANCELLED : rc;
}

void
fiber_wake(struct fiber *f)
{
	struct fiber_own *o = own(f);

	assert(o->state == FIBER_QUEUED || o->state == FIBER_RUNNING || o->state == FIBER_PARKED);
	if (o->state == FIBER_PARKED)
		wake(o, WAIT_OK);
	else
		o->woken = true;
}

void
fiber_cancel(struct fiber *f)
{
	struct fiber_own *o = own(f);

	if (f->cancelled)
		return; /* and so are its children: adopt() */
	f->cancelled = true;
	for (struct fiber *child = f->children; child != NULL; child = child->sibling)
		fiber_cancel(child);
	if (o->state == FIBER_PARKED)
		wake(o, WAIT_CANCELLED);
}

MAY_YIELD enum wait_rc
fiber_join(void)
{
	enum wait_rc rc = WAIT_OK;

	assert(current != NULL);
	own(current)->joining = true;
	while (current->children != NULL && rc == WAIT_OK)
		rc = fiber_park("its children", 0);
	own(current)->joining = false;
	return rc;
}

MAY_YIELD enum wait_rc
fiber_sleep(uint64_t ms)
{
	struct loop *l;
	uint64_t     until;
	enum wait_rc rc;

	assert(current != NULL);
	l = own(current)->pool->loop;
	until = loop_now(l) + ms;
	do
		rc = fiber_park("sleep", until);
	while (rc == WAIT_OK);
	return rc == WAIT_TIMEOUT && loop_now(l) >= until ? WAIT_OK : rc;
}

MAY_YIELD enum wait_rc
fiber_yield(void)
{
	struct fiber_own *o;

	assert(current != NULL);
	o = own(current);
	o->rc = WAIT_TIMEOUT;
	o->queued = true;
	loop_queue_fiber(o->pool->loop, &o->f);
	/* a wake-up that comes meanwhile is meant for the next park */
	if (park(o, "its turn", 0) == WAIT_OK)
		o->woken = true;
	if (o->f.cancelled)
		return WAIT_CANCELLED;
	if (o->f.deadline != 0 && o->f.deadline <= loop_now(o->pool->loop))
		return WAIT_TIMEOUT;
	return WAIT_OK;
}

MAY_YIELD enum wait_rc
fiber_heavy(void)
{
	struct fiber_own *o;

	if (current == NULL)
		return WAIT_OK;
	o = own(current);
	if (o->f.cancelled)
		return WAIT_CANCELLED;
	if (loop_heavy(o->pool->loop, current))
		return WAIT_OK;
	o->rc = WAIT_TIMEOUT;
	o->queued = true;
	/* a wake-up that comes meanwhile is meant for the next park */
	if (park(o, "its turn to compute", 0) == WAIT_OK)
		o->woken = true;
	return o->f.cancelled ? WAIT_CANCELLED : WAIT_OK;
}

MAY_YIELD void
fiber_hold(const char *what)
{
	struct fiber_own *o;

	assert(current != NULL);
	o = own(current);
	if (!o->woken)
		park(o, what, 0);
	o->woken = false;
}
