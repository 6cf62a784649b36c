/*
 * maps -- maps: found by name, read from braces and files, their values held against who uses them.
 *
 * A map is read last, when everybody has said what its values must be (list.want), so that a value
 * that cannot be is named where it stands, in files, too.
 */
#include "policy/hints.h"
#include "policy/items.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define TEXT_OCTETS 512  /* of a key or a value */
#define VALUES_MAX  1000 /* of one key: they are walked from the front */

/* ---- references ---- */

static void
no_such_map(struct loader *l, const struct lit *name)
{
	unsigned     n_list = l->d->n < DIAG_MAX ? l->p->n_list : 0, n = 0;
	struct strv *names = arena_array(l->a, n_list, sizeof(*names));

	for (unsigned i = 0; i < n_list; i++) {
		const struct conf_list *c = l->p->list[i].conf;

		if (c->kind == LIST_MAP && c->name.text.p != NULL)
			names[n++] = c->name.text;
	}
	diag_add(l->d, DIAG_ERROR, name->pos,
	    hint_words(l->a, name->text, names, n, "such as: map NAME { KEY VALUE, VALUE ... }"),
	    "no map is called %s", diag_quote(l->a, name->text));
}

struct list *
maps_find(struct loader *l, const struct lit *name, unsigned want)
{
	for (unsigned i = 0; i < l->p->n_list; i++) {
		struct list *x = &l->p->list[i];

		if (name->text.p == NULL || !strv_eq(x->conf->name.text, name->text))
			continue;
		x->used = true;
		x->want |= want;
		if (x->conf->kind == LIST_MAP)
			return x;
		diag_add(l->d, DIAG_ERROR, name->pos,
		    SV("a map is written: map NAME { KEY VALUE, VALUE ... }"),
		    "%s is a list, a map is due here", diag_quote(l->a, name->text));
		return NULL;
	}
	no_such_map(l, name);
	return NULL;
}

/* M(fact): exactly one fact, and one that has one value. */
static bool
call_arg(struct loader *l, const struct fact_ref *call, enum stage at, unsigned *fact)
{
	const struct arg *x = call->arg;
	struct strv       hint;

	hint = arena_printf(l->a, "such as: %.*s(rcpt)", (int)call->name.text.n, call->name.text.p);
	if (call->n_arg != 1 || x->kind != ARG_FACT) {
		diag_add(l->d, DIAG_ERROR, call->name.pos, hint, "a map takes one fact");
		return false;
	}
	if (x->fact.call && names_map(l, x->fact.name.text) != NULL) {
		diag_add(l->d, DIAG_ERROR, x->fact.name.pos, hint,
		    "maps do not nest: a map takes one fact");
		return false;
	}
	if (facts_find(l, &x->fact, fact) != FACT_HERE || !facts_at(l, &x->fact, *fact, at))
		return false;
	if (l->p->facts[*fact].type != FACT_ADDRS && l->p->facts[*fact].type != FACT_TEXTS)
		return true;
	diag_add(l->d, DIAG_ERROR, x->fact.name.pos, hint,
	    "%s has several values, a map takes a fact with one",
	    diag_quote(l->a, x->fact.name.text));
	return false;
}

bool
maps_call(struct loader *l, const struct fact_ref *call, unsigned want, enum stage at,
    struct map_call *out)
{
	const struct list *map = maps_find(l, &call->name, want);
	unsigned           fact = 0;
	bool               ok = map != NULL && call_arg(l, call, at, &fact);

	*out = (struct map_call){ map, fact };
	return ok;
}

/* ---- keys and values ---- */

/* What no key and no value may be, whatever it means. */
static bool
text_ok(struct loader *l, const struct item *x, const char *what)
{
	const char *why = NULL;

	if (x->text.n == 0)
		why = "is empty";
	else if (x->text.n > TEXT_OCTETS)
		why = "has more than 512 octets";
	else if (diag_utf8(x->text) < x->text.n)
		why = "is not UTF-8";
	for (size_t i = 0; i < x->text.n && why == NULL; i++) {
		if ((unsigned char)x->text.p[i] < 32 || x->text.p[i] == 127)
			why = "holds a control";
	}
	if (why != NULL)
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("keys and values are 1 to 512 octets of UTF-8 without controls"),
		    "the %s %s", what, why);
	return why == NULL;
}

