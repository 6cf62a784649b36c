/*
 * envelope -- the list of recipients.  Parameters come from smtp/parse, verdicts from the judge.
 */
#include "proxy/mail/envelope.h"

#include "proxy/base/arena.h"

struct rcpt *
envelope_add(struct arena *a, struct envelope *e)
{
	e->rcpt = arena_grow(a, e->rcpt, &e->max_rcpt, e->n_rcpt + 1, sizeof(*e->rcpt));
	e->rcpt[e->n_rcpt] = (struct rcpt){ 0 };
	return &e->rcpt[e->n_rcpt++];
}

unsigned
envelope_taken(const struct envelope *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		n += e->rcpt[i].upstream_took;
	return n;
}

unsigned
envelope_dropped(const struct envelope *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		n += e->rcpt[i].dropped;
	return n;
}
