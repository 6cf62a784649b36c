/*
 * render -- the head of a message as it will be sent, and where its body lies.
 */
#include "proxy/smtp/render.h"

#include "proxy/base/arena.h"
#include "proxy/base/spool.h"

static size_t
head_size(const struct view_field *f, unsigned n, struct strv extra, bool gap)
{
	size_t size = extra.n + (gap ? 2 : 0);

	for (unsigned i = 0; i < n; i++)
		size += f[i].raw.n;
	return size;
}

static char *
append(char *p, struct strv v)
{
	if (v.n > 0)
		memcpy(p, v.p, v.n);
	return p + v.n;
}

static bool
has_fields(const struct message *m)
{
	for (unsigned i = 0; i < m->n_h; i++)
		if (!m->h[i].hidden)
			return true;
	return false;
}

/* Nothing is hidden from it, for whoever sent it may speak in our name. */
static bool
is_trusted(const struct message *m)
{
	return m->keep_ours || m->authserv.n == 0;
}

enum { LINE_START = 16, PIECE = 16384 };

/* Does a line begin so that somebody may take it for a field of ours? */
static bool
is_ours(struct strv start)
{
	return strv_istarts(start, SV("Authentication")) || strv_istarts(start, SV("X-Postern"));
}

struct lines {
	char   start[LINE_START]; /* of the one at hand */
	size_t n;
	bool   ours, over; /* over: the empty line has come */
};

static void
look_at(struct lines *l, struct strv v)
{
	while (v.n > 0 && !l->ours && !l->over) {
		size_t end = strv_chr(v, '\n'), take = end < v.n ? end + 1 : v.n;
		size_t room = LINE_START - l->n, keep = take < room ? take : room;

		memcpy(l->start + l->n, v.p, keep);
		l->n += keep;
		l->ours = is_ours(strv(l->start, l->n));
		l->over = strv_eq(strv(l->start, l->n), SV("\r\n"));
		if (end < v.n)
			l->n = 0;
		v = strv_from(v, take);
	}
}

/*
 * Behind a line that is no field there may be fields for readers who pass over such a line, and nobody looked at
 * them: results in our name among them (RFC 8601 5)?  As far as the text is here, up to its first empty line.
 */
static bool
speaks_for_us(struct arena *a, const struct message *m)
{
	struct lines l = { .n = 0 };
	char        *room;
	struct strv  piece;

	if (!m->broken || is_trusted(m) || m->body == NULL)
		return false;
	room = arena_bytes(a, PIECE);
	for (uint64_t at = 0; !l.ours && !l.over; at += piece.n) {
		piece = spool_read(m->body, at, room, PIECE);
		if (piece.n == 0)
			break;
		look_at(&l, piece);
	}
	return l.ours;
}

/*
 * Octet for octet: a message that came without an empty line gets none, but where a bare body would be
 * swallowed by fields in front of it, or has been replaced, or where it would speak for us.
 */
static bool
needs_gap(struct arena *a, const struct view *v, unsigned n, struct strv extra)
{
	const struct message *m = v->msg;

	return !m->no_gap || view_body(v) != m->body ||
	    (!has_fields(m) && (n > 0 || extra.n > 0)) || speaks_for_us(a, m);
}

void
render_begin(struct render *r, struct arena *a, const struct view *v, struct strv extra)
{
	unsigned           n;
	struct view_field *f = view_fields(a, v, &n);
	bool               gap = needs_gap(a, v, n, extra);
	size_t             size = head_size(f, n, extra, gap);
	char              *p = arena_bytes(a, size);

	r->head = strv(p, size);
	p = append(p, extra);
	for (unsigned i = 0; i < n; i++)
		p = append(p, f[i].raw);
	if (gap)
		append(p, SV("\r\n"));
	r->body = view_body(v);
	r->at = 0;
	r->size = size + (r->body != NULL ? spool_size(r->body) : 0);
}
