/*
 * dmarc -- is it from whom From says?  RFC 9989.
 *
 * Cheap first: one domain in From, then its policy (TXT records, all names of the walk side by side), and only
 * where there is one, SPF and DKIM.  A fault of the DNS that could change an answer makes that answer
 * unknown (dmarc itself: temperror), never a fail.  What is learnt of a transaction hangs on dmarc.domain: the
 * other facts ask for that one first.
 */
#include "filters/auth.h"
#include "filters/dmarc_record.h"
#include "filters/dmarc_tree.h"
#include "filters/filters.h"
#include "filters/lookup.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/idn.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/mailboxes.h"

enum { DMARC, DMARC_POLICY, DMARC_DOMAIN, DMARC_ALIGNMENT, DMARC_RESULT };
enum { RESULT_NONE, RESULT_PASS, RESULT_FAIL, RESULT_TEMPERROR, RESULT_PERMERROR };
enum { BY_NONE, BY_SPF, BY_DKIM, BY_BOTH };

/* clang-format off */
static const char *const results[] = { "none", "pass", "fail", "temperror", "permerror", NULL };
static const char *const policies[] = { "absent", "none", "quarantine", "reject", NULL }; /* enum dmarc_asks */
static const char *const alignments[] = { "none", "spf", "dkim", "both", NULL };
static const struct fact_def facts[] = {
	{ .own = DMARC, .name = "dmarc", .type = FACT_WORD, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .words = results,
	    .about = "does a domain that SPF or DKIM vouches for align with the domain of From?" },
	{ .own = DMARC_POLICY, .name = "dmarc.policy", .type = FACT_WORD, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .words = policies,
	    .about = "what the owner of that domain asks to do with what fails (after sp, np, t)" },
	{ .own = DMARC_DOMAIN, .name = "dmarc.domain", .type = FACT_TEXT, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "domain whose record that is; absent: there is no record" },
	{ .own = DMARC_ALIGNMENT, .name = "dmarc.alignment", .type = FACT_WORD, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .words = alignments,
	    .about = "which of the two made it pass" },
	{ .own = DMARC_RESULT, .name = "dmarc.result", .inner = true, .type = FACT_TEXTS, .first = STAGE_MESSAGE,
	    .cost = COST_TEXT,
	    .about = "the same as resinfo of Authentication-Results" },
	{ 0 }
};
/* clang-format on */

struct shared {
	const struct fact_def *defs;
	unsigned txt, spf, spf_domain, dkim_domains, dkim_signatures, dmarc, policy, domain;
	bool     always; /* `authenticate' names it: it is asked of every message */
};

/* What is known of one message. */
struct about {
	struct strv         author;  /* domain of From, A-labels; absent: none, or several */
	bool                several; /* From: fields, or domains; or one of them is unclear */
	bool                unclear; /* somebody may read a domain that we cannot */
	struct dmarc_tree   tree; /* of the author domain; what is above it is known once it is */
	bool                climbed;
	int                 at; /* whose record applies: a name of the tree, or DMARC_NOWHERE */
	struct dmarc_record record;
};

struct seat {
	const struct shared *shared;
	struct arena        *a;     /* the transaction's */
	struct about        *about; /* NULL: nobody asked yet */
	/* findings.start */
	void (*start)(const struct findings *, unsigned number, struct strv arg);
	void *ctx;
};

/* One who asks: MAY_YIELD functions hand it on. */
struct asking {
	struct seat       *seat;
	struct fact       *f;
	const struct mail *m;
	bool               cancelled;
};

/* ---- the author domain, RFC 9989 5.3.1 ---- */

/* A domain as it is compared and asked for: in the arena, or absent where it is none. */
static struct strv
plain_domain(struct arena *a, struct strv domain)
{
	char        buf[IDN_OCTETS];
	struct strv v = idn_domain(domain, buf);
	char       *p;

	if (v.n > 0 && v.p[v.n - 1] == '.')
		v.n--;
	if (v.n == 0 || v.p[0] == '[')
		return (struct strv){ 0 };
	p = arena_bytes(a, v.n);
	for (size_t i = 0; i < v.n; i++)
		p[i] = ascii_lower(v.p[i]);
	return strv(p, v.n);
}

