/*
 * work -- a fiber waits for something that may block, done on the world's work thread.
 */
#ifndef PROXY_BASE_WORK_H
#define PROXY_BASE_WORK_H

#include "proxy/base/fiber.h"

struct loop;
struct work_thread;

/*
 * Runs fn(arg) on the work thread and parks until it is done.  arg must stay valid until then: so this
 * does not return early when the fiber is cancelled or its time is over, and fn must itself be bounded.
 */
MAY_YIELD void work_run(struct loop *l, void (*fn)(void *arg), void *arg);

/* The thread itself, made after fork: world_real.c's, and folders.c's for a moment.  NULL: the system refused. */
struct work_thread *work_start(struct loop *l);
/* fn(arg) there, in order; then done(arg) in the loop. */
void work_submit(struct work_thread *t, void (*fn)(void *arg), void (*done)(void *arg), void *arg);
/* Waits until all is done that was submitted, done() included. */
void work_stop(struct work_thread *t);

#endif
