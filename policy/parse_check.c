/*
 * parse_check -- checks and their effects; verdicts and keys, which rates have, too.
 *
 * The order of a check's parts is part of the grammar: at, when, on unknown, effects, the
 * verdict last.
 */
#include "policy/hints.h"
#include "policy/parse.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

/* ---- verdicts ---- */

static const char *const check_words[] = { "at", "when", "on", "tag", "skip", "delay", "log",
	"add-header", "delete-header", "remember", "reject", "tempfail", "disconnect", "discard",
	"quarantine", NULL };

bool
parse_at_final(const struct parser *p)
{
	enum verdict_kind kind;

	return parse_is_kind(p, TOKEN_WORD) && verdict_find(parse_peek(p)->text, &kind);
}

static bool
begins_with_digit(const struct parser *p)
{
	return parse_is_kind(p, TOKEN_WORD) && ascii_is_digit(parse_peek(p)->text.p[0]);
}

/* [CODE [XCODE]] [STRING] */
static bool
parse_codes(struct parser *p, struct conf_final *f)
{
	if (begins_with_digit(p) && word_is_xcode(parse_peek(p)->text)) {
		parse_expected(p, "a reply code such as 550 in front of the enhanced one");
		return false;
	}
	if (begins_with_digit(p) &&
	    !parse_shape(p, word_is_code, "a reply code such as 550", &f->code))
		return false;
	if (begins_with_digit(p) &&
	    !parse_shape(p, word_is_xcode, "an enhanced code such as 5.7.1", &f->xcode))
		return false;
	if (parse_is_kind(p, TOKEN_STRING))
		f->text = parse_take_lit(p);
	return true;
}

static bool
is_address(struct strv v)
{
	return strv_chr(v, '@') < v.n;
}

/*
 * final = ("reject"|"tempfail"|"disconnect") [CODE [XCODE]] [STRING] | "discard" | "quarantine"
 * ["to" ADDRESS]
 */
bool
parse_final(struct parser *p, struct conf_final *f)
{
	if (!parse_at_final(p)) {
		parse_expected(p, "reject, tempfail, disconnect, discard or quarantine");
		return false;
	}
	*f = (struct conf_final){ .given = true, .pos = parse_peek(p)->pos };
	verdict_find(parse_take(p)->text, &f->kind);
	if (f->kind == VERDICT_DISCARD)
		return true;
	if (f->kind != VERDICT_QUARANTINE)
		return parse_codes(p, f);
	return !parse_accept(p, "to") ||
	    parse_shape(p, is_address, "an address such as spam@example.org", &f->to);
}

/* ---- keys ---- */

/* key = fact | PREFIX "," PREFIX */
static bool
parse_key(struct parser *p, struct conf_key *k)
{
	if (!parse_is_kind(p, TOKEN_WORD) || !word_is_prefix(parse_peek(p)->text))
		return parse_fact(p, &k->fact);
	k->four = parse_take_lit(p);
	if (!parse_accept_kind(p, TOKEN_COMMA)) {
		parse_expected(p, "`,' and the length for IPv6, such as client/32,client/64");
		return false;
	}
	return parse_shape(p, word_is_prefix, "the length for IPv6, such as client/64", &k->six);
}

/* key {"," key} */
bool
parse_keys(struct parser *p, struct conf_keys *out)
{
	do {
		struct conf_key x = { 0 };

		if (!parse_key(p, &x))
			return false;
		out->v = arena_grow(p->a, out->v, &out->max, out->n + 1, sizeof(*out->v));
		out->v[out->n++] = x;
	} while (parse_accept_kind(p, TOKEN_COMMA));
	return true;
}

/* ---- effects ---- */

static bool
effect_name(struct parser *p, struct conf_effect *e)
{
	struct lit x;

	if (!parse_name(p, "a name", &x))
		return false;
	lits_add(p->a, &e->arg, x);
	return true;
}

