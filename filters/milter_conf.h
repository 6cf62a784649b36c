/*
 * milter_conf -- what a configuration says of milters and plugins.
 *
 * proxy/plain_milters.c fills it in, filters read it (filter.h, struct filter_use).  Read-only, and lives as long as the
 * configuration; but for `at' and `blame' of those that are ISOLATED, which who starts their hosts fills in before
 * workers fork.
 */
#ifndef FILTERS_MILTER_CONF_H
#define FILTERS_MILTER_CONF_H

#include "proxy/base/addr.h"
#include "proxy/base/strv.h"

#define MILTERS_MAX          64         /* milters and plugins of one configuration */
#define MILTER_TIMEOUT       300000     /* ms: `timeout' where it is not said; of the answer to the end of a message */
#define MILTER_TIMEOUT_SHORT 30000      /* ms: to connect, and of every other answer; never more than `timeout' */

struct arena;
struct blame;
struct milter_end_kind;

/* Where it lives: a daemon of its own; a shared object in this process; the same in a process that the master starts. */
enum milter_home { HOME_DAEMON, HOME_INSIDE, HOME_ISOLATED };

struct milter_conf {
	struct strv        name;
	unsigned           number;      /* in file order from 0: policy_milter, findings.advice */
	enum milter_home   home;
	struct endpoint    at;          /* DAEMON, ISOLATED */
	const struct blame *blame;      /* ISOLATED: whose callback has ended a process (base/blame.h); NULL: nobody can tell */
	const char        *file;        /* of a plugin; NULL: a milter */
	const char *const *args;        /* of a plugin, NULL behind the last */
	unsigned           n_args;
	uint64_t           timeout;     /* ms, of the answer to the end of a message; PROGRESS begins it anew */
	uint64_t           timeout_short;
	const struct milter_end_kind *kind;     /* NULL: by its home; else a test's own */
};

/*
 * A socket as it is written: "unix:/PATH", "local:/PATH", "inet:HOST:PORT", and in libmilter's way "inet:PORT@HOST";
 * inet6 likewise.  HOST is an address or localhost (no name is looked up).  False: *why says what is wrong behind the
 * word in front (static), or is NULL: there is no such word.
 */
bool milter_socket_parse(struct arena *a, struct strv text, struct endpoint *out, const char **why);

struct milters_conf {
	struct milter_conf *v;          /* in file order */
	unsigned            n;
	struct strv         hostname;   /* macro j */
	/* Nobody is called, milter(NAME) is absent: for tests inside a policy, `explain' and `check'. */
	bool                dry;
};

#endif
