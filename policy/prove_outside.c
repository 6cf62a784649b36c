/*
 * prove_outside -- what a stranger can be, and what is ours, as the relay block itself tells it.
 *
 * A stranger is in no list of the gate that is not wide (prove_public.c), but may be in one that is.  Ours are the
 * domains that conditions on recipients name; ".com" and its like name nothing.
 */
#include "policy/match.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define NAMES_MAX 10000 /* values of maps that are ours, one by one */
#define FEW       64    /* names of a set that are put together with those of others */

struct outside {
	const struct policy    *p;
	struct arena           *a;
	const struct netset   **known; /* lists that are not wide */
	unsigned                n_known, max_known;
	const struct nameset  **names; /* that conditions on recipients hold them against */
	unsigned                n_names, max_names;
	const struct maptable **keys; /* maps of recipients */
	unsigned                n_keys, max_keys;
	const struct nameset  **large; /* those of them that are not in `few' */
	unsigned                n_large, max_large;
	struct nameset *few;   /* what all small ones have: a block may have thousands of lines */
	struct nameset *users; /* domains of addresses that are named */
	struct netset *
	    sites; /* those of small lists, and those that a key of a map gives, where they are not wide */
	struct strv *text; /* names one by one: sets, values of maps */
	unsigned     n_text, max_text;
};

/* ---- addresses and names ---- */

bool
outside_has(const struct outside *o, const struct addr *addr)
{
	struct addr_range one = { *addr, *addr };
	struct addr       first;

	if (!range_public(&one, &first))
		return false;
	for (unsigned i = 0; i < o->n_known; i++) {
		if (netset_has(o->known[i], addr))
			return false;
	}
	return !netset_has(o->sites, addr);
}

/* Does the set name the domain, or a parent of it that is no wide suffix? */
static bool
names_have(const struct nameset *s, struct strv domain)
{
	char        text[300] = "@";
	struct strv rest = domain;

	if (domain.n + 1 > sizeof(text))
		return false;
	memcpy(text + 1, domain.p, domain.n);
	if (nameset_has(s, domain) || nameset_has(s, strv(text, domain.n + 1)))
		return true;
	while (strv_chr(rest, '.') < rest.n) {
		rest = strv_from(rest, strv_chr(rest, '.'));
		if (!suffix_wide(rest) && nameset_has(s, rest))
			return true;
		rest = strv_from(rest, 1);
	}
	return false;
}

static bool
keys_have(const struct maptable *t, struct strv domain)
{
	struct map_values v;
	struct strv       rest = domain;

	if (maptable_find(t, domain, &v))
		return true;
	while (strv_chr(rest, '.') < rest.n) {
		rest = strv_from(rest, strv_chr(rest, '.'));
		if (!suffix_wide(rest) && maptable_find(t, rest, &v))
			return true;
		rest = strv_from(rest, 1);
	}
	return false;
}

/* "d", ".d", "u@d", "@d": of which domain is it? */
static struct strv
domain_of(struct strv v)
{
	size_t at = strv_rchr(v, '@');

	v = at < v.n ? strv_from(v, at + 1) : v;
	return strv_starts(v, SV(".")) ? strv_from(v, 1) : v;
}

static bool
text_has(struct strv item, struct strv domain)
{
	struct strv d = domain_of(item);

	if (strv_ieq(d, domain))
		return true;
	return strv_starts(item, SV(".")) && !suffix_wide(item) && domain.n > item.n &&
	    strv_iends(domain, item);
}

bool
outside_ours(const struct outside *o, struct strv domain)
{
	bool yes = nameset_has(o->users, domain) || names_have(o->few, domain);

	for (unsigned i = 0; i < o->n_large && !yes; i++)
		yes = names_have(o->large[i], domain);
	for (unsigned i = 0; i < o->n_keys && !yes; i++)
		yes = keys_have(o->keys[i], domain);
	for (unsigned i = 0; i < o->n_text && !yes; i++)
		yes = text_has(o->text[i], domain);
	return yes;
}

struct strv
outside_foreign(const struct outside *o, struct arena *a)
{
	struct strv v = SV("foreign.example");

	for (unsigned i = 1; i < 100 && outside_ours(o, v); i++)
		v = arena_printf(a, "foreign%u.example", i);
	return v;
}

