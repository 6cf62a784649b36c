/*
 * parse_block -- lists, maps, the relay gate, milters and plugins, tests.
 *
 * A block goes into the tree also where it has mistakes, so that its name is known to what
 * follows.
 */
#include "policy/parse.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

/* ---- lists and maps ---- */

/* One entry of a mapset: item item {"," item}. */
static bool
parse_entry(struct parser *p, struct conf_list *l)
{
	struct map_entry x = { 0 };
	struct lit       v;

	if (!parse_value(p, "a key", &x.key))
		return false;
	do {
		if (!parse_value(p, "a value for the key", &v))
			return false;
		lits_add(p->a, &x.value, v);
	} while (parse_accept_kind(p, TOKEN_COMMA));
	l->entry = arena_grow(p->a, l->entry, &l->max_entry, l->n_entry + 1, sizeof(*l->entry));
	l->entry[l->n_entry++] = x;
	return true;
}

static void
parse_mapset(struct parser *p, struct conf_list *l)
{
	static const char *const none[] = { NULL };
	struct block_state       b;

	if (!parse_open(p, &b, "a map"))
		return;
	while (parse_more(p, &b)) {
		if (!parse_entry(p, l))
			parse_sync(p, &b, none);
	}
}

static enum list_kind
kind_of(struct strv word)
{
	static const char *const words[] = { "networks", "domains", "addresses", "patterns",
		"map" };
	unsigned                 i = 0;

	while (i < LIST_MAP && !strv_eq(word, strv_z(words[i])))
		i++;
	return (enum list_kind)i;
}

/* store = ("file"|"lmdb"|"redis") STRING */
static bool
parse_store(struct parser *p, struct conf_list *l)
{
	if (parse_accept(p, "file"))
		l->store = STORE_FILE;
	else if (parse_accept(p, "lmdb"))
		l->store = STORE_LMDB;
	else if (parse_accept(p, "redis"))
		l->store = STORE_REDIS;
	else
		return false;
	parse_string(p, "the place of the list", &l->where);
	return true;
}

void
parse_list(struct parser *p, const struct token *head)
{
	struct conf_list *l = arena_alloc(p->a, sizeof(*l));
	bool              named = parse_name(p, "the name of a list", &l->name);

	l->kind = kind_of(head->text);
	parse_add(p, BLOCK_LIST, head)->u.list = l;
	if (!named && !parse_is_kind(p, TOKEN_OPEN)) {
		parse_skip_statement(p);
		return;
	}
	if (parse_store(p, l))
		return;
	if (!parse_is_kind(p, TOKEN_OPEN) && parse_peek(p)->kind != TOKEN_EOS) {
		parse_expected(p, "`{', `file', `lmdb' or `redis'");
		parse_skip_statement(p);
	} else if (l->kind == LIST_MAP) {
		parse_mapset(p, l);
	} else {
		parse_set(p, &l->item);
	}
}

/* ---- the relay gate ---- */

/*
 * cond = "from" listref | "to" listref | "authenticated" ["over" "tls"] | "on" NAME | "when"
 * expr
 */
static bool
parse_cond(struct parser *p, struct relay_cond *c)
{
	c->pos = parse_peek(p)->pos;
	if (parse_accept(p, "from")) {
		c->kind = COND_FROM;
		return parse_list_ref(p, &c->list);
	}
	if (parse_accept(p, "to")) {
		c->kind = COND_TO;
		return parse_list_ref(p, &c->list);
	}
	if (parse_accept(p, "authenticated")) {
		c->kind = COND_AUTHENTICATED;
		c->over_tls = parse_accept(p, "over");
		return !c->over_tls || parse_keyword(p, "tls");
	}
	if (parse_accept(p, "on")) {
		c->kind = COND_ON;
		return parse_name(p, "the name of a listener", &c->name);
	}
	if (parse_accept(p, "when")) {
		c->kind = COND_WHEN;
		c->when = parse_expr(p);
		return c->when != NULL;
	}
	return false;
}

static const char *const cond_words[] = { "from", "to", "authenticated", "on", "when", NULL };
static const char *const relay_words[] = { "allow", "routing-characters", NULL };

