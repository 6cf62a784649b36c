/*
 * parse_rate -- rates: what is counted and by which keys, the limits, the verdict above them.
 *
 * The order of a rate's parts is part of the grammar, as it is in checks, but it is another one:
 * count, when, limits, the verdict last.  Keys and verdicts are read by parse_check.c.
 */
#include "policy/parse.h"
#include "policy/policy.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

static bool
is_count(struct strv v)
{
	uint64_t n;

	return strv_number(v, UINT32_MAX, &n);
}

static bool
is_size(struct strv v)
{
	uint64_t n;

	return word_size(v, &n);
}

/* limit = "limit" NUMBER "in" DURATION ["except" listref] */
static bool
parse_limit(struct parser *p, struct conf_rate *r)
{
	struct conf_limit x = { 0 };

	if (!parse_shape(p, strv_eq(r->what.text, SV("bytes")) ? is_size : is_count, "a number",
		&x.number) ||
	    !parse_keyword(p, "in") || !parse_duration(p, &x.duration))
		return false;
	if (parse_accept(p, "except") && !parse_list_ref(p, &x.except))
		return false;
	r->limit = arena_grow(p->a, r->limit, &r->max_limit, r->n_limit + 1, sizeof(*r->limit));
	r->limit[r->n_limit++] = x;
	return true;
}

/* "count" ["accepted"] ("connections"|"messages"|"recipients"|"bytes") "per" key {"," key} */
static bool
parse_count(struct parser *p, struct conf_rate *r)
{
	static const char *const what[] = { "connections", "messages", "recipients", "bytes",
		NULL };

	r->accepted = parse_accept(p, "accepted");
	return parse_one_of(p, what, "connections, messages, recipients or bytes", &r->what) &&
	    parse_keyword(p, "per") && parse_keys(p, &r->key);
}

static const char *const rate_words[] = { "count", "when", "limit", "reject", "tempfail",
	"disconnect", "discard", "quarantine", NULL };

static bool
parse_rate_part(struct parser *p, struct conf_rate *r)
{
	if (parse_accept(p, "count"))
		return parse_count(p, r);
	if (parse_accept(p, "when")) {
		r->when = parse_expr(p);
		return r->when != NULL;
	}
	if (parse_accept(p, "limit"))
		return parse_limit(p, r);
	if (parse_at_final(p))
		return parse_final(p, &r->final);
	parse_unknown(p, rate_words, "count, when, limit or a verdict");
	parse_take(p);
	return false;
}

/* count, when, limits, verdict: a rank for each; the word at hand may not be of a lower one. */
static unsigned
rate_rank(const struct parser *p)
{
	return parse_is(p, "count") ? 1 :
	    parse_is(p, "when")     ? 2 :
	    parse_is(p, "limit")    ? 3 :
	    parse_at_final(p)       ? 4 :
				      0;
}

/* The same of a word that is none of them, by what it looks like. */
static unsigned
rank_meant(const struct parser *p)
{
	const char *near =
	    parse_is_kind(p, TOKEN_WORD) ? diag_nearest(parse_peek(p)->text, rate_words) : NULL;

	for (unsigned i = 0; near != NULL && i < 3; i++) {
		if (rate_words[i] == near)
			return i + 1;
	}
	return near == NULL ? 0 : 4;
}

static void
rate_order(struct parser *p, unsigned rank, unsigned *last)
{
	if (rank == 0)
		return;
	if (rank < *last || (rank == *last && rank != 3))
		diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
		    SV("the order is: count, when, limits, and one verdict, last"),
		    "%s cannot stand here", diag_quote(p->a, parse_peek(p)->text));
	*last = rank > *last ? rank : *last;
}

/*
 * rate = "rate" NAME ["warn"] "{" "count" ["accepted"] WHAT "per" key {"," key} ["when" expr]
 * limit {limit} final "}"
 */
void
parse_rate(struct parser *p, const struct token *head)
{
	static const char *const part[] = { "`count'", "`limit'", "verdict" };
	struct conf_rate        *r = arena_alloc(p->a, sizeof(*r));
	struct block_state       b;
	unsigned                 last = 0, rank, seen = 0;
	bool                     named;

	parse_add(p, BLOCK_RATE, head)->u.rate = r;
	named = parse_name(p, "the name of a rate", &r->name);
	r->warn = parse_accept(p, "warn");
	if (!parse_open_named(p, &b, "the rate", named)) {
		parse_skip_statement(p);
		return;
	}
	while (parse_more(p, &b)) {
		rank = rate_rank(p);
		seen |= 1u << (rank > 0 ? rank : rank_meant(p));
		rate_order(p, rank, &last);
		if (!parse_rate_part(p, r))
			parse_sync(p, &b, rate_words);
	}
	for (unsigned i = 0; i < 3; i++) {
		if ((seen & 1u << (i == 0 ? 1 : i + 2)) == 0)
			diag_add(p->d, DIAG_ERROR, head->pos, policy_form(p->a, head->text),
			    "the rate has no %s", part[i]);
	}
}
