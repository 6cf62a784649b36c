/*
 * spf_eval -- see spf_eval.h
 *
 * One check walks records: of the domain, of what it includes (a level deeper) and where it is redirected to (the same
 * level).  Each costs a term, so there are no more levels than SPF_TERMS; they lie in the arena, since the stack of a
 * fiber is small and how deep it goes is a stranger's choice.  The counts are the check's, never a record's.  The
 * invariant: nothing that lies in `brief' is looked at behind the look-ups of the term that put it there.
 */
#include "filters/spf_eval.h"

#include "filters/spf_macro.h"
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/idn.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

enum { TOLD_TERM = 100 }; /* octets of a term that are told */

struct check {
	struct arena     *a;     /* as long as the check */
	struct arena     *brief; /* as long as the look-ups of one term */
	struct spf_macros macros;
	uint64_t          until;
	unsigned          terms, voids, questions;
	bool              cancelled;
	bool              knows_names; /* the client's, below */
	struct strv       name[SPF_NAMES];
	unsigned          n_names;
	struct strv       by, exp, exp_domain; /* of what decided last */
};

/* A record, and how far it is walked. */
struct level {
	struct level     *outer; /* that includes it; NULL: the first */
	struct strv       domain;
	struct spf_record record;
	struct strv       rest; /* terms that are still to come */
	struct spf_term   term; /* that is looked at */
};

/* What a term says of the client.  INCLUDE: what another record says. */
enum match { MATCH_NO, MATCH_YES, MATCH_TEMP, MATCH_PERM, MATCH_INCLUDE };

/* ---- the DNS ---- */

/* What is left of the check's time; 0: nothing. */
static unsigned
time_left(const struct check *c)
{
	uint64_t now = loop_now(fiber_loop());

	return now < c->until ? (unsigned)(c->until - now) : 0;
}

MAY_YIELD static enum dns_rc
ask(struct check *c, struct arena *a, struct strv name, uint16_t type, struct dns_answer *out)
{
	unsigned    left = time_left(c);
	enum dns_rc rc;

	if (left == 0)
		return DNS_TEMP;
	c->questions++;
	rc = dns_ask(a, name, type, left < DNS_TIME ? left : 0, out);
	if (rc == DNS_CANCELLED)
		c->cancelled = true;
	return rc;
}

static bool
is_void(enum dns_rc rc)
{
	return rc == DNS_NXDOMAIN || rc == DNS_NODATA;
}

static uint16_t
address_type(const struct check *c)
{
	return c->macros.ip.family == ADDR_IP6 ? DNS_AAAA : DNS_A;
}

/* ---- what is told ---- */

static struct strv
told(struct strv term)
{
	return strv_first(term, term.n < TOLD_TERM ? term.n : TOLD_TERM);
}

/* `what', of a term that stands in the record of a domain. */
static void
tell(struct check *c, struct strv domain, struct strv term, const char *what)
{
	struct strv t = told(term);
	char       *p = arena_bytes(c->a, t.n + 1);

	for (size_t i = 0; i < t.n; i++)
		p[i] = (char)(t.p[i] <= ' ' || t.p[i] >= 0x7f ? '?' : t.p[i]);
	c->by = arena_printf(c->a, "TXT %.*s: %s%s%.*s", (int)domain.n, domain.p, what,
	    what[0] != '\0' && t.n > 0 ? ": " : "", (int)t.n, p);
}

static enum match
wrong(struct check *c, struct strv domain, const struct spf_term *t, const char *what)
{
	tell(c, domain, t->text, what);
	return MATCH_PERM;
}

static enum match
no_answer(struct check *c, struct strv domain, const struct spf_term *t)
{
	tell(c, domain, t->text, time_left(c) == 0 ? "time is over" : "no answer from the DNS");
	return MATCH_TEMP;
}

/* ---- counting ---- */

/* RFC 7208 4.6.4.  False: it is one too many. */
static bool
may_look_up(struct check *c, struct strv domain, const struct spf_term *t)
{
	if (c->terms++ < SPF_TERMS)
		return true;
	(void)wrong(c, domain, t, "more than 10 terms that look up");
	return false;
}

/* The first question of a term has found nothing.  MATCH_NO, or it is one too many. */
static enum match
found_nothing(struct check *c, struct strv domain, const struct spf_term *t)
{
	if (c->voids++ < SPF_VOIDS)
		return MATCH_NO;
	return wrong(c, domain, t, "more than 2 look-ups that find nothing");
}

/* ---- the client's names: ptr and %{p} ---- */

