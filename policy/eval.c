/*
 * eval -- what the policy says, from facts alone: the relay gate and expressions.
 *
 * Three values by Kleene's logic: no < unknown < yes, and is the least, or the greatest, not the
 * mirror.  Allowing costs no allocation here; a fact is asked for only where it can still matter.
 */
#include "policy/rules.h"

enum truth { TRUTH_NO, TRUTH_UNKNOWN, TRUTH_YES };

struct eval {
	const struct policy *p;
	struct facts        *facts;
	unsigned             rcpt;
	bool                 cancelled; /* sticky: everything is unknown from there on */
	bool                 routed;    /* a `to' would have matched but for routing characters */
};

static enum truth
truth(bool yes)
{
	return yes ? TRUTH_YES : TRUTH_NO;
}

/* The fact if it is known, or NULL. */
MAY_YIELD static const struct fact *
known(struct eval *e, unsigned number)
{
	struct fact *f;

	if (e->cancelled)
		return NULL;
	if (fact_get(e->facts, e->p->facts, number, e->rcpt, strv(NULL, 0), &f) != WAIT_OK) {
		e->cancelled = true;
		return NULL;
	}
	return f->state == FACT_KNOWN ? f : NULL;
}

/* ---- names ---- */

/* The domain as lists hold it: an address literal in its one canonical form. */
static struct strv
domain_of(const struct path *path, char buf[ADDR_TEXT + 2])
{
	struct strv v;

	if (path->literal.family == ADDR_NONE)
		return path->domain;
	v = addr_print(&path->literal, buf + 1);
	buf[0] = '[';
	buf[v.n + 1] = ']';
	return strv(buf, v.n + 2);
}

static bool
path_in(const struct path *path, const struct nameset *domains, const struct nameset *addresses)
{
	char        buf[ADDR_TEXT + 2];
	struct strv domain = domain_of(path, buf);

	if (path->kind == PATH_NULL)
		return addresses != NULL && nameset_has(addresses, SV("<>"));
	if (path->kind != PATH_MAILBOX)
		return false;
	return (domains != NULL && nameset_has_domain(domains, domain)) ||
	    (addresses != NULL && nameset_has_address(addresses, path->local, domain));
}

/*
 * A text that is an address, such as a login, is looked up as one; "@" in it divides at the
 * last.
 */
static bool
text_in(struct strv v, const struct nameset *domains, const struct nameset *addresses)
{
	size_t at = strv_rchr(v, '@');

	if (domains != NULL && nameset_has_domain(domains, v))
		return true;
	return addresses != NULL && at < v.n &&
	    nameset_has_address(addresses, strv_first(v, at), strv_from(v, at + 1));
}

static bool
is_literal(struct strv v)
{
	struct addr a;

	return v.n > 2 && v.p[0] == '[' && v.p[v.n - 1] == ']' &&
	    addr_parse_literal(strv(v.p + 1, v.n - 2), &a);
}

/* For <> and address literals `is fqdn' is true. */
static bool
text_is_fqdn(struct strv v)
{
	return is_literal(v) || domain_valid(v, true, true);
}

static bool
path_is_fqdn(const struct path *path)
{
	return path->kind == PATH_NULL ||
	    (path->kind == PATH_MAILBOX && text_is_fqdn(path->domain));
}

/* ---- matches ---- */

static bool
match_number(const struct match *m, int64_t number)
{
	double x = (double)number;

	switch (m->op) {
	case PRED_LT:
		return x < m->number;
	case PRED_LE:
		return x <= m->number;
	case PRED_GT:
		return x > m->number;
	case PRED_GE:
		return x >= m->number;
	default:
		return x == m->number;
	}
}

static bool
match_text(const struct match *m, struct strv v)
{
	switch (m->kind) {
	case MATCH_TEXT:
		return strv_ieq(m->text, v);
	case MATCH_NAMES:
		return text_in(v, m->domains, m->addresses);
	case MATCH_FQDN:
		return text_is_fqdn(v);
	case MATCH_LITERAL:
		return is_literal(v);
	default:
		return false;
	}
}

