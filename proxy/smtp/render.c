/*
 * render -- the head of a message as it will be sent, and where its body lies.
 */
#include "proxy/smtp/render.h"

#include "proxy/base/arena.h"

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

/*
 * Octet for octet: a message that came without an empty line gets none, but where a bare body would be
 * swallowed by fields in front of it, or has been replaced.  So does a stranger's header that ends at a line
 * which is no field: there are readers who pass over such a line, and who would find fields behind it that
 * nobody looked at, results in our name among them (RFC 8601 5).
 */
static bool
needs_gap(const struct view *v, unsigned n, struct strv extra)
{
	const struct message *m = v->msg;

	return !m->no_gap || (m->broken && !is_trusted(m)) || view_body(v) != m->body ||
	    (!has_fields(m) && (n > 0 || extra.n > 0));
}

void
render_begin(struct render *r, struct arena *a, const struct view *v, struct strv extra)
{
	unsigned           n;
	struct view_field *f = view_fields(a, v, &n);
	bool               gap = needs_gap(v, n, extra);
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
