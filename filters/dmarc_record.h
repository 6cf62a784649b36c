/*
 * dmarc_record -- what a DMARC policy record says.  RFC 9989 4.7, 4.8, 4.10.1.  Pure.
 *
 * Tags that were removed (pct rf ri) and such as nobody knows are not looked at; a tag whose value is none of its own,
 * and one that stands twice, is as if it were not there.
 */
#ifndef FILTERS_DMARC_RECORD_H
#define FILTERS_DMARC_RECORD_H

#include "proxy/base/strv.h"

/* What is asked to be done with mail that fails; the order is that of the words of the fact dmarc.policy. */
enum dmarc_asks { DMARC_ASKS_ABSENT, DMARC_ASKS_NONE, DMARC_ASKS_QUARANTINE, DMARC_ASKS_REJECT };

enum dmarc_psd { DMARC_PSD_U, DMARC_PSD_Y, DMARC_PSD_N };

struct dmarc_record {
	enum dmarc_asks p, sp, np;      /* ABSENT: not stated (sp, np) */
	enum dmarc_psd  psd;
	bool            test;           /* t=y */
	bool            strict_dkim, strict_spf;
	bool            mute;          /* no valid p, sp or np, and nobody to report it to: nothing is asked of anybody */
};

/* False: that text is no DMARC record (its first tag is not v=DMARC1). */
bool dmarc_record_parse(struct strv text, struct dmarc_record *out);
/* The record among all TXT records of a name. False: there is none, or several (then none of them counts, 4.10). */
bool dmarc_record_find(const struct strv *texts, unsigned n, struct dmarc_record *out);
/*
 * What it asks, of its own domain or of one below it (exists: it is in the DNS), with t=y taken into account.
 */
enum dmarc_asks dmarc_record_asks(const struct dmarc_record *r, bool below, bool exists);
const char *dmarc_asks_word(enum dmarc_asks asks);

#endif
