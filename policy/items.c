/*
 * items -- networks, domains and addresses as people write them, one by one and from files.
 *
 * Not for what a list or a map makes of them.  Whatever is wrong is named with its place.
 */
#include "policy/hints.h"
#include "policy/items.h"

#include "config.h"
#include "proxy/base/idn.h"
#include "policy/lists.h"
#include "proxy/base/arena.h"

#define FILE_OCTETS    ((size_t)128 << 20) /* of a list's file */
#define SCRATCH_OCTETS 65536               /* of what parsing lines leaves behind */

/* Is there a list of that name?  { NAME } is a set of one item, which is no list. */
static bool
is_list(const struct loader *l, struct strv v)
{
	const struct conf_tree *t = l->c->tree;

	for (unsigned i = 0; i < t->n; i++) {
		if (t->block[i].kind == BLOCK_LIST && strv_eq(t->block[i].u.list->name.text, v))
			return true;
	}
	return false;
}

/* "192.0.2.9-192.0.2.1": the ends are the wrong way round. */
static struct strv
hint_range(struct loader *l, struct strv v)
{
	struct strv       last = v, first = strv_cut(&last, '-'), turned;
	struct addr_range range;
	const char       *why;

	if (last.p == NULL)
		return strv(NULL, 0);
	turned = arena_concat(l->a, arena_concat(l->a, last, SV("-")), first);
	return addr_range_parse(turned, &range, &why) ? diag_did_you_mean(l->a, turned) :
							strv(NULL, 0);
}

/* "192.0.2.1/24" has host bits: what was meant is very likely the network. */
static struct strv
hint_bits(struct loader *l, struct strv v)
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

static struct strv
hint_network(struct loader *l, struct strv v)
{
	struct strv hint = hint_bits(l, v);

	if (hint.p == NULL)
		hint = hint_range(l, v);
	if (hint.p == NULL && is_list(l, v))
		hint = SV("the name of a list stands without { }");
	return hint.p != NULL ?
	    hint :
	    SV("such as 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.9 or 2001:db8::/32");
}

