/*
 * prove_vars -- the variables of a made-up session: what an expression, or a line of the gate, asks.
 *
 * Each has the uses that it is put to; its values are for prove_picks.c.  The invariant: what is asked is a variable,
 * and one only, unless there are more than ACT_VARS of them (act.full: nothing is proved then).
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"

/* ---- which variable a fact is of ---- */

static const struct {
	const char   *fact;
	enum var_kind kind;
	enum var_part part;
} roles[] = {
	{ "client", VAR_CLIENT, PART_WHOLE },
	{ "client.ip", VAR_CLIENT, PART_WHOLE },
	{ "client.name", VAR_NAME, PART_WHOLE },
	{ "client.rdns", VAR_RDNS, PART_WHOLE },
	{ "listener", VAR_LISTENER, PART_WHOLE },
	{ "tls.version", VAR_TLS, PART_WHOLE },
	{ "tls.cipher", VAR_CIPHER, PART_WHOLE },
	{ "tls.sni", VAR_SNI, PART_WHOLE },
	{ "tls.client-cert", VAR_FIXED, PART_WHOLE },
	{ "helo", VAR_HELO, PART_WHOLE },
	{ "auth.user", VAR_FIXED, PART_WHOLE },
	{ "auth.author", VAR_FIXED, PART_WHOLE },
	{ "auth.mechanism", VAR_FIXED, PART_WHOLE },
	{ "authenticated", VAR_FIXED, PART_WHOLE },
	{ "sender", VAR_SENDER, PART_WHOLE },
	{ "sender.local", VAR_SENDER, PART_LOCAL },
	{ "sender.domain", VAR_SENDER, PART_DOMAIN },
	{ "rcpt", VAR_RCPT, PART_WHOLE },
	{ "rcpt.local", VAR_RCPT, PART_LOCAL },
	{ "rcpt.domain", VAR_RCPT, PART_DOMAIN },
};

enum var_kind
act_role(const struct act *t, const struct fact_def *def, enum var_part *part)
{
	*part = PART_WHOLE;
	for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].fact, def->name) != 0)
			continue;
		*part = roles[i].part;
		/* Who a client is counts as fixed for strangers alone. */
		if (roles[i].kind == VAR_FIXED && t->outside == NULL && !t->clean)
			return VAR_OTHER;
		return roles[i].kind;
	}
	return VAR_OTHER;
}

/* ---- one of them ---- */

void
act_init(
    struct act *t, const struct policy *p, struct arena *a, struct arena *scratch, unsigned *left)
{
	memset(t, 0, sizeof(*t));
	t->p = p;
	t->a = a;
	t->scratch = scratch;
	t->n_rcpt = 1;
	t->left = left;
}

static bool
same_ask(const struct asked *x, const struct asked *y)
{
	return x->subject == y->subject && x->fact == y->fact && x->of == y->of &&
	    (x->text.p == NULL) == (y->text.p == NULL) && strv_eq(x->text, y->text);
}

static struct var *
find_var(struct act *t, enum var_kind kind, unsigned rcpt, const struct asked *ask)
{
	struct var *v;

	for (unsigned i = 0; i < t->n; i++) {
		v = &t->var[i];
		if (v->kind == kind && v->rcpt == rcpt && (ask == NULL || same_ask(ask, &v->ask)))
			return v;
	}
	if (t->n == ACT_VARS) {
		t->full = true;
		return NULL;
	}
	v = &t->var[t->n++];
	*v = (struct var){ .kind = kind, .rcpt = rcpt, .now = -1 };
	if (ask != NULL)
		v->ask = *ask;
	return v;
}

struct var *
act_var(struct act *t, enum var_kind kind, unsigned rcpt)
{
	return find_var(t, kind, rcpt, NULL);
}

static void
add_use(struct act *t, struct var *v, struct use use)
{
	if (v == NULL)
		return;
	v->use = arena_grow(t->a, v->use, &v->max_use, v->n_use + 1, sizeof(*v->use));
	v->use[v->n_use++] = use;
}

/* ---- of expressions ---- */

