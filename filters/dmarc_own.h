/*
 * dmarc_own -- what the two halves of DMARC share: dmarc.c has the facts, dmarc_look.c asks what they are made of.
 */
#ifndef FILTERS_DMARC_OWN_H
#define FILTERS_DMARC_OWN_H

#include "filters/dmarc_record.h"
#include "filters/dmarc_tree.h"
#include "proxy/mail/filter.h"

struct dmarc_shared {                   /* of a configuration */
	const struct fact_def *defs;
	unsigned txt, spf, spf_domain, dkim_domains, dkim_signatures, dmarc, policy, domain;
	bool     always;                /* `authenticate' names it: it is asked of every message */
};

struct dmarc_about {                    /* what is known of one message */
	struct strv         author;     /* domain of From, A-labels; absent: none, or several */
	bool                several;    /* From: fields, or domains; or one of them is unclear */
	bool                unclear;    /* somebody may read a domain that we cannot */
	struct dmarc_tree   tree;       /* of the author domain; what is above it is known once it is climbed */
	bool                climbed;
	int                 at;         /* whose record applies: a name of the tree, or DMARC_NOWHERE */
	struct dmarc_record record;
};

struct dmarc_seat {
	const struct dmarc_shared *shared;
	struct arena              *a;           /* the transaction's */
	struct dmarc_about        *about;       /* NULL: nobody asked yet */
	/* findings.start */
	void (*start)(const struct findings *, unsigned number, struct strv arg);
	void *ctx;
};

struct dmarc_asking {                   /* one who asks: MAY_YIELD functions hand it on */
	struct dmarc_seat *seat;
	struct fact       *f;
	const struct mail *m;
	bool               cancelled;
};

/* ---- dmarc_look.c ---- */

/* Of the message at hand, From read once; NULL: its header is not here. */
struct dmarc_about *dmarc_about(struct dmarc_seat *s, const struct mail *m);
/* All names of a walk are asked for at once, so that it takes the time of one question. */
void dmarc_start_walk(const struct dmarc_seat *s, const struct dmarc_walk *w);
/* Another fact.  NULL: unknown, or cancelled. */
MAY_YIELD const struct fact *dmarc_get(struct dmarc_asking *k, unsigned number, struct strv arg);
/* Finds the record that applies.  False: a fault hides which one does. */
MAY_YIELD bool dmarc_discover(struct dmarc_asking *k, struct dmarc_about *b);
/* Does SPF pass, or a signature, for a domain that is aligned? */
MAY_YIELD enum dmarc_is dmarc_spf_says(struct dmarc_asking *k, struct dmarc_about *b);
MAY_YIELD enum dmarc_is dmarc_dkim_says(struct dmarc_asking *k, struct dmarc_about *b);

#endif
