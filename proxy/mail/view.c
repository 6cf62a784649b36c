/*
 * view -- the header and body of a message as the first edits make them.
 *
 * Edits apply one after another, so an index counts what the edits before it left: a milter that deletes
 * the first of two fields finds the second as the first one.  The message itself never changes.
 */
#include "proxy/mail/view.h"

#include "proxy/base/arena.h"

struct list {
	struct view_field *v;
	unsigned           n; /* room was made for all that edits can add */
};

static struct view_field
made(struct arena *a, const struct edit *e)
{
	/* One blank behind the colon, unless the value brings its own. RFC 5322 2.2 */
	bool   blank = !e->exact && e->value.n > 0 && memchr(" \t\r", e->value.p[0], 3) == NULL;
	size_t n = e->name.n + 1 + blank + e->value.n + 2;
	char  *raw = arena_bytes(a, n), *p = raw;

	memcpy(p, e->name.p, e->name.n);
	p += e->name.n;
	*p++ = ':';
	if (blank)
		*p++ = ' ';
	if (e->value.n > 0)
		memcpy(p, e->value.p, e->value.n);
	memcpy(p + e->value.n, "\r\n", 2);
	return (struct view_field){ .name = strv(raw, e->name.n), .raw = strv(raw, n) };
}

static void
insert(struct list *l, unsigned at, struct view_field f)
{
	if (at > l->n)
		at = l->n;
	/* An mbox line stays in front: behind a field it would end the header. */
	if (at == 0 && l->n > 0 && l->v[0].name.n == 0)
		at = 1;
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof(l->v[0]));
	l->v[at] = f;
	l->n++;
}

/* Place of the nth (from 1) field of that name, or l->n. */
static unsigned
place(const struct list *l, struct strv name, unsigned nth)
{
	unsigned i;

	for (i = 0; i < l->n; i++)
		if (strv_ieq(l->v[i].name, name) && --nth == 0)
			break;
	return i;
}

static void
delete_all(struct list *l, struct strv name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (!strv_ieq(l->v[i].name, name))
			l->v[n++] = l->v[i];
	l->n = n;
}

static void
apply(struct arena *a, struct list *l, const struct edit *e)
{
	unsigned at = 0;

	if (e->op == EDIT_CHANGE_HEADER || e->op == EDIT_DELETE_HEADER)
		at = place(l, e->name, e->at);
	switch (e->op) {
	case EDIT_CHANGE_HEADER:
		if (at < l->n) {
			l->v[at] = made(a, e);
			break;
		}
		/* as other MTAs do, a field that is not there is added */
		/* FALLTHROUGH */
	case EDIT_ADD_HEADER:
		l->v[l->n++] = made(a, e);
		break;
	case EDIT_INSERT_HEADER:
		insert(l, e->at, made(a, e));
		break;
	case EDIT_DELETE_HEADER:
		if (at < l->n) {
			memmove(&l->v[at], &l->v[at + 1], (l->n - at - 1) * sizeof(l->v[0]));
			l->n--;
		}
		break;
	case EDIT_DELETE_ALL:
		delete_all(l, e->name);
		break;
	default:
		break;
	}
}

struct view_field *
view_fields(struct arena *a, const struct view *v, unsigned *n)
{
	unsigned    edits = v->edits == NULL ? 0 : v->upto;
	size_t      most = (size_t)v->msg->n_h + edits;
	struct list l = { .v = arena_array(a, most, sizeof(struct view_field)) };

	for (unsigned i = 0; i < v->msg->n_h; i++) {
		const struct header *h = &v->msg->h[i];

		if (!h->hidden)
			l.v[l.n++] = (struct view_field){ .name = header_name(h), .raw = h->raw };
	}
	for (unsigned i = 0; i < edits; i++)
		apply(a, &l, &v->edits->v[i]);
	*n = l.n;
	return l.v;
}

struct spool *
view_body(const struct view *v)
{
	for (unsigned i = v->edits == NULL ? 0 : v->upto; i-- > 0;)
		if (v->edits->v[i].op == EDIT_REPLACE_BODY)
			return v->edits->v[i].body;
	return v->msg->body;
}
