/*
 * prove_picks -- the few values of each variable that matter: those that an expression names, their
 * neighbours, and what is in none of its lists.
 *
 * Two values that no use of the variable tells apart are one.  Where not all that could matter is
 * looked at (patterns, more members than ACT_SCAN) the variable is marked `partial', and no proof that
 * something never happens is built upon it.
 */
#include "policy/match.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define SINGLES  12                         /* values of one element, of facts with several */
#define PATTERNS 16                         /* of one list that texts are made from */
#define BRANCHES 3                          /* alternatives of each */
#define WHOLE    (double)((int64_t)1 << 52) /* numbers beyond are as large as any */

/* ---- adding ---- */

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 0x100000001b3u;
	return h;
}

static uint64_t
mix_value(uint64_t h, const struct fact *f)
{
	char        text[ADDR_TEXT];
	struct strv v = f->v.text;

	if (f->def->type == FACT_ADDR)
		v = addr_print(&f->v.addr, text);
	else if (f->def->type == FACT_PATH)
		v = f->v.path == NULL ? strv(NULL, 0) : f->v.path->text;
	else if (f->def->type != FACT_TEXT)
		return mix(h, &f->v, sizeof(f->v));
	return mix(h, v.p, v.n);
}

/* What one use sees of the value. */
static uint64_t
sign_use(const struct use *u, const union fact_value *value, uint64_t h)
{
	struct fact       f = { .def = u->def, .state = FACT_KNOWN, .v = act_part(value, u->part) };
	bool              absent = fact_absent(&f), yes;
	uint64_t          steps = 0;
	struct map_values m;

	h = mix(h, &absent, sizeof(absent));
	if (u->map != NULL) {
		m = match_map(u->map, &f);
		h = mix(h, &m.at, sizeof(m.at));
	}
	for (unsigned i = 0; i < u->n_match; i++) {
		const struct match *x = &u->match[i];

		if (x->kind == MATCH_MAP) {
			h = mix_value(h, &f);
			continue;
		}
		if (x->kind == MATCH_PATTERN)
			yes = !absent && match_pattern(x, &f, &steps) == TRUTH_YES;
		else
			yes = absent ? x->kind == MATCH_ABSENT : match_value(x, &f);
		h = mix(h, &yes, sizeof(yes));
	}
	return h;
}

/* Can a stranger bring that about? */
static bool
is_outside(const struct act *t, const struct var *v, const union fact_value *x, bool own)
{
	if (t->outside == NULL)
		return true;
	switch (v->kind) {
	case VAR_CLIENT:
		return outside_has(t->outside, &x->addr);
	case VAR_NAME:
		return own && (x->text.p == NULL || domain_valid(x->text, false, false));
	case VAR_RDNS:
		return x->text.p == NULL || domain_valid(x->text, false, false);
	case VAR_LISTENER:
		return outside_reaches(t->p, x->text);
	case VAR_RCPT:
		return x->path->kind == PATH_MAILBOX && !outside_ours(t->outside, x->path->domain);
	default:
		return true;
	}
}

void
picks_add(struct act *t, struct var *v, union fact_value value, bool own)
{
	uint64_t sign = mix(0xcbf29ce484222325u, &own, v->kind == VAR_SENDER ? sizeof(own) : 0);

	if (!is_outside(t, v, &value, own))
		return;
	/* Whether it is a new one would cost a look at all uses for each of them. */
	if (v->n == ACT_PICKS) {
		v->partial = true;
		return;
	}
	/* What is fixed has the one value that act_value gives, of whatever type: these are not looked at. */
	for (unsigned i = 0; v->kind != VAR_FIXED && i < v->n_use; i++)
		sign = sign_use(&v->use[i], &value, sign);
	for (unsigned i = 0; i < v->n; i++) {
		if (v->pick[i].sign == sign)
			return;
	}
	v->pick = arena_grow(t->a, v->pick, &v->max, v->n + 1, sizeof(*v->pick));
	v->pick[v->n++] = (struct pick){ value, own, sign };
}

/* ---- texts and addresses ---- */

static void
add_text(struct act *t, struct var *v, struct strv text, bool own)
{
	picks_add(t, v, (union fact_value){ .text = text }, own);
}

static void
add_path(struct act *t, struct var *v, struct strv local, struct strv domain, bool own)
{
	picks_add(t, v, (union fact_value){ .path = act_mailbox(t->a, local, domain) }, own);
}

