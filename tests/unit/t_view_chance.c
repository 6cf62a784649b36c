/*
 * Views by chance, held against the same in the simple way: a table of fields that each edit walks from its beginning,
 * as views were made at first.  And what the most edits cost that there may be, which is counted, not timed.
 */
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/mail/view.h"
#include "tests/unit/t.h"

#define CASES  6000
#define FIELDS 20
#define EDITS  30

static uint32_t
draw(uint32_t below)
{
	static uint64_t state = 1;

	return (uint32_t)(t_random(&state) % below);
}

/* ---- the simple way ---- */

struct list {
	struct view_field *v;
	unsigned           n;
};

static struct view_field
made(struct arena *a, const struct edit *e)
{
	bool        blank = !e->exact && e->value.n > 0 && strchr(" \t\r", e->value.p[0]) == NULL;
	struct strv raw = arena_printf(a, "%.*s:%s%.*s\r\n", (int)e->name.n, e->name.p,
	    blank ? " " : "", (int)e->value.n, e->value.p);

	return (struct view_field){ .name = strv_first(raw, e->name.n), .raw = raw };
}

static void
insert(struct list *l, unsigned at, struct view_field f)
{
	if (at > l->n)
		at = l->n;
	memmove(&l->v[at + 1], &l->v[at], (l->n - at) * sizeof(l->v[0]));
	l->v[at] = f;
	l->n++;
}

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
drop(struct list *l, unsigned at)
{
	if (at == l->n)
		return;
	l->n--;
	memmove(&l->v[at], &l->v[at + 1], (l->n - at) * sizeof(l->v[0]));
}

static void
apply(struct arena *a, struct list *l, const struct edit *e)
{
	unsigned at;

	switch (e->op) {
	case EDIT_CHANGE_HEADER:
		at = place(l, e->name, e->at);
		l->v[at] = made(a, e);
		l->n += at == l->n;
		break;
	case EDIT_ADD_HEADER:
		l->v[l->n++] = made(a, e);
		break;
	case EDIT_INSERT_HEADER:
		insert(l, e->at, made(a, e));
		break;
	case EDIT_DELETE_HEADER:
		drop(l, place(l, e->name, e->at));
		break;
	case EDIT_DELETE_ALL:
		while (place(l, e->name, 1) < l->n)
			drop(l, place(l, e->name, 1));
		break;
	default:
		break;
	}
}

static struct list
simply(struct arena *a, const struct view *v)
{
	struct list l = { .v = arena_array(a, v->msg->n_h + v->upto + 1, sizeof(*l.v)) };

	for (unsigned i = 0; i < v->msg->n_h; i++) {
		const struct header *h = &v->msg->h[i];

		if (!h->hidden)
			l.v[l.n++] = (struct view_field){ .name = header_name(h), .raw = h->raw };
	}
	for (unsigned i = 0; i < v->upto; i++)
		apply(a, &l, &v->edits->v[i]);
	return l;
}

/* What the view has cost. */
static uint64_t
is_as_simply(struct arena *a, const struct view *v)
{
	struct list        want = simply(a, v);
	unsigned           n;
	uint64_t           steps;
	struct view_field *have = view_fields_counted(a, v, &n, &steps);

	if (!T_EQ_NUM(n, want.n))
		return steps;
	for (unsigned i = 0; i < n; i++)
		if (!T_EQ_STRV(have[i].raw, want.v[i].raw) ||
		    !T_EQ_STRV(have[i].name, want.v[i].name))
			break;
	return steps;
}

/* ---- small ones ---- */

static const char *
draw_name(void)
{
	static const char *const names[] = { "A", "a", "Bb", "bB", "BB", "Long-Name", "lONG-nAME",
		"C", "X-Postern-Q" };

	return names[draw(T_COUNT(names))];
}

static void
draw_message(struct arena *a, struct message *m)
{
	struct buf  b;
	struct strv body;

	buf_init(&b, 65536);
	if (draw(5) == 0)
		buf_printf(&b, "From x@y Mon\r\n");
	for (unsigned i = draw(FIELDS); i > 0; i--)
		buf_printf(&b, "%s: %u\r\n%s", draw_name(), i, i % 4 == 0 ? "\tfolded\r\n" : "");
	buf_printf(&b, "\r\n");
	message_begin(m, a, NULL, 65536);
	T_EQ_NUM(message_feed(m, buf_view(&b), &body), MESSAGE_OK);
	T_EQ_NUM(message_end(m, &body), MESSAGE_OK);
	buf_fini(&b);
}

static uint32_t
draw_at(void)
{
	return draw(8) == 0 ? UINT32_MAX - draw(2) : draw(draw(2) ? 4 : FIELDS + EDITS);
}