struct strv
outside_name(const struct outside *o, unsigned i)
{
	for (unsigned k = 0; k < o->n_names; k++) {
		if (i < nameset_count(o->names[k]))
			return nameset_at(o->names[k], i);
		i -= (unsigned)nameset_count(o->names[k]);
	}
	return i < o->n_text ? o->text[i] : strv(NULL, 0);
}

struct strv
outside_domain(const struct outside *o, unsigned i)
{
	struct strv name = outside_name(o, i);

	return name.p == NULL ? name : domain_of(name);
}

/* ---- what the gate names ---- */

static void
add_nets(struct outside *o, const struct netset *s)
{
	if (s == NULL || nets_wide(s))
		return;
	for (unsigned i = 0; i < o->n_known; i++) {
		if (o->known[i] == s)
			return;
	}
	for (size_t i = 0; netset_count(s) <= FEW && i < netset_count(s); i++) {
		struct addr_range r = netset_at(s, i);

		netset_add(o->sites, &r);
	}
	if (netset_count(s) <= FEW)
		return;
	o->known = arena_grow(o->a, o->known, &o->max_known, o->n_known + 1, sizeof(*o->known));
	o->known[o->n_known++] = s;
}

static void
add_names(struct outside *o, const struct nameset *s)
{
	if (s == NULL)
		return;
	for (unsigned i = 0; i < o->n_names; i++) {
		if (o->names[i] == s)
			return;
	}
	o->names = arena_grow(o->a, o->names, &o->max_names, o->n_names + 1, sizeof(*o->names));
	o->names[o->n_names++] = s;
	for (size_t i = 0; nameset_count(s) <= FEW && i < nameset_count(s); i++)
		nameset_add(o->few, nameset_at(s, i));
	if (nameset_count(s) <= FEW)
		return;
	o->large = arena_grow(o->a, o->large, &o->max_large, o->n_large + 1, sizeof(*o->large));
	o->large[o->n_large++] = s;
}

/* Where one address is taken the domain is ours: what else it has is for the server behind. */
static void
add_users(struct outside *o, const struct nameset *s)
{
	struct strv last = SV(""), domain;

	for (size_t i = 0; s != NULL && i < nameset_count(s); i++) {
		domain = domain_of(nameset_at(s, i));
		if (!strv_eq(domain, last))
			nameset_add(o->users, domain);
		last = domain;
	}
	add_names(o, s);
}

/* Each key gives a list of its own: the networks of one that is not wide are known. */
static void
add_sites(struct outside *o, const struct maptable *t)
{
	struct map_values v, again;
	struct addr_range r;
	struct strv       key, one;
	const char       *why;
	size_t            at = 0;

	while (maptable_next(t, &at, &key)) {
		struct breadth b = { 0 };

		if (!maptable_find(t, key, &v))
			continue;
		again = v;
		while (map_values_next(&v, &one)) {
			if (addr_range_parse(one, &r, &why))
				breadth_add(&b, &r);
		}
		while (!breadth_wide(&b) && map_values_next(&again, &one)) {
			if (addr_range_parse(one, &r, &why))
				netset_add(o->sites, &r);
		}
	}
}

static void
add_text(struct outside *o, struct strv v)
{
	if (o->n_text >= NAMES_MAX)
		return;
	o->text = arena_grow(o->a, o->text, &o->max_text, o->n_text + 1, sizeof(*o->text));
	o->text[o->n_text++] = v;
}

static bool
fact_is(const struct outside *o, unsigned fact, const char *head)
{
	struct strv name = strv_z(o->p->facts[fact].name), h = strv_z(head);

	return strv_starts(name, h) && (name.n == h.n || name.p[h.n] == '.');
}

/* What a client says by itself: a map that is asked for it gives what it likes. */
static bool
is_said(const struct outside *o, unsigned fact)
{
	return !fact_is(o, fact, "rcpt") && !fact_is(o, fact, "client") &&
	    !fact_is(o, fact, "listener") && !fact_is(o, fact, "auth") &&
	    !fact_is(o, fact, "authenticated") && !fact_is(o, fact, "tls.client-cert");
}

