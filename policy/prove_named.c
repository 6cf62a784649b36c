/*
 * prove_named -- the values that an expression names, their neighbours, and what is like them.
 *
 * Of a list, a map, a pattern or a number: each as a value of the variable that is held against it.  Where not all that
 * could matter is looked at (patterns, more members than ACT_SCAN) the variable is marked `partial'.  Not for values
 * that nothing names: prove_picks.c.  The invariant: whatever stands in a policy, the loops here end at a ceiling.
 */
#include "policy/match.h"
#include "policy/prove.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define PATTERNS 16                         /* of one list that texts are made from */
#define BRANCHES 3                          /* alternatives of each */
#define WHOLE    (double)((int64_t)1 << 52) /* numbers beyond are as large as any */

/* ---- texts and addresses ---- */

void
picks_add_text(struct act *t, struct var *v, struct strv text, bool own)
{
	picks_add(t, v, (union fact_value){ .text = text }, own);
}

/* As they are written, in front of the @: each is the whole local part, whatever is named. */
static void
add_routed(struct act *t, struct var *v, struct strv domain)
{
	static const char *const routing[] = { "x%foreign.example@", "foreign.example!x@",
		"\"x@foreign.example\"@" };
	const char              *why;

	for (unsigned i = 0; i < sizeof(routing) / sizeof(routing[0]); i++) {
		struct strv  text = arena_concat(t->a, strv_z(routing[i]), domain);
		struct path *to = arena_alloc(t->a, sizeof(*to));

		if (path_parse_plain(t->a, text, to, &why) == PATH_OK)
			picks_add(t, v, (union fact_value){ .path = to }, false);
	}
}

void
picks_add_path(struct act *t, struct var *v, struct strv local, struct strv domain, bool own)
{
	if (v->kind == VAR_RCPT && t->routes) {
		add_routed(t, v, domain);
		return;
	}
	picks_keep(t, v, local, domain, own);
	picks_add(t, v, (union fact_value){ .path = act_mailbox(t->a, local, domain) }, own);
}

bool
picks_are_paths(const struct var *v)
{
	return v->kind == VAR_SENDER || v->kind == VAR_RCPT;
}

struct strv
picks_local(const struct var *v)
{
	return v->kind == VAR_RCPT ? SV("victim") : SV("a");
}

/* A recipient of nobody here, where strangers are spoken of. */
struct strv
picks_domain(const struct act *t, const struct var *v)
{
	return v->kind == VAR_RCPT && t->outside != NULL ? outside_foreign(t->outside, t->a) :
							   SV("stranger.example");
}

/* Lists and maps that have u@d have u+detail@d as well, and its local part is another one. */
static void
add_user(struct act *t, struct var *v, struct strv local, struct strv domain, bool own)
{
	picks_add_path(t, v, local, domain, own);
	if (local.n > 0 && strv_chr(local, '+') == local.n)
		picks_add_path(t, v, arena_concat(t->a, local, SV("+x")), domain, own);
}

/* "d", ".d", "u@d", "@d", "<>", or a word: as a value for that part of the variable. */
void
picks_add_name(struct act *t, struct var *v, enum var_part part, struct strv name)
{
	size_t      at = strv_rchr(name, '@');
	bool        own = strv_starts(name, SV(".")) && suffix_wide(name);
	struct strv domain = at < name.n ? strv_from(name, at + 1) : name;
	struct strv local = at < name.n && at > 0 ? strv_first(name, at) : picks_local(v);

	if (strv_starts(name, SV(".")) && !own)
		picks_add_name(t, v, part, arena_concat(t->a, SV("zy"), name));
	if (strv_starts(domain, SV(".")))
		domain = arena_concat(t->a, own ? SV("foreign") : SV("zz"), domain);
	if (!picks_are_paths(v))
		picks_add_text(t, v, at < name.n ? name : domain, own);
	else if (strv_eq(name, SV("<>")))
		picks_add(t, v,
		    (union fact_value){ .path = arena_alloc(t->a, sizeof(struct path)) }, true);
	else if (part == PART_LOCAL)
		picks_add_path(t, v, name, picks_domain(t, v), true);
	else
		add_user(t, v, local, domain, own);
}

/* Not all are looked at.  Of recipients those that are named are ours, so a stranger's is none of them. */
static void
cut(const struct act *t, struct var *v, bool yes)
{
	v->partial = v->partial || yes;
	v->cut = v->cut || (yes && (v->kind != VAR_RCPT || t->outside == NULL));
}

