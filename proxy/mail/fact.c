/*
 * fact -- the slots of facts that were asked for, and how several fibers ask for one.
 *
 * Not for what a fact means: the filter that owns it fills it in, reached by facts.ask.  The invariant:
 * at most one fiber is inside `ask` for a slot, and nobody is left parked when it leaves.
 */
#include "proxy/mail/fact.h"

#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/mail/path.h"

/* On the stack of the fiber that waits; it leaves the list itself. */
struct fact_waiter {
	struct fiber       *fiber;
	struct fact_waiter *next;
};

/* ---- slots ---- */

#define FEW        8     /* are searched one by one */
#define SLOTS_MOST 30000 /* are in the index: a uint16_t says which */
#define PLAIN      128   /* numbers below it are found without a search */

/*
 * Strangers choose arguments (a thousand recipients, each with a domain of its own), so they are found
 * by a hash.  It begins with an address, which no stranger knows, and decides no order that anybody sees.
 */
static unsigned
hash_of(const struct facts *fs, unsigned number, unsigned rcpt, struct strv arg)
{
	uint64_t h = (uintptr_t)fs * 0x9e3779b97f4a7c15u + number * 0x10001u + rcpt;

	h *= 0xff51afd7ed558ccdu;
	for (size_t i = 0; i < arg.n; i++)
		h = (h ^ (h >> 29) ^ (unsigned char)arg.p[i]) * 0x100000001b3u;
	return (unsigned)((h ^ h >> 31) * 0x9e3779b97f4a7c15u >> 33);
}

static bool
is_that(const struct fact *f, unsigned number, unsigned rcpt, struct strv arg)
{
	return f->number == number && f->rcpt == rcpt && strv_eq(f->arg, arg);
}

/* Of the session or transaction, or of the first recipient, and without argument: most are. */
static bool
is_plain(unsigned number, unsigned rcpt, struct strv arg)
{
	return number < PLAIN && rcpt == 0 && arg.p == NULL;
}

static struct fact *
find_slot(const struct facts *fs, unsigned number, unsigned rcpt, struct strv arg)
{
	unsigned n = fs->index == NULL ? fs->n : 0;

	if (fs->plain != NULL && is_plain(number, rcpt, arg)) {
		unsigned i = fs->plain[number];

		if (i > 0)
			return fs->slot[i - 1];
		if (fs->n < UINT8_MAX)
			return NULL;
	}
	for (unsigned i = 0; i < n; i++) {
		if (is_that(fs->slot[i], number, rcpt, arg))
			return fs->slot[i];
	}
	if (fs->index == NULL)
		return NULL;
	for (unsigned at = hash_of(fs, number, rcpt, arg);; at++) {
		unsigned i = fs->index[at & (fs->room - 1)];

		if (i == 0)
			break;
		if (is_that(fs->slot[i - 1], number, rcpt, arg))
			return fs->slot[i - 1];
	}
	for (unsigned i = SLOTS_MOST; i < fs->n; i++) {
		if (is_that(fs->slot[i], number, rcpt, arg))
			return fs->slot[i];
	}
	return NULL;
}

static void
index_slot(struct facts *fs, unsigned i)
{
	const struct fact *f = fs->slot[i];
	unsigned           at = hash_of(fs, f->number, f->rcpt, f->arg);

	while (fs->index[at & (fs->room - 1)] != 0)
		at++;
	fs->index[at & (fs->room - 1)] = (uint16_t)(i + 1);
}

/* While they are so few that an octet says which: those that come later are found by the index. */
static void
add_plain(struct facts *fs, unsigned i)
{
	const struct fact *f = fs->slot[i];

	if (i < UINT8_MAX && is_plain(f->number, f->rcpt, f->arg))
		fs->plain[f->number] = (uint8_t)(i + 1);
}

/* At most half of it is filled. */
static void
make_index(struct facts *fs)
{
	unsigned room = 32;

	while (room < fs->n * 4 && room < 2 * SLOTS_MOST)
		room *= 2;
	if (fs->index == NULL || room > fs->room)
		fs->index = arena_array(fs->a, room, sizeof(*fs->index));
	else
		memset(fs->index, 0, fs->room * sizeof(*fs->index));
	fs->room = room > fs->room ? room : fs->room;
	for (unsigned i = 0; i < fs->n && i < SLOTS_MOST; i++)
		index_slot(fs, i);
}

