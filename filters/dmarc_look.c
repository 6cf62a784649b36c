/*
 * dmarc_look -- the domain of From, the record that applies to it, and which domains are aligned with it.  RFC 9989.
 *
 * Here is what is asked of others (txt, SPF, DKIM), no sooner than it is needed; what the answers come to, as facts, is
 * dmarc.c's.  The invariant: a fault that could change an answer is handed on as "may be" or as unknown, never as no.
 */
#include "filters/dmarc_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/idn.h"
#include "proxy/mail/mailboxes.h"

/* ---- the author domain, RFC 9989 5.3.1 ---- */

/* A domain as it is compared and asked for: in the arena, or absent where it is none. */
static struct strv
plain_domain(struct arena *a, struct strv domain)
{
	char        buf[IDN_OCTETS];
	struct strv v = idn_domain(domain, buf);

	if (v.n > 0 && v.p[v.n - 1] == '.')
		v.n--;
	if (v.n == 0 || v.p[0] == '[')
		return (struct strv){ 0 };
	return arena_lower(a, v);
}

/*
 * 4.4, 5.3.1, 11.5: a message with several fields or domains is not one of which DMARC can say anything, and is
 * told from those without any.  What stands behind the ceiling of a field might be another domain; so might what
 * is no address to us, or no domain to IDNA: who shows it to a reader may see one that is protected.
 */
static void
find_author(struct dmarc_seat *s, const struct message *m, struct dmarc_about *out)
{
	const struct header *h = message_find(m, SV("From"), 0);
	struct mailboxes     all;

	if (h == NULL)
		return;
	mailboxes_parse(s->a, header_value(h), &all);
	out->unclear = all.doubtful || header_value(h).n > MAILBOXES_OCTETS;
	out->several = out->unclear || message_find(m, SV("From"), 1) != NULL || all.mixed;
	if (out->several || all.n == 0)
		return;
	out->author = plain_domain(s->a, all.first.domain);
	if (!strv_is_ascii(out->author)) {
		out->author = (struct strv){ 0 };
		out->several = out->unclear = true;
	}
}

struct dmarc_about *
dmarc_about(struct dmarc_seat *s, const struct mail *m)
{
	if (s->about != NULL || m->msg == NULL || !m->msg->headers_done)
		return s->about;
	s->about = arena_alloc(s->a, sizeof *s->about);
	s->about->at = DMARC_NOWHERE;
	find_author(s, m->msg, s->about);
	for (unsigned i = 0; i < DMARC_QUERIES; i++)
		s->about->tree.node[i] = DMARC_NOTHING_KNOWN;
	if (s->about->author.p != NULL)
		dmarc_walk_of(s->about->author, &s->about->tree.walk);
	return s->about;
}

/* ---- records ---- */

static struct strv
record_name(struct arena *a, struct strv domain)
{
	return arena_concat(a, SV("_dmarc."), domain);
}

/* All names of a walk at once, so that it takes the time of one question. */
void
dmarc_start_walk(const struct dmarc_seat *s, const struct dmarc_walk *w)
{
	struct findings found = { .start = s->start, .ctx = s->ctx };

	for (unsigned i = 0; s->start != NULL && i < w->n; i++)
		s->start(&found, s->shared->txt, record_name(s->a, w->name[i]));
}

/* NULL: unknown, or cancelled. */
MAY_YIELD const struct fact *
dmarc_get(struct dmarc_asking *k, unsigned number, struct strv arg)
{
	struct fact *f;

	if (k->cancelled)
		return NULL;
	if (fact_get(k->m->facts, k->seat->shared->defs, number, 0, arg, &f) != WAIT_OK) {
		k->cancelled = true;
		return NULL;
	}
	return f->state == FACT_KNOWN ? f : NULL;
}

MAY_YIELD static enum dmarc_node
look(struct dmarc_asking *k, struct strv domain, struct dmarc_record *out)
{
	static const enum dmarc_node nodes[] = { DMARC_RECORD_U, DMARC_RECORD_Y, DMARC_RECORD_N };
	const struct fact *f = dmarc_get(k, k->seat->shared->txt, record_name(k->seat->a, domain));

	if (f == NULL)
		return DMARC_NOTHING_KNOWN;
	return dmarc_record_find(f->v.texts.v, f->v.texts.n, out) ? nodes[out->psd] :
								    DMARC_NO_RECORD;
}

/* Fills in the nodes from `from' on, up to what ends the walk. */
MAY_YIELD static void
walk(struct dmarc_asking *k, struct dmarc_tree *t, unsigned from)
{
	struct dmarc_record r;

	for (unsigned i = from; i < dmarc_tree_end(t) && !k->cancelled; i++)
		t->node[i] = (uint8_t)look(k, t->walk.name[i], &r);
}

