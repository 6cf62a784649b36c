/*
 * hangs -- see hangs.h.
 *
 * A callback that runs has a slot, which nobody waits for: plugins hang in locks, of malloc and stdio too.
 * The invariant: `since' of a slot is 0, or its callback runs.
 */
#include "proxy/hosts/hangs.h"

#include <stdatomic.h>
#include <stddef.h>

#include "proxy/hosts/culprit.h"

/* Threads of 1 MiB of stack are fewer; a callback without a slot is not counted. */
#define SLOTS 4096

struct slot {
	atomic_uint              since; /* second in which it began; 0: the slot is free */
	_Atomic(const SMFICTX *) ctx;
	struct blame_place       whose;
};

static struct slot            slots[SLOTS];
static atomic_uint            now = 1;
static unsigned               limit; /* seconds */
static struct smfiDesc        theirs;
static _Thread_local unsigned mine; /* that this thread had last */

/* SLOTS: none is free. */
static unsigned
enter(SMFICTX *ctx)
{
	struct blame_id id = culprit_enter(ctx);

	for (unsigned n = 0; n < SLOTS; n++) {
		unsigned i = (mine + n) % SLOTS, none = 0;

		if (atomic_load(&slots[i].since) != 0 ||
		    !atomic_compare_exchange_strong(&slots[i].since, &none, atomic_load(&now)))
			continue;
		atomic_store(&slots[i].ctx, ctx);
		blame_put(&slots[i].whose, id);
		return mine = i;
	}
	return SLOTS;
}

static void
leave(unsigned i)
{
	culprit_leave();
	if (i == SLOTS)
		return;
	atomic_store(&slots[i].ctx, NULL);
	atomic_store(&slots[i].since, 0);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

#define CALLBACKS(X) \
	X(connect, (SMFICTX * ctx, char *name, _SOCK_ADDR *peer), (ctx, name, peer)) \
	X(helo, (SMFICTX * ctx, char *name), (ctx, name)) \
	X(envfrom, (SMFICTX * ctx, char **argv), (ctx, argv)) \
	X(envrcpt, (SMFICTX * ctx, char **argv), (ctx, argv)) \
	X(header, (SMFICTX * ctx, char *name, char *value), (ctx, name, value)) \
	X(eoh, (SMFICTX * ctx), (ctx)) \
	X(body, (SMFICTX * ctx, unsigned char *text, size_t n), (ctx, text, n)) \
	X(eom, (SMFICTX * ctx), (ctx)) \
	X(abort, (SMFICTX * ctx), (ctx)) \
	X(close, (SMFICTX * ctx), (ctx)) \
	X(unknown, (SMFICTX * ctx, const char *line), (ctx, line)) \
	X(data, (SMFICTX * ctx), (ctx)) \
	X(negotiate, \
	    (SMFICTX * ctx, unsigned long f0, unsigned long f1, unsigned long f2, \
		unsigned long f3, unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, \
		unsigned long *pf3), \
	    (ctx, f0, f1, f2, f3, pf0, pf1, pf2, pf3))

#define X(name, params, args) \
	static sfsistat counted_##name params \
	{ \
		unsigned i = enter(ctx); \
		sfsistat rc = theirs.xxfi_##name args; \
\
		leave(i); \
		return rc; \
	}
CALLBACKS(X)
#undef X

void
hangs_count(struct smfiDesc *d)
{
	if (limit == 0)
		return;
	theirs = *d;
#define X(name, params, args) \
	if (d->xxfi_##name != NULL) \
		d->xxfi_##name = counted_##name;
	CALLBACKS(X)
#undef X
}

/* ---- looking --------------------------------------------------------------------------------- */

void
hangs_limit(unsigned long ms)
{
	limit = (unsigned)((ms + 999) / 1000);
}

unsigned
hangs_seconds(void)
{
	return limit;
}

/* Any thread of the filter may say it. */
void
hangs_progress(const SMFICTX *ctx)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		unsigned since = atomic_load(&slots[i].since);

		if (since != 0 && atomic_load(&slots[i].ctx) == ctx)
			(void)atomic_compare_exchange_strong(
			    &slots[i].since, &since, atomic_load(&now));
	}
}

struct hangs
hangs_look(void)
{
	unsigned     second = atomic_fetch_add(&now, 1) + 1;
	struct hangs h = { 0, 0 };

	for (unsigned i = 0; limit > 0 && i < SLOTS; i++) {
		unsigned since = atomic_load(&slots[i].since);

		h.running += since != 0;
		h.old += since != 0 && second - since > limit;
	}
	return h;
}

/* A slot may change hands meanwhile, and an id be nobody's then: it is looked at twice. */
void
hangs_blame(unsigned seconds)
{
	unsigned second = atomic_load(&now);

	for (unsigned i = 0; i < SLOTS; i++) {
		unsigned        since = atomic_load(&slots[i].since);
		struct blame_id id = blame_get(&slots[i].whose);

		if (since != 0 && second - since > seconds && atomic_load(&slots[i].since) == since)
			culprit_note(id);
	}
}

/*
 * At its end the process costs those that do work what they hold.  Where at least as many hang, that is little; where
 * many do, more will.  A single one may have met a message that it alone cannot digest.
 */
bool
hangs_too_many(const struct hangs *h)
{
	return h->old >= HANGS_MOST || (h->old >= HANGS_FIRST && 2 * h->old >= h->running);
}
