/*
 * plugin_own -- what the parts of the in-process host share: plugin_load.c (the object), plugin.c (a session's end),
 * plugin_negotiate.c (its start), plugin_call.c (callbacks), plugin_smfi.c and plugin_edits.c (what the plugin calls).
 * Only where HAVE_MILTER is 1.
 */
#ifndef FILTERS_PLUGIN_OWN_H
#define FILTERS_PLUGIN_OWN_H

#include <stdbool.h>

#include <sys/socket.h>

#include <libmilter/mfapi.h>

#include "filters/milter_end.h"

#define PLUGIN_STACK      262144        /* octets: plugins were written for the stacks of threads */
#define PLUGIN_SLOW       50            /* ms: a callback that takes longer is logged */
#define PLUGIN_STAGED_MAX (64u << 20)   /* octets of edits of one message */
#define PLUGIN_REPLY_MAX  (33 * 1024)   /* octets of a reply: libmilter's ceilings, 32 lines of 980 */

struct plugin {
	struct plugin            *next;
	const struct milter_conf *conf;
	void                     *handle;       /* dlopen's; NULL: it could not be loaded */
	struct strv               why;          /* then, why; ours to free */
	struct smfiDesc           desc;
	unsigned                  callbacks;    /* those that it has: bits by enum plugin_callback */
	struct fiber_stack       *stack;        /* the one of this process */
	char                    **argv;         /* of plugin_args, as long as the object is loaded */
	bool                      left_private; /* it was said that xxfi_close leaves private data behind */
};

/* What mfapi.h calls SMFICTX: one session, as its callbacks know it. */
struct smfi_str {
	void          *priv;
	unsigned long  actions;                 /* SMFIF_*, agreed */
	bool           at_end;                  /* the end of a message is being told: edits may be made */
	char          *symlist[MILTER_PLACES];  /* NULL: the default */
	struct buf     macros[MILTER_PLACES];   /* "name\0value\0..." */
	struct buf     reply;                   /* "550 5.7.1 text\0" of smfi_setreply; waits for a refusal of its class */
	unsigned       misused;                 /* functions that have failed, as the log knows: bits by enum plugin_function */
	struct buf     staged;                  /* answers, as libmilter writes them, each behind its length (uint32_t) */
};

/* A callback, and what it is called with. */
struct plugin_call {
	struct smfi_str       *x;
	const struct smfiDesc *d;
	char                  *a, *b; /* texts */
	char                 **argv;
	struct sockaddr       *peer; /* NULL: unknown */
	unsigned char         *body;
	size_t                 n;
	const unsigned long   *offer; /* four each */
	unsigned long         *wants;
	int                    rc;
};

/* Those of struct smfiDesc, and how each is called. */
#define PLUGIN_CALLBACKS(X) \
	X(negotiate, (c->x, c->offer[0], c->offer[1], c->offer[2], c->offer[3], \
	    &c->wants[0], &c->wants[1], &c->wants[2], &c->wants[3])) \
	X(connect, (c->x, c->a, c->peer)) X(helo, (c->x, c->a)) X(envfrom, (c->x, c->argv)) \
	X(envrcpt, (c->x, c->argv)) X(data, (c->x)) X(header, (c->x, c->a, c->b)) X(eoh, (c->x)) \
	X(body, (c->x, c->body, c->n)) X(eom, (c->x)) X(unknown, (c->x, c->a)) X(abort, (c->x)) \
	X(close, (c->x))

enum plugin_callback {
#define X(name, args) PLUGIN_##name,
	PLUGIN_CALLBACKS(X)
#undef X
};

/* The functions of a session that may fail. */
#define PLUGIN_FUNCTIONS(X) \
	X(setsymlist) X(setreply) X(setmlreply) X(addheader) X(insheader) X(chgheader) X(chgfrom) X(addrcpt) \
	X(addrcpt_par) X(delrcpt) X(replacebody) X(quarantine) X(progress)

enum plugin_function {
#define X(name) SMFI_##name,
	PLUGIN_FUNCTIONS(X)
#undef X
};

/* A session's end. */
struct plugin_end {
	struct milter_end end;
	struct plugin    *plugin;
	struct world     *world;    /* NULL: nobody measures (no loop) */
	struct loop      *loop;
	uint64_t          ended, round; /* the last callback: when, and in which round (loop_now) */
	unsigned long     protocol; /* SMFIP_* that the plugin goes by */
	struct smfi_str   ctx;
	bool              in_mail; /* a message that xxfi_abort would end */
	size_t            taken;     /* octets of ctx.staged that were answered */
	enum milter_answer_kind final; /* the answer behind those; MAX: none, or a packet */
	const char       *broken;    /* static: the callback returned what is no answer */
	char              bytes[48]; /* behind end.bytes */
};

/* --- plugin_call.c --- */

const char *plugin_callback_name(enum plugin_callback which);   /* "xxfi_connect" */
unsigned plugin_callbacks_of(const struct smfiDesc *d);
bool plugin_has(const struct plugin_end *e, enum plugin_callback which);
/* Calls it on the large stack, and logs it where it was slow.  What it returned, in c->rc, too. */
int plugin_call(struct plugin_end *e, enum plugin_callback which, struct plugin_call *c);
/* xxfi_abort, xxfi_close, where it has them. */
void plugin_call_end(struct plugin_end *e, enum plugin_callback which);

/* Macros of a place replace its earlier ones; none: those stay, as nothing was sent. */
void plugin_keep_macros(struct smfi_str *x, int place, const struct milter_macros *m);
void plugin_forget_macros(struct smfi_str *x, int from);

/* What a command of the MTA comes to; tell NULL: to nothing. */
struct plugin_step {
	int (*tell)(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev);
	enum plugin_callback which;
	int           place;  /* of its macros; -1: none */
	bool          clears; /* those of later places are stale */
	bool          in_mail;
	bool          goes_on;  /* a refusal is of this alone, not of the message */
	unsigned long no_reply; /* the flag with which the filter says that it will not answer */
};
extern const struct plugin_step plugin_steps[MILTER_CMD_MAX];

/* --- plugin.c --- */

/* An answer, of n parts in a row, as libmilter would put it into a packet.  False: too much. */
bool plugin_stage(struct smfi_str *x, char octet, const struct strv *part, unsigned n);

#define PLUGIN_NO_ROOM "too much"
/* MI_FAILURE; and a line of the log, once a session and function.  x NULL: nobody's.  why: static. */
int plugin_misuse(struct smfi_str *x, enum plugin_function f, const char *why);

/* It has failed: `broken' is why (static), end.bytes what that callback returned. */
void plugin_break_off(struct plugin_end *e, const char *why, enum plugin_callback which, int rc);

/* --- plugin_negotiate.c --- */

/* Settles what e may do and hears; *theirs is what a daemon would answer to ours.  False: e->broken says why. */
bool plugin_negotiate(struct plugin_end *e, const struct milter_offer *ours, struct milter_offer *theirs);

/* --- plugin_load.c, plugin_smfi.c --- */

/* Whose plugin_init runs: where smfi_register puts the description.  NULL: nobody's. */
extern struct plugin *plugin_loading;

/* Is that the description of a libmilter that we stand in for? */
bool plugin_version_known(const struct smfiDesc *d);

#endif
