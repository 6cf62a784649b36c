/*
 * names -- who is called what: duplicates, reserved names, look-ups by name.
 *
 * Lists, maps and memories share their names; checks, rates, milters and plugins share theirs.
 * Tables are small (what a person wrote), so they are searched from the front.
 */
#include <stdlib.h>

#include "policy/hints.h"
#include "policy/load.h"
#include "proxy/base/arena.h"

/* Settings may have said it of a plain statement before. */
void
not_in_build(struct loader *l, struct pos at, struct strv what)
{
	if (l->quiet)
		return;
	for (unsigned i = 0; i < l->d->n; i++) {
		const struct diag *x = &l->d->v[i];

		if (x->level == DIAG_ERROR && x->pos.src == at.src && x->pos.line == at.line &&
		    x->pos.col == at.col)
			return;
	}
	diag_add(l->d, DIAG_ERROR, at, hint_instead(what), "%s is not in this build",
	    diag_quote(l->a, what));
}

/* ---- places ---- */

/* The line of the source that a place is in, from that place on. */
static struct strv
source_from(const struct pos *at)
{
	struct strv rest = at->src == NULL ? SV("") : at->src->text, line = rest;

	for (unsigned i = 0; i < at->line && rest.p != NULL; i++)
		line = strv_cut(&rest, '\n');
	return at->col == 0 || at->col > line.n ? SV("") : strv_from(line, at->col - 1);
}

/* \" and \\ are two octets in the source. */
struct pos
lit_place(const struct lit *x, size_t offset, size_t len)
{
	struct strv raw = source_from(&x->pos);
	struct pos  at = x->pos;
	size_t      i = x->quoted, n = 0;

	if (x->quoted && strv_starts(raw, SV("\"\"\"")))
		return at;
	for (; n < offset && i < raw.n; i++, n++) {
		if (x->quoted && raw.p[i] == '\\' && i + 1 < raw.n &&
		    (raw.p[i + 1] == '"' || raw.p[i + 1] == '\\'))
			i++;
	}
	at.col += (unsigned)i;
	at.len = (unsigned)len;
	return at;
}

/* ---- what has a name ---- */

struct named {
	const struct lit *name;
	const char       *what;
	unsigned          at; /* which in file order */
};

static const char *
list_word(enum list_kind kind)
{
	static const char *const words[] = { "a list of networks", "a list of domains",
		"a list of addresses", "a list of patterns", "a map" };

	return words[kind];
}

/* The name of a memory: it is a plain block with a name. */
static struct lit
memory_name(const struct conf *c, const struct block *b)
{
	const struct conf_plain *x;

	if (b->kind != BLOCK_PLAIN)
		return (struct lit){ 0 };
	x = &c->plain[b->u.plain];
	return (struct lit){ .text = x->name.text, .pos = x->name.pos };
}

static struct named
named_list(struct loader *l, const struct block *b)
{
	struct lit memory = memory_name(l->c, b), *x;

	if (b->kind == BLOCK_LIST)
		return (
		    struct named){ .name = &b->u.list->name, .what = list_word(b->u.list->kind) };
	if (memory.text.p == NULL)
		return (struct named){ 0 };
	x = arena_alloc(l->a, sizeof(*x));
	*x = memory;
	return (struct named){ .name = x, .what = "a memory" };
}

static struct named
named_rule(struct loader *l, const struct block *b)
{
	(void)l;
	switch (b->kind) {
	case BLOCK_CHECK:
		return (struct named){ .name = &b->u.check->name, .what = "a check" };
	case BLOCK_RATE:
		return (struct named){ .name = &b->u.rate->name, .what = "a rate" };
	case BLOCK_MILTER:
		return (struct named){ .name = &b->u.milter->name,
			.what = b->u.milter->plugin ? "a plugin" : "a milter" };
	default:
		return (struct named){ 0 };
	}
}

/* All names of one kind, in file order. */
static struct named *
collect(struct loader *l, struct named (*get)(struct loader *, const struct block *), unsigned *n)
{
	const struct conf_tree *t = l->c->tree;
	struct named           *v = arena_array(l->a, t->n, sizeof(*v));

	*n = 0;
	for (unsigned i = 0; i < t->n; i++) {
		struct named x = get(l, &t->block[i]);

		if (x.name == NULL || x.name->text.p == NULL)
			continue;
		x.at = i;
		v[(*n)++] = x;
	}
	return v;
}

