/*
 * doing.c -- two stores around a callback; the name is copied only where it is another than the last one.
 */
#include "proxy/base/doing.h"

#include <string.h>

static struct doing *here;
static const char   *last;

void
doing_here(struct doing *d)
{
	here = d;
	last = NULL;
	if (d != NULL)
		d->what = NULL;
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
	here->what = what;
}

void
doing_end(void)
{
	if (here != NULL)
		here->what = NULL;
}