static bool
effect_skip(struct parser *p, struct conf_effect *e)
{
	do {
		if (!effect_name(p, e))
			return false;
	} while (parse_accept_kind(p, TOKEN_COMMA));
	return true;
}

static bool
effect_delay(struct parser *p, struct conf_effect *e)
{
	struct lit x;

	if (!parse_duration(p, &x))
		return false;
	lits_add(p->a, &e->arg, x);
	return true;
}

static bool
effect_text(struct parser *p, struct conf_effect *e)
{
	struct lit x;

	for (unsigned i = 0; i < (e->kind == EFFECT_ADD_HEADER ? 2 : 1); i++) {
		if (!parse_string(p,
			i == 1                    ? "the value of the field" :
			    e->kind == EFFECT_LOG ? "the text" :
						    "the name of a header field",
			&x))
			return false;
		lits_add(p->a, &e->arg, x);
	}
	return true;
}

static bool
effect_remember(struct parser *p, struct conf_effect *e)
{
	return parse_keys(p, &e->key) && parse_keyword(p, "in") && effect_name(p, e);
}

static const struct {
	const char *word;
	bool (*parse)(struct parser *, struct conf_effect *);
} effects[] = {
	/* in the order of enum effect_kind */
	{ "tag", effect_name },
	{ "skip", effect_skip },
	{ "delay", effect_delay },
	{ "log", effect_text },
	{ "add-header", effect_text },
	{ "delete-header", effect_text },
	{ "remember", effect_remember },
};

/* 1: one was read; 0: there is none here; -1: reported. */
static int
parse_effect(struct parser *p, struct conf_check *c)
{
	for (unsigned i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		struct conf_effect x = { .kind = (enum effect_kind)i, .pos = parse_peek(p)->pos };

		if (!parse_accept(p, effects[i].word))
			continue;
		if (!effects[i].parse(p, &x))
			return -1;
		c->effect = arena_grow(
		    p->a, c->effect, &c->max_effect, c->n_effect + 1, sizeof(*c->effect));
		c->effect[c->n_effect++] = x;
		return 1;
	}
	return 0;
}

/* ---- checks ---- */

/* The parts of a check in the order in which they may come. */
enum part { PART_AT, PART_WHEN, PART_ON, PART_EFFECT, PART_FINAL, PART_OTHER };

static enum part
part_at(const struct parser *p)
{
	if (parse_is(p, "at"))
		return PART_AT;
	if (parse_is(p, "when"))
		return PART_WHEN;
	if (parse_is(p, "on"))
		return PART_ON;
	if (parse_at_final(p))
		return PART_FINAL;
	for (unsigned i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		if (parse_is(p, effects[i].word))
			return PART_EFFECT;
	}
	return PART_OTHER;
}

/* What is said elsewhere, and what it would be here. */
static const struct {
	const char *word, *hint;
} elsewhere[] = {
	{ "if", "did you mean `when'?" },
	{ "then", "effects and verdict follow the expression without a word" },
	{ "do", "effects and verdict follow the expression without a word" },
	{ "accept", "a check can only take away: `skip NAME' spares a message other checks" },
	{ "permit", "a check can only take away: `skip NAME' spares a message other checks" },
	{ "allow", "a check can only take away: `skip NAME' spares a message other checks" },
	{ "pass", "a check can only take away: `skip NAME' spares a message other checks" },
	{ "ok", "a check can only take away: `skip NAME' spares a message other checks" },
	{ "dunno", "a check that has no verdict leaves it to the others" },
	{ "warn", "`warn' stands behind the name of the check" },
	{ "deny", "did you mean `reject'?" },
	{ "drop", "`discard' says yes and drops it, `disconnect' ends the connection" },
	{ "defer", "did you mean `tempfail'?" },
	{ "hold", "did you mean `quarantine'?" },
	{ "redirect", "did you mean `quarantine to ADDRESS'?" },
	{ "prepend", "did you mean `add-header'?" },
	{ "sleep", "did you mean `delay'?" },
	{ "else", "there is no else: another check says `when not ...'" },
	{ "absent", "did you mean `is absent'?" },
};

