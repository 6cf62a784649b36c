/*
 * plugind_room -- the address space of a plugin's process: how near its limit it is, and who comes while it ends.
 *
 * The limit (RLIMIT_AS) ends nobody: a plugin that leaks and lives with what malloc refuses it would stay there for ever,
 * and whom libmilter has no thread for is not served.  So it is looked at before: accept, which libmilter calls, is ours, in
 * front of the C library's.  A crowd takes room as well: its stacks are bounded by plugind_turns.c, and where room is
 * short all the same new sessions wait in the queue of the socket, for whoever has room first, this one or its successor.
 * The invariant: no lock, no memory is taken here.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/asan.h"
#include "proxy/hosts/plugind_own.h"

#ifndef __SOCKADDR_ARG /* glibc's way to take any kind of address */
#define __SOCKADDR_ARG struct sockaddr *restrict
#endif

#define TRIES   5 /* malloc maps 128 MiB for a moment where it wants 64 */
#define TRY_MS  2
#define HELD_MS 100 /* libmilter asks again after that, or after its own while */

static _Atomic uint64_t
		   base; /* what it took when it was loaded; 0: it is not, or nobody can tell */
static int         serving = -1; /* the master's socket; -1: we have one of our own */
static atomic_bool held;
static atomic_int  highest = -1; /* descriptor that was accepted */
static void (*when_little)(void), (*when_none)(void);

/* ---- looking --------------------------------------------------------------------------------- */

/* Of what was free when it was loaded: one that maps much at its start is none that leaks. */
enum room
room_of(uint64_t size, uint64_t at_first, uint64_t most)
{
	uint64_t free_then = most > at_first ? most - at_first : 0;
	uint64_t left = most > size ? most - size : 0;

	if (left < free_then / 32)
		return ROOM_NONE;
	return left < free_then / 8 ? ROOM_LITTLE : ROOM_ENOUGH;
}

bool
room_is_crowded(uint64_t size, uint64_t at_first, uint64_t most, unsigned sessions)
{
	uint64_t free_then = most > at_first ? most - at_first : 0;
	uint64_t left = most > size ? most - size : 0;

	return left < free_then / 8 && (uint64_t)sessions * THREAD_SIZE >= free_then / 2;
}

/* 0: nobody can tell. */
static uint64_t
size_now(void)
{
	char    text[64];
	int     fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strtoull(text, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Whoever has lowered the limit meanwhile, it is the one that holds. */
static enum room
room_now(void)
{
	struct rlimit r;

	if (base == 0 || getrlimit(RLIMIT_AS, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
		return ROOM_ENOUGH;
	return room_of(size_now(), base, r.rlim_cur);
}

/* Is nothing left, and that for longer than malloc takes? */
static enum room
room_that_stays(void)
{
	enum room room = room_now();

	for (int i = 1; i < TRIES && room == ROOM_NONE; i++) {
		(void)poll(NULL, 0, TRY_MS);
		room = room_now();
	}
	return room;
}

/* No thread can be made.  Where there is no room left, all are better served by another process. */
static void
none_where_short(void)
{
	if (room_now() != ROOM_ENOUGH)
		when_none();
}

void
room_begin(int serves, void (*little)(void), void (*none)(void))
{
	serving = serves;
	when_little = little;
	when_none = none;
	base = size_now();
	turns_begin(base, none_where_short);
}

void
room_look(void)
{
	enum room room = room_that_stays();

	if (room == ROOM_NONE)
		when_none();
	else if (room == ROOM_LITTLE && !held)
		when_little();
}

/* ---- sessions -------------------------------------------------------------------------------- */

void
room_hold(void)
{
	held = true;
}

bool
room_held(void)
{
	return held;
}

/* What is open and has the address of our socket, but for that itself. */
unsigned
room_sessions(const char *socket_path)
{
	unsigned n = 0;

	for (int fd = 0; fd <= highest; fd++) {
		struct sockaddr_un un = { 0 };
		socklen_t          size = sizeof(un) - 1;
		int                listens = 1;
		socklen_t          room = sizeof(listens);

		if (getsockname(fd, (struct sockaddr *)&un, &size) == 0 &&
		    un.sun_family == AF_UNIX && strcmp(un.sun_path, socket_path) == 0 &&
		    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &room) == 0)
			n += listens == 0;
	}
	return n;
}

/* ---- accept ---------------------------------------------------------------------------------- */

#if !UNDER_ASAN /* which has that name, too, and a process without a limit */

/* Of a leak few sessions are the reason, and nothing is won by waiting.  They are counted only where room is short. */
static bool
is_crowded(void)
{
	struct sockaddr_un un = { 0 };
	socklen_t          size = sizeof(un) - 1;
	struct rlimit      r;
	uint64_t           now;

	if (base == 0 || serving < 0 || getrlimit(RLIMIT_AS, &r) != 0 ||
	    r.rlim_cur == RLIM_INFINITY)
		return false;
	now = size_now();
	return room_is_crowded(now, base, r.rlim_cur, UINT_MAX) &&
	    getsockname(serving, (struct sockaddr *)&un, &size) == 0 &&
	    room_is_crowded(now, base, r.rlim_cur, room_sessions(un.sun_path));
}

/* While it is held, the others who have this socket take who comes; a crowd has to wait. */
int
accept(int fd, __SOCKADDR_ARG sa, socklen_t *restrict size)
{
	int more;

	/* A plugin may listen somewhere, too. */
	if (serving >= 0 && fd != serving)
		return accept4(fd, sa, size, 0);
	room_look();
	if (held || is_crowded()) {
		(void)poll(NULL, 0, HELD_MS);
		errno = EAGAIN;
		return -1;
	}
	more = accept4(fd, sa, size, 0);
	if (more > highest)
		highest = more;
	return more;
}

#endif
