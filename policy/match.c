/*
 * match -- one value against what a rule holds it against: numbers, names, networks, texts, and what a
 * map has.
 *
 * Not for asking: all facts are here already, nothing parks and nothing is allocated.
 */
#include "policy/match.h"

#include "policy/patterns.h"
#include "proxy/base/idn.h"

#define KEY_OCTETS 600 /* an address at its longest; what is longer is in no map */
#define PARENTS    128 /* a domain name has at most 127 labels (RFC 1035 3.1) */

/* ---- names ---- */

/* The domain as lists hold it: an address literal in its one canonical form, U-labels as A-labels. */
static struct strv
domain_of(const struct path *path, char buf[IDN_OCTETS])
{
	struct strv v;

	if (path->literal.family == ADDR_NONE)
		return idn_domain(path->domain, buf);
	v = addr_print(&path->literal, buf + 1);
	buf[0] = '[';
	buf[v.n + 1] = ']';
	return strv(buf, v.n + 2);
}

bool
match_path_in(
    const struct path *path, const struct nameset *domains, const struct nameset *addresses)
{
	char        buf[IDN_OCTETS];
	struct strv domain = domain_of(path, buf);

	if (path->kind == PATH_NULL)
		return addresses != NULL && nameset_has(addresses, SV("<>"));
	if (path->kind != PATH_MAILBOX)
		return false;
	return (domains != NULL && nameset_has_domain(domains, domain)) ||
	    (addresses != NULL && nameset_has_address(addresses, path->local, domain));
}

/*
 * A text that is an address, such as a login, is looked up as one; "@" in it divides at the
 * last.
 */
static bool
text_in(struct strv v, const struct nameset *domains, const struct nameset *addresses)
{
	size_t at = strv_rchr(v, '@');
	char   buf[IDN_OCTETS];

	if (domains != NULL && nameset_has_domain(domains, idn_domain(v, buf)))
		return true;
	return addresses != NULL && at < v.n &&
	    nameset_has_address(
		addresses, strv_first(v, at), idn_domain(strv_from(v, at + 1), buf));
}

static bool
is_literal(struct strv v)
{
	struct addr a;

	return v.n > 2 && v.p[0] == '[' && v.p[v.n - 1] == ']' &&
	    addr_parse_literal(strv(v.p + 1, v.n - 2), &a);
}

/* For <> and address literals `is fqdn' is true. */
static bool
text_is_fqdn(struct strv v)
{
	return is_literal(v) || domain_valid(v, true, true);
}

static bool
path_is_fqdn(const struct path *path)
{
	return path->kind == PATH_NULL ||
	    (path->kind == PATH_MAILBOX && text_is_fqdn(path->domain));
}

/* ---- matches ---- */

bool
match_number(const struct match *m, double x)
{
	switch (m->op) {
	case PRED_LT:
		return x < m->number;
	case PRED_LE:
		return x <= m->number;
	case PRED_GT:
		return x > m->number;
	case PRED_GE:
		return x >= m->number;
	default:
		return x == m->number;
	}
}

/* Texts may be domains, as sender.domain is. */
static bool
same_text(struct strv x, struct strv y)
{
	char        a[IDN_OCTETS], b[IDN_OCTETS];
	struct strv in, out;

	if (strv_ieq(x, y))
		return true;
	in = idn_domain(x, a);
	out = idn_domain(y, b);
	return (in.p != x.p || out.p != y.p) && strv_ieq(in, out);
}

bool
match_text(const struct match *m, struct strv v)
{
	switch (m->kind) {
	case MATCH_TEXT:
		return same_text(m->text, v);
	case MATCH_NAMES:
		return text_in(v, m->domains, m->addresses);
	case MATCH_FQDN:
		return text_is_fqdn(v);
	case MATCH_LITERAL:
		return is_literal(v);
	default:
		return false;
	}
}

static bool
match_path(const struct match *m, const struct path *path)
{
	char a[IDN_OCTETS], b[IDN_OCTETS];

	switch (m->kind) {
	case MATCH_NULL:
		return path->kind == PATH_NULL;
	case MATCH_NAMES:
		return match_path_in(path, m->domains, m->addresses);
	case MATCH_FQDN:
		return path_is_fqdn(path);
	case MATCH_LITERAL:
		return path->literal.family != ADDR_NONE;
	case MATCH_PATH:
		return path->kind == PATH_MAILBOX && strv_ieq(path->local, m->path.local) &&
		    strv_ieq(domain_of(path, a), domain_of(&m->path, b));
	default:
		return false;
	}
}

/* The value is there: is it what the match asks for? */
bool
match_value(const struct match *m, const struct fact *f)
{
	bool yes = false;

	switch (f->def->type) {
	case FACT_BOOL:
		return f->v.yes;
	case FACT_NUMBER:
		return m->kind == MATCH_NUMBER && match_number(m, (double)f->v.number);
	case FACT_TEXT:
		return match_text(m, f->v.text);
	case FACT_ADDR:
		return m->kind == MATCH_NETS && netset_has(m->nets, &f->v.addr);
	case FACT_PATH:
		return match_path(m, f->v.path);
	case FACT_WORD:
		return m->kind == MATCH_WORDS && f->v.word < 64 && (m->words >> f->v.word & 1) != 0;
	case FACT_ADDRS:
		/* A list that answers at all, whatever it says. */
		if (m->kind == MATCH_TRUE)
			return true;
		for (unsigned i = 0; i < f->v.addrs.n && m->kind == MATCH_NETS; i++)
			yes = yes || netset_has(m->nets, &f->v.addrs.v[i]);
		return yes;
	case FACT_TEXTS:
		for (unsigned i = 0; i < f->v.texts.n; i++)
			yes = yes || match_text(m, f->v.texts.v[i]);
		return yes;
	}
	return false;
}