static void
add_values(struct outside *o, const struct maptable *t)
{
	struct map_values v;
	struct strv       key, one;
	size_t            at = 0;

	while (o->n_text < NAMES_MAX && maptable_next(t, &at, &key)) {
		if (!maptable_find(t, key, &v))
			continue;
		while (map_values_next(&v, &one))
			add_text(o, one);
	}
}

static void
add_keys(struct outside *o, const struct maptable *t)
{
	o->keys = arena_grow(o->a, o->keys, &o->max_keys, o->n_keys + 1, sizeof(*o->keys));
	o->keys[o->n_keys++] = t;
}

/* Whose address is a key of a map that is asked for it is as known as who is in a list. */
static void
add_hosts(struct outside *o, const struct maptable *t, unsigned fact)
{
	struct addr_range r;
	struct strv       key;
	const char       *why;
	size_t            at = 0;

	if (strcmp(o->p->facts[fact].name, "client.ip") != 0 &&
	    strcmp(o->p->facts[fact].name, "client") != 0)
		return;
	while (maptable_next(t, &at, &key)) {
		if (addr_range_parse(key, &r, &why))
			netset_add(o->sites, &r);
	}
}

static void
add_match(struct outside *o, const struct match *m, bool of_rcpt)
{
	add_nets(o, m->nets);
	if (m->kind == MATCH_MAP && (m->call.map->want & MAP_NETS) != 0)
		add_sites(o, m->call.map->map);
	if (m->kind == MATCH_MAP)
		add_hosts(o, m->call.map->map, m->call.fact);
	if (!of_rcpt)
		return;
	add_names(o, m->domains);
	add_users(o, m->addresses);
	if (m->kind == MATCH_TEXT)
		add_text(o, m->text);
	else if (m->kind == MATCH_PATH)
		add_text(o, m->path.domain);
	else if (m->kind == MATCH_MAP && !is_said(o, m->call.fact))
		add_values(o, m->call.map->map);
}

/* Depth is bounded by the parser. */
static void
add_rule(struct outside *o, const struct rule *r)
{
	bool of_rcpt = false, by_map = r->ask.subject == SUBJECT_MAP;

	for (unsigned i = 0; i < r->n_kid; i++)
		add_rule(o, r->kid[i]);
	if (r->kind != EXPR_PRED)
		return;
	if (r->ask.subject == SUBJECT_FACT || by_map)
		of_rcpt = fact_is(o, r->ask.fact, "rcpt") &&
		    strcmp(o->p->facts[r->ask.fact].name, "rcpt.local") != 0;
	if (by_map && of_rcpt)
		add_keys(o, r->ask.map->map);
	if (by_map)
		add_hosts(o, r->ask.map->map, r->ask.fact);
	for (unsigned i = 0; i < r->n_match; i++)
		add_match(o, &r->match[i], of_rcpt && !by_map);
}

static void
add_cond(struct outside *o, const struct gate_cond *c)
{
	if (c->kind == COND_FROM)
		add_nets(o, c->nets);
	if (c->kind == COND_FROM && c->call.map != NULL)
		add_sites(o, c->call.map->map);
	if (c->kind == COND_WHEN)
		add_rule(o, c->when);
	if (c->call.map != NULL)
		add_hosts(o, c->call.map->map, c->call.fact);
	if (c->kind != COND_TO)
		return;
	add_names(o, c->domains);
	add_users(o, c->addresses);
	if (c->call.map != NULL && !is_said(o, c->call.fact))
		add_values(o, c->call.map->map);
}

static void
free_sets(void *arg)
{
	struct outside *o = arg;

	nameset_free(o->few);
	nameset_free(o->users);
	netset_free(o->sites);
}

struct outside *
outside_new(const struct policy *p, struct arena *a)
{
	struct outside *o = arena_alloc(a, sizeof(*o));

	o->p = p;
	o->a = a;
	o->few = nameset_new(&p->key);
	o->users = nameset_new(&p->key);
	o->sites = netset_new();
	arena_defer(a, free_sets, o);
	for (unsigned i = 0; i < p->n_line; i++) {
		for (unsigned k = 0; k < p->line[i].n; k++)
			add_cond(o, &p->line[i].cond[k]);
	}
	netset_seal(o->sites);
	return o;
}
