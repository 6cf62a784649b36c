/*
 * compile -- expressions into rules: names into numbers, words into sets, types held together.
 *
 * Every predicate becomes "one of some matches, or none of them" on one fact; what cannot mean
 * anything for a fact's type is an error here, so eval.c meets only what it can decide.
 */
#include "policy/hints.h"
#include "policy/load.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define WORDS_MAX 64

static const char *
type_text(enum fact_type type)
{
	static const char *const words[] = { "a yes or no", "a number", "a text",
		"an address of a host", "a mail address", "a word", "a set of host addresses",
		"a set of texts" };

	return words[type];
}

static struct match *
add_match(struct loader *l, struct rule *r, unsigned *max, enum match_kind kind)
{
	r->match = arena_grow(l->a, r->match, max, r->n_match + 1, sizeof(*r->match));
	r->match[r->n_match] = (struct match){ .kind = kind };
	return &r->match[r->n_match++];
}

struct pred_state { /* while one predicate is compiled */
	struct loader         *l;
	enum stage             at;
	const struct pred     *x;
	const struct fact_def *def;
	struct rule           *r;
	unsigned               max;
};

static bool
wrong_type(struct pred_state *s, struct pos at, const char *what)
{
	diag_add(s->l->d, DIAG_ERROR, at, hint_ask(s->l->a, s->x->fact.name.text, s->def),
	    "%s is %s: %s", diag_quote(s->l->a, s->x->fact.name.text), type_text(s->def->type),
	    what);
	return false;
}

/* ---- values ---- */

static bool
value_word(struct pred_state *s, const struct lit *v)
{
	const char *const *words = s->def->words;
	unsigned           i = 0;

	while (i < WORDS_MAX && words[i] != NULL && !strv_eq(v->text, strv_z(words[i])))
		i++;
	if (i == WORDS_MAX || words[i] == NULL) {
		diag_add(s->l->d, DIAG_ERROR, v->pos, hint_words_z(s->l->a, v->text, words),
		    "%s is never %s", diag_quote(s->l->a, s->x->fact.name.text),
		    diag_quote(s->l->a, v->text));
		return false;
	}
	add_match(s->l, s->r, &s->max, MATCH_WORDS)->words = (uint64_t)1 << i;
	return true;
}

static bool
value_number(struct pred_state *s, const struct lit *v)
{
	struct match *m;
	uint64_t      size;
	double        number;

	if (word_size(v->text, &size)) {
		number = (double)size;
	} else if (!word_number(v->text, &number)) {
		diag_add(s->l->d, DIAG_ERROR, v->pos, SV("such as 5, -1.5 or 25M"),
		    "%s is no number", diag_quote(s->l->a, v->text));
		return false;
	}
	m = add_match(s->l, s->r, &s->max, MATCH_NUMBER);
	m->number = number;
	m->op = s->x->op == PRED_IS ? PRED_EQ : s->x->op;
	return true;
}

static bool
value_path(struct pred_state *s, const struct lit *v)
{
	const char  *why = "";
	struct path  path;
	enum path_rc rc = path_parse_plain(s->l->a, v->text, &path, &why);

	if (rc == PATH_OK && path.kind == PATH_NULL) {
		add_match(s->l, s->r, &s->max, MATCH_NULL);
		return true;
	}
	if (rc != PATH_OK || path.kind != PATH_MAILBOX) {
		diag_add(s->l->d, DIAG_ERROR, v->pos,
		    SV("an address is user@domain, or null for <>; for a domain ask its .domain"),
		    "%s is no address%s%s", diag_quote(s->l->a, v->text), rc == PATH_OK ? "" : ": ",
		    rc == PATH_OK ? "" : why);
		return false;
	}
	add_match(s->l, s->r, &s->max, MATCH_PATH)->path = path;
	return true;
}

/* What other languages say of a thing that is there, or is not. */
static bool
says_state(struct strv word)
{
	static const char *const states[] = { "present", "set", "defined", "known", "missing",
		"empty", "unset", "undefined", "none" };

	for (unsigned i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strv_ieq(word, strv_z(states[i])))
			return true;
	return false;
}

/*
 * A text is held against any word, so a slip in a word of the language would go unnoticed, and so would what other
 * languages say.
 */
