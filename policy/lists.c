/*
 * lists -- networks, domains and addresses from braces and files.
 *
 * Every bad item is named with its place, in files, too.  A set never holds an item that was
 * refused.
 */
#include "policy/lists.h"

#include "policy/load.h"
#include "proxy/base/arena.h"

#define FILE_OCTETS    ((size_t)128 << 20) /* of a list's file */
#define SCRATCH_OCTETS 65536               /* of what parsing lines leaves behind */

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

void
sets_free(struct sets *s)
{
	for (unsigned i = 0; i < s->n_net; i++)
		netset_free(s->net[i]);
	for (unsigned i = 0; i < s->n_name; i++)
		nameset_free(s->name[i]);
	mem_free(s->net);
	mem_free(s->name);
	*s = (struct sets){ 0 };
}

/* ---- items ---- */

struct item {
	struct strv text;
	struct pos  pos;
};

/* Adds the item to the list, or reports it. */
typedef bool (*item_add)(struct loader *, struct list *, const struct item *);

/* "192.0.2.1/24" has host bits: what was meant is very likely the network. */
static struct strv
hint_network(struct loader *l, struct strv v)
{
	struct strv bits = v, host = strv_cut(&bits, '/');
	char        text[ADDR_TEXT];
	struct addr a;
	uint64_t    n;

	if (bits.p == NULL)
		return strv(NULL, 0);
	if (!addr_parse(host, &a) || !strv_number(bits, a.family == ADDR_IP4 ? 32 : 128, &n))
		return strv(NULL, 0);
	a = addr_mask(&a, (unsigned)n);
	return diag_did_you_mean(
	    l->a, arena_printf(l->a, "%s/%u", addr_print(&a, text).p, (unsigned)n));
}

