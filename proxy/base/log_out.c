/*
 * log_out.c -- the log: stamps, pace, the ways of writing, and what is dropped.
 *
 * Several processes write to one file or pipe, so a write must not end inside a line.  To a file it does when
 * the disk is full; a pipe takes up to PIPE_BUF octets as a whole (POSIX, write), and a unix socket as much as
 * one of its buffers: there whole lines go in pieces of that size.
 * The invariant: what is in the room and not given up is written, be it by who survives us.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/log_out.h"
#include "proxy/base/world.h"

enum {
	TELL = 64, /* "- log dropped=..." */
	PIECE = PIPE_BUF,
	PIECES_MAX = LOG_ROOM /
	    64,        /* in one go: far more than there are where each is nearly full */
	LAST_MS = 1000 /* how long the last lines may take at the end */
};

/* ---- writing --------------------------------------------------------------------------------- */

/* As many whole lines as go in one piece; a part of one only where that alone is longer. */
static size_t
piece(const struct log_out *o, struct strv v)
{
	size_t n = v.n;

	if (o->way == LOG_WRITE || n <= PIECE)
		return n;
	for (n = PIECE; n > 0; n--)
		if (v.p[n - 1] == '\n')
			return n;
	return PIECE;
}

static ssize_t
put(const struct log_out *o, struct strv v)
{
	struct pollfd pfd = { o->fd, POLLOUT, 0 };

	if (o->way == LOG_SEND)
		return send(o->fd, v.p, v.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (o->way == LOG_POLL && poll(&pfd, 1, 0) != 1) {
		errno = EAGAIN;
		return -1;
	}
	return write(o->fd, v.p, v.n);
}

/* A line that tells of others which were dropped is none of them; what it told is to be told again. */
static void
lose(struct log_out *o)
{
	o->dropped += log_room_lose(o->room) - o->tells;
	if (o->tells > 0)
		o->told = o->told_for_sure;
	o->tells = 0;
}

/* False: enough for now.  Where there is no room, the line of another process may have found half of it. */
static bool
failed(struct log_out *o)
{
	bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;

	o->stuck = errno == EAGAIN;
	if (errno != EAGAIN && errno != EINTR)
		lose(o);
	if (full)
		log_room_tear(o->room);
	return false;
}

/* Behind a line whose rest was given up. */
static bool
mend(struct log_out *o)
{
	if (!log_room_is_torn(o->room))
		return true;
	if (put(o, SV(LOG_CUT)) < 0)
		return failed(o);
	log_room_mended(o->room);
	return true;
}

static bool
put_piece(struct log_out *o, struct strv held)
{
	size_t  n = piece(o, held);
	ssize_t r;

	log_room_writing(o->room);
	r = put(o, strv_first(held, n));
	log_room_written(o->room, r > 0 ? (size_t)r : 0);
	if (r < 0)
		return failed(o);
	o->stuck = (size_t)r < n;
	return !o->stuck;
}

/* What it leaves waits. */
static void
flush(struct log_out *o)
{
	struct strv held;

	o->stuck = false;
	if (!mend(o))
		return;
	for (unsigned i = 0; i < PIECES_MAX; i++) {
		held = log_room_held(o->room);
		if (held.n == 0)
			o->tells = 0;
		if (held.n == 0 || !put_piece(o, held))
			return;
	}
}

/* ---- pace ------------------------------------------------------------------------------------ */

static void
flush_at(struct log_out *o, uint64_t now)
{
	flush(o);
	o->next = now + (o->stuck ? LOG_STUCK_MS : LOG_PACE_MS);
}

static void
round_end(void *arg)
{
	struct log_out *o = arg;
	size_t          n = log_room_held(o->room).n;
	uint64_t        now;

	if (n == 0 || o->loop == NULL)
		return;
	now = loop_now(o->loop);
	if (now >= o->next || n >= LOG_ROOM_TEXT / 2)
		flush_at(o, now);
	if (log_room_held(o->room).n == 0)
		timer_stop(o->loop, &o->due);
	else if (o->due.pos == 0 || o->due.at != o->next)
		timer_start(o->loop, &o->due, o->next);
}

/* The end of its round does it. */
static void
due(void *arg)
{
	(void)arg;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* RFC 3339, UTC. The part down to seconds is made once a second. */
static struct strv
stamp(struct log_out *o)
{
	uint64_t  us = o->w->wall(o->w);
	time_t    s = (time_t)(us / 1000000);
	unsigned  ms = (unsigned)(us / 1000 % 1000);
	struct tm tm;

	if (s != o->stamp_s) {
		gmtime_r(&s, &tm);
		strftime(o->stamp, sizeof(o->stamp), "%Y-%m-%dT%H:%M:%S.000Z ", &tm);
		o->stamp_s = s;
	}
	o->stamp[20] = (char)('0' + ms / 100);
	o->stamp[21] = (char)('0' + ms / 10 % 10);
	o->stamp[22] = (char)('0' + ms % 10);
	return strv(o->stamp, LOG_STAMP);
}

static bool
has_room(struct log_out *o, size_t n)
{
	if (log_room_fits(o->room, n))
		return true;
	flush(o);
	return log_room_fits(o->room, n);
}

/* When lines go in again, the first says how many did not. */
static void
tell(struct log_out *o)
{
	char text[TELL];
	int  n = snprintf(
	     text, sizeof(text), "- log dropped=%llu", (unsigned long long)(o->dropped - o->told));

	log_room_add(o->room, stamp(o), strv(text, (size_t)n));
	if (o->tells++ == 0)
		o->told_for_sure = o->told;
	o->told = o->dropped;
}

/* from: what stands in front of the line; its own stamp, or nothing where it has one. */
static void
add(struct log_out *o, struct strv from, struct strv line)
{
	bool tells = o->dropped != o->told;

	if (!has_room(o, from.n + line.n + 1 + (tells ? LOG_STAMP + TELL : 0))) {
		o->dropped++;
		return;
	}
	if (tells)
		tell(o);
	log_room_add(o->room, from, line);
}

void
log_out_line(struct log_out *o, struct strv line)
{
	if (o->fd < 0)
		return;
	add(o, stamp(o), line);
	if (o->loop == NULL)
		flush(o);
}

/* What of the last words was no text is told of: a process that scribbles has more to answer for. */
static void
tell_damage(struct log_out *o, const struct log_rest *rest)
{
	char text[TELL];
	int  n = snprintf(
	     text, sizeof(text), "- log damaged=%llu", (unsigned long long)rest->damaged);

	if (rest->unknown)
		add(o, stamp(o), SV("- log damaged=unknown"));
	else if (rest->damaged > 0)
		add(o, stamp(o), strv(text, (size_t)n));
}

void
log_out_rest(struct log_out *o, struct log_room *room)
{
	struct log_rest rest;
	struct strv     line;

	log_rest_begin(&rest, room);
	while (o->fd >= 0 && log_rest_next(&rest, &line))
		add(o, SV(""), line);
	if (o->fd >= 0)
		tell_damage(o, &rest);
	log_room_clear(room);
	if (o->loop == NULL && log_room_held(o->room).n > 0)
		flush(o);
}

/* ---- where to -------------------------------------------------------------------------------- */

static void
finish(struct log_out *o)
{
	struct pollfd pfd = { o->fd, POLLOUT, 0 };
	uint64_t      end = o->w->now(o->w) + LAST_MS, now;

	if (o->fd < 0)
		log_room_clear(o->room);
	while (log_room_held(o->room).n > 0 && (now = o->w->now(o->w)) < end &&
	    poll(&pfd, 1, (int)(end - now)) > 0)
		flush(o);
}

/*
 * O_NONBLOCK belongs to the open file, which others may share (a terminal, the pipe of a whole
 * pipeline): so a pipe or terminal is opened once more, for us alone.
 */
static void
set_fd(struct log_out *o, int fd)
{
	char        path[32];
	struct stat st;

	if (o->own >= 0)
		close(o->own);
	o->fd = fd;
	o->own = -1;
	o->way = LOG_WRITE;
	if (fd < 0 || fstat(fd, &st) != 0 || S_ISREG(st.st_mode))
		return;
	if (S_ISSOCK(st.st_mode)) {
		o->way = LOG_SEND;
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	o->own = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	o->way = o->own >= 0 ? LOG_PIECES : LOG_POLL;
	if (o->own >= 0)
		o->fd = o->own;
}

void
log_out_fd(struct log_out *o, int fd)
{
	finish(o);
	set_fd(o, fd);
	log_room_move(o->room);
}

/* ---- beginning and ending -------------------------------------------------------------------- */

void
log_out_init(struct log_out *o, struct world *w, struct log_room *room)
{
	*o = (struct log_out){ .w = w, .room = room, .fd = -1, .own = -1 };
	o->due = (struct timer){ .fn = due, .arg = o };
}

void
log_out_start(struct log_out *o, struct loop *loop)
{
	log_room_clear(o->room);
	o->told = o->dropped;
	o->tells = 0;
	o->loop = loop;
	o->next = 0;
	o->due.pos = 0;
	loop_at_round_end(loop, round_end, o);
}

void
log_out_room(struct log_out *o, struct log_room *room)
{
	struct strv held = log_room_held(o->room);

	log_room_clear(room);
	if (held.n > 0)
		log_room_add(room, SV(""), strv_first(held, held.n - 1));
	log_room_clear(o->room);
	o->room = room;
}

void
log_out_stop(struct log_out *o)
{
	if (o->loop != NULL)
		timer_stop(o->loop, &o->due);
	o->loop = NULL;
	finish(o);
}