/* What is above the author domain. */
MAY_YIELD static void
climb(struct dmarc_asking *k, struct dmarc_about *b)
{
	if (!b->climbed)
		walk(k, &b->tree, 1);
	b->climbed = !k->cancelled;
}

/* 4.10.1: its own record first, what is above it only where there is none.  False: a fault hides which applies. */
MAY_YIELD bool
dmarc_discover(struct dmarc_asking *k, struct dmarc_about *b)
{
	b->at = DMARC_NOWHERE;
	b->climbed = false;
	if (b->author.p == NULL)
		return true;
	if (!k->seat->shared->always)
		dmarc_start_walk(k->seat, &b->tree.walk);
	b->tree.node[0] = (uint8_t)look(k, b->author, &b->record);
	if (b->tree.node[0] == DMARC_NO_RECORD)
		climb(k, b);
	b->at = dmarc_tree_policy(&b->tree);
	if (b->at == DMARC_NOT_KNOWN)
		return false;
	if (b->at > 0)
		(void)look(k, b->tree.walk.name[b->at], &b->record);
	if (b->record.mute)
		b->at = DMARC_NOWHERE;
	return true;
}

/* ---- alignment, 4.10.2 ---- */

/* Nothing is asked of a domain that cannot have the same organizational domain whatever is above it. */
MAY_YIELD static enum dmarc_is
dmarc_aligns(struct dmarc_asking *k, struct dmarc_about *b, struct strv text, bool strict)
{
	struct strv       domain = plain_domain(k->seat->a, text);
	struct dmarc_tree t = { .node = { 0 } };

	if (domain.p == NULL)
		return DMARC_IS_NOT;
	if (strv_eq(domain, b->author))
		return DMARC_IS;
	if (strict || !dmarc_tree_near(&b->tree, domain))
		return DMARC_IS_NOT;
	climb(k, b);
	if (!dmarc_tree_near(&b->tree, domain))
		return DMARC_IS_NOT;
	dmarc_walk_of(domain, &t.walk);
	dmarc_start_walk(k->seat, &t.walk);
	walk(k, &t, 0);
	return dmarc_tree_same(&b->tree, &t);
}

static bool
has_word(const struct fact *f, const char *word)
{
	return f->v.word != FACT_WORD_ABSENT && strcmp(f->def->words[f->v.word], word) == 0;
}

/* What has not been settled of a domain that does not align makes no difference, and is not asked for. */
MAY_YIELD enum dmarc_is
dmarc_spf_says(struct dmarc_asking *k, struct dmarc_about *b)
{
	const struct fact *domain = dmarc_get(k, k->seat->shared->spf_domain, (struct strv){ 0 }),
			  *spf;
	enum dmarc_is is = DMARC_MAY_BE;

	if (domain != NULL)
		is = domain->v.text.p == NULL ?
		    DMARC_IS_NOT :
		    dmarc_aligns(k, b, domain->v.text, b->record.strict_spf);
	if (is == DMARC_IS_NOT)
		return is;
	spf = dmarc_get(k, k->seat->shared->spf, (struct strv){ 0 });
	if (spf == NULL || has_word(spf, "temperror"))
		return DMARC_MAY_BE;
	return has_word(spf, "pass") ? is : DMARC_IS_NOT;
}

/* "temperror example.org sel rsa-sha256 ...": a signature that may yet turn out to be good. */
MAY_YIELD static enum dmarc_is
dkim_may_say(struct dmarc_asking *k, struct dmarc_about *b)
{
	const struct fact *all = dmarc_get(k, k->seat->shared->dkim_signatures, (struct strv){ 0 });

	if (all == NULL)
		return DMARC_MAY_BE;
	for (unsigned i = 0; i < all->v.texts.n; i++) {
		struct strv v = all->v.texts.v[i];

		if (strv_eq(strv_word(&v), SV("temperror")) &&
		    dmarc_aligns(k, b, strv_word(&v), b->record.strict_dkim) != DMARC_IS_NOT)
			return DMARC_MAY_BE;
	}
	return DMARC_IS_NOT;
}

MAY_YIELD enum dmarc_is
dmarc_dkim_says(struct dmarc_asking *k, struct dmarc_about *b)
{
	const struct fact *pass = dmarc_get(k, k->seat->shared->dkim_domains, (struct strv){ 0 });
	enum dmarc_is      best = DMARC_IS_NOT;

	for (unsigned i = 0; pass != NULL && i < pass->v.texts.n && best != DMARC_IS; i++) {
		enum dmarc_is one = dmarc_aligns(k, b, pass->v.texts.v[i], b->record.strict_dkim);

		best = one > best ? one : best;
	}
	if (pass == NULL)
		return DMARC_MAY_BE;
	return best != DMARC_IS_NOT ? best : dkim_may_say(k, b);
}
