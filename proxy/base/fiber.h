/*
 * fiber -- a stack of its own for code that waits, on one thread, without unwinding.
 *
 * A fiber ends by returning from its function, never otherwise.  It waits only in fiber_park() (and in
 * what is built upon it, marked MAY_YIELD).  A fiber never resumes a fiber: fiber_wake() puts it on a
 * queue that the loop runs.  A parent joins its children: when its function has returned, those that
 * are left are cancelled, and the fiber is not over until each of them is.  Call fiber_join first
 * where their results are wanted.
 *
 * After a MAY_YIELD call anything shared with other fibers or the loop may have changed: look again.
 */
#ifndef PROXY_BASE_FIBER_H
#define PROXY_BASE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAY_YIELD        /* this function may park the fiber that calls it */

/* What every park returns.  CANCELLED is sticky: every later park of that fiber returns it at once. */
enum wait_rc { WAIT_OK, WAIT_TIMEOUT, WAIT_CLOSED, WAIT_CANCELLED };


struct loop;

struct fiber {
	const char   *name;             /* static text */
	const char   *waits_for;        /* static text while parked, else NULL */
	uint64_t      deadline;         /* ms of loop_now(), 0: none; a park takes the nearer of the two */
	bool          cancelled;
	struct fiber *parent, *children, *sibling;
	struct fiber_own *own;          /* fiber.c's: stack, context, wake state */
};

struct fiber_pool;

/*
 * fiber_pool_new -- the fibers of one loop
 *
 *   loop     runs the wake queue; outlives the pool
 *   stack    octets of a stack, a guard page comes below it: 65536 for ours, 262144 for plugins
 *   max      fibers at once; keep: stacks that stay mapped when free
 */
struct fiber_pool *fiber_pool_new(struct loop *loop, size_t stack, unsigned max, unsigned keep);
void fiber_pool_free(struct fiber_pool *p);     /* no fiber may be alive */
unsigned fiber_pool_live(const struct fiber_pool *p);

/*
 * fiber_start -- run fn(arg) in a new fiber
 *
 * Called from the loop (no current fiber) fn runs at once, until it first parks or returns; called
 * from a fiber it becomes that one's child and runs from the wake queue.  NULL: the pool is at its
 * maximum or has no memory; nothing was run.  The fiber may be over when this returns, so the value
 * is only good for a test against NULL, unless fn is known to park.
 */
struct fiber *fiber_start(struct fiber_pool *p, const char *name, void (*fn)(void *), void *arg);

/*
 * fiber_spawn -- from a fiber: one of the same pool that is nobody's child and runs from the wake queue
 *
 * Who starts it sees to it that what it uses outlives it.  A deadline is its own affair.  NULL: as above, and
 * where three quarters of the pool's maximum live: the rest is for fiber_start.
 */
struct fiber *fiber_spawn(const char *name, void (*fn)(void *), void *arg);

struct fiber *fiber_self(void);                 /* NULL: in the loop */
struct loop *fiber_loop(void);                  /* of the current fiber; never called in the loop */

/*
 * fiber_park -- wait until somebody calls fiber_wake
 *
 *   what       static text for the list of fibers
 *   deadline   absolute ms, 0: only the fiber's own deadline holds
 *
 * WAIT_OK: woken. WAIT_TIMEOUT, WAIT_CANCELLED.  A wake-up that came before the park is not lost.
 * Spurious wake-ups happen (a reason may be gone): look at the condition in a loop.
 */
MAY_YIELD enum wait_rc fiber_park(const char *what, uint64_t deadline);
/* Puts it on the wake queue, once. Harmless for one that is queued or running; never for one that is over. */
void fiber_wake(struct fiber *f);
/* Marks the fiber and its children; each wakes and every park of theirs returns WAIT_CANCELLED. */
void fiber_cancel(struct fiber *f);
/* Waits until all children of the calling fiber are over. */
MAY_YIELD enum wait_rc fiber_join(void);
/* Sleep. WAIT_OK when the time is over. */
MAY_YIELD enum wait_rc fiber_sleep(uint64_t ms);
/* Lets all others on the wake queue run.  WAIT_OK, WAIT_TIMEOUT (the fiber's own), WAIT_CANCELLED. */
MAY_YIELD enum wait_rc fiber_yield(void);
/*
 * Before heavy work, 100 us and more of the processor (a signature): parks until it is this fiber's turn, so that all
 * that is ready is served meanwhile (LOOP_HEAVY a round).  WAIT_OK, or WAIT_CANCELLED; from the loop at once.
 */
MAY_YIELD enum wait_rc fiber_heavy(void);
/*
 * Parks until fiber_wake, whatever is cancelled and whatever the time: for what may not be left half
 * done (work_run, the children of a fiber that ends).  May return early: look again, in a loop.
 */
MAY_YIELD void fiber_hold(const char *what);

/*
 * fiber_stack -- room for foreign code that was written for a stack of megabytes (plugins)
 *
 * fiber_stack_call runs fn(arg) there at once and returns when it has returned: from a fiber or from the loop, never
 * from within another such call.  fn may not park.  A guard page comes below.  NULL: no memory.
 */
struct fiber_stack;
struct fiber_stack *fiber_stack_new(size_t size);
void fiber_stack_free(struct fiber_stack *s);
void fiber_stack_call(struct fiber_stack *s, void (*fn)(void *), void *arg);
/* For debugging: calls each(name, waits_for, arg) for every live fiber. */
void fiber_list(struct fiber_pool *p,
    void (*each)(const char *name, const char *waits_for, void *arg), void *arg);

/* For loop.c: runs f until it parks or is over. */
void fiber_resume(struct fiber *f);

#endif
