/*
 * milters -- `milter' and `plugin' blocks: what they say, held together; where their conditions are known.
 *
 * A milter looks, and what it says is advice: so its `when' may ask whatever is known at any stage, and
 * nothing here depends on the order of checks.  Sockets and files are for who makes filters of them.
 */
#include "policy/hints.h"
#include "policy/load.h"
#include "policy/policy.h"
#include "policy/statements.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define TIMEOUT_MOST 3600 /* s */

int
milters_number(const struct policy *p, struct strv name)
{
	for (unsigned i = 0; i < p->n_milter; i++) {
		if (strv_eq(p->milter[i].is.name, name))
			return (int)i;
	}
	return -1;
}

unsigned
policy_milters(const struct policy *p)
{
	return p->n_milter;
}

const struct policy_milter *
policy_milter(const struct policy *p, unsigned i)
{
	return &p->milter[i].is;
}

/* ---- names ---- */

void
milters_begin(struct loader *l)
{
	const struct conf_tree *t = l->c->tree;
	struct policy          *p = l->p;

	p->milter = arena_array(l->a, POLICY_MILTERS, sizeof(*p->milter));
	for (unsigned i = 0; i < t->n; i++) {
		const struct block *b = &t->block[i];
		struct milter_rule *m = &p->milter[p->n_milter];

		if (b->kind != BLOCK_MILTER)
			continue;
		if (p->n_milter == POLICY_MILTERS) {
			diag_add(l->d, DIAG_ERROR, b->pos,
			    SV("each of them is asked for every message, one after the other"),
			    "more than %d milters and plugins", POLICY_MILTERS);
			return;
		}
		m->conf = b->u.milter;
		m->is.name = m->conf->name.text;
		m->is.pos = m->conf->name.text.p == NULL ? b->pos : m->conf->name.pos;
		m->is.plugin = m->conf->plugin;
		m->is.warn = m->conf->warn;
		p->n_milter++;
	}
}

/* ---- what a block says ---- */

enum whose { OF_BOTH, OF_MILTER, OF_PLUGIN };

static const struct {
	const char *word;
	enum whose  whose;
	const char *instead;
} items[] = {
	[MILTER_SOCKET] = { "socket", OF_MILTER,
	    "what is reached by a socket is a milter: milter NAME { socket \"SOCKET\" }" },
	[MILTER_LOAD] = { "load", OF_PLUGIN,
	    "what is loaded from a file is a plugin: plugin NAME { load \"FILE\" }" },
	[MILTER_ISOLATED] = { "isolated", OF_PLUGIN, "a milter is a process of its own already" },
	[MILTER_TIMEOUT] = { "timeout", OF_BOTH, NULL },
	[MILTER_ARGS] = { "args", OF_PLUGIN, "whoever starts the milter gives it its arguments" },
	[MILTER_WHEN] = { "when", OF_BOTH, NULL },
	[MILTER_ON_FAILURE] = { "on failure", OF_BOTH, NULL },
};

#define N_ITEM (sizeof(items) / sizeof(items[0]))

static const char *
kind_of(const struct milter_rule *m)
{
	return m->is.plugin ? "a plugin" : "a milter";
}

static void
take_timeout(struct loader *l, struct milter_rule *m, const struct lit *v)
{
	uint64_t seconds = 0;

	m->is.timeout_pos = v->pos;
	if (word_duration(v->text, &seconds) && seconds > 0 && seconds <= TIMEOUT_MOST)
		m->is.timeout = seconds * 1000;
	else
		diag_add(l->d, DIAG_ERROR, v->pos,
		    SV("such as 30s or 5m; the client waits so long"),
		    "a timeout is from 1s to 1h");
}

static void
take_args(struct loader *l, struct milter_rule *m, const struct milter_item *x)
{
	struct strv *v = arena_array(l->a, x->args.n, sizeof(*v));

	m->is.args = v;
	for (; m->is.n_args < x->args.n && m->is.n_args < POLICY_MILTER_ARGS; m->is.n_args++)
		v[m->is.n_args] = x->args.v[m->is.n_args].text;
	if (x->args.n > POLICY_MILTER_ARGS)
		diag_add(l->d, DIAG_ERROR, x->args.v[POLICY_MILTER_ARGS].pos,
		    SV("a plugin can read a file, whose name is one argument"),
		    "more than %d arguments", POLICY_MILTER_ARGS);
}

