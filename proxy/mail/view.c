/*
 * view -- the header and body of a message as the first edits make them.
 *
 * Edits apply one after another, so an index counts what the edits before it left: a milter that deletes
 * the first of two fields finds the second as the first one.  The message itself never changes.
 */
#include "proxy/mail/view.h"

#include "proxy/base/arena.h"
#include "proxy/mail/fieldlist.h"

struct work {
	struct arena       *a;   /* gone behind it */
	struct view_field  *old; /* fields of the message */
	unsigned            n_old;
	const struct edit  *edit;
	unsigned            n_edit;
	struct fieldlist   *list;
	const struct edit **by; /* by field: the edit that it is of now; NULL: it is as it came */
	bool               *above; /* by field: of its place, whatever it is of now */
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

static struct view_field *
take_fields(struct arena *a, const struct message *m, unsigned *n)
{
	struct view_field *v = arena_array(a, m->n_h, sizeof(*v));

	*n = 0;
	for (unsigned i = 0; i < m->n_h; i++) {
		const struct header *h = &m->h[i];

		if (!h->hidden)
			v[(*n)++] = (struct view_field){ .name = header_name(h), .raw = h->raw };
	}
	return v;
}

static bool
of_header(enum edit_op op)
{
	switch (op) {
	case EDIT_ADD_HEADER:
	case EDIT_INSERT_HEADER:
	case EDIT_CHANGE_HEADER:
	case EDIT_DELETE_HEADER:
	case EDIT_DELETE_ALL:
		return true;
	default:
		return false;
	}
}

static bool
by_name(enum edit_op op)
{
	return op == EDIT_CHANGE_HEADER || op == EDIT_DELETE_HEADER || op == EDIT_DELETE_ALL;
}

/* Names are looked at only where an edit finds its field by one: most put some in. */
static void
begin(struct work *w)
{
	struct strv *name = arena_array(w->a, (size_t)w->n_old + w->n_edit, sizeof(*name));
	unsigned     n = 0;
	bool         named = false;

	for (; n < w->n_old; n++)
		name[n] = w->old[n].name;
	for (unsigned i = 0; i < w->n_edit; i++) {
		if (!of_header(w->edit[i].op))
			continue;
		name[n++] = w->edit[i].name;
		named = named || by_name(w->edit[i].op);
	}
	w->list = fieldlist_new(w->a, name, w->n_old, n, named);
	w->by = arena_array(w->a, (size_t)w->n_old + w->n_edit + 1, sizeof(*w->by));
	w->above = arena_array(w->a, (size_t)w->n_old + w->n_edit + 1, sizeof(*w->above));
}

static void
apply(struct work *w, const struct edit *e)
{
	uint32_t at = FIELD_NONE;

	if (e->op == EDIT_CHANGE_HEADER || e->op == EDIT_DELETE_HEADER)
		at = fieldlist_find(w->list, e->name, e->at);
	switch (e->op) {
	case EDIT_CHANGE_HEADER:
		/* As other MTAs do, a field that is not there is added. */
		if (at == FIELD_NONE)
			at = fieldlist_add(w->list, e->name);
		w->by[at] = e;
		break;
	case EDIT_ADD_HEADER:
		w->by[fieldlist_add(w->list, e->name)] = e;
		break;
	case EDIT_INSERT_HEADER:
		at = fieldlist_insert(w->list, e->at, e->name);
		w->by[at] = e;
		w->above[at] = e->above;
		break;
	case EDIT_DELETE_HEADER:
		if (at != FIELD_NONE)
			fieldlist_drop(w->list, at);
		break;
	case EDIT_DELETE_ALL:
		fieldlist_drop_all(w->list, e->name);
		break;
	default:
		break;
	}
}

static struct view_field *
put_out(struct arena *a, struct work *w, unsigned *n)
{
	struct view_field *v = arena_array(a, fieldlist_count(w->list), sizeof(*v));
	uint32_t           x = fieldlist_first(w->list);

	for (*n = 0; x != FIELD_NONE; x = fieldlist_next(w->list, x)) {
		v[*n] = w->by[x] != NULL ? made(a, w->by[x]) : w->old[x - 1];
		v[(*n)++].above = w->above[x];
	}
	return v;
}

static bool
any_of_header(const struct view *v)
{
	for (unsigned i = 0; v->edits != NULL && i < v->upto; i++)
		if (of_header(v->edits->v[i].op))
			return true;
	return false;
}

struct view_field *
view_fields_counted(struct arena *a, const struct view *v, unsigned *n, uint64_t *steps)
{
	struct work        w = { 0 };
	struct view_field *out;

	*steps = 0;
	if (!any_of_header(v))
		return take_fields(a, v->msg, n);
	w.a = arena_new(4096, 0);
	w.old = take_fields(w.a, v->msg, &w.n_old);
	w.edit = v->edits->v;
	w.n_edit = v->upto;
	begin(&w);
	for (unsigned i = 0; i < w.n_edit; i++)
		apply(&w, &w.edit[i]);
	out = put_out(a, &w, n);
	*steps = fieldlist_steps(w.list);
	arena_free(w.a);
	return out;
}

struct view_field *
view_fields(struct arena *a, const struct view *v, unsigned *n)
{
	uint64_t steps;

	return view_fields_counted(a, v, n, &steps);
}

struct spool *
view_body(const struct view *v)
{
	for (unsigned i = v->edits == NULL ? 0 : v->upto; i-- > 0;)
		if (v->edits->v[i].op == EDIT_REPLACE_BODY)
			return v->edits->v[i].body;
	return v->msg->body;
}