static bool
is_path(const struct var *v)
{
	return v->kind == VAR_SENDER || v->kind == VAR_RCPT;
}

static struct strv
default_local(const struct var *v)
{
	return v->kind == VAR_RCPT ? SV("victim") : SV("a");
}

/* A recipient of nobody here, where strangers are spoken of. */
static struct strv
default_domain(const struct act *t, const struct var *v)
{
	return v->kind == VAR_RCPT && t->outside != NULL ? outside_foreign(t->outside, t->a) :
							   SV("stranger.example");
}

/* "d", ".d", "u@d", "@d", "<>", or a word: as a value for that part of the variable. */
static void
add_name(struct act *t, struct var *v, enum var_part part, struct strv name)
{
	size_t      at = strv_rchr(name, '@');
	bool        own = strv_starts(name, SV(".")) && suffix_wide(name);
	struct strv domain = at < name.n ? strv_from(name, at + 1) : name;
	struct strv local = at < name.n && at > 0 ? strv_first(name, at) : default_local(v);

	if (strv_starts(domain, SV(".")))
		domain = arena_concat(t->a, own ? SV("foreign") : SV("zz"), domain);
	if (!is_path(v))
		add_text(t, v, at < name.n ? name : domain, own);
	else if (strv_eq(name, SV("<>")))
		picks_add(t, v,
		    (union fact_value){ .path = arena_alloc(t->a, sizeof(struct path)) }, true);
	else if (part == PART_LOCAL)
		add_path(t, v, name, default_domain(t, v), true);
	else
		add_path(t, v, local, domain, own);
}

static void
add_members(struct act *t, struct var *v, enum var_part part, const struct nameset *s)
{
	size_t n = s == NULL ? 0 : nameset_count(s);

	v->partial = v->partial || n > ACT_SCAN;
	for (size_t i = 0; i < n && i < ACT_SCAN; i++)
		add_name(t, v, part, nameset_at(s, i));
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
	if (is_path(v)) {
		add_path(t, v, local, behind, true);
		if (other)
			add_path(t, v, local, before, true);
	} else {
		add_text(t, v, behind, true);
		if (other)
			add_text(t, v, before, true);
	}
}

static void
add_sample(struct act *t, struct var *v, enum var_part part, struct strv made)
{
	size_t at = strv_rchr(made, '@');

	if (!is_path(v)) {
		add_text(t, v, made, false);
		add_likenesses(t, v, made, made);
	} else if (part == PART_LOCAL || (part == PART_WHOLE && at == made.n)) {
		if (made.n > 0)
			add_path(t, v, made, default_domain(t, v), true);
	} else if (part == PART_WHOLE) {
		add_likenesses(t, v, at > 0 ? strv_first(made, at) : default_local(v),
		    strv_from(made, at + 1));
	} else {
		add_likenesses(t, v, default_local(v), made);
	}
	/* Ours or not, that cannot be told of what a pattern finds. */
	if (is_path(v) && (v->kind != VAR_RCPT || t->outside == NULL) && part != PART_LOCAL)
		add_name(t, v, part, made);
}

static void
add_patterns(struct act *t, struct var *v, enum var_part part, const struct match *m)
{
	v->partial = true;
	for (unsigned i = 0; i < m->n_pattern && i < PATTERNS; i++) {
		for (unsigned k = 0; k < BRANCHES; k++)
			add_sample(
			    t, v, part, pattern_sample(t->a, pattern_text(m->pattern[i]), k));
	}
}

/* ---- hosts ---- */

static void
add_addr(struct act *t, struct var *v, const struct addr *addr)
{
	picks_add(t, v, (union fact_value){ .addr = *addr }, false);
}

/* The next one; false: it was the last of its family. */
static bool
successor(struct addr *addr)
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

	add_addr(t, v, &r.lo);
	if (range_public(&r, &first))
		add_addr(t, v, &first);
	if (!successor(&r.hi))
		return;
	add_addr(t, v, &r.hi);
	rest.lo = r.hi;
	memset(rest.hi.b, 255, rest.hi.family == ADDR_IP4 ? 4 : 16);
	if (range_public(&rest, &first))
		add_addr(t, v, &first);
}

