/*
 * parse_tools -- steps over tokens: look at the next one, take it if it is what is due, say what
 * was expected if not.  Where to read on after that is parse_braces.c's.
 */
#include "policy/hints.h"
#include "policy/parse.h"
#include "policy/policy.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

void
lits_add(struct arena *a, struct lits *l, struct lit x)
{
	l->v = arena_grow(a, l->v, &l->max, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = x;
}

/* ---- looking ---- */

const struct token *
parse_peek(const struct parser *p)
{
	return &p->t[p->at];
}

/*
 * Behind a block that was given up the lexer still counts its brace: there `fresh` tells the
 * end.
 */
bool
parse_at_end(const struct parser *p)
{
	const struct token *t = parse_peek(p);

	return t->kind == TOKEN_END || t->kind == TOKEN_EOS ||
	    (p->depth == 0 && t->fresh && p->at != p->start);
}

bool
parse_is_kind(const struct parser *p, enum token_kind kind)
{
	return parse_peek(p)->kind == kind && !parse_at_end(p);
}

bool
parse_is(const struct parser *p, const char *word)
{
	return parse_is_kind(p, TOKEN_WORD) && strv_eq(parse_peek(p)->text, strv_z(word));
}

/* ---- taking ---- */

const struct token *
parse_take(struct parser *p)
{
	const struct token *t = parse_peek(p);

	if (t->kind != TOKEN_END)
		p->at++;
	return t;
}

bool
parse_accept(struct parser *p, const char *word)
{
	if (!parse_is(p, word))
		return false;
	parse_take(p);
	return true;
}

bool
parse_accept_kind(struct parser *p, enum token_kind kind)
{
	if (!parse_is_kind(p, kind))
		return false;
	parse_take(p);
	return true;
}

struct lit
parse_take_lit(struct parser *p)
{
	const struct token *t = parse_take(p);

	return (struct lit){ t->text, t->pos, t->kind == TOKEN_STRING };
}

static const char *
describe(const struct parser *p)
{
	const struct token *t = parse_peek(p);

	if (t->kind == TOKEN_END)
		return "the end of the file";
	if (parse_at_end(p))
		return "the end of the statement";
	return t->kind == TOKEN_STRING ? "a string" : diag_quote(p->a, t->text);
}

struct strv
parse_hint(struct parser *p, const char *what)
{
	struct strv hint = hint_due(what);

	return hint.p != NULL ? hint : policy_form(p->a, p->keyword);
}

void
parse_expected(struct parser *p, const char *what)
{
	struct pos pos = parse_peek(p)->pos;

	/* At the end of a line the mark stands behind what is there, not on the next line. */
	if (parse_at_end(p) && p->at > p->start) {
		pos = p->t[p->at - 1].pos;
		pos.col += pos.len;
		pos.len = 0;
	}
	diag_add(
	    p->d, DIAG_ERROR, pos, parse_hint(p, what), "expected %s, found %s", what, describe(p));
}

static bool
reserved(struct parser *p)
{
	const struct token *t = parse_peek(p);

	if (!parse_is_kind(p, TOKEN_WORD) || !word_is_reserved(t->text))
		return false;
	diag_add(p->d, DIAG_ERROR, t->pos, SV("in quotes it is a string like any other"),
	    "%s is a word of the language and cannot stand here", diag_quote(p->a, t->text));
	return true;
}

bool
parse_word(struct parser *p, const char *what, struct lit *out)
{
	if (!parse_is_kind(p, TOKEN_WORD) || word_is_reserved(parse_peek(p)->text)) {
		parse_expected(p, what);
		return false;
	}
	*out = parse_take_lit(p);
	return true;
}

bool
parse_string(struct parser *p, const char *what, struct lit *out)
{
	if (parse_is_kind(p, TOKEN_STRING)) {
		*out = parse_take_lit(p);
		return true;
	}
	if (parse_is_kind(p, TOKEN_WORD)) {
		struct lit x = parse_take_lit(p);

		diag_add(p->d, DIAG_ERROR, x.pos,
		    arena_printf(
			p->a, "write \"%.*s\"", (int)(x.text.n < 60 ? x.text.n : 60), x.text.p),
		    "%s stands in quotes", what);
		return false;
	}
	parse_expected(p, what);
	return false;
}

/* 'x' is a word like any other to the lexer, and never what was meant. */
static bool
other_quotes(struct parser *p)
{
	struct strv v = parse_peek(p)->text;

	if (!parse_is_kind(p, TOKEN_WORD) || v.n < 2 || v.p[0] != '\'' || v.p[v.n - 1] != '\'')
		return false;
	diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
	    arena_printf(p->a, "write \"%.*s\"", (int)(v.n - 2), v.p + 1),
	    "a string stands between double quotes");
	return true;
}

