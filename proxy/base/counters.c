/*
 * counters.c -- numbers of the whole daemon in shared memory.
 *
 * Not for anything that must be exact at an instant: sums are read while others count.  The
 * invariant: a place writes only its own column, and a column begins on a cache line of its own, so
 * that counting costs no worker another's cache line.
 *
 * There may be many more columns than are ever used: looking at an untouched page makes it, so sums go
 * over those below `used` only, which a column raises before anything is counted in it.
 */
#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log_room.h"

/*
 * Cells for clients, a power of two.  20,000 clients at once: about one in four shares its cell.  A
 * page that no client touches costs nothing.
 */
enum { LINE = 64, PAGE = 4096, CELLS = 64 * 1024 };

/*
 * Clients that failed, with a tag, since one cell for two of them would lock out people for what strangers
 * did, and a network of IPv6 has 65536 strangers.  Where a set is full the least of it is forgotten.  So a
 * flood can hide failures, and lock out nobody: who wants his own forgotten must have sixteen clients in
 * his set that failed more than he, and where that is the key of the hash hides, so he has to fill the
 * table; with as many addresses he had ten guesses from each of them anyway.
 *
 * 128K cells, that is 1.5 MiB a column once clients everywhere in it were looked for; each column must hold
 * them all, as anybody's failures come to every worker.  Half full (65536 clients), one set in 250 is too
 * small, by a cell or two.  A tag of 32 bits in sets of sixteen is another's once in 2^28.
 */
enum { SETS = 8 * 1024, WAYS = 16 };

struct set {
	alignas(LINE) _Atomic uint32_t
	    who[WAYS]; /* upper half of the hash; the lower one chose the set */
	_Atomic uint64_t failures[WAYS];
};

struct column {
	alignas(LINE) _Atomic uint64_t number[COUNTER_MAX];
	_Atomic unsigned generation; /* of its gauges; 0: it tells none */
	alignas(LINE) struct doing doing;
	alignas(LINE) _Atomic uint32_t client[CELLS];
	struct set       auth[SETS];
	_Atomic uint64_t gauge[COUNTERS_GAUGES];
	alignas(PAGE) struct log_room log;
};

struct shared {
	_Atomic unsigned used; /* columns from here on were never counted in */
	_Atomic uint64_t master[MASTER_MAX];
	struct column    column[];
};

struct counters {
	unsigned       places;
	struct shared *s;
};

static size_t
octets(unsigned places)
{
	return sizeof(struct shared) + places * sizeof(struct column);
}