/* "*.a.example", "a.example.": what other programs would take for a domain. */
static bool
looks_like_domain(struct strv v)
{
	struct strv rest = strv_starts(v, SV("*")) ? strv_from(v, 1) : v;

	if (v.p[0] == '.' || v.p[0] == '[')
		return true;
	if (v.p[0] == '*')
		return strv_starts(rest, SV("."));
	return v.p[v.n - 1] == '.' && domain_valid(strv_first(v, v.n - 1), true, true);
}

/* A key as it is looked up. What is neither address nor domain is a word, such as a user's name. */
static struct strv
key_text(struct loader *l, const struct item *x)
{
	char              text[ADDR_TEXT];
	struct addr       addr;
	struct addr_range range;
	const char       *why;

	if (!text_ok(l, x, "key"))
		return strv(NULL, 0);
	if (item_is_address(x->text))
		return item_address(l, x);
	if (looks_like_domain(x->text))
		return item_domain(l, x);
	if (addr_parse(x->text, &addr))
		return arena_dup(l->a, addr_print(&addr, text));
	if (!addr_range_parse(x->text, &range, &why))
		return domain_valid(x->text, true, true) ? item_domain(l, x) : x->text;
	diag_add(l->d, DIAG_ERROR, x->pos,
	    SV("a list of `networks' has them, a map only single addresses"),
	    "%s is no key: maps do not look up networks", diag_quote(l->a, x->text));
	return strv(NULL, 0);
}

static bool
pool_ok(struct loader *l, const struct item *x)
{
	const struct policy_names *names = l->names;

	for (unsigned i = 0; i < names->n_pool; i++) {
		if (!strv_eq(names->pool[i], x->text))
			continue;
		if (names->pool_used != NULL)
			names->pool_used[i] = true;
		return true;
	}
	diag_add(l->d, DIAG_ERROR, x->pos,
	    hint_words(l->a, x->text, names->pool, names->n_pool,
		"such as: upstream 192.0.2.1:25 pool NAME"),
	    "no pool is called %s", diag_quote(l->a, x->text));
	return false;
}

/* A value in the form that those who use the map need; absent: reported. */
static struct strv
value_text(struct loader *l, const struct list *m, const struct item *x)
{
	struct addr_range range;
	struct strv       v = x->text;

	if (!text_ok(l, x, "value"))
		return strv(NULL, 0);
	if ((m->want & MAP_NETS) != 0 && !item_network(l, x, &range))
		return strv(NULL, 0);
	if ((m->want & MAP_POOLS) != 0 && !pool_ok(l, x))
		return strv(NULL, 0);
	if ((m->want & MAP_NAMES) != 0)
		v = item_is_address(v) ? item_address(l, x) : item_domain(l, x);
	return v;
}

static bool
count_ok(struct loader *l, const struct list *m, const struct item *key, const struct lits *v)
{
	if ((m->want & MAP_POOLS) != 0 && v->n > 1) {
		diag_add(l->d, DIAG_ERROR, v->v[1].pos,
		    SV("a comma joins the values of one key; between keys there is none"),
		    "%s has %u values, `route' takes one pool", diag_quote(l->a, key->text), v->n);
		return false;
	}
	if (v->n <= VALUES_MAX)
		return true;
	diag_add(l->d, DIAG_ERROR, v->v[VALUES_MAX].pos,
	    SV("values are walked from the front; a key of their own is found at once"),
	    "%s has more than %d values", diag_quote(l->a, key->text), VALUES_MAX);
	return false;
}

static void
add_entry(struct loader *l, struct list *m, const struct item *key, const struct lits *value)
{
	struct map_place at = { key->pos.line, key->pos.col };
	struct strv      k = key_text(l, key), *v;
	bool             ok = count_ok(l, m, key, value);

	m->items++;
	v = arena_array(l->a, value->n, sizeof(*v));
	for (unsigned i = 0; i < value->n && ok; i++) {
		struct item x = { value->v[i].text, value->v[i].pos };

		v[i] = value_text(l, m, &x);
		ok = v[i].p != NULL;
	}
	if (ok && k.p != NULL && !maptable_add(m->map, k, v, value->n, &at))
		diag_add(l->d, DIAG_ERROR, key->pos,
		    SV("all values of a key stand behind it once: KEY VALUE, VALUE"),
		    "%s is a key already, at %.*s:%u:%u", diag_quote(l->a, key->text),
		    (int)key->pos.src->name.n, key->pos.src->name.p, at.line, at.col);
}

/* ---- files ---- */

struct line {
	struct strv whole, rest;
	struct pos  at; /* of the line */
};

static struct pos
place_in(const struct line *x, const char *p, size_t n)
{
	struct pos at = x->at;

	at.col = (unsigned)(p - x->whole.p) + 1;
	at.len = (unsigned)n;
	return at;
}