bool
parse_value(struct parser *p, const char *what, struct lit *out)
{
	if (reserved(p) || other_quotes(p))
		return false;
	if (!parse_is_kind(p, TOKEN_WORD) && !parse_is_kind(p, TOKEN_STRING)) {
		parse_expected(p, what);
		return false;
	}
	*out = parse_take_lit(p);
	return true;
}

bool
parse_shape(struct parser *p, bool (*is)(struct strv), const char *what, struct lit *out)
{
	struct lit x;

	if (!parse_word(p, what, &x))
		return false;
	if (!is(x.text)) {
		diag_add(p->d, DIAG_ERROR, x.pos, parse_hint(p, what), "expected %s, found %s",
		    what, diag_quote(p->a, x.text));
		return false;
	}
	*out = x;
	return true;
}

bool
parse_name(struct parser *p, const char *what, struct lit *out)
{
	struct lit  x;
	struct strv hint = strv(NULL, 0);

	if (!parse_word(p, what, &x))
		return false;
	if (!word_is_name(x.text)) {
		if (strcmp(what, "the name of a list") == 0)
			hint = hint_item(p->a, x.text);
		if (hint.p == NULL)
			hint = SV("a name is a letter, then letters, digits, - and _");
		diag_add(p->d, DIAG_ERROR, x.pos, hint, "%s cannot be %s", diag_quote(p->a, x.text),
		    what);
		return false;
	}
	*out = x;
	return true;
}

static bool
is_duration(struct strv v)
{
	uint64_t seconds;

	return word_duration(v, &seconds);
}

bool
parse_duration(struct parser *p, struct lit *out)
{
	return parse_shape(p, is_duration, "a duration such as 30s, 5m, 2h or 7d", out);
}

bool
parse_keyword(struct parser *p, const char *word)
{
	if (parse_accept(p, word))
		return true;
	parse_expected(p, diag_quote(p->a, strv_z(word)));
	return false;
}

static struct strv
nearest_or_form(struct parser *p, struct strv v, const char *const *words, const char *what)
{
	const char *near = diag_nearest(v, words);

	return near == NULL ? parse_hint(p, what) : diag_did_you_mean(p->a, strv_z(near));
}

bool
parse_one_of(struct parser *p, const char *const *words, const char *what, struct lit *out)
{
	if (!parse_word(p, what, out))
		return false;
	for (unsigned i = 0; words[i] != NULL; i++) {
		if (strv_eq(out->text, strv_z(words[i])))
			return true;
	}
	diag_add(p->d, DIAG_ERROR, out->pos, nearest_or_form(p, out->text, words, what),
	    "expected %s, found %s", what, diag_quote(p->a, out->text));
	return false;
}

void
parse_unknown(struct parser *p, const char *const *words, const char *what)
{
	const struct token *t = parse_peek(p);

	if (!parse_is_kind(p, TOKEN_WORD))
		parse_expected(p, what);
	else
		diag_add(p->d, DIAG_ERROR, t->pos, nearest_or_form(p, t->text, words, what),
		    "expected %s, found %s", what, diag_quote(p->a, t->text));
}
