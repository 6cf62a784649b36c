/*
 * match_map -- what a map has for a value, the nearest key first; and values of a map in place of a list.
 *
 * Apart from match.c because a map has texts, as they were written: what is looked up there is a text as well, and what
 * comes of it is read when it is held against something.
 */
#include "policy/match.h"

#define KEY_OCTETS 600 /* an address at its longest; what is longer is in no map */
#define PARENTS    128 /* a domain name has at most 127 labels (RFC 1035 3.1) */

/* ---- the key ---- */

/* The first of what a key has, as the next may be shorter: "a.b.example", ".b.example", ".example". */
static bool
find_domain(const struct maptable *t, struct strv domain, struct map_values *out)
{
	size_t dot;

	/* No name asked for begins with the dot that only keys may have. */
	if (domain.n == 0 || domain.p[0] == '.')
		return false;
	for (unsigned i = 0; i < PARENTS; i++) {
		if (maptable_find(t, domain, out))
			return true;
		dot = i == 0 ? strv_chr(domain, '.') : 1 + strv_chr(strv_from(domain, 1), '.');
		if (dot >= domain.n)
			return false;
		domain = strv_from(domain, dot);
	}
	return false;
}

static bool
find_joined(const struct maptable *t, struct strv local, struct strv domain, struct map_values *out)
{
	char text[KEY_OCTETS];

	if (local.n >= sizeof(text) || domain.n > sizeof(text) - 1 - local.n)
		return false;
	if (local.n > 0)
		memcpy(text, local.p, local.n);
	text[local.n] = '@';
	if (domain.n > 0)
		memcpy(text + local.n + 1, domain.p, domain.n);
	return maptable_find(t, strv(text, local.n + 1 + domain.n), out);
}

/* user+ext@d, user@d, @d, d, .parent */
static bool
find_address(
    const struct maptable *t, struct strv local, struct strv domain, struct map_values *out)
{
	size_t plus = strv_chr(local, '+');

	return find_joined(t, local, domain, out) ||
	    (plus < local.n && find_joined(t, strv_first(local, plus), domain, out)) ||
	    find_joined(t, SV(""), domain, out) || find_domain(t, domain, out);
}

static bool
find_path(const struct maptable *t, const struct path *path, struct map_values *out)
{
	char buf[IDN_OCTETS];

	if (path->kind == PATH_NULL)
		return maptable_find(t, SV("<>"), out);
	return path->kind == PATH_MAILBOX &&
	    find_address(t, path->local, match_domain(path, buf), out);
}

/*
 * "@" divides an address at the last, as everywhere.  In what is none, such as a local part or a reverse name, it is
 * whoever's who wrote that, and finds no address; of a certificate's subject whoever signed it has looked.
 */
static bool
find_text(
    const struct maptable *t, const struct fact_def *def, struct strv v, struct map_values *out)
{
	char   buf[IDN_OCTETS];
	size_t at = strv_rchr(v, '@');

	if (at < v.n && !def->address && strcmp(def->name, "tls.client-cert") != 0)
		return false;
	if (at < v.n && def->address)
		return find_address(
		    t, strv_first(v, at), match_text_domain(strv_from(v, at + 1), buf), out);
	return find_domain(t, match_text_domain(v, buf), out);
}

/* Values that are neither names nor texts are looked up as they are written. */
static bool
find_other(const struct maptable *t, const struct fact *f, struct map_values *out)
{
	char text[ADDR_TEXT];

	if (f->def->type == FACT_ADDR)
		return maptable_find(t, addr_print(&f->v.addr, text), out);
	if (f->def->type == FACT_WORD)
		return maptable_find(t, strv_z(f->def->words[f->v.word]), out);
	if (f->def->type == FACT_BOOL)
		return maptable_find(t, f->v.yes ? SV("yes") : SV("no"), out);
	if (f->def->type == FACT_NUMBER && f->v.number >= 0)
		return maptable_find(t, strv_print_number((uint64_t)f->v.number, text), out);
	return false;
}

