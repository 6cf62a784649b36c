/*
 * advised -- what the policy says of milters and plugins, and makes of what they say.
 *
 * Included by policy.h alone.
 */
#ifndef POLICY_ADVISED_H
#define POLICY_ADVISED_H

#include "policy/case.h"
#include "proxy/base/diag.h"
#include "proxy/mail/advice.h"

struct policy;

#define POLICY_MILTERS     64           /* milters and plugins of one configuration */
#define POLICY_MILTER_ARGS 64           /* `args' of one plugin */

/* What the policy makes of a milter that cannot be heard: `on failure'. */
enum on_failure { FAILURE_TEMPFAIL, FAILURE_ACCEPT, FAILURE_REJECT, FAILURE_QUARANTINE, FAILURE_DISCONNECT };

/* A `milter' or `plugin' block as it is written, for who makes a filter of it; absent or 0 where nothing is said. */
struct policy_milter {
	struct strv             name;
	struct pos              pos;            /* of the name */
	bool                    plugin, warn, isolated;
	struct strv             socket, load;   /* as written */
	struct pos              socket_pos, load_pos;
	uint64_t                timeout;        /* ms */
	struct pos              timeout_pos;
	const struct strv      *args;
	unsigned                n_args;
	enum on_failure         on_failure;
	struct pos              failure_pos;    /* src NULL: nothing is said of it */
	bool                    conditional;    /* it has a `when' */
};

/* Numbered in file order, milters and plugins together. Good on what policy_read gave, too. */
unsigned policy_milters(const struct policy *p);
const struct policy_milter *policy_milter(const struct policy *p, unsigned i);
/*
 * policy_hears -- is milter i to be told of what happens, at that stage?
 *
 * HEARS_NOT_YET: its `when' asks what is known later.  HEARS_NO: `when' is not met, or a check has skipped it.  An unknown
 * `when' is yes: a milter only looks, and what it says is advice.  HEARS_CANCELLED.
 */
MAY_YIELD enum hears policy_hears(const struct policy *p, unsigned i, enum stage at, struct policy_case *c);
/*
 * policy_advised -- checks of the stage that ask milter(), in file order, then "as the milters say"
 *
 *   advice   by number, n of them; as policy_eval otherwise: `by' is the check's name or the milter's
 *
 * In file order, of those that no check has skipped: one that failed, by its `on failure' (accept: nothing); else what
 * it says.  A quarantine, and a failure's, waits for STAGE_MESSAGE.  `warn': only noted.  The first that is final holds.
 */
MAY_YIELD enum wait_rc policy_advised(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    const struct advice *advice, unsigned n, struct verdict *out);

/*
 * What is made of milter i's word, of which it is certain before those behind it are told that it will be obeyed, so that
 * they need not be.  NONE: nothing final, or it is not certain: `warn', skipped, a check of that stage asks milter().
 * Nor is it of what is kept: it may be released, and leaves then with what those behind have made of it.
 */
struct verdict policy_obeyed(const struct policy *p, unsigned i, enum stage at, unsigned rcpt, const struct policy_case *c,
    const struct advice *x);

/* Does the condition of the check of that name ask milter i?  Not: by way of a tag. */
bool policy_asks_milter(const struct policy *p, struct strv check, unsigned i);

/* Has it checks at that stage that ask milter()?  Those are policy_advised's, not policy_eval's. */
bool policy_has_advised(const struct policy *p, enum stage at);

#endif
