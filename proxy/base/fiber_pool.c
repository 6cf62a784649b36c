/*
 * fiber_pool.c -- the fibers of one loop: those that are alive, and free ones that keep a stack at hand.
 *
 * A stack costs system calls to make and to free, and most fibers live no longer than a turn: so the last one that was
 * given is the next that is taken, and its stack is warm.  Which of them runs is not decided here (fiber.c).
 * The invariant: a fiber is on one of the two lists, n_live is the length of the one, n_free of the other.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/fiber_own.h"

static struct fiber_own *
own_new(struct fiber_pool *p)
{
	struct stack     *stack = stack_new(p->stack);
	struct fiber_own *o;

	if (stack == NULL)
		return NULL;
	o = mem_alloc(sizeof(*o));
	o->pool = p;
	o->f.own = o;
	o->stack = stack;
	return o;
}

static void
own_free(struct fiber_own *o)
{
	stack_free(o->stack);
	mem_free(o);
}

struct fiber_own *
fiber_take(struct fiber_pool *p)
{
	struct fiber_own *o = p->free;

	if (p->n_live >= p->max)
		return NULL;
	if (o != NULL) {
		p->free = o->next;
		p->n_free--;
	} else if ((o = own_new(p)) == NULL)
		return NULL;
	o->prev = NULL;
	o->next = p->live;
	if (p->live != NULL)
		p->live->prev = o;
	p->live = o;
	p->n_live++;
	return o;
}

void
fiber_give(struct fiber_own *o)
{
	struct fiber_pool *p = o->pool;

	if (o->prev != NULL)
		o->prev->next = o->next;
	else
		p->live = o->next;
	if (o->next != NULL)
		o->next->prev = o->prev;
	p->n_live--;
	o->state = FIBER_FREE;
	if (p->n_free >= p->keep) {
		own_free(o);
		return;
	}
	o->next = p->free;
	p->free = o;
	p->n_free++;
}

struct fiber_pool *
fiber_pool_new(struct loop *loop, size_t stack, unsigned max, unsigned keep)
{
	struct fiber_pool *p = mem_alloc(sizeof(*p));

	p->loop = loop;
	p->stack = stack;
	p->max = max;
	p->keep = keep;
	return p;
}

void
fiber_pool_free(struct fiber_pool *p)
{
	struct fiber_own *o;

	assert(p->n_live == 0);
	while ((o = p->free) != NULL) {
		p->free = o->next;
		own_free(o);
	}
	mem_free(p);
}

unsigned
fiber_pool_live(const struct fiber_pool *p)
{
	return p->n_live;
}

void
fiber_list(struct fiber_pool *p, void (*each)(const char *name, const char *waits_for, void *arg),
    void                     *arg)
{
	for (const struct fiber_own *o = p->live; o != NULL; o = o->next)
		each(o->f.name, o->f.waits_for, arg);
}
