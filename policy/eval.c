/*
 * eval -- what the policy says, from facts alone: the relay gate, expressions, routes.
 *
 * Three values by Kleene's logic: no < unknown < yes, and is the least, or the greatest, not the
 * mirror.  Allowing costs no allocation here; a fact is asked for only where it can still matter.
 */
#include "policy/match.h"
#include "proxy/base/arena.h"

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

/* A predicate on what is absent is false, but for `is absent' itself. */
static bool
match_absent(const struct rule *r, const struct match *m)
{
	return m->kind == MATCH_ABSENT || (m->kind == MATCH_FQDN && r->null_is_fqdn);
}

/* X in M(fact), where X is there; without a value of the fact, or a key, nothing is in it. */
MAY_YIELD static enum truth
eval_in_map(struct eval *e, const struct match *m, const struct fact *f, const struct map_values *v)
{
	const struct fact *key = known(e, m->call.fact);
	struct map_values  in;

	if (key == NULL)
		return TRUTH_UNKNOWN;
	in = match_map(m->call.map, key);
	return truth(v != NULL ? match_values_in(*v, in) : match_fact_in(f, in));
}

/* One of the values of a map is what the match asks for. */
static bool
match_values(const struct match *m, struct map_values v)
{
	struct strv one;

	while (map_values_next(&v, &one)) {
		if (match_text(m, one))
			return true;
	}
	return false;
}

/* `in M(fact)' is the only match of its predicate. */
static bool
asks_map(const struct rule *r)
{
	return r->n_match == 1 && r->match[0].kind == MATCH_MAP;
}

static enum truth
negate(enum truth t, bool negated)
{
	return negated ? (enum truth)(TRUTH_YES - t) : t;
}

/* A predicate on M(fact): on a fact of several texts that is absent where the map has no such key. */
MAY_YIELD static enum truth
eval_map_pred(struct eval *e, const struct rule *r, const struct fact *f)
{
	struct map_values v = match_map(r->ask.map, f);
	bool              yes = false;

	if (asks_map(r) && v.n > 0)
		return negate(eval_in_map(e, &r->match[0], NULL, &v), r->negated);
	for (unsigned i = 0; i < r->n_match && !yes; i++)
		yes = v.n == 0 ? r->match[i].kind == MATCH_ABSENT : match_values(&r->match[i], v);
	return truth(yes != r->negated);
}