/* ---- names used twice ---- */

static int
compare(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int                 by = strv_cmp(x->name->text, y->name->text);

	return by != 0 ? by : x->at < y->at ? -1 : x->at > y->at;
}

static void
duplicate(struct loader *l, const struct lit *name, const struct named *first)
{
	const struct pos *at = &first->name->pos;
	bool same = name->pos.src != at->src && strv_eq(name->pos.src->name, at->src->name);

	diag_add(l->d, DIAG_ERROR, name->pos,
	    same ?
		SV("the file is included twice") :
		SV("lists, maps and memories share their names; so do checks, rates and milters"),
	    "%s is already the name of %s, at %.*s:%u:%u", diag_quote(l->a, name->text),
	    first->what, (int)at->src->name.n, at->src->name.p, at->line, at->col);
}

static void
check_duplicates(struct loader *l, struct named *v, unsigned n)
{
	unsigned first = 0;

	if (n > 1)
		qsort(v, n, sizeof(*v), compare);
	for (unsigned i = 1; i < n; i++) {
		if (strv_eq(v[i].name->text, v[first].name->text))
			duplicate(l, v[i].name, &v[first]);
		else
			first = i;
	}
}

/* Of checks and their like none may have the name of what `by` means otherwise. */
static bool
is_taken_by(struct strv v)
{
	return strv_eq(v, SV("relay")) || strv_eq(v, SV("limits")) || strv_eq(v, SV("upstream"));
}

void
names_check(struct loader *l)
{
	unsigned      n;
	struct named *v = collect(l, named_list, &n);

	for (unsigned i = 0; i < n; i++) {
		if (l->c->tree->block[v[i].at].kind == BLOCK_LIST &&
		    l->c->tree->block[v[i].at].u.list->kind == LIST_MAP &&
		    facts_has(l, v[i].name->text))
			diag_add(l->d, DIAG_ERROR, v[i].name->pos,
			    SV("a name behind a fact's would never be reached"),
			    "no map can be called as the fact %s is",
			    diag_quote(l->a, v[i].name->text));
	}
	check_duplicates(l, v, n);
	v = collect(l, named_rule, &n);
	for (unsigned i = 0; i < n; i++) {
		if (is_taken_by(v[i].name->text))
			diag_add(l->d, DIAG_ERROR, v[i].name->pos,
			    SV("relay, limits and upstream name what there is without checks"),
			    "%s cannot be called %s", v[i].what, diag_quote(l->a, v[i].name->text));
	}
	check_duplicates(l, v, n);
}

/* ---- look-ups ---- */

bool
names_has_memory(const struct loader *l, struct strv name)
{
	for (unsigned i = 0; i < l->c->tree->n; i++) {
		struct lit x = memory_name(l->c, &l->c->tree->block[i]);

		if (x.text.p != NULL && strv_eq(x.text, name))
			return true;
	}
	return false;
}

const struct conf_list *
names_map(const struct loader *l, struct strv name)
{
	for (unsigned i = 0; i < l->c->tree->n; i++) {
		const struct block *b = &l->c->tree->block[i];

		if (b->kind == BLOCK_LIST && b->u.list->kind == LIST_MAP &&
		    b->u.list->name.text.p != NULL && strv_eq(b->u.list->name.text, name))
			return b->u.list;
	}
	return NULL;
}

const struct block *
names_rule(struct loader *l, const struct lit *name, bool by)
{
	unsigned      n;
	struct named *v = l->rules == NULL ? l->rules = collect(l, named_rule, &l->n_rules) :
					     l->rules;
	struct strv  *words;

	if (by && is_taken_by(name->text))
		return NULL;
	for (unsigned i = 0; i < l->n_rules; i++) {
		if (strv_eq(v[i].name->text, name->text))
			return &l->c->tree->block[v[i].at];
	}
	words = arena_array(l->a, l->n_rules + 3, sizeof(*words));
	for (n = 0; n < l->n_rules; n++)
		words[n] = l->rules[n].name->text;
	if (by) {
		words[n++] = SV("relay");
		words[n++] = SV("limits");
		words[n++] = SV("upstream");
	}
	diag_add(l->d, DIAG_ERROR, name->pos, hint_words(l->a, name->text, words, n, NULL),
	    "no check is called %s", diag_quote(l->a, name->text));
	return NULL;
}
