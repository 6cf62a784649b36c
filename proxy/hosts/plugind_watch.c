/*
 * plugind_watch -- the end of a plugin's process: a thread of ours that waits for it and sees to what is left behind.
 *
 * The channel ends when the master wants that or is no more; callbacks that all hang are an end as well, and once a second
 * they are looked at, and the address space.  Where that becomes short we tell the master, who starts a successor and then
 * tells us to hold: we take no more sessions, and end with those that we have.  The invariant: nothing of the plugin's
 * can keep this thread waiting.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/hosts/hangs.h"
#include "proxy/hosts/plugind_own.h"

#define EXIT_WITHIN 2 /* seconds that destructors of the plugin have */
#define LOOK_MS     1000

static int         to_master = -1;
static bool        socket_is_masters;
static atomic_flag asked = ATOMIC_FLAG_INIT; /* for a successor */

/* The folder that the master has made for this socket: nobody else is left to take it away. */
static void
clean_folder(const char *socket_path)
{
	const char    *slash = strrchr(socket_path, '/');
	char           folder[256];
	struct dirent *e;
	DIR           *d;

	if (slash == NULL || (size_t)(slash - socket_path) >= sizeof(folder))
		return;
	memcpy(folder, socket_path, (size_t)(slash - socket_path));
	folder[slash - socket_path] = '\0';
	d = opendir(folder);
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.')
			(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(folder);
}

/* Nothing here may wait for a lock that a callback holds: no stdio, no malloc, no destructor. */
static void
end_if_it_hangs(void)
{
	struct hangs h = hangs_look();
	char         text[128];
	int          n;

	if (!hangs_too_many(&h))
		return;
	n = snprintf(text, sizeof(text),
	    "postern-plugind: %u of %u callbacks hang, for more than %u s: this process ends\n",
	    h.old, h.running, hangs_seconds());
	(void)!write(STDERR_FILENO, text, (size_t)n);
	hangs_blame(hangs_seconds());
	_exit(EXIT_HANGS);
}

/* 0: the other end of the channel is closed; -1: ours is.  An octet: the successor serves. */
static ssize_t
hear_channel(int channel)
{
	char    octet;
	ssize_t n = read(channel, &octet, 1);

	if (n == 1)
		room_hold();
	return n < 0 && errno == EINTR ? 1 : n;
}

/* What the plugin has forked outlives it, unless somebody stays behind to end it: a master that is no more cannot. */
static void
sweep_behind_us(void)
{
	pid_t us = getpid();

	if (getpgrp() != us || fork() != 0)
		return;
	while (getppid() == us)
		(void)poll(NULL, 0, 10);
	(void)kill(0, SIGKILL);
	_exit(EXIT_FAULT);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* A socket of our own would not be the successor's: who has come to it waits for us alone. */
static void
ask_for_successor(void)
{
	if (socket_is_masters && !atomic_flag_test_and_set(&asked))
		(void)send(to_master, "M", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Whose fault it is nobody can tell: so nobody fails, and all are told to the next process. */
static void
end_without_room(void)
{
	static const char text[] =
	    "postern-plugind: hardly any memory is left below its limit: this process ends\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EXIT_FULL);
}

/* Those that are still open have had their time: the next process is told what they have told us. */
static void
end_early(unsigned sessions)
{
	char text[128];
	int  n;

	n = snprintf(text, sizeof(text),
	    "postern-plugind: %u sessions are still open, for more than %u s: this process ends\n",
	    sessions, hangs_seconds());
	(void)!write(STDERR_FILENO, text, (size_t)n);
	sweep_behind_us();
	_exit(EXIT_GOOD);
}

/* It has a successor, and no session any more.  Once a second: at once, one might be about to be accepted. */
static bool
is_over(const struct given *g)
{
	static unsigned seconds;
	unsigned        sessions;

	if (!room_held())
		return false;
	sessions = room_sessions(g->socket + strlen("unix:"));
	if (sessions > 0 && ++seconds > hangs_seconds())
		end_early(sessions);
	return sessions == 0;
}

void
plugind_serves(const struct given *g, bool masters)
{
	if (g->channel < 0)
		return;
	to_master = g->channel;
	socket_is_masters = masters;
	room_begin(g->listening, ask_for_successor, end_without_room);
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void
look(void)
{
	end_if_it_hangs();
	room_look();
	turns_give();
}

/* The channel ends when the master has closed it or is no more, however it died. */
static void *
watch(void *arg)
{
	const struct given *g = arg;
	struct pollfd       p = { .fd = g->channel, .events = POLLIN };
	int                 n;
	ssize_t             heard = 1;

	while (heard > 0) {
		n = poll(&p, 1, LOOK_MS);
		if (n == 0 && is_over(g))
			break;
		if (n == 0)
			look();
		if (n > 0)
			heard = hear_channel(g->channel);
	}
	/* A plugin that closes all that is open may end itself, but not the others in that folder. */
	if (heard == 0)
		clean_folder(g->socket + strlen("unix:"));
	sweep_behind_us();
	alarm(EXIT_WITHIN);
	exit(EXIT_GOOD);
}

bool
plugind_watch(struct given *g)
{
	pthread_t thread;

	if (g->channel < 0)
		return true;
	if (pthread_create(&thread, NULL, watch, g) != 0)
		return false;
	/*
	 * SIGKILL from here on would come before the thread has cleaned up.  A process that was stopped
	 * must run to see the end of the channel.
	 */
	prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0);
	return true;
}
