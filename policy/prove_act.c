/*
 * prove_act -- a made-up session: its facts from the values at hand, what the policy says to it, and
 * the search for values to which something is said.
 *
 * Nothing parks: every fact is answered at once.  The invariant: an answer is policy_eval's own, on
 * facts that this session has, so a "yes" is never wrong; "no" with open variables holds for all
 * their values.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"
#include "proxy/mail/envelope.h"

/* ---- which variable a fact is of ---- */

static const struct role {
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

static struct role
role_of(const struct act *t, const struct fact_def *def)
{
	struct role other = { def->name, VAR_OTHER, PART_WHOLE };

	for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(roles[i].fact, def->name) != 0)
			continue;
		other = roles[i];
		/* Who a client is counts as fixed for strangers alone. */
		if (other.kind == VAR_FIXED && t->outside == NULL && !t->clean)
			other.kind = VAR_OTHER;
		return other;
	}
	return other;
}

/* ---- variables ---- */

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

/* The variables of one fact: one for each recipient where it is a fact of recipients. */
static void
learn_fact(struct act *t, const struct asked *ask, const struct use *what)
{
	const struct fact_def *def = &t->p->facts[ask->fact];
	struct role            role = role_of(t, def);
	struct use             use = *what;
	struct asked           of = { .subject = SUBJECT_FACT, .of = -1 };
	struct var            *v;

	use.def = def;
	use.part = role.part;
	if (ask->of >= 0) {
		of.fact = (unsigned)ask->of;
		learn_fact(t, &of, &(struct use){ 0 });
	}
	for (unsigned i = 0; i < (def->per_rcpt ? t->n_rcpt : 1); i++) {
		v = find_var(t, role.kind, i, role.kind == VAR_OTHER ? ask : NULL);
		if (v != NULL && role.kind == VAR_OTHER)
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

/* ---- facts ---- */

union fact_value
act_absent(enum fact_type type)
{
	union fact_value v = { .number = 0 };

	memset(&v, 0, sizeof(v));
	if (type == FACT_NUMBER)
		v.number = FACT_NUMBER_ABSENT;
	else if (type == FACT_WORD)
		v.word = FACT_WORD_ABSENT;
	return v;
}

union fact_value
act_part(const union fact_value *v, enum var_part part)
{
	union fact_value x = *v;

	if (part == PART_WHOLE)
		return x;
	memset(&x, 0, sizeof(x));
	if (v->path == NULL || v->path->kind == PATH_NULL)
		return x;
	x.text = part == PART_LOCAL ? v->path->local : v->path->domain;
	return x;
}

const struct path *
act_mailbox(struct arena *a, struct strv local, struct strv domain)
{
	struct path *p = arena_alloc(a, sizeof(*p));

	p->kind = domain.p == NULL ? PATH_LOCAL : PATH_MAILBOX;
	p->local = local;
	p->domain = domain;
	p->text = domain.p == NULL ? local :
				     arena_concat(a, arena_concat(a, local, SV("@")), domain);
	if (domain.n > 2 && domain.p[0] == '[')
		(void)addr_parse_literal(strv(domain.p + 1, domain.n - 2), &p->literal);
	return p;
}

/* The argument that struct fact has for what was asked; absent: it depends on what is open. */
static struct strv
argument(const struct act *t, const struct asked *ask, unsigned rcpt, bool *open)
{
	union fact_value       v;
	const struct fact_def *of;
	struct strv            value;

	*open = false;
	if (ask->of < 0)
		return ask->text;
	of = &t->p->facts[ask->of];
	if (!act_value(t, of, rcpt, strv(NULL, 0), &v)) {
		*open = true;
		return strv(NULL, 0);
	}
	value = of->type != FACT_PATH ? v.text : v.path != NULL ? v.path->domain : strv(NULL, 0);
	if (ask->text.p == NULL)
		return value;
	return arena_concat(t->scratch, arena_concat(t->scratch, ask->text, SV(" ")), value);
}

/* Which variable a fact with that argument is. */
static const struct var *
var_of(const struct act *t, enum var_kind kind, const struct fact_def *def, unsigned rcpt,
    struct strv arg)
{
	bool open;

	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind != kind || v->rcpt != rcpt)
			continue;
		if (kind != VAR_OTHER ||
		    (v->def == def && strv_eq(argument(t, &v->ask, rcpt, &open), arg) && !open))
			return v;
	}
	return NULL;
}