/* What it knows when it is told of the end of a message: those above have spoken. */
static void
take_when(struct loader *l, struct milter_rule *m, unsigned number, const struct expr *e)
{
	l->tags = l->advice = true;
	l->heard = number;
	m->is.conditional = true;
	m->expr = e;
	m->when = compile_expr(l, e, STAGE_MAX);
	l->tags = l->advice = false;
}

static void
take_failure(struct milter_rule *m, const struct lit *v)
{
	static const char *const words[] = { [FAILURE_TEMPFAIL] = "tempfail",
		[FAILURE_ACCEPT] = "accept",
		[FAILURE_REJECT] = "reject",
		[FAILURE_QUARANTINE] = "quarantine",
		[FAILURE_DISCONNECT] = "disconnect" };

	m->is.failure_pos = v->pos;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strv_eq(v->text, strv_z(words[i])))
			m->is.on_failure = (enum on_failure)i;
	}
}

static void
take_item(struct loader *l, struct milter_rule *m, unsigned number, const struct milter_item *x)
{
	switch (x->kind) {
	case MILTER_SOCKET:
		m->is.socket = x->value.text;
		m->is.socket_pos = x->value.pos;
		break;
	case MILTER_LOAD:
		m->is.load = x->value.text;
		m->is.load_pos = x->value.pos;
		break;
	case MILTER_ISOLATED:
		m->is.isolated = true;
		break;
	case MILTER_TIMEOUT:
		take_timeout(l, m, &x->value);
		break;
	case MILTER_ARGS:
		take_args(l, m, x);
		break;
	case MILTER_WHEN:
		take_when(l, m, number, x->when);
		break;
	case MILTER_ON_FAILURE:
		take_failure(m, &x->value);
		break;
	}
}

/* Does it belong here, and is it the first of its kind? */
static bool
may_stand(struct loader *l, const struct milter_rule *m, const struct milter_item *x,
    const struct milter_item **seen)
{
	const struct milter_item *first = seen[x->kind];
	enum whose                other = m->is.plugin ? OF_MILTER : OF_PLUGIN;

	if (items[x->kind].whose == other) {
		diag_add(l->d, DIAG_ERROR, x->pos, strv_z(items[x->kind].instead), "%s has no `%s'",
		    kind_of(m), items[x->kind].word);
		return false;
	}
	seen[x->kind] = first == NULL ? x : first;
	if (first == NULL)
		return true;
	diag_add(l->d, DIAG_ERROR, x->pos,
	    arena_printf(l->a, "the first stands in line %u", first->pos.line), "a second `%s'",
	    items[x->kind].word);
	return false;
}

/* The one thing that it cannot do without; where the other one's stands that is said already. */
static void
look_home(struct loader *l, const struct milter_rule *m)
{
	enum milter_item_kind due = m->is.plugin ? MILTER_LOAD : MILTER_SOCKET;

	for (unsigned i = 0; i < m->conf->n; i++) {
		if (m->conf->item[i].kind == MILTER_LOAD || m->conf->item[i].kind == MILTER_SOCKET)
			return;
	}
	diag_add(l->d, DIAG_ERROR, m->is.pos,
	    m->is.plugin ? SV("such as: load \"/usr/lib/postern/size-limit.so\"") :
			   SV("such as: socket \"unix:/run/clamav/milter.sock\""),
	    "%s needs a `%s'", kind_of(m), items[due].word);
}

static void
load_one(struct loader *l, struct milter_rule *m, unsigned number)
{
	const struct milter_item *seen[N_ITEM] = { NULL };
	const char               *word = m->is.plugin ? "plugin" : "milter";
	const struct statement   *s = statement_find(strv_z(word));

	if (!s->here)
		not_in_build(l, m->is.pos, strv_z(word));
	l->quiet = !s->here;
	for (unsigned i = 0; i < m->conf->n; i++) {
		if (may_stand(l, m, &m->conf->item[i], seen))
			take_item(l, m, number, &m->conf->item[i]);
	}
	l->quiet = false;
	if (m->conf->whole)
		look_home(l, m);
}

