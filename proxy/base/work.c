/*
 * work.c -- the one thread beside the loop's, for fsync() and its like.
 *
 * Not for computation and not for parallelism: jobs run one after the other in the order of their coming.
 * The thread touches nothing but the two lists under the lock, its eventfd and what a job's fn is given;
 * jobs are made and freed by the loop's side.
 */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/work.h"
#include "proxy/base/world.h"

enum { THREAD_STACK = 256 * 1024 };

struct job {
	struct job *next;
	void (*fn)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

struct jobs { /* a list with its end at hand */
	struct job *first, **last;
};

struct work_thread {
	struct loop    *loop;
	pthread_t       id;
	pthread_mutex_t lock;
	pthread_cond_t  more;
	struct jobs     todo, finished; /* these and `stop` under the lock */
	bool            stop;
	int             fd; /* written when something was put into an empty `finished` */
	struct loop_fd  watch;
};

static void
append(struct jobs *js, struct job *j)
{
	j->next = NULL;
	*js->last = j;
	js->last = &j->next;
}

static struct job *
take_all(struct jobs *js)
{
	struct job *j = js->first;

	js->first = NULL;
	js->last = &js->first;
	return j;
}

/* ---- the thread's side ----------------------------------------------------------------------- */

static struct job *
next_job(struct work_thread *t)
{
	struct job *j;

	while (t->todo.first == NULL && !t->stop)
		pthread_cond_wait(&t->more, &t->lock);
	j = t->todo.first;
	if (j != NULL && (t->todo.first = j->next) == NULL)
		t->todo.last = &t->todo.first;
	return j;
}

static void *
thread(void *arg)
{
	struct work_thread *t = arg;
	struct job         *j;
	bool                first;

	pthread_mutex_lock(&t->lock);
	while ((j = next_job(t)) != NULL) {
		pthread_mutex_unlock(&t->lock);
		j->fn(j->arg);
		pthread_mutex_lock(&t->lock);
		first = t->finished.first == NULL;
		append(&t->finished, j);
		/* cannot fail: the counter would have to reach 2^64 - 2 */
		if (first)
			(void)eventfd_write(t->fd, 1);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void
finish(struct work_thread *t)
{
	struct job *j, *next;

	pthread_mutex_lock(&t->lock);
	j = take_all(&t->finished);
	pthread_mutex_unlock(&t->lock);
	for (; j != NULL; j = next) {
		next = j->next;
		j->done(j->arg);
		mem_free(j);
	}
}

static void
rang(void *arg, unsigned what)
{
	(void)what;
	finish(arg);
}

void
work_submit(struct work_thread *t, void (*fn)(void *arg), void (*done)(void *arg), void *arg)
{
	struct job *j = mem_alloc(sizeof(*j));

	j->fn = fn;
	j->done = done;
	j->arg = arg;
	pthread_mutex_lock(&t->lock);
	append(&t->todo, j);
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
}

/* Signals are the loop's. */
static bool
thread_start(struct work_thread *t)
{
	pthread_attr_t attr;
	sigset_t       all, saved;
	int            rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, THREAD_STACK);
	rc = pthread_create(&t->id, &attr, thread, t);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return rc == 0;
}

static void
work_free(struct work_thread *t)
{
	loop_forget(t->loop, &t->watch);
	close(t->fd);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->more);
	mem_free(t);
}

struct work_thread *
work_start(struct loop *l)
{
	int                 fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct work_thread *t;

	if (fd < 0)
		return NULL;
	t = mem_alloc(sizeof(*t));
	t->loop = l;
	t->fd = fd;
	take_all(&t->todo);
	take_all(&t->finished);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->more, NULL);
	/* edge-triggered: every write is an edge, so the counter is never read */
	t->watch = (struct loop_fd){ .fn = rang, .arg = t, .fd = fd };
	if (!loop_watch(l, &t->watch, LOOP_READ | LOOP_EDGE) || !thread_start(t)) {
		work_free(t);
		return NULL;
	}
	return t;
}

void
work_stop(struct work_thread *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_signal(&t->more);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->id, NULL);
	finish(t);
	assert(t->finished.first == NULL);
	work_free(t);
}

/* ---- the fiber's side ------------------------------------------------------------------------ */

struct run {
	void (*fn)(void *arg);
	void         *arg;
	struct fiber *fiber;
	bool          done;
};

static void
run_fn(void *arg)
{
	struct run *r = arg;

	r->fn(r->arg);
}

static void
run_done(void *arg)
{
	struct run *r = arg;

	r->done = true;
	if (r->fiber != fiber_self())
		fiber_wake(r->fiber);
}

MAY_YIELD void
work_run(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct world *w = loop_world(l);
	struct run    r = { fn, arg, fiber_self(), false };

	assert(r.fiber != NULL);
	w->work(w, run_fn, run_done, &r);
	while (!r.done)
		fiber_hold("the work thread");
}