static void
add_members(struct act *t, struct var *v, enum var_part part, const struct nameset *s)
{
	size_t n = s == NULL ? 0 : nameset_count(s);

	cut(t, v, n > ACT_SCAN);
	for (size_t i = 0; i < n && i < ACT_SCAN; i++)
		picks_add_name(t, v, part, nameset_at(s, i));
}

/* ---- patterns ---- */

/* The last two labels: what somebody registers, as a rule. */
static struct strv
registered(struct strv v)
{
	size_t dot = strv_rchr(v, '.'), before;

	if (dot == v.n)
		return v;
	before = strv_rchr(strv_first(v, dot), '.');
	return before == dot ? v : strv_from(v, before + 1);
}

/* Names that a stranger can have and that the pattern may find: it is often not tied to an end. */
static void
add_likenesses(struct act *t, struct var *v, struct strv local, struct strv name)
{
	struct strv before = arena_concat(t->a, SV("not"), name);
	struct strv behind = arena_concat(t->a, name,
	    strv_ends(name, SV(".")) ? SV("stranger.example") : SV(".stranger.example"));
	bool        other = !strv_ieq(registered(before), registered(name));

	behind = strv_starts(behind, SV(".")) ? arena_concat(t->a, SV("x"), behind) : behind;
	if (picks_are_paths(v)) {
		picks_add_path(t, v, local, behind, true);
		if (other)
			picks_add_path(t, v, local, before, true);
	} else {
		picks_add_text(t, v, behind, true);
		if (other)
			picks_add_text(t, v, before, true);
	}
}

static void
add_sample(struct act *t, struct var *v, enum var_part part, struct strv made)
{
	size_t at = strv_rchr(made, '@');

	if (!picks_are_paths(v)) {
		/* A pattern tied to the end finds names below a domain: such a one is no name yet. */
		if (strv_starts(made, SV(".")))
			picks_add_text(t, v, arena_concat(t->a, SV("zz"), made), false);
		picks_add_text(t, v, made, false);
		add_likenesses(t, v, made, made);
	} else if (part == PART_LOCAL || (part == PART_WHOLE && at == made.n)) {
		if (made.n > 0)
			picks_add_path(t, v, made, picks_domain(t, v), true);
		/* Of a whole address it may as well be the end. */
		if (part == PART_WHOLE && made.n > 0)
			add_likenesses(t, v, picks_local(v), made);
	} else if (part == PART_WHOLE) {
		add_likenesses(
		    t, v, at > 0 ? strv_first(made, at) : picks_local(v), strv_from(made, at + 1));
	} else {
		add_likenesses(t, v, picks_local(v), made);
	}
	/* Ours or not, that cannot be told of what a pattern finds. */
	if (picks_are_paths(v) && (v->kind != VAR_RCPT || t->outside == NULL || t->routes) &&
	    part != PART_LOCAL)
		picks_add_name(t, v, part, made);
}

static void
add_patterns(struct act *t, struct var *v, enum var_part part, const struct match *m)
{
	uint64_t    steps = 0;
	bool        found = false;
	struct strv made;

	v->partial = true;
	for (unsigned i = 0; i < m->n_pattern && i < PATTERNS; i++) {
		for (unsigned k = 0; k < BRANCHES; k++) {
			made = pattern_sample(t->a, pattern_text(m->pattern[i]), k);
			found = found || match_pattern_text(m, made, &steps) == TRUTH_YES;
			add_sample(t, v, part, made);
		}
	}
	/* A name that leads back to a host is not a stranger's, whatever it is; RCPT's are ours. */
	cut(t, v, !found && v->kind != VAR_NAME && v->kind != VAR_LISTENER);
}

/* ---- hosts ---- */

void
picks_add_addr(struct act *t, struct var *v, const struct addr *addr)
{
	picks_add(t, v, (union fact_value){ .addr = *addr }, false);
}

/* The next one; false: it was the last of its family. */
bool
picks_successor(struct addr *addr)
{
	unsigned n = addr->family == ADDR_IP4 ? 4 : 16;

	while (n-- > 0) {
		if (++addr->b[n] != 0)
			return true;
	}
	return false;
}