/*
 * Does a condition of an allow line follow?  Whatever does not begin another line is meant as
 * one.
 */
static bool
at_cond(const struct parser *p, const struct block_state *b)
{
	return parse_is_kind(p, TOKEN_WORD) && !parse_is(p, "allow") &&
	    !parse_is(p, "routing-characters") && !parse_ran_away(p, b);
}

/* "allow" cond { cond } */
static bool
parse_allow(struct parser *p, const struct block_state *b, struct relay_line *line)
{
	do {
		struct relay_cond x = { 0 };
		unsigned          errors = p->d->errors;

		if (!parse_cond(p, &x)) {
			if (p->d->errors == errors)
				parse_unknown(p, cond_words, "from, to, authenticated, on or when");
			return false;
		}
		line->cond = arena_grow(
		    p->a, line->cond, &line->max, line->n + 1, sizeof(*line->cond));
		line->cond[line->n++] = x;
	} while (at_cond(p, b));
	return true;
}

static bool
parse_relay_line(struct parser *p, const struct block_state *b, struct relay_line *line)
{
	line->pos = parse_peek(p)->pos;
	if (parse_accept(p, "allow"))
		return parse_allow(p, b, line);
	if (parse_accept(p, "routing-characters")) {
		line->routing = true;
		return parse_keyword(p, "allow");
	}
	parse_unknown(p, relay_words, "allow or routing-characters");
	parse_take(p);
	return false;
}

/* relay = "relay" "{" { "allow" cond { cond } | "routing-characters" "allow" } "}" */
void
parse_relay(struct parser *p, const struct token *head)
{
	struct conf_relay *r = arena_alloc(p->a, sizeof(*r));
	struct block_state b;

	parse_add(p, BLOCK_RELAY, head)->u.relay = r;
	if (!parse_open(p, &b, "`relay'")) {
		parse_skip_statement(p);
		return;
	}
	while (parse_more(p, &b)) {
		struct relay_line line = { 0 };

		if (!parse_relay_line(p, &b, &line)) {
			parse_sync(p, &b, relay_words);
			continue;
		}
		r->line = arena_grow(p->a, r->line, &r->max, r->n + 1, sizeof(*r->line));
		r->line[r->n++] = line;
	}
}

/* ---- milters and plugins ---- */

static const char *const milter_words[] = { "socket", "load", "isolated", "timeout", "args", "when",
	"on", NULL };

static bool
parse_on_failure(struct parser *p, struct milter_item *x)
{
	static const char *const words[] = { "tempfail", "accept", "reject", "quarantine",
		"disconnect", NULL };

	x->kind = MILTER_ON_FAILURE;
	return parse_keyword(p, "failure") &&
	    parse_one_of(p, words, "tempfail, accept, reject, quarantine or disconnect", &x->value);
}

static bool
parse_milter_item(struct parser *p, struct milter_item *x)
{
	x->pos = parse_peek(p)->pos;
	if (parse_accept(p, "socket")) {
		x->kind = MILTER_SOCKET;
		return parse_string(p, "a socket", &x->value);
	}
	if (parse_accept(p, "load")) {
		x->kind = MILTER_LOAD;
		return parse_string(p, "the file of a plugin", &x->value);
	}
	if (parse_accept(p, "isolated")) {
		x->kind = MILTER_ISOLATED;
		return true;
	}
	if (parse_accept(p, "timeout")) {
		x->kind = MILTER_TIMEOUT;
		return parse_duration(p, &x->value);
	}
	if (parse_accept(p, "args")) {
		x->kind = MILTER_ARGS;
		return parse_set(p, &x->args);
	}
	if (parse_accept(p, "when")) {
		x->kind = MILTER_WHEN;
		x->when = parse_expr(p);
		return x->when != NULL;
	}
	if (parse_accept(p, "on"))
		return parse_on_failure(p, x);
	parse_unknown(p, milter_words, "socket, load, isolated, timeout, args, when or on failure");
	parse_take(p);
	return false;
}