static bool
is_ascii(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] >= 0x80)
			return false;
	return true;
}

/*
 * 4.4, 5.3.1, 11.5: a message with several fields or domains is not one of which DMARC can say anything, and is
 * told from those without any.  What stands behind the ceiling of a field might be another domain; so might what
 * is no address to us, or no domain to IDNA: who shows it to a reader may see one that is protected.
 */
static void
find_author(struct seat *s, const struct message *m, struct about *out)
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
	if (!is_ascii(out->author)) {
		out->author = (struct strv){ 0 };
		out->several = out->unclear = true;
	}
}

static struct about *
about(struct seat *s, const struct mail *m)
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
static void
start_walk(const struct seat *s, const struct dmarc_walk *w)
{
	struct findings found = { .start = s->start, .ctx = s->ctx };

	for (unsigned i = 0; s->start != NULL && i < w->n; i++)
		s->start(&found, s->shared->txt, record_name(s->a, w->name[i]));
}

/* NULL: unknown, or cancelled. */
MAY_YIELD static const struct fact *
get(struct asking *k, unsigned number, struct strv arg)
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
look(struct asking *k, struct strv domain, struct dmarc_record *out)
{
	static const enum dmarc_node nodes[] = { DMARC_RECORD_U, DMARC_RECORD_Y, DMARC_RECORD_N };
	const struct fact *f = get(k, k->seat->shared->txt, record_name(k->seat->a, domain));

	if (f == NULL)
		return DMARC_NOTHING_KNOWN;
	return dmarc_record_find(f->v.texts.v, f->v.texts.n, out) ? nodes[out->psd] :
								    DMARC_NO_RECORD;
}

/* Fills in the nodes from `from' on, up to what ends the walk. */
MAY_YIELD static void
walk(struct asking *k, struct dmarc_tree *t, unsigned from)
{
	struct dmarc_record r;

	for (unsigned i = from; i < dmarc_tree_end(t) && !k->cancelled; i++)
		t->node[i] = (uint8_t)look(k, t->walk.name[i], &r);
}

/* What is above the author domain. */
MAY_YIELD static void
climb(struct asking *k, struct about *b)
{
	if (!b->climbed)
		walk(k, &b->tree, 1);
	b->climbed = !k->cancelled;
}

/* 4.10.1: its own record first, what is above it only where there is none.  False: a fault hides which applies. */
MAY_YIELD static bool
discover(struct asking *k, struct about *b)
{
	b->at = DMARC_NOWHERE;
	b->climbed = false;
	if (b->author.p == NULL)
		return true;
	if (!k->seat->shared->always)
		start_walk(k->seat, &b->tree.walk);
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
aligns(struct asking *k, struct about *b, struct strv text, bool strict)
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
	start_walk(k->seat, &t.walk);
	walk(k, &t, 0);
	return dmarc_tree_same(&b->tree, &t);
}

static bool
has_word(const struct fact *f, const char *word)
{
	return f->v.word != FACT_WORD_ABSENT && strcmp(f->def->words[f->v.word], word) == 0;
}

/* What has not been settled of a domain that does not align makes no difference, and is not asked for. */
MAY_YIELD static enum dmarc_is
spf_says(struct asking *k, struct about *b)
{
	const struct fact *domain = get(k, k->seat->shared->spf_domain, (struct strv){ 0 }), *spf;
	enum dmarc_is      is = DMARC_MAY_BE;

	if (domain != NULL)
		is = domain->v.text.p == NULL ? DMARC_IS_NOT :
						aligns(k, b, domain->v.text, b->record.strict_spf);
	if (is == DMARC_IS_NOT)
		return is;
	spf = get(k, k->seat->shared->spf, (struct strv){ 0 });
	if (spf == NULL || has_word(spf, "temperror"))
		return DMARC_MAY_BE;
	return has_word(spf, "pass") ? is : DMARC_IS_NOT;
}

