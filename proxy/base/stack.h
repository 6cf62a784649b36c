/*
 * stack -- memory for a stack, and how one stack is left for another.
 *
 * For fibers (fiber.c) and for foreign code that is called on a stack of its own (fiber_stack.c).  A stack is entered
 * from whatever stack its caller stands on and left for that one only; so there is one place to come back to, and who
 * enters comes back in the order of the entries.  One thread enters stacks.  AddressSanitizer and valgrind are told.
 */
#ifndef PROXY_BASE_STACK_H
#define PROXY_BASE_STACK_H

#include <stdbool.h>
#include <stddef.h>

struct stack;

/* size: octets, rounded up to whole pages; a page below them cannot be touched.  NULL: there is no memory. */
struct stack *stack_new(size_t size);
void stack_free(struct stack *s);       /* it was left, and will not be entered again. NULL is allowed */

/*
 * Runs on it until it leaves: the first time run(arg) from its beginning, which must never return, then on from
 * stack_leave.
 */
void stack_enter(struct stack *s, void (*run)(void *arg), void *arg);
/* To who entered it; returns when it is entered again.  fresh: no frame below this one is alive. */
void stack_leave(struct stack *s, bool fresh);

#endif
