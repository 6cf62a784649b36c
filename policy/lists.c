/*
 * lists -- networks, domains and addresses from braces and files; lists by their names.
 *
 * Not for patterns: lists_patterns.c, nor for what maps hold: maps.c.  Every bad item is named with its
 * place, in files, too.  A set never holds an item that was refused.
 */
#include "policy/lists.h"

#include "policy/hints.h"
#include "policy/items.h"
#include "policy/lists_own.h"
#include "proxy/base/arena.h"

const char *
lists_path(struct arena *a, const struct pos *at, struct strv name)
{
	struct strv file = at->src == NULL ? SV("") : at->src->name;
	size_t      slash = strv_rchr(file, '/');

	if (slash == file.n || strv_starts(name, SV("/")))
		return arena_z(a, name);
	return arena_z(a, arena_concat(a, strv_first(file, slash + 1), name));
}

/* ---- sets ---- */

struct netset *
sets_net(struct sets *s)
{
	if (s->n_net == s->max_net) {
		s->max_net = s->max_net == 0 ? 8 : s->max_net * 2;
		s->net = mem_resize(s->net, s->max_net * sizeof(struct netset *));
	}
	return s->net[s->n_net++] = netset_new();
}

struct nameset *
sets_name(struct sets *s, const struct hash_key *key)
{
	if (s->n_name == s->max_name) {
		s->max_name = s->max_name == 0 ? 8 : s->max_name * 2;
		s->name = mem_resize(s->name, s->max_name * sizeof(struct nameset *));
	}
	return s->name[s->n_name++] = nameset_new(key);
}

struct maptable *
sets_map(struct sets *s, const struct hash_key *key)
{
	if (s->n_map == s->max_map) {
		s->max_map = s->max_map == 0 ? 8 : s->max_map * 2;
		s->map = mem_resize(s->map, s->max_map * sizeof(struct maptable *));
	}
	return s->map[s->n_map++] = maptable_new(key);
}

void
sets_free(struct sets *s)
{
	for (unsigned i = 0; i < s->n_map; i++)
		maptable_free(s->map[i]);
	mem_free(s->map);
	for (unsigned i = 0; i < s->n_net; i++)
		netset_free(s->net[i]);
	for (unsigned i = 0; i < s->n_name; i++)
		nameset_free(s->name[i]);
	mem_free(s->net);
	mem_free(s->name);
	*s = (struct sets){ 0 };
}

/* ---- items ---- */

/* Adds the item to the list, or reports it. */
typedef void (*item_add)(struct loader *, struct list *, const struct item *);

static void
add_network(struct loader *l, struct list *to, const struct item *x)
{
	struct addr_range range;

	if (item_network(l, x, &range))
		netset_add(to->nets, &range);
}

static void
add_domain(struct loader *l, struct list *to, const struct item *x)
{
	struct strv v = item_domain(l, x);

	if (v.p != NULL)
		nameset_add(to->names, v);
}

static void
add_address(struct loader *l, struct list *to, const struct item *x)
{
	struct strv v = item_address(l, x);

	if (v.p != NULL)
		nameset_add(to->names, v);
}

static item_add
adder_of(enum list_kind kind)
{
	return kind == LIST_NETWORKS ? add_network :
	    kind == LIST_DOMAINS     ? add_domain :
				       add_address;
}

/* ---- files ---- */

/*
 * What stands on a line, without blanks at its ends and a comment. In quotes # is like any
 * other.
 */
static struct strv
line_item(struct strv line)
{
	bool quoted = false;

	for (size_t i = 0; i < line.n; i++) {
		char before = i == 0 ? ' ' : line.p[i - 1];

		if (line.p[i] == '"')
			quoted = !quoted;
		if (line.p[i] == '#' && !quoted && (before == ' ' || before == '\t'))
			line.n = i;
	}
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return strv_trim(line);
}

/* One item a line. */
static void
add_line(struct loader *l, void *arg, struct strv line, struct pos at)
{
	struct list *to = arg;
	struct item  x = { line_item(line), at };

	if (x.text.n == 0)
		return;
	x.pos.col = (unsigned)(x.text.p - line.p) + 1;
	x.pos.len = (unsigned)x.text.n;
	to->items++;
	if (diag_utf8(x.text) < x.text.n)
		diag_add(
		    l->d, DIAG_ERROR, x.pos, SV("save the file as UTF-8"), "the line is not UTF-8");
	else
		adder_of(to->conf->kind)(l, to, &x);
}

/* ---- lists ---- */

static void
add_items(struct loader *l, struct list *to, const struct lits *items)
{
	item_add add = adder_of(to->conf->kind);

	for (unsigned i = 0; i < items->n; i++) {
		struct item x = { items->v[i].text, items->v[i].pos };

		to->items++;
		add(l, to, &x);
	}
}

static void
load_list(struct loader *l, struct list *to)
{
	static const char *const words[] = { "", "file", "lmdb", "redis" };
	const struct conf_list  *c = to->conf;

	if (c->kind == LIST_PATTERNS) {
		lists_load_patterns(l, to);
		return;
	}
	if (c->kind == LIST_MAP) {
		to->map = sets_map(l->p->sets, &l->p->key);
		return; /* maps.c reads it */
	}
	if (c->kind == LIST_NETWORKS)
		to->nets = sets_net(l->p->sets);
	else
		to->names = sets_name(l->p->sets, &l->p->key);
	if (c->store == STORE_SET)
		add_items(l, to, &c->item);
	else if (c->store == STORE_FILE && c->where.text.p != NULL)
		items_file(l, c, add_line, to);
	else if (c->where.text.p != NULL)
		not_in_build(l, c->where.pos, strv_z(words[c->store]));
	if (to->nets != NULL)
		netset_seal(to->nets);
}

