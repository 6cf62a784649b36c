/*
 * milter -- one seat for all milters and plugins of a configuration.
 */
#include "filters/filters.h"
#include "filters/milter.h"

static const char *const words[] = { "continue", "accept", "reject", "tempfail", "discard",
	"quarantine", "disconnect", NULL };

static const struct fact_def facts[] = {
	{ .name = "milter",
	    .type = FACT_WORD,
	    .first = STAGE_CONNECT,
	    .settled = STAGE_MESSAGE,
	    .words = words,
	    .args = "s",
	    .cost = COST_TEXT },
	{ .name = NULL },
};

static void *
milter_make(struct arena *conf, const struct filter_use *use)
{
	(void)conf;
	(void)use;
	return NULL;
}

const struct filter milter_filter = {
	.name = "milter", .facts = facts, .does = DOES_ADVISE, .make = milter_make
};