/* "temperror example.org sel rsa-sha256 ...": a signature that may yet turn out to be good. */
MAY_YIELD static enum dmarc_is
dkim_may_say(struct asking *k, struct about *b)
{
	const struct fact *all = get(k, k->seat->shared->dkim_signatures, (struct strv){ 0 });

	if (all == NULL)
		return DMARC_MAY_BE;
	for (unsigned i = 0; i < all->v.texts.n; i++) {
		struct strv v = all->v.texts.v[i];

		if (strv_eq(strv_word(&v), SV("temperror")) &&
		    aligns(k, b, strv_word(&v), b->record.strict_dkim) != DMARC_IS_NOT)
			return DMARC_MAY_BE;
	}
	return DMARC_IS_NOT;
}

MAY_YIELD static enum dmarc_is
dkim_says(struct asking *k, struct about *b)
{
	const struct fact *pass = get(k, k->seat->shared->dkim_domains, (struct strv){ 0 });
	enum dmarc_is      best = DMARC_IS_NOT;

	for (unsigned i = 0; pass != NULL && i < pass->v.texts.n && best != DMARC_IS; i++) {
		enum dmarc_is one = aligns(k, b, pass->v.texts.v[i], b->record.strict_dkim);

		best = one > best ? one : best;
	}
	if (pass == NULL)
		return DMARC_MAY_BE;
	return best != DMARC_IS_NOT ? best : dkim_may_say(k, b);
}

/* ---- the facts ---- */

static enum filter_rc
unknown(const struct asking *k)
{
	return k->cancelled ? FILTER_CANCELLED : FILTER_TEMP;
}

static enum filter_rc
known(const struct asking *k)
{
	if (k->cancelled)
		return FILTER_CANCELLED;
	k->f->state = FACT_KNOWN;
	return FILTER_OK;
}

static enum filter_rc
known_word(const struct asking *k, unsigned word)
{
	k->f->v.word = word;
	return known(k);
}

/* The policy sees a word, the operator the reason. */
static void
tell_of_error(const struct asking *k, unsigned word, const char *why)
{
	struct log_line *l = arena_alloc(k->f->a, sizeof(*l));

	log_begin(l, loop_world(fiber_loop()), strv_z(k->m->id), "dmarc-error");
	log_z(l, "dmarc", results[word]);
	log_z(l, "reason", why);
	log_end(l);
}

static enum filter_rc
known_because(const struct asking *k, unsigned word, const char *why)
{
	lookup_say(k->f, strv_z(why));
	if (word == RESULT_PERMERROR || word == RESULT_TEMPERROR)
		tell_of_error(k, word, why);
	return known_word(k, word);
}

MAY_YIELD static enum filter_rc
ask_domain(struct asking *k, struct about *b)
{
	if (!discover(k, b)) {
		lookup_say(k->f, SV("DNS fault on the way up"));
		return unknown(k);
	}
	if (b->several)
		lookup_say(k->f,
		    b->unclear ? SV("an address in From that cannot be read") :
				 SV("several fields From, or several domains in it"));
	else if (b->author.p == NULL)
		lookup_say(k->f, SV("no domain in From"));
	else
		lookup_say(k->f,
		    arena_printf(k->f->a, "TXT _dmarc.%.*s%s", (int)b->author.n, b->author.p,
			b->at == DMARC_NOWHERE ? " and above: no policy" :
			    b->at > 0          ? " and above" :
						 ""));
	if (b->at != DMARC_NOWHERE)
		k->f->v.text = b->tree.walk.name[b->at];
	return known(k);
}