struct counters *
counters_new(unsigned places)
{
	struct counters *c;
	void            *p;

	assert(places > 0);
	p = mmap(NULL, octets(places), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	c = mem_alloc(sizeof(*c));
	c->places = places;
	c->s = p;
	return c;
}

void
counters_free(struct counters *c)
{
	if (c == NULL)
		return;
	munmap(c->s, octets(c->places));
	mem_free(c);
}

/* Columns that may hold something. */
static unsigned
used_of(const struct counters *c)
{
	unsigned used = atomic_load(&c->s->used);

	return used < c->places ? used : c->places;
}

static struct column *
column(struct counters *c, unsigned place)
{
	unsigned used = atomic_load(&c->s->used);

	assert(place < c->places);
	/* A failed exchange has loaded what another has made of it. */
	while (used <= place)
		if (atomic_compare_exchange_weak(&c->s->used, &used, place + 1))
			break;
	return &c->s->column[place];
}

struct doing *
counters_doing(struct counters *c, unsigned place)
{
	return &column(c, place)->doing;
}

struct log_room *
counters_log(struct counters *c, unsigned place)
{
	return &column(c, place)->log;
}

void
counters_add(struct counters *c, unsigned place, enum counter k, int64_t by)
{
	assert(k < COUNTER_MAX);
	atomic_fetch_add_explicit(&column(c, place)->number[k], (uint64_t)by, memory_order_relaxed);
}

uint64_t
counters_sum(const struct counters *c, enum counter k)
{
	uint64_t sum = 0;
	unsigned used = used_of(c);

	assert(k < COUNTER_MAX);
	for (unsigned i = 0; i < used; i++)
		sum += atomic_load_explicit(&c->s->column[i].number[k], memory_order_relaxed);
	return sum;
}

uint64_t
counters_at(const struct counters *c, unsigned place, enum counter k)
{
	assert(place < c->places && k < COUNTER_MAX);
	return atomic_load_explicit(&c->s->column[place].number[k], memory_order_relaxed);
}

void
counters_clear_place(struct counters *c, unsigned place, enum counter k)
{
	assert(k < COUNTER_MAX);
	atomic_store_explicit(&column(c, place)->number[k], 0, memory_order_relaxed);
}

/* ---- what is told for show -------------------------------------------------------------------- */

void
counters_gauge(
    struct counters *c, unsigned place, unsigned generation, unsigned gauge, uint64_t value)
{
	struct column *col = column(c, place);

	assert(gauge < COUNTERS_GAUGES);
	atomic_store_explicit(&col->gauge[gauge], value, memory_order_relaxed);
	atomic_store_explicit(&col->generation, generation, memory_order_release);
}

uint64_t
counters_gauge_sum(const struct counters *c, unsigned generation, unsigned gauge, unsigned *places)
{
	uint64_t sum = 0;
	unsigned used = used_of(c);

	assert(gauge < COUNTERS_GAUGES);
	*places = 0;
	for (unsigned i = 0; i < used; i++) {
		const struct column *col = &c->s->column[i];

		if (atomic_load_explicit(&col->generation, memory_order_acquire) != generation)
			continue;
		sum += atomic_load_explicit(&col->gauge[gauge], memory_order_relaxed);
		++*places;
	}
	return sum;
}

/* Generations begin with 1. */
void
counters_gauges_clear(struct counters *c, unsigned place)
{
	atomic_store(&column(c, place)->generation, 0);
}

void
counters_master_set(struct counters *c, enum counter_master k, uint64_t value)
{
	assert(k < MASTER_MAX);
	atomic_store_explicit(&c->s->master[k], value, memory_order_relaxed);
}

uint64_t
counters_master(const struct counters *c, enum counter_master k)
{
	assert(k < MASTER_MAX);
	return atomic_load_explicit(&c->s->master[k], memory_order_relaxed);
}

/* ---- sessions per client ---------------------------------------------------------------------- */

static uint64_t
client_sum(const struct counters *c, size_t cell)
{
	uint64_t sum = 0;
	unsigned used = used_of(c);

	for (unsigned i = 0; i < used; i++)
		sum += atomic_load(&c->s->column[i].client[cell]);
	return sum;
}

/*
 * Counts first and looks then: of two workers that enter at once for the last room both may be
 * refused, never both let in.  Hence sequentially consistent, here, in client_sum and for `used`.
 */
bool
counters_client_enter(struct counters *c, unsigned place, uint64_t hash, unsigned max)
{
	size_t            cell = hash % CELLS;
	_Atomic uint32_t *own = &column(c, place)->client[cell];

	atomic_fetch_add(own, 1);
	if (client_sum(c, cell) <= max)
		return true;
	atomic_fetch_sub(own, 1);
	return false;
}

/* A session that outlived a clearing of its column leaves nothing behind. */
void
counters_client_leave(struct counters *c, unsigned place, uint64_t hash)
{
	_Atomic uint32_t *own = &column(c, place)->client[hash % CELLS];

	if (atomic_load_explicit(own, memory_order_relaxed) > 0)
		atomic_fetch_sub_explicit(own, 1, memory_order_relaxed);
}

void
counters_clients_clear(struct counters *c, unsigned place)
{
	struct column *col = &c->s->column[place];

	assert(place < c->places);
	if (place >= used_of(c))
		return;
	for (size_t i = 0; i < CELLS; i++)
		if (atomic_load_explicit(&col->client[i], memory_order_relaxed) != 0)
			atomic_store_explicit(&col->client[i], 0, memory_order_relaxed);
}

/*
 * A cell of failures: the number of its latest slot of ten minutes in 16 bits, then the counts of that
 * slot and the five before it in 8 bits each, which stay at 255 once they are there, and that is more
 * than COUNTERS_AUTH_MAX.  The 16 bits come round after a year and a quarter; what then counts once more
 * is an hour old at most.
 */
enum { SLOT_S = 600, SLOTS = 6, SLOT_BITS = 8, SLOT_MAX = 255 };

static_assert(COUNTERS_AUTH_MAX < SLOT_MAX, "a count that stays must be over any limit");

#define SLOTS_MASK ((UINT64_C(1) << SLOTS * SLOT_BITS) - 1)

/* The cell as it is in slot `slot`: what is older than the six of it falls out. */
static uint64_t
moved_on(uint64_t cell, uint16_t slot)
{
	uint16_t gone = (uint16_t)(slot - (uint16_t)(cell >> SLOTS * SLOT_BITS));
	uint64_t counts = cell & SLOTS_MASK;

	counts = gone < SLOTS ? counts << gone * SLOT_BITS & SLOTS_MASK : 0;
	return (uint64_t)slot << SLOTS * SLOT_BITS | counts;
}

static unsigned
sum_of(uint64_t cell)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		sum += cell >> i * SLOT_BITS & SLOT_MAX;
	return sum;
}

