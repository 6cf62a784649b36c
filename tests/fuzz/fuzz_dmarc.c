/*
 * Two domains, a line each, then records, a line each: the walk of both, with the records along the first one.  At most
 * eight names, each a part of the domain, shorter and shorter; the organizational domain is one of those above, and the
 * same domain is always aligned with itself.  What failed may only make an answer unknown, never another one.
 */
#include "filters/dmarc_record.h"
#include "filters/dmarc_tree.h"
#include "tests/fuzz/fuzz.h"

static void
check_walk(struct strv domain, const struct dmarc_walk *w)
{
	FUZZ_CHECK(w->n <= DMARC_QUERIES && (w->n == 0) == (domain.n == 0));
	for (unsigned i = 0; i < w->n; i++) {
		FUZZ_CHECK(strv_ends(domain, w->name[i]));
		FUZZ_CHECK(i == 0 || w->name[i].n < w->name[i - 1].n);
		FUZZ_CHECK(i == 0 || w->name[i].p == domain.p || w->name[i].p[-1] == '.');
	}
}

static void
check_tree(struct strv domain, struct dmarc_tree *t)
{
	struct dmarc_tree hidden = *t;
	struct strv       org;
	int               at = dmarc_tree_policy(t), guess;

	if (t->walk.n == 0)
		return;
	org = dmarc_tree_org(t);
	FUZZ_CHECK(strv_ends(domain, org));
	FUZZ_CHECK(at >= DMARC_NOWHERE && at < (int)dmarc_tree_end(t));
	FUZZ_CHECK(at < 0 || t->node[at] != DMARC_NO_RECORD);
	FUZZ_CHECK(dmarc_tree_near(t, domain));
	FUZZ_CHECK(dmarc_tree_same(t, t) == DMARC_IS);
	for (unsigned i = 0; i < t->walk.n; i++) {
		hidden.node[i] = DMARC_NOTHING_KNOWN;
		guess = dmarc_tree_policy(&hidden);
		FUZZ_CHECK(guess == DMARC_NOT_KNOWN || guess == at);
		FUZZ_CHECK(dmarc_tree_same(&hidden, t) != DMARC_IS_NOT);
		hidden.node[i] = t->node[i];
	}
}

static void
check_pair(const struct dmarc_tree *a, struct dmarc_tree *b)
{
	enum dmarc_is is, guess;

	if (a->walk.n == 0 || b->walk.n == 0)
		return;
	/* One DNS: what stands at a name stands there for both. */
	for (unsigned i = 0; i < a->walk.n; i++)
		for (unsigned j = 0; j < b->walk.n; j++)
			if (strv_ieq(a->walk.name[i], b->walk.name[j]))
				b->node[j] = a->node[i];
	is = dmarc_tree_same(a, b);
	FUZZ_CHECK(is != DMARC_MAY_BE && is == dmarc_tree_same(b, a));
	FUZZ_CHECK(is == DMARC_IS_NOT || dmarc_tree_near(a, b->walk.name[0]));
	for (unsigned i = 0; i < b->walk.n; i++) {
		uint8_t was = b->node[i];

		b->node[i] = DMARC_NOTHING_KNOWN;
		guess = dmarc_tree_same(a, b);
		FUZZ_CHECK(guess == DMARC_MAY_BE || guess == is);
		b->node[i] = was;
	}
}

static enum dmarc_node
node_of(struct strv text)
{
	static const enum dmarc_node nodes[] = { DMARC_RECORD_U, DMARC_RECORD_Y, DMARC_RECORD_N };
	struct dmarc_record          r;

	if (!dmarc_record_parse(text, &r))
		return DMARC_NO_RECORD;
	FUZZ_CHECK(r.p != DMARC_ASKS_ABSENT);
	for (unsigned i = 0; i < 4; i++) {
		enum dmarc_asks asks = dmarc_record_asks(&r, i & 1, i & 2);

		FUZZ_CHECK((asks == DMARC_ASKS_ABSENT) == r.mute && asks <= DMARC_ASKS_REJECT);
		FUZZ_CHECK(!r.test || asks != DMARC_ASKS_REJECT);
	}
	return nodes[r.psd];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv       rest = strv((const char *)data, n), a, b;
	struct dmarc_tree t = { .node = { 0 } }, u = { .node = { 0 } };

	if (n == 0)
		return 0;
	a = strv_cut(&rest, '\n');
	b = rest.p != NULL ? strv_cut(&rest, '\n') : a;
	dmarc_walk_of(a, &t.walk);
	dmarc_walk_of(b, &u.walk);
	check_walk(a, &t.walk);
	check_walk(b, &u.walk);
	for (unsigned i = 0; rest.p != NULL && i < DMARC_QUERIES; i++)
		t.node[i] = (uint8_t)node_of(strv_cut(&rest, '\n'));
	check_tree(a, &t);
	check_pair(&t, &u);
	return 0;
}