static bool
line_fault(struct loader *l, struct pos at, const char *what)
{
	diag_add(l->d, DIAG_ERROR, at, SV("a line is: KEY VALUE, VALUE ... # comment"), "%s", what);
	return false;
}

static bool
ends_word(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* From the quote on: \" is ", \\ is \, as in the configuration. */
static bool
take_string(struct loader *l, struct line *x, struct lit *out)
{
	struct strv v = x->rest;
	char       *text = arena_bytes(l->a, v.n);
	size_t      n = 0, i = 1;

	for (; i < v.n && v.p[i] != '"'; i++) {
		if (v.p[i] == '\\' && i + 1 < v.n && (v.p[i + 1] == '"' || v.p[i + 1] == '\\'))
			i++;
		text[n++] = v.p[i];
	}
	*out = (struct lit){ strv(text, n), place_in(x, v.p, i < v.n ? i + 1 : v.n), true };
	if (i == v.n)
		return line_fault(l, out->pos, "the string is not ended");
	x->rest = strv_from(v, i + 1);
	if (x->rest.n > 0 && !ends_word(x->rest.p[0]))
		return line_fault(
		    l, place_in(x, x->rest.p, 1), "a blank or a comma must follow the string");
	return true;
}

static bool
take_word(struct loader *l, struct line *x, struct lit *out)
{
	struct strv v = x->rest;
	size_t      i = 0;

	if (v.p[0] == '"')
		return take_string(l, x, out);
	for (; i < v.n && !ends_word(v.p[i]); i++) {
		if (memchr("\"{}();", v.p[i], 6) != NULL)
			return line_fault(
			    l, place_in(x, v.p + i, 1), "{ } ( ) ; and \" stand in quotes only");
	}
	*out = (struct lit){ strv_first(v, i), place_in(x, v.p, i), false };
	x->rest = strv_from(v, i);
	return true;
}

/* All words of the line; commas stand between values, where blanks may stand as well. */
static bool
take_words(struct loader *l, struct line *x, struct lits *out)
{
	bool       comma = false;
	struct lit word;

	for (;;) {
		while (x->rest.n > 0 && (x->rest.p[0] == ' ' || x->rest.p[0] == '\t'))
			x->rest = strv_from(x->rest, 1);
		if (x->rest.n == 0 || x->rest.p[0] == '#')
			break;
		if (x->rest.p[0] == ',') {
			if (comma || out->n < 2)
				return line_fault(l, place_in(x, x->rest.p, 1),
				    "a value is missing in front of the comma");
			comma = true;
			x->rest = strv_from(x->rest, 1);
			continue;
		}
		if (!take_word(l, x, &word))
			return false;
		lits_add(l->a, out, word);
		comma = false;
	}
	return !comma ||
	    line_fault(l, place_in(x, x->rest.p, 0), "a value is missing behind the comma");
}

/* A line of a map's file: KEY VALUE, VALUE ... */
static void
add_line(struct loader *l, void *arg, struct strv text, struct pos at)
{
	struct lits words = { 0 }, values;
	struct line x;
	struct item key;

	if (text.n > 0 && text.p[text.n - 1] == '\r')
		text.n--;
	x = (struct line){ text, text, at };
	if (!take_words(l, &x, &words) || words.n == 0)
		return;
	if (words.n == 1) {
		(void)line_fault(l, words.v[0].pos, "the key has no value");
		return;
	}
	key = (struct item){ words.v[0].text, words.v[0].pos };
	values = (struct lits){ words.v + 1, words.n - 1, words.n - 1 };
	add_entry(l, arg, &key, &values);
}

/* ---- all ---- */

static void
load_map(struct loader *l, struct list *m)
{
	const struct conf_list *c = m->conf;

	for (unsigned i = 0; c->store == STORE_SET && i < c->n_entry; i++) {
		struct item key = { c->entry[i].key.text, c->entry[i].key.pos };

		add_entry(l, m, &key, &c->entry[i].value);
	}
	if (c->store == STORE_FILE && c->where.text.p != NULL)
		items_file(l, c, add_line, m);
	else if (c->store != STORE_SET && c->where.text.p != NULL)
		not_in_build(l, c->where.pos, c->store == STORE_LMDB ? SV("lmdb") : SV("redis"));
	maptable_seal(m->map);
}

void
maps_load(struct loader *l)
{
	for (unsigned i = 0; i < l->p->n_list; i++) {
		if (l->p->list[i].conf->kind == LIST_MAP)
			load_map(l, &l->p->list[i]);
	}
}
