/*
 * plain_milters -- `milter' and `plugin' blocks as filters take them.
 */
#include "proxy/plain.h"

void
plain_milters(struct load *l)
{
	(void)l;
}
