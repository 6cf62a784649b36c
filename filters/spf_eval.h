/*
 * spf_eval -- check_host: may this client send for that domain?  On a fiber.  RFC 7208 4.
 *
 * Whatever stands in the DNS, the result is one of seven, after at most SPF_TIME and a bounded number of questions.
 */
#ifndef FILTERS_SPF_EVAL_H
#define FILTERS_SPF_EVAL_H

#include "filters/spf_record.h"
#include "proxy/base/fiber.h"

struct arena;

#define SPF_TERMS 10            /* RFC 7208 4.6.4: that look up, in one check, whatever includes and redirects */
#define SPF_VOIDS 2             /* of those: that find nothing */
#define SPF_NAMES 10            /* of one mx (more: permerror) and of the client, for ptr and %{p} (more: passed over) */
#define SPF_TIME  20000         /* ms: then temperror */

struct spf_identity {           /* who is asked about; borrowed */
	struct addr ip;         /* ADDR_NONE: none */
	struct strv local;      /* of the sender; empty: postmaster */
	struct strv domain;     /* as the client wrote it */
	struct strv helo;
	struct strv receiver;   /* who we are, for %{r} */
};

struct spf_said {               /* views in the arena that was given */
	enum spf_says says;
	struct strv   by;               /* the record and the mechanism that decided, or what is wrong; printable ASCII */
	struct strv   domain;           /* in A-labels */
	struct strv   exp, exp_domain;  /* of a fail: where an explanation is to be had, and the record's domain */
	unsigned      terms, voids, questions;  /* that were counted */
};

/* False: the fiber was cancelled. */
MAY_YIELD bool spf_check(struct arena *a, const struct spf_identity *id, struct spf_said *out);
/*
 * What the domain says of a fail: ASCII, at most 200 octets, absent where it says nothing or nothing that can be used
 * (RFC 7208 6.2).  One or two questions.  False: the fiber was cancelled.
 */
MAY_YIELD bool spf_explain(struct arena *a, const struct spf_identity *id, const struct spf_said *said,
    struct strv *out);

/* ---- for the second engine ---- */

/* The domain in A-labels, without a last dot, if there can be a record for it (RFC 7208 4.3). In a. */
bool spf_domain(struct arena *a, struct strv v, struct strv *out);

#endif
