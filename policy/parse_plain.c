/*
 * parse_plain -- statements that are a keyword and values: plain ones, transaction classes, and
 * named blocks of words with a value each.
 *
 * Each becomes a struct conf_plain.  What the values have to be is not known here.
 */
#include "policy/parse.h"
#include "policy/policy.h"
#include "proxy/base/arena.h"

static void
add_plain(struct parser *p, const struct token *head, const struct conf_plain *x)
{
	struct conf *c = p->conf;

	c->plain = arena_grow(
	    p->a, c->plain, &c->tree->max_plain, c->n_plain + 1, sizeof(*c->plain));
	parse_add(p, BLOCK_PLAIN, head)->u.plain = c->n_plain;
	c->plain[c->n_plain++] = *x;
}

static void
add_value(struct parser *p, struct conf_plain *x, struct conf_value v)
{
	x->v = arena_grow(p->a, x->v, &x->max, x->n + 1, sizeof(*x->v));
	x->v[x->n++] = v;
}

static struct conf_value
value_of(struct lit x)
{
	return (struct conf_value){
		.kind = x.quoted ? CONF_STRING : CONF_WORD, .text = x.text, .pos = x.pos
	};
}

/* ---- plain statements ---- */

static bool
plain_set(struct parser *p, struct conf_plain *x)
{
	struct conf_value v = { .kind = CONF_SET, .pos = parse_peek(p)->pos };
	struct lits       set = { 0 };

	if (!parse_set(p, &set))
		return false;
	v.item = arena_array(p->a, set.n, sizeof(*v.item));
	for (; v.n_item < set.n; v.n_item++)
		v.item[v.n_item] = value_of(set.v[v.n_item]);
	add_value(p, x, v);
	return true;
}

/* WORD | STRING | "," | set */
static bool
plain_value(struct parser *p, struct conf_plain *x)
{
	struct lit v;

	if (parse_is_kind(p, TOKEN_OPEN))
		return plain_set(p, x);
	if (parse_is_kind(p, TOKEN_COMMA)) {
		const struct token *t = parse_take(p);

		add_value(p, x,
		    (struct conf_value){ .kind = CONF_COMMA, .text = t->text, .pos = t->pos });
		return true;
	}
	if (!parse_value(p, "a word or a string", &v))
		return false;
	add_value(p, x, value_of(v));
	return true;
}

/* plain = KEYWORD { WORD | STRING | "," | set } ["when" expr] */
void
parse_plain(struct parser *p, const struct token *head)
{
	struct conf_plain x = { .keyword = head->text, .pos = head->pos };
	unsigned          errors = p->d->errors;

	while (!parse_at_end(p) && !parse_is(p, "when") && !parse_is_kind(p, TOKEN_CLOSE)) {
		if (!plain_value(p, &x)) {
			parse_skip_statement(p);
			return;
		}
	}
	if (parse_accept(p, "when")) {
		x.when = parse_expr(p);
		if (x.when != NULL && !parse_at_end(p))
			parse_expected(p, "the end of the statement");
	}
	if (p->d->errors > errors)
		parse_skip_statement(p);
	else
		add_plain(p, head, &x);
}

/* "transaction-class" expr */
void
parse_class(struct parser *p, const struct token *head)
{
	struct conf_plain x = { .keyword = head->text, .pos = head->pos };

	x.when = parse_expr(p);
	if (x.when != NULL && !parse_at_end(p)) {
		parse_expected(p, "the end of the statement");
		x.when = NULL;
	}
	if (x.when == NULL)
		parse_skip_statement(p);
	else
		add_plain(p, head, &x);
}

/* ---- named blocks ---- */

static void
no_comma(struct parser *p)
{
	if (parse_is_kind(p, TOKEN_COMMA))
		diag_add(p->d, DIAG_ERROR, parse_take(p)->pos, policy_form(p->a, p->keyword),
		    "between words and their values there are no commas");
}

/* { WORD value } */
static bool
named_pair(struct parser *p, struct conf_plain *x)
{
	struct lit word, value;
	bool       is_word;

	no_comma(p);
	if (parse_peek(p)->kind == TOKEN_CLOSE)
		return true;
	is_word = !parse_is_kind(p, TOKEN_STRING);
	if (is_word && !parse_word(p, "a word and its value", &word))
		return false;
	if (!is_word) {
		/* Its value belongs to it all the same. */
		parse_expected(p, "a word and its value");
		word = parse_take_lit(p);
	}
	no_comma(p);
	if (parse_peek(p)->kind == TOKEN_CLOSE) {
		diag_add(p->d, DIAG_ERROR, word.pos, policy_form(p->a, p->keyword),
		    "%s has no value", diag_quote(p->a, word.text));
		return true;
	}
	if (!parse_value(p, "a value", &value))
		return false;
	if (is_word) {
		add_value(p, x, value_of(word));
		add_value(p, x, value_of(value));
	}
	return true;
}

/* named = ("limits"|"spf"|"dkim"|"greylist"|"memory" NAME) "{" { WORD value } "}" */
void
parse_named(struct parser *p, const struct token *head, bool named)
{
	static const char *const none[] = { NULL };
	struct conf_plain        x = { .keyword = head->text, .pos = head->pos, .block = true };
	struct block_state       b;
	struct lit               name;
	unsigned                 at;

	if (named && parse_name(p, "the name of a memory", &name))
		x.name = value_of(name);
	if (!parse_open(p, &b, diag_quote(p->a, head->text))) {
		parse_skip_statement(p);
		return;
	}
	while (parse_more(p, &b)) {
		at = p->at;
		if (named_pair(p, &x))
			continue;
		if (p->at == at)
			parse_take(p);
		if (parse_peek(p)->kind == TOKEN_OPEN)
			parse_sync(p, &b, none);
	}
	add_plain(p, head, &x);
}