static void
warn_slip(struct pred_state *s, const struct lit *v)
{
	static const char *const special[] = { "absent", "fqdn", "literal", NULL };
	const char              *near = diag_nearest(v->text, special);
	struct strv              hint = near != NULL ?
			 diag_did_you_mean(s->l->a, strv_z(near)) :
			 SV("`is absent' asks if there is none, `is not absent' if there is one");

	if (v->quoted || s->x->op != PRED_IS)
		return;
	if (near != NULL ? strv_eq(v->text, strv_z(near)) : !says_state(v->text))
		return;
	diag_add(s->l->d, DIAG_WARNING, v->pos, hint,
	    "%s is taken for a text; in quotes nobody doubts that", diag_quote(s->l->a, v->text));
}

/* The name of a listener that is not there can never be. */
static bool
value_text(struct pred_state *s, const struct lit *v)
{
	struct loader *l = s->l;
	bool           listener = strv_eq(strv_z(s->def->name), SV("listener")) && !v->quoted &&
	    word_is_name(v->text);

	for (unsigned i = 0; listener && i < l->names->n_listener; i++) {
		if (strv_ieq(l->names->listener[i], v->text))
			listener = false;
	}
	if (listener) {
		diag_add(l->d, DIAG_ERROR, v->pos,
		    hint_words(l->a, v->text, l->names->listener, l->names->n_listener,
			"as in: listen 0.0.0.0:587 name submission"),
		    "no listener is called %s", diag_quote(l->a, v->text));
		return false;
	}
	warn_slip(s, v);
	add_match(l, s->r, &s->max, MATCH_TEXT)->text = v->text;
	return true;
}

static bool
value_addr(struct pred_state *s, const struct lit *v)
{
	struct lits    one = { (struct lit *)v, 1, 1 };
	unsigned       errors = s->l->d->errors;
	struct netset *nets = lists_networks(s->l, &one);

	add_match(s->l, s->r, &s->max, MATCH_NETS)->nets = nets;
	return s->l->d->errors == errors;
}

/* dmarc.policy has a word `absent', which is what a postmaster means there. */
static bool
has_word(const struct fact_def *def, struct strv word)
{
	for (unsigned i = 0; def->type == FACT_WORD && i < WORDS_MAX && def->words[i] != NULL; i++)
		if (strv_eq(strv_z(def->words[i]), word))
			return true;
	return false;
}

/* null, absent, fqdn and literal are questions of their own, unless they stand in quotes. */
static bool
value_special(struct pred_state *s, const struct lit *v, bool *ok)
{
	enum fact_type type = s->def->type;

	*ok = true;
	if (v->quoted || s->x->op != PRED_IS)
		return false;
	if (strv_eq(v->text, SV("absent")) && !has_word(s->def, v->text)) {
		add_match(s->l, s->r, &s->max, MATCH_ABSENT);
		return true;
	}
	if (strv_eq(v->text, SV("null")) && type == FACT_PATH) {
		add_match(s->l, s->r, &s->max, MATCH_NULL);
		return true;
	}
	if (strv_eq(v->text, SV("fqdn")) || strv_eq(v->text, SV("literal"))) {
		if (type != FACT_TEXT && type != FACT_PATH)
			return false;
		add_match(s->l, s->r, &s->max, v->text.p[0] == 'f' ? MATCH_FQDN : MATCH_LITERAL);
		return true;
	}
	if (strv_eq(v->text, SV("null")) && type == FACT_TEXT)
		*ok = wrong_type(s, v->pos,
		    "null asks of a sender or recipient; `is absent' asks whether there is none");
	return !*ok;
}

static bool
value_any(struct pred_state *s, const struct lit *v)
{
	bool ok;

	if (value_special(s, v, &ok))
		return ok;
	switch (s->def->type) {
	case FACT_WORD:
		return value_word(s, v);
	case FACT_NUMBER:
		return value_number(s, v);
	case FACT_PATH:
		return value_path(s, v);
	case FACT_TEXT:
	case FACT_TEXTS:
		return value_text(s, v);
	case FACT_ADDR:
	case FACT_ADDRS:
		return value_addr(s, v);
	case FACT_BOOL:
		break;
	}
	return wrong_type(s, v->pos, "it stands alone, or behind `not'");
}

static bool
each_value(struct pred_state *s, const struct lits *v)
{
	bool ok = true;

	for (unsigned i = 0; i < v->n; i++)
		ok = value_any(s, &v->v[i]) && ok;
	return ok;
}

/* ---- in ---- */

static unsigned
lists_for(enum fact_type type)
{
	switch (type) {
	case FACT_ADDR:
	case FACT_ADDRS:
		return WANT(NETWORKS);
	case FACT_PATH:
	case FACT_TEXT:
	case FACT_TEXTS:
		return WANT(DOMAINS) | WANT(ADDRESSES);
	default:
		return 0;
	}
}

