/*
 * fiber_stack.c -- foreign code on a stack of its own, called and returned from like a function.
 *
 * Between two calls the stack stands in the trampoline below and waits for the next one.  The invariant: nothing that
 * runs there parks, so a call has returned before anything else can want the stack.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/fiber.h"
#include "proxy/base/stack.h"

struct fiber_stack {
	struct stack *stack;
	bool          busy;
	void (*fn)(void *);
	void *arg;
};

/* A stack is in use: one at a time, whichever it is. */
static bool in_call;

/* What runs on the stack: one call after the other. */
static void
trampoline(void *arg)
{
	struct fiber_stack *s = arg;

	for (;;) {
		s->fn(s->arg);
		stack_leave(s->stack, false);
	}
}

struct fiber_stack *
fiber_stack_new(size_t size)
{
	struct stack       *stack = stack_new(size);
	struct fiber_stack *s;

	if (stack == NULL)
		return NULL;
	s = mem_alloc(sizeof(*s));
	s->stack = stack;
	return s;
}

void
fiber_stack_free(struct fiber_stack *s)
{
	if (s == NULL)
		return;
	assert(!s->busy);
	stack_free(s->stack);
	mem_free(s);
}

void
fiber_stack_call(struct fiber_stack *s, void (*fn)(void *), void *arg)
{
	assert(!in_call);
	in_call = s->busy = true;
	s->fn = fn;
	s->arg = arg;
	stack_enter(s->stack, trampoline, s);
	in_call = s->busy = false;
}