MAY_YIELD static bool
has_address(struct check *c, struct arena *a, struct strv name)
{
	struct dns_answer answer = { 0 };

	if (ask(c, a, name, address_type(c), &answer) != DNS_OK)
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
MAY_YIELD static enum dns_rc
learn_names(struct check *c)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer ptr = { 0 };
	enum dns_rc       rc;

	if (c->knows_names) {
		arena_free(a);
		return DNS_OK;
	}
	c->knows_names = true;
	rc = ask(c, a, dns_reverse(a, &c->macros.ip, SV("")), DNS_PTR, &ptr);
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
static struct strv
best_name(const struct check *c, struct strv domain)
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
MAY_YIELD static struct strv
target_of(struct check *c, struct strv domain, struct strv spec)
{
	if (spec.p == NULL)
		return domain;
	c->macros.domain = domain;
	if (spf_macro_wants_p(spec)) {
		(void)learn_names(c);
		c->macros.validated = best_name(c, domain);
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
any_in_network(const struct check *c, const struct dns_answer *answer, const struct spf_term *t)
{
	const struct addr *ip = &c->macros.ip;
	unsigned           bits = ip->family == ADDR_IP6 ? t->bits6 : t->bits4;

	for (unsigned i = 0; i < answer->n; i++)
		if (in_network(ip, &answer->v[i].addr, bits))
			return true;
	return false;
}

MAY_YIELD static enum match
match_a(struct check *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer answer = { 0 };
	struct strv       name = target_of(c, domain, t->domain);
	enum dns_rc       rc = ask(c, c->brief, name, address_type(c), &answer);

	if (is_void(rc))
		return found_nothing(c, domain, t);
	if (rc != DNS_OK)
		return no_answer(c, domain, t);
	return any_in_network(c, &answer, t) ? MATCH_YES : MATCH_NO;
}

/* RFC 7208 4.6.4: more names than ten are a mistake, wherever the client's would stand among them. */
MAY_YIELD static enum match
match_mx(struct check *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer mx = { 0 }, answer;
	struct strv       name = target_of(c, domain, t->domain);
	enum dns_rc       rc = ask(c, c->brief, name, DNS_MX, &mx);

	if (is_void(rc))
		return found_nothing(c, domain, t);
	if (rc != DNS_OK)
		return no_answer(c, domain, t);
	if (mx.n > SPF_NAMES)
		return wrong(c, domain, t, "more than 10 names of an mx");
	for (unsigned i = 0; i < mx.n; i++) {
		if (mx.v[i].text.n == 0) /* RFC 7505 */
			continue;
		answer = (struct dns_answer){ 0 };
		rc = ask(c, c->brief, mx.v[i].text, address_type(c), &answer);
		if (rc == DNS_OK && any_in_network(c, &answer, t))
			return MATCH_YES;
		if (rc != DNS_OK && !is_void(rc))
			return no_answer(c, domain, t);
	}
	return MATCH_NO;
}

/* RFC 7208 5.5: it fails to match where the DNS fails; but that the time is over is no answer at all. */
MAY_YIELD static enum match
match_ptr(struct check *c, struct strv domain, const struct spf_term *t)
{
	struct strv name = target_of(c, domain, t->domain);

	if (is_void(learn_names(c)))
		return found_nothing(c, domain, t);
	if (time_left(c) == 0)
		return no_answer(c, domain, t);
	for (unsigned i = 0; i < c->n_names; i++)
		if (strv_ieq(c->name[i], name) || is_below(c->name[i], name))
			return MATCH_YES;
	return MATCH_NO;
}

/* RFC 7208 5.7: an A record, whatever the family of the client. */
MAY_YIELD static enum match
match_exists(struct check *c, struct strv domain, const struct spf_term *t)
{
	struct dns_answer answer = { 0 };
	enum dns_rc       rc = ask(c, c->brief, target_of(c, domain, t->domain), DNS_A, &answer);

	if (is_void(rc))
		return found_nothing(c, domain, t);
	return rc == DNS_OK ? MATCH_YES : no_answer(c, domain, t);
}

MAY_YIELD static enum match
match(struct check *c, struct strv domain, const struct spf_term *t)
{
	static enum match (*const looks_up[])(
	    struct check *, struct strv, const struct spf_term *) = {
		[SPF_TERM_A] = match_a,
		[SPF_TERM_MX] = match_mx,
		[SPF_TERM_PTR] = match_ptr,
		[SPF_TERM_EXISTS] = match_exists,
		[SPF_TERM_OTHER] = NULL,
	};
	enum match m;

	switch (t->kind) {
	case SPF_TERM_ALL:
		return MATCH_YES;
	case SPF_TERM_IP4:
		return in_network(&c->macros.ip, &t->net, t->bits4) ? MATCH_YES : MATCH_NO;
	case SPF_TERM_IP6:
		return in_network(&c->macros.ip, &t->net, t->bits6) ? MATCH_YES : MATCH_NO;
	default:
		break;
	}
	if (looks_up[t->kind] == NULL && t->kind != SPF_TERM_INCLUDE)
		return MATCH_NO;
	if (!may_look_up(c, domain, t))
		return MATCH_PERM;
	if (t->kind == SPF_TERM_INCLUDE)
		return MATCH_INCLUDE;
	m = looks_up[t->kind](c, domain, t);
	arena_reset(c->brief);
	return m;
}

/* ---- records ---- */

bool
spf_domain(struct arena *a, struct strv v, struct strv *out)
{
	char        name[DNS_NAME_MAX], labels[IDN_OCTETS];
	struct addr literal;

	if (v.n > 0 && v.p[v.n - 1] == '.')
		v.n--;
	if (v.n == 0 || v.p[0] == '[' || strv_chr(v, '.') == v.n || addr_parse(v, &literal) ||
	    !dns_name(v, name))
		return false;
	*out = arena_dup(a, idn_domain(v, labels));
	return true;
}

/* RFC 7208 4.4, 4.5.  SPF_SAYS_PASS: here it is; else what that means. */
MAY_YIELD static enum spf_says
find_record(struct check *c, struct strv domain, struct strv *out)
{
	struct dns_answer txt = { 0 };
	enum dns_rc       rc = ask(c, c->brief, domain, DNS_TXT, &txt);
	unsigned          n = 0;

	for (unsigned i = 0; rc == DNS_OK && i < txt.n; i++) {
		if (!spf_is_record(txt.v[i].text))
			continue;
		if (n++ == 0)
			*out = arena_dup(c->a, txt.v[i].text);
	}
	arena_reset(c->brief);
	if (rc != DNS_OK && !is_void(rc)) {
		tell(c, domain, SV(""), time_left(c) == 0 ? "time is over" : "no answer");
		return SPF_SAYS_TEMPERROR;
	}
	if (n == 1)
		return SPF_SAYS_PASS;
	tell(c, domain, SV(""), n == 0 ? "no record" : "several records");
	return n == 0 ? SPF_SAYS_NONE : SPF_SAYS_PERMERROR;
}

/*
 * The record of a domain, to be walked.  False: *says is what comes of it, `none' where there is no record.
 */
MAY_YIELD static bool
open_record(
    struct check *c, struct level *l, struct strv domain, enum spf_says none, enum spf_says *says)
{
	struct strv text, at;
	const char *why;

	if (!spf_domain(c->a, domain, &l->domain)) {
		c->by = SV("no domain that could have a record");
		*says = none;
		return false;
	}
	*says = find_record(c, l->domain, &text);
	if (*says == SPF_SAYS_NONE)
		*says = none;
	if (*says != SPF_SAYS_PASS)
		return false;
	if (!spf_record_parse(text, &l->record, &why, &at)) {
		tell(c, l->domain, at, why);
		*says = SPF_SAYS_PERMERROR;
		return false;
	}
	l->rest = l->record.terms;
	return true;
}

/* RFC 7208 6.1: no record there is a mistake here. */
MAY_YIELD static bool
redirect(struct check *c, struct level *l, enum spf_says *says)
{
	struct spf_term t = { .text = SV("redirect"), .domain = l->record.redirect };

	if (t.domain.p == NULL) {
		tell(c, l->domain, SV(""), "no term matches");
		*says = SPF_SAYS_NEUTRAL;
		return false;
	}
	*says = SPF_SAYS_PERMERROR;
	return may_look_up(c, l->domain, &t) &&
	    open_record(c, l, target_of(c, l->domain, t.domain), SPF_SAYS_PERMERROR, says);
}

/* RFC 7208 6.2: an explanation is of the record that decides, never of one that is included. */
static enum spf_says
decide(struct check *c, const struct level *l)
{
	if (l->term.kind != SPF_TERM_INCLUDE)
		tell(c, l->domain, l->term.text, "");
	c->exp = l->record.exp;
	c->exp_domain = l->domain;
	return l->term.says;
}

/*
 * On from the latest term, of which m is known.  True: *says is what the record says, or where it redirects to.
 * False: the latest term is an include, which is asked next.
 */
MAY_YIELD static bool
walk(struct check *c, struct level *l, enum match m, enum spf_says *says)
{
	while (!c->cancelled) {
		switch (m) {
		case MATCH_NO:
			break;
		case MATCH_YES:
			*says = decide(c, l);
			return true;
		case MATCH_TEMP:
			*says = SPF_SAYS_TEMPERROR;
			return true;
		case MATCH_PERM:
			*says = SPF_SAYS_PERMERROR;
			return true;
		case MATCH_INCLUDE:
			return false;
		}
		if (spf_term_next(&l->rest, &l->term))
			m = match(c, l->domain, &l->term);
		else if (!redirect(c, l, says))
			return true;
	}
	*says = SPF_SAYS_TEMPERROR;
	return true;
}

/* RFC 7208 5.2, the table there.  What decided within is told first: of a long story the end is cut off. */
static enum match
includes(struct check *c, const struct level *l, enum spf_says within)
{
	struct strv by = c->by, term = told(l->term.text);

	c->by = arena_printf(c->a, "%.*s (%.*s of %.*s)", (int)by.n, by.p, (int)term.n, term.p,
	    (int)l->domain.n, l->domain.p);
	switch (within) {
	case SPF_SAYS_PASS:
		return MATCH_YES;
	case SPF_SAYS_TEMPERROR:
		return MATCH_TEMP;
	case SPF_SAYS_PERMERROR:
	case SPF_SAYS_NONE:
		return MATCH_PERM;
	default:
		return MATCH_NO;
	}
}

/* RFC 7208 4.3 to 4.7 */
MAY_YIELD static enum spf_says
check_host(struct check *c, struct strv domain)
{
	struct level *l = arena_alloc(c->a, sizeof(*l)), *inner;
	enum match    m = MATCH_NO;
	enum spf_says says;
	bool          opened = open_record(c, l, domain, SPF_SAYS_NONE, &says);

	for (;;) {
		if (opened && !walk(c, l, m, &says)) {
			inner = arena_alloc(c->a, sizeof(*inner));
			inner->outer = l;
			domain = target_of(c, l->domain, l->term.domain);
			opened = open_record(c, inner, domain, SPF_SAYS_NONE, &says);
			l = inner;
			m = MATCH_NO;
			continue;
		}
		if (l->outer == NULL)
			return says;
		l = l->outer;
		m = includes(c, l, says);
		opened = true;
	}
}

/* ---- a check ---- */

static void
begin(struct check *c, const struct spf_identity *id)
{
	struct world *w = loop_world(fiber_loop());
	uint64_t      deadline = fiber_self()->deadline;

	c->a = arena_new(1024, 0);
	c->brief = arena_new(4096, 0);
	c->until = loop_now(fiber_loop()) + SPF_TIME;
	if (deadline != 0 && deadline < c->until)
		c->until = deadline;
	c->macros = (struct spf_macros){
		.ip = id->ip,
		.local = id->local.n > 0 ? id->local : SV("postmaster"),
		.helo = id->helo,
		.validated = SV("unknown"),
		.receiver = id->receiver.n > 0 ? id->receiver : SV("unknown"),
		.seconds = w->wall(w) / 1000000,
	};
}

static void
end(struct check *c)
{
	arena_free(c->brief);
	arena_free(c->a);
}

static struct strv
keep(struct arena *a, struct strv v)
{
	return v.p == NULL ? v : arena_dup(a, v);
}

bool
spf_check(struct arena *a, const struct spf_identity *id, struct spf_said *out)
{
	struct check c = { 0 };

	*out = (struct spf_said){ .says = SPF_SAYS_NONE };
	begin(&c, id);
	c.by = SV("no domain that could have a record");
	if (id->ip.family != ADDR_IP4 && id->ip.family != ADDR_IP6)
		c.by = SV("the client has no address");
	else if (spf_domain(c.a, id->domain, &c.macros.sender))
		out->says = check_host(&c, c.macros.sender);
	out->by = keep(a, c.by);
	out->domain = keep(a, c.macros.sender);
	if (out->says == SPF_SAYS_FAIL) {
		out->exp = keep(a, c.exp);
		out->exp_domain = keep(a, c.exp_domain);
	}
	out->terms = c.terms;
	out->voids = c.voids;
	out->questions = c.questions;
	end(&c);
	return !c.cancelled;
}

/* RFC 7208 6.2: one record, ASCII, without mistakes; else it is as if none were named. */
MAY_YIELD static struct strv
find_text(struct check *c, const struct spf_said *said)
{
	struct dns_answer txt = { 0 };
	struct strv       name = target_of(c, said->exp_domain, said->exp), text;

	if (ask(c, c->brief, name, DNS_TXT, &txt) != DNS_OK || txt.n != 1 ||
	    !spf_macro_valid(txt.v[0].text, true))
		return strv(NULL, 0);
	text = txt.v[0].text;
	if (spf_macro_wants_p(text)) {
		(void)learn_names(c);
		c->macros.validated = best_name(c, said->exp_domain);
	}
	return text;
}

bool
spf_explain(
    struct arena *a, const struct spf_identity *id, const struct spf_said *said, struct strv *out)
{
	struct check c = { 0 };
	struct strv  text;

	*out = strv(NULL, 0);
	if (said->exp.p == NULL)
		return true;
	begin(&c, id);
	c.macros.sender = said->domain;
	c.macros.domain = said->exp_domain;
	text = find_text(&c, said);
	if (text.p != NULL && !c.cancelled)
		*out = spf_macro_text(a, &c.macros, text);
	end(&c);
	return !c.cancelled;
}