void
parse_milter(struct parser *p, const struct token *head)
{
	struct conf_milter *m = arena_alloc(p->a, sizeof(*m));
	struct block_state  b;
	bool                named;

	m->plugin = strv_eq(head->text, SV("plugin"));
	parse_add(p, BLOCK_MILTER, head)->u.milter = m;
	named = parse_name(p, "the name of a milter or plugin", &m->name);
	m->warn = parse_accept(p, "warn");
	if (!parse_open_named(p, &b, "the block", named)) {
		parse_skip_statement(p);
		return;
	}
	m->whole = true;
	while (parse_more(p, &b)) {
		struct milter_item x = { 0 };

		if (!parse_milter_item(p, &x)) {
			m->whole = false;
			parse_sync(p, &b, milter_words);
			continue;
		}
		m->item = arena_grow(p->a, m->item, &m->max, m->n + 1, sizeof(*m->item));
		m->item[m->n++] = x;
	}
}

/* ---- tests ---- */

static const char *const test_words[] = { "client", "listener", "helo", "auth", "mail", "rcpt",
	"message", "time", "tls", "dns", "expect", NULL };

/* dns NAME TYPE VALUE, dns NAME SERVFAIL, dns NAME TIMEOUT */
static bool
parse_dns(struct parser *p, struct lits *arg)
{
	struct lit name, type, value;

	if (!parse_word(p, "a domain name", &name) ||
	    !parse_shape(
		p, word_is_type, "a type such as A, MX or TXT, SERVFAIL or TIMEOUT", &type))
		return false;
	lits_add(p->a, arg, name);
	lits_add(p->a, arg, type);
	if (strv_eq(type.text, SV("SERVFAIL")) || strv_eq(type.text, SV("TIMEOUT")))
		return true;
	if (!parse_value(p, "the value of the record", &value))
		return false;
	lits_add(p->a, arg, value);
	return true;
}

/* expect CODE [XCODE] [by NAME] */
static bool
parse_expect(struct parser *p, struct test_step *x)
{
	struct lit v;

	if (!parse_shape(p, word_is_code, "a reply code such as 250 or 550", &v))
		return false;
	lits_add(p->a, &x->arg, v);
	if (parse_is_kind(p, TOKEN_WORD) && word_is_xcode(parse_peek(p)->text))
		lits_add(p->a, &x->arg, parse_take_lit(p));
	return !parse_accept(p, "by") || parse_name(p, "the name of a check behind `by'", &x->by);
}

static bool
parse_step(struct parser *p, struct test_step *x)
{
	struct lit v;

	if (parse_is(p, "data") || parse_is(p, "quit") || parse_is(p, "rset")) {
		diag_add(p->d, DIAG_ERROR, parse_peek(p)->pos,
		    parse_is(p, "data") ? SV("`message' says DATA and the text") :
					  SV("`mail' begins anew, `client' another session"),
		    "%s is no step of a test", diag_quote(p->a, parse_peek(p)->text));
		return false;
	}
	if (!parse_one_of(p, test_words, "a step of the test", &x->word))
		return false;
	if (strv_eq(x->word.text, SV("tls")))
		return true;
	if (strv_eq(x->word.text, SV("dns")))
		return parse_dns(p, &x->arg);
	if (strv_eq(x->word.text, SV("expect")))
		return parse_expect(p, x);
	if (!parse_value(p, "a value", &v))
		return false;
	lits_add(p->a, &x->arg, v);
	return true;
}

void
parse_test(struct parser *p, const struct token *head)
{
	struct conf_test  *t = arena_alloc(p->a, sizeof(*t));
	struct block_state b;
	bool               named;

	parse_add(p, BLOCK_TEST, head)->u.test = t;
	named = parse_string(p, "what the test shows", &t->name);
	if (!parse_open_named(p, &b, "the test", named)) {
		parse_skip_statement(p);
		return;
	}
	while (parse_more(p, &b)) {
		struct test_step x = { 0 };
		unsigned         at = p->at;

		if (!parse_step(p, &x)) {
			if (p->at == at)
				parse_take(p);
			parse_sync(p, &b, test_words);
			continue;
		}
		t->step = arena_grow(p->a, t->step, &t->max, t->n + 1, sizeof(*t->step));
		t->step[t->n++] = x;
	}
}