static struct edit
draw_edit(struct arena *a, unsigned number)
{
	static const enum edit_op ops[] = { EDIT_ADD_HEADER, EDIT_INSERT_HEADER, EDIT_INSERT_HEADER,
		EDIT_CHANGE_HEADER, EDIT_CHANGE_HEADER, EDIT_DELETE_HEADER, EDIT_DELETE_HEADER,
		EDIT_DELETE_ALL, EDIT_ADD_RCPT };
	static const char *const  values[] = { "", "v", " v", "\tv", "\r\n v" };
	struct edit               e = { .at = draw_at() };

	/* Fewer kinds of edits in some, so that all of them are drawn alone as well. */
	e.op = ops[draw(1 + draw(T_COUNT(ops)))];
	e.exact = draw(3) == 0;
	e.name = strv_z(draw_name());
	e.value = arena_printf(a, "%s%u", values[draw(T_COUNT(values))], number);
	if (draw(6) == 0)
		e.value = SV("");
	if (e.op == EDIT_ADD_RCPT)
		e.value = SV("a@b.example");
	return e;
}

static void
they_are_what_they_should_be(void)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < CASES; i++) {
		struct arena  *a = arena_new(4096, 0);
		struct message m;
		struct edits   e = { 0 };
		const char    *why;

		draw_message(a, &m);
		for (unsigned k = draw(EDITS); k > 0; k--) {
			struct edit add = draw_edit(a, k);

			(void)edits_add(a, &e, &add, &why); /* some are none: the 0th of a name */
		}
		taken += e.n;
		is_as_simply(a, &(struct view){ &m, &e, e.n });
		is_as_simply(a, &(struct view){ &m, &e, draw(e.n + 1) });
		arena_free(a);
	}
	T_CHECKF(taken > 10 * CASES, "only %u edits were any", taken);
}

/* ---- the largest ---- */

static void
long_message(struct arena *a, struct message *m, unsigned names)
{
	struct buf  b;
	struct strv body;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < MESSAGE_FIELDS_MAX; i++)
		buf_printf(&b, "X-%u: %u\r\n", i % names, i);
	buf_printf(&b, "\r\n");
	message_begin(m, a, NULL, 1 << 20);
	T_EQ_NUM(message_feed(m, buf_view(&b), &body), MESSAGE_OK);
	buf_fini(&b);
}

static void
the_most_edits_cost_little(void)
{
	static const struct {
		const char  *name;
		unsigned     names;
		enum edit_op op;
		uint32_t     at; /* 0: by chance */
	} e[] = {
		{ "the last of one name", 1, EDIT_CHANGE_HEADER, MESSAGE_FIELDS_MAX },
		{ "not there", 1, EDIT_CHANGE_HEADER, UINT32_MAX },
		{ "any of one name", 1, EDIT_DELETE_HEADER, 0 },
		{ "in one place", 1, EDIT_INSERT_HEADER, 4000 },
		{ "anywhere", 1, EDIT_INSERT_HEADER, 0 },
		{ "of many names", 4000, EDIT_DELETE_HEADER, 1 },
	};

	for (size_t i = 0; i < T_COUNT(e); i++) {
		struct arena  *a = arena_new(65536, 0);
		struct message m;
		struct edits   all = { 0 };
		uint64_t       steps;
		const char    *why;

		t_row = e[i].name;
		long_message(a, &m, e[i].names);
		/* The last one wants all names to be known. */
		for (unsigned k = 0; k < EDITS_MAX; k++) {
			struct edit add = { .op = k + 1 < EDITS_MAX ? e[i].op : EDIT_DELETE_ALL };

			add.at = e[i].at > 0 ? e[i].at : 1 + draw(MESSAGE_FIELDS_MAX - EDITS_MAX);
			add.name = arena_printf(a, "x-%u", draw(e[i].names));
			T_CHECK(edits_add(a, &all, &add, &why));
		}
		steps = is_as_simply(a, &(struct view){ &m, &all, all.n - 1 });
		/* Each 300 at most where one that walks all fields has 8,192. */
		T_CHECKF(steps < 4 * MESSAGE_FIELDS_MAX + 300 * EDITS_MAX, "%llu steps",
		    (unsigned long long)steps);
		steps = is_as_simply(a, &(struct view){ &m, &all, all.n });
		T_CHECKF(steps < 40 * MESSAGE_FIELDS_MAX + 600 * EDITS_MAX, "%llu steps",
		    (unsigned long long)steps);
		if (getenv("T_TELL") != NULL)
			printf("%s: %llu\n", e[i].name, (unsigned long long)steps);
		arena_free(a);
	}
	t_row = NULL;
}

int
main(void)
{
	T_RUN(they_are_what_they_should_be);
	T_RUN(the_most_edits_cost_little);
	return t_end();
}
