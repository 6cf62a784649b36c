/*
 * parse_expr -- facts, references to lists, and predicates (parse_pred.c) joined to expressions.
 *
 * Recursion is bounded by PARSE_NEST_MAX, whatever the input.
 */
#include "policy/parse.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

static bool
enter(struct parser *p)
{
	if (p->nest < PARSE_NEST_MAX) {
		p->nest++;
		return true;
	}
	diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
	    SV("a list says many alternatives at once, a tag what another check found"),
	    "nested more than %d deep", PARSE_NEST_MAX);
	return false;
}

static void
leave(struct parser *p)
{
	p->nest--;
}

/* ---- facts ---- */

static bool
is_number(struct strv v)
{
	double number;

	return word_number(v, &number);
}

static bool
parse_arg(struct parser *p, struct arg *out)
{
	const struct token *t = parse_peek(p);

	if (t->kind == TOKEN_STRING || (t->kind == TOKEN_WORD && is_number(t->text))) {
		out->kind = t->kind == TOKEN_STRING ? ARG_STRING : ARG_NUMBER;
		out->lit = parse_take_lit(p);
		return true;
	}
	out->kind = ARG_FACT;
	return parse_fact(p, &out->fact);
}

/* args = "(" [ (STRING|fact|NUMBER) { "," (STRING|fact|NUMBER) } ] ")" */
static bool
parse_args(struct parser *p, struct fact_ref *f)
{
	parse_take(p);
	f->call = true;
	if (parse_accept_kind(p, TOKEN_RPAREN))
		return true;
	do {
		struct arg x = { 0 };

		if (!parse_arg(p, &x))
			return false;
		f->arg = arena_grow(p->a, f->arg, &f->max_arg, f->n_arg + 1, sizeof(*f->arg));
		f->arg[f->n_arg++] = x;
	} while (parse_accept_kind(p, TOKEN_COMMA));
	if (parse_accept_kind(p, TOKEN_RPAREN))
		return true;
	parse_expected(p, "`,' or `)'");
	return false;
}

/* Blanks forgotten around an operator make one WORD of three. */
static struct strv
hint_blanks(struct parser *p, struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '=' || v.p[i] == '<' || v.p[i] == '>' || v.p[i] == '!') {
			size_t n = i + 1 < v.n && v.p[i + 1] == '=' ? 2 : 1;

			return arena_printf(
			    p->a, "put blanks around %s", diag_quote(p->a, strv(v.p + i, n)));
		}
	}
	return parse_hint(p, "a fact");
}

/* fact = FACT [ args ] */
bool
parse_fact(struct parser *p, struct fact_ref *out)
{
	bool ok = true;

	if (parse_is_kind(p, TOKEN_STRING)) {
		diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
		    SV("facts are written without quotes"), "expected a fact, found a string");
		return false;
	}
	if (!parse_word(p, "a fact", &out->name))
		return false;
	if (!word_is_fact(out->name.text)) {
		diag_add(p->d, DIAG_ERROR, out->name.pos, hint_blanks(p, out->name.text),
		    "%s is not the name of a fact", diag_quote(p->a, out->name.text));
		return false;
	}
	if (parse_is_kind(p, TOKEN_LPAREN)) {
		if (!enter(p))
			return false;
		ok = parse_args(p, out);
		leave(p);
	}
	return ok;
}

/* listref = NAME | set | call ;  call = NAME args */
bool
parse_list_ref(struct parser *p, struct list_ref *out)
{
	struct fact_ref call = { 0 };

	out->name.pos = parse_peek(p)->pos;
	if (parse_is_kind(p, TOKEN_OPEN)) {
		out->kind = REF_SET;
		return parse_set(p, &out->set);
	}
	if (!parse_is_kind(p, TOKEN_WORD)) {
		parse_expected(p, "a list or { ... }");
		return false;
	}
	if (!parse_name(p, "the name of a list", &out->name))
		return false;
	out->kind = REF_NAME;
	if (!parse_is_kind(p, TOKEN_LPAREN))
		return true;
	if (!enter(p))
		return false;
	call.name = out->name;
	out->kind = REF_CALL;
	out->call = arena_alloc(p->a, sizeof(*out->call));
	*out->call = call;
	if (!parse_args(p, out->call)) {
		leave(p);
		return false;
	}
	leave(p);
	return true;
}