static bool
match_path(const struct match *m, const struct path *path)
{
	char a[ADDR_TEXT + 2], b[ADDR_TEXT + 2];

	switch (m->kind) {
	case MATCH_NULL:
		return path->kind == PATH_NULL;
	case MATCH_NAMES:
		return path_in(path, m->domains, m->addresses);
	case MATCH_FQDN:
		return path_is_fqdn(path);
	case MATCH_LITERAL:
		return path->literal.family != ADDR_NONE;
	case MATCH_PATH:
		return path->kind == PATH_MAILBOX && strv_ieq(path->local, m->path.local) &&
		    strv_ieq(domain_of(path, a), domain_of(&m->path, b));
	default:
		return false;
	}
}

/* The value is there: is it what the match asks for? */
static bool
match_value(const struct match *m, const struct fact *f)
{
	bool yes = false;

	switch (f->def->type) {
	case FACT_BOOL:
		return f->v.yes;
	case FACT_NUMBER:
		return m->kind == MATCH_NUMBER && match_number(m, f->v.number);
	case FACT_TEXT:
		return match_text(m, f->v.text);
	case FACT_ADDR:
		return m->kind == MATCH_NETS && netset_has(m->nets, &f->v.addr);
	case FACT_PATH:
		return match_path(m, f->v.path);
	case FACT_WORD:
		return m->kind == MATCH_WORDS && f->v.word < 64 && (m->words >> f->v.word & 1) != 0;
	case FACT_ADDRS:
		for (unsigned i = 0; i < f->v.addrs.n && m->kind == MATCH_NETS; i++)
			yes = yes || netset_has(m->nets, &f->v.addrs.v[i]);
		return yes;
	case FACT_TEXTS:
		for (unsigned i = 0; i < f->v.texts.n; i++)
			yes = yes || match_text(m, f->v.texts.v[i]);
		return yes;
	}
	return false;
}

/* A predicate on what is absent is false, but for `is absent' itself. */
static bool
match_absent(const struct rule *r, const struct match *m)
{
	return m->kind == MATCH_ABSENT || (m->kind == MATCH_FQDN && r->null_is_fqdn);
}

MAY_YIELD static enum truth
eval_pred(struct eval *e, const struct rule *r)
{
	const struct fact *f = known(e, r->fact);
	bool               yes = false, absent;

	if (f == NULL)
		return TRUTH_UNKNOWN;
	absent = fact_absent(f);
	for (unsigned i = 0; i < r->n_match && !yes; i++)
		yes = absent ? match_absent(r, &r->match[i]) : match_value(&r->match[i], f);
	return truth(yes != r->negated);
}

/* Deeper only as far as the parser lets expressions nest. */
MAY_YIELD static enum truth
eval_rule(struct eval *e, const struct rule *r)
{
	enum truth all, one;

	if (r->kind == EXPR_PRED)
		return eval_pred(e, r);
	if (r->kind == EXPR_NOT)
		return (enum truth)(TRUTH_YES - eval_rule(e, r->kid[0]));
	all = r->kind == EXPR_AND ? TRUTH_YES : TRUTH_NO;
	for (unsigned i = 0; i < r->n_kid; i++) {
		one = eval_rule(e, r->kid[i]);
		if (r->kind == EXPR_AND ? one < all : one > all)
			all = one;
		if (all == (r->kind == EXPR_AND ? TRUTH_NO : TRUTH_YES))
			break;
	}
	return all;
}

/* ---- the relay gate ---- */

MAY_YIELD static enum truth
gate_from(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = known(e, (unsigned)e->p->gate.client);

	return f == NULL ? TRUTH_UNKNOWN : truth(netset_has(c->nets, &f->v.addr));
}

MAY_YIELD static enum truth
gate_authenticated(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = known(e, (unsigned)e->p->gate.authenticated);

	if (f == NULL)
		return TRUTH_UNKNOWN;
	if (!f->v.yes || !c->over_tls)
		return truth(f->v.yes);
	f = known(e, (unsigned)e->p->gate.tls);
	return f == NULL ? TRUTH_UNKNOWN : truth(!fact_absent(f));
}

MAY_YIELD static enum truth
gate_on(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = known(e, (unsigned)e->p->gate.listener);

	return f == NULL ? TRUTH_UNKNOWN :
			   truth(!fact_absent(f) && strv_eq(f->v.text, c->listener));
}

/*
 * With our address trusted upstream, "x%foreign@ours" or "\"x@foreign\"@ours" would be an open
 * relay: such a recipient is never matched by `to'.  The line is walked on as if, to tell the
 * client why.
 */
