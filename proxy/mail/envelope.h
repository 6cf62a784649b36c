/*
 * envelope -- sender, recipients and their parameters.  RFC 5321, 1870, 6152, 6531, 3461.
 */
#ifndef PROXY_MAIL_ENVELOPE_H
#define PROXY_MAIL_ENVELOPE_H

#include "proxy/mail/path.h"
#include "proxy/mail/verdict.h"

/* One parameter of MAIL or RCPT: the name as given, the value octet for octet (absent: no '='). */
struct param {
	struct strv name, value;
};

enum body_kind { BODY_NONE, BODY_7BIT, BODY_8BITMIME };

struct mail_params {
	struct param  *v;               /* all, in order, in the transaction's arena */
	unsigned       n;
	uint64_t       size;            /* SIZE=, 0: not declared */
	enum body_kind body;
	bool           smtputf8;
	struct strv    ret, envid;      /* DSN; absent: not given */
};

struct rcpt {
	struct path    to;
	struct param  *params;          /* NOTIFY, ORCPT */
	unsigned       n_params;
	struct verdict said;            /* what policy said of it; NONE: allowed */
	bool           upstream_took;   /* the hop answered 2xx */
	bool           dropped;         /* discard: the client heard 250, the hop never hears of it */
	bool           replaced;        /* quarantine: the hop took it, and does not get this message for it */
	bool           added, deleted;  /* a milter wants it, or wants it no more, whatever the client said */
};

struct envelope {
	struct path        from;
	const struct path *was;         /* from, as the client said it, where a milter has changed it; else NULL */
	struct mail_params params;
	struct rcpt       *rcpt;        /* every recipient that was well formed and got a verdict or an answer */
	unsigned           n_rcpt, max_rcpt;
};

/* Adds one; the pointer is good until the next call. */
struct rcpt *envelope_add(struct arena *a, struct envelope *e);
unsigned envelope_taken(const struct envelope *e);      /* recipients with upstream_took */
unsigned envelope_dropped(const struct envelope *e);

#endif
