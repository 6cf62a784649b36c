/*
 * dmarc -- is it from whom From says?  RFC 9989.
 *
 * Cheap first: one domain in From, then its policy (TXT records, all names of the walk side by side), and only
 * where there is one, SPF and DKIM.  A fault of the DNS that could change an answer makes that answer
 * unknown (dmarc itself: temperror), never a fail.  What is learnt of a transaction hangs on dmarc.domain: the
 * other facts ask for that one first.  Who is asked for what is dmarc_look.c's.
 */
#include "filters/auth.h"
#include "filters/dmarc_own.h"
#include "filters/filters.h"
#include "filters/lookup.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/mail/authres.h"

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

/* ---- the facts ---- */

static enum filter_rc
unknown(const struct dmarc_asking *k)
{
	return k->cancelled ? FILTER_CANCELLED : FILTER_TEMP;
}

static enum filter_rc
known(const struct dmarc_asking *k)
{
	if (k->cancelled)
		return FILTER_CANCELLED;
	k->f->state = FACT_KNOWN;
	return FILTER_OK;
}

static enum filter_rc
known_word(const struct dmarc_asking *k, unsigned word)
{
	k->f->v.word = word;
	return known(k);
}

/* The policy sees a word, the operator the reason. */
static void
tell_of_error(const struct dmarc_asking *k, unsigned word, const char *why)
{
	struct log_line *l = arena_alloc(k->f->a, sizeof(*l));

	log_begin(l, loop_world(fiber_loop()), strv_z(k->m->id), "dmarc-error");
	log_z(l, "dmarc", results[word]);
	log_z(l, "reason", why);
	log_end(l);
}

static enum filter_rc
known_because(const struct dmarc_asking *k, unsigned word, const char *why)
{
	lookup_say(k->f, strv_z(why));
	if (!k->cancelled && (word == RESULT_PERMERROR || word == RESULT_TEMPERROR))
		tell_of_error(k, word, why);
	return known_word(k, word);
}

MAY_YIELD static enum filter_rc
ask_domain(struct dmarc_asking *k, struct dmarc_about *b)
{
	if (!dmarc_discover(k, b)) {
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
exists(struct dmarc_asking *k, const struct dmarc_about *b)
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
ask_policy(struct dmarc_asking *k, const struct dmarc_about *b)
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
ask_alignment(struct dmarc_asking *k, struct dmarc_about *b)
{
	enum dmarc_is spf = DMARC_IS_NOT, dkim = DMARC_IS_NOT;

	if (b->at != DMARC_NOWHERE) {
		spf = dmarc_spf_says(k, b);
		dkim = dmarc_dkim_says(k, b);
	}
	if (spf == DMARC_MAY_BE || dkim == DMARC_MAY_BE)
		return unknown(k);
	return known_word(
	    k, (spf == DMARC_IS ? BY_SPF : BY_NONE) + (dkim == DMARC_IS ? BY_DKIM : BY_NONE));
}

/* 5.3.5; DKIM is asked where SPF did not settle it. */
MAY_YIELD static enum filter_rc
ask_dmarc(struct dmarc_asking *k, struct dmarc_about *b)
{
	enum dmarc_is spf, dkim;

	if (b->several)
		return known_because(
		    k, RESULT_PERMERROR, b->unclear ? "an unclear From" : "several From");
	if (b->at == DMARC_NOWHERE)
		return known_because(k, RESULT_NONE, "no policy");
	spf = dmarc_spf_says(k, b);
	if (spf == DMARC_IS)
		return known_because(k, RESULT_PASS, "SPF passes and is aligned");
	dkim = dmarc_dkim_says(k, b);
	if (dkim == DMARC_IS)
		return known_because(k, RESULT_PASS, "DKIM passes and is aligned");
	if (spf == DMARC_MAY_BE || dkim == DMARC_MAY_BE)
		return known_because(k, RESULT_TEMPERROR, "SPF or DKIM may yet pass");
	return known_because(k, RESULT_FAIL, "neither SPF nor DKIM passes and is aligned");
}

/* " (p=reject sp=none t=y)": what the record states, for who reads the field. */
static struct strv
comment(struct arena *a, const struct dmarc_about *b)
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
ask_result(struct dmarc_asking *k, const struct dmarc_about *b)
{
	const struct fact *dmarc = dmarc_get(k, k->seat->shared->dmarc, (struct strv){ 0 }),
			  *policy = NULL;
	struct strv  *v = arena_alloc(k->f->a, sizeof *v);
	struct arena *a = k->f->a;

	if (dmarc == NULL)
		return unknown(k);
	if (dmarc->v.word == RESULT_FAIL)
		policy = dmarc_get(k, k->seat->shared->policy, (struct strv){ 0 });
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
	struct dmarc_shared *n = arena_alloc(conf, sizeof *n);
	bool                 asked = false;
	unsigned             count;

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
	struct dmarc_seat *s = arena_alloc(session, sizeof *s);

	(void)client;
	s->shared = shared;
	return s;
}

static void
dmarc_begin(void *self, struct arena *transaction)
{
	struct dmarc_seat *s = self;

	s->a = transaction;
	s->about = NULL;
	s->start = NULL;
}

static enum filter_rc
dmarc_at(void *self, enum stage at, const struct mail *m, const struct view *view,
    struct findings *found)
{
	struct dmarc_seat  *s = self;
	struct dmarc_about *b;

	(void)at, (void)view;
	s->start = found->start;
	s->ctx = found->ctx;
	if (s->shared->always && (b = dmarc_about(s, m)) != NULL)
		dmarc_start_walk(s, &b->tree.walk);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
dmarc_ask(void *self, struct fact *f, const struct mail *m)
{
	struct dmarc_asking k = { .seat = self, .f = f, .m = m };
	struct dmarc_about *b = dmarc_about(self, m);

	if (b == NULL)
		return FILTER_BUG;
	if (f->def->own == DMARC_DOMAIN)
		return ask_domain(&k, b);
	if (dmarc_get(&k, k.seat->shared->domain, (struct strv){ 0 }) == NULL &&
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
