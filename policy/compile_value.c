/*
 * compile_value -- one value that a fact is held against: x is v, x = v, x < v, as the fact's type reads it.
 *
 * A value of the wrong type is an error at the value's own place, and so is one that the fact can never have: a match
 * that nothing could meet is not made.
 */
#include "policy/compile_own.h"
#include "policy/hints.h"
#include "policy/words.h"

#define WORDS_MAX 64

static bool
value_word(struct compiling *s, const struct lit *v)
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
	compile_match(s, MATCH_WORDS)->words = (uint64_t)1 << i;
	return true;
}

static bool
value_number(struct compiling *s, const struct lit *v)
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
	m = compile_match(s, MATCH_NUMBER);
	m->number = number;
	m->op = s->x->op == PRED_IS || s->x->op == PRED_IN ? PRED_EQ : s->x->op;
	return true;
}

static bool
value_path(struct compiling *s, const struct lit *v)
{
	const char  *why = "";
	struct path  path;
	enum path_rc rc = path_parse_plain(s->l->a, v->text, &path, &why);

	if (rc == PATH_OK && path.kind == PATH_NULL) {
		compile_match(s, MATCH_NULL);
		return true;
	}
	if (rc != PATH_OK || path.kind != PATH_MAILBOX) {
		diag_add(s->l->d, DIAG_ERROR, v->pos,
		    SV("an address is user@domain, or null for <>; for a domain ask its .domain"),
		    "%s is no address%s%s", diag_quote(s->l->a, v->text), rc == PATH_OK ? "" : ": ",
		    rc == PATH_OK ? "" : why);
		return false;
	}
	compile_match(s, MATCH_PATH)->path = path;
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
warn_slip(struct compiling *s, const struct lit *v)
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
bool
compile_text(struct compiling *s, const struct lit *v)
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
		    policy_listener_meant(l->a, v->text, l->names->listener, l->names->n_listener),
		    "no listener is called %s", diag_quote(l->a, v->text));
		return false;
	}
	warn_slip(s, v);
	compile_match(s, MATCH_TEXT)->text = v->text;
	return true;
}

static bool
value_addr(struct compiling *s, const struct lit *v)
{
	struct lits    one = { (struct lit *)v, 1, 1 };
	unsigned       errors = s->l->d->errors;
	struct netset *nets = lists_networks(s->l, &one);

	compile_match(s, MATCH_NETS)->nets = nets;
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
value_special(struct compiling *s, const struct lit *v, bool *ok)
{
	enum fact_type type = s->def->type;

	*ok = true;
	if (v->quoted || s->x->op != PRED_IS)
		return false;
	if (strv_eq(v->text, SV("absent")) && !has_word(s->def, v->text)) {
		compile_match(s, MATCH_ABSENT);
		return true;
	}
	if (strv_eq(v->text, SV("null")) && type == FACT_PATH) {
		compile_match(s, MATCH_NULL);
		return true;
	}
	if (strv_eq(v->text, SV("fqdn")) || strv_eq(v->text, SV("literal"))) {
		if (type != FACT_TEXT && type != FACT_PATH)
			return false;
		compile_match(s, v->text.p[0] == 'f' ? MATCH_FQDN : MATCH_LITERAL);
		return true;
	}
	if (strv_eq(v->text, SV("null")) && type == FACT_TEXT)
		*ok = compile_wrong_type(s, v->pos,
		    "null asks of a sender or recipient; `is absent' asks whether there is none");
	return !*ok;
}

static bool
value_any(struct compiling *s, const struct lit *v)
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
		return compile_text(s, v);
	case FACT_ADDR:
	case FACT_ADDRS:
		return value_addr(s, v);
	case FACT_BOOL:
		break;
	}
	return compile_wrong_type(s, v->pos, "it stands alone, or behind `not'");
}

bool
compile_values(struct compiling *s, const struct lits *v)
{
	bool ok = true;

	for (unsigned i = 0; i < v->n; i++)
		ok = value_any(s, &v->v[i]) && ok;
	return ok;
}