static bool
in_list(struct pred_state *s, const struct lit *name)
{
	struct loader *l = s->l;
	unsigned       want = lists_for(s->def->type);
	struct match  *m;
	struct list   *list;

	if (names_has_memory(l, name->text)) {
		not_in_build(l, name->pos, SV("memory"));
		return false;
	}
	if (want == 0)
		return wrong_type(s, name->pos, "no list holds such; name the values in { }");
	list = lists_find(l, name, want, diag_quote(l->a, s->x->fact.name.text));
	if (list == NULL)
		return false;
	m = add_match(l, s->r, &s->max, list->nets != NULL ? MATCH_NETS : MATCH_NAMES);
	m->nets = list->nets;
	if (list->conf->kind == LIST_DOMAINS)
		m->domains = list->names;
	else if (list->conf->kind == LIST_ADDRESSES)
		m->addresses = list->names;
	return true;
}

/* Items of a set for texts: "a.example" is that text, ".example" every sub-domain. */
static void
in_texts(struct pred_state *s, const struct lits *set)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct lits   one = { &set->v[i], 1, 1 };
		struct match *m;

		if (!strv_starts(one.v->text, SV("."))) {
			value_text(s, one.v);
			continue;
		}
		m = add_match(s->l, s->r, &s->max, MATCH_NAMES);
		lists_names(s->l, &one, &m->domains, &m->addresses);
	}
}

static bool
in_set(struct pred_state *s, const struct lits *set)
{
	unsigned      errors = s->l->d->errors;
	struct match *m;

	switch (s->def->type) {
	case FACT_ADDR:
	case FACT_ADDRS:
		m = add_match(s->l, s->r, &s->max, MATCH_NETS);
		m->nets = lists_networks(s->l, set);
		break;
	case FACT_PATH:
		m = add_match(s->l, s->r, &s->max, MATCH_NAMES);
		lists_names(s->l, set, &m->domains, &m->addresses);
		break;
	case FACT_TEXT:
	case FACT_TEXTS:
		in_texts(s, set);
		break;
	default:
		return each_value(s, set);
	}
	return s->l->d->errors == errors;
}

/* X in M(fact): the map's values must be what X may be held against. A text is held against texts. */
static bool
in_map(struct pred_state *s, const struct fact_ref *call)
{
	unsigned        kinds = lists_for(s->def->type), want = 0;
	struct map_call out;

	if (kinds == 0)
		return wrong_type(s, call->name.pos, "no map holds such; name the values in { }");
	if (kinds == WANT(NETWORKS))
		want = MAP_NETS;
	else if (s->def->type == FACT_PATH)
		want = MAP_NAMES;
	if (!maps_call(s->l, call, want, s->at, &out))
		return false;
	add_match(s->l, s->r, &s->max, MATCH_MAP)->call = out;
	return true;
}

static bool
in_ref(struct pred_state *s, const struct list_ref *ref)
{
	if (ref->kind == REF_SET)
		return in_set(s, &ref->set);
	if (ref->kind == REF_NAME)
		return in_list(s, &ref->name);
	return in_map(s, ref->call);
}

/* ---- predicates ---- */

static bool
bare(struct pred_state *s)
{
	if (s->def->type == FACT_BOOL) {
		add_match(s->l, s->r, &s->max, MATCH_TRUE);
		return true;
	}
	if (s->def->type == FACT_ADDRS || s->def->type == FACT_TEXTS) {
		add_match(s->l, s->r, &s->max, MATCH_ABSENT);
		s->r->negated = true;
		return true;
	}
	return wrong_type(s, s->x->fact.name.pos, "it cannot stand alone, ask something of it");
}

/* matches STRING, matches LIST: one of some patterns is found in the text. */
static bool
matches(struct pred_state *s, const struct lit *v)
{
	struct loader         *l = s->l;
	const struct pattern **one;
	struct match          *m;
	struct list           *list;

	if (s->def->type != FACT_TEXT && s->def->type != FACT_TEXTS && s->def->type != FACT_PATH)
		return wrong_type(s, s->x->op_pos, "patterns are found in texts");
	if (!lists_have_patterns(l, s->x->op_pos, "matches"))
		return false;
	m = add_match(l, s->r, &s->max, MATCH_PATTERN);
	if (v->quoted) {
		one = arena_array(l->a, 1, sizeof(*one));
		*one = lists_pattern(l, v);
		m->pattern = one;
		m->n_pattern = 1;
		return *one != NULL;
	}
	list = lists_find(l, v, WANT(PATTERNS), "`matches'");
	if (list == NULL)
		return false;
	m->pattern = list->pattern;
	m->n_pattern = list->n_pattern;
	return true;
}