struct map_values
match_map(const struct list *map, const struct fact *f)
{
	struct map_values none = { NULL, 0 }, out;
	bool              found = false;

	if (fact_absent(f))
		return none;
	if (f->def->type == FACT_PATH)
		found = find_path(map->map, f->v.path, &out);
	else if (f->def->type == FACT_TEXT)
		found = find_text(map->map, f->def, f->v.text, &out);
	else
		found = find_other(map->map, f, &out);
	return found ? out : none;
}

/* ---- a value of a map in place of a list ---- */

/* Is the domain item's, or below it where the item begins with a dot? */
static bool
is_domain(struct strv domain, struct strv item)
{
	return strv_starts(item, SV(".")) ?
	    domain.n > item.n && domain.p[0] != '.' && strv_iends(domain, item) :
	    strv_ieq(domain, item);
}

/* user@d is user+ext@d as well, @d is everybody there. */
static bool
is_address(struct strv local, struct strv domain, struct strv item)
{
	size_t at = strv_rchr(item, '@'), plus = strv_chr(local, '+');
	char   buf[IDN_OCTETS];

	if (at == item.n || !strv_ieq(domain, match_text_domain(strv_from(item, at + 1), buf)))
		return false;
	item = strv_first(item, at);
	return item.n == 0 || strv_ieq(local, item) || strv_ieq(strv_first(local, plus), item);
}

bool
match_path_item(const struct path *path, struct strv item)
{
	char        buf[IDN_OCTETS];
	struct strv domain = match_domain(path, buf);

	if (path->kind == PATH_NULL)
		return strv_eq(item, SV("<>"));
	return path->kind == PATH_MAILBOX &&
	    (is_domain(domain, item) || is_address(path->local, domain, item));
}

static bool
name_item(struct strv v, struct strv item)
{
	char a[IDN_OCTETS], b[IDN_OCTETS];

	return is_domain(v, item) || is_domain(match_text_domain(v, a), match_text_domain(item, b));
}

/* "@" divides an address at the last, as everywhere.  whole: of a text that need be none. */
static bool
text_item(struct strv v, struct strv item, bool whole)
{
	size_t      at = strv_rchr(v, '@');
	char        a[IDN_OCTETS];
	struct strv domain = at < v.n ? strv_from(v, at + 1) : v;

	return name_item(whole ? v : domain, item) ||
	    (at < v.n && is_address(strv_first(v, at), match_text_domain(domain, a), item));
}

/* item: address, CIDR or range */
static bool
addr_in_item(const struct addr *a, struct strv item)
{
	struct addr_range range;
	const char       *why;

	return addr_range_parse(item, &range, &why) && a->family == range.lo.family &&
	    memcmp(a->b, range.lo.b, sizeof(a->b)) >= 0 &&
	    memcmp(a->b, range.hi.b, sizeof(a->b)) <= 0;
}

static bool
fact_item(const struct fact *f, struct strv item)
{
	bool yes = false;

	switch (f->def->type) {
	case FACT_ADDR:
		return addr_in_item(&f->v.addr, item);
	case FACT_PATH:
		return match_path_item(f->v.path, item);
	case FACT_TEXT:
		return f->def->address ? text_item(f->v.text, item, false) :
					 name_item(f->v.text, item);
	case FACT_ADDRS:
		for (unsigned i = 0; i < f->v.addrs.n && !yes; i++)
			yes = addr_in_item(&f->v.addrs.v[i], item);
		return yes;
	case FACT_TEXTS:
		for (unsigned i = 0; i < f->v.texts.n && !yes; i++)
			yes = text_item(f->v.texts.v[i], item, true);
		return yes;
	default:
		return false;
	}
}

bool
match_fact_in(const struct fact *f, struct map_values v)
{
	struct strv item;

	while (map_values_next(&v, &item)) {
		if (fact_item(f, item))
			return true;
	}
	return false;
}

bool
match_values_in(struct map_values v, struct map_values in)
{
	struct strv one, item;

	while (map_values_next(&v, &one)) {
		struct map_values rest = in;

		while (map_values_next(&rest, &item)) {
			if (text_item(one, item, false))
				return true;
		}
	}
	return false;
}
