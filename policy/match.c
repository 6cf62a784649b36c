/*
 * match -- one value against what a rule holds it against: numbers, names, networks, texts, patterns.
 *
 * Not for maps: match_map.c.  Not for asking: all facts are here already, nothing parks and nothing is allocated.
 */
#include "policy/match.h"

#include "policy/patterns.h"

/* ---- names ---- */

struct strv
match_domain(const struct path *path, char buf[IDN_OCTETS])
{
	struct strv v;

	if (path->literal.family == ADDR_NONE)
		return idn_domain(path->domain, buf);
	v = addr_print(&path->literal, buf + 1);
	buf[0] = '[';
	buf[v.n + 1] = ']';
	return strv(buf, v.n + 2);
}

struct strv
match_text_domain(struct strv v, char buf[IDN_OCTETS])
{
	struct path path = { .domain = v };

	if (v.n > 2 && v.p[0] == '[' && v.p[v.n - 1] == ']')
		(void)addr_parse_literal(strv(v.p + 1, v.n - 2), &path.literal);
	return match_domain(&path, buf);
}

bool
match_path_in(
    const struct path *path, const struct nameset *domains, const struct nameset *addresses)
{
	char        buf[IDN_OCTETS];
	struct strv domain = match_domain(path, buf);

	if (path->kind == PATH_NULL)
		return addresses != NULL && nameset_has(addresses, SV("<>"));
	if (path->kind != PATH_MAILBOX)
		return false;
	return (domains != NULL && nameset_has_domain(domains, domain)) ||
	    (addresses != NULL && nameset_has_address(addresses, path->local, domain));
}

/*
 * A text that may be an address, such as a login, is looked up as one; "@" in it divides at the
 * last. Domains hold it by its own where the fact holds addresses.
 */
static bool
text_in(struct strv v, const struct match *m, bool address)
{
	size_t      at = strv_rchr(v, '@');
	char        buf[IDN_OCTETS];
	struct strv domain = at < v.n ? strv_from(v, at + 1) : v;

	if (m->domains != NULL &&
	    nameset_has_domain(m->domains, match_text_domain(address ? domain : v, buf)))
		return true;
	return m->addresses != NULL && at < v.n &&
	    nameset_has_address(m->addresses, strv_first(v, at), match_text_domain(domain, buf));
}

static bool
is_literal(struct strv v)
{
	struct addr a;

	return v.n > 2 && v.p[0] == '[' && v.p[v.n - 1] == ']' &&
	    addr_parse_literal(strv(v.p + 1, v.n - 2), &a);
}

/* For <> and address literals `is fqdn' is true; an address without brackets has dots, and is no name. */
static bool
text_is_fqdn(struct strv v)
{
	struct addr a;

	return is_literal(v) || (domain_valid(v, true, true) && !addr_parse(v, &a));
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

/* Texts may be domains, as sender.domain is, or addresses. */
static bool
same_text(struct strv x, struct strv y)
{
	char        a[IDN_OCTETS], b[IDN_OCTETS];
	size_t      i = strv_rchr(x, '@'), j = strv_rchr(y, '@');
	struct strv in, out;

	if (strv_ieq(x, y))
		return true;
	if (i < x.n && j < y.n) {
		if (!strv_ieq(strv_first(x, i), strv_first(y, j)))
			return false;
		x = strv_from(x, i + 1);
		y = strv_from(y, j + 1);
	}
	in = idn_domain(x, a);
	out = idn_domain(y, b);
	return (in.p != x.p || out.p != y.p) && strv_ieq(in, out);
}

static bool
text_is(const struct match *m, struct strv v, bool address)
{
	switch (m->kind) {
	case MATCH_TEXT:
		return same_text(m->text, v);
	case MATCH_NAMES:
		return text_in(v, m, address);
	case MATCH_FQDN:
		return text_is_fqdn(v);
	case MATCH_LITERAL:
		return is_literal(v);
	default:
		return false;
	}
}

bool
match_text(const struct match *m, struct strv v)
{
	return text_is(m, v, false);
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
		    strv_ieq(match_domain(path, a), match_domain(&m->path, b));
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
		return text_is(m, f->v.text, f->def->address);
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