/* The variables of one fact: one for each recipient where it is a fact of recipients. */
static void
learn_fact(struct act *t, const struct asked *ask, const struct use *what)
{
	const struct fact_def *def = &t->p->facts[ask->fact];
	struct use             use = *what;
	enum var_kind          kind = act_role(t, def, &use.part);
	struct asked           of = { .subject = SUBJECT_FACT, .of = -1 };
	struct var            *v;

	use.def = def;
	if (ask->of >= 0) {
		of.fact = (unsigned)ask->of;
		learn_fact(t, &of, &(struct use){ 0 });
	}
	for (unsigned i = 0; i < (def->per_rcpt ? t->n_rcpt : 1); i++) {
		v = find_var(t, kind, i, kind == VAR_OTHER ? ask : NULL);
		if (v != NULL && kind == VAR_OTHER)
			v->def = def;
		add_use(t, v, use);
	}
}

static void
learn_call(struct act *t, const struct map_call *call)
{
	struct asked ask = { .subject = SUBJECT_FACT, .fact = call->fact, .of = -1 };

	if (call->map != NULL)
		learn_fact(t, &ask, &(struct use){ .map = call->map });
}

static void
learn_pred(struct act *t, const struct rule *r)
{
	struct use use = { .match = r->match, .n_match = r->n_match };

	for (unsigned i = 0; i < r->n_match; i++)
		learn_call(t, &r->match[i].call);
	switch (r->ask.subject) {
	case SUBJECT_FACT:
		learn_fact(t, &r->ask, &use);
		break;
	case SUBJECT_MAP:
		learn_call(t, &(struct map_call){ r->ask.map, r->ask.fact });
		break;
	case SUBJECT_TAG:
		(void)find_var(t, VAR_TAG, 0, &r->ask);
		break;
	case SUBJECT_SCORE:
		for (unsigned i = 0; i < t->p->n_weighed; i++)
			learn_fact(t, &t->p->weighed[i].ask, &(struct use){ 0 });
		break;
	}
}

void
act_learn(struct act *t, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++)
		act_learn(t, r->kid[i]);
	if (r->kind == EXPR_PRED)
		learn_pred(t, r);
}

static void
learn_gate_fact(struct act *t, int fact, const struct match *m, const struct map_call *call)
{
	struct asked ask = { .subject = SUBJECT_FACT, .fact = (unsigned)fact, .of = -1 };

	if (fact >= 0)
		learn_fact(t, &ask, &(struct use){ .match = m, .n_match = m != NULL });
	learn_call(t, call);
}

/* Conditions as if they were predicates: `from' of the client, `to' of the recipient. */
static void
learn_cond(struct act *t, const struct gate_cond *c)
{
	const struct gate_facts *g = &t->p->gate;
	struct match            *m = arena_alloc(t->a, sizeof(*m));

	m->kind = MATCH_NAMES;
	m->call = c->call;
	if (c->call.map != NULL)
		m->kind = MATCH_MAP;
	if (c->kind == COND_FROM) {
		m->kind = c->call.map != NULL ? MATCH_MAP : MATCH_NETS;
		m->nets = c->nets;
		learn_gate_fact(t, g->client, m, &c->call);
	} else if (c->kind == COND_TO) {
		m->domains = c->domains;
		m->addresses = c->addresses;
		learn_gate_fact(t, g->rcpt, m, &c->call);
	} else if (c->kind == COND_ON) {
		m->kind = MATCH_TEXT;
		m->text = c->listener;
		learn_gate_fact(t, g->listener, m, &c->call);
	} else if (c->kind == COND_AUTHENTICATED) {
		learn_gate_fact(t, g->authenticated, NULL, &c->call);
		learn_gate_fact(t, c->over_tls ? g->tls : -1, NULL, &c->call);
	} else if (c->kind == COND_WHEN) {
		act_learn(t, c->when);
	}
}

void
act_learn_line(struct act *t, const struct gate_line *line)
{
	(void)find_var(t, VAR_RCPT, 0, NULL);
	for (unsigned i = 0; i < line->n; i++)
		learn_cond(t, &line->cond[i]);
}
