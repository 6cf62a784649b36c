/*
 * prove_relay -- does the relay block let a stranger send to strangers?
 *
 * A stranger connects from a public address that no list of known hosts has, and says of himself what
 * he likes: HELO, sender, the names of his own addresses, what the DNS says of his own domains.  He has
 * not authenticated, and no certificate of his was verified.  The recipient is of a domain that the
 * block does not name.  Checks do not count: they may go, the block stays.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define ROUTED_DOMAINS 32 /* of the whole gate, tried with a local part that routes */

static enum answer
ask_line(struct act *t, void *arg)
{
	return act_ask_line(t, arg);
}

/* What the session rests upon, and no step of a test can say. */
static struct strv
unsaid(struct prover *x, const struct act *t)
{
	static const char *const facts[] = { "size", "client.port", "early-talker" };
	struct strv              all = SV("");
	const char              *name;

	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		name = v->kind == VAR_SNI ? "tls.sni" : v->kind == VAR_CIPHER ? "tls.cipher" : NULL;
		if (v->kind == VAR_TLS && v->now >= 0 && v->pick[v->now].v.text.p != NULL &&
		    !strv_eq(v->pick[v->now].v.text, SV("TLSv1.3")))
			name = "tls.version";
		for (unsigned k = 0; v->kind == VAR_OTHER && k < 3; k++)
			name = strcmp(v->def->name, facts[k]) == 0 ? facts[k] : name;
		if (name != NULL && v->now >= 0)
			all = arena_concat(x->a, all, arena_printf(x->a, " %s", name));
	}
	return all;
}

static struct strv
hint(struct prover *x, const struct act *t, const char *name)
{
	struct strv more = unsaid(x, t), say;

	say = more.n == 0 ?
	    SV("this test fails until the line is narrower:\n") :
	    arena_printf(x->a, "a session such as this one, with what no test can say:%.*s\n",
		(int)more.n, more.p);
	return arena_concat(
	    x->d->a, say, act_test(t, x->d->a, name, "550 5.7.1 by relay", STAGE_RCPT, NULL));
}

static void
not_proved(struct prover *x, const struct gate_line *line)
{
	diag_add(x->d, DIAG_WARNING, line->conf->pos,
	    SV("fewer conditions or shorter lists in one line can be searched through"),
	    "not proved: whether this line makes an open relay was not found out in time");
}

/* ---- an open relay ---- */

static bool
prove_line(struct prover *x, const struct outside *o, const struct gate_line *line, unsigned *left)
{
	struct act t;

	act_init(&t, x->p, x->a, x->scratch, left);
	t.outside = o;
	act_learn_line(&t, line);
	picks_fill(&t);
	if (!act_find(&t, ask_line, (void *)line)) {
		if (t.over || t.cut)
			not_proved(x, line);
		return false;
	}
	diag_add(x->d, DIAG_ERROR, line->conf->pos, hint(x, &t, "a stranger cannot relay"),
	    "open relay: this line lets a stranger send to anybody");
	return true;
}

/* ---- local parts that route ---- */

/* Ours, but with a local part by which the server behind may send the message elsewhere. */
static void
prove_routing(
    struct prover *x, const struct outside *o, const struct gate_line *line, unsigned *left)
{
	struct act  t;
	struct var *rcpt;
	struct strv domain;

	act_init(&t, x->p, x->a, x->scratch, left);
	t.outside = o;
	t.routes = true;
	act_learn_line(&t, line);
	picks_fill(&t);
	rcpt = act_var(&t, VAR_RCPT, 0);
	if (rcpt == NULL)
		return;
	/* Those that the line itself names are there already, but a pattern need not show what it finds. */
	for (unsigned i = 0; i < ROUTED_DOMAINS && (domain = outside_domain(o, i)).p != NULL; i++)
		picks_add_name(&t, rcpt, PART_DOMAIN, domain);
	if (!act_find(&t, ask_line, (void *)line))
		return;
	diag_add(x->d, DIAG_WARNING, line->conf->pos, hint(x, &t, "nobody can route through us"),
	    x->p->routing ?
		"routing characters are allowed: where the server behind trusts us and routes by them, this line is an open relay" :
		"a local part that routes passes this line, as it has no `to': where the server behind trusts us, that is an open relay");
}

void
prove_relay(struct prover *x)
{
	struct outside *o;
	unsigned        left = ACT_EVALS;

	if (!outside_enters(x->p))
		return;
	o = outside_new(x->p, x->keep);
	for (unsigned i = 0; i < x->p->n_line; i++) {
		if (!prove_line(x, o, &x->p->line[i], &left))
			prove_routing(x, o, &x->p->line[i], &left);
		arena_reset(x->a);
	}
}
