/*
 * spf_eval -- see spf_eval.h
 *
 * One check walks records: of the domain, of what it includes (a level deeper) and where it is redirected to (the same
 * level).  Each costs a term, so there are no more levels than SPF_TERMS; they lie in the arena, since the stack of a
 * fiber is small and how deep it goes is a stranger's choice.  What a term says of the client is spf_match.c's.  The
 * invariant: whatever is read next has cost a term, so the walk ends.
 */
#include "filters/spf_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/idn.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

/* A record, and how far it is walked. */
struct level {
	struct level     *outer; /* that includes it; NULL: the first */
	struct strv       domain;
	struct spf_record record;
	struct strv       rest; /* terms that are still to come */
	struct spf_term   term; /* that is looked at */
};

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
find_record(struct spf_asking *c, struct strv domain, struct strv *out)
{
	struct dns_answer txt = { 0 };
	enum dns_rc       rc = spf_question(c, c->brief, domain, DNS_TXT, &txt);
	unsigned          n = 0;

	for (unsigned i = 0; rc == DNS_OK && i < txt.n; i++) {
		if (!spf_is_record(txt.v[i].text))
			continue;
		if (n++ == 0)
			*out = arena_dup(c->a, txt.v[i].text);
	}
	arena_reset(c->brief);
	if (rc != DNS_OK && !spf_is_void(rc)) {
		spf_tell(c, domain, SV(""), spf_time_left(c) == 0 ? "time is over" : "no answer");
		return SPF_SAYS_TEMPERROR;
	}
	if (n == 1)
		return SPF_SAYS_PASS;
	spf_tell(c, domain, SV(""), n == 0 ? "no record" : "several records");
	return n == 0 ? SPF_SAYS_NONE : SPF_SAYS_PERMERROR;
}

/*
 * The record of a domain, to be walked.  False: *says is what comes of it, `none' where there is no record.
 */
MAY_YIELD static bool
open_record(struct spf_asking *c, struct level *l, struct strv domain, enum spf_says none,
    enum spf_says *says)
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
		spf_tell(c, l->domain, at, why);
		*says = SPF_SAYS_PERMERROR;
		return false;
	}
	l->rest = l->record.terms;
	return true;
}

/* RFC 7208 6.1: no record there is a mistake here. */
MAY_YIELD static bool
redirect(struct spf_asking *c, struct level *l, enum spf_says *says)
{
	struct spf_term t = { .text = SV("redirect"), .domain = l->record.redirect };

	if (t.domain.p == NULL) {
		spf_tell(c, l->domain, SV(""), "no term matches");
		*says = SPF_SAYS_NEUTRAL;
		return false;
	}
	*says = SPF_SAYS_PERMERROR;
	return spf_may_look_up(c, l->domain, &t) &&
	    open_record(c, l, spf_target(c, l->domain, t.domain), SPF_SAYS_PERMERROR, says);
}

/* RFC 7208 6.2: an explanation is of the record that decides, never of one that is included. */
static enum spf_says
decide(struct spf_asking *c, const struct level *l)
{
	if (l->term.kind != SPF_TERM_INCLUDE)
		spf_tell(c, l->domain, l->term.text, "");
	c->exp = l->record.exp;
	c->exp_domain = l->domain;
	return l->term.says;
}

/*
 * On from the latest term, of which m is known.  True: *says is what the record says, or where it redirects to.
 * False: the latest term is an include, which is asked next.
 */
MAY_YIELD static bool
walk(struct spf_asking *c, struct level *l, enum spf_match m, enum spf_says *says)
{
	while (!c->cancelled) {
		switch (m) {
		case SPF_MATCH_NO:
			break;
		case SPF_MATCH_YES:
			*says = decide(c, l);
			return true;
		case SPF_MATCH_TEMP:
			*says = SPF_SAYS_TEMPERROR;
			return true;
		case SPF_MATCH_PERM:
			*says = SPF_SAYS_PERMERROR;
			return true;
		case SPF_MATCH_INCLUDE:
			return false;
		}
		if (spf_term_next(&l->rest, &l->term))
			m = spf_match(c, l->domain, &l->term);
		else if (!redirect(c, l, says))
			return true;
	}
	*says = SPF_SAYS_TEMPERROR;
	return true;
}

/* RFC 7208 5.2, the table there.  What decided within is told first: of a long story the end is cut off. */
static enum spf_match
includes(struct spf_asking *c, const struct level *l, enum spf_says within)
{
	struct strv by = c->by, term = spf_term_told(l->term.text);

	c->by = arena_printf(c->a, "%.*s (%.*s of %.*s)", (int)by.n, by.p, (int)term.n, term.p,
	    (int)l->domain.n, l->domain.p);
	switch (within) {
	case SPF_SAYS_PASS:
		return SPF_MATCH_YES;
	case SPF_SAYS_TEMPERROR:
		return SPF_MATCH_TEMP;
	case SPF_SAYS_PERMERROR:
	case SPF_SAYS_NONE:
		return SPF_MATCH_PERM;
	default:
		return SPF_MATCH_NO;
	}
}

/* RFC 7208 4.3 to 4.7 */
MAY_YIELD static enum spf_says
check_host(struct spf_asking *c, struct strv domain)
{
	struct level  *l = arena_alloc(c->a, sizeof(*l)), *inner;
	enum spf_match m = SPF_MATCH_NO;
	enum spf_says  says;
	bool           opened = open_record(c, l, domain, SPF_SAYS_NONE, &says);

	for (;;) {
		if (opened && !walk(c, l, m, &says)) {
			inner = arena_alloc(c->a, sizeof(*inner));
			inner->outer = l;
			domain = spf_target(c, l->domain, l->term.domain);
			opened = open_record(c, inner, domain, SPF_SAYS_NONE, &says);
			l = inner;
			m = SPF_MATCH_NO;
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
begin(struct spf_asking *c, const struct spf_identity *id)
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
end(struct spf_asking *c)
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
	struct spf_asking c = { 0 };

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
find_text(struct spf_asking *c, const struct spf_said *said)
{
	struct dns_answer txt = { 0 };
	struct strv       name = spf_target(c, said->exp_domain, said->exp), text;

	if (spf_question(c, c->brief, name, DNS_TXT, &txt) != DNS_OK || txt.n != 1 ||
	    !spf_macro_valid(txt.v[0].text, true))
		return strv(NULL, 0);
	text = txt.v[0].text;
	if (spf_macro_wants_p(text)) {
		(void)spf_learn_names(c);
		c->macros.validated = spf_best_name(c, said->exp_domain);
	}
	return text;
}

bool
spf_explain(
    struct arena *a, const struct spf_identity *id, const struct spf_said *said, struct strv *out)
{
	struct spf_asking c = { 0 };
	struct strv       text;

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