MAY_YIELD static enum truth
eval_pred(struct eval *e, const struct rule *r)
{
	const struct fact *f = known(e, r->ask.fact);
	bool               yes = false, absent;

	if (f == NULL)
		return TRUTH_UNKNOWN;
	if (r->ask.map != NULL)
		return eval_map_pred(e, r, f);
	absent = fact_absent(f);
	if (asks_map(r) && !absent)
		return negate(eval_in_map(e, &r->match[0], f, NULL), r->negated);
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
	const struct fact *f = known(e, (unsigned)e->p->gate.client), *key;

	if (f == NULL)
		return TRUTH_UNKNOWN;
	if (c->call.map == NULL)
		return truth(netset_has(c->nets, &f->v.addr));
	key = known(e, c->call.fact);
	return key == NULL ? TRUTH_UNKNOWN : truth(match_fact_in(f, match_map(c->call.map, key)));
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

/* `to M(fact)': one of the map's values is the recipient's domain or address. */
MAY_YIELD static enum truth
gate_to_map(struct eval *e, const struct gate_cond *c, const struct path *to)
{
	const struct fact *key = known(e, c->call.fact);
	struct map_values  v;
	struct strv        item;

	if (key == NULL)
		return TRUTH_UNKNOWN;
	v = match_map(c->call.map, key);
	while (map_values_next(&v, &item)) {
		if (match_path_item(to, item))
			return TRUTH_YES;
	}
	return TRUTH_NO;
}

/*
 * With our address trusted upstream, "x%foreign@ours" or "\"x@foreign\"@ours" would be an open
 * relay: such a recipient is never matched by `to'.  The line is walked on as if, to tell the
 * client why.
 */
MAY_YIELD static enum truth
gate_to(struct eval *e, const struct gate_cond *c, const struct path *to)
{
	enum truth t = c->call.map != NULL ? gate_to_map(e, c, to) :
					     truth(match_path_in(to, c->domains, c->addresses));

	if (t != TRUTH_NO && !e->p->routing && path_routes(to))
		e->routed = true;
	return t;
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
policy_eval(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c,
    struct verdict *out)
{
	struct eval e = { .p = p, .facts = c->facts, .rcpt = rcpt };

	*out = (struct verdict){ 0 };
	if (at != STAGE_RCPT)
		return WAIT_OK;
	eval_gate(&e, out);
	if (!e.cancelled)
		return WAIT_OK;
	*out = (struct verdict){ 0 };
	return WAIT_CANCELLED;
}

/* ---- routes ---- */

/*
 * The pool of the recipient.  One without a domain (<postmaster>) has no route, and goes where its
 * listener's do.
 */
MAY_YIELD static struct strv
route_of(struct eval *e, bool *unknown)
{
	struct map_values  v = { NULL, 0 };
	struct strv        pool = { NULL, 0 };
	const struct fact *f;

	if (e->p->route == NULL)
		return pool;
	f = known(e, (unsigned)e->p->gate.rcpt);
	if (f == NULL)
		*unknown = true;
	else
		v = match_map(e->p->route, f);
	(void)map_values_next(&v, &pool);
	return pool;
}

/* All values of a map, a blank between two. */
static struct strv
join(struct arena *a, struct map_values v)
{
	struct strv all = SV(""), one;

	for (bool first = true; map_values_next(&v, &one); first = false)
		all = first ? one : arena_concat(a, arena_concat(a, all, SV(" ")), one);
	return all;
}

/*
 * Classes are compared octet by octet, but domains, and words of maps, without regard to case: so a class
 * is in lower case.
 */
static struct strv
fold(struct arena *a, struct strv v)
{
	char *p = arena_bytes(a, v.n);

	for (size_t i = 0; i < v.n; i++)
		p[i] = ascii_lower(v.p[i]);
	return strv(p, v.n);
}

MAY_YIELD static struct strv
class_of(struct eval *e, struct arena *a, bool *unknown)
{
	const struct class_rule *c = &e->p->class;
	const struct fact       *f = NULL;
	enum truth               t;

	if (c->kind == CLASS_NONE)
		return strv(NULL, 0);
	if (c->kind == CLASS_EXPR) {
		t = eval_rule(e, c->expr);
		*unknown = *unknown || t == TRUTH_UNKNOWN;
		return t == TRUTH_YES ? SV("yes") : SV("no");
	}
	f = known(e, c->kind == CLASS_MAP ? c->call.fact : c->fact);
	if (f == NULL) {
		*unknown = true;
		return SV("");
	}
	return fold(
	    a, c->kind == CLASS_MAP ? join(a, match_map(c->call.map, f)) : fact_print(a, f));
}

bool
policy_routes(const struct policy *p)
{
	return p->route != NULL || p->class.kind != CLASS_NONE;
}

MAY_YIELD enum wait_rc
policy_route(const struct policy *p, unsigned rcpt, struct facts *facts, struct arena *a,
    struct strv *pool, struct strv *class, bool *unknown)
{
	struct eval e = { .p = p, .facts = facts, .rcpt = rcpt };

	*unknown = false;
	*pool = route_of(&e, unknown);
	*class = class_of(&e, a, unknown);
	if (!e.cancelled)
		return WAIT_OK;
	*pool = *class = strv(NULL, 0);
	return WAIT_CANCELLED;
}

bool
policy_needs(const struct policy *p, unsigned fact, enum stage by)
{
	return by >= STAGE_RCPT && fact < p->n_facts && p->certain[fact];
}

bool
policy_has(const struct policy *p, enum stage at)
{
	return p->stages & 1u << at;
}

unsigned
policy_wants(const struct policy *p, enum stage at, unsigned *first)
{
	unsigned n = 0;

	*first = 0;
	while (*first < p->n_want && p->want[*first].from < at)
		++*first;
	while (*first + n < p->n_want && p->want[*first + n].from == at)
		n++;
	return n;
}

bool
policy_edits(const struct policy *p)
{
	return p->edits;
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