/* 3.2.13, A.4: a domain exists unless the DNS says NXDOMAIN of it, whatever it has. */
MAY_YIELD static enum dmarc_is
exists(struct asking *k, const struct about *b)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer answer = { 0 };
	enum dns_rc       rc = dns_ask(a, b->author, DNS_A, 0, &answer);

	lookup_told(k->f, DNS_A, b->author, rc, &answer);
	arena_free(a);
	k->cancelled = k->cancelled || rc == DNS_CANCELLED;
	if (rc == DNS_NXDOMAIN)
		return DMARC_IS_NOT;
	return lookup_rc(rc) == FILTER_OK ? DMARC_IS : DMARC_MAY_BE;
}

MAY_YIELD static enum filter_rc
ask_policy(struct asking *k, const struct about *b)
{
	enum dmarc_asks there = dmarc_record_asks(&b->record, b->at > 0, true);
	enum dmarc_asks missing = dmarc_record_asks(&b->record, b->at > 0, false);
	enum dmarc_is   is;

	if (b->at == DMARC_NOWHERE)
		return known_word(k, DMARC_ASKS_ABSENT);
	if (there == missing)
		return known_word(k, there);
	is = exists(k, b);
	return is == DMARC_MAY_BE ? unknown(k) : known_word(k, is == DMARC_IS ? there : missing);
}

MAY_YIELD static enum filter_rc
ask_alignment(struct asking *k, struct about *b)
{
	enum dmarc_is spf = DMARC_IS_NOT, dkim = DMARC_IS_NOT;

	if (b->at != DMARC_NOWHERE) {
		spf = spf_says(k, b);
		dkim = dkim_says(k, b);
	}
	if (spf == DMARC_MAY_BE || dkim == DMARC_MAY_BE)
		return unknown(k);
	return known_word(
	    k, (spf == DMARC_IS ? BY_SPF : BY_NONE) + (dkim == DMARC_IS ? BY_DKIM : BY_NONE));
}

/* 5.3.5; DKIM is asked where SPF did not settle it. */
MAY_YIELD static enum filter_rc
ask_dmarc(struct asking *k, struct about *b)
{
	enum dmarc_is spf, dkim;

	if (b->several)
		return known_because(
		    k, RESULT_PERMERROR, b->unclear ? "an unclear From" : "several From");
	if (b->at == DMARC_NOWHERE)
		return known_because(k, RESULT_NONE, "no policy");
	spf = spf_says(k, b);
	if (spf == DMARC_IS)
		return known_because(k, RESULT_PASS, "SPF passes and is aligned");
	dkim = dkim_says(k, b);
	if (dkim == DMARC_IS)
		return known_because(k, RESULT_PASS, "DKIM passes and is aligned");
	if (spf == DMARC_MAY_BE || dkim == DMARC_MAY_BE)
		return known_because(k, RESULT_TEMPERROR, "SPF or DKIM may yet pass");
	return known_because(k, RESULT_FAIL, "neither SPF nor DKIM passes and is aligned");
}

/* " (p=reject sp=none t=y)": what the record states, for who reads the field. */
static struct strv
comment(struct arena *a, const struct about *b)
{
	const struct dmarc_record *r = &b->record;
	struct strv                v;

	if (b->several)
		return b->unclear ? SV(" (unclear From)") : SV(" (several From)");
	if (b->author.p == NULL)
		return SV(" (no From)");
	if (b->at < 0)
		return SV("");
	v = arena_printf(a, " (p=%s", dmarc_asks_word(r->p));
	if (b->at > 0 && r->sp != DMARC_ASKS_ABSENT)
		v = arena_printf(a, "%s sp=%s", arena_z(a, v), dmarc_asks_word(r->sp));
	if (b->at > 0 && r->np != DMARC_ASKS_ABSENT)
		v = arena_printf(a, "%s np=%s", arena_z(a, v), dmarc_asks_word(r->np));
	return arena_concat(a, v, r->test ? SV(" t=y)") : SV(")"));
}

