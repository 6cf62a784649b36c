/*
 * intake -- the octets a client sent, until somebody takes them.  Knows lines, not commands.
 *
 * Invariant: while `skipping` the buffer begins inside a line that has been judged too long already.
 */
#include "proxy/smtp/intake.h"

#include "proxy/base/arena.h"
#include "proxy/base/scan.h"

void
intake_init(struct intake *in, struct bufpool *pool)
{
	memset(in, 0, sizeof *in);
	in->pool = pool;
}

/* What begins like AUTH with its initial response: long, and not for anybody's eyes. */
static bool
is_auth(struct strv v)
{
	return strv_istarts(v, SV("AUTH "));
}

/* Octets of the line that comes next, its CRLF included. */
static size_t
line_max(const struct intake *in)
{
	bool wide = in->wide || (in->auth && is_auth(intake_unread(in)));

	return wide ? INTAKE_WIDE : INTAKE_LINE;
}

/* The buffer may hold copies of what was moved to its front: all of it is wiped. */
static void
give_buffer(struct intake *in)
{
	if (in->b != NULL && (in->secret || in->wide))
		explicit_bzero(in->b, BUFPOOL_SIZE);
	if (in->b != NULL)
		bufpool_give(in->pool, in->b);
	in->b = NULL;
	in->at = in->n = 0;
	in->secret = false;
}

void
intake_secret(struct intake *in)
{
	in->secret = in->b != NULL;
}

static void
drop_kept(struct intake *in)
{
	if (in->keep != NULL)
		explicit_bzero(in->keep, in->keep_n);
	mem_free(in->keep);
	in->keep = NULL;
	in->keep_n = 0;
}

void
intake_fini(struct intake *in)
{
	give_buffer(in);
	drop_kept(in);
}

static void
take_buffer(struct intake *in)
{
	in->b = bufpool_take(in->pool);
	in->at = in->n = 0;
	if (in->keep == NULL)
		return;
	memcpy(in->b, in->keep, in->keep_n);
	in->n = in->keep_n;
	drop_kept(in);
}

void
intake_wake(struct intake *in)
{
	if (in->b == NULL && in->keep != NULL)
		take_buffer(in);
}

enum io_rc
intake_recv(struct intake *in, struct conn *c)
{
	enum io_rc rc;
	size_t     got = 0;

	if (in->b == NULL)
		take_buffer(in);
	if (in->at > 0) {
		memmove(in->b, in->b + in->at, in->n - in->at);
		in->n -= in->at;
		in->at = 0;
	}
	if (in->n == BUFPOOL_SIZE)
		return IO_AGAIN;
	rc = conn_recv(c, in->b + in->n, BUFPOOL_SIZE - in->n, &got);
	in->n += (uint32_t)got;
	return rc;
}

void
intake_take(struct intake *in, size_t n)
{
	in->at += (uint32_t)n;
	if (in->at == in->n)
		in->at = in->n = 0;
}

/* Offset of the LF of the first CRLF from octet `from` on, or v.n. */
static size_t
find_crlf(struct strv v, size_t from)
{
	while (from < v.n) {
		const char *lf = memchr(v.p + from, '\n', v.n - from);

		if (lf == NULL)
			return v.n;
		if (lf > v.p && lf[-1] == '\r')
			return (size_t)(lf - v.p);
		from = (size_t)(lf - v.p) + 1;
	}
	return v.n;
}

/* Drops what belongs to the over-long line, but for a last CR, whose LF may be next. */
static enum intake_rc
skip(struct intake *in)
{
	struct strv v = intake_unread(in);
	size_t      lf = find_crlf(v, 0), drop;

	if (lf < v.n) {
		in->skipping = false;
		in->skipped = 0;
		intake_take(in, lf + 1);
		return INTAKE_TOO_LONG;
	}
	drop = v.n > 0 && v.p[v.n - 1] == '\r' ? v.n - 1 : v.n;
	in->skipped += (uint32_t)drop;
	if (drop > 0)
		intake_take(in, drop);
	return in->skipped > INTAKE_SKIP ? INTAKE_ENDLESS : INTAKE_MORE;
}

bool
intake_has_line(const struct intake *in)
{
	struct strv v = intake_unread(in);

	return v.n > 0 && (in->skipping || v.n > line_max(in) || memchr(v.p, '\n', v.n) != NULL);
}

/* RFC 5321 2.3.8: only CRLF ends a line; anything else that looks like an end spoils it. */
enum intake_rc
intake_line(struct intake *in, struct strv *line)
{
	struct strv v = intake_unread(in);
	size_t      lf, max;

	if (v.n == 0)
		return INTAKE_MORE;
	if (in->skipping)
		return skip(in);
	lf = find_crlf(v, 0);
	max = line_max(in);
	in->was_wide = max > INTAKE_LINE;
	if (lf == v.n && v.n > max) {
		in->skipping = true;
		return skip(in);
	}
	if (lf == v.n)
		return INTAKE_MORE;
	intake_take(in, lf + 1);
	if (lf + 1 > max)
		return INTAKE_TOO_LONG;
	*line = strv(v.p, lf - 1);
	return scan_line(*line) == line->n ? INTAKE_LINE_OK : INTAKE_BAD;
}

void
intake_rest(struct intake *in)
{
	size_t left = in->n - in->at;

	if (in->b == NULL || left > line_max(in))
		return;
	in->secret |= is_auth(intake_unread(in));
	if (left > 0) {
		in->keep = mem_alloc(left);
		memcpy(in->keep, in->b + in->at, left);
		in->keep_n = (uint16_t)left;
	}
	give_buffer(in);
}
