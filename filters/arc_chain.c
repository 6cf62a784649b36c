/*
 * arc_chain -- the ARC fields of a header put together into sets, and whether these are a chain.
 *
 * What comes here is a stranger's: there may be thousands of such fields.  Of each kind no more than
 * ARC_SETS_MAX are read, and the first thing that is wrong is told, in the order of RFC 8617 5.2.
 */
#include "filters/arc_own.h"
#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"

enum kind { RESULTS, MESSAGE, SEAL, KINDS, OTHER = KINDS };

static const char *const names[KINDS] = { ARC_RESULTS, ARC_MESSAGE, ARC_SEAL };

#define BEYOND (ARC_SETS_MAX + 1)

static enum kind
kind_of(struct strv name)
{
	unsigned k = 0;

	if (!strv_istarts(name, SV("ARC-")))
		return OTHER;
	while (k < KINDS && !strv_ieq(name, strv_z(names[k])))
		k++;
	return (enum kind)k;
}

bool
arc_is_field(struct strv name)
{
	return kind_of(name) != OTHER;
}

static struct strv *
slot(struct arc_set *set, enum kind k)
{
	struct strv *const slots[] = { &set->results, &set->message, &set->seal };

	return slots[k];
}

static struct strv
value_of(struct strv raw)
{
	struct strv v = raw;

	(void)strv_cut(&v, ':');
	return v;
}

/* Behind white space and comments; RFC 5322 3.2.2: they nest, and \ makes the next octet a plain one. */
static struct strv
skip_cfws(struct strv v)
{
	size_t i = 0, depth = 0;

	for (; i < v.n; i++) {
		if (v.p[i] == '(')
			depth++;
		else if (v.p[i] == ')' && depth > 0)
			depth--;
		else if (v.p[i] == '\\' && depth > 0 && i + 1 < v.n)
			i++;
		else if (depth == 0 && memchr(" \t\r\n", v.p[i], 4) == NULL)
			break;
	}
	return strv_from(v, i);
}

/* position = 1*2DIGIT ; 1 - 50.  0: it is none; BEYOND: above. */
static unsigned
position(struct strv v)
{
	uint64_t n;

	if (v.n == 0)
		return 0;
	for (size_t i = 0; i < v.n; i++)
		if (!ascii_is_digit(v.p[i]))
			return 0;
	return v.n <= 2 && strv_number(v, ARC_SETS_MAX, &n) ? (unsigned)n : BEYOND;
}

/* instance = [CFWS] %s"i" [CFWS] "=" [CFWS] position, then [CFWS] ";": RFC 8617 3.9, 4.1.1 */
static unsigned
instance_of_results(struct strv v)
{
	size_t digits = 0;

	v = skip_cfws(v);
	if (v.n == 0 || v.p[0] != 'i')
		return 0;
	v = skip_cfws(strv_from(v, 1));
	if (v.n == 0 || v.p[0] != '=')
		return 0;
	v = skip_cfws(strv_from(v, 1));
	while (digits < v.n && ascii_is_digit(v.p[digits]))
		digits++;
	if (digits > 0 && !strv_starts(skip_cfws(strv_from(v, digits)), SV(";")))
		return 0;
	return position(strv_first(v, digits));
}

/* The first tag of that name, however the rest may look. */
static struct strv
first_tag(struct strv v, const char *name)
{
	struct tag_value t;

	for (unsigned i = 0; i < TAGS_OF_LIST && v.p != NULL; i++)
		if (tags_next(&v, &t) && strv_eq(t.name, strv_z(name)))
			return t.value;
	return strv(NULL, 0);
}

static unsigned
instance_of(enum kind k, struct strv raw)
{
	struct strv v = value_of(raw);

	return k == RESULTS ? instance_of_results(v) : position(first_tag(v, "i"));
}

/* The first reason is the one that is told. */
static void
broken(struct arc_chain *c, struct strv why)
{
	if (c->why.p == NULL)
		c->why = why;
}

static void
take(struct arena *a, struct arc_chain *c, enum kind k, struct strv raw)
{
	unsigned     i = instance_of(k, raw);
	struct strv *s;

	if (i > c->highest)
		c->highest = i;
	if (i == 0 || i == BEYOND) {
		broken(c,
		    arena_printf(
			a, "%s with %s", names[k], i == 0 ? "no instance" : "i= above 50"));
		return;
	}
	s = slot(&c->set[i - 1], k);
	if (s->p != NULL)
		broken(c, arena_printf(a, "two %s with i=%u", names[k], i));
	else
		*s = raw;
}

/* RFC 8617 5.2, 3.1 and 3.2. */
static void
check_whole(struct arena *a, struct arc_chain *c)
{
	for (unsigned i = 0; i < c->highest && c->why.p == NULL; i++)
		for (unsigned k = 0; k < KINDS; k++)
			if (slot(&c->set[i], (enum kind)k)->p == NULL)
				broken(c, arena_printf(a, "no %s with i=%u", names[k], i + 1));
}

/* RFC 8617 5.2, 3.3: none in the first, pass in all others. */
static void
check_status(struct arena *a, struct arc_chain *c)
{
	for (unsigned i = 0; i < c->highest && c->why.p == NULL; i++) {
		struct strv cv = first_tag(value_of(c->set[i].seal), "cv");

		if (!strv_eq(cv, i == 0 ? SV("none") : SV("pass")))
			broken(c, arena_printf(a, "wrong cv= in ARC-Seal i=%u", i + 1));
	}
}

static bool
too_many(const struct view_field *f, unsigned n, bool *any)
{
	unsigned count[KINDS + 1] = { 0 }, most = 0;

	for (unsigned i = 0; i < n; i++) {
		enum kind k = kind_of(f[i].name);

		if (k != OTHER && ++count[k] > most)
			most = count[k];
	}
	*any = most > 0;
	return most > ARC_SETS_MAX;
}

struct arc_chain *
arc_chain_read(struct arena *a, const struct view_field *f, unsigned n)
{
	struct arc_chain *c = arena_alloc(a, sizeof(*c));

	if (too_many(f, n, &c->any)) {
		c->highest = BEYOND;
		broken(c, SV("more than 50 sets"));
		return c;
	}
	for (unsigned i = 0; i < n && c->any; i++)
		if (kind_of(f[i].name) != OTHER)
			take(a, c, kind_of(f[i].name), f[i].raw);
	if (c->highest > 0 && c->highest <= ARC_SETS_MAX)
		c->ended = strv_eq(
		    first_tag(value_of(c->set[c->highest - 1].seal), "cv"), SV("fail"));
	if (c->ended)
		c->why = arena_printf(a, "ARC-Seal i=%u says cv=fail", c->highest);
	check_whole(a, c);
	check_status(a, c);
	c->n = c->why.p == NULL ? c->highest : 0;
	return c;
}