static struct fact *
add_slot(
    struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt, struct strv arg)
{
	struct fact *f = arena_alloc(fs->a, sizeof(*f));

	f->def = &defs[number];
	f->number = number;
	f->rcpt = rcpt;
	f->a = fs->a;
	f->arg = arg.p == NULL ? arg : arena_dup(fs->a, arg);
	fs->slot = arena_grow(fs->a, fs->slot, &fs->max, fs->n + 1, sizeof(struct fact *));
	fs->slot[fs->n++] = f;
	/* A session has few, and no octets to spare while it idles. */
	if (fs->plain == NULL && fs->outer != NULL)
		fs->plain = arena_alloc(fs->a, PLAIN);
	if (fs->plain != NULL)
		add_plain(fs, fs->n - 1);
	if (fs->index == NULL ? fs->n > FEW : fs->n * 2 > fs->room && fs->n <= SLOTS_MOST)
		make_index(fs);
	else if (fs->index != NULL && fs->n <= SLOTS_MOST)
		index_slot(fs, fs->n - 1);
	return f;
}

/* Where the fact lives: of a session in the outermost facts. */
static const struct facts *
home_of(const struct facts *fs, const struct fact_def *def)
{
	while (def->per_session && fs->outer != NULL)
		fs = fs->outer;
	return fs;
}

const struct fact *
fact_peek(const struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt,
    struct strv arg)
{
	const struct fact *f;

	f = find_slot(home_of(fs, &defs[number]), number, defs[number].per_rcpt ? rcpt : 0, arg);
	return f != NULL && (f->state == FACT_KNOWN || f->state == FACT_UNKNOWN) ? f : NULL;
}

bool
fact_begun(const struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt,
    struct strv arg)
{
	const struct fact *f;

	f = find_slot(home_of(fs, &defs[number]), number, defs[number].per_rcpt ? rcpt : 0, arg);
	return f != NULL && f->state != FACT_UNASKED;
}

void
fact_put(struct facts *fs, const struct fact_def *defs, unsigned number, struct strv arg,
    enum fact_state state, union fact_value v)
{
	struct facts *home = (struct facts *)home_of(fs, &defs[number]);
	struct fact  *f = find_slot(home, number, 0, arg);

	if (f == NULL)
		f = add_slot(home, defs, number, 0, arg);
	assert(f->state != FACT_RUNNING);
	f->state = state;
	f->v = v;
}

/* Whoever is inside `ask' for one that goes still has its memory, the arena's. */
void
facts_forget(struct facts *fs, enum stage at)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < fs->n; i++) {
		if (fs->slot[i]->def->first <= at)
			fs->slot[kept++] = fs->slot[i];
	}
	fs->n = kept;
	if (fs->plain != NULL)
		memset(fs->plain, 0, PLAIN);
	for (unsigned i = 0; fs->plain != NULL && i < kept; i++)
		add_plain(fs, i);
	if (fs->index != NULL)
		make_index(fs);
}

/* ---- asking ---- */

/* This fiber is the one that asks. */
MAY_YIELD static enum wait_rc
ask(struct facts *fs, struct fact *f)
{
	enum wait_rc rc;

	f->state = FACT_RUNNING;
	f->asker = fiber_self();
	rc = fs->ask(fs->ctx, f);
	f->asker = NULL;
	/* Cancelled: no answer, and not the fact's fault. The next may ask. */
	if (rc == WAIT_CANCELLED)
		f->state = FACT_UNASKED;
	else if (rc != WAIT_OK || f->state == FACT_RUNNING || f->state == FACT_UNASKED)
		f->state = FACT_UNKNOWN;
	for (struct fact_waiter *w = f->waiting; w != NULL; w = w->next)
		fiber_wake(w->fiber);
	return rc == WAIT_CANCELLED ? rc : WAIT_OK;
}

