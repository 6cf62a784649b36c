/*
 * dmarc_tree -- see dmarc_tree.h
 *
 * A name of a thousand labels costs as many questions as one of eight.
 */
#include "filters/dmarc_tree.h"

enum { LABELS_AFTER_JUMP = DMARC_QUERIES - 1, GUESSES_MAX = 3 };

static unsigned
count_labels(struct strv domain)
{
	unsigned n = 1;

	for (size_t i = 0; i < domain.n; i++)
		n += domain.p[i] == '.';
	return n;
}

/* Its last n labels; all of it where it has no more. */
static struct strv
last_labels(struct strv domain, unsigned n)
{
	size_t at = domain.n;

	for (; at > 0; at--)
		if (domain.p[at - 1] == '.' && --n == 0)
			break;
	return strv_from(domain, at);
}

void
dmarc_walk_of(struct strv domain, struct dmarc_walk *out)
{
	unsigned labels = count_labels(domain);

	*out = (struct dmarc_walk){ .name = { domain }, .n = 1 };
	if (domain.n == 0) {
		out->n = 0;
		return;
	}
	/* 4.10 step 4: from eight labels on the next name has seven. */
	labels = labels > LABELS_AFTER_JUMP ? LABELS_AFTER_JUMP : labels - 1;
	for (; labels > 0; labels--)
		out->name[out->n++] = last_labels(domain, labels);
}

unsigned
dmarc_tree_end(const struct dmarc_tree *t)
{
	for (unsigned i = 0; i < t->walk.n; i++)
		if (t->node[i] == DMARC_RECORD_Y || t->node[i] == DMARC_RECORD_N)
			return i + 1;
	return t->walk.n;
}

static bool
has_gap(const struct dmarc_tree *t, unsigned *where)
{
	unsigned end = dmarc_tree_end(t);

	for (*where = 0; *where < end; ++*where)
		if (t->node[*where] == DMARC_NOTHING_KNOWN)
			return true;
	return false;
}

struct strv
dmarc_tree_org(const struct dmarc_tree *t)
{
	unsigned    end = dmarc_tree_end(t);
	struct strv org = t->walk.name[0];

	for (unsigned i = 0; i < end; i++) {
		struct strv name = t->walk.name[i];

		/* Rule 2: the domain one label below; where the walk began there is none but itself. */
		if (t->node[i] == DMARC_RECORD_Y)
			return last_labels(t->walk.name[0], count_labels(name) + 1);
		/* Rules 1 and 3: psd=n is the last one, else the one with the fewest labels. */
		if (t->node[i] != DMARC_NO_RECORD)
			org = name;
	}
	return org;
}

int
dmarc_tree_policy(const struct dmarc_tree *t)
{
	unsigned    end = dmarc_tree_end(t), gap;
	struct strv org;

	if (end == 0)
		return DMARC_NOWHERE;
	if (t->node[0] != DMARC_NO_RECORD)
		return t->node[0] == DMARC_NOTHING_KNOWN ? DMARC_NOT_KNOWN : 0;
	/* Each record up to the end can move the organizational domain. */
	if (has_gap(t, &gap))
		return DMARC_NOT_KNOWN;
	org = dmarc_tree_org(t);
	for (unsigned i = 1; i < end; i++)
		if (t->node[i] != DMARC_NO_RECORD && t->walk.name[i].n == org.n)
			return (int)i;
	/* Nothing at the organizational domain: then at the public suffix above it. */
	return t->node[end - 1] == DMARC_RECORD_Y ? (int)end - 1 : DMARC_NOWHERE;
}

bool
dmarc_tree_near(const struct dmarc_tree *t, struct strv domain)
{
	unsigned    gap;
	struct strv org;

	if (domain.n == 0 || t->walk.n == 0)
		return false;
	org = has_gap(t, &gap) ? t->walk.name[t->walk.n - 1] : dmarc_tree_org(t);
	return strv_iends(domain, org) &&
	    (domain.n == org.n || domain.p[domain.n - org.n - 1] == '.');
}

static void
suppose(struct dmarc_tree *t, struct strv name, enum dmarc_node node)
{
	for (unsigned i = 0; i < t->walk.n; i++)
		if (strv_ieq(t->walk.name[i], name))
			t->node[i] = (uint8_t)node;
}

static enum dmarc_is
same(struct dmarc_tree a, struct dmarc_tree b, unsigned guesses)
{
	unsigned      at;
	struct strv   name;
	enum dmarc_is all = DMARC_MAY_BE;

	if (has_gap(&a, &at))
		name = a.walk.name[at];
	else if (has_gap(&b, &at))
		name = b.walk.name[at];
	else
		return strv_ieq(dmarc_tree_org(&a), dmarc_tree_org(&b)) ? DMARC_IS : DMARC_IS_NOT;
	if (guesses == GUESSES_MAX)
		return DMARC_MAY_BE;
	for (enum dmarc_node n = DMARC_NO_RECORD; n < DMARC_NOTHING_KNOWN; n++) {
		enum dmarc_is one;

		suppose(&a, name, n);
		suppose(&b, name, n);
		one = same(a, b, guesses + 1);
		if (one == DMARC_MAY_BE || (all != DMARC_MAY_BE && one != all))
			return DMARC_MAY_BE;
		all = one;
	}
	return all;
}

enum dmarc_is
dmarc_tree_same(const struct dmarc_tree *a, const struct dmarc_tree *b)
{
	return same(*a, *b, 0);
}