static bool
compile_op(struct pred_state *s)
{
	const struct pred *x = s->x;

	switch (x->op) {
	case PRED_BARE:
		return bare(s);
	case PRED_IS:
		return each_value(s, &x->value);
	case PRED_IN:
		return in_ref(s, &x->list);
	case PRED_EQ:
		return x->list.kind == REF_SET ? in_set(s, &x->list.set) : each_value(s, &x->value);
	case PRED_MATCHES:
		return matches(s, &x->value.v[0]);
	case PRED_RESOLVES:
		return bare(s);
	default:
		break;
	}
	if (s->def->type != FACT_NUMBER)
		return wrong_type(s, x->op_pos, "only numbers are smaller or greater");
	return each_value(s, &x->value);
}

/* What is known of names where the fact itself is not of this build. */
static void
check_names(struct loader *l, const struct pred *x)
{
	struct map_call call;

	if (x->op == PRED_IN && x->list.kind == REF_CALL)
		maps_call(l, x->list.call, 0, STAGE_MAX, &call);
	else if (x->op == PRED_IN && x->list.kind == REF_NAME &&
	    !names_has_memory(l, x->list.name.text))
		lists_find(
		    l, &x->list.name, WANT(NETWORKS) | WANT(DOMAINS) | WANT(ADDRESSES), "`in'");
	else if (x->op == PRED_MATCHES && x->value.n == 1 && !x->value.v[0].quoted)
		lists_find(l, &x->value.v[0], WANT(PATTERNS), "`matches'");
}

/* What is asked about: a fact, or M(fact), which is like a fact of several texts. */
static bool
compile_subject(struct pred_state *s)
{
	static const struct fact_def resolves = { .name = "resolves", .type = FACT_BOOL };
	struct rule                 *r = s->r;

	if (s->x->op == PRED_RESOLVES) {
		s->def = &resolves;
		if (!asks_resolves(s->l, &s->x->fact, s->at, s->x->op_pos, &r->ask))
			return false;
	} else if (!asks_find(s->l, &s->x->fact, s->at, &r->ask, &s->def)) {
		return false;
	}
	r->null_is_fqdn = strv_eq(strv_z(s->def->name), SV("sender.domain"));
	r->null_is_yes = asks_null_is_yes(s->l, &r->ask);
	return true;
}

static struct rule *
compile_pred(struct loader *l, const struct pred *x, enum stage at)
{
	struct rule      *r = arena_alloc(l->a, sizeof(*r));
	struct pred_state s = { .l = l, .at = at, .x = x, .r = r };

	r->kind = EXPR_PRED;
	r->negated = x->negated;
	if (compile_subject(&s))
		return compile_op(&s) ? r : NULL;
	if (s.def == NULL)
		check_names(l, x);
	return NULL;
}

static bool
quantifier_ok(struct loader *l, const struct expr *e, enum stage at)
{
	const char *word = e->kind == EXPR_ANY_RCPT ? "any rcpt" : "all rcpt";

	if ((e->kind != EXPR_ANY_RCPT && e->kind != EXPR_ALL_RCPT) || at >= STAGE_DATA)
		return true;
	diag_add(l->d, DIAG_ERROR, e->pos,
	    SV("at rcpt an expression speaks of the one recipient at hand"),
	    "`%s' is for what is decided at message", word);
	return false;
}

/*
 * at: the stage at which it will be asked; STAGE_MAX: not known.  All kids are compiled, also
 * behind a mistake.  Depth is bounded by the parser.
 */
struct rule *
compile_expr(struct loader *l, const struct expr *e, enum stage at)
{
	struct rule *r;
	bool         ok;

	if (e == NULL)
		return NULL;
	if (e->kind == EXPR_PRED)
		return compile_pred(l, e->pred, at);
	ok = quantifier_ok(l, e, at);
	r = arena_alloc(l->a, sizeof(*r));
	r->kind = e->kind;
	r->kid = arena_array(l->a, e->n_kid, sizeof(struct rule *));
	for (; r->n_kid < e->n_kid; r->n_kid++) {
		r->kid[r->n_kid] = compile_expr(l, e->kid[r->n_kid], at);
		ok = r->kid[r->n_kid] != NULL && ok;
	}
	return ok ? r : NULL;
}