/* The fields that every message should have (RFC 5322 3.6) are there once. */
static void
clean_header(struct strv name, union fact_value *out)
{
	static const char *const names[] = { "From", "To", "Date", "Message-ID", "Subject" };
	static const struct strv value = { "test", 4 };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strv_ieq(name, strv_z(names[i])))
			continue;
		out->texts.v = &value;
		out->texts.n = 1;
	}
}

/* What a sender who does everything right looks like. */
static union fact_value
clean_value(const struct fact_def *def, struct strv arg)
{
	static const struct {
		const char *fact;
		int64_t     number;
	} numbers[] = { { "client.port", 40000 }, { "rcpt.count", 1 }, { "message.size", 2000 },
		{ "received", 1 }, { "size", 2000 }, { "score", 0 } };
	static const char *const good[] = { "resolves", "resolves.host", "mx" };
	union fact_value         v = act_absent(def->type);

	for (unsigned i = 0; def->type == FACT_BOOL && i < sizeof(good) / sizeof(good[0]); i++)
		v.yes = v.yes || strcmp(def->name, good[i]) == 0;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(def->name, numbers[i].fact) == 0)
			v.number = numbers[i].number;
	}
	if (strcmp(def->name, "from.domain") == 0)
		v.text = SV("client.example");
	else if (strcmp(def->name, "from.address") == 0)
		v.text = SV("mailer-daemon@client.example");
	else if (strcmp(def->name, "header") == 0)
		clean_header(arg, &v);
	if (def->type == FACT_WORD && def->words != NULL)
		v.word = 0; /* "none", or the first that there is */
	return v;
}

/* In the clear there is neither cipher nor server name. */
static bool
in_the_clear(const struct act *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind == VAR_TLS && v->now >= 0)
			return v->pick[v->now].v.text.p == NULL;
	}
	return false;
}

bool
act_value(const struct act *t, const struct fact_def *def, unsigned rcpt, struct strv arg,
    union fact_value *out)
{
	struct role       role = role_of(t, def);
	const struct var *v;

	*out = act_absent(def->type);
	if (role.kind == VAR_FIXED)
		return true;
	if ((role.kind == VAR_CIPHER || role.kind == VAR_SNI) && in_the_clear(t))
		return true;
	v = var_of(t, role.kind, def, def->per_rcpt ? rcpt : 0, arg);
	if (v != NULL && v->now >= 0) {
		*out = act_part(&v->pick[v->now].v, role.part);
		return true;
	}
	/* Whatever is asked, the gate wants a recipient. */
	if (v == NULL && role.kind == VAR_RCPT && !t->clean) {
		out->path = act_mailbox(t->scratch, SV("victim"), SV("stranger.example"));
		*out = act_part(out, role.part);
		return true;
	}
	if (!t->clean || (t->no_dns && def->cost == COST_DNS))
		return false;
	*out = clean_value(def, arg);
	return true;
}

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

/*
 * SPF, and all that goes with it, passes for names that are the sender's own: not for those that a
 * list names.
 */
static bool
is_consistent(const struct act *t)
{
	bool own = true, pass = false;

	if (t->outside == NULL)
		return true;
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->now < 0)
			continue;
		if (v->kind == VAR_SENDER)
			own = v->pick[v->now].own;
		if (v->kind == VAR_OTHER && strcmp(v->def->name, "spf") == 0)
			pass = v->pick[v->now].v.word != FACT_WORD_ABSENT &&
			    strcmp(v->def->words[v->pick[v->now].v.word], "pass") == 0;
	}
	return own || !pass;
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
		return false;
	}
	for (unsigned i = 0; i < v->n && !t->over; i++) {
		v->now = (int)i;
		if (search(t, k + 1, ask, arg))
			return true;
	}
	v->now = -1;
	return !t->over && v->partial && t->outside == NULL && search(t, k + 1, ask, arg);
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
