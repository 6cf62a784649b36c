/*
 * fieldlist -- see fieldlist.h.
 *
 * Milters choose how many edits there are and strangers how many fields, and nobody else is served while an edit
 * looks for its field: so the fields stand in one row by place and, once more, in one for each name (order.h).  The
 * invariant: both rows have the fields of a name in the same order.
 */
#include <stdlib.h>

#include "proxy/base/arena.h"
#include "proxy/base/hash.h"
#include "proxy/mail/fieldlist.h"
#include "proxy/mail/order.h"

#define UNKNOWN_NAME UINT32_MAX

struct known {
	uint64_t           hash;
	const struct strv *name; /* the first of those that are the same */
};

struct same { /* name */
	uint32_t root;
	uint32_t old,
	    n_old; /* where in fieldlist.old those begin that stood there at first, and how many */
};

struct fieldlist {
	struct arena *a;
	bool          named;
	uint32_t      n; /* fields that ever were */
	struct order  place, name;
	uint32_t      root;   /* of place */
	struct known *known;  /* names, each once, by hash */
	struct same  *same;   /* of each */
	unsigned      n_same; /* 0: nobody asks */
	uint32_t     *old;
	uint32_t     *of; /* by field: which name, or UNKNOWN_NAME */
	unsigned      max_of;
};

/* ---- names ---- */

