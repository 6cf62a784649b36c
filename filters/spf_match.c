/*
 * spf_match -- does one term of a record match the client?  RFC 7208 5.
 *
 * Here are the look-ups of a check and what is counted of them; which records there are to be walked, and what comes of
 * them all, is spf_eval.c's.  The counts are the check's, never a record's.  The invariant: nothing that lies in `brief'
 * is looked at behind the look-ups of the term that put it there.
 */
#include "filters/spf_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

enum { TOLD_TERM = 100 }; /* octets of a term that are told */

/* ---- the DNS ---- */

/* What is left of the check's time; 0: nothing. */
unsigned
spf_time_left(const struct spf_asking *c)
{
	uint64_t now = loop_now(fiber_loop());

	return now < c->until ? (unsigned)(c->until - now) : 0;
}

MAY_YIELD enum dns_rc
spf_question(
    struct spf_asking *c, struct arena *a, struct strv name, uint16_t type, struct dns_answer *out)
{
	unsigned    left = spf_time_left(c);
	enum dns_rc rc;

	if (left == 0)
		return DNS_TEMP;
	c->questions++;
	rc = dns_ask(a, name, type, left < DNS_TIME ? left : 0, out);
	if (rc == DNS_CANCELLED)
		c->cancelled = true;
	return rc;
}

bool
spf_is_void(enum dns_rc rc)
{
	return rc == DNS_NXDOMAIN || rc == DNS_NODATA;
}

static uint16_t
address_type(const struct spf_asking *c)
{
	return c->macros.ip.family == ADDR_IP6 ? DNS_AAAA : DNS_A;
}

/* ---- what is told ---- */

struct strv
spf_term_told(struct strv term)
{
	return strv_first(term, term.n < TOLD_TERM ? term.n : TOLD_TERM);
}

/* `what', of a term that stands in the record of a domain. */
void
spf_tell(struct spf_asking *c, struct strv domain, struct strv term, const char *what)
{
	struct strv t = spf_term_told(term);
	char       *p = arena_bytes(c->a, t.n + 1);

	for (size_t i = 0; i < t.n; i++)
		p[i] = (char)(t.p[i] <= ' ' || t.p[i] >= 0x7f ? '?' : t.p[i]);
	c->by = arena_printf(c->a, "TXT %.*s: %s%s%.*s", (int)domain.n, domain.p, what,
	    what[0] != '\0' && t.n > 0 ? ": " : "", (int)t.n, p);
}

static enum spf_match
wrong(struct spf_asking *c, struct strv domain, const struct spf_term *t, const char *what)
{
	spf_tell(c, domain, t->text, what);
	return SPF_MATCH_PERM;
}

static enum spf_match
no_answer(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	spf_tell(
	    c, domain, t->text, spf_time_left(c) == 0 ? "time is over" : "no answer from the DNS");
	return SPF_MATCH_TEMP;
}

/* ---- counting ---- */

/* RFC 7208 4.6.4.  False: it is one too many. */
bool
spf_may_look_up(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	if (c->terms++ < SPF_TERMS)
		return true;
	(void)wrong(c, domain, t, "more than 10 terms that look up");
	return false;
}

/* The first question of a term has found nothing.  SPF_MATCH_NO, or it is one too many. */
static enum spf_match
found_nothing(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	if (c->voids++ < SPF_VOIDS)
		return SPF_MATCH_NO;
	return wrong(c, domain, t, "more than 2 look-ups that find nothing");
}

/* ---- the client's names: ptr and %{p} ---- */

MAY_YIELD static bool
has_address(struct spf_asking *c, struct arena *a, struct strv name)
{
	struct dns_answer answer = { 0 };

	if (spf_question(c, a, name, address_type(c), &answer) != DNS_OK)
		return false;
	for (unsigned i = 0; i < answer.n; i++)
		if (addr_eq(&answer.v[i].addr, &c->macros.ip))
			return true;
	return false;
}

/*
 * RFC 7208 5.5: of the first ten names those that have the client's address.  Looked up once a check; a question
 * that fails costs its name alone.
 */
MAY_YIELD enum dns_rc
spf_learn_names(struct spf_asking *c)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer ptr = { 0 };
	enum dns_rc       rc;

	if (c->knows_names) {
		arena_free(a);
		return DNS_OK;
	}
	c->knows_names = true;
	rc = spf_question(c, a, dns_reverse(a, &c->macros.ip, SV("")), DNS_PTR, &ptr);
	for (unsigned i = 0; rc == DNS_OK && i < ptr.n && i < SPF_NAMES && !c->cancelled; i++)
		if (ptr.v[i].text.n > 0 && has_address(c, a, ptr.v[i].text))
			c->name[c->n_names++] = arena_dup(c->a, ptr.v[i].text);
	arena_free(a);
	return rc;
}

static bool
is_below(struct strv name, struct strv domain)
{
	return name.n > domain.n && strv_iends(name, domain) &&
	    name.p[name.n - domain.n - 1] == '.';
}

/* RFC 7208 7.3 on p: the domain itself, else one below it, else any. */
struct strv
spf_best_name(const struct spf_asking *c, struct strv domain)
{
	for (unsigned i = 0; i < c->n_names; i++)
		if (strv_ieq(c->name[i], domain))
			return c->name[i];
	for (unsigned i = 0; i < c->n_names; i++)
		if (is_below(c->name[i], domain))
			return c->name[i];
	return c->n_names > 0 ? c->name[0] : SV("unknown");
}