void
lists_load(struct loader *l)
{
	const struct conf_tree *t = l->c->tree;
	struct policy          *p = l->p;

	p->list = arena_array(l->a, t->n, sizeof(*p->list));
	for (unsigned i = 0; i < t->n; i++) {
		if (t->block[i].kind != BLOCK_LIST)
			continue;
		p->list[p->n_list].conf = t->block[i].u.list;
		load_list(l, &p->list[p->n_list++]);
	}
}

/* ---- references ---- */

static const char *
kinds_text(unsigned want)
{
	switch (want) {
	case WANT(NETWORKS):
		return "networks";
	case WANT(DOMAINS):
		return "domains";
	case WANT(ADDRESSES):
		return "addresses";
	case WANT(PATTERNS):
		return "patterns";
	case WANT(DOMAINS) | WANT(ADDRESSES):
		return "domains or addresses";
	default:
		return "networks, domains or addresses";
	}
}

static const char *
example_of(unsigned want)
{
	if (want & WANT(NETWORKS))
		return "such as: networks NAME { 192.0.2.0/24 }";
	if (want & WANT(DOMAINS))
		return "such as: domains NAME { example.org, .example.org }";
	if (want & WANT(ADDRESSES))
		return "such as: addresses NAME { user@example.org }";
	return "such as: patterns NAME { \"PATTERN\" }";
}

static void
no_such_list(struct loader *l, const struct lit *name, unsigned want)
{
	unsigned     n_list = l->d->n < DIAG_MAX ? l->p->n_list : 0, n = 0;
	struct strv *names = arena_array(l->a, n_list, sizeof(*names)), hint;

	for (unsigned i = 0; i < n_list; i++) {
		if (l->p->list[i].conf->name.text.p != NULL &&
		    (want & 1u << l->p->list[i].conf->kind))
			names[n++] = l->p->list[i].conf->name.text;
	}
	hint = hint_item(l->a, name->text);
	if (hint.p == NULL)
		hint = hint_words(l->a, name->text, names, n, example_of(want));
	diag_add(l->d, DIAG_ERROR, name->pos, hint, "no list is called %s",
	    diag_quote(l->a, name->text));
}

struct list *
lists_find(struct loader *l, const struct lit *name, unsigned want, const char *taker)
{
	static const char *const kinds[] = { "networks", "domains", "addresses", "patterns" };
	static const char *const asked[] = {
		"networks are asked by: client in NAME, allow from NAME",
		"domains are asked by: rcpt in NAME, sender.domain in NAME, allow to NAME",
		"addresses are asked by: sender in NAME, rcpt in NAME, allow to NAME",
		"patterns are asked by: helo matches NAME",
	};

	for (unsigned i = 0; i < l->p->n_list; i++) {
		struct list   *x = &l->p->list[i];
		enum list_kind kind = x->conf->kind;

		if (!strv_eq(x->conf->name.text, name->text) || name->text.p == NULL)
			continue;
		x->used = true;
		if (want & 1u << kind)
			return x;
		if (kind == LIST_MAP)
			diag_add(l->d, DIAG_ERROR, name->pos,
			    arena_printf(l->a, "what a map has is written %.*s(FACT)",
				(int)name->text.n, name->text.p),
			    "%s is a map, %s takes a list of %s", diag_quote(l->a, name->text),
			    taker, kinds_text(want));
		else
			diag_add(l->d, DIAG_ERROR, name->pos, strv_z(asked[kind]),
			    "%s is a list of %s, %s takes one of %s", diag_quote(l->a, name->text),
			    kinds[kind], taker, kinds_text(want));
		return NULL;
	}
	no_such_list(l, name, want);
	return NULL;
}

struct netset *
lists_networks(struct loader *l, const struct lits *items)
{
	struct conf_list c = { .kind = LIST_NETWORKS };
	struct list      to = { .conf = &c, .nets = sets_net(l->p->sets) };

	add_items(l, &to, items);
	netset_seal(to.nets);
	return to.nets;
}

struct nameset *
lists_domains(struct loader *l, const struct lits *items)
{
	struct conf_list c = { .kind = LIST_DOMAINS };
	struct list      to = { .conf = &c, .names = sets_name(l->p->sets, &l->p->key) };

	add_items(l, &to, items);
	return to.names;
}

void
lists_names(struct loader *l, const struct lits *items, const struct nameset **domains,
    const struct nameset **addresses)
{
	struct conf_list c[2] = { { .kind = LIST_DOMAINS }, { .kind = LIST_ADDRESSES } };
	struct list      to[2] = { { .conf = &c[0] }, { .conf = &c[1] } };

	for (unsigned i = 0; i < items->n; i++) {
		struct item x = { items->v[i].text, items->v[i].pos };
		unsigned    which = item_is_address(x.text);

		if (to[which].names == NULL)
			to[which].names = sets_name(l->p->sets, &l->p->key);
		adder_of(c[which].kind)(l, &to[which], &x);
	}
	*domains = to[0].names;
	*addresses = to[1].names;
}
