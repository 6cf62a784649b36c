/*
 * maptable -- two runs of records: keys, each with the offset of its values, and lists of values.
 *
 * Not for change once it is shared.  The invariants are nameset's: a cell is 0 or carries the upper
 * bits of a record's hash and 1 + its offset; at least a quarter of the cells is empty, so every
 * search ends.  Nothing in a run is aligned: numbers go in and out by memcpy.
 */
#include "policy/maptable.h"

#include <assert.h>

#include "proxy/base/arena.h"

#define OFFSET_BITS 40
#define OFFSET      ((UINT64_C(1) << OFFSET_BITS) - 1)
#define CELLS_MIN   16

/* Records one behind the other: the length of the octets, a head of a fixed size, the octets. */
struct run {
	char     *text;
	size_t    n_text, max_text;
	uint64_t *cell;
	size_t    n_cells; /* a power of two */
	size_t    n;
	size_t    head;
	bool      fold; /* octets are in lower case and compared without regard to it */
};

/* What stands in front of a key. */
struct key_head {
	uint32_t         values; /* offset of their record */
	struct map_place place;
};

struct maptable {
	struct hash_key key;
	struct run      keys, values;
	char           *scratch; /* one list of values on its way into the run */
	size_t          max_scratch;
};

static void
run_init(struct run *r, size_t head, bool fold)
{
	r->n_cells = CELLS_MIN;
	r->cell = mem_array(r->n_cells, sizeof(*r->cell));
	r->head = head;
	r->fold = fold;
}

static struct strv
record(const struct run *r, size_t at)
{
	uint32_t n;

	memcpy(&n, r->text + at, sizeof(n));
	return strv(r->text + at + sizeof(n) + r->head, n);
}

static uint64_t
hash_of(const struct run *r, const struct hash_key *key, struct strv v)
{
	return r->fold ? hash_sip_fold(key, v) : hash_sip(key, v);
}

/* The cell that holds v, or the empty one where it belongs. */
static uint64_t *
find_cell(const struct run *r, struct strv v, uint64_t hash)
{
	size_t mask = r->n_cells - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		uint64_t   *c = &r->cell[i];
		struct strv have;

		if (*c == 0)
			return c;
		if ((*c ^ hash) >> OFFSET_BITS != 0)
			continue;
		have = record(r, (*c & OFFSET) - 1);
		if (r->fold ? strv_ieq(have, v) : strv_eq(have, v))
			return c;
	}
}

static uint64_t
make_cell(uint64_t hash, size_t at)
{
	return (hash & ~OFFSET) | (at + 1);
}

/* Twice the cells. All records differ, so each goes to the first empty cell. */
static void
grow_table(struct run *r, const struct hash_key *key)
{
	size_t mask;

	mem_free(r->cell);
	r->n_cells *= 2;
	r->cell = mem_array(r->n_cells, sizeof(*r->cell));
	mask = r->n_cells - 1;
	for (size_t at = 0; at < r->n_text;) {
		struct strv v = record(r, at);
		uint64_t    hash = hash_of(r, key, v);
		size_t      i = hash & mask;

		while (r->cell[i] != 0)
			i = (i + 1) & mask;
		r->cell[i] = make_cell(hash, at);
		at += sizeof(uint32_t) + r->head + v.n;
	}
}

static size_t
add_record(struct run *r, struct strv v, const void *head)
{
	uint32_t n = (uint32_t)v.n;
	size_t   at = r->n_text, need = at + sizeof(n) + r->head + v.n;
	char    *p;

	assert(v.n <= UINT32_MAX && need < UINT32_MAX);
	if (need > r->max_text) {
		r->max_text = need > 2 * r->max_text ? need : 2 * r->max_text;
		r->text = mem_resize(r->text, r->max_text);
	}
	p = r->text + at;
	memcpy(p, &n, sizeof(n));
	p += sizeof(n);
	if (r->head > 0)
		memcpy(p, head, r->head);
	p += r->head;
	for (size_t i = 0; i < v.n; i++)
		p[i] = r->fold ? ascii_lower(v.p[i]) : v.p[i];
	r->n_text = need;
	return at;
}

