/*
 * crew_places -- which worker accepts at which place, and which accept no more.
 *
 * It starts and ends no process: it looks at who is ready, and gives orders.  So it is called whenever somebody
 * became ready or died, or a generation became old.
 */
#include "proxy/crew_own.h"

#define AFTER_MS 10000 /* between the end of a drain and SIGKILL */

static bool
may_own(const struct crew *c, int child)
{
	const struct child *k = &c->child[child];

	return child != NOBODY && k->pid != 0 && k->ready && !k->draining;
}

/* The ready worker of this generation for a place, or the next neighbour's; NOBODY: none is ready. */
static int
best_owner(const struct crew *c, unsigned place)
{
	int own;

	/* Places beyond the number of workers are left from a time when there were more. */
	own = c->place[place % c->workers].own;
	if (own != NOBODY && may_own(c, own))
		return own;
	/* Whoever has it (an old worker, a neighbour) goes on until its own is there. */
	if (c->place[place].owner != NOBODY && may_own(c, c->place[place].owner))
		return c->place[place].owner;
	for (unsigned i = 1; i < c->workers; i++) {
		own = c->place[(place + i) % c->workers].own;
		if (own != NOBODY && may_own(c, own))
			return own;
	}
	return NOBODY;
}

static bool
owns_any(const struct crew *c, int child)
{
	for (unsigned i = 0; i < c->n_place; i++)
		if (c->place[i].owner == child)
			return true;
	return false;
}

void
crew_drains(struct crew *c, struct child *k)
{
	k->draining = true;
	k->kill_at = c->w->now(c->w) + k->drain + AFTER_MS;
}

static void
drain_child(struct crew *c, int child)
{
	crew_drains(c, &c->child[child]);
	crew_order(c, child, CONTROL_DRAIN, 0, -1);
}

/*
 * Gives each place to whom it belongs.  The new owner is told before the old one, and both poll the
 * same socket for a moment: nobody's connection waits, and none is lost.
 */
void
crew_own_places(struct crew *c)
{
	if (c->stopping)
		return;
	for (unsigned i = 0; i < c->n_place; i++) {
		int next = best_owner(c, i), last = c->place[i].owner;

		if (next == last)
			continue;
		c->place[i].owner = next;
		if (next != NOBODY)
			crew_order(c, next, CONTROL_ADOPT, i, -1);
		if (last != NOBODY && c->child[last].pid != 0)
			crew_order(c, last, CONTROL_LEAVE, i, -1);
	}
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].generation != c->generation &&
		    !c->child[i].draining && !owns_any(c, (int)i))
			drain_child(c, (int)i);
}

void
crew_drain(struct crew *c)
{
	c->stopping = true;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && !c->child[i].draining)
			drain_child(c, (int)i);
}
