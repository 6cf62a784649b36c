/*
 * fiber_stack.c -- foreign code on a stack of its own, called and returned from like a function.
 *
 * Two contexts at most: who calls, and the stack, which between two calls stands in the trampoline below
 * and waits for the next one.  So a call costs two switches (sigsetjmp/siglongjmp, as in fiber.c), from
 * a fiber's stack or from the loop's.  The invariant: nothing that runs there parks, so a call has
 * returned before anything else can want the stack.
 */
#undef _FORTIFY_SOURCE
#include <assert.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/fiber.h"
#include "proxy/base/fiber_own.h"

struct fiber_stack {
	void    *map; /* guard page, then the stack */
	char    *stack;
	size_t   size;
	unsigned valgrind;
	bool     entered, busy;
	void (*fn)(void *);
	void      *arg;
	sigjmp_buf here, caller;
	/* AddressSanitizer's: fake frames of both sides, and where the caller's stack is */
	void       *fake, *caller_fake;
	const void *caller_stack;
	size_t      caller_size;
};

/* A stack is in use: one at a time, whichever it is. */
static bool in_call;

static NOT_SANITIZED __attribute__((noinline)) void
leave(struct fiber_stack *s)
{
	__sanitizer_start_switch_fiber(&s->fake, s->caller_stack, s->caller_size);
	if (sigsetjmp(s->here, 0) == 0)
		siglongjmp(s->caller, 1);
	__sanitizer_finish_switch_fiber(s->fake, &s->caller_stack, &s->caller_size);
}

/* What runs on the stack: one call after the other. */
static NOT_SANITIZED void
trampoline(unsigned high, unsigned low)
{
	struct fiber_stack *s =
	    (struct fiber_stack *)((uintptr_t)high << 16 << 16 | (uintptr_t)low);

	__sanitizer_finish_switch_fiber(NULL, &s->caller_stack, &s->caller_size);
	for (;;) {
		s->fn(s->arg);
		leave(s);
	}
}

static NOT_SANITIZED __attribute__((noinline)) void
enter_first(struct fiber_stack *s)
{
	ucontext_t left, entered;
	int        rc = getcontext(&entered);

	assert(rc == 0);
	entered.uc_link = NULL;
	entered.uc_stack.ss_sp = s->stack;
	entered.uc_stack.ss_size = s->size;
	/* makecontext hands over ints only */
	makecontext(&entered, (void (*)(void))trampoline, 2, (unsigned)((uintptr_t)s >> 16 >> 16),
	    (unsigned)(uintptr_t)s);
	s->entered = true;
	rc = swapcontext(&left, &entered);
	assert(rc == 0);
}

struct fiber_stack *
fiber_stack_new(size_t size)
{
	size_t              page = (size_t)sysconf(_SC_PAGESIZE);
	struct fiber_stack *s;
	char               *map;

	size = (size + page - 1) / page * page;
	map = mmap(NULL, page + size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	if (mprotect(map, page, PROT_NONE) != 0) {
		munmap(map, page + size);
		return NULL;
	}
	s = mem_alloc(sizeof(*s));
	s->map = map;
	s->stack = map + page;
	s->size = size;
	s->valgrind = VALGRIND_STACK_REGISTER(s->stack, s->stack + s->size);
	return s;
}

void
fiber_stack_free(struct fiber_stack *s)
{
	if (s == NULL)
		return;
	assert(!s->busy);
	VALGRIND_STACK_DEREGISTER(s->valgrind);
	/* what the dead frames poisoned must not outlive the mapping */
	ASAN_UNPOISON_MEMORY_REGION(s->stack, s->size);
	munmap(s->map, (size_t)(s->stack - (char *)s->map) + s->size);
	mem_free(s);
}

NOT_SANITIZED __attribute__((noinline)) void
fiber_stack_call(struct fiber_stack *s, void (*fn)(void *), void *arg)
{
	assert(!in_call);
	in_call = s->busy = true;
	s->fn = fn;
	s->arg = arg;
	__sanitizer_start_switch_fiber(&s->caller_fake, s->stack, s->size);
	if (sigsetjmp(s->caller, 0) == 0) {
		if (s->entered)
			siglongjmp(s->here, 1);
		enter_first(s);
	}
	__sanitizer_finish_switch_fiber(s->caller_fake, NULL, NULL);
	in_call = s->busy = false;
}
