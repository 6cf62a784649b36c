/*
 * milterd_loop -- the one thread of postern-milter in which all that is Postern runs: its birth, its life, its end.
 *
 * The main thread starts it and stops it; what libmilter's threads want of it goes over the bridge.  The invariant:
 * between start and stop no other thread uses the world or the loop.
 */
#include "proxy/hosts/milterd_own.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/hosts/visit.h"

#define FLIGHT_MAX (64u << 20) /* octets that threads have handed over */
#define LAST_MS    300         /* for answers on their way, at the end */

static void
signalled(void *arg, unsigned what)
{
	struct milterd         *m = arg;
	struct signalfd_siginfo s;

	(void)what;
	while (read(m->signals.fd, &s, sizeof(s)) == (ssize_t)sizeof(s))
		if (s.ssi_signo == SIGCHLD)
			milterd_watch_logger(m);
		else
			milterd_log_again(m);
}

/* NULL, or what is missing. */
static const char *
begin_loop(struct milterd *m)
{
	const char *why;
	sigset_t    set;

	m->loop = loop_new(m->w);
	if (m->loop == NULL)
		return "no event loop";
	world_real_start(m->w, m->loop);
	if (!world_real_dns(m->w, &m->s->resolver, &why))
		log_event(m->w, SV("milter"), "dns", "there is no resolver: %s", why);
	m->visits = visits_new(m->bridge, m->w, m->loop, m->s);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	m->signals = (struct loop_fd){
		.fn = signalled, .arg = m, .fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
	};
	if (!bridge_start(m->bridge, m->loop) || !loop_watch(m->loop, &m->signals, LOOP_READ))
		return "the event loop takes no descriptor";
	/* It may have died before anybody listened for that. */
	milterd_watch_logger(m);
	return NULL;
}

static void
say_ready(struct milterd *m)
{
	struct log_line *l = arena_alloc(m->a, sizeof(*l));

	log_begin(l, m->w, SV("milter"), "ready");
	log_z(l, "version", VERSION);
	log_z(l, "socket", m->given.socket);
	log_strv(l, "passed-over", m->s->passed_over);
	log_end(l);
}

static void *
run_loop(void *arg)
{
	struct milterd *m = arg;
	const char     *why = begin_loop(m);

	if (why == NULL) {
		say_ready(m);
		(void)loop_round(m->loop, false); /* writes it */
	}
	(void)!write(m->ready[1], &why, sizeof(why));
	if (why != NULL)
		return NULL;
	loop_run(m->loop);
	log_event(m->w, SV("milter"), "end", "sessions=%u", visits_open(m->visits));
	world_real_stop(m->w);
	return NULL;
}

/* Signals that are the loop's or libmilter's are blocked in every thread from here on. */
bool
milterd_start_loop(struct milterd *m)
{
	const char *why = "no memory";
	sigset_t    set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	m->bridge = bridge_new(FLIGHT_MAX);
	if (m->bridge == NULL || pipe2(m->ready, O_CLOEXEC) < 0 ||
	    pthread_create(&m->thread, NULL, run_loop, m) != 0 ||
	    read(m->ready[0], &why, sizeof(why)) != (ssize_t)sizeof(why) || why != NULL) {
		milterd_fail("cannot start", why);
		return false;
	}
	return true;
}

/* Calls in hand are answered, as long as `drain' allows, and what was answered reaches the mail server. */
void
milterd_stop_loop(struct milterd *m)
{
	static const struct timespec pause = { 0, 20 * 1000000 };
	uint64_t                     until = m->s->drain;
	sigset_t                     again;

	sigemptyset(&again);
	sigaddset(&again, SIGTERM);
	sigaddset(&again, SIGINT);
	bridge_close(m->bridge);
	for (uint64_t ms = 0; bridge_waiting(m->bridge) > 0 && ms < until; ms += 20)
		if (sigtimedwait(&again, NULL, &pause) > 0)
			break;
	for (unsigned ms = 0; ms < LAST_MS; ms += 20)
		(void)sigtimedwait(&again, NULL, &pause);
	bridge_stop(m->bridge);
	pthread_join(m->thread, NULL);
}
