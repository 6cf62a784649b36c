/*
 * milter_conf -- what a configuration says of milters and plugins.
 *
 * proxy/plain_milters.c fills it in, filters read it (filter.h, struct filter_use).  Read-only, and lives as long as the
 * configuration; but for `at' of those that are ISOLATED, which who starts their hosts fills in before workers fork.
 */
#ifndef FILTERS_MILTER_CONF_H
#define FILTERS_MILTER_CONF_H

#include "proxy/base/addr.h"
#include "proxy/base/strv.h"

#define MILTERS_MAX          64         /* milters and plugins of one configuration */
#define MILTER_TIMEOUT       300000     /* ms: `timeout' where it is not said; of the answer to the end of a message */
#define MILTER_TIMEOUT_SHORT 30000      /* ms: to connect, and of every other answer; never more than `timeout' */

/* Where it lives: a daemon of its own; a shared object in this process; the same in a process that the master starts. */
enum milter_home { HOME_DAEMON, HOME_INSIDE, HOME_ISOLATED };

struct milter_conf {
	struct strv        name;
	unsigned           number;      /* in file order from 0: policy_milter, findings.advice */
	enum milter_home   home;
	struct endpoint    at;          /* DAEMON, ISOLATED */
	struct strv        socket;      /* as it is written, for the log; absent: a plugin */
	const char        *file;        /* of a plugin; NULL: a milter */
	const char *const *args;        /* of a plugin, NULL behind the last */
	unsigned           n_args;
	uint64_t           timeout;     /* ms, of the answer to the end of a message; PROGRESS begins it anew */
	uint64_t           timeout_short;
	struct strv        where;       /* "FILE:LINE" */
	const struct milter_end_kind *kind;     /* NULL: by its home; else a test's own */
};

struct milter_event;
struct milter_end_kind;
struct milter_answer;

/* Who wants to see every step (contrib/milter-try, tests): what was told, what was answered. */
struct milter_trace {
	/* answer NULL: the event was told and no answer is awaited.  rc: of milter_end.h. */
	void (*step)(void *arg, const struct milter_conf *m, const struct milter_event *e,
	    const struct milter_answer *answer);
	void *arg;
};

struct milters_conf {
	struct milter_conf *v;          /* in file order */
	unsigned            n;
	struct strv         hostname;   /* macro j */
	/* Nobody is called, milter(NAME) is absent: for tests inside a policy, `explain' and `check'. */
	bool                dry;
	const struct milter_trace *trace;       /* NULL: nobody */
};

#endif