static int
compare_text(struct strv a, struct strv b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	for (size_t i = 0; i < a.n; i++) {
		int d = ascii_lower(a.p[i]) - ascii_lower(b.p[i]);

		if (d != 0)
			return d;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct known *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return compare_text(*x->name, *y->name);
}

static int
by_name_and_place(const void *a, const void *b)
{
	const struct known *x = a, *y = b;
	int                 d = by_name(a, b);

	return d != 0 ? d : (x->name > y->name) - (x->name < y->name);
}

static uint32_t
number_of(const struct fieldlist *l, struct strv name)
{
	struct known        x = { .name = &name };
	const struct known *at;

	if (l->n_same == 0)
		return UNKNOWN_NAME;
	x.hash = hash_name(name);
	at = bsearch(&x, l->known, l->n_same, sizeof(x), by_name);
	return at == NULL ? UNKNOWN_NAME : (uint32_t)(at - l->known);
}

/* Sorted, equal names stand together in the order of their fields: so each makes its row as it comes. */
static void
take_names(struct fieldlist *l, const struct strv *name, unsigned n)
{
	struct known *all = arena_array(l->a, n, sizeof(*all));
	uint32_t      old = 0;

	for (unsigned i = 0; i < n; i++)
		all[i] = (struct known){ hash_name(name[i]), &name[i] };
	qsort(all, n, sizeof(*all), by_name_and_place);
	l->known = all;
	l->same = arena_array(l->a, n, sizeof(*l->same));
	l->old = arena_array(l->a, l->n + (size_t)1, sizeof(*l->old));
	for (unsigned i = 0; i < n; i++) {
		uint32_t     field = (uint32_t)(all[i].name - name) + 1;
		struct same *s;

		if (l->n_same == 0 || by_name(&all[l->n_same - 1], &all[i]) != 0) {
			l->same[l->n_same].old = old;
			l->known[l->n_same++] = all[i];
		}
		if (field > l->n)
			continue;
		s = &l->same[l->n_same - 1];
		l->of[field] = l->n_same - 1;
		l->old[old++] = field;
		s->n_old++;
	}
	for (unsigned i = 0; i < l->n_same; i++)
		l->same[i].root = order_build(&l->name, l->old + l->same[i].old, l->same[i].n_old);
}

/* ---- the list ---- */

static void
make_room(struct fieldlist *l, unsigned most)
{
	order_room(l->a, &l->place, most);
	if (l->named)
		order_room(l->a, &l->name, most);
	l->of = arena_grow(l->a, l->of, &l->max_of, most + 1, sizeof(*l->of));
}

struct fieldlist *
fieldlist_new(
    struct arena *a, const struct strv *name, unsigned fields, unsigned n_name, bool named)
{
	struct fieldlist *l = arena_alloc(a, sizeof(*l));
	uint32_t         *all = arena_array(a, fields + (size_t)1, sizeof(*all));

	l->a = a;
	l->n = fields;
	l->named = named;
	make_room(l, n_name);
	for (uint32_t i = 0; i < fields; i++)
		all[i] = i + 1;
	l->root = order_build(&l->place, all, fields);
	if (named)
		take_names(l, name, n_name);
	return l;
}

/* The first of a name that stands behind x, which is not in that row yet. */
static uint32_t
behind(struct fieldlist *l, uint32_t root, uint32_t x)
{
	uint32_t at = order_before(&l->place, x, ORDER_ALL), found = ORDER_NONE;

	while (root != ORDER_NONE) {
		const struct order_node *v = &l->name.v[root];

		if (order_before(&l->place, root, ORDER_ALL) > at) {
			found = root;
			root = v->left;
		} else {
			root = v->right;
		}
	}
	return found;
}

static uint32_t
put(struct fieldlist *l, struct strv name, uint32_t before)
{
	uint32_t     x = ++l->n;
	struct same *s;

	make_room(l, x);
	l->root = order_put(&l->place, l->root, x, before);
	l->of[x] = number_of(l, name);
	if (l->of[x] == UNKNOWN_NAME)
		return x;
	s = &l->same[l->of[x]];
	s->root = order_put(
	    &l->name, s->root, x, before == ORDER_NONE ? ORDER_NONE : behind(l, s->root, x));
	return x;
}

uint32_t
fieldlist_insert(struct fieldlist *l, uint32_t at, struct strv name)
{
	return put(l, name, order_nth(&l->place, l->root, at));
}

uint32_t
fieldlist_add(struct fieldlist *l, struct strv name)
{
	return put(l, name, ORDER_NONE);
}

void
fieldlist_drop(struct fieldlist *l, uint32_t field)
{
	order_drop(&l->place, field);
	if (l->n_same > 0 && l->of[field] != UNKNOWN_NAME)
		order_drop(&l->name, field);
}

void
fieldlist_drop_all(struct fieldlist *l, struct strv name)
{
	uint32_t number = number_of(l, name), x;

	if (number == UNKNOWN_NAME)
		return;
	while ((x = order_nth(&l->name, l->same[number].root, 0)) != ORDER_NONE)
		fieldlist_drop(l, x);
}

bool
fieldlist_has(const struct fieldlist *l, uint32_t field)
{
	return !l->place.v[field].gone;
}

unsigned
fieldlist_count(const struct fieldlist *l)
{
	return l->place.v[l->root].n[ORDER_HERE];
}

uint32_t
fieldlist_find(struct fieldlist *l, struct strv name, uint32_t nth)
{
	uint32_t number = number_of(l, name);

	return number == UNKNOWN_NAME || nth == 0 ?
	    FIELD_NONE :
	    order_nth(&l->name, l->same[number].root, nth - 1);
}

uint32_t
fieldlist_find_old(struct fieldlist *l, struct strv name, uint32_t nth)
{
	uint32_t number = number_of(l, name);

	if (number == UNKNOWN_NAME || nth == 0 || nth > l->same[number].n_old)
		return FIELD_NONE;
	return l->old[l->same[number].old + nth - 1];
}

unsigned
fieldlist_nth(struct fieldlist *l, uint32_t field)
{
	return order_before(&l->name, field, ORDER_HERE) + 1;
}

/* x, or the next one behind it that is there. */
static uint32_t
here(struct fieldlist *l, uint32_t x)
{
	while (x != FIELD_NONE && !fieldlist_has(l, x))
		x = order_next(&l->place, x);
	return x;
}

uint32_t
fieldlist_first(struct fieldlist *l)
{
	return here(l, order_first(&l->place, l->root));
}

uint32_t
fieldlist_next(struct fieldlist *l, uint32_t field)
{
	return here(l, order_next(&l->place, field));
}

uint64_t
fieldlist_steps(const struct fieldlist *l)
{
	return l->place.steps + l->name.steps;
}