/* Parks until the asker has left. */
MAY_YIELD static enum wait_rc
wait_for(struct fact *f)
{
	struct fact_waiter me = { .fiber = fiber_self() }, **at = &f->waiting;
	enum wait_rc       rc = WAIT_OK;

	/* Nobody can wait in the loop, nor for oneself. */
	if (me.fiber == NULL || me.fiber == f->asker)
		return WAIT_TIMEOUT;
	while (*at != NULL)
		at = &(*at)->next;
	*at = &me;
	while (f->state == FACT_RUNNING && rc == WAIT_OK)
		rc = fiber_park("a fact", 0);
	for (at = &f->waiting; *at != &me; at = &(*at)->next)
		;
	*at = me.next;
	return f->state == FACT_RUNNING || rc == WAIT_CANCELLED ? rc : WAIT_OK;
}

static struct fact *
unknown_copy(struct facts *fs, const struct fact *f)
{
	struct fact *copy = arena_alloc(fs->a, sizeof(*copy));

	*copy = *f;
	copy->state = FACT_UNKNOWN;
	copy->waiting = NULL;
	return copy;
}

MAY_YIELD enum wait_rc
fact_get(struct facts *fs, const struct fact_def *defs, unsigned number, unsigned rcpt,
    struct strv arg, struct fact **out)
{
	struct facts *home = (struct facts *)home_of(fs, &defs[number]);
	struct fact  *f;
	enum wait_rc  rc;

	if (!defs[number].per_rcpt)
		rcpt = 0;
	f = find_slot(home, number, rcpt, arg);
	if (f == NULL)
		f = add_slot(home, defs, number, rcpt, arg);
	while (f->state == FACT_UNASKED || f->state == FACT_RUNNING) {
		rc = f->state == FACT_UNASKED ? ask(fs, f) : wait_for(f);
		if (rc == WAIT_CANCELLED)
			return rc;
		if (rc != WAIT_OK)
			f = unknown_copy(fs, f);
	}
	*out = f;
	return WAIT_OK;
}

int
fact_find(const struct fact_def *defs, unsigned n, struct strv name)
{
	for (unsigned i = 0; i < n; i++)
		if (strv_eq(name, strv_z(defs[i].name)))
			return (int)i;
	return -1;
}

bool
fact_absent(const struct fact *f)
{
	assert(f->state == FACT_KNOWN);
	switch (f->def->type) {
	case FACT_BOOL:
		return false;
	case FACT_NUMBER:
		return f->v.number == FACT_NUMBER_ABSENT;
	case FACT_TEXT:
		return f->v.text.p == NULL;
	case FACT_ADDR:
		return f->v.addr.family == ADDR_NONE;
	case FACT_PATH:
		return f->v.path == NULL;
	case FACT_WORD:
		return f->v.word == FACT_WORD_ABSENT;
	case FACT_ADDRS:
		return f->v.addrs.n == 0;
	case FACT_TEXTS:
		return f->v.texts.n == 0;
	}
	return true;
}

static struct strv
print_addr(struct arena *a, const struct addr *addr)
{
	char text[ADDR_TEXT];

	return arena_dup(a, addr_print(addr, text));
}

/* Item i of a list; both kinds of list print alike. */
static struct strv
print_item(struct arena *a, const struct fact *f, unsigned i)
{
	return f->def->type == FACT_ADDRS ? print_addr(a, &f->v.addrs.v[i]) : f->v.texts.v[i];
}

static struct strv
print_list(struct arena *a, const struct fact *f)
{
	unsigned    n = f->def->type == FACT_ADDRS ? f->v.addrs.n : f->v.texts.n;
	struct strv all = print_item(a, f, 0);

	for (unsigned i = 1; i < n && i < 100; i++)
		all = arena_concat(a, arena_concat(a, all, SV(", ")), print_item(a, f, i));
	return all;
}

struct strv
fact_print(struct arena *a, const struct fact *f)
{
	if (f->state != FACT_KNOWN || fact_absent(f))
		return SV("");
	switch (f->def->type) {
	case FACT_BOOL:
		return f->v.yes ? SV("yes") : SV("no");
	case FACT_NUMBER:
		return arena_printf(a, "%lld", (long long)f->v.number);
	case FACT_TEXT:
		return f->v.text;
	case FACT_ADDR:
		return print_addr(a, &f->v.addr);
	case FACT_PATH:
		return f->v.path->kind == PATH_NULL ? SV("<>") : path_text(f->v.path);
	case FACT_WORD:
		return strv_z(f->def->words[f->v.word]);
	case FACT_ADDRS:
	case FACT_TEXTS:
		break;
	}
	return print_list(a, f);
}