static void
add_ranges(struct act *t, struct var *v, const struct netset *s)
{
	size_t n = s == NULL ? 0 : netset_count(s);

	v->partial = v->partial || n > ACT_RANGES;
	for (size_t i = 0; i < n && i < ACT_RANGES; i++)
		add_range(t, v, netset_at(s, i));
}

/* ---- maps ---- */

static void
add_item(struct act *t, struct var *v, enum var_part part, struct strv item)
{
	struct addr_range r;
	const char       *why;

	if (v->kind == VAR_CLIENT) {
		if (addr_range_parse(item, &r, &why))
			add_range(t, v, r);
	} else {
		add_name(t, v, part, item);
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
	v->partial = v->partial || n > ACT_SCAN;
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

/* ---- facts of their own: numbers, words, several of a kind ---- */

static void
add_number(struct act *t, struct var *v, double number)
{
	int64_t base = number > WHOLE ? (int64_t)WHOLE :
	    number < -WHOLE           ? -(int64_t)WHOLE :
					(int64_t)number;

	for (int64_t i = base - 1; i <= base + 1; i++)
		picks_add(t, v, (union fact_value){ .number = i }, false);
}

static void
add_several(struct act *t, struct var *v, const struct addr *addr, unsigned n)
{
	union fact_value x = { .number = 0 };
	struct addr     *copy = arena_array(t->a, n, sizeof(*copy));

	for (unsigned i = 0; i < n; i++)
		copy[i] = addr[i];
	x.addrs.v = copy;
	x.addrs.n = n;
	picks_add(t, v, x, false);
}

/* Each alone, each two, all of them: enough where at most two questions are asked of it. */
static void
add_answers(struct act *t, struct var *v)
{
	struct addr one[SINGLES + 1];
	unsigned    n = 0, asked = 0;

	for (unsigned i = 0; i < v->n_use; i++) {
		for (unsigned k = 0; k < v->use[i].n_match; k++) {
			const struct netset *s = v->use[i].match[k].nets;
			size_t               count = s == NULL ? 0 : netset_count(s);

			asked += s != NULL;
			for (size_t r = 0; r < count && n < SINGLES; r++)
				one[n++] = netset_at(s, r).lo;
		}
	}
	v->partial = v->partial || asked > 2 || n == SINGLES;
	(void)addr_parse(SV("127.0.0.2"), &one[n++]);
	for (unsigned i = 0; i < n; i++)
		add_several(t, v, &one[i], 1);
	for (unsigned i = 0; i + 1 < n; i++)
		add_several(t, v, &one[i], 2);
	add_several(t, v, one, n);
}

static void
add_texts(struct act *t, struct var *v, struct strv text)
{
	union fact_value x = { .number = 0 };
	struct strv     *copy = arena_alloc(t->a, sizeof(*copy));

	*copy = text;
	x.texts.v = copy;
	x.texts.n = 1;
	picks_add(t, v, x, false);
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
		add_texts(t, v, m->text);
	else if (m->kind == MATCH_TEXT)
		add_name(t, v, u->part, m->text);
	if (m->kind == MATCH_PATH)
		add_path(t, v, m->path.local, m->path.domain, false);
	if (m->kind == MATCH_NUMBER)
		add_number(t, v, m->number);
	if (m->kind == MATCH_NETS && u->def->type == FACT_ADDR)
		add_ranges(t, v, m->nets);
	if (m->kind == MATCH_NAMES && u->def->type != FACT_TEXTS) {
		add_members(t, v, u->part, m->domains);
		add_members(t, v, u->part, m->addresses);
	}
}

static void
from_uses(struct act *t, struct var *v)
{
	for (unsigned i = 0; i < v->n_use; i++) {
		const struct use *u = &v->use[i];

		if (u->map != NULL)
			add_keys(t, v, u->part, u->map->map);
		for (unsigned k = 0; k < u->n_match; k++)
			from_match(t, v, u, &u->match[k]);
	}
}

/* Local parts and domains that are named, each with each: `rcpt.local is a and rcpt.domain is b'. */
static void
cross_paths(struct act *t, struct var *v)
{
	unsigned n = v->n < 48 ? v->n : 48;

	v->partial = v->partial || n < v->n;
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < n; k++) {
			const struct path *x = v->pick[i].v.path, *y = v->pick[k].v.path;

			if (x->kind == PATH_MAILBOX && y->kind == PATH_MAILBOX)
				add_path(t, v, x->local, y->domain, v->pick[k].own);
		}
	}
}

/* ---- what no list names ---- */

