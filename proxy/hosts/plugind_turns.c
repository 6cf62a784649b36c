/*
 * plugind_turns -- how many threads libmilter has at once in a plugin's process.
 *
 * It accepts sessions without one, and makes one wherever a session has something to say while none is idle: when all are
 * in a long callback that is a stack each, and the address space comes to an end, long after they were accepted.  So
 * pthread_create is ours, in front of the C library's: beyond a number that is computed from the limit, whoever came first
 * has the first thread that is free.  libmilter knows nothing of that: no callback of theirs runs yet, and the client's
 * side waits as for a slow one.
 * The invariant: the one lock is ours and held for a few instructions; no memory is taken.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "proxy/base/asan.h"
#include "proxy/hosts/plugind_own.h"

#define LEAST  16    /* however large a stack is: libmilter keeps some that are idle */
#define TURNS  16384 /* as many as there may be sessions */
#define TRIES  5     /* malloc maps 128 MiB for a moment where it wants 64 */
#define TRY_MS 2

struct turn {
	void *(*run)(void *);
	void *arg;
};

static pthread_mutex_t turns_lock = PTHREAD_MUTEX_INITIALIZER; /* for a few instructions */
static struct turn     turns[TURNS];                           /* a ring: who waits for a thread */
static unsigned        first_turn, waiting;
static unsigned        working, starting; /* threads; those that have not taken their turn yet */
static uintptr_t       libmilter_from, libmilter_to;
static uint64_t        at_first, stack_each; /* 0: it does not serve yet */
static void (*when_refused)(void);

static int
make_thread(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	static int (*theirs)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (theirs == NULL)
		*(void **)&theirs = dlsym(RTLD_NEXT, "pthread_create");
	return theirs == NULL ? EAGAIN : theirs(thread, attr, run, arg);
}

unsigned
turns_most(uint64_t loaded, uint64_t most, uint64_t stack)
{
	uint64_t free_then = most > loaded ? most - loaded : 0;
	uint64_t n = stack == 0 ? TURNS : free_then / 2 / stack;

	if (n < LEAST)
		return LEAST;
	return n > TURNS ? TURNS : (unsigned)n;
}

/* Whoever has lowered the limit meanwhile, it is the one that holds. */
static unsigned
threads_most(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
		return TURNS;
	return turns_most(at_first, r.rlim_cur, stack_each);
}

/* There is one for each thread that starts. */
static struct turn
take_turn(void)
{
	struct turn t;

	pthread_mutex_lock(&turns_lock);
	t = turns[first_turn];
	first_turn = (first_turn + 1) % TURNS;
	waiting--;
	starting--;
	pthread_mutex_unlock(&turns_lock);
	return t;
}

/* However it ends: a callback may call pthread_exit. */
static void
end_turn(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&turns_lock);
	working--;
	pthread_mutex_unlock(&turns_lock);
	turns_give();
}

static void *
work(void *unused)
{
	struct turn t = take_turn();

	pthread_cleanup_push(end_turn, unused);
	(void)t.run(t.arg);
	pthread_cleanup_pop(1);
	return NULL;
}

static bool
may_start(unsigned most)
{
	bool may;

	pthread_mutex_lock(&turns_lock);
	may = waiting > starting && working < most;
	starting += may;
	working += may;
	pthread_mutex_unlock(&turns_lock);
	return may;
}

static void
not_started(void)
{
	pthread_mutex_lock(&turns_lock);
	starting--;
	working--;
	pthread_mutex_unlock(&turns_lock);
}

void
turns_give(void)
{
	unsigned  most = threads_most();
	pthread_t thread;
	int       rc = 0;

	while (rc == 0 && may_start(most)) {
		rc = make_thread(&thread, NULL, work, NULL);
		for (int i = 1; i < TRIES && rc != 0; i++) {
			(void)poll(NULL, 0, TRY_MS);
			rc = make_thread(&thread, NULL, work, NULL);
		}
		if (rc != 0)
			not_started();
	}
	if (rc != 0)
		when_refused();
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* dladdr would do with less, and take a lock. */
static int
find_libmilter(struct dl_phdr_info *o, size_t size, void *it)
{
	uintptr_t from = UINTPTR_MAX, to = 0;

	(void)size;
	for (unsigned i = 0; i < o->dlpi_phnum; i++) {
		uintptr_t at = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr;

		if (o->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		from = at < from ? at : from;
		to = at + o->dlpi_phdr[i].p_memsz > to ? at + o->dlpi_phdr[i].p_memsz : to;
	}
	if ((uintptr_t)it < from || (uintptr_t)it >= to)
		return 0;
	libmilter_from = from;
	libmilter_to = to;
	return 1;
}

/* With its guard.  The plugin may have asked for larger ones. */
static uint64_t
stack_size(void)
{
	pthread_attr_t a;
	size_t         size = THREAD_SIZE, guard = 0;

	if (pthread_getattr_default_np(&a) != 0)
		return size;
	(void)pthread_attr_getstacksize(&a, &size);
	(void)pthread_attr_getguardsize(&a, &guard);
	pthread_attr_destroy(&a);
	return size + guard;
}

void
turns_begin(uint64_t loaded, void (*refused)(void))
{
	(void)dl_iterate_phdr(find_libmilter, dlsym(RTLD_DEFAULT, "smfi_main"));
	at_first = loaded;
	when_refused = refused;
	stack_each = stack_size();
}

#if !UNDER_ASAN /* which has that name, too, and a process without a limit */

/* False: there are too many. */
static bool
wait_for_turn(void *(*run)(void *), void *arg)
{
	bool good;

	pthread_mutex_lock(&turns_lock);
	good = waiting < TURNS;
	if (good)
		turns[(first_turn + waiting++) % TURNS] = (struct turn){ run, arg };
	pthread_mutex_unlock(&turns_lock);
	return good;
}

/* A plugin's threads are its own affair.  libmilter does not look at the id: one that waits has none yet. */
int
pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attr,
    void *(*run)(void *), void *restrict arg)
{
	uintptr_t caller = (uintptr_t)__builtin_return_address(0);

	if (stack_each == 0 || attr != NULL || caller < libmilter_from || caller >= libmilter_to)
		return make_thread(thread, attr, run, arg);
	*thread = pthread_self();
	if (!wait_for_turn(run, arg))
		return EAGAIN;
	turns_give();
	return 0;
}

#endif
