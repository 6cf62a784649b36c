/*
 * prove_act -- what a policy says to a made-up session, and the search for values to which something is said.
 *
 * Nothing parks: every fact is answered at once.  The invariant: an answer is policy_eval's own, on
 * facts that this session has, so a "yes" is never wrong; "no" with open variables holds for all
 * their values.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"
#include "proxy/mail/envelope.h"

/* ---- asking ---- */

static enum wait_rc
act_ask(void *ctx, struct fact *f)
{
	const struct act *t = ctx;

	f->state = act_value(t, f->def, f->rcpt, f->arg, &f->v) ? FACT_KNOWN : FACT_UNKNOWN;
	f->source = SV("made up");
	return WAIT_OK;
}

/* Tags that the session has: bits for the transaction and for each recipient. */
static void
set_tags(const struct act *t, struct marks *m)
{
	*m = (struct marks){ arena_array(t->scratch, rules_bits(t->p) / 64 + 1, sizeof(uint64_t)),
		arena_array(t->scratch, t->p->n_tag / 64 + 1, sizeof(uint64_t)),
		arena_array(t->scratch, rules_bits(t->p) / 64 + 1, sizeof(uint64_t)) };
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind == VAR_TAG && v->now >= 0 && v->pick[v->now].v.yes)
			m->tag[v->ask.fact / 64] |= (uint64_t)1 << (v->ask.fact % 64);
	}
}

static enum answer
answer_of(const struct verdict *v)
{
	return v->kind == VERDICT_NONE ? ANSWER_YES :
	    v->kind == VERDICT_REJECT  ? ANSWER_NO :
					 ANSWER_MAYBE;
}

static void
one_envelope(const struct act *t, struct envelope *e)
{
	e->rcpt = arena_array(t->scratch, t->n_rcpt, sizeof(*e->rcpt));
	e->n_rcpt = e->max_rcpt = t->n_rcpt;
	for (unsigned i = 0; i < t->n_rcpt; i++)
		e->rcpt[i].upstream_took = true;
}

enum answer
act_ask_line(struct act *t, const struct gate_line *line)
{
	struct policy      only = *t->p;
	struct envelope    env = { .n_rcpt = 0 };
	struct facts       facts = { .a = t->scratch, .ask = act_ask, .ctx = t };
	struct policy_case c = { .a = t->scratch, .facts = &facts, .mode = POLICY_TEST };
	struct verdict     v;

	if (t->left != NULL && *t->left > 0)
		--*t->left;
	only.has_relay = true;
	only.line = (struct gate_line *)line;
	only.n_line = 1;
	only.n_check = 0;
	only.stages = 0;
	one_envelope(t, &env);
	c.env = &env;
	set_tags(t, &c.marks);
	(void)policy_eval(&only, STAGE_RCPT, 0, &c, &v);
	arena_reset(t->scratch);
	return answer_of(&v);
}

enum answer
act_ask_rule(struct act *t, struct rule *r)
{
	struct gate_cond cond = { .kind = COND_WHEN, .when = r };
	struct gate_line line = { .cond = &cond, .n = 1 };

	return act_ask_line(t, &line);
}

struct verdict
act_ask_policy(struct act *t, enum stage at, struct policy_case *c)
{
	struct facts   facts = { .a = t->a, .ask = act_ask, .ctx = t };
	struct verdict v;

	c->facts = &facts;
	(void)policy_eval(t->p, at, 0, c, &v);
	return v;
}

/* ---- searching ---- */

/* A variable that has a value, or NULL.  fact: of VAR_OTHER. */
static const struct var *
chosen(const struct act *t, enum var_kind kind, const char *fact)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind == kind && v->now >= 0 &&
		    (fact == NULL || strcmp(v->def->name, fact) == 0))
			return v;
	}
	return NULL;
}

/* Can a stranger have that name for himself, and what it publishes?  Of what is open he chooses. */
static bool
is_own(const struct var *v)
{
	return v == NULL || v->pick[v->now].own;
}

static bool
passes(const struct var *v)
{
	return v != NULL && v->pick[v->now].v.word != FACT_WORD_ABSENT &&
	    strcmp(v->def->words[v->pick[v->now].v.word], "pass") == 0;
}

/*
 * SPF passes where the owner of a name says so: for names that are the stranger's own, not for those that a list
 * names.  RFC 7208 2.4: it is the sender's domain, of <> the name of HELO.
 */
static bool
is_consistent(const struct act *t)
{
	const struct var  *sender = chosen(t, VAR_SENDER, NULL), *helo = chosen(t, VAR_HELO, NULL);
	const struct path *path = sender != NULL ? sender->pick[sender->now].v.path : NULL;
	bool               null = path != NULL && path->kind == PATH_NULL;

	if (t->outside == NULL)
		return true;
	if (passes(chosen(t, VAR_OTHER, "spf.helo")) && !is_own(helo))
		return false;
	return !passes(chosen(t, VAR_OTHER, "spf")) ||
	    (is_own(null ? helo : sender) && is_own(chosen(t, VAR_OTHER, "spf.domain")));
}

/* Does it hang on a value that no ceiling left room for? */
static bool
is_cut(const struct act *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		if (t->var[i].cut && t->var[i].now < 0)
			return true;
	}
	return false;
}

static bool
search(struct act *t, unsigned k, enum answer (*ask)(struct act *t, void *arg), void *arg)
{
	struct var *v = k < t->n ? &t->var[k] : NULL;
	enum answer x = ANSWER_MAYBE;

	if (*t->left == 0) {
		t->over = true;
		return false;
	}
	/* A tag has no third value: before all of them are chosen no answer counts. */
	if (v == NULL || v->kind != VAR_TAG)
		x = ask(t, arg);
	if (x == ANSWER_YES && is_consistent(t))
		return true;
	if (x == ANSWER_NO)
		return false;
	if (v == NULL) {
		t->maybe = t->maybe || x == ANSWER_MAYBE;
		t->cut = t->cut || (x == ANSWER_MAYBE && is_cut(t));
		return false;
	}
	for (unsigned i = 0; i < v->n && !t->over; i++) {
		v->now = (int)i;
		if (search(t, k + 1, ask, arg))
			return true;
	}
	v->now = -1;
	return !t->over && (t->outside == NULL ? v->partial : v->cut) && search(t, k + 1, ask, arg);
}

/* Those of a kind to the front, in the order in which they came. */
static void
sort_first(struct act *t, enum var_kind kind)
{
	unsigned n = 0;

	for (unsigned i = 0; i < t->n; i++) {
		struct var v = t->var[i];

		if (v.kind != kind)
			continue;
		memmove(&t->var[n + 1], &t->var[n], (i - n) * sizeof(v));
		t->var[n++] = v;
	}
}

bool
act_find(struct act *t, enum answer (*ask)(struct act *t, void *arg), void *arg)
{
	sort_first(t, VAR_RCPT);
	sort_first(t, VAR_TAG);
	for (unsigned i = 0; i < t->n; i++)
		t->var[i].now = -1;
	t->over = t->full;
	return !t->over && search(t, 0, ask, arg);
}