void
milters_load(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_milter; i++)
		load_one(l, &l->p->milter[i], i);
}

/* ---- where conditions are known ---- */

/* The check that sets the tag behind the milters, so that none of them can know it; NULL: there is none. */
static const struct check *
set_behind(const struct policy *p, unsigned tag)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		const struct check *c = &p->check[i];

		for (unsigned k = 0; k < c->n_effect && c->advised; k++) {
			if (c->effect[k].kind == EFFECT_TAG && c->effect[k].number == tag)
				return c;
		}
	}
	return NULL;
}

/* Rules have the shape of what they were compiled from. */
static void
look_tags(struct loader *l, const struct expr *e, const struct rule *r)
{
	const struct check *c;

	for (unsigned i = 0; i < r->n_kid; i++)
		look_tags(l, e->kid[i], r->kid[i]);
	if (r->kind != EXPR_PRED || r->ask.subject != SUBJECT_TAG)
		return;
	c = set_behind(l->p, r->ask.fact);
	if (c != NULL)
		diag_add(l->d, DIAG_ERROR, e->pred->fact.name.pos,
		    SV("a check that asks milter() is decided behind the milters"),
		    "%s is set by %s, which asks what milters say",
		    diag_quote(l->a, e->pred->fact.name.text), diag_quote(l->a, c->name));
}

void
milters_look(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_milter; i++) {
		struct milter_rule *m = &l->p->milter[i];
		bool                per_rcpt = false;

		if (m->when == NULL)
			continue;
		m->at = stages_rule(l->p, m->when, &per_rcpt);
		stages_behind(l, m->expr, m->when);
		look_tags(l, m->expr, m->when);
	}
}

/* ---- milter(NAME) ---- */

static const char ask_form[] = "such as: milter(clamav) is reject";

/* The name of a milter looks like a fact, or stands in quotes.  NULL: reported. */
static const struct lit *
take_name(struct loader *l, const struct fact_ref *f)
{
	const struct arg *x = f->n_arg > 0 ? &f->arg[0] : NULL;
	const struct lit *lit = x == NULL ? NULL : x->kind == ARG_FACT ? &x->fact.name : &x->lit;

	if (f->n_arg == 1 && x->kind != ARG_NUMBER && !(x->kind == ARG_FACT && x->fact.call))
		return lit;
	diag_add(l->d, DIAG_ERROR, f->n_arg == 1 ? lit->pos : f->name.pos, strv_z(ask_form),
	    "`milter' takes the name of one milter or plugin");
	return NULL;
}

static void
no_such_milter(struct loader *l, const struct lit *name)
{
	struct strv *words = arena_array(l->a, l->p->n_milter, sizeof(*words));

	for (unsigned i = 0; i < l->p->n_milter; i++)
		words[i] = l->p->milter[i].is.name;
	diag_add(l->d, DIAG_ERROR, name->pos,
	    hint_words(l->a, name->text, words, l->p->n_milter,
		"one is written: milter NAME { socket \"SOCKET\" }"),
	    "no milter is called %s", diag_quote(l->a, name->text));
}

bool
milters_ask(struct loader *l, const struct fact_ref *f, struct strv *name)
{
	const struct lit *lit;
	int               number;

	if (!l->advice) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("checks can ask it, and the conditions of `sign' and `seal'"),
		    "what milters say is not known here");
		return false;
	}
	if ((lit = take_name(l, f)) == NULL)
		return false;
	number = milters_number(l->p, lit->text);
	if (number < 0) {
		no_such_milter(l, lit);
		return false;
	}
	*name = l->p->milter[number].is.name;
	if ((unsigned)number < l->heard)
		return true;
	diag_add(l->d, DIAG_ERROR, lit->pos,
	    SV("a milter is told behind those above it, and what they say is known then"),
	    "%s does not stand above this one", diag_quote(l->a, lit->text));
	return false;
}

/* Depth is bounded by the parser. */
bool
milters_asked(const struct policy *p, const struct rule *r)
{
	for (unsigned i = 0; i < r->n_kid; i++) {
		if (milters_asked(p, r->kid[i]))
			return true;
	}
	return r->kind == EXPR_PRED && r->ask.subject == SUBJECT_FACT &&
	    strcmp(p->facts[r->ask.fact].name, "milter") == 0;
}