static enum truth
gate_to(struct eval *e, const struct gate_cond *c, const struct path *to)
{
	if (!path_in(to, c->domains, c->addresses))
		return TRUTH_NO;
	if (!e->p->routing && path_routes(to))
		e->routed = true;
	return TRUTH_YES;
}

MAY_YIELD static enum truth
gate_cond(struct eval *e, const struct gate_cond *c, const struct path *to)
{
	switch (c->kind) {
	case COND_FROM:
		return gate_from(e, c);
	case COND_TO:
		return gate_to(e, c, to);
	case COND_AUTHENTICATED:
		return gate_authenticated(e, c);
	case COND_ON:
		return gate_on(e, c);
	case COND_WHEN:
		return eval_rule(e, c->when);
	}
	return TRUTH_NO;
}

/* All conditions of one allow. *routed: it would be a yes but for the routing characters. */
MAY_YIELD static enum truth
gate_line(struct eval *e, const struct gate_line *line, const struct path *to, bool *routed)
{
	enum truth all = line->n > 0 ? TRUTH_YES : TRUTH_NO, one;

	e->routed = false;
	for (unsigned i = 0; i < line->n && all != TRUTH_NO; i++) {
		one = gate_cond(e, &line->cond[i], to);
		all = one < all ? one : all;
	}
	if (!e->routed)
		return all;
	*routed = *routed || all == TRUTH_YES;
	return TRUTH_NO;
}

static void
say(struct verdict *out, enum verdict_kind kind, uint16_t code, const char *enh, struct strv text)
{
	*out = (struct verdict){ .kind = kind, .code = code, .text = text, .by = SV("relay") };
	memcpy(out->enh, enh, strlen(enh) + 1);
}

static void
deny(struct verdict *out, bool unsure, bool routed)
{
	if (unsure)
		say(out, VERDICT_TEMPFAIL, 451, "4.4.3",
		    SV("cannot tell now whether to take this, try again later"));
	else if (routed)
		say(out, VERDICT_REJECT, 550, "5.1.3",
		    SV("this local part could send the message elsewhere"));
	else
		say(out, VERDICT_REJECT, 550, "5.7.1",
		    SV("relaying to this address is not allowed"));
}

/* The first line that says yes is enough; unknown counts only where none does. */
MAY_YIELD static void
eval_gate(struct eval *e, struct verdict *out)
{
	const struct fact *f = e->p->has_relay ? known(e, (unsigned)e->p->gate.rcpt) : NULL;
	const struct path *to = f == NULL ? NULL : f->v.path;
	bool               unsure = false, routed = false;

	if (to == NULL) {
		deny(out, e->p->has_relay, false);
		return;
	}
	/* RFC 5321 4.5.1: <postmaster> without a domain is always taken. */
	if (to->kind == PATH_POSTMASTER)
		return;
	for (unsigned i = 0; i < e->p->n_line; i++) {
		enum truth t = gate_line(e, &e->p->line[i], to, &routed);

		if (t == TRUTH_YES)
			return;
		unsure = unsure || t == TRUTH_UNKNOWN;
	}
	deny(out, unsure, routed);
}

MAY_YIELD enum wait_rc
policy_eval(const struct policy *p, enum stage at, unsigned rcpt, struct facts *facts,
    struct verdict *out, struct edits *edits)
{
	struct eval e = { .p = p, .facts = facts, .rcpt = rcpt };

	(void)edits;
	*out = (struct verdict){ 0 };
	if (at != STAGE_RCPT)
		return WAIT_OK;
	eval_gate(&e, out);
	if (!e.cancelled)
		return WAIT_OK;
	*out = (struct verdict){ 0 };
	return WAIT_CANCELLED;
}

bool
policy_needs(const struct policy *p, unsigned fact, enum stage by)
{
	return by >= STAGE_RCPT && fact < p->n_facts && p->certain[fact];
}

/* Header actions belong to checks. */
bool
policy_edits(const struct policy *p)
{
	(void)p;
	return false;
}

bool
policy_relays_nothing(const struct policy *p)
{
	return !p->has_relay;
}

bool
policy_reject_at_stage(const struct policy *p)
{
	return p->reject_at_stage;
}