static void
other_texts(struct act *t, struct var *v)
{
	if (v->kind == VAR_TLS) {
		add_text(t, v, SV("TLSv1.3"), true);
		add_text(t, v, SV("TLSv1.2"), true);
	} else if (v->kind == VAR_CIPHER) {
		add_text(t, v, SV("TLS_AES_256_GCM_SHA384"), true);
	} else {
		add_text(t, v, SV("mx.stranger.example"), true);
		add_text(t, v, SV("stranger"), true);
		add_text(t, v, SV("[198.51.100.9]"), v->kind != VAR_NAME);
	}
	if (v->kind != VAR_HELO && v->kind != VAR_LISTENER)
		add_text(t, v, strv(NULL, 0), true);
}

static void
other_paths(struct act *t, struct var *v)
{
	add_path(t, v, default_local(v), default_domain(t, v), true);
	if (v->kind == VAR_SENDER)
		add_name(t, v, PART_WHOLE, SV("<>"));
	add_path(t, v, default_local(v), SV("[198.51.100.9]"), true);
	add_path(t, v, default_local(v), SV("stranger"), true);
	if (v->kind == VAR_RCPT)
		add_path(t, v, default_local(v), strv(NULL, 0), true);
}

static void
other_hosts(struct act *t, struct var *v)
{
	static const char *const somewhere[] = { "198.51.100.9", "203.0.113.9", "192.0.2.9",
		"2001:db8::9", "8.8.8.8", "2600::9", "0.0.0.0", "::" };
	struct addr              addr;

	for (unsigned i = 0; i < sizeof(somewhere) / sizeof(somewhere[0]); i++) {
		if (addr_parse(strv_z(somewhere[i]), &addr))
			add_addr(t, v, &addr);
	}
}

/* Those that are there, with an open one first. */
static void
listeners(struct act *t, struct var *v)
{
	const struct conf *c = t->p->conf;

	for (unsigned i = 0; i < c->n_plain; i++) {
		const struct conf_plain *x = &c->plain[i];
		struct strv              name = x->n > 0 ? x->v[0].text : strv(NULL, 0);

		if (!strv_eq(x->keyword, SV("listen")))
			continue;
		for (unsigned k = 1; k + 1 < x->n; k++) {
			if (strv_eq(x->v[k].text, SV("name")))
				name = x->v[k + 1].text;
		}
		if (name.p != NULL)
			add_text(t, v, name, true);
	}
}

static void
other_fact(struct act *t, struct var *v)
{
	const struct fact_def *def = v->def;

	picks_add(t, v, act_absent(def->type), true);
	switch (def->type) {
	case FACT_BOOL:
		picks_add(t, v, (union fact_value){ .yes = true }, true);
		break;
	case FACT_WORD:
		for (unsigned i = 0; def->words[i] != NULL; i++)
			picks_add(t, v, (union fact_value){ .word = i }, true);
		break;
	case FACT_NUMBER:
		add_number(t, v, 1);
		break;
	case FACT_TEXT:
		other_texts(t, v);
		break;
	case FACT_ADDR:
		other_hosts(t, v);
		break;
	case FACT_ADDRS:
		add_answers(t, v);
		break;
	case FACT_TEXTS:
		v->partial = true;
		add_texts(t, v, SV("something else"));
		break;
	case FACT_PATH:
		v->partial = true;
		break;
	}
}

static void
fill(struct act *t, struct var *v)
{
	switch (v->kind) {
	case VAR_TAG:
		v->pick = arena_array(t->a, 2, sizeof(*v->pick));
		v->pick[1].v.yes = true;
		v->n = v->max = 2;
		return;
	case VAR_CLIENT:
		other_hosts(t, v);
		break;
	case VAR_LISTENER:
		listeners(t, v);
		if (v->n == 0)
			other_texts(t, v);
		break;
	case VAR_SENDER:
	case VAR_RCPT:
		other_paths(t, v);
		break;
	case VAR_OTHER:
		other_fact(t, v);
		break;
	default:
		other_texts(t, v);
		break;
	}
	if (v->kind != VAR_OTHER || v->def->type != FACT_ADDRS)
		from_uses(t, v);
	if (is_path(v))
		cross_paths(t, v);
}

void
picks_fill(struct act *t)
{
	for (unsigned i = 0; i < t->n; i++)
		fill(t, &t->var[i]);
}
