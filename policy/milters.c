/*
 * milters -- milters and plugins as rules: their conditions, their advice.
 */
#include "policy/policy.h"

unsigned
policy_milters(const struct policy *p)
{
	(void)p;
	return 0;
}

const struct policy_milter *
policy_milter(const struct policy *p, unsigned i)
{
	(void)p;
	(void)i;
	return NULL;
}

MAY_YIELD enum hears
policy_hears(const struct policy *p, unsigned i, enum stage at, struct policy_case *c)
{
	(void)p;
	(void)i;
	(void)at;
	(void)c;
	return HEARS_NO;
}

MAY_YIELD enum wait_rc
policy_advised(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    const struct advice *advice, unsigned n, struct verdict *out)
{
	(void)p;
	(void)at;
	(void)rcpt;
	(void)c;
	(void)advice;
	(void)n;
	(void)out;
	return WAIT_OK;
}

bool
policy_has_advised(const struct policy *p, enum stage at)
{
	(void)p;
	(void)at;
	return false;
}