/* The name that a domain-spec stands for, or the record's own domain where there is none. */
MAY_YIELD struct strv
spf_target(struct spf_asking *c, struct strv domain, struct strv spec)
{
	if (spec.p == NULL)
		return domain;
	c->macros.domain = domain;
	if (spf_macro_wants_p(spec)) {
		(void)spf_learn_names(c);
		c->macros.validated = spf_best_name(c, domain);
	}
	return spf_macro_name(c->a, &c->macros, spec);
}

/* ---- mechanisms; domain: of the record that they stand in ---- */

static bool
in_network(const struct addr *ip, const struct addr *net, unsigned bits)
{
	struct addr x, y;

	if (ip->family != net->family)
		return false;
	x = addr_mask(ip, bits);
	y = addr_mask(net, bits);
	return addr_eq(&x, &y);
}

static bool
any_in_network(
    const struct spf_asking *c, const struct dns_answer *answer, const struct spf_term *t)
{
	const struct addr *ip = &c->macros.ip;
	unsigned           bits = ip->family == ADDR_IP6 ? t->bits6 : t->bits4;

	for (unsigned i = 0; i < answer->n; i++)
		if (in_network(ip, &answer->v[i].addr, bits))
			return true;
	return false;
}

MAY_YIELD static enum spf_match
match_a(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer answer = { 0 };
	struct strv       name = spf_target(c, domain, t->domain);
	enum dns_rc       rc = spf_question(c, c->brief, name, address_type(c), &answer);

	if (spf_is_void(rc))
		return found_nothing(c, domain, t);
	if (rc != DNS_OK)
		return no_answer(c, domain, t);
	return any_in_network(c, &answer, t) ? SPF_MATCH_YES : SPF_MATCH_NO;
}

/* RFC 7208 4.6.4: more names than ten are a mistake, wherever the client's would stand among them. */
MAY_YIELD static enum spf_match
match_mx(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer mx = { 0 }, answer;
	struct strv       name = spf_target(c, domain, t->domain);
	enum dns_rc       rc = spf_question(c, c->brief, name, DNS_MX, &mx);

	if (spf_is_void(rc))
		return found_nothing(c, domain, t);
	if (rc != DNS_OK)
		return no_answer(c, domain, t);
	if (mx.n > SPF_NAMES)
		return wrong(c, domain, t, "more than 10 names of an mx");
	for (unsigned i = 0; i < mx.n; i++) {
		if (mx.v[i].text.n == 0) /* RFC 7505 */
			continue;
		answer = (struct dns_answer){ 0 };
		rc = spf_question(c, c->brief, mx.v[i].text, address_type(c), &answer);
		if (rc == DNS_OK && any_in_network(c, &answer, t))
			return SPF_MATCH_YES;
		if (rc != DNS_OK && !spf_is_void(rc))
			return no_answer(c, domain, t);
	}
	return SPF_MATCH_NO;
}

/* RFC 7208 5.5: it fails to match where the DNS fails; but that the time is over is no answer at all. */
MAY_YIELD static enum spf_match
match_ptr(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	struct strv name = spf_target(c, domain, t->domain);

	if (spf_is_void(spf_learn_names(c)))
		return found_nothing(c, domain, t);
	if (spf_time_left(c) == 0)
		return no_answer(c, domain, t);
	for (unsigned i = 0; i < c->n_names; i++)
		if (strv_ieq(c->name[i], name) || is_below(c->name[i], name))
			return SPF_MATCH_YES;
	return SPF_MATCH_NO;
}

/* RFC 7208 5.7: an A record, whatever the family of the client. */
MAY_YIELD static enum spf_match
match_exists(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer answer = { 0 };
	enum dns_rc       rc = spf_question(
		  c, c->brief, spf_target(c, domain, t->domain), DNS_A, &answer);

	if (spf_is_void(rc))
		return found_nothing(c, domain, t);
	return rc == DNS_OK ? SPF_MATCH_YES : no_answer(c, domain, t);
}

MAY_YIELD enum spf_match
spf_match(struct spf_asking *c, struct strv domain, const struct spf_term *t)
{
	static enum spf_match (*const looks_up[])(
	    struct spf_asking *, struct strv, const struct spf_term *) = {
		[SPF_TERM_A] = match_a,
		[SPF_TERM_MX] = match_mx,
		[SPF_TERM_PTR] = match_ptr,
		[SPF_TERM_EXISTS] = match_exists,
		[SPF_TERM_OTHER] = NULL,
	};
	enum spf_match m;

	switch (t->kind) {
	case SPF_TERM_ALL:
		return SPF_MATCH_YES;
	case SPF_TERM_IP4:
		return in_network(&c->macros.ip, &t->net, t->bits4) ? SPF_MATCH_YES : SPF_MATCH_NO;
	case SPF_TERM_IP6:
		return in_network(&c->macros.ip, &t->net, t->bits6) ? SPF_MATCH_YES : SPF_MATCH_NO;
	default:
		break;
	}
	if (looks_up[t->kind] == NULL && t->kind != SPF_TERM_INCLUDE)
		return SPF_MATCH_NO;
	if (!spf_may_look_up(c, domain, t))
		return SPF_MATCH_PERM;
	if (t->kind == SPF_TERM_INCLUDE)
		return SPF_MATCH_INCLUDE;
	m = looks_up[t->kind](c, domain, t);
	arena_reset(c->brief);
	return m;
}
