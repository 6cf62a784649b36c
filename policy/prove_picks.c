/*
 * prove_picks -- the few values of each variable that matter: those that an expression names (prove_named.c), and what
 * is in none of its lists.
 *
 * Two values that no use of the variable tells apart are one.  Where not all that could matter is looked at the
 * variable is marked `partial', and no proof that something never happens is built upon it.
 */
#include "policy/listens.h"
#include "policy/match.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define PATTERNS_AN_EVAL 64 /* so many searches take the time of one question */

#define PARTS_MAX 48 /* of one variable that are put together, each with each */

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

/* What is made from a pattern need be none: MAIL and RCPT would not take it. */
static bool
is_host(struct strv domain)
{
	return strv_starts(domain, SV("[")) || domain_valid(domain, false, true);
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
	case VAR_HELO:
		return x->text.n > 0;
	case VAR_SENDER:
		return x->path->kind != PATH_MAILBOX || is_host(x->path->domain);
	case VAR_RCPT:
		return x->path->kind == PATH_MAILBOX && is_host(x->path->domain) &&
		    (t->routes || !outside_ours(t->outside, x->path->domain));
	default:
		return true;
	}
}

/* A look at thousands of patterns is no less than a question. */
static void
charge(struct act *t, const struct var *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->n_use; i++) {
		for (unsigned k = 0; k < v->use[i].n_match; k++)
			n += v->use[i].match[k].n_pattern;
	}
	n /= PATTERNS_AN_EVAL;
	if (t->left != NULL)
		*t->left -= n < *t->left ? n : *t->left;
}

void
picks_add(struct act *t, struct var *v, union fact_value value, bool own)
{
	/* Names for which SPF passes or does not. */
	bool     named = v->kind == VAR_SENDER || v->kind == VAR_HELO || v->kind == VAR_OTHER;
	uint64_t sign = mix(0xcbf29ce484222325u, &own, named ? sizeof(own) : 0);

	if (!is_outside(t, v, &value, own))
		return;
	/* Whether it is a new one would cost a look at all uses for each of them. */
	if (v->n == ACT_PICKS) {
		v->partial = v->cut = true;
		return;
	}
	if (t->left != NULL && *t->left == 0) {
		v->partial = true;
		return;
	}
	charge(t, v);
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

/* ---- parts of paths ---- */

/* Local parts, or domains, that are named, whether a pick was made of them or not. */
struct parts {
	struct strv text[PARTS_MAX];
	bool        own[PARTS_MAX];
	unsigned    n;
	bool        full; /* there are more */
};

static void
keep_part(struct act *t, struct parts **to, struct strv text, bool own)
{
	struct parts *x = *to;

	if (text.p == NULL || (x != NULL && x->full))
		return;
	if (x == NULL)
		x = *to = arena_alloc(t->a, sizeof(*x));
	for (unsigned i = 0; i < x->n; i++) {
		if (x->own[i] == own && strv_ieq(x->text[i], text))
			return;
	}
	x->full = x->n == PARTS_MAX;
	if (x->full)
		return;
	x->text[x->n] = text;
	x->own[x->n++] = own;
}

/* What nothing tells from another as it stands may make a difference together with another part. */
void
picks_keep(struct act *t, struct var *v, struct strv local, struct strv domain, bool own)
{
	keep_part(t, &v->local, local, true);
	keep_part(t, &v->domain, domain, own);
}

/* Local parts and domains that are named, each with each: `rcpt.local is a and rcpt.domain is b'. */
static void
cross_paths(struct act *t, struct var *v)
{
	const struct parts *x = v->local, *y = v->domain;

	if (x == NULL || y == NULL)
		return;
	/* What is said of each local part that is named need not hold for the others. */
	for (unsigned k = 0; k < y->n; k++)
		picks_add_path(t, v, SV("somebody"), y->text[k], y->own[k]);
	if (v->n_use < 2)
		return;
	v->cut = v->cut || x->full || y->full;
	v->partial = v->partial || v->cut;
	for (unsigned i = 0; i < x->n; i++) {
		for (unsigned k = 0; k < y->n; k++)
			picks_add_path(t, v, x->text[i], y->text[k], y->own[k]);
	}
}

/* ---- what no list names ---- */

static void
other_texts(struct act *t, struct var *v)
{
	if (v->kind == VAR_TLS) {
		picks_add_text(t, v, SV("TLSv1.3"), true);
		picks_add_text(t, v, SV("TLSv1.2"), true);
	} else if (v->kind == VAR_CIPHER) {
		v->partial = true; /* of many only one is named here */
		picks_add_text(t, v, SV("TLS_AES_256_GCM_SHA384"), true);
	} else {
		picks_add_text(t, v, SV("mx.stranger.example"), true);
		picks_add_text(t, v, SV("stranger"), true);
		picks_add_text(t, v, SV("mx.elsewhere.example"), true);
		picks_add_text(t, v, SV("elsewhere"), true);
		picks_add_text(t, v, SV("[198.51.100.9]"), v->kind != VAR_NAME);
	}
	if (v->kind != VAR_HELO && v->kind != VAR_LISTENER)
		picks_add_text(t, v, strv(NULL, 0), true);
}

static void
other_paths(struct act *t, struct var *v)
{
	picks_add_path(t, v, picks_local(v), picks_domain(t, v), true);
	picks_add_path(t, v, SV("somebody"), picks_domain(t, v), true);
	picks_add_path(t, v, picks_local(v), SV("elsewhere.example"), true);
	if (v->kind == VAR_SENDER)
		picks_add_name(t, v, PART_WHOLE, SV("<>"));
	if (v->kind == VAR_SENDER)
		picks_add_path(t, v, SV("postmaster"), strv(NULL, 0), true);
	picks_add_path(t, v, picks_local(v), SV("[198.51.100.9]"), true);
	picks_add_path(t, v, picks_local(v), SV("stranger"), true);
	if (v->kind == VAR_RCPT)
		picks_add_path(t, v, picks_local(v), strv(NULL, 0), true);
}

static void
other_hosts(struct act *t, struct var *v)
{
	static const char *const somewhere[] = { "198.51.100.9", "203.0.113.9", "192.0.2.9",
		"2001:db8::9", "8.8.8.8", "2600::9", "0.0.0.0", "::" };
	struct addr              addr;

	for (unsigned i = 0; i < sizeof(somewhere) / sizeof(somewhere[0]); i++) {
		if (addr_parse(strv_z(somewhere[i]), &addr))
			picks_add_addr(t, v, &addr);
	}
}

/* Those that are there, with an open one first. */
static void
listeners(struct act *t, struct var *v)
{
	const struct conf_plain *x;
	unsigned                 at = 0;

	while ((x = listens_next(t->p->conf, &at)) != NULL) {
		if (listens_name(x).p != NULL)
			picks_add_text(t, v, listens_name(x), true);
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
		picks_add_number(t, v, 1);
		break;
	case FACT_TEXT:
		other_texts(t, v);
		break;
	case FACT_ADDR:
		other_hosts(t, v);
		break;
	case FACT_ADDRS:
		picks_add_answers(t, v);
		break;
	case FACT_TEXTS:
		v->partial = true;
		picks_add_texts(t, v, SV("something else"));
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
		picks_add_named(t, v);
	/* One that routes has its own local parts, with every domain. */
	if (picks_are_paths(v) && (v->kind != VAR_RCPT || !t->routes))
		cross_paths(t, v);
}

void
picks_fill(struct act *t)
{
	for (unsigned i = 0; i < t->n; i++)
		fill(t, &t->var[i]);
}