static struct strv
hint_other(struct parser *p, const struct token *t)
{
	const struct token *before = p->at > p->start ? t - 1 : t;
	struct strv         near;

	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
		if (strv_ieq(t->text, strv_z(elsewhere[i].word)))
			return strv_z(elsewhere[i].hint);
	if (before->kind == TOKEN_WORD &&
	    (word_is_xcode(before->text) || word_is_code(before->text)))
		return SV("a text stands between \" and \"");
	near = hint_meant(p->a, t->text, check_words);
	return near.p != NULL ? near : parse_hint(p, "an effect, a verdict or `}'");
}

/* A word that was meant as `when': that there is no other one is no mistake of its own. */
static bool
is_other_when(struct parser *p, enum part part)
{
	return part == PART_OTHER && parse_is_kind(p, TOKEN_WORD) &&
	    strv_eq(hint_other(p, parse_peek(p)), SV("did you mean `when'?"));
}

static bool
parse_part(struct parser *p, struct conf_check *c, enum part part)
{
	switch (part) {
	case PART_AT:
		parse_take(p);
		return parse_word(p, "a stage", &c->at);
	case PART_WHEN:
		parse_take(p);
		c->when = parse_expr(p);
		return c->when != NULL;
	case PART_ON:
		parse_take(p);
		return parse_keyword(p, "unknown") && parse_final(p, &c->on_unknown);
	case PART_EFFECT:
		return parse_effect(p, c) == 1;
	case PART_FINAL:
		return parse_final(p, &c->final);
	default:
		break;
	}
	if (parse_is_kind(p, TOKEN_WORD)) {
		const struct token *t = parse_peek(p);

		diag_add(p->d, DIAG_ERROR, t->pos, hint_other(p, t),
		    "expected an effect, a verdict or `}', found %s", diag_quote(p->a, t->text));
	} else {
		parse_expected(p, "an effect, a verdict or `}'");
	}
	parse_take(p);
	return false;
}

/* Is `part` one that may still come? */
static bool
in_order(struct parser *p, enum part part, enum part *last)
{
	static const char *const behind[] = { "`at STAGE'", "`when'", "`on unknown'", "the effects",
		"the verdict" };

	if (part == PART_OTHER || *last == PART_OTHER || part > *last ||
	    (part == PART_EFFECT && *last == PART_EFFECT)) {
		*last = part == PART_OTHER ? *last : part;
		return true;
	}
	diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
	    SV("the order is: at, when, on unknown, effects, and one verdict, last"),
	    part == *last ? "%s stands here behind %s, there can be one only" :
			    "%s cannot stand behind %s",
	    diag_quote(p->a, parse_peek(p)->text), behind[*last]);
	return false;
}

/*
 * check = "check" NAME ["warn"] "{" ["at" STAGE] "when" expr ["on" "unknown" final] { effect }
 * [final] "}"
 */
void
parse_check(struct parser *p, const struct token *head)
{
	struct conf_check *c = arena_alloc(p->a, sizeof(*c));
	struct block_state b;
	enum part          last = PART_OTHER, part;
	bool               when = false, named;

	parse_add(p, BLOCK_CHECK, head)->u.check = c;
	named = parse_name(p, "the name of a check", &c->name);
	c->warn = parse_accept(p, "warn");
	if (!parse_open_named(p, &b, "the check", named)) {
		parse_skip_statement(p);
		return;
	}
	while (parse_more(p, &b)) {
		part = part_at(p);
		when = when || part == PART_WHEN || is_other_when(p, part);
		in_order(p, part, &last);
		if (!parse_part(p, c, part))
			parse_sync(p, &b, check_words);
	}
	if (!when)
		diag_add(p->d, DIAG_ERROR, head->pos, SV("such as: when helo is not fqdn"),
		    "the check has no `when'");
}
