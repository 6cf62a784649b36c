/*
 * eval_gate -- the relay gate, and where a recipient goes: what stands apart from checks.
 *
 * Nothing that a check does is seen here.  Allowing costs no allocation; a fact is asked for only where it
 * can still matter.
 */
#include "policy/eval.h"
#include "proxy/base/arena.h"

static enum truth
truth(bool yes)
{
	return yes ? TRUTH_YES : TRUTH_NO;
}

MAY_YIELD static enum truth
gate_from(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = eval_known(e, (unsigned)e->p->gate.client), *key;

	if (f == NULL)
		return TRUTH_UNKNOWN;
	if (c->call.map == NULL)
		return truth(netset_has(c->nets, &f->v.addr));
	key = eval_known(e, c->call.fact);
	return key == NULL ? TRUTH_UNKNOWN : truth(match_fact_in(f, match_map(c->call.map, key)));
}

MAY_YIELD static enum truth
gate_authenticated(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = eval_known(e, (unsigned)e->p->gate.authenticated);

	if (f == NULL)
		return TRUTH_UNKNOWN;
	if (!f->v.yes || !c->over_tls)
		return truth(f->v.yes);
	f = eval_known(e, (unsigned)e->p->gate.tls);
	return f == NULL ? TRUTH_UNKNOWN : truth(!fact_absent(f));
}

MAY_YIELD static enum truth
gate_on(struct eval *e, const struct gate_cond *c)
{
	const struct fact *f = eval_known(e, (unsigned)e->p->gate.listener);

	return f == NULL ? TRUTH_UNKNOWN :
			   truth(!fact_absent(f) && strv_eq(f->v.text, c->listener));
}

/* `to M(fact)': one of the map's values is the recipient's domain or address. */
MAY_YIELD static enum truth
gate_to_map(struct eval *e, const struct gate_cond *c, const struct path *to)
{
	const struct fact *key = eval_known(e, c->call.fact);
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
MAY_YIELD void
eval_gate(struct eval *e, struct verdict *out)
{
	const struct fact *f = e->p->has_relay ? eval_known(e, (unsigned)e->p->gate.rcpt) : NULL;
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
	f = eval_known(e, (unsigned)e->p->gate.rcpt);
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
	f = eval_known(e, c->kind == CLASS_MAP ? c->call.fact : c->fact);
	if (f == NULL) {
		*unknown = true;
		return SV("");
	}
	return arena_lower(
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
	struct eval e = { .p = p, .facts = facts, .rcpt = rcpt, .of_rcpt = true };

	*unknown = false;
	*pool = route_of(&e, unknown);
	*class = class_of(&e, a, unknown);
	if (!e.cancelled)
		return WAIT_OK;
	*pool = *class = strv(NULL, 0);
	return WAIT_CANCELLED;
}

MAY_YIELD enum wait_rc
policy_gate(const struct policy *p, unsigned rcpt, struct facts *facts, struct verdict *out)
{
	struct eval e = { .p = p, .facts = facts, .rcpt = rcpt, .of_rcpt = true };

	*out = (struct verdict){ 0 };
	eval_gate(&e, out);
	if (!e.cancelled)
		return WAIT_OK;
	*out = (struct verdict){ 0 };
	return WAIT_CANCELLED;
}
