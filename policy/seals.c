/*
 * seals -- the conditions of `sign' and `seal', and what the policy may ask at all.
 *
 * Conditions are asked at message, behind all checks, once the message is to be passed on.  One that is
 * unknown does not hold: a message without a signature is better than one that was never meant to have it.
 */
#include "policy/eval.h"
#include "policy/load.h"
#include "policy/policy.h"
#include "proxy/base/arena.h"

bool
seals_is(const struct conf_plain *x)
{
	return strv_eq(x->keyword, SV("sign")) || strv_eq(x->keyword, SV("seal"));
}

void
seals_load(struct loader *l)
{
	struct policy *p = l->p;

	p->seal = arena_array(l->a, l->c->n_plain, sizeof(*p->seal));
	l->tags = true;
	l->advice = true;
	l->heard = p->n_milter;
	for (unsigned i = 0; i < l->c->n_plain; i++) {
		const struct conf_plain *x = &l->c->plain[i];

		if (seals_is(x))
			p->seal[p->n_seal++] =
			    (struct seal_cond){ x, compile_expr(l, x->when, STAGE_MESSAGE) };
	}
	l->advice = false;
	l->tags = false;
}

void
seals_look(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_seal; i++) {
		const struct seal_cond *c = &l->p->seal[i];

		if (c->when != NULL)
			stages_behind(l, c->conf->when, c->when);
	}
}

/* Is it true of clients alone whom somebody has named or let in? */
static bool
is_of_known(const struct policy *p, const struct rule *r)
{
	static const char *const who[] = { "client", "client.ip", "client.name", "authenticated",
		"auth.user", "tls.client-cert" };
	unsigned                 n = 0;

	for (unsigned i = 0; i < r->n_kid; i++)
		n += is_of_known(p, r->kid[i]);
	if (r->kind != EXPR_PRED)
		return r->kind == EXPR_OR ? n == r->n_kid : r->kind == EXPR_AND && n > 0;
	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == MATCH_ABSENT)
			return false;
	}
	for (unsigned i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		if (r->ask.subject == SUBJECT_FACT && !r->negated &&
		    strcmp(p->facts[r->ask.fact].name, who[i]) == 0)
			return true;
	}
	return false;
}

static bool
is_known(const struct policy *p, const struct gate_cond *c)
{
	return c->kind == COND_FROM || c->kind == COND_AUTHENTICATED ||
	    (c->kind == COND_WHEN && is_of_known(p, c->when));
}

/* May somebody in whom we do not know: by a line that asks neither whence nor who? */
static bool
lets_strangers_in(const struct policy *p)
{
	for (unsigned i = 0; i < p->n_line; i++) {
		bool known = false;

		for (unsigned k = 0; k < p->line[i].n; k++)
			known = known || is_known(p, &p->line[i].cond[k]);
		if (!known)
			return true;
	}
	return false;
}

/* From says what its writer likes. */
void
seals_warn(struct loader *l)
{
	for (unsigned i = 0; lets_strangers_in(l->p) && i < l->p->n_seal; i++) {
		const struct conf_plain *x = l->p->seal[i].conf;

		if (x->when == NULL && strv_eq(x->keyword, SV("sign")))
			diag_add(l->d, DIAG_WARNING, x->pos,
			    SV("such as: when client in mynets or authenticated"),
			    "this signs what strangers send in our name as well");
	}
}

/* ---- what may be asked ---- */

static void
mark(struct policy *p, int fact)
{
	if (fact >= 0)
		p->asked[fact] = true;
}

static void
mark_ask(struct policy *p, const struct asked *x)
{
	if (x->subject != SUBJECT_FACT && x->subject != SUBJECT_MAP)
		return;
	mark(p, (int)x->fact);
	mark(p, x->of);
}

/* Depth is bounded by the parser. */
static void
mark_rule(struct policy *p, const struct rule *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < r->n_kid; i++)
		mark_rule(p, r->kid[i]);
	if (r->kind != EXPR_PRED)
		return;
	mark_ask(p, &r->ask);
	for (unsigned i = 0; i < r->n_match; i++) {
		if (r->match[i].kind == MATCH_MAP)
			mark(p, (int)r->match[i].call.fact);
	}
}

static void
mark_text(struct policy *p, const struct text *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (t->piece[i].plain.p == NULL)
			mark_ask(p, &t->piece[i].ask);
	}
}

static void
mark_check(struct policy *p, const struct check *c)
{
	mark_rule(p, c->when);
	mark_text(p, &c->on_unknown.text);
	mark_text(p, &c->final.text);
	for (unsigned i = 0; i < c->n_effect; i++)
		mark_text(p, &c->effect[i].text);
}

static void
mark_gate(struct policy *p)
{
	mark(p, p->gate.rcpt);
	mark(p, p->gate.client);
	mark(p, p->gate.authenticated);
	mark(p, p->gate.tls);
	mark(p, p->gate.listener);
	for (unsigned i = 0; i < p->n_line; i++) {
		for (unsigned k = 0; k < p->line[i].n; k++) {
			const struct gate_cond *c = &p->line[i].cond[k];

			mark_rule(p, c->when);
			if (c->call.map != NULL)
				mark(p, (int)c->call.fact);
		}
	}
}

static void
mark_class(struct policy *p)
{
	if (p->class.kind == CLASS_FACT)
		mark(p, (int)p->class.fact);
	else if (p->class.kind == CLASS_MAP)
		mark(p, (int)p->class.call.fact);
	mark_rule(p, p->class.expr);
}

void
seals_asked(struct policy *p)
{
	p->asked = arena_array(p->a, p->n_facts, sizeof(*p->asked));
	mark_gate(p);
	mark_class(p);
	for (unsigned i = 0; i < p->n_weighed; i++)
		mark_ask(p, &p->weighed[i].ask);
	for (unsigned i = 0; i < p->n_check; i++)
		mark_check(p, &p->check[i]);
	for (unsigned i = 0; i < p->n_seal; i++)
		mark_rule(p, p->seal[i].when);
	for (unsigned i = 0; i < p->n_milter; i++)
		mark_rule(p, p->milter[i].when);
}

bool
policy_asks(const struct policy *p, unsigned fact)
{
	return fact < p->n_facts && p->asked[fact];
}

/* ---- at the end of a message ---- */

unsigned
policy_seals(const struct policy *p)
{
	return p->n_seal;
}

/* For the log, by the name "sign:12": why there is no signature. */
static void
tell_unknown(struct policy_case *c, const struct conf_plain *x)
{
	struct strv name = arena_printf(
	    c->a, "%.*s:%u", (int)x->keyword.n, x->keyword.p, x->pos.line);

	(void)eval_note(c, NOTE_UNKNOWN, STAGE_SEAL, NOTE_NO_RCPT, name);
}

MAY_YIELD enum wait_rc
policy_seal(const struct policy *p, unsigned i, struct policy_case *c, bool *holds, bool *unknown)
{
	struct eval e = { .p = p, .facts = c->facts, .c = c };
	enum truth  t = TRUTH_YES;

	if (p->seal[i].when != NULL)
		t = eval_rule(&e, p->seal[i].when);
	*holds = t == TRUTH_YES && !e.cancelled;
	*unknown = t == TRUTH_UNKNOWN;
	if (*unknown && !e.cancelled)
		tell_unknown(c, p->seal[i].conf);
	return e.cancelled ? WAIT_CANCELLED : WAIT_OK;
}