/* RFC 9989 9.1: header.from, and policy.dmarc where a policy is to be applied. */
MAY_YIELD static enum filter_rc
ask_result(struct asking *k, const struct about *b)
{
	const struct fact *dmarc = get(k, k->seat->shared->dmarc, (struct strv){ 0 }),
			  *policy = NULL;
	struct strv  *v = arena_alloc(k->f->a, sizeof *v);
	struct arena *a = k->f->a;

	if (dmarc == NULL)
		return unknown(k);
	if (dmarc->v.word == RESULT_FAIL)
		policy = get(k, k->seat->shared->policy, (struct strv){ 0 });
	*v = arena_printf(a, "dmarc=%s", results[dmarc->v.word]);
	*v = arena_concat(a, *v, comment(a, b));
	if (b->author.p != NULL) {
		*v = arena_concat(a, *v, SV(" header.from="));
		*v = arena_concat(a, *v, authres_value(a, b->author));
	}
	if (policy != NULL)
		*v = arena_printf(
		    a, "%s policy.dmarc=%s", arena_z(a, *v), policies[policy->v.word]);
	k->f->v.texts.v = v;
	k->f->v.texts.n = 1;
	return known(k);
}

/* ---- the filter ---- */

static void *
dmarc_make(struct arena *conf, const struct filter_use *use)
{
	struct shared *n = arena_alloc(conf, sizeof *n);
	bool           asked = false;
	unsigned       count;

	n->defs = registry_facts(&count);
	for (const struct fact_def *d = facts; d->name != NULL; d++)
		asked = asked || use->asked[registry_number(d->name)];
	n->always = (use->auth->methods & AUTH_DMARC) != 0;
	if (!asked && !n->always)
		return NULL;
	n->txt = registry_number("txt");
	n->spf = registry_number("spf");
	n->spf_domain = registry_number("spf.domain");
	n->dkim_domains = registry_number("dkim.domains");
	n->dkim_signatures = registry_number("dkim.signatures");
	n->dmarc = registry_number("dmarc");
	n->policy = registry_number("dmarc.policy");
	n->domain = registry_number("dmarc.domain");
	return n;
}

static void *
dmarc_open(struct arena *session, void *shared, const struct client *client)
{
	struct seat *s = arena_alloc(session, sizeof *s);

	(void)client;
	s->shared = shared;
	return s;
}

static void
dmarc_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	s->a = transaction;
	s->about = NULL;
	s->start = NULL;
}

static enum filter_rc
dmarc_at(void *self, enum stage at, const struct mail *m, const struct view *view,
    struct findings *found)
{
	struct seat  *s = self;
	struct about *b;

	(void)at, (void)view;
	s->start = found->start;
	s->ctx = found->ctx;
	if (s->shared->always && (b = about(s, m)) != NULL)
		start_walk(s, &b->tree.walk);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
dmarc_ask(void *self, struct fact *f, const struct mail *m)
{
	struct asking k = { .seat = self, .f = f, .m = m };
	struct about *b = about(self, m);

	if (b == NULL)
		return FILTER_BUG;
	if (f->def->own == DMARC_DOMAIN)
		return ask_domain(&k, b);
	if (get(&k, k.seat->shared->domain, (struct strv){ 0 }) == NULL &&
	    f->def->own != DMARC_RESULT)
		return f->def->own == DMARC ?
		    known_because(&k, RESULT_TEMPERROR, "the policy cannot be had") :
		    unknown(&k);
	switch (f->def->own) {
	case DMARC:
		return ask_dmarc(&k, b);
	case DMARC_POLICY:
		return ask_policy(&k, b);
	case DMARC_ALIGNMENT:
		return ask_alignment(&k, b);
	default:
		return ask_result(&k, b);
	}
}

const struct filter dmarc_filter = {
	.name = "dmarc",
	.facts = facts,
	.stages = AT(HEADERS),
	.make = dmarc_make,
	.open = dmarc_open,
	.begin = dmarc_begin,
	.at = dmarc_at,
	.ask = dmarc_ask,
};
