/*
 * milter_end -- one milter as milter.c speaks to it, wherever it lives.
 *
 * Two kinds: a socket (milter_socket.c: daemons and isolated plugins) and a shared object in this process (plugin.c).
 * One sequencing over both, so all homes agree.  An end belongs to one session and is used by one fiber at a time.
 */
#ifndef FILTERS_MILTER_END_H
#define FILTERS_MILTER_END_H

#include "filters/milter_conf.h"
#include "filters/milter_wire.h"
#include "proxy/base/fiber.h"

struct arena;
struct milter_end;

/* AWAY: nobody listens there; GONE: the connection was closed or reset; GARBAGE: it talks nonsense; REFUSED: it wants
 * more than it was offered, or is not loaded. */
enum milter_rc { MILTER_OK, MILTER_LATE, MILTER_GONE, MILTER_GARBAGE, MILTER_REFUSED, MILTER_CANCELLED, MILTER_AWAY };
const char *milter_rc_name(enum milter_rc rc);

/* Macros of one command, in front of which they are sent. */
struct milter_macros {
	const struct milter_macro *v;
	unsigned                   n;
};

struct milter_end_kind {
	/*
	 * A new end: connected, negotiated.
	 *
	 *   ours      what is offered;  theirs: what came of it
	 *   until     absolute ms
	 *   why       on failure: static text, or in a (at most 300 octets) and with the octets that came instead, as
	 *             they came: whoever shows it escapes it
	 *
	 * What `theirs' views lives as long as the end.  close must come on every path: nothing is deferred.
	 */
	MAY_YIELD enum milter_rc (*open)(struct arena *a, const struct milter_conf *c,
	    const struct milter_offer *ours, struct milter_offer *theirs, uint64_t until, struct milter_end **out,
	    struct strv *why);
	/*
	 * Tells it; macros are those of that command's place, or of MAIL's where it has none, sent in front where n > 0.
	 * answered: `answer' is called for this before anything else is told.  What needs no answer may be kept back until
	 * something does; ABORT is not, never parks, and may come from the loop.
	 * Views are used before it returns.  GARBAGE: it has spoken unasked, too.  GONE to the first event of a
	 * transaction: it may have gone while nothing happened, nothing was said to it yet.
	 */
	MAY_YIELD enum milter_rc (*tell)(struct milter_end *e, const struct milter_event *ev, const struct milter_macros *m,
	    bool answered, uint64_t until);
	/* The next answer to what was told; its views are good until the next call. why of GARBAGE: milter_end.why. */
	MAY_YIELD enum milter_rc (*answer)(struct milter_end *e, struct milter_answer *out, uint64_t until);
	/* Never parks.  polite: QUIT goes in front, as far as the socket takes it. */
	void (*close)(struct milter_end *e, bool polite);
};

struct milter_end {                     /* the first member of what a kind makes */
	const struct milter_end_kind *kind;
	const struct milter_conf     *conf;
	const char                   *why;      /* of the last call that was not OK: static */
	struct strv                   bytes;    /* what came last, at most 64 octets, for the log; may be absent */
};

extern const struct milter_end_kind milter_socket_end, milter_plugin_end;

/*
 * plugin_load -- the shared object of m, for all sessions of this process; made at the first call, a worker's start
 *
 * NULL with *why in a: it cannot be loaded, has no description, or is bound to another libmilter.  Kept until
 * plugin_unload_all.  "args" are handed over as postern-plugin(3) says.
 */
struct plugin;
struct plugin *plugin_load(struct arena *a, const struct milter_conf *m, struct strv *why);
void plugin_unload_all(void);

#endif