static uint16_t
slot_at(uint64_t now)
{
	return (uint16_t)(now / SLOT_S);
}

/* WAYS: it is not there.  A cell that nobody has had yet is of the client 0, who has never failed. */
static unsigned
way_of(const struct set *set, uint64_t hash)
{
	unsigned i = 0;

	while (i < WAYS && atomic_load(&set->who[i]) != (uint32_t)(hash >> 32))
		i++;
	return i;
}

static unsigned
least_of(const struct set *set, uint16_t slot)
{
	unsigned least = 0, n = UINT32_MAX;

	for (unsigned i = 0; i < WAYS && n > 0; i++) {
		unsigned sum = sum_of(moved_on(atomic_load(&set->failures[i]), slot));

		if (sum < n) {
			n = sum;
			least = i;
		}
	}
	return least;
}

/*
 * The client's cell, another's if it has none.  That one's failures go before its name does: nobody gets them,
 * whoever looks meanwhile.  Where two processes want the cell at once, one of them looks for another.
 */
static _Atomic uint64_t *
take_cell(struct set *set, uint64_t hash, uint16_t slot)
{
	unsigned i = way_of(set, hash);

	while (i == WAYS) {
		unsigned least = least_of(set, slot);
		uint32_t old = atomic_load(&set->who[least]);

		atomic_store(&set->failures[least], 0);
		if (atomic_compare_exchange_strong(&set->who[least], &old, (uint32_t)(hash >> 32)))
			i = least;
		else
			i = way_of(set, hash);
	}
	return &set->failures[i];
}

unsigned
counters_auth_failures(const struct counters *c, uint64_t hash, uint64_t now)
{
	unsigned sum = 0, used = used_of(c);

	for (unsigned i = 0; i < used; i++) {
		const struct set *set = &c->s->column[i].auth[hash % SETS];
		unsigned          way = way_of(set, hash);

		if (way < WAYS)
			sum += sum_of(moved_on(atomic_load(&set->failures[way]), slot_at(now)));
	}
	return sum;
}

/* An old worker that drains and its successor count in the same column: hence the exchange. */
unsigned
counters_auth_failed(struct counters *c, unsigned place, uint64_t hash, uint64_t now)
{
	_Atomic uint64_t *own = take_cell(&column(c, place)->auth[hash % SETS], hash, slot_at(now));
	uint64_t          old = atomic_load(own), next;

	do {
		next = moved_on(old, slot_at(now));
		next += (next & SLOT_MAX) < SLOT_MAX;
	} while (!atomic_compare_exchange_weak(own, &old, next));
	return counters_auth_failures(c, hash, now);
}
