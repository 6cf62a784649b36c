/*
 * log_room.c -- lines that wait to be written, for their writer and for who survives it.
 *
 * A process that is killed stops between any two instructions, and its stores are there in the order in
 * which it made them: so the octets of a line come first, then, in one store, the word that says from where
 * to where the text goes.  The invariants: what that word spans is never written to; in front of it stands
 * the beginning of a line that is half told; behind each line is a newline.
 *
 * A kill may also end a write(2) to a file in the middle, with nobody to hear how far it went: `writing'
 * says that this may be so.  Then all that was to be written is told again, behind a mark.
 */
#include <assert.h>
#include <string.h>

#include "proxy/base/log_room.h"

static_assert(sizeof(struct log_room) == LOG_ROOM, "a room is whole pages");

static const char cut_mark[] = "...";

enum { MARK = sizeof(cut_mark) - 1 };

struct span {
	uint32_t from, to;
};

static struct span
span(struct log_room *r)
{
	uint64_t held = atomic_load_explicit(&r->held, memory_order_acquire);

	return (struct span){ (uint32_t)(held >> 32), (uint32_t)held };
}

static void
set_span(struct log_room *r, size_t from, size_t to)
{
	atomic_store_explicit(&r->held, (uint64_t)from << 32 | to, memory_order_release);
}

/* Where the line begins that octet `at' stands in. */
static uint32_t
line_start(const struct log_room *r, uint32_t at)
{
	while (at > 0 && r->text[at - 1] != '\n')
		at--;
	return at;
}

/* ---- for who writes -------------------------------------------------------------------------- */

void
log_room_clear(struct log_room *r)
{
	set_span(r, 0, 0);
	atomic_store_explicit(&r->writing, 0, memory_order_release);
	atomic_store_explicit(&r->torn, 0, memory_order_release);
}

struct strv
log_room_held(struct log_room *r)
{
	struct span s = span(r);

	return strv(r->text + s.from, s.to - s.from);
}

/* Text moves only to where it does not lie itself: a copy over itself would break it for an instant. */
bool
log_room_fits(struct log_room *r, size_t n)
{
	struct span s = span(r);
	uint32_t    start;

	if (n <= LOG_ROOM_TEXT - s.to)
		return true;
	start = line_start(r, s.from);
	if (s.to - start > start || n > LOG_ROOM_TEXT - (s.to - start))
		return false;
	memcpy(r->text, r->text + start, s.to - start);
	set_span(r, s.from - start, s.to - start);
	return true;
}

void
log_room_add(struct log_room *r, struct strv stamp, struct strv line)
{
	struct span s = span(r);
	char       *to = r->text + s.to;

	assert(stamp.n + line.n + 1 <= LOG_ROOM_TEXT - s.to);
	memcpy(to, stamp.p, stamp.n);
	memcpy(to + stamp.n, line.p, line.n);
	to[stamp.n + line.n] = '\n';
	set_span(r, s.from, s.to + stamp.n + line.n + 1);
}

void
log_room_writing(struct log_room *r)
{
	atomic_store_explicit(&r->writing, 1, memory_order_release);
}

void
log_room_written(struct log_room *r, size_t n)
{
	struct span s = span(r);

	assert(n <= s.to - s.from);
	if (n == s.to - s.from)
		set_span(r, 0, 0);
	else if (n > 0)
		set_span(r, s.from + n, s.to);
	atomic_store_explicit(&r->writing, 0, memory_order_release);
}

uint64_t
log_room_lose(struct log_room *r)
{
	struct span s = span(r);
	uint64_t    lines = 0;

	for (uint32_t i = s.from; i < s.to; i++)
		lines += r->text[i] == '\n';
	if (line_start(r, s.from) != s.from)
		atomic_store_explicit(&r->torn, 1, memory_order_release);
	set_span(r, 0, 0);
	return lines;
}

bool
log_room_is_torn(struct log_room *r)
{
	return atomic_load_explicit(&r->torn, memory_order_relaxed) != 0;
}

void
log_room_tear(struct log_room *r)
{
	atomic_store_explicit(&r->torn, 1, memory_order_release);
}

void
log_room_mended(struct log_room *r)
{
	atomic_store_explicit(&r->torn, 0, memory_order_release);
}

void
log_room_move(struct log_room *r)
{
	struct span s = span(r);

	set_span(r, line_start(r, s.from), s.to);
	log_room_mended(r);
}

/* ---- for who survives the writer ------------------------------------------------------------- */

void
log_rest_begin(struct log_rest *rest, struct log_room *r)
{
	struct span s = span(r);

	rest->r = r;
	rest->damaged = 0;
	rest->unknown = s.to > LOG_ROOM_TEXT || s.from > s.to;
	rest->at = rest->end = 0;
	rest->mark = false;
	if (rest->unknown)
		return;
	rest->at = line_start(r, s.from);
	rest->end = s.to;
	rest->mark = rest->at != s.from || atomic_load(&r->writing) != 0 ||
	    atomic_load(&r->torn) != 0;
}

/* What a line may consist of, from c. */
static bool
take_octet(struct log_rest *rest, size_t *n, char c)
{
	if (c == '\n')
		return false;
	if (c >= 0x20 && c < 0x7f && *n < LOG_ROOM_LINE)
		rest->line[(*n)++] = c;
	else
		rest->damaged++;
	return true;
}

/* A line that is not as it was said ends in the mark of one that is cut. */
static struct strv
next_line(struct log_rest *rest)
{
	uint64_t damaged = rest->damaged;
	size_t   n = 0;
	bool     more = true;

	while (more && rest->at < rest->end)
		more = take_octet(rest, &n, rest->r->text[rest->at++]);
	if (more || rest->damaged != damaged) {
		memcpy(rest->line + n, cut_mark, MARK);
		n += MARK;
	}
	return strv(rest->line, n);
}

bool
log_rest_next(struct log_rest *rest, struct strv *line)
{
	if (rest->mark) {
		rest->mark = false;
		*line = strv(cut_mark, MARK);
		return true;
	}
	if (rest->at == rest->end)
		return false;
	*line = next_line(rest);
	return true;
}