/* The offset of the record of v. It is added where there is none; *fresh says so. */
static size_t
intern(struct run *r, const struct hash_key *key, struct strv v, const void *head, bool *fresh)
{
	uint64_t  hash = hash_of(r, key, v);
	uint64_t *c = find_cell(r, v, hash);
	size_t    at;

	*fresh = *c == 0;
	if (!*fresh)
		return (*c & OFFSET) - 1;
	at = add_record(r, v, head);
	*c = make_cell(hash, at);
	if (++r->n > r->n_cells / 4 * 3)
		grow_table(r, key);
	return at;
}

struct maptable *
maptable_new(const struct hash_key *key)
{
	struct maptable *t = mem_alloc(sizeof(*t));

	t->key = *key;
	run_init(&t->keys, sizeof(struct key_head), true);
	run_init(&t->values, 0, false);
	return t;
}

void
maptable_free(struct maptable *t)
{
	if (t == NULL)
		return;
	mem_free(t->keys.text);
	mem_free(t->keys.cell);
	mem_free(t->values.text);
	mem_free(t->values.cell);
	mem_free(t->scratch);
	mem_free(t);
}

/* A list of values as its record holds it: how many, then each behind its length. */
static struct strv
pack(struct maptable *t, const struct strv *v, unsigned n)
{
	uint32_t count = n, length;
	size_t   need = sizeof(count);
	char    *p;

	for (unsigned i = 0; i < n; i++)
		need += sizeof(length) + v[i].n;
	if (need > t->max_scratch) {
		t->max_scratch = need > 2 * t->max_scratch ? need : 2 * t->max_scratch;
		t->scratch = mem_resize(t->scratch, t->max_scratch);
	}
	memcpy(t->scratch, &count, sizeof(count));
	p = t->scratch + sizeof(count);
	for (unsigned i = 0; i < n; i++) {
		length = (uint32_t)v[i].n;
		memcpy(p, &length, sizeof(length));
		p += sizeof(length);
		if (v[i].n > 0)
			memcpy(p, v[i].p, v[i].n);
		p += v[i].n;
	}
	return strv(t->scratch, need);
}

static struct key_head
head_of(const struct maptable *t, size_t at)
{
	struct key_head head;

	memcpy(&head, t->keys.text + at + sizeof(uint32_t), sizeof(head));
	return head;
}

bool
maptable_add(
    struct maptable *t, struct strv key, const struct strv *v, unsigned n, struct map_place *place)
{
	struct key_head head = { 0, *place };
	const uint64_t *c = find_cell(&t->keys, key, hash_sip_fold(&t->key, key));
	bool            fresh;

	if (*c != 0) {
		*place = head_of(t, (*c & OFFSET) - 1).place;
		return false;
	}
	head.values = (uint32_t)intern(&t->values, &t->key, pack(t, v, n), NULL, &fresh);
	(void)intern(&t->keys, &t->key, key, &head, &fresh);
	return true;
}

static void
trim(struct run *r)
{
	if (r->n_text == 0 || r->n_text == r->max_text)
		return;
	r->text = mem_resize(r->text, r->n_text);
	r->max_text = r->n_text;
}

void
maptable_seal(struct maptable *t)
{
	trim(&t->keys);
	trim(&t->values);
	mem_free(t->scratch);
	t->scratch = NULL;
	t->max_scratch = 0;
}

bool
maptable_find(const struct maptable *t, struct strv key, struct map_values *out)
{
	const uint64_t *c = find_cell(&t->keys, key, hash_sip_fold(&t->key, key));
	uint32_t        n;
	const char     *p;

	if (*c == 0)
		return false;
	p = record(&t->values, head_of(t, (*c & OFFSET) - 1).values).p;
	memcpy(&n, p, sizeof(n));
	*out = (struct map_values){ p + sizeof(n), n };
	return true;
}

size_t
maptable_count(const struct maptable *t)
{
	return t->keys.n;
}

bool
maptable_next(const struct maptable *t, size_t *at, struct strv *key)
{
	if (*at >= t->keys.n_text)
		return false;
	*key = record(&t->keys, *at);
	*at += sizeof(uint32_t) + t->keys.head + key->n;
	return true;
}

size_t
maptable_octets(const struct maptable *t)
{
	return t->keys.max_text + t->values.max_text + t->max_scratch +
	    (t->keys.n_cells + t->values.n_cells) * sizeof(uint64_t);
}

bool
map_values_next(struct map_values *v, struct strv *out)
{
	uint32_t n;

	if (v->n == 0)
		return false;
	memcpy(&n, v->at, sizeof(n));
	*out = strv(v->at + sizeof(n), n);
	v->at += sizeof(n) + n;
	v->n--;
	return true;
}