/* ---- patterns ---- */

enum truth
match_pattern_text(const struct match *m, struct strv v, uint64_t *steps)
{
	static const enum truth truths[] = {
		[PATTERN_NO] = TRUTH_NO,
		[PATTERN_UNKNOWN] = TRUTH_UNKNOWN,
		[PATTERN_YES] = TRUTH_YES,
	};

	return truths[patterns_match(m->pattern, m->n_pattern, v, steps)];
}

/* A pattern of a listener's name or a host's address is as good as one of a text. */
enum truth
match_pattern(const struct match *m, const struct fact *f, uint64_t *steps)
{
	enum truth all = TRUTH_NO, one;
	char       text[ADDR_TEXT];

	switch (f->def->type) {
	case FACT_TEXT:
		return match_pattern_text(m, f->v.text, steps);
	case FACT_PATH:
		return match_pattern_text(
		    m, f->v.path->kind == PATH_NULL ? SV("<>") : path_text(f->v.path), steps);
	case FACT_ADDR:
		return match_pattern_text(m, addr_print(&f->v.addr, text), steps);
	case FACT_WORD:
		return match_pattern_text(m, strv_z(f->def->words[f->v.word]), steps);
	case FACT_TEXTS:
		for (unsigned i = 0; i < f->v.texts.n && all != TRUTH_YES; i++) {
			one = match_pattern_text(m, f->v.texts.v[i], steps);
			all = one > all ? one : all;
		}
		return all;
	default:
		return TRUTH_NO;
	}
}

/* ---- maps ---- */

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

/* An address literal in the form that keys have; anything else as it is. */
static struct strv
literal_or(struct strv v, char buf[IDN_OCTETS])
{
	struct path path = { .domain = v };

	if (v.n > 2 && v.p[0] == '[' && v.p[v.n - 1] == ']')
		(void)addr_parse_literal(strv(v.p + 1, v.n - 2), &path.literal);
	return domain_of(&path, buf);
}

bool
match_map_path(const struct maptable *t, const struct path *path, struct map_values *out)
{
	char buf[IDN_OCTETS];

	if (path->kind == PATH_NULL)
		return maptable_find(t, SV("<>"), out);
	return path->kind == PATH_MAILBOX &&
	    find_address(t, path->local, domain_of(path, buf), out);
}

/* "@" divides at the last, as everywhere. */
static bool
find_text(const struct maptable *t, struct strv v, struct map_values *out)
{
	char   buf[IDN_OCTETS];
	size_t at = strv_rchr(v, '@');

	if (at < v.n)
		return find_address(
		    t, strv_first(v, at), literal_or(strv_from(v, at + 1), buf), out);
	return find_domain(t, literal_or(v, buf), out);
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
		found = match_map_path(map->map, f->v.path, &out);
	else if (f->def->type == FACT_TEXT)
		found = find_text(map->map, f->v.text, &out);
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

	if (at == item.n || !strv_ieq(domain, strv_from(item, at + 1)))
		return false;
	item = strv_first(item, at);
	return item.n == 0 || strv_ieq(local, item) || strv_ieq(strv_first(local, plus), item);
}

bool
match_path_item(const struct path *path, struct strv item)
{
	char        buf[IDN_OCTETS];
	struct strv domain = domain_of(path, buf);

	if (path->kind == PATH_NULL)
		return strv_eq(item, SV("<>"));
	return path->kind == PATH_MAILBOX &&
	    (is_domain(domain, item) || is_address(path->local, domain, item));
}

static bool
text_item(struct strv v, struct strv item)
{
	size_t at = strv_rchr(v, '@');
	char   a[IDN_OCTETS], b[IDN_OCTETS];

	return is_domain(v, item) || is_domain(idn_domain(v, a), idn_domain(item, b)) ||
	    (at < v.n && is_address(strv_first(v, at), strv_from(v, at + 1), item));
}

bool
match_addr_item(const struct addr *a, struct strv item)
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
		return match_addr_item(&f->v.addr, item);
	case FACT_PATH:
		return match_path_item(f->v.path, item);
	case FACT_TEXT:
		return text_item(f->v.text, item);
	case FACT_ADDRS:
		for (unsigned i = 0; i < f->v.addrs.n && !yes; i++)
			yes = match_addr_item(&f->v.addrs.v[i], item);
		return yes;
	case FACT_TEXTS:
		for (unsigned i = 0; i < f->v.texts.n && !yes; i++)
			yes = text_item(f->v.texts.v[i], item);
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
			if (text_item(one, item))
				return true;
		}
	}
	return false;
}
