/*
 * stage -- the words of the stages.  Everything is in the table of the header; this reads it.
 */
#include "proxy/mail/stage.h"

static const struct {
	const char *word, *when;
	bool        policy;
} stages[STAGE_MAX] = {
#define X(name, word, when, policy) { word, when, policy },
	STAGES(X)
#undef X
};

const char *
stage_word(enum stage s)
{
	return stages[s].word;
}

const char *
stage_when(enum stage s)
{
	return stages[s].when;
}

bool
stage_in_policy(enum stage s)
{
	return stages[s].policy;
}

bool
stage_find(struct strv word, enum stage *out)
{
	for (int i = 0; i < STAGE_MAX; i++)
		if (strv_eq(word, strv_z(stages[i].word))) {
			*out = (enum stage)i;
			return true;
		}
	return false;
}