static bool
add_network(struct loader *l, struct list *to, const struct item *x)
{
	struct addr_range range;
	const char       *why = "";

	if (addr_range_parse(x->text, &range, &why)) {
		netset_add(to->nets, &range);
		return true;
	}
	diag_add(l->d, DIAG_ERROR, x->pos, hint_network(l, x->text), "%s is no network: %s",
	    diag_quote(l->a, x->text), why);
	return false;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" as it is compared: the address in its canonical form. */
static struct strv
literal_text(struct arena *a, struct strv v)
{
	char        text[ADDR_TEXT];
	struct addr addr;

	if (v.n < 3 || v.p[0] != '[' || v.p[v.n - 1] != ']' ||
	    !addr_parse_literal(strv(v.p + 1, v.n - 2), &addr))
		return strv(NULL, 0);
	return arena_printf(a, "[%s]", addr_print(&addr, text).p);
}

static struct strv
hint_domain(struct loader *l, struct strv v)
{
	if (strv_starts(v, SV("*.")) && v.n > 2)
		return diag_did_you_mean(l->a, strv_from(v, 1));
	if (strv_chr(v, '@') < v.n)
		return SV("an address belongs into a list of `addresses'");
	if (v.n > 1 && v.p[v.n - 1] == '.')
		return diag_did_you_mean(l->a, strv_first(v, v.n - 1));
	return strv(NULL, 0);
}

static bool
add_domain(struct loader *l, struct list *to, const struct item *x)
{
	struct strv v = x->text, literal = literal_text(l->a, v);
	bool        dot = strv_starts(v, SV("."));

	if (literal.p != NULL || domain_valid(dot ? strv_from(v, 1) : v, false, true)) {
		nameset_add(to->names, literal.p != NULL ? literal : v);
		return true;
	}
	diag_add(
	    l->d, DIAG_ERROR, x->pos, hint_domain(l, v), "%s is no domain", diag_quote(l->a, v));
	return false;
}

/* An address as lists hold it: decoded local part, "@", domain. */
static struct strv
joined(struct arena *a, const struct path *path)
{
	struct strv literal = literal_text(a, path->domain);

	return arena_concat(
	    a, arena_concat(a, path->local, SV("@")), literal.p != NULL ? literal : path->domain);
}

static bool
add_address(struct loader *l, struct list *to, const struct item *x)
{
	struct strv v = x->text, domain = v.n > 0 ? strv_from(v, 1) : v;
	struct strv literal = literal_text(l->a, domain);
	struct path path;
	const char *why = NULL;

	if (strv_eq(v, SV("<>"))) {
		nameset_add(to->names, v);
		return true;
	}
	if (strv_starts(v, SV("@"))) {
		if (literal.p != NULL || domain_valid(domain, false, true)) {
			nameset_add(to->names,
			    literal.p == NULL ? v : arena_concat(l->a, SV("@"), literal));
			return true;
		}
		why = "what follows the @ is no domain";
	} else if (path_parse_plain(l->a, v, &path, &why) == PATH_OK) {
		if (path.kind == PATH_MAILBOX) {
			nameset_add(to->names, joined(l->a, &path));
			return true;
		}
		why = "it has no domain";
	}
	diag_add(l->d, DIAG_ERROR, x->pos,
	    SV("an address is user@domain, @domain for all of a domain, or <>"),
	    "%s is no address: %s", diag_quote(l->a, v), why);
	return false;
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

/* One item a line. l->a is scratch here: sets and diagnostics keep copies. */
static void
read_lines(struct loader *l, struct list *to, const struct source *src)
{
	item_add    add = adder_of(to->conf->kind);
	struct strv rest = src->text, line;
	struct item x = { .pos = { .src = src } };

	if (strv_starts(rest, SV("\xef\xbb\xbf")))
		rest = strv_from(rest, 3);
	while (rest.p != NULL) {
		line = strv_cut(&rest, '\n');
		x.text = line_item(line);
		x.pos.line++;
		if (x.text.n == 0)
			continue;
		x.pos.col = (unsigned)(x.text.p - line.p) + 1;
		x.pos.len = (unsigned)x.text.n;
		to->items++;
		if (diag_utf8(x.text) < x.text.n)
			diag_add(l->d, DIAG_ERROR, x.pos, strv(NULL, 0), "the line is not UTF-8");
		else
			add(l, to, &x);
		if (arena_used(l->a) > SCRATCH_OCTETS)
			arena_reset(l->a);
	}
}

static void
free_arena(void *a)
{
	arena_free(a);
}

/*
 * The text of a file lives in an arena of its own: only where there is something to show of it
 * does it stay as long as the diagnostics do.
 */
static void
read_file(struct loader *l, struct list *to)
{
	struct arena  *own = arena_new(4096, 0), *a = l->a;
	struct source *src = arena_alloc(l->a, sizeof(*src));
	const char    *path = lists_path(l->a, &to->conf->where.pos, to->conf->where.text);
	unsigned       told = l->d->errors;
	enum file_rc   rc = l->w->read_file(l->w, own, path, FILE_OCTETS, &src->text);

	src->name = strv_z(path);
	src->includer = to->conf->where.pos.src;
	if (rc == FILE_OK) {
		l->a = arena_new(4096, 0);
		read_lines(l, to, src);
		arena_free(l->a);
		l->a = a;
	} else {
		diag_add(l->d, DIAG_ERROR, to->conf->where.pos, strv(NULL, 0), "cannot read %s: %s",
		    diag_quote(l->a, src->name), file_rc_name(rc));
	}
	if (l->d->errors == told)
		arena_free(own);
	else
		arena_defer(l->d->a, free_arena, own);
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

	if (c->kind == LIST_PATTERNS || c->kind == LIST_MAP)
		return; /* check.c says that they are not in this build */
	if (c->kind == LIST_NETWORKS)
		to->nets = sets_net(l->p->sets);
	else
		to->names = sets_name(l->p->sets, &l->p->key);
	if (c->store == STORE_SET)
		add_items(l, to, &c->item);
	else if (c->store == STORE_FILE && c->where.text.p != NULL)
		read_file(l, to);
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
	case WANT(DOMAINS) | WANT(ADDRESSES):
		return "domains or addresses";
	default:
		return "networks, domains or addresses";
	}
}

static void
no_such_list(struct loader *l, const struct lit *name)
{
	unsigned     n_list = l->d->n < DIAG_MAX ? l->p->n_list : 0, n = 0;
	struct strv *names = arena_array(l->a, n_list, sizeof(*names));

	for (unsigned i = 0; i < n_list; i++) {
		if (l->p->list[i].conf->name.text.p != NULL)
			names[n++] = l->p->list[i].conf->name.text;
	}
	did_you_mean(l, name->pos, diag_nearest_v(name->text, names, n), "no list is called %s",
	    diag_quote(l->a, name->text));
}

struct list *
lists_find(struct loader *l, const struct lit *name, unsigned want, const char *taker)
{
	static const char *const kinds[] = { "networks", "domains", "addresses", "patterns" };

	for (unsigned i = 0; i < l->p->n_list; i++) {
		struct list   *x = &l->p->list[i];
		enum list_kind kind = x->conf->kind;

		if (!strv_eq(x->conf->name.text, name->text) || name->text.p == NULL)
			continue;
		x->used = true;
		if (want & 1u << kind)
			return x;
		if (kind == LIST_MAP)
			diag_add(l->d, DIAG_ERROR, name->pos, strv(NULL, 0),
			    "%s is a map, %s takes a list of %s", diag_quote(l->a, name->text),
			    taker, kinds_text(want));
		else
			diag_add(l->d, DIAG_ERROR, name->pos, strv(NULL, 0),
			    "%s is a list of %s, %s takes one of %s", diag_quote(l->a, name->text),
			    kinds[kind], taker, kinds_text(want));
		return NULL;
	}
	no_such_list(l, name);
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

static bool
is_address(struct strv v)
{
	return strv_chr(v, '@') < v.n || strv_eq(v, SV("<>"));
}

void
lists_names(struct loader *l, const struct lits *items, const struct nameset **domains,
    const struct nameset **addresses)
{
	struct conf_list c[2] = { { .kind = LIST_DOMAINS }, { .kind = LIST_ADDRESSES } };
	struct list      to[2] = { { .conf = &c[0] }, { .conf = &c[1] } };

	for (unsigned i = 0; i < items->n; i++) {
		struct item x = { items->v[i].text, items->v[i].pos };
		unsigned    which = is_address(x.text);

		if (to[which].names == NULL)
			to[which].names = sets_name(l->p->sets, &l->p->key);
		adder_of(c[which].kind)(l, &to[which], &x);
	}
	*domains = to[0].names;
	*addresses = to[1].names;
}
