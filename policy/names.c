/*
 * names -- who is called what: duplicates, reserved names, look-ups by name.
 *
 * Lists, maps and memories share their names; checks, rates, milters and plugins share theirs.  Tables
 * are small (what a person wrote), so they are searched from the front.
 */
#include <stdarg.h>
#include <stdio.h>

#include "policy/load.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define TEXT_MAX 400

void
did_you_mean(struct loader *l, struct pos at, struct strv near, const char *fmt, ...)
{
	char    text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_add(l->d, DIAG_ERROR, at, diag_did_you_mean(l->a, near), "%s", text);
}

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
	diag_add(l->d, DIAG_ERROR, at, strv(NULL, 0), "%s is not in this build", diag_quote(l->a, what));
}

/* ---- what has a name ---- */

struct named {
	const struct lit *name;
	const char       *what;
};

static const char *
list_word(enum list_kind kind)
{
	static const char *const words[] = { "a list of networks", "a list of domains",
		"a list of addresses", "a list of patterns", "a map" };

	return words[kind];
}

static struct named
named_list(const struct block *b)
{
	if (b->kind == BLOCK_LIST && b->u.list->name.text.p != NULL)
		return (struct named){ &b->u.list->name, list_word(b->u.list->kind) };
	return (struct named){ NULL, NULL };
}

static struct named
named_rule(const struct block *b)
{
	struct named x = { NULL, NULL };

	if (b->kind == BLOCK_CHECK)
		x = (struct named){ &b->u.check->name, "a check" };
	else if (b->kind == BLOCK_RATE)
		x = (struct named){ &b->u.rate->name, "a rate" };
	else if (b->kind == BLOCK_MILTER)
		x = (struct named){ &b->u.milter->name, b->u.milter->plugin ? "a plugin" : "a milter" };
	return x.name != NULL && x.name->text.p != NULL ? x : (struct named){ NULL, NULL };
}

/* Where the first stands, for the one that comes too late. */
static const char *
place_of(struct loader *l, struct pos at)
{
	return arena_printf(l->a, "%.*s:%u:%u", (int)at.src->name.n, at.src->name.p, at.line, at.col).p;
}

static void
duplicate(struct loader *l, const struct lit *name, const struct named *first)
{
	bool same = name->pos.src != first->name->pos.src &&
	    strv_eq(name->pos.src->name, first->name->pos.src->name);

	diag_add(l->d, DIAG_ERROR, name->pos, same ? SV("the file is included twice") : strv(NULL, 0), "%s is already the name of %s, at %s",
	    diag_quote(l->a, name->text), first->what, place_of(l, first->name->pos));
}

static void
check_list_name(struct loader *l, unsigned at, struct named (*get)(const struct block *))
{
	const struct conf_tree *t = l->c->tree;
	struct named            x = get(&t->block[at]), y;

	if (x.name == NULL)
		return;
	for (unsigned i = 0; i < at; i++) {
		y = get(&t->block[i]);
		if (y.name != NULL && strv_eq(y.name->text, x.name->text)) {
			duplicate(l, x.name, &y);
			return;
		}
	}
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

static void
check_memory_name(struct loader *l, unsigned at)
{
	const struct conf_tree *t = l->c->tree;
	struct lit              x = memory_name(l->c, &t->block[at]), z;
	struct named            y;

	for (unsigned i = 0; x.text.p != NULL && i < t->n; i++) {
		y = named_list(&t->block[i]);
		z = memory_name(l->c, &t->block[i]);
		if (i < at && z.text.p != NULL)
			y = (struct named){ &z, "a memory" };
		if (y.name != NULL && strv_eq(y.name->text, x.text)) {
			duplicate(l, &x, &y);
			return;
		}
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
	for (unsigned i = 0; i < l->c->tree->n; i++) {
		struct named x = named_rule(&l->c->tree->block[i]);

		if (x.name != NULL && is_taken_by(x.name->text))
			diag_add(l->d, DIAG_ERROR, x.name->pos,
			    SV("relay, limits and upstream are names of what there is without checks"),
			    "%s cannot be called %s", x.what, diag_quote(l->a, x.name->text));
		check_list_name(l, i, named_list);
		check_list_name(l, i, named_rule);
		check_memory_name(l, i);
	}
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

		if (b->kind == BLOCK_LIST && b->u.list->kind == LIST_MAP && b->u.list->name.text.p != NULL &&
		    strv_eq(b->u.list->name.text, name))
			return b->u.list;
	}
	return NULL;
}

const struct block *
names_rule(struct loader *l, const struct lit *name, bool by)
{
	const struct conf_tree *t = l->c->tree;
	struct strv            *words = arena_array(l->a, t->n + 3, sizeof(*words));
	unsigned                n = 0;

	if (by && is_taken_by(name->text))
		return NULL;
	for (unsigned i = 0; i < t->n; i++) {
		struct named x = named_rule(&t->block[i]);

		if (x.name == NULL)
			continue;
		if (strv_eq(x.name->text, name->text))
			return &t->block[i];
		words[n++] = x.name->text;
	}
	if (by) {
		words[n++] = SV("relay");
		words[n++] = SV("limits");
		words[n++] = SV("upstream");
	}
	did_you_mean(l, name->pos, diag_nearest_v(name->text, words, n), "no check is called %s",
	    diag_quote(l->a, name->text));
	return NULL;
}
