/*
 * parse_braces -- { and }: where a block begins and ends, where to read on after a mistake, sets.
 *
 * Recovery: a mistake costs the rest of its item, not of its block.  A block that is never
 * closed is noticed where a statement begins in the first column, so that what follows is still
 * read as it was meant.
 */
#include "policy/parse.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

/* ---- blocks ---- */

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

/* ---- after a mistake ---- */

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

/* ---- sets ---- */

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
