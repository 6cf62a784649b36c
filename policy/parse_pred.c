/*
 * parse_pred -- predicates: a fact, and what is asked of it, which is an operator and its values.
 *
 * Which operators and values the fact's type allows is the compiler's to say.  Here words of other
 * languages, and those in the wrong place, are told what is written instead.
 */
#include "policy/parse.h"
#include "proxy/base/arena.h"

/* `is not in LIST` is what one writes who knows `is in` from elsewhere. */
static bool
is_in(struct parser *p, const struct pred *x)
{
	const struct token *t = parse_peek(p);

	if (!parse_is(p, "in") || (t[1].kind != TOKEN_OPEN && t[1].kind != TOKEN_WORD))
		return false;
	diag_add(p->d, DIAG_ERROR, t->pos,
	    x->negated ? SV("write `not in'") : SV("write `in' without `is'"),
	    "`in' cannot follow `is'");
	return true;
}

/* "is" ["not"] value {"," value} */
static bool
pred_is(struct parser *p, struct pred *x)
{
	x->op = PRED_IS;
	x->negated = parse_accept(p, "not");
	if (is_in(p, x))
		return false;
	do {
		struct lit v;

		if (!parse_value(p, "a value", &v))
			return false;
		lits_add(p->a, &x->value, v);
	} while (parse_accept_kind(p, TOKEN_COMMA));
	return true;
}

static bool
pred_matches(struct parser *p, struct pred *x)
{
	struct lit v;

	x->op = PRED_MATCHES;
	if (parse_is_kind(p, TOKEN_STRING))
		v = parse_take_lit(p);
	else if (!parse_name(p, "the name of a list of patterns", &v))
		return false;
	lits_add(p->a, &x->value, v);
	return true;
}

/* `= absent' would ask for that text. */
static bool
is_state(struct parser *p)
{
	const struct token *t = parse_peek(p);

	if (!parse_is(p, "absent") && !parse_is(p, "null") && !parse_is(p, "fqdn") &&
	    !parse_is(p, "literal"))
		return false;
	diag_add(p->d, DIAG_ERROR, t->pos,
	    arena_printf(p->a, "did you mean `is %.*s'?  A text stands between \" and \"",
		(int)t->text.n, t->text.p),
	    "%s is asked with `is'", diag_quote(p->a, t->text));
	return true;
}

/* ("=" | "!=") (value|set) | ("<"|"<="|">"|">=") value */
static bool
pred_compare(struct parser *p, struct pred *x, enum pred_op op)
{
	struct lit v;

	x->op = op;
	if (is_state(p))
		return false;
	if (op == PRED_EQ && parse_is_kind(p, TOKEN_OPEN)) {
		x->list.kind = REF_SET;
		x->list.name.pos = parse_peek(p)->pos;
		return parse_set(p, &x->list.set);
	}
	if (!parse_value(p, "a value", &v))
		return false;
	lits_add(p->a, &x->value, v);
	return true;
}

static bool
pred_not(struct parser *p, struct pred *x)
{
	x->negated = true;
	if (parse_accept(p, "in")) {
		x->op = PRED_IN;
		return parse_list_ref(p, &x->list);
	}
	if (parse_accept(p, "matches"))
		return pred_matches(p, x);
	if (parse_is(p, "resolves") || parse_is(p, "is"))
		diag_add(p->d, DIAG_ERROR, x->op_pos,
		    parse_is(p, "is") ? SV("did you mean `is not'?") :
					SV("such as: not sender.domain resolves"),
		    "%s cannot follow `not': it stands in front of the fact, or behind `is'",
		    diag_quote(p->a, parse_peek(p)->text));
	else
		parse_expected(p, "`in' or `matches' behind `not'");
	return false;
}

/* Operators of other languages. */
static bool
other_operator(struct parser *p, const struct pred *x)
{
	bool pattern;

	if (!parse_is(p, "==") && !parse_is(p, "~") && !parse_is(p, "=~") && !parse_is(p, "<>"))
		return false;
	pattern = parse_peek(p)->text.p[parse_peek(p)->text.n - 1] == '~';
	diag_add(p->d, DIAG_ERROR, x->op_pos,
	    pattern               ? SV("did you mean `matches'?") :
		parse_is(p, "==") ? SV("did you mean `='?") :
				    SV("did you mean `!='?"),
	    "%s is no operator", diag_quote(p->a, parse_peek(p)->text));
	return true;
}

static bool
pred_op(struct parser *p, struct pred *x)
{
	static const struct {
		const char  *word;
		enum pred_op op;
		bool         negated;
	} compare[] = {
		{ "=", PRED_EQ, false },
		{ "!=", PRED_EQ, true },
		{ "<", PRED_LT, false },
		{ "<=", PRED_LE, false },
		{ ">", PRED_GT, false },
		{ ">=", PRED_GE, false },
	};

	x->op_pos = parse_peek(p)->pos;
	if (parse_accept(p, "is"))
		return pred_is(p, x);
	if (parse_accept(p, "in")) {
		x->op = PRED_IN;
		return parse_list_ref(p, &x->list);
	}
	if (parse_accept(p, "matches"))
		return pred_matches(p, x);
	if (parse_accept(p, "not"))
		return pred_not(p, x);
	for (size_t i = 0; i < sizeof(compare) / sizeof(compare[0]); i++) {
		if (parse_accept(p, compare[i].word)) {
			x->negated = compare[i].negated;
			return pred_compare(p, x, compare[i].op);
		}
	}
	if (other_operator(p, x))
		return false;
	x->op = parse_accept(p, "resolves") ? PRED_RESOLVES : PRED_BARE;
	return true;
}

/* pred = fact [ operator { value } ] */
bool
parse_pred(struct parser *p, struct pred *x)
{
	return parse_fact(p, &x->fact) && pred_op(p, x);
}
