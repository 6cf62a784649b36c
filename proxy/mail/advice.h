/*
 * advice -- what milters say: to the policy, which obeys or not.
 */
#ifndef PROXY_MAIL_ADVICE_H
#define PROXY_MAIL_ADVICE_H

#include "proxy/mail/verdict.h"

/* Of one milter or plugin; all zero: it takes no part, or has nothing to say. */
struct advice {
	struct verdict say;             /* NONE: nothing against it.  Good as long as the session's or transaction's arena */
	bool           asked;           /* it takes part: its word counts, or its failure */
	bool           failed;          /* it could not be heard: its `on failure' counts */
	bool           accepts;         /* it has seen enough, and has nothing against the rest */
};

/* Is a milter to be told of what happens?  NO: not in this transaction (before MAIL: session). */
enum hears { HEARS_NO, HEARS_NOT_YET, HEARS_YES, HEARS_CANCELLED };

#endif