static void
add_range(struct act *t, struct var *v, struct addr_range r)
{
	struct addr       first;
	struct addr_range rest = r;

	picks_add_addr(t, v, &r.lo);
	if (range_public(&r, &first))
		picks_add_addr(t, v, &first);
	if (!picks_successor(&r.hi))
		return;
	picks_add_addr(t, v, &r.hi);
	rest.lo = r.hi;
	memset(rest.hi.b, 255, rest.hi.family == ADDR_IP4 ? 4 : 16);
	if (range_public(&rest, &first))
		picks_add_addr(t, v, &first);
}

static void
add_ranges(struct act *t, struct var *v, const struct netset *s)
{
	size_t n = s == NULL ? 0 : netset_count(s);

	cut(t, v, n > ACT_RANGES && nets_wide(s));
	v->partial = v->partial || n > ACT_RANGES;
	for (size_t i = 0; i < n && i < ACT_RANGES; i++)
		add_range(t, v, netset_at(s, i));
}

/* ---- maps ---- */

/* A word, a yes or no: prove_picks.c has all of them. */
static void
add_item(struct act *t, struct var *v, enum var_part part, struct strv item)
{
	enum fact_type    type = v->kind == VAR_OTHER ? v->def->type : FACT_TEXT;
	struct addr_range r;
	const char       *why;
	double            number;

	if (v->kind == VAR_CLIENT) {
		if (addr_range_parse(item, &r, &why))
			add_range(t, v, r);
	} else if (type == FACT_TEXT) {
		picks_add_name(t, v, part, item);
	} else if (type == FACT_NUMBER && word_number(item, &number)) {
		picks_add_number(t, v, number);
	}
}

static void
add_keys(struct act *t, struct var *v, enum var_part part, const struct maptable *m)
{
	struct strv key;
	size_t      at = 0;
	unsigned    n = 0;

	while (n++ < ACT_SCAN && maptable_next(m, &at, &key))
		add_item(t, v, part, key);
	cut(t, v, n > ACT_SCAN);
}

static void
add_values(struct act *t, struct var *v, enum var_part part, const struct maptable *m)
{
	struct map_values values;
	struct strv       key, one;
	size_t            at = 0;
	unsigned          n = 0;

	v->partial = true; /* which key has which of them is another variable's affair */
	while (n < ACT_SCAN && maptable_next(m, &at, &key)) {
		if (!maptable_find(m, key, &values))
			continue;
		for (; map_values_next(&values, &one); n++)
			add_item(t, v, part, one);
	}
}

/* ---- numbers ---- */

void
picks_add_number(struct act *t, struct var *v, double number)
{
	int64_t base = number > WHOLE ? (int64_t)WHOLE :
	    number < -WHOLE           ? -(int64_t)WHOLE :
					(int64_t)number;

	for (int64_t i = base - 1; i <= base + 1; i++)
		picks_add(t, v, (union fact_value){ .number = i }, false);
}

/* ---- what an expression names ---- */

static void
from_match(struct act *t, struct var *v, const struct use *u, const struct match *m)
{
	if (m->kind == MATCH_PATTERN && u->def->type == FACT_TEXTS)
		v->partial = true;
	else if (m->kind == MATCH_PATTERN)
		add_patterns(t, v, u->part, m);
	if (m->kind == MATCH_MAP && u->def->type == FACT_TEXTS)
		v->partial = true;
	else if (m->kind == MATCH_MAP)
		add_values(t, v, u->part, m->call.map->map);
	if (u->def->type == FACT_TEXTS && m->kind == MATCH_TEXT)
		picks_add_texts(t, v, m->text);
	else if (m->kind == MATCH_TEXT)
		picks_add_name(t, v, u->part, m->text);
	if (m->kind == MATCH_PATH)
		picks_add_path(t, v, m->path.local, m->path.domain, false);
	if (m->kind == MATCH_NUMBER)
		picks_add_number(t, v, m->number);
	if (m->kind == MATCH_NETS && u->def->type == FACT_ADDR)
		add_ranges(t, v, m->nets);
	if (m->kind == MATCH_NAMES && u->def->type != FACT_TEXTS) {
		add_members(t, v, u->part, m->domains);
		add_members(t, v, u->part, m->addresses);
	}
}

void
picks_add_named(struct act *t, struct var *v)
{
	for (unsigned i = 0; i < v->n_use; i++) {
		const struct use *u = &v->use[i];

		if (u->map != NULL)
			add_keys(t, v, u->part, u->map->map);
		for (unsigned k = 0; k < u->n_match; k++)
			from_match(t, v, u, &u->match[k]);
	}
}
