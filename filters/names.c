/*
 * names -- are there such domains and hosts in the DNS?
 *
 * A domain takes mail if it has an MX, or an A or AAAA where it has no MX (RFC 5321 5.1); NS records alone
 * are no place to deliver to, and a null MX says that nothing is taken (RFC 7505).  A host is there if it
 * has an address or an MX.  SERVFAIL, time over and nonsense are unknown, never "no"; but what one
 * look-up settles is not unsettled by the failure of another.
 */
#include "filters/filters.h"
#include "filters/lookup.h"
#include "proxy/base/arena.h"

enum { RESOLVES, RESOLVES_HOST, MX };

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = RESOLVES, .name = "resolves", .inner = true, .type = FACT_BOOL, .first = STAGE_CONNECT, .args = "f",
	    .cost = COST_DNS,
	    .about = "whether mail can go to a domain: an MX, or an address where there is no MX" },
	{ .own = RESOLVES_HOST, .name = "resolves.host", .inner = true, .type = FACT_BOOL, .first = STAGE_CONNECT,
	    .args = "f", .cost = COST_DNS,
	    .about = "whether a host name has an address or an MX" },
	{ .own = MX, .name = "mx", .type = FACT_BOOL, .first = STAGE_CONNECT, .args = "f", .cost = COST_DNS,
	    .about = "whether a domain has an MX that takes mail" },
	{ 0 }
};
/* clang-format on */

/* What one look-up says of a question that is asked with yes and no. */
enum says { SAYS_NO, SAYS_UNKNOWN, SAYS_YES };

struct look {
	struct arena *a;
	struct fact  *f;
	struct strv   name;
	enum dns_rc   failed; /* the latest that is no answer */
};

static enum says
no_answer(struct look *l, enum dns_rc rc)
{
	if (lookup_rc(rc) == FILTER_OK)
		return SAYS_NO;
	l->failed = rc;
	return SAYS_UNKNOWN;
}

/* RFC 7505 3: a null MX stands alone; beside others it means nothing. */
static bool
takes_mail(const struct dns_answer *mx)
{
	for (unsigned i = 0; i < mx->n; i++)
		if (mx->v[i].text.n > 0)
			return true;
	return false;
}

/* *null: there are MX records, and they say that nothing is taken. */
MAY_YIELD static enum says
has_mx(struct look *l, bool *null)
{
	struct dns_answer mx = { 0 };
	enum dns_rc       rc = dns_ask(l->a, l->name, DNS_MX, 0, &mx);

	*null = false;
	lookup_told(l->f, DNS_MX, l->name, rc, &mx);
	if (rc != DNS_OK)
		return no_answer(l, rc);
	*null = !takes_mail(&mx);
	return *null ? SAYS_NO : SAYS_YES;
}

MAY_YIELD static enum says
has_addr(struct look *l)
{
	struct dns_answer addrs = { 0 };
	enum dns_rc       rc = dns_ask_addrs(l->a, l->name, 0, &addrs);
	bool              v6 = rc == DNS_OK && addrs.v[0].addr.family == ADDR_IP6;

	lookup_told(l->f, v6 ? DNS_AAAA : DNS_A, l->name, rc, &addrs);
	return rc == DNS_OK ? SAYS_YES : no_answer(l, rc);
}

/* Where the MX is not known neither is what an address would mean: there may be a null MX. */
MAY_YIELD static enum says
domain_resolves(struct look *l)
{
	bool      null;
	enum says mx = has_mx(l, &null);

	return mx == SAYS_NO && !null ? has_addr(l) : mx;
}

MAY_YIELD static enum says
host_resolves(struct look *l)
{
	bool      null;
	enum says addr = has_addr(l), mx;

	if (addr == SAYS_YES || l->failed == DNS_CANCELLED)
		return addr;
	mx = has_mx(l, &null);
	return mx > addr ? mx : addr;
}

/* "[192.0.2.1]" is there without a question; "192.0.2.1" is no name at all (RFC 3696 2). */
static bool
needs_no_question(struct strv name, bool *yes)
{
	struct addr literal;

	*yes = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']' &&
	    addr_parse_literal(strv(name.p + 1, name.n - 2), &literal);
	return *yes || name.n == 0 || name.p[0] == '[' || addr_parse(name, &literal);
}

MAY_YIELD static enum says
ask(struct look *l)
{
	bool null;

	switch (l->f->def->own) {
	case RESOLVES:
		return domain_resolves(l);
	case RESOLVES_HOST:
		return host_resolves(l);
	default:
		return has_mx(l, &null);
	}
}

MAY_YIELD static enum filter_rc
names_ask(void *self, struct fact *f, const struct mail *m)
{
	struct look l = { .f = f, .name = f->arg, .failed = DNS_TEMP };
	enum says   says;

	(void)self, (void)m;
	if (needs_no_question(f->arg, &f->v.yes)) {
		f->source = f->v.yes ? SV("address literal") : SV("no name");
		f->state = FACT_KNOWN;
		return FILTER_OK;
	}
	l.a = arena_new(1024, 0);
	says = ask(&l);
	arena_free(l.a);
	if (says == SAYS_UNKNOWN)
		return lookup_rc(l.failed);
	f->v.yes = says == SAYS_YES;
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

const struct filter names_filter = {
	.name = "names",
	.facts = facts,
	.ask = names_ask,
};