/* ---- and, or, not ---- */

static struct expr *
new_expr(struct parser *p, enum expr_kind kind, struct pos pos)
{
	struct expr *e = arena_alloc(p->a, sizeof(*e));

	e->kind = kind;
	e->pos = pos;
	return e;
}

static void
add_kid(struct parser *p, struct expr *e, struct expr *kid)
{
	e->kid = arena_grow(p->a, e->kid, &e->max_kid, e->n_kid + 1, sizeof(struct expr *));
	e->kid[e->n_kid++] = kid;
}

static struct expr *
parse_leaf(struct parser *p)
{
	struct expr *e = new_expr(p, EXPR_PRED, parse_peek(p)->pos);

	e->pred = arena_alloc(p->a, sizeof(*e->pred));
	return parse_pred(p, e->pred) ? e : NULL;
}

/* "(" expr ")" */
static struct expr *
parse_parens(struct parser *p)
{
	struct expr *e;

	parse_take(p);
	e = parse_expr(p);
	if (e == NULL || parse_accept_kind(p, TOKEN_RPAREN))
		return e;
	parse_expected(p, "`and', `or' or `)'");
	return NULL;
}

/* "any" and "all" are facts' names elsewhere: only "rcpt (" makes them what they are. */
static bool
at_quantifier(const struct parser *p)
{
	const struct token *t = parse_peek(p);

	return (parse_is(p, "any") || parse_is(p, "all")) && t[1].kind == TOKEN_WORD &&
	    strv_eq(t[1].text, SV("rcpt"));
}

static struct expr *
parse_quantifier(struct parser *p)
{
	const struct token *t = parse_take(p);
	struct expr        *e, *kid;

	e = new_expr(p, strv_eq(t->text, SV("any")) ? EXPR_ANY_RCPT : EXPR_ALL_RCPT, t->pos);
	parse_take(p);
	if (!parse_is_kind(p, TOKEN_LPAREN)) {
		diag_add(p->d, DIAG_ERROR, t->pos,
		    arena_printf(p->a, "such as: %.*s rcpt (rcpt.domain in { example.com })",
			(int)t->text.n, t->text.p),
		    "behind `%.*s rcpt' a question stands in parentheses", (int)t->text.n,
		    t->text.p);
		return NULL;
	}
	kid = parse_parens(p);
	if (kid == NULL)
		return NULL;
	add_kid(p, e, kid);
	return e;
}

/* neg = "not" neg | "(" expr ")" | ("any"|"all") "rcpt" "(" expr ")" | pred */
static struct expr *
parse_neg(struct parser *p)
{
	struct pos   pos = parse_peek(p)->pos;
	struct expr *e = NULL, *kid;

	if (!enter(p))
		return NULL;
	if (parse_accept(p, "not")) {
		kid = parse_neg(p);
		if (kid != NULL) {
			e = new_expr(p, EXPR_NOT, pos);
			add_kid(p, e, kid);
		}
	} else if (parse_is_kind(p, TOKEN_LPAREN)) {
		e = parse_parens(p);
	} else if (at_quantifier(p)) {
		e = parse_quantifier(p);
	} else {
		e = parse_leaf(p);
	}
	leave(p);
	return e;
}

/* What next reads, once or more, with `word` between: one node of `kind` over all, or the one alone. */
static struct expr *
parse_joined(
    struct parser *p, enum expr_kind kind, const char *word, struct expr *(*next)(struct parser *))
{
	struct expr *first = next(p), *all = NULL, *kid;

	if (first == NULL)
		return NULL;
	while (parse_accept(p, word)) {
		kid = next(p);
		if (kid == NULL)
			return NULL;
		if (all == NULL) {
			all = new_expr(p, kind, first->pos);
			add_kid(p, all, first);
		}
		add_kid(p, all, kid);
	}
	return all == NULL ? first : all;
}

/* conj = neg { "and" neg } */
static struct expr *
parse_conj(struct parser *p)
{
	return parse_joined(p, EXPR_AND, "and", parse_neg);
}

/* expr = conj { "or" conj } */
struct expr *
parse_expr(struct parser *p)
{
	return parse_joined(p, EXPR_OR, "or", parse_conj);
}
