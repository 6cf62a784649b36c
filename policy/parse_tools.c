/*
 * parse_tools -- steps over tokens: look, take, recover from mistakes.
 *
 * Recovery: a mistake costs the rest of its item, not of its block.  A block that is never
 * closed is noticed where a statement begins in the first column, so that what follows is still
 * read as it was meant.
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

/* ---- { } ---- */

bool
parse_open(struct parser *p, struct block_state *b, const char *of)
{
	const struct token *t = parse_peek(p);

	if (t->kind == TOKEN_EOS && t[1].kind == TOKEN_OPEN) {
		diag_add(p->d, DIAG_ERROR, t[1].pos,
		    SV("a newline ends a statement outside of { }"),
		    "the `{' of %s must stand on the same line", of);
		p->at++;
		p->start = p->at;
		t++;
	}
	if (t->kind != TOKEN_OPEN || parse_at_end(p)) {
		parse_expected(p, "`{'");
		return false;
	}
	parse_take(p);
	p->depth++;
	t = parse_peek(p);
	*b = (struct block_state){ p->t[p->at - 1].pos, t->pos.col };
	return true;
}

bool
parse_open_named(struct parser *p, struct block_state *b, const char *of, bool named)
{
	while (!named && !parse_at_end(p) && !parse_is_kind(p, TOKEN_OPEN))
		parse_take(p);
	if (named || parse_is_kind(p, TOKEN_OPEN))
		return parse_open(p, b, of);
	return false;
}

/*
 * A statement in the first column of a block that is indented: the `}' in front of it is
 * missing.
 */
bool
parse_ran_away(const struct parser *p, const struct block_state *b)
{
	const struct token *t = parse_peek(p);

	return t->kind == TOKEN_WORD && t->fresh && t->pos.col == 1 && b->first_col != 1 &&
	    t->pos.line > b->open.line && statement_find(t->text) != NULL;
}

/* Reported once, for the innermost of the blocks that are open here. */
static void
never_closed(struct parser *p, const struct block_state *b)
{
	const struct token *t = parse_peek(p);

	p->depth--;
	if (p->runaway == p->at && p->at > 0)
		return;
	p->runaway = p->at;
	if (t->kind == TOKEN_END || t->kind == TOKEN_EOS)
		diag_add(p->d, DIAG_ERROR, b->open,
		    SV("a `}' is missing, before the end of the file at the latest"),
		    "this `{' is never closed");
	else
		diag_add(p->d, DIAG_ERROR, b->open,
		    arena_printf(p->a, "a `}' is missing before line %u, where %s begins",
			t->pos.line, diag_quote(p->a, t->text)),
		    "this `{' is never closed");
}

bool
parse_more(struct parser *p, struct block_state *b)
{
	const struct token *t = parse_peek(p);

	if (t->kind == TOKEN_CLOSE) {
		parse_take(p);
		p->depth--;
		return false;
	}
	if (t->kind == TOKEN_END || t->kind == TOKEN_EOS || parse_ran_away(p, b)) {
		never_closed(p, b);
		return false;
	}
	return true;
}

static bool
is_one_of(struct strv v, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strv_eq(v, strv_z(*words)))
			return true;
	}
	return false;
}

/* Was the last mistake found at this very token? */
static bool
is_told(const struct parser *p, const struct token *t)
{
	const struct diag *last = p->d->n > 0 ? &p->d->v[p->d->n - 1] : NULL;

	return last != NULL && last->pos.src == t->pos.src && last->pos.line == t->pos.line &&
	    last->pos.col == t->pos.col;
}

/* One of the block's keywords, or a word that begins a line: there the next item may begin. */
static bool
may_begin_item(const struct parser *p, const struct token *t, const char *const *words)
{
	if (t->kind != TOKEN_WORD)
		return false;
	return is_one_of(t->text, words) ||
	    (t->fresh && !word_is_reserved(t->text) && !is_told(p, t));
}

void
parse_sync(struct parser *p, const struct block_state *b, const char *const *words)
{
	unsigned inner = 0;

	for (;;) {
		const struct token *t = parse_peek(p);

		if (t->kind == TOKEN_END || t->kind == TOKEN_EOS || parse_ran_away(p, b))
			return;
		if (inner == 0 && (t->kind == TOKEN_CLOSE || may_begin_item(p, t, words)))
			return;
		if (t->kind == TOKEN_OPEN)
			inner++;
		else if (t->kind == TOKEN_CLOSE)
			inner--;
		parse_take(p);
	}
}

void
parse_skip_statement(struct parser *p)
{
	struct block_state b = { .first_col = 2 };
	unsigned           inner = 0;

	for (;;) {
		const struct token *t = parse_peek(p);

		if (t->kind == TOKEN_END || t->kind == TOKEN_EOS)
			return;
		if (inner == 0 && parse_at_end(p))
			return;
		if (inner > 0 && parse_ran_away(p, &b))
			return;
		if (t->kind == TOKEN_OPEN) {
			b = (struct block_state){ t->pos, t[1].pos.col };
			inner++;
		} else if (t->kind == TOKEN_CLOSE && inner > 0) {
			inner--;
		}
		parse_take(p);
	}
}

/* A comma stands between two items. */
static void
set_comma(struct parser *p, bool behind_item)
{
	static const char   comma[] = "one comma, or a blank, stands between two items";
	const struct token *t = parse_take(p);

	if (!behind_item)
		diag_add(
		    p->d, DIAG_ERROR, t->pos, strv_z(comma), "no item stands before this comma");
	else if (parse_peek(p)->kind == TOKEN_CLOSE)
		diag_add(
		    p->d, DIAG_ERROR, t->pos, strv_z(comma), "no item stands behind this comma");
}

bool
parse_set(struct parser *p, struct lits *out)
{
	static const char *const none[] = { NULL };
	struct block_state       b;
	bool                     behind_item = false;
	unsigned                 errors = p->d->errors;

	if (!parse_open(p, &b, "a set"))
		return false;
	while (parse_more(p, &b)) {
		struct lit x;

		if (parse_is_kind(p, TOKEN_COMMA)) {
			set_comma(p, behind_item);
			behind_item = false;
		} else if (parse_value(p, "an item of the set", &x)) {
			lits_add(p->a, out, x);
			behind_item = true;
		} else {
			parse_sync(p, &b, none);
		}
	}
	return p->d->errors == errors;
}