bool
item_network(struct loader *l, const struct item *x, struct addr_range *out)
{
	const char *why = "";

	if (addr_range_parse(x->text, out, &why))
		return true;
	diag_add(l->d, DIAG_ERROR, x->pos, hint_network(l, x->text), "%s is no network: %s",
	    diag_quote(l->a, x->text), why);
	return false;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" with the address in canonical form; absent: v is no literal. */
static struct strv
literal_of(struct arena *a, struct strv v)
{
	char        text[ADDR_TEXT];
	struct addr addr;

	if (v.n < 3 || v.p[0] != '[' || v.p[v.n - 1] != ']' ||
	    !addr_parse_literal(strv(v.p + 1, v.n - 2), &addr))
		return strv(NULL, 0);
	return arena_printf(a, "[%s]", addr_print(&addr, text).p);
}

/* A domain as it is compared: literals and U-labels in their one form. */
static struct strv
canonical(struct arena *a, struct strv domain)
{
	char        buf[IDN_OCTETS];
	struct strv literal = literal_of(a, domain), v = idn_domain(domain, buf);

	return literal.p != NULL ? literal : v.p == buf ? arena_dup(a, v) : v;
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
	if (is_list(l, v))
		return SV("the name of a list stands without { }");
	if (!strv_is_ascii(v))
		return SV("letters beyond ASCII are small ones; or write it as xn--...");
	return SV("such as example.org, .example.org for all below it, or [192.0.2.1]");
}

/* What has no A-label, such as one in upper case (RFC 5891 5.4), nobody's name would ever be equal to. */
static bool
has_a_label(struct strv v)
{
	char buf[IDN_OCTETS];

	return !HAVE_IDN2 || strv_is_ascii(v) || strv_chr(strv_from(v, 1), '.') + 1 >= v.n ||
	    idn_domain(v, buf).p == buf;
}

static bool
is_domain(struct loader *l, struct strv v)
{
	return literal_of(l->a, v).p != NULL || (domain_valid(v, false, true) && has_a_label(v));
}

struct strv
item_domain(struct loader *l, const struct item *x)
{
	struct strv v = x->text;
	bool        below = strv_starts(v, SV(".")) && !strv_starts(v, SV(".["));

	if (is_domain(l, below ? strv_from(v, 1) : v))
		return canonical(l->a, v);
	diag_add(
	    l->d, DIAG_ERROR, x->pos, hint_domain(l, v), "%s is no domain", diag_quote(l->a, v));
	return strv(NULL, 0);
}

/* An address as lists hold it: decoded local part, "@", domain. */
static struct strv
joined(struct arena *a, const struct path *path)
{
	return arena_concat(a, arena_concat(a, path->local, SV("@")), canonical(a, path->domain));
}

bool
item_is_address(struct strv v)
{
	return strv_chr(v, '@') < v.n || strv_eq(v, SV("<>"));
}

/* "@d": all addresses of a domain. */
static struct strv
whole_domain(struct loader *l, struct strv v, const char **why)
{
	struct strv domain = strv_from(v, 1);

	if (is_domain(l, domain))
		return arena_concat(l->a, SV("@"), canonical(l->a, domain));
	*why = "what follows the @ is no domain";
	return strv(NULL, 0);
}

static struct strv
one_address(struct loader *l, struct strv v, const char **why)
{
	struct path path;

	if (path_parse_plain(l->a, v, &path, why) != PATH_OK)
		return strv(NULL, 0);
	if (path.kind == PATH_MAILBOX && has_a_label(path.domain))
		return joined(l->a, &path);
	*why = path.kind == PATH_MAILBOX ? "what follows the @ is no domain" : "it has no domain";
	return strv(NULL, 0);
}

struct strv
item_address(struct loader *l, const struct item *x)
{
	const char *why = "";
	struct strv v = x->text, out = v;

	if (strv_starts(v, SV("@")))
		out = whole_domain(l, v, &why);
	else if (!strv_eq(v, SV("<>")))
		out = one_address(l, v, &why);
	if (out.p == NULL)
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("an address is user@domain, @domain for all of a domain, or <>"),
		    "%s is no address: %s", diag_quote(l->a, v), why);
	return out;
}

/* ---- files ---- */

static void
each_line(struct loader *l, const struct source                          *src,
    void (*line)(struct loader *, void *, struct strv, struct pos), void *to)
{
	struct strv rest = src->text, text;
	struct pos  at = { .src = src };

	if (strv_starts(rest, SV("\xef\xbb\xbf")))
		rest = strv_from(rest, 3);
	while (rest.p != NULL) {
		text = strv_cut(&rest, '\n');
		at.line++;
		line(l, to, text, at);
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
void
items_file(struct loader *l, const struct conf_list                      *c,
    void (*line)(struct loader *, void *, struct strv, struct pos), void *to)
{
	struct arena  *own = arena_new(4096, 0), *a = l->a;
	struct source *src = arena_alloc(l->a, sizeof(*src));
	const char    *path = lists_path(l->a, &c->where.pos, c->where.text);
	unsigned       told = l->d->errors;
	enum file_rc   rc = l->w->read_file(l->w, own, path, FILE_OCTETS, &src->text);

	src->name = strv_z(path);
	src->includer = c->where.pos.src;
	if (rc == FILE_OK) {
		l->a = arena_new(4096, 0);
		each_line(l, src, line, to);
		arena_free(l->a);
		l->a = a;
	} else {
		diag_add(l->d, DIAG_ERROR, c->where.pos, hint_file(rc, c->where.text),
		    "cannot read %s: %s", diag_quote(l->a, src->name), file_rc_name(rc));
	}
	if (l->d->errors == told)
		arena_free(own);
	else
		arena_defer(l->d->a, free_arena, own);
}
