/*
 * nameset.c -- a set of names: one run of text, and a table of cells that point into it.
 *
 * Not for values (a map) and not for change once it is shared.  The invariants: text holds
 * records of a length and that many octets in lower case, in the order of adding; a cell is 0
 * or carries the upper bits of its name's hash and 1 + the offset of its record; at least a
 * quarter of the cells is empty, so every search ends.
 */
#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/nameset.h"

#define OFFSET_BITS 40
#define OFFSET      ((UINT64_C(1) << OFFSET_BITS) - 1)

enum {
	CELLS_MIN = 16,
	PARENTS = 128, /* a domain name has at most 127 labels (RFC 1035 3.1) */
	ADDRESS = 600, /* longer ones are nobody's: RFC 5321 4.5.3.1 has 64 and 255 octets */
};

struct nameset {
	struct hash_key key;
	char           *text;
	size_t          n_text, max_text;
	uint64_t       *cell;
	size_t          n_cells; /* a power of two */
	size_t         *at;      /* offset of each record */
	size_t          n, max;
	uint64_t        lengths; /* a bit for each that a member has: most strangers need no hash */
	bool            parents; /* a member begins with a dot */
};

struct nameset *
nameset_new(const struct hash_key *key)
{
	struct nameset *s = mem_alloc(sizeof(*s));

	s->key = *key;
	s->n_cells = CELLS_MIN;
	s->cell = mem_array(s->n_cells, sizeof(*s->cell));
	return s;
}

void
nameset_free(struct nameset *s)
{
	if (s == NULL)
		return;
	mem_free(s->text);
	mem_free(s->cell);
	mem_free(s->at);
	mem_free(s);
}

static struct strv
record(const struct nameset *s, size_t at)
{
	uint32_t n;

	memcpy(&n, s->text + at, sizeof(n));
	return strv(s->text + at + sizeof(n), n);
}

/* The cell that holds v, or the empty one where it belongs. */
static uint64_t *
find_cell(const struct nameset *s, struct strv v, uint64_t hash)
{
	size_t mask = s->n_cells - 1;

	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		uint64_t *c = &s->cell[i];

		if (*c == 0)
			return c;
		if ((*c ^ hash) >> OFFSET_BITS == 0 && strv_ieq(record(s, (*c & OFFSET) - 1), v))
			return c;
	}
}

static uint64_t
length_bit(size_t n)
{
	return (uint64_t)1 << (n < 63 ? n : 63);
}

static uint64_t
make_cell(uint64_t hash, size_t at)
{
	return (hash & ~OFFSET) | (at + 1);
}

/* Twice the cells. All names differ, so each goes to the first empty cell. */
static void
grow_table(struct nameset *s)
{
	size_t mask;

	mem_free(s->cell);
	s->n_cells *= 2;
	s->cell = mem_array(s->n_cells, sizeof(*s->cell));
	mask = s->n_cells - 1;
	for (size_t k = 0; k < s->n; k++) {
		uint64_t hash = hash_sip(&s->key, record(s, s->at[k]));
		size_t   i = hash & mask;

		while (s->cell[i] != 0)
			i = (i + 1) & mask;
		s->cell[i] = make_cell(hash, s->at[k]);
	}
}

static size_t
add_record(struct nameset *s, struct strv v)
{
	uint32_t n = (uint32_t)v.n;
	size_t   at = s->n_text;
	uint64_t need = (uint64_t)at + sizeof(n) + v.n; /* size_t may have 32 bits */
	char    *p;

	assert(v.n <= UINT32_MAX && need < OFFSET);
	if (need > s->max_text) {
		s->max_text = need > 2 * s->max_text ? need : 2 * s->max_text;
		s->text = mem_resize(s->text, s->max_text);
	}
	p = s->text + at;
	memcpy(p, &n, sizeof(n));
	p += sizeof(n);
	for (size_t i = 0; i < v.n; i++)
		p[i] = ascii_lower(v.p[i]);
	s->n_text = need;
	return at;
}

void
nameset_add(struct nameset *s, struct strv v)
{
	uint64_t  hash = hash_sip_fold(&s->key, v);
	uint64_t *c = find_cell(s, v, hash);

	if (*c != 0)
		return;
	if (s->n == s->max) {
		s->max = s->max == 0 ? 16 : s->max * 2;
		s->at = mem_resize(s->at, s->max * sizeof(*s->at));
	}
	s->at[s->n] = add_record(s, v);
	s->lengths |= length_bit(v.n);
	s->parents = s->parents || strv_starts(v, SV("."));
	*c = make_cell(hash, s->at[s->n++]);
	if (s->n > s->n_cells / 4 * 3)
		grow_table(s);
}

bool
nameset_has(const struct nameset *s, struct strv v)
{
	return (s->lengths & length_bit(v.n)) != 0 &&
	    *find_cell(s, v, hash_sip_fold(&s->key, v)) != 0;
}

bool
nameset_has_domain(const struct nameset *s, struct strv domain)
{
	/* No name asked for begins with the dot that only members may have. */
	if (domain.n == 0 || domain.p[0] == '.')
		return false;
	for (unsigned i = 0; i < (s->parents ? PARENTS : 1); i++) {
		size_t dot;

		if (nameset_has(s, domain))
			return true;
		dot = i == 0 ? strv_chr(domain, '.') : 1 + strv_chr(strv_from(domain, 1), '.');
		if (dot >= domain.n)
			return false;
		domain = strv_from(domain, dot);
	}
	return false;
}

static bool
has_joined(const struct nameset *s, struct strv local, struct strv domain)
{
	char text[ADDRESS];

	if (local.n >= sizeof(text) || domain.n > sizeof(text) - 1 - local.n ||
	    (s->lengths & length_bit(local.n + 1 + domain.n)) == 0)
		return false;
	if (local.n > 0)
		memcpy(text, local.p, local.n);
	text[local.n] = '@';
	memcpy(text + local.n + 1, domain.p, domain.n);
	return nameset_has(s, strv(text, local.n + 1 + domain.n));
}

bool
nameset_has_address(const struct nameset *s, struct strv local, struct strv domain)
{
	size_t plus = strv_chr(local, '+');

	if (domain.n == 0)
		return nameset_has(s, local.n == 0 ? SV("<>") : local);
	return has_joined(s, local, domain) ||
	    (plus < local.n && has_joined(s, strv_first(local, plus), domain)) ||
	    has_joined(s, SV(""), domain);
}

size_t
nameset_count(const struct nameset *s)
{
	return s->n;
}

struct strv
nameset_at(const struct nameset *s, size_t i)
{
	assert(i < s->n);
	return record(s, s->at[i]);
}
