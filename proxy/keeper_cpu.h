/*
 * keeper_cpu -- the CPU that the process of a plugin may have: much, but not in one loop that never ends.
 */
#ifndef PROXY_KEEPER_CPU_H
#define PROXY_KEEPER_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CPU_EVERY_MS  10000             /* between two looks */
#define CPU_ROUNDS    6                 /* looks in a row at which a thread was found computing: it has run away */
#define CPU_THREADS   512               /* more are not looked at */

struct cpu_thread {
	pid_t    tid;
	unsigned rounds;
	uint64_t ticks, waits;          /* CPU used (1/hz s), voluntary switches, at the last look */
};

struct cpu_watch {                      /* all zero: of a new process */
	unsigned          n;
	struct cpu_thread v[CPU_THREADS];
};

/*
 * Looks at the threads of pid and moves its RLIMIT_CPU ahead of what it has used.  True: one has computed for
 * CPU_ROUNDS looks and never waited for anything; the limit is then what is used, and the kernel ends the process
 * (SIGXCPU).
 */
bool cpu_look(struct cpu_watch *c, pid_t pid);

/* One look at one thread: used a tenth of a core since the last one, without a wait?  True: for CPU_ROUNDS of them. */
bool cpu_round(struct cpu_thread *t, uint64_t ticks, uint64_t waits, uint64_t hz);

#endif
