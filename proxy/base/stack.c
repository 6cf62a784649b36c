/*
 * stack.c -- see stack.h.
 *
 * On x86-64 a switch saves the registers that a callee must save (System V ABI, 3.2.1) on the stack that is left, and
 * takes them from the one that is entered: 15 instructions and no system call.  Elsewhere a stack is entered once with
 * swapcontext(), and every later switch is sigsetjmp/siglongjmp, which saves no signal mask; siglongjmp changes stacks
 * here, it never unwinds one, and so this is compiled without _FORTIFY_SOURCE, whose longjmp takes a change of
 * stacks for an error.  The same way goes a processor with shadow stacks, of which the first one knows nothing.
 */
#undef _FORTIFY_SOURCE
#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/stack.h"

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(from, to) ((void)(from), (void)(to), 0u)
#define VALGRIND_STACK_DEREGISTER(id)     ((void)(id))
#endif

#include "proxy/base/asan.h"

#if UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define NOT_SANITIZED __attribute__((no_sanitize_address))
#else
#define __sanitizer_start_switch_fiber(fake, p, n)  ((void)(fake), (void)(p), (void)(n))
#define __sanitizer_finish_switch_fiber(fake, p, n) ((void)(fake), (void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n)           ((void)(p), (void)(n))
#define NOT_SANITIZED
#endif

#if defined(__CET__)
#define SHADOW_STACKS (__CET__ & 2)
#else
#define SHADOW_STACKS 0
#endif
#if defined(__x86_64__) && !defined(__ILP32__) && defined(__ELF__) && !defined(STACK_PORTABLE) && \
    !SHADOW_STACKS
#define OWN_SWITCH 1
#else
#define OWN_SWITCH 0
#include <setjmp.h>
#include <ucontext.h>
#endif

/* Where a stack was left. */
struct place {
#if OWN_SWITCH
	void *sp;
#else
	sigjmp_buf here;
#endif
};

struct stack {
	char        *map, *base; /* the guard page begins at map, the stack at base */
	size_t       size;
	unsigned     valgrind;
	bool         entered; /* ever: there is a place in it */
	struct place here, caller;
	void (*run)(void *arg);
	void *arg;
	/* AddressSanitizer's: fake frames of both sides, and where the caller's stack is */
	void       *fake, *caller_fake;
	const void *caller_base;
	size_t      caller_size;
};

/* The stack whose first entry goes on. */
static struct stack *beginning;

static NOT_SANITIZED void
begin(void)
{
	struct stack *s = beginning;

	__sanitizer_finish_switch_fiber(NULL, &s->caller_base, &s->caller_size);
	s->run(s->arg);
	assert(false);
}

/* ---- switching ------------------------------------------------------------------------------- */

#if OWN_SWITCH

/* Leaves the stack below at *from and goes on where `to' was left.  The flags and control words of the FPU are nobody's. */
void stack_switch(void **from, void *to) __attribute__((visibility("hidden")));

__asm__("	.text\n"
	"	.p2align 4\n"
	"	.globl stack_switch\n"
	"	.hidden stack_switch\n"
	"	.type stack_switch, @function\n"
	"stack_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	movq %rsp, (%rdi)\n"
	"	movq %rsi, %rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	ret\n"
	"	.size stack_switch, .-stack_switch\n");

enum { SAVED = 6 };

/* As if begin() had been called from nowhere, with the stack aligned as 3.2.2 has it, and had not run yet. */
static void
lay_out(struct stack *s)
{
	uintptr_t *top = (uintptr_t *)(void *)(s->base + s->size);

	top[-1] = 0; /* where begin() would return to */
	top[-2] = (uintptr_t)begin;
	for (int i = 0; i < SAVED; i++)
		top[-3 - i] = 0;
	s->here.sp = &top[-2 - SAVED];
}

static NOT_SANITIZED void
go_in(struct stack *s)
{
	if (!s->entered)
		lay_out(s);
	s->entered = true;
	stack_switch(&s->caller.sp, s->here.sp);
}

static NOT_SANITIZED void
go_out(struct stack *s)
{
	stack_switch(&s->here.sp, s->caller.sp);
}

#else

static NOT_SANITIZED __attribute__((noinline)) void
go_in_first(struct stack *s)
{
	ucontext_t left, entered;
	int rc = getcontext(&entered);

	assert(rc == 0);
	entered.uc_link = NULL;
	entered.uc_stack.ss_sp = s->base;
	entered.uc_stack.ss_size = s->size;
	makecontext(&entered, begin, 0);
	s->entered = true;
	rc = swapcontext(&left, &entered);
	assert(rc == 0);
}

static NOT_SANITIZED __attribute__((noinline)) void
go_in(struct stack *s)
{
	if (sigsetjmp(s->caller.here, 0) != 0)
		return;
	if (s->entered)
		siglongjmp(s->here.here, 1);
	go_in_first(s);
}

static NOT_SANITIZED __attribute__((noinline)) void
go_out(struct stack *s)
{
	if (sigsetjmp(s->here.here, 0) == 0)
		siglongjmp(s->caller.here, 1);
}

#endif

NOT_SANITIZED void
stack_enter(struct stack *s, void (*run)(void *arg), void *arg)
{
	s->run = run;
	s->arg = arg;
	beginning = s;
	__sanitizer_start_switch_fiber(&s->caller_fake, s->base, s->size);
	go_in(s);
	__sanitizer_finish_switch_fiber(s->caller_fake, NULL, NULL);
}

NOT_SANITIZED void
stack_leave(struct stack *s, bool fresh)
{
	s->fake = NULL;
	__sanitizer_start_switch_fiber(fresh ? NULL : &s->fake, s->caller_base, s->caller_size);
	go_out(s);
	__sanitizer_finish_switch_fiber(s->fake, &s->caller_base, &s->caller_size);
}

/* ---- memory ---------------------------------------------------------------------------------- */

struct stack *
stack_new(size_t size)
{
	size_t        page = (size_t)sysconf(_SC_PAGESIZE);
	struct stack *s;
	char         *map;

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
	s->base = map + page;
	s->size = size;
	s->valgrind = VALGRIND_STACK_REGISTER(s->base, s->base + size);
	return s;
}

void
stack_free(struct stack *s)
{
	if (s == NULL)
		return;
	VALGRIND_STACK_DEREGISTER(s->valgrind);
	/* what the dead frames poisoned must not outlive the mapping */
	ASAN_UNPOISON_MEMORY_REGION(s->base, s->size);
	munmap(s->map, (size_t)(s->base - s->map) + s->size);
	mem_free(s);
}
