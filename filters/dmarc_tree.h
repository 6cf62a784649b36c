/*
 * dmarc_tree -- the walk up the DNS: at which names to look, and what follows from what is there.  RFC 9989 4.10.  Pure.
 */
#ifndef FILTERS_DMARC_TREE_H
#define FILTERS_DMARC_TREE_H

#include "proxy/base/strv.h"

#define DMARC_QUERIES 8                 /* of one walk at most */

/* The names (without _dmarc), the longest first: views into the domain. */
struct dmarc_walk {
	struct strv name[DMARC_QUERIES];
	unsigned    n;
};

/* What is known of a name: no record (also: several), a record with that psd, nothing: the DNS failed, or nobody asked. */
enum dmarc_node { DMARC_NO_RECORD, DMARC_RECORD_U, DMARC_RECORD_Y, DMARC_RECORD_N, DMARC_NOTHING_KNOWN };

struct dmarc_tree {
	struct dmarc_walk walk;
	uint8_t           node[DMARC_QUERIES];  /* enum dmarc_node of each */
};

enum dmarc_is { DMARC_IS_NOT, DMARC_MAY_BE, DMARC_IS };

/* domain: without a last dot, lower case, A-labels. */
void dmarc_walk_of(struct strv domain, struct dmarc_walk *out);
/* How many names of it count: up to the first psd=y or psd=n, or all. */
unsigned dmarc_tree_end(const struct dmarc_tree *t);
/* The organizational domain. No name that counts may have failed. 4.10.2 */
struct strv dmarc_tree_org(const struct dmarc_tree *t);

/*
 * Can that domain have the same organizational domain, whatever stands at its own names?  So that nothing is asked of
 * one that cannot.
 */
bool dmarc_tree_near(const struct dmarc_tree *t, struct strv domain);

#define DMARC_NOWHERE   (-1)
#define DMARC_NOT_KNOWN (-2)
/* Which of the names has the record that applies to the first one. 4.10.1 */
int dmarc_tree_policy(const struct dmarc_tree *t);
/*
 * Have both the same organizational domain?  Where names failed: also if it is the same whatever stands there, so that
 * a fault counts only where it may change the answer.
 */
enum dmarc_is dmarc_tree_same(const struct dmarc_tree *a, const struct dmarc_tree *b);

#endif
