/*
 * doing.c -- a few stores around a callback, and two in a round of the loop; a name is copied only where it is another
 * than the last one.
 */
#include "proxy/base/doing.h"

#include <string.h>

static struct doing *here;
static const char   *last;
static uint32_t      rounds; /* never read back: that memory is shared */

void
doing_here(struct doing *d)
{
	here = d;
	last = NULL;
	if (d == NULL)
		return;
	d->busy = false;
	d->round = 0;
}

void
doing_begin(struct strv who, const char *what)
{
	if (here == NULL)
		return;
	if (who.p != last) {
		size_t n = who.n < DOING_WHO ? who.n : DOING_WHO - 1;

		memcpy(here->who, who.p, n);
		here->who[n] = '\0';
		last = who.p;
	}
	for (size_t i = 0; i < DOING_WHAT && (i == 0 || what[i - 1] != '\0'); i++)
		here->what[i] = what[i];
	here->turn = here->turn + 1;
	here->busy = true;
}

void
doing_end(void)
{
	if (here != NULL)
		here->busy = false;
}

void
doing_works(void)
{
	if (here != NULL)
		here->round = ++rounds;
}

void
doing_waits(void)
{
	if (here != NULL)
		here->round = 0;
}

bool
doing_read(const struct doing *d, struct doing_said *out)
{
	out->busy = d->busy != 0;
	out->round = d->round;
	out->turn = d->turn;
	memcpy(out->who, d->who, sizeof(out->who) - 1);
	memcpy(out->what, d->what, sizeof(out->what) - 1);
	out->who[sizeof(out->who) - 1] = out->what[sizeof(out->what) - 1] = '\0';
	return out->busy;
}
